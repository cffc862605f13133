//! What the last passed run of a target found: the next one is compared with it.

use super::schema::Store;

impl Store {
    /// The facts of the last passed run, and that run's id.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn baseline(&self, estate: &str, target: &str) -> anyhow::Result<Option<(String, serde_json::Value)>> {
        let row: Option<(String, String)> =
            sqlx::query_as("select run_id, facts from baselines where estate = $1 and target = $2")
                .bind(estate)
                .bind(target)
                .fetch_optional(&self.pool)
                .await?;
        row.map(|(run_id, facts)| Ok((run_id, serde_json::from_str(&facts)?))).transpose()
    }

    /// Forgets what the last passed run found, after an intended change.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn forget_baseline(&self, estate: &str, target: &str) -> anyhow::Result<bool> {
        let query = sqlx::query("delete from baselines where estate = $1 and target = $2");
        Ok(query.bind(estate).bind(target).execute(&self.pool).await?.rows_affected() > 0)
    }
}

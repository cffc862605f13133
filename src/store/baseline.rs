//! What the last passed run of a target found: the next one is compared with it.

use super::schema::Store;

impl Store {
    /// The facts of the last passed run, and that run's id. The sandbox's are not AWS's.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn baseline(
        &self,
        estate: &str,
        target: &str,
        simulated: bool,
    ) -> anyhow::Result<Option<(String, serde_json::Value)>> {
        let row: Option<(String, String)> =
            sqlx::query_as("select run_id, facts from baselines where estate = $1 and target = $2 and simulated = $3")
                .bind(estate)
                .bind(target)
                .bind(i64::from(simulated))
                .fetch_optional(&self.pool)
                .await?;
        row.map(|(run_id, facts)| Ok((run_id, serde_json::from_str(&facts)?))).transpose()
    }
}

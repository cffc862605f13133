use super::connection::Store;
use super::scope::Scope;
use super::time_limit::TimeLimit;

impl Store {
    /// The facts of the last passed run, and that run's id. Another account's or Region's database is another database.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn baseline(
        &self,
        scope: Scope<'_>,
        target: &str,
    ) -> anyhow::Result<Option<(String, serde_json::Value)>> {
        let row: Option<(String, String)> = sqlx::query_as(
            "select run_id, facts from baselines
             where estate = $1 and target = $2 and simulated = $3 and account = $4 and region = $5",
        )
        .bind(scope.estate)
        .bind(target)
        .bind(i64::from(scope.simulated))
        .bind(scope.account)
        .bind(scope.region)
        .fetch_optional(&self.pool)
        .limited()
        .await?;
        row.map(|(run_id, facts)| Ok((run_id, serde_json::from_str(&facts)?))).transpose()
    }
}

//! What metrics tell of: the last run of each target, and how many messages went where.

use jiff::Timestamp;

use super::connection::Store;
use super::runs::{COLUMNS, Run, from_row};
use super::scope::Scope;
use super::time_limit::TimeLimit;

/// The last runs of a target.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// The last run that has ended.
    pub ended: Run,
    /// When the last passed run ended.
    pub passed_at: Option<Timestamp>,
}

/// How many messages of a channel stand so.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The channel.
    pub channel: String,
    /// `sent`, `pending` or `dead`.
    pub state: String,
    /// How many.
    pub count: u64,
}

impl Store {
    /// The last ended run of each target of an estate. A run of a Region that nobody knows counts; an empty account
    /// stands for any, where AWS has not said yet whose the credentials are.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn last_runs(&self, scope: Scope<'_>) -> anyhow::Result<Vec<LastRun>> {
        let sql = format!(
            "select {COLUMNS} from runs where seq in
                 (select max(seq) from runs where estate = $1 and simulated = $2 and (account = $3 or $3 = '')
                                             and region in ('', $4) and state <> 'running' group by target)
             order by target"
        );
        let simulated = i64::from(scope.simulated);
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(scope.estate).bind(simulated);
        let rows = rows.bind(scope.account).bind(scope.region).fetch_all(&self.pool).limited().await?;
        let mut found = Vec::new();
        for row in &rows {
            let ended = from_row(row)?;
            let sql = "select ended_at from runs where id =
                           (select id from runs where estate = $1 and target = $2 and simulated = $3
                                                      and (account = $4 or $4 = '') and region in ('', $5)
                                                      and state = 'passed'
                            order by seq desc limit 1)";
            let passed: Option<String> = sqlx::query_scalar(sql)
                .bind(scope.estate)
                .bind(&ended.new.target)
                .bind(simulated)
                .bind(scope.account)
                .bind(scope.region)
                .fetch_optional(&self.pool)
                .limited()
                .await?;
            found.push(LastRun { ended, passed_at: passed.and_then(|at| at.parse().ok()) });
        }
        Ok(found)
    }

    /// How many runs of an estate are stuck.
    ///
    /// # Errors
    /// Where they could not be counted.
    pub async fn stuck_runs(&self, estate: &str) -> anyhow::Result<u64> {
        let sql = "select count(*) from runs where estate = $1 and state = 'stuck'";
        let count: i64 = sqlx::query_scalar(sql).bind(estate).fetch_one(&self.pool).limited().await?;
        Ok(count.unsigned_abs())
    }

    /// How many messages of each channel were sent, wait, or were given up.
    ///
    /// # Errors
    /// Where they could not be counted.
    pub async fn message_counts(&self, estate: &str) -> anyhow::Result<Vec<Counted>> {
        let sql = "select channel, state, count(*) from outbox where estate = $1 group by channel, state order by channel, state";
        let rows: Vec<(String, String, i64)> = sqlx::query_as(sql).bind(estate).fetch_all(&self.pool).limited().await?;
        let counted =
            |(channel, state, count): (String, String, i64)| Counted { channel, state, count: count.unsigned_abs() };
        Ok(rows.into_iter().map(counted).collect())
    }
}

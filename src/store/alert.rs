//! What is wrong with a target at present, check by check, each from its first sign to its end.

use std::fmt;

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::run_state::RunState;
use super::scope::Scope;
use super::time_limit::TimeLimit;

/// What can be wrong with a target. Each is an alert of its own: none mutes or ends another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertCheck {
    /// The verdict of its newest restore test.
    RestoreTest,
    /// Whether everything that was made for its tests is gone.
    Cleanup,
}

impl AlertCheck {
    const ALL: [Self; 2] = [Self::RestoreTest, Self::Cleanup];

    /// The fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RestoreTest => "restore-test",
            Self::Cleanup => "cleanup",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }
}

impl fmt::Display for AlertCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What is wrong.
    pub check: AlertCheck,
    /// How: failed, unknown or stuck.
    pub outcome: RunState,
    /// Since when.
    pub since: Timestamp,
    /// When people were told of it last.
    pub told_at: Timestamp,
    /// The run that found it first.
    pub run_id: String,
}

impl Alert {
    /// Names this alert, from its first sign to its end, to channels that keep together what belongs together.
    #[must_use]
    pub fn key(&self) -> String {
        match self.check {
            // As it was called before there were others.
            AlertCheck::RestoreTest => self.run_id.clone(),
            AlertCheck::Cleanup => format!("{}-{}", self.run_id, self.check),
        }
    }
}

const OF_TARGET: &str = "estate = $1 and target = $2 and simulated = $3 and account = $4 and region = $5";

/// Everything that is wrong with a target. A check that this drctl does not know is a newer one's.
pub(super) async fn read(connection: &mut AnyConnection, scope: Scope<'_>, target: &str) -> anyhow::Result<Vec<Alert>> {
    let sql =
        format!("select check_id, outcome, since, told_at, run_id from alerts where {OF_TARGET} order by check_id");
    let rows: Vec<(String, String, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(scope.estate)
        .bind(target)
        .bind(i64::from(scope.simulated))
        .bind(scope.account)
        .bind(scope.region)
        .fetch_all(connection)
        .limited()
        .await?;
    let known = rows.into_iter().filter_map(|(check, outcome, since, told_at, run_id)| {
        Some((AlertCheck::parse(&check)?, outcome, since, told_at, run_id))
    });
    known
        .map(|(check, outcome, since, told_at, run_id)| {
            Ok(Alert {
                check,
                outcome: RunState::parse(&outcome)?,
                since: Timestamp::from_millisecond(since)?,
                told_at: Timestamp::from_millisecond(told_at)?,
                run_id,
            })
        })
        .collect()
}

/// Replaces everything that is wrong with a target by `alerts`.
pub(super) async fn write(
    connection: &mut AnyConnection,
    scope: Scope<'_>,
    target: &str,
    alerts: &[Alert],
) -> anyhow::Result<()> {
    let delete = format!("delete from alerts where {OF_TARGET} and check_id = $6");
    for check in AlertCheck::ALL {
        sqlx::query(sqlx::AssertSqlSafe(delete.clone()))
            .bind(scope.estate)
            .bind(target)
            .bind(i64::from(scope.simulated))
            .bind(scope.account)
            .bind(scope.region)
            .bind(check.name())
            .execute(&mut *connection)
            .limited()
            .await?;
    }
    for alert in alerts {
        sqlx::query(
            "insert into alerts (estate, target, simulated, account, region, check_id, outcome, since, told_at, run_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(scope.estate)
        .bind(target)
        .bind(i64::from(scope.simulated))
        .bind(scope.account)
        .bind(scope.region)
        .bind(alert.check.name())
        .bind(alert.outcome.name())
        .bind(alert.since.as_millisecond())
        .bind(alert.told_at.as_millisecond())
        .bind(&alert.run_id)
        .execute(&mut *connection)
        .limited()
        .await?;
    }
    Ok(())
}

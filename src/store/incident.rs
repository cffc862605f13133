//! What is wrong with a target at present, from its first sign to its recovery.

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::scope::Scope;
use super::state::RunState;

/// Something that is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// How the last test of the target ended: failed, unknown or stuck.
    pub outcome: RunState,
    /// Since when.
    pub since: Timestamp,
    /// When people were told of it last.
    pub told_at: Timestamp,
    /// The run that found it first: names the incident.
    pub run_id: String,
}

pub(super) async fn read(
    connection: &mut AnyConnection,
    scope: Scope<'_>,
    target: &str,
) -> anyhow::Result<Option<Incident>> {
    let row: Option<(String, i64, i64, String)> = sqlx::query_as(
        "select outcome, since, told_at, run_id from incidents
         where estate = $1 and target = $2 and simulated = $3 and account = $4 and region = $5",
    )
    .bind(scope.estate)
    .bind(target)
    .bind(i64::from(scope.simulated))
    .bind(scope.account)
    .bind(scope.region)
    .fetch_optional(connection)
    .await?;
    row.map(|(outcome, since, told_at, run_id)| {
        Ok(Incident {
            outcome: RunState::parse(&outcome)?,
            since: Timestamp::from_millisecond(since)?,
            told_at: Timestamp::from_millisecond(told_at)?,
            run_id,
        })
    })
    .transpose()
}

pub(super) async fn write(
    connection: &mut AnyConnection,
    scope: Scope<'_>,
    target: &str,
    incident: Option<&Incident>,
) -> anyhow::Result<()> {
    let delete = "delete from incidents
                  where estate = $1 and target = $2 and simulated = $3 and account = $4 and region = $5";
    sqlx::query(delete)
        .bind(scope.estate)
        .bind(target)
        .bind(i64::from(scope.simulated))
        .bind(scope.account)
        .bind(scope.region)
        .execute(&mut *connection)
        .await?;
    let Some(incident) = incident else { return Ok(()) };
    sqlx::query(
        "insert into incidents (estate, target, simulated, account, region, outcome, since, told_at, run_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(scope.estate)
    .bind(target)
    .bind(i64::from(scope.simulated))
    .bind(scope.account)
    .bind(scope.region)
    .bind(incident.outcome.name())
    .bind(incident.since.as_millisecond())
    .bind(incident.told_at.as_millisecond())
    .bind(&incident.run_id)
    .execute(connection)
    .await?;
    Ok(())
}

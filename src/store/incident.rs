//! What is wrong with a target at present, from its first sign to its recovery.

use jiff::Timestamp;
use sqlx::AnyConnection;

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
    estate: &str,
    target: &str,
    simulated: i64,
) -> anyhow::Result<Option<Incident>> {
    let row: Option<(String, i64, i64, String)> = sqlx::query_as(
        "select outcome, since, told_at, run_id from incidents where estate = $1 and target = $2 and simulated = $3",
    )
    .bind(estate)
    .bind(target)
    .bind(simulated)
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
    estate: &str,
    target: &str,
    simulated: i64,
    incident: Option<&Incident>,
) -> anyhow::Result<()> {
    let delete = "delete from incidents where estate = $1 and target = $2 and simulated = $3";
    sqlx::query(delete).bind(estate).bind(target).bind(simulated).execute(&mut *connection).await?;
    let Some(incident) = incident else { return Ok(()) };
    sqlx::query(
        "insert into incidents (estate, target, simulated, outcome, since, told_at, run_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(estate)
    .bind(target)
    .bind(simulated)
    .bind(incident.outcome.name())
    .bind(incident.since.as_millisecond())
    .bind(incident.told_at.as_millisecond())
    .bind(&incident.run_id)
    .execute(connection)
    .await?;
    Ok(())
}

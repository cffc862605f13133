//! Runs: what was started, by which document, and how it ended.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::alert::{self, Alert};
use super::connection::Store;
use super::open_error::CHECK_STATE;
use super::outbox::{self, OutboxMessage};
use super::owner::{Owner, new_token};
use super::run_state::RunState;
use super::scope::{Scope, adopt};
use super::time_limit::TimeLimit;

/// A run that is about to start.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id, a ULID.
    pub id: String,
    /// The estate's name.
    pub estate: String,
    /// The target's name.
    pub target: String,
    /// The runbook's name.
    pub runbook: String,
    /// The runbook's whole text: a run is resumed by the document that it was started with.
    pub document: String,
    /// The runbook's inputs.
    pub inputs: serde_json::Value,
    /// When it starts.
    pub started_at: Timestamp,
    /// When whatever it made may be removed by anybody; never for a recovery.
    pub expires_at: Option<Timestamp>,
    /// Whether it runs against the sandbox.
    pub simulated: bool,
    /// How long a proved copy stays.
    pub keep_for: Duration,
    /// Whether what the last passed run found is left out of account.
    pub update_baseline: bool,
    /// The AWS account that it acts in.
    pub account: String,
    /// The AWS Region that it acts in; empty where it was started before runs remembered that.
    pub region: String,
    /// Which job it was started for, and when that was due; absent where a person started it.
    pub occurrence: Option<String>,
}

impl NewRun {
    /// Whose it is.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope { estate: &self.estate, account: &self.account, region: &self.region, simulated: self.simulated }
    }
}

/// A run as stored.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it was started as.
    pub new: NewRun,
    /// Where it stands.
    pub state: RunState,
    /// Why it ended so.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its report, as JSON.
    pub report: Option<serde_json::Value>,
}

pub(super) const COLUMNS: &str =
    "id, estate, target, runbook, document, inputs, state, reason, started_at, expires_at, ended_at,
    cast(simulated as bigint) as simulated, cast(keep_for as bigint) as keep_for,
    cast(accept as bigint) as accept, account, region, occurrence, report";

/// A run's epoch when it begins.
pub(super) const FIRST_EPOCH: i64 = 1;
/// How long a database may take to answer before it is asked again.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// A run could not be written down before it began: nothing was done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to write to the state in `{place}`")]
pub struct NotWritten {
    /// The file, or the database.
    place: String,
}

impl NotWritten {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        CHECK_STATE
    }
}

impl Store {
    /// Starts a run. It belongs to this process from then on.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn begin(&self, new: &NewRun) -> anyhow::Result<Owner> {
        let reserved = self.reserve(&new.id)?;
        let watch = super::lease::watch();
        let mut transaction = self.writing().await.with_context(|| self.not_written())?;
        adopt(&mut transaction, new.scope()).await.with_context(|| self.not_written())?;
        let token = new_token();
        self.insert_run(&mut transaction, new, &token).await.with_context(|| self.not_written())?;
        transaction.commit().limited().await.with_context(|| self.not_written())?;
        Ok(self.own(&new.id, FIRST_EPOCH, token, reserved, watch))
    }

    fn not_written(&self) -> NotWritten {
        NotWritten { place: self.place.clone() }
    }

    pub(super) async fn insert_run(
        &self,
        connection: &mut AnyConnection,
        new: &NewRun,
        token: &str,
    ) -> anyhow::Result<()> {
        let sql = format!(
            "insert into runs (id, estate, target, runbook, document, inputs, state, started_at, expires_at, simulated,
                               keep_for, accept, account, region, occurrence, epoch, lease_until, seq, owner)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, {} + $17, $18, $19)",
            self.now()
        );
        let seq = Self::next(&mut *connection, "runs").await?;
        sqlx::query(AssertSqlSafe(sql))
            .bind(&new.id)
            .bind(&new.estate)
            .bind(&new.target)
            .bind(&new.runbook)
            .bind(&new.document)
            .bind(new.inputs.to_string())
            .bind(RunState::Running.name())
            .bind(new.started_at.to_string())
            .bind(new.expires_at.map(|at| at.to_string()))
            .bind(i64::from(new.simulated))
            .bind(i64::try_from(new.keep_for.as_secs())?)
            .bind(i64::from(new.update_baseline))
            .bind(&new.account)
            .bind(&new.region)
            .bind(&new.occurrence)
            .bind(FIRST_EPOCH)
            .bind(self.lease_millis())
            .bind(seq)
            .bind(token)
            .execute(connection)
            .limited()
            .await?;
        Ok(())
    }

    /// Ends a run, keeps what it found where it passed, and in the same transaction writes down what people are to be
    /// told: `tell` is given what was wrong with the target before, and says what is wrong now and what to send.
    ///
    /// Ending a run once more corrects how it ended.
    ///
    /// # Errors
    /// Where it could not be written, or where the run belongs to somebody else by now.
    pub async fn end(&self, owner: &Owner, ended: &Ended<'_>, tell: &DecideTransition<'_>) -> anyhow::Result<()> {
        owner.write_fenced("the result", END_TIMEOUT, || self.end_once(owner, ended, tell)).await
    }

    /// Whether the run is ended now, by this owner.
    async fn end_once(&self, owner: &Owner, ended: &Ended<'_>, tell: &DecideTransition<'_>) -> anyhow::Result<bool> {
        let mut transaction = self.writing().await?;
        let was: Option<String> =
            sqlx::query_scalar("select state from runs where id = $1 and epoch = $2 and owner = $3")
                .bind(&owner.run_id)
                .bind(owner.fencing_token)
                .bind(&owner.token)
                .fetch_optional(&mut *transaction)
                .limited()
                .await?;
        let had_ended = was.is_some_and(|state| state != RunState::Running.name());
        let row = sqlx::query(
            "update runs set state = $1, reason = $2, ended_at = $3, report = $4, lease_until = 0
             where id = $5 and epoch = $6 and owner = $7
             returning estate, target, account, region, cast(simulated as bigint) as simulated",
        )
        .bind(ended.state.name())
        .bind(ended.reason)
        .bind(ended.at.to_string())
        .bind(ended.report.map(ToString::to_string))
        .bind(&owner.run_id)
        .bind(owner.fencing_token)
        .bind(&owner.token)
        .fetch_optional(&mut *transaction)
        .limited()
        .await?;
        let Some(row) = row else { return Ok(false) };
        let (estate, target): (String, String) = (row.try_get("estate")?, row.try_get("target")?);
        let (account, region): (String, String) = (row.try_get("account")?, row.try_get("region")?);
        let simulated: i64 = row.try_get("simulated")?;
        let scope = Scope { estate: &estate, account: &account, region: &region, simulated: simulated != 0 };
        if let (RunState::Passed, Some(facts)) = (ended.state, ended.facts) {
            sqlx::query(
                "insert into baselines (estate, target, simulated, account, region, run_id, at, facts)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)
                 on conflict (estate, target, simulated, account, region) do update
                     set run_id = excluded.run_id, at = excluded.at, facts = excluded.facts
                 where (select seq from runs where id = excluded.run_id)
                     >= coalesce((select seq from runs where id = baselines.run_id), 0)",
            )
            .bind(&estate)
            .bind(&target)
            .bind(simulated)
            .bind(&account)
            .bind(&region)
            .bind(&owner.run_id)
            .bind(ended.at.to_string())
            .bind(facts.to_string())
            .execute(&mut *transaction)
            .limited()
            .await?;
        }
        let alerts = alert::read(&mut transaction, scope, &target).await?;
        let (is_newest, others_are_stuck) = others(&mut transaction, scope, &target, &owner.run_id).await?;
        let before =
            AlertsBefore { alerts, is_newest, had_ended, others_are_stuck, fencing_token: owner.fencing_token };
        if let Some(told) = tell(&before) {
            alert::write(&mut transaction, scope, &target, &told.alerts).await?;
            outbox::insert(&mut transaction, &estate, ended.at, &told.messages).await?;
        }
        transaction.commit().limited().await?;
        Ok(true)
    }

    /// One run by its id, or by the end of its id where that names only one.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub async fn run(&self, id: &str) -> anyhow::Result<Run> {
        let sql = format!("select {COLUMNS} from runs where id = $1 or id like '%' || $1 limit 2");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(id.to_uppercase()).fetch_all(&self.pool).limited().await?;
        match rows.as_slice() {
            [row] => from_row(row),
            [] => anyhow::bail!("there is no run `{id}`"),
            _ => anyhow::bail!("`{id}` names more than one run"),
        }
    }

    /// The newest runs first, of one target where it is given.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn runs(&self, target: Option<&str>, most: u32) -> anyhow::Result<Vec<Run>> {
        let sql = format!("select {COLUMNS} from runs where $1 is null or target = $1 order by seq desc limit $2");
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(target).bind(i64::from(most)).fetch_all(&self.pool).limited().await?;
        rows.iter().map(from_row).collect()
    }

    /// Runs of an estate that have not ended well enough to be left alone: unfinished ones and stuck ones.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn unfinished_runs(&self, estate: &str) -> anyhow::Result<Vec<Run>> {
        let sql =
            format!("select {COLUMNS} from runs where estate = $1 and state in ('running', 'stuck') order by seq");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(estate).fetch_all(&self.pool).limited().await?;
        rows.iter().map(from_row).collect()
    }

    /// The Regions that runs in an account have worked in, of whatever estate: estates are renamed, and what they made stays.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn regions(&self, scope: Scope<'_>) -> anyhow::Result<Vec<String>> {
        let sql = "select distinct region from runs
                   where account = $1 and simulated = $2 and region <> '' order by region";
        let regions = sqlx::query_scalar(sql).bind(scope.account).bind(i64::from(scope.simulated));
        Ok(regions.fetch_all(&self.pool).limited().await?)
    }

    /// Runs of an estate that a schedule started and that have not ended, the oldest first.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn scheduled_running(&self, estate: &str) -> anyhow::Result<Vec<Run>> {
        let sql = format!(
            "select {COLUMNS} from runs where estate = $1 and state = 'running' and occurrence is not null order by seq"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(estate).fetch_all(&self.pool).limited().await?;
        // One run that cannot be read, of a newer drctl perhaps, keeps nobody from the others.
        let readable = rows.iter().filter_map(|row| {
            from_row(row).map_err(|error| tracing::error!(error = format!("{error:#}"), "a run cannot be read")).ok()
        });
        Ok(readable.collect())
    }
}

/// What is wrong with a target from now on, and what people are to be told of it.
#[derive(Clone, Debug, Default)]
pub struct AlertTransition {
    /// Everything that is wrong.
    pub alerts: Vec<Alert>,
    /// What goes out.
    pub messages: Vec<OutboxMessage>,
}

/// What `tell` is given.
#[derive(Clone, Debug)]
pub struct AlertsBefore {
    /// What was wrong with the target before.
    pub alerts: Vec<Alert>,
    /// Whether no run of the target that was started later has ended yet: an older one says nothing about the newest backup.
    pub is_newest: bool,
    /// Whether this run had ended before: then its verdict was told.
    pub had_ended: bool,
    /// Whether another run of the target is stuck.
    pub others_are_stuck: bool,
    /// The epoch in which the run is ended: a run that is ended again later tells something new.
    pub fencing_token: i64,
}

/// Given how things were and are, says what is wrong now; `None` leaves everything as it was.
pub type DecideTransition<'t> = dyn Fn(&AlertsBefore) -> Option<AlertTransition> + Send + Sync + 't;

/// Whether a run is the newest of its target that has ended, and whether any other is stuck.
async fn others(
    connection: &mut AnyConnection,
    scope: Scope<'_>,
    target: &str,
    run_id: &str,
) -> anyhow::Result<(bool, bool)> {
    let (newer, stuck): (i64, i64) = sqlx::query_as(
        "select coalesce(sum(case when seq > (select seq from runs where id = $6) then 1 else 0 end), 0),
                coalesce(sum(case when state = 'stuck' then 1 else 0 end), 0)
         from runs where estate = $1 and target = $2 and simulated = $3 and account in ('', $4) and region in ('', $5)
                     and state <> 'running' and id <> $6",
    )
    .bind(scope.estate)
    .bind(target)
    .bind(i64::from(scope.simulated))
    .bind(scope.account)
    .bind(scope.region)
    .bind(run_id)
    .fetch_one(connection)
    .limited()
    .await?;
    Ok((newer == 0, stuck > 0))
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Where it stands now.
    pub state: RunState,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub at: Timestamp,
    /// The report.
    pub report: Option<&'a serde_json::Value>,
    /// What was found, to compare the next run with.
    pub facts: Option<&'a serde_json::Value>,
}

pub(super) fn from_row(row: &AnyRow) -> anyhow::Result<Run> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let optional = |column: &str| row.try_get::<Option<String>, _>(column);
    Ok(Run {
        new: NewRun {
            id: text("id")?,
            estate: text("estate")?,
            target: text("target")?,
            runbook: text("runbook")?,
            document: text("document")?,
            inputs: serde_json::from_str(&text("inputs")?)?,
            started_at: text("started_at")?.parse()?,
            expires_at: optional("expires_at")?.map(|at| at.parse()).transpose()?,
            simulated: row.try_get::<i64, _>("simulated")? != 0,
            keep_for: Duration::from_secs(row.try_get::<i64, _>("keep_for")?.unsigned_abs()),
            update_baseline: row.try_get::<i64, _>("accept")? != 0,
            account: text("account")?,
            region: text("region")?,
            occurrence: optional("occurrence")?,
        },
        state: RunState::parse(&text("state")?)?,
        reason: optional("reason")?,
        ended_at: optional("ended_at")?.map(|at| at.parse()).transpose()?,
        report: optional("report")?.map(|report| serde_json::from_str(&report)).transpose()?,
    })
}

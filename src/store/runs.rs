//! Runs: what was started, by which document, and how it ended.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::owner::Owner;
use super::schema::Store;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Not ended: its process is at work, or was killed.
    Running,
    /// Everything is as promised.
    Passed,
    /// Something is not as promised.
    Failed,
    /// Nobody can say.
    Unknown,
    /// It could not begin: the configuration or the account does not allow it.
    Refused,
    /// Stopped by a person, or unwound after its process was killed.
    Interrupted,
    /// Something that drctl made is still there.
    Stuck,
}

impl RunState {
    const ALL: [Self; 7] =
        [Self::Running, Self::Passed, Self::Failed, Self::Unknown, Self::Refused, Self::Interrupted, Self::Stuck];

    /// The fixed name, as in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Stuck => "stuck",
        }
    }

    pub(crate) fn parse(name: &str) -> anyhow::Result<Self> {
        let state = Self::ALL.into_iter().find(|state| state.name() == name);
        state.with_context(|| format!("`{name}` is not a run's state"))
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
    pub accept_changes: bool,
    /// The AWS account that it acts in.
    pub account: String,
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

const COLUMNS: &str = "id, estate, target, runbook, document, inputs, state, reason, started_at, expires_at, ended_at,
    simulated, keep_for, accept, account, report";

impl Store {
    /// Starts a run. It belongs to this process from then on.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn begin(&self, new: &NewRun) -> anyhow::Result<Owner> {
        let (lock, path) = self.lock(&new.id)?.with_context(|| format!("run `{}` is locked", new.id))?;
        let epoch = 1;
        sqlx::query(
            "insert into runs (id, estate, target, runbook, document, inputs, state, started_at, expires_at,
                               simulated, keep_for, accept, account, epoch)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&new.id)
        .bind(&new.estate)
        .bind(&new.target)
        .bind(&new.runbook)
        .bind(&new.document)
        .bind(new.inputs.to_string())
        .bind(RunState::Running.name())
        .bind(new.started_at.to_string())
        .bind(new.expires_at.map(|at| at.to_string()))
        .bind(new.simulated)
        .bind(i64::try_from(new.keep_for.as_secs())?)
        .bind(new.accept_changes)
        .bind(&new.account)
        .bind(epoch)
        .execute(&self.pool)
        .await
        .with_context(|| format!("failed to write to the state file `{}`", self.path.display()))?;
        Ok(Owner::new(&new.id, epoch, lock, path))
    }

    /// Ends a run, and keeps what it found where it passed. Ending it once more corrects how it ended.
    ///
    /// # Errors
    /// Where it could not be written, or where the run belongs to somebody else by now.
    pub async fn end(&self, owner: &Owner, ended: &Ended<'_>) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        let written = sqlx::query(
            "update runs set state = $1, reason = $2, ended_at = $3, report = $4 where id = $5 and epoch = $6",
        )
        .bind(ended.state.name())
        .bind(ended.reason)
        .bind(ended.at.to_string())
        .bind(ended.report.map(ToString::to_string))
        .bind(&owner.run_id)
        .bind(owner.epoch)
        .execute(&mut *transaction)
        .await
        .with_context(|| format!("failed to end run `{}`", owner.run_id))?;
        anyhow::ensure!(written.rows_affected() == 1, "run `{}` was taken over by another process", owner.run_id);
        if let (RunState::Passed, Some(facts)) = (ended.state, ended.facts) {
            sqlx::query(
                "insert into baselines (estate, target, simulated, run_id, at, facts)
                 select estate, target, simulated, id, $1, $2 from runs where id = $3
                 on conflict (estate, target, simulated) do update set run_id = excluded.run_id, at = excluded.at,
                                                            facts = excluded.facts",
            )
            .bind(ended.at.to_string())
            .bind(facts.to_string())
            .bind(&owner.run_id)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await.with_context(|| format!("failed to end run `{}`", owner.run_id))
    }

    /// One run by its id, or by the end of its id where that names only one.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub async fn run(&self, id: &str) -> anyhow::Result<Run> {
        let sql = format!("select {COLUMNS} from runs where id = $1 or id like '%' || $1 limit 2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_uppercase()).fetch_all(&self.pool).await?;
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
        let sql = format!("select {COLUMNS} from runs where $1 is null or target = $1 order by id desc limit $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(target).bind(most).fetch_all(&self.pool).await?;
        rows.iter().map(from_row).collect()
    }

    /// Runs of an estate that have not ended well enough to be left alone: unfinished ones and stuck ones.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn unsettled(&self, estate: &str) -> anyhow::Result<Vec<Run>> {
        let sql = format!("select {COLUMNS} from runs where estate = $1 and state in ('running', 'stuck') order by id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(estate).fetch_all(&self.pool).await?;
        rows.iter().map(from_row).collect()
    }
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

fn from_row(row: &SqliteRow) -> anyhow::Result<Run> {
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
            simulated: row.try_get("simulated")?,
            keep_for: Duration::from_secs(row.try_get::<i64, _>("keep_for")?.unsigned_abs()),
            accept_changes: row.try_get("accept")?,
            account: text("account")?,
        },
        state: RunState::parse(&text("state")?)?,
        reason: optional("reason")?,
        ended_at: optional("ended_at")?.map(|at| at.parse()).transpose()?,
        report: optional("report")?.map(|report| serde_json::from_str(&report)).transpose()?,
    })
}

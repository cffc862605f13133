//! What a run has done, written before and after it does it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::connection::Store;
use super::owner::Owner;
use super::time_limit::TimeLimit;
use crate::aws::Resource;

/// Entries read of one run.
const MAX_ENTRIES: i64 = 100_000;
/// How long a database may take to answer before it is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    /// A step is about to be performed.
    StepStarted {
        /// The step's id.
        step: String,
        /// Its action.
        action: String,
    },
    /// A step's `when` was not met.
    StepSkipped {
        /// The step's id.
        step: String,
    },
    /// A resource is about to be made. Nothing may be made without this, or removed.
    Intended {
        /// The step that makes it.
        step: String,
        /// What is made.
        resource: Resource,
    },
    /// AWS took the call that makes a resource, or showed it as this run's.
    Made {
        /// What was made.
        resource: Resource,
    },
    /// AWS refused to make a resource: nothing of it is there.
    NotMade {
        /// What was to be made.
        resource: Resource,
        /// Why not.
        reason: String,
    },
    /// Something of that name is somebody else's. It is none of this run's business.
    NotOurs {
        /// The name.
        resource: Resource,
        /// How that was seen.
        reason: String,
    },
    /// A resource was seen as AWS shows it: from now on its absence means that it is gone.
    Seen {
        /// What was seen.
        resource: Resource,
        /// How many days its backups were kept then, where AWS said so.
        #[serde(default)]
        backup_retention_days: Option<i32>,
    },
    /// A phase has ended.
    PhaseEnded {
        /// The step that it is part of.
        step: String,
        /// The phase.
        phase: Phase,
    },
    /// A step is done.
    StepDone {
        /// The step's id.
        step: String,
        /// What later steps can refer to.
        outputs: serde_json::Value,
    },
    /// A step could not be done.
    StepFailed {
        /// The step's id.
        step: String,
        /// `failed`, `unknown`, `refused` or `interrupted`.
        outcome: String,
        /// Why, with its causes.
        error: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// A resource is about to be removed.
    Removing {
        /// What.
        resource: Resource,
    },
    /// A resource was seen to be gone.
    Removed {
        /// What.
        resource: Resource,
    },
    /// A resource could not be removed.
    RemovalFailed {
        /// What.
        resource: Resource,
        /// Why.
        error: String,
    },
    /// A resource is in use, or looks so: it stays until a person keeps it or removes it.
    LeftAlone {
        /// What.
        resource: Resource,
        /// What says so.
        reason: String,
    },
    /// A resource stays on purpose.
    Kept {
        /// What.
        resource: Resource,
        /// Until `drctl reap` removes it.
        until: Timestamp,
    },
    /// The run has ended.
    Ended {
        /// How.
        state: String,
    },
}

/// Who a phase's time belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spent {
    /// AWS was waited for.
    Aws,
    /// The data was verified.
    Verify,
    /// Everything else.
    Drctl,
}

/// A part of a run with a name and a duration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Such as `restore`.
    pub name: String,
    /// Whose time it was.
    pub spent: Spent,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, as the clock shows it.
    pub seconds: f64,
    /// How long this machine took; less than `seconds` only in the sandbox.
    pub worked_seconds: f64,
    /// `passed` or `failed`.
    pub outcome: String,
}

impl Store {
    /// Adds an entry, the `seq`th of the run.
    ///
    /// Where an agent holds the run by a lease, a database that does not answer is asked again for as long as the lease
    /// lasts: the entry is the same, and is written once.
    ///
    /// # Errors
    /// Where it could not be written, or where the run belongs to somebody else by now.
    pub async fn append(&self, owner: &Owner, seq: usize, at: Timestamp, entry: &Entry) -> anyhow::Result<()> {
        let text = serde_json::to_string(entry)?;
        let seq = i64::try_from(seq)?;
        owner.write_fenced("the journal", ANSWER_TIMEOUT, || self.insert(owner, seq, at, &text)).await
    }

    /// Whether the entry is there now, as this owner wrote it.
    async fn insert(&self, owner: &Owner, seq: i64, at: Timestamp, text: &str) -> anyhow::Result<bool> {
        let sql = format!(
            "insert into journal (run_id, seq, at, epoch, entry)
             select $1, cast($2 as bigint), $3, cast($4 as bigint), $5
             where exists (select 1 from runs where id = $1 and epoch = $4 and owner = $6{})
             on conflict (run_id, seq) do nothing",
            self.for_share()
        );
        let at = at.to_string();
        let insert = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&owner.run_id)
            .bind(seq)
            .bind(&at)
            .bind(owner.fencing_token)
            .bind(text)
            .bind(&owner.token);
        if insert.execute(&self.pool).limited().await?.rows_affected() == 1 {
            return Ok(true);
        }
        // An answer may have been lost on the way back.
        let same =
            "select count(*) from journal where run_id = $1 and seq = $2 and at = $3 and epoch = $4 and entry = $5";
        let same =
            sqlx::query_scalar(same).bind(&owner.run_id).bind(seq).bind(&at).bind(owner.fencing_token).bind(text);
        let same: i64 = same.fetch_one(&self.pool).limited().await?;
        Ok(same == 1)
    }

    /// Adds an entry to a run that nobody is at work on: what a person has decided about something that it made.
    ///
    /// # Errors
    /// Where it could not be written, or somebody is at work on the run.
    pub async fn append_afterwards(&self, run_id: &str, at: Timestamp, entry: &Entry) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_at_work(run_id).await?, "run `{run_id}` is still at work in another process");
        let sql = "insert into journal (run_id, seq, at, epoch, entry)
                   select id, (select cast(coalesce(max(seq), 0) as bigint) + 1 from journal where run_id = $1), $2, epoch, $3
                   from runs where id = $1";
        let text = serde_json::to_string(entry)?;
        let done = sqlx::query(sql).bind(run_id).bind(at.to_string()).bind(text).execute(&self.pool).limited().await?;
        anyhow::ensure!(done.rows_affected() == 1, "there is no run `{run_id}`");
        Ok(())
    }

    /// The runs of an estate whose journals name something of this identifier, the newest first.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn runs_that_made(&self, estate: &str, id: &str) -> anyhow::Result<Vec<String>> {
        let sql = "select distinct run_id from journal join runs on runs.id = journal.run_id
                   where runs.estate = $1 and entry like '%' || $2 || '%' order by run_id desc";
        let quoted = format!("\"id\":{}", serde_json::to_string(id)?);
        Ok(sqlx::query_scalar(sql).bind(estate).bind(quoted).fetch_all(&self.pool).limited().await?)
    }

    /// The number of the last entry of a run; 0 where there is none.
    ///
    /// # Errors
    /// Where it could not be read.
    pub async fn last_seq(&self, run_id: &str) -> anyhow::Result<usize> {
        let sql = "select cast(coalesce(max(seq), 0) as bigint) from journal where run_id = $1";
        let last: i64 = sqlx::query_scalar(sql).bind(run_id).fetch_one(&self.pool).limited().await?;
        Ok(usize::try_from(last)?)
    }

    /// The whole journal of a run, in order.
    ///
    /// # Errors
    /// Where it could not be read.
    pub async fn journal(&self, run_id: &str) -> anyhow::Result<Vec<(Timestamp, Entry)>> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("select at, entry from journal where run_id = $1 order by seq limit $2")
                .bind(run_id)
                .bind(MAX_ENTRIES)
                .fetch_all(&self.pool)
                .limited()
                .await?;
        rows.into_iter().map(|(at, entry)| Ok((at.parse()?, serde_json::from_str(&entry)?))).collect()
    }
}

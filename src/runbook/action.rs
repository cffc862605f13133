//! What an action is, and what it is given.

use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::journal::{Journal, Making};
use super::tags::RUN_TAG;
use crate::aws::{Call, Change, ErrorKind, Resource};
use crate::context::{AppContext, RunEvent};
use crate::store::{Entry, Phase, RunState, Spent};

/// How often something without a tag is looked at again.
const TAG_LOOKS: u32 = 12;
const TAG_PAUSE: Duration = Duration::from_secs(5);

/// Whether AWS has said that it makes nothing.
fn is_refusal(error: &crate::aws::Error) -> bool {
    !error.is_ambiguous() && error.kind != ErrorKind::AlreadyExists
}

/// The types of values that pass between inputs and steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// The name of a database of the estate.
    Database,
    /// How to choose a restore point: `latest`, a time, a snapshot's id.
    PointChoice,
    /// A restore point that was chosen.
    Point,
    /// A restored copy.
    Copy,
    /// What verification found.
    Proof,
    /// Any text.
    Text,
}

impl ValueType {
    /// The types that an input may have, by their names.
    pub const INPUTS: [(&'static str, Self); 3] =
        [("database", Self::Database), ("restore-point", Self::PointChoice), ("text", Self::Text)];

    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "a database",
            Self::PointChoice => "a choice of restore point",
            Self::Point => "a restore point",
            Self::Copy => "a restored copy",
            Self::Proof => "a proof",
            Self::Text => "text",
        }
    }
}

/// One argument of an action.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: ValueType,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for.
    pub about: &'static str,
}

/// What an action takes and yields: enough to lint a runbook without running it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name, such as `database.restore`.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it takes.
    pub arguments: &'static [Argument],
    /// What it yields.
    pub output: ValueType,
    /// The fields of what it yields.
    pub fields: &'static [&'static str],
}

/// What a step of a runbook does. Performing it again finds what is there already.
pub trait Action: Send + Sync {
    /// What it takes and yields.
    fn spec(&self) -> Spec;

    /// Does it.
    fn perform<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Value, Failure>>;

    /// The calls that [`Action::perform`] would make, and what it would yield. Changes nothing.
    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>>;
}

/// What a step would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// The calls that change something.
    pub calls: Vec<Call>,
    /// Anything else worth saying.
    pub notes: Vec<String>,
    /// What later steps would refer to.
    pub outputs: Value,
}

/// Every action by its name.
pub type Registry = Vec<Box<dyn Action>>;

/// Which run this is.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// Its id.
    pub id: String,
    /// Its target.
    pub target: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When whatever it makes may be removed by anybody; never for a recovery, whose product is there to stay.
    pub expires_at: Option<Timestamp>,
    /// Whether what the last passed run found is left out of account.
    pub update_baseline: bool,
    /// Whether a copy that is kept for a while is kept when it failed, too; of a run that is resumed it is not.
    pub keep_failed: bool,
    /// When it must have ended.
    pub deadline_at: Timestamp,
}

/// What an action is given besides its arguments.
#[derive(Debug)]
pub struct Context<'r> {
    /// The estate and the way to it.
    pub app: &'r AppContext,
    /// Which run this is.
    pub run: &'r RunInfo,
    pub(super) step: &'r str,
    pub(super) journal: &'r Journal,
}

impl Context<'_> {
    /// Tells the listener of something.
    pub fn emit(&self, event: &RunEvent) {
        self.app.reporter.emit(&self.run.target, event);
    }

    /// Makes a resource: the intent is journalled first, and the call runs to its end even where the step is
    /// interrupted, so that nothing is made behind the journal's back.
    ///
    /// # Errors
    /// Where the intent could not be journalled (then nothing was made), or the call failed.
    pub async fn make(&self, resource: Resource, change: Change) -> Result<(), Failure> {
        super::session::outlasts(self.app, self.run).await?;
        // An earlier attempt may have made it without anybody knowing.
        let was_standing = self.journal.outstanding_resources().contains(&resource);
        let makings = self.journal.makings().clone();
        if !was_standing {
            makings.set(&resource, Making::Unsent);
        }
        self.journal.record(&Entry::Intended { step: self.step.to_owned(), resource: resource.clone() }).await?;
        tracing::info!(run.id = %self.run.id, change = change.verb(), resource = %resource.id, "making a resource");
        let (aws, of) = (self.app.aws.clone(), resource.clone());
        let made = self.journal.run_detached(async move {
            makings.set(&of, Making::Sent);
            let (answer, may_be_made) = aws.apply_watched(&change).await;
            match &answer {
                Ok(()) => makings.set(&of, Making::Taken),
                // An attempt before the one that was refused may have got through, and AWS may show it late.
                Err(error) if is_refusal(error) && !may_be_made && !was_standing => {
                    if let Ok(None) = aws.inspect(&of).await {
                        makings.set(&of, Making::Refused(error.to_string()));
                    }
                }
                Err(_) => {}
            }
            answer
        });
        let answer = made.await;
        match answer {
            Err(error) if error.kind == ErrorKind::AlreadyExists => self.is_ours(&resource, error, was_standing).await,
            answer => {
                self.journal.record_undecided(&self.run.id).await;
                Ok(answer?)
            }
        }
    }

    /// Journals that AWS shows a resource, and as what: whatever differs later was changed by somebody else.
    ///
    /// # Errors
    /// Where the journal could not be written.
    pub async fn seen(&self, resource: &Resource) -> Result<(), Failure> {
        let backup_retention_days = match self.app.aws.inspect(resource).await {
            Ok(found) => found.and_then(|found| found.backup_retention_days),
            Err(error) => {
                tracing::warn!(run.id = %self.run.id, resource = %resource.id, %error, "cannot see how it was made");
                None
            }
        };
        self.journal.record(&Entry::Seen { resource: resource.clone(), backup_retention_days }).await
    }

    /// Makes a change. The call runs to its end even where the step is interrupted.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn apply(&self, change: Change) -> crate::aws::Result<()> {
        let aws = self.app.aws.clone();
        self.journal.run_detached(async move { aws.apply(&change).await }).await
    }

    /// Something of that name is there: fine where an earlier attempt of this run made it. A tag may show late.
    async fn is_ours(&self, resource: &Resource, error: crate::aws::Error, was_standing: bool) -> Result<(), Failure> {
        let mut found = None;
        for _ in 0..TAG_LOOKS {
            found = self.app.aws.inspect(resource).await?;
            if found.as_ref().is_some_and(|found| found.tags.contains_key(RUN_TAG)) {
                break;
            }
            self.app.clock.sleep(TAG_PAUSE).await;
        }
        let owner = found.as_ref().and_then(|found| found.tags.get(RUN_TAG));
        if owner == Some(&self.run.id) {
            return self.journal.record(&Entry::Made { resource: resource.clone() }).await;
        }
        let hint = "start the test again: a new run takes another name";
        if found.is_some() && !was_standing {
            let reason = owner.map_or_else(
                || "it carries no tag of drctl".to_owned(),
                |owner| format!("it carries the tag of {owner}"),
            );
            self.journal.record(&Entry::NotOurs { resource: resource.clone(), reason: reason.clone() }).await?;
            let message = format!("`{}` is the name of something that this run did not make: {reason}", resource.id);
            return Err(Failure::new(RunState::Unknown, anyhow::Error::new(error).context(message), hint));
        }
        Err(Failure::new(RunState::Unknown, error, hint))
    }

    /// Runs a part of the step under a name, and journals how long it took and whose time it was.
    ///
    /// # Errors
    /// Where the part failed, or the journal could not be written.
    pub async fn phase<T>(
        &self,
        name: &str,
        spent: Spent,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.emit(&RunEvent::Phase(name.to_owned()));
        let started_at = self.app.clock.now();
        let watch = self.app.clock.stopwatch();
        let result = part.await;
        let worked_seconds = watch.worked_seconds();
        let seconds = if spent == Spent::Aws { watch.waited_seconds() } else { worked_seconds };
        let outcome = if result.is_ok() { "passed" } else { "failed" }.to_owned();
        let phase = Phase { name: name.to_owned(), spent, started_at, seconds, worked_seconds, outcome };
        let written = self.journal.record(&Entry::PhaseEnded { step: self.step.to_owned(), phase }).await;
        let value = result?;
        written?;
        Ok(value)
    }
}

//! What every capability is handed: the estate, clients, clock, store, cancellation, and who is told of progress.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, Resource};
use crate::clock::Clock;
use crate::estate::{Database, Estate};
use crate::store::{RunState, Scope, Store};
use crate::verify::Check;

/// What everything is handed: the estate, the way to AWS, the clock, the store, and who wants to know.
#[derive(Clone, Debug)]
pub struct AppContext {
    /// What drctl was told about.
    pub estate: Arc<Estate>,
    /// Clients.
    pub aws: Aws,
    /// The account that the clients act in.
    pub account: String,
    /// Time.
    pub clock: Clock,
    /// Runs and journals.
    pub store: Store,
    /// Set when a person wants the work to stop.
    pub cancel: CancellationToken,
    /// Set when this process must end soon: runs are then left for others, or for its next start, to carry on.
    pub leave: CancellationToken,
    /// Whether results are told to the estate's channels.
    pub notify: bool,
    /// Told what happens.
    pub reporter: Reporter,
}

/// Names the bundle of the sandbox that is talked to. The sandbox prints it.
const SANDBOX_CA: &str = "DRCTL_SANDBOX_CA";

impl AppContext {
    /// The file of authorities that a copy of `database` is verified by: `ca`, as written for AWS. At a sandbox its own
    /// bundle takes that file's place, so that an estate file can be rehearsed as it is; where no `ca` is written
    /// there is none here either, since on AWS no copy could be verified.
    #[must_use]
    pub fn ca(&self, database: &Database) -> Option<PathBuf> {
        let named = database.test.ca.clone()?;
        let of_sandbox = self.clock.is_simulated().then(|| std::env::var_os(SANDBOX_CA)).flatten();
        Some(of_sandbox.map_or(named, PathBuf::from))
    }

    /// Whose what is stored is, where the work is done now.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            estate: &self.estate.name,
            account: &self.account,
            region: &self.aws.region,
            simulated: self.clock.is_simulated(),
        }
    }
}

/// A function that is told the target and what happens to it.
type Listener = dyn Fn(&str, &RunEvent) + Send + Sync;

/// Told what happens, while it happens.
#[derive(Clone)]
pub struct Reporter(Arc<Listener>);

impl Reporter {
    /// Tells `listener` of everything, with the target's name.
    pub fn new(listener: impl Fn(&str, &RunEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells of something.
    pub fn emit(&self, target: &str, event: &RunEvent) {
        (self.0)(target, event);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// Something that happens in a run.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The run has begun, or goes on.
    Began {
        /// The run's id.
        run_id: String,
        /// The time that the whole may take.
        objective: Duration,
    },
    /// It waits for another test to end.
    Queued,
    /// A step of the runbook has begun.
    Step {
        /// Its place, from 1.
        number: usize,
        /// How many there are.
        total: usize,
        /// Its id.
        id: String,
    },
    /// A phase has begun.
    Phase(String),
    /// AWS says how a resource stands.
    Status {
        /// The resource.
        resource: Resource,
        /// Its status.
        status: String,
    },
    /// A check was judged.
    Checked(Check),
    /// The run has ended.
    Ended {
        /// How.
        state: RunState,
        /// Why.
        reason: String,
    },
}

//! What becomes of what runs left: it is removed, left alone because people use it, or kept because a person said so.
//!
//! Looked for in every Region that the estate's runs remember, and nowhere but in the account that they worked in.

mod keep;
mod runs;
mod tagged;

use futures_util::StreamExt;
use futures_util::stream;

use crate::context::AppContext;
use crate::runbook::Remaining;

pub use keep::{Kept, keep};

/// Removals at the same time.
const PARALLEL: usize = 8;

/// What reaping did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Reaped {
    /// The version of this document's shape.
    pub schema: &'static str,
    /// Runs that were unwound.
    pub unwound: Vec<serde_json::Value>,
    /// What was removed, by its identifier.
    pub removed: Vec<String>,
    /// What could not be removed, and why.
    pub remains: Vec<Remains>,
    /// What is in use, or looks so, and why. It stays until `drctl keep`, or until it is removed.
    pub left_alone: Vec<Remains>,
    /// Runs that somebody is at work on.
    pub at_work: Vec<String>,
    /// Regions that could not be looked at, and why.
    pub unseen: Vec<Unseen>,
}

/// Something that is still there.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Remains {
    /// Its identifier.
    pub id: String,
    /// Its Region.
    pub region: String,
    /// Why it is there.
    pub reason: String,
    /// The command that removes it by hand; none for what people may be using.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_with: Option<String>,
    /// What to do.
    pub hint: String,
}

impl From<Remaining> for Remains {
    fn from(remaining: Remaining) -> Self {
        let hint = remaining.hint();
        let Remaining { resource, reason, left_alone, .. } = remaining;
        let remove_with = (!left_alone).then(|| resource.removal_command());
        Self { id: resource.id, region: resource.region, reason, remove_with, hint }
    }
}

/// A Region that could not be looked at.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unseen {
    /// Its name.
    pub region: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

impl Reaped {
    fn keep_in_sight(&mut self, remaining: Remaining) {
        if remaining.left_alone { self.left_alone.push(remaining.into()) } else { self.remains.push(remaining.into()) }
    }

    fn merge(&mut self, other: Self) {
        self.unwound.extend(other.unwound);
        self.removed.extend(other.removed);
        self.remains.extend(other.remains);
        self.left_alone.extend(other.left_alone);
        self.at_work.extend(other.at_work);
        self.unseen.extend(other.unseen);
    }

    /// Several parts of the work at the same time, put together in their order.
    async fn gather(parts: Vec<impl Future<Output = Self>>) -> Self {
        let mut all = Self::default();
        let mut done = stream::iter(parts).buffered(PARALLEL);
        while let Some(part) = done.next().await {
            all.merge(part);
        }
        all
    }
}

/// Which dead runs are unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadRuns {
    /// All of them.
    All,
    /// Those that a person started: what a schedule started is carried on instead.
    OfPeople,
}

/// Removes what dead runs left, and copies that have expired or whose run has ended without them. What could not be
/// looked at, or removed, keeps nobody from the rest.
///
/// # Errors
/// Where the store could not be asked.
pub async fn reap(app: &AppContext, dry_run: bool, dead: DeadRuns) -> anyhow::Result<Reaped> {
    let mut reaped = Reaped { schema: "drctl.reap/1", ..Reaped::default() };
    reaped.merge(runs::unwind(app, dry_run, dead).await?);
    reaped.merge(tagged::remove(app, dry_run).await?);
    // What a run could not remove is seen again by its tags.
    let mut known = std::collections::BTreeSet::new();
    reaped.left_alone.retain(|one| known.insert((one.region.clone(), one.id.clone())));
    reaped.remains.retain(|one| known.insert((one.region.clone(), one.id.clone())));
    Ok(reaped)
}

/// Every Region in which the estate may have made something: those that its runs remember, and today's.
async fn regions(app: &AppContext) -> anyhow::Result<Vec<String>> {
    let mut regions = app.store.regions(app.scope()).await?;
    if !regions.contains(&app.aws.region) {
        regions.push(app.aws.region.clone());
    }
    Ok(regions)
}

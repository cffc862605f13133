//! Removes what drctl made, and nothing else.

use std::time::Duration;

use jiff::Timestamp;

use super::in_use::why_in_use;
use super::journal::{Journal, ResourceHistory};
use super::outage::Outage;
use super::tags::{NAME_PREFIX, RUN_TAG};
use crate::aws::{Aws, Change, Error, ErrorKind, Resource, ResourceKind, Sighting};
use crate::context::{AppContext, RunEvent};
use crate::deadline::Deadline;
use crate::estate::DatabaseKind;
use crate::store::Entry;

/// How long it may take until something can be told to go, and then how long until it is gone.
pub const REMOVAL_LIMIT: Duration = Duration::from_hours(1);
/// Between two tries to delete something that is not in a state to be deleted.
const PAUSE: Duration = Duration::from_secs(10);
/// How often something that is not there is looked for again.
const LOOKS: u32 = 3;
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// AWS may show late what it was told to make: before this much time nobody believes that nothing was made. AWS documents
/// no bound; minutes were seen. An assumption.
const SHOWN_WITHIN: Duration = Duration::from_mins(15);
/// Between two looks for something that AWS does not show yet.
const UNSEEN_PAUSE: Duration = Duration::from_secs(15);
/// So long nothing is concluded from missing tags.
const TAGGED_WITHIN: Duration = Duration::from_mins(2);
/// What is told of something that AWS does not show.
const UNSEEN: &str = "not shown by AWS yet";

/// What became of something that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, or was never there.
    Gone,
    /// It is in use, or looks so.
    LeftAlone(String),
    /// It is not this run's.
    NotOurs(String),
}

/// Removes resources of one run.
#[derive(Clone, Copy, Debug)]
pub struct Remover<'a> {
    /// The way to AWS.
    pub app: &'a AppContext,
    /// Whose they are.
    pub run_id: &'a str,
    /// What the run restored.
    pub kind: DatabaseKind,
    /// The target's name, for those who listen.
    pub target: &'a str,
    /// How long each part of a removal may take.
    pub removal_limit: Duration,
    /// The run's journal, where this process carries the run.
    pub journal: Option<&'a Journal>,
}

/// What a look before a removal has found.
enum Found {
    Ours(Box<Sighting>),
    Over(Removal),
}

impl Remover<'_> {
    /// Removes a resource and waits until it is gone. Its absence is fine.
    ///
    /// # Errors
    /// Where it could not be removed, or does not go away in time.
    pub async fn remove(&self, resource: &Resource, known: &ResourceHistory) -> anyhow::Result<Removal> {
        let mut aws = self.app.aws.for_region(&resource.region);
        let mut deadline = self.deadline();
        let mut outage = Outage::new(&self.app.clock, &self.app.cancel);
        while deadline.allows_retry() {
            let found = match self.examine(&mut aws, resource, known, (&mut outage, &mut deadline)).await? {
                Found::Ours(found) => found,
                Found::Over(removal) => return Ok(removal),
            };
            if found.status == "deleting" {
                return self.wait_until_gone(&mut aws, resource).await;
            }
            self.note_removing(resource).await;
            let change = Change::Delete { kind: self.kind, resource: resource.clone() };
            match self.apply(&aws, change).await {
                Ok(()) => return self.wait_until_gone(&mut aws, resource).await,
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(Removal::Gone),
                Err(error) if error.kind == ErrorKind::State => self.app.clock.sleep(PAUSE).await,
                Err(error) => self.endure(&mut aws, &mut outage, &mut deadline, error).await?,
            }
        }
        anyhow::bail!("`{}` could not be removed within {}", resource.id, crate::duration::show(self.removal_limit))
    }

    /// What would become of a resource, without touching it; `None` where it would be removed.
    ///
    /// # Errors
    /// Where AWS could not be asked.
    pub async fn verdict(&self, resource: &Resource, known: &ResourceHistory) -> anyhow::Result<Option<Removal>> {
        let aws = self.app.aws.for_region(&resource.region);
        let Some(found) = aws.inspect(resource).await? else { return Ok(Some(Removal::Gone)) };
        self.judge(&aws, resource, &found, known).await
    }

    /// Looks until it is known whether it is there, whose it is, and whether anybody uses it.
    async fn examine(
        &self,
        aws: &mut Aws,
        resource: &Resource,
        known: &ResourceHistory,
        (outage, deadline): (&mut Outage<'_>, &mut Deadline<'_>),
    ) -> anyhow::Result<Found> {
        let clock = &self.app.clock;
        let tagged_by = later(clock.now(), TAGGED_WITHIN);
        let (mut looks, mut told) = (0, false);
        loop {
            let found = match outage.bound(aws.inspect(resource)).await {
                Ok(found) => found,
                Err(error) => {
                    self.endure(aws, outage, deadline, error).await?;
                    continue;
                }
            };
            outage.is_over();
            let Some(found) = found else {
                looks += 1;
                if looks <= LOOKS {
                    clock.sleep(LOOK_PAUSE).await;
                } else if self.may_still_show(known) {
                    if !std::mem::replace(&mut told, true) {
                        self.emit_status(resource, UNSEEN);
                    }
                    clock.sleep(UNSEEN_PAUSE).await;
                } else {
                    match self.absent(aws, resource, known, deadline).await {
                        Ok(removal) => return Ok(Found::Over(removal)),
                        Err(error) => self.endure(aws, outage, deadline, error.downcast()?).await?,
                    }
                }
                continue;
            };
            if !found.tags.contains_key(RUN_TAG) && clock.now() < tagged_by && !outage.is_interrupted() {
                // Tags may show later than what they are on.
                clock.sleep(PAUSE).await;
                continue;
            }
            match self.judge(aws, resource, &found, known).await {
                Ok(Some(removal)) => return Ok(Found::Over(removal)),
                Ok(None) => return Ok(Found::Ours(Box::new(found))),
                // An AWS that is away is borne here as it is above.
                Err(error) => self.endure(aws, outage, deadline, error.downcast()?).await?,
            }
        }
    }

    /// Whether AWS may show it yet: nobody has seen it so far, and not long ago it was told to make it.
    fn may_still_show(&self, known: &ResourceHistory) -> bool {
        let shown_by = known.intended_at.map(|at| later(at, SHOWN_WITHIN));
        !known.seen && shown_by.is_some_and(|at| self.app.clock.now() < at)
    }

    /// Whose it is, and whether anybody uses it; `None` where it may go.
    async fn judge(
        &self,
        aws: &Aws,
        resource: &Resource,
        found: &Sighting,
        known: &ResourceHistory,
    ) -> anyhow::Result<Option<Removal>> {
        let owner = found.tags.get(RUN_TAG).map(String::as_str);
        if owner != Some(self.run_id) {
            let reason = match owner {
                Some(other) => format!("it carries the tag of {other}, not of this run"),
                None => "it carries no tag of this run".to_owned(),
            };
            // What this run has made and what lost its tag is somebody's now; anything else never was this run's.
            let left = known.made || known.seen;
            return Ok(Some(if left { Removal::LeftAlone(reason) } else { Removal::NotOurs(reason) }));
        }
        if !resource.id.starts_with(NAME_PREFIX) {
            return Ok(Some(Removal::LeftAlone(format!("it is not named `{NAME_PREFIX}...`"))));
        }
        if let Some(reason) = why_in_use(self.run_id, resource, found, known.backup_retention_days, known.kept) {
            return Ok(Some(Removal::LeftAlone(reason)));
        }
        // The first member goes before its cluster: by then it must be known that the cluster may go as well.
        let Some(cluster) = &found.cluster else { return Ok(None) };
        let cluster = Resource { kind: ResourceKind::DbCluster, id: cluster.clone(), region: resource.region.clone() };
        let Some(of_cluster) = aws.inspect(&cluster).await? else { return Ok(None) };
        let days = self.journal.and_then(|journal| journal.known(&cluster).backup_retention_days);
        let days = days.or(known.cluster_retention_days);
        let is_ours = of_cluster.tags.get(RUN_TAG).is_some_and(|owner| owner == self.run_id);
        let reason = match is_ours {
            true => why_in_use(self.run_id, &cluster, &of_cluster, days, known.kept),
            false => Some("it carries no tag of this run".to_owned()),
        };
        Ok(reason.map(|reason| Removal::LeftAlone(format!("of its cluster `{}`: {reason}", cluster.id))))
    }

    /// It is not there. Before that is believed: are these the right credentials, and was it not only renamed?
    async fn absent(
        &self,
        aws: &mut Aws,
        resource: &Resource,
        known: &ResourceHistory,
        deadline: &mut Deadline<'_>,
    ) -> anyhow::Result<Removal> {
        let gone = self.gone(aws, deadline).await?;
        if !(known.made || known.seen) {
            return Ok(gone);
        }
        let listed = match resource.kind {
            ResourceKind::DbInstance => {
                let all = aws.all_instances().await?.into_iter();
                all.map(|instance| (instance.id, instance.tags)).collect::<Vec<_>>()
            }
            ResourceKind::DbCluster => {
                aws.all_clusters().await?.into_iter().map(|cluster| (cluster.id, cluster.tags)).collect()
            }
        };
        // What drctl makes is named so; under any other name it was renamed.
        let renamed = listed.into_iter().find(|(id, tags)| {
            !id.starts_with(NAME_PREFIX) && tags.get(RUN_TAG).is_some_and(|owner| owner == self.run_id)
        });
        Ok(match renamed {
            Some((id, _)) => Removal::LeftAlone(format!("it was renamed to `{id}`")),
            None => gone,
        })
    }

    /// Nothing is concluded from a look into another account: the credentials may have changed meanwhile.
    async fn gone(&self, aws: &mut Aws, deadline: &mut Deadline<'_>) -> anyhow::Result<Removal> {
        let mut outage = Outage::new(&self.app.clock, &self.app.cancel);
        loop {
            match outage.bound(aws.account()).await {
                Ok(account) => {
                    let (found, wanted) = (account.id, &self.app.account);
                    anyhow::ensure!(found == *wanted, "the credentials are of account {found} by now, not of {wanted}");
                    return Ok(Removal::Gone);
                }
                Err(error) => self.endure(aws, &mut outage, deadline, error).await?,
            }
        }
    }

    /// Told to go, it is waited for.
    async fn wait_until_gone(&self, aws: &mut Aws, resource: &Resource) -> anyhow::Result<Removal> {
        let mut deadline = self.deadline();
        let mut outage = Outage::new(&self.app.clock, &self.app.cancel);
        let mut watcher = aws.watch(resource);
        let mut last = String::new();
        let mut renewed = false;
        while deadline.allows_retry() {
            match outage.bound(watcher.next()).await {
                Ok(None) if renewed => return self.gone(aws, &mut deadline).await,
                Ok(None) => return Ok(Removal::Gone),
                Ok(Some(status)) => {
                    outage.is_over();
                    if status != last {
                        self.emit_status(resource, &status);
                        last = status;
                    }
                }
                // Whatever keeps us from seeing it go may pass, and giving up would be crying wolf.
                Err(error) if error.kind == ErrorKind::Credentials && outage.lasts(true) => {
                    renewed = true;
                    *aws = aws.renewed().await;
                    watcher = aws.watch(resource);
                }
                Err(error) if !outage.lasts(false) => return Err(error.into()),
                Err(_) => {}
            }
        }
        anyhow::bail!("`{}` was told to go, but is still {last}", resource.id)
    }

    /// Waits where a failure may pass: AWS does not answer, or somebody has to renew the credentials.
    ///
    /// # Errors
    /// With the failure itself, where it does not pass by itself, or has lasted too long.
    async fn endure(
        &self,
        aws: &mut Aws,
        outage: &mut Outage<'_>,
        deadline: &mut Deadline<'_>,
        error: Error,
    ) -> anyhow::Result<()> {
        let expired = error.kind == ErrorKind::Credentials;
        if !(expired || error.is_transient()) || !outage.lasts(expired) || !deadline.allows_retry() {
            return Err(error.into());
        }
        if expired {
            tracing::error!(run.id = self.run_id, hint = error.hint(), %error, "cannot remove without credentials; waiting");
            *aws = aws.renewed().await;
        }
        self.app.clock.sleep(PAUSE).await;
        Ok(())
    }

    /// Sends a change. It runs to its end even where whoever asked for it goes away.
    async fn apply(&self, aws: &Aws, change: Change) -> crate::aws::Result<()> {
        let aws = aws.clone();
        let call = async move { aws.apply(&change).await };
        match self.journal {
            Some(journal) => journal.run_detached(call).await,
            None => super::journal::detached(call).await,
        }
    }

    async fn note_removing(&self, resource: &Resource) {
        let Some(journal) = self.journal else { return };
        journal.record_anyway(self.run_id, &Entry::Removing { resource: resource.clone() }).await;
    }

    fn emit_status(&self, resource: &Resource, status: &str) {
        let event = RunEvent::Status { resource: resource.clone(), status: status.to_owned() };
        self.app.reporter.emit(self.target, &event);
    }

    fn deadline(&self) -> Deadline<'_> {
        Deadline::new(&self.app.clock, self.removal_limit)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

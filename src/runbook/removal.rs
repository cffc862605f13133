//! Removes what drctl made, and nothing else.

use std::time::Duration;

use jiff::Timestamp;

use super::action::{Environment, Happening};
use super::tags::{NAME_PREFIX, RUN_TAG};
use crate::aws::{Change, Kind, Resource};
use crate::clock::Clock;
use crate::estate::DatabaseKind;

/// How long it may take until something can be told to go, and then how long until it is gone.
const PATIENCE: Duration = Duration::from_hours(1);
/// Between two tries to delete something that is not in a state to be deleted.
const PAUSE: Duration = Duration::from_secs(10);
/// How often something that is not there is looked for again: AWS may show late what it was told to make.
const LOOKS: u32 = 3;
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// Looks in a row that may fail before the removal is given up.
const MAX_FAILED_LOOKS: u32 = 20;

/// Removes resources of one run.
#[derive(Clone, Copy, Debug)]
pub struct Remover<'a> {
    /// The way to AWS.
    pub environment: &'a Environment,
    /// Whose they are.
    pub run_id: &'a str,
    /// What the run restored.
    pub kind: DatabaseKind,
    /// The target's name, for those who listen.
    pub target: &'a str,
}

impl Remover<'_> {
    /// Removes a resource and waits until it is gone. Its absence is fine.
    ///
    /// # Errors
    /// Where it is not this run's, could not be removed, or does not go away in time.
    pub async fn remove(&self, resource: &Resource) -> anyhow::Result<()> {
        anyhow::ensure!(resource.id.starts_with(NAME_PREFIX), "`{}` is not named `{NAME_PREFIX}...`", resource.id);
        let clock = &self.environment.clock;
        let mut patience = self.patience();
        let mut looks = 0;
        let mut failed_looks = 0;
        while patience.lasts() {
            let (tags, status) = match self.environment.aws.look(self.kind, resource).await {
                Ok(Some(found)) => found,
                Ok(None) if looks < LOOKS => {
                    looks += 1;
                    clock.sleep(LOOK_PAUSE).await;
                    continue;
                }
                Ok(None) => return Ok(()),
                Err(error) if error.is_transient() && failed_looks < MAX_FAILED_LOOKS => {
                    failed_looks += 1;
                    clock.sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            failed_looks = 0;
            let owner = tags.get(RUN_TAG).map_or("nobody", String::as_str);
            anyhow::ensure!(owner == self.run_id, "`{}` carries the tag of {owner}, not of this run", resource.id);
            if status == "deleting" {
                return self.wait_until_gone(resource).await;
            }
            let change = Change::Delete { kind: self.kind, resource: resource.clone() };
            match self.environment.aws.apply(&change).await {
                Ok(()) => return self.wait_until_gone(resource).await,
                Err(error) if error.kind == Kind::NotFound => return Ok(()),
                Err(error) if error.kind == Kind::State || error.is_transient() => clock.sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("`{}` could not be removed within {}", resource.id, crate::duration::show(PATIENCE))
    }

    fn patience(&self) -> Patience<'_> {
        let clock = &self.environment.clock;
        Patience { clock, ends_at: clock.now().checked_add(PATIENCE).unwrap_or(Timestamp::MAX), is_over: false }
    }

    async fn wait_until_gone(&self, resource: &Resource) -> anyhow::Result<()> {
        let mut patience = self.patience();
        let mut watcher = self.environment.aws.watch(resource);
        let mut failed_looks = 0;
        let mut last = String::new();
        while patience.lasts() {
            match watcher.next().await {
                Ok(None) => return Ok(()),
                Ok(Some(status)) => {
                    failed_looks = 0;
                    if status != last {
                        let happening = Happening::Status { resource: resource.clone(), status: status.clone() };
                        self.environment.reporter.tell(self.target, &happening);
                        last = status;
                    }
                }
                // It was told to go: whatever keeps us from seeing it go may pass, and giving up would be crying wolf.
                Err(_) if failed_looks < MAX_FAILED_LOOKS => failed_looks += 1,
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("`{}` was told to go, but is still {last}", resource.id)
    }
}

/// A bound on trying. There is always one try after it: a host that slept through it must not cry wolf over something that
/// is gone meanwhile.
struct Patience<'c> {
    clock: &'c Clock,
    ends_at: Timestamp,
    is_over: bool,
}

impl Patience<'_> {
    /// Whether to try once more.
    fn lasts(&mut self) -> bool {
        let was_over = self.is_over;
        self.is_over = self.clock.now() >= self.ends_at;
        !was_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_try_after_the_bound_and_no_other() {
        let clock = Clock::system();
        let after = |ends_at| {
            let mut patience = Patience { clock: &clock, ends_at, is_over: false };
            [patience.lasts(), patience.lasts(), patience.lasts()]
        };
        assert_eq!(after(Timestamp::MAX), [true, true, true]);
        assert_eq!(after(Timestamp::UNIX_EPOCH), [true, false, false]);
    }
}

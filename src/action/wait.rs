//! Waits for AWS: bounded by the run's deadline, and over at once where AWS will not get any further.

use std::time::Duration;

use crate::aws::{Resource, Status, judge_status};
use crate::context::RunEvent;
use crate::deadline::Deadline;
use crate::duration;
use crate::runbook::{Context, Failure};
use crate::store::RunState;

/// Looks in a row that may fail.
const MAX_FAILED_LOOKS: u32 = 20;
/// For how many looks in a row and how long AWS may show nothing, straight after it was told to make it: several at once may
/// have been made on a slow day.
const ABSENT: (u32, Duration) = (12, Duration::from_mins(1));
/// Events that a failure quotes.
const QUOTED_EVENTS: usize = 3;

/// Waits until a resource can be used.
///
/// # Errors
/// Where its status is a terminal one (with the events that explain it), or nobody can tell any more.
pub(super) async fn until_ready(context: &Context<'_>, resource: &Resource) -> Result<(), Failure> {
    let mut watcher = context.app.aws.watch(resource);
    let watch = context.app.clock.stopwatch();
    let mut failed_looks = 0;
    let absence = || Deadline::new(&context.app.clock, ABSENT.1).and_tries(ABSENT.0);
    let mut absent = None;
    let mut last = String::new();
    loop {
        match watcher.next().await {
            Ok(Some(status)) => {
                failed_looks = 0;
                absent = None;
                if status != last {
                    let event = RunEvent::Status { resource: resource.clone(), status: status.clone() };
                    context.emit(&event);
                    last.clone_from(&status);
                }
                match judge_status(&status) {
                    Status::Ready => return context.seen(resource).await,
                    Status::Moving => {}
                    Status::Failed => return Err(terminal(context, resource, &status, watch.waited_seconds()).await),
                }
            }
            Ok(None) if absent.get_or_insert_with(absence).allows_retry() => {}
            Ok(None) => {
                let message = format!("`{}` was restored, but AWS does not show it", resource.id);
                return Err(Failure::new(
                    RunState::Unknown,
                    anyhow::anyhow!("{message}"),
                    "run `drctl reap`, then again",
                ));
            }
            Err(error) if error.is_transient() && failed_looks < MAX_FAILED_LOOKS => {
                failed_looks += 1;
                tracing::warn!(run.id = %context.run.id, %error, "looking again");
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn terminal(context: &Context<'_>, resource: &Resource, status: &str, seconds: f64) -> Failure {
    let took = duration::show_seconds(seconds);
    let told = match context.app.aws.events(resource.kind, &resource.id).await {
        Ok(events) if events.is_empty() => "AWS gives no event that explains it".to_owned(),
        Ok(events) => {
            let newest = events.iter().rev().take(QUOTED_EVENTS).map(|event| event.message.as_str());
            format!("AWS says: {}", newest.collect::<Vec<_>>().join(" / "))
        }
        Err(error) => format!("its events could not be read: {error}"),
    };
    let message = format!("`{}` became `{status}` after {took}; {told}", resource.id);
    Failure::failed(message, hint_for(status))
}

/// What to do about a terminal status.
fn hint_for(status: &str) -> &'static str {
    match status {
        "incompatible-parameters" => "give the copy the source's parameter group, or correct the group's values",
        "incompatible-network" => "check the quarantine's subnets: free addresses, at least two zones",
        "incompatible-option-group" => "give the copy an option group that has the source's persistent options",
        "insufficient-capacity" => "choose another `instance_class`, or other zones for the quarantine",
        "inaccessible-encryption-credentials" | "inaccessible-encryption-credentials-recoverable" => {
            "enable the KMS key, and check its policy: without it the backup cannot be read"
        }
        "storage-full" => "the source's storage is nearly full: raise it, then test again",
        "deleting" | "deleted" => "somebody deleted the copy: look at CloudTrail",
        _ => "restore an older point with `--point`, and open a case with AWS",
    }
}

//! Who an agent is to AWS, which has to be known before it does anything.

use std::time::Duration;

use super::health::Health;
use crate::aws::{Account, Aws, Destination};
use crate::clock::Clock;
use crate::estate::Estate;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(15);

/// Asks AWS who we are until it says so: a host that has just started may have no network yet, and a role, or credentials
/// in a file, can be mended meanwhile. The clients are new each time, since they remember what they found.
pub async fn wait_for_account(estate: &Estate, clock: &Clock, health: &Health) -> (Aws, Account) {
    loop {
        let aws = Aws::connect(estate, clock, &Destination::Environment).await;
        match aws.account_of(estate.account.as_deref()).await {
            Ok(account) => {
                health.works_in(&account.id);
                return (aws, account);
            }
            Err(error) => {
                let hint = error.hint();
                tracing::error!(estate = estate.name, %error, hint, "cannot verify the AWS identity; no test starts until it is verified");
                health.asked_aws(Err(error.brief()));
                health.record_heartbeat();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

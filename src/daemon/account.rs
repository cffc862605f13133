//! Who an agent is to AWS, which has to be known before it does anything.

use std::time::Duration;

use super::health::Health;
use crate::aws::{Account, Aws};
use crate::estate::Estate;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(15);

/// Asks AWS who we are until it says so: a host that has just started may have no network yet, and credentials that are
/// missing or expired can be mended meanwhile.
pub async fn wait_for_account(estate: &Estate, aws: &Aws, health: &Health) -> Account {
    loop {
        match aws.account().await {
            Ok(account) => return account,
            Err(error) => {
                let hint = error.hint();
                tracing::error!(estate = estate.name, %error, hint, "AWS does not say who we are; nothing is tested until it does");
                health.asked_aws(Err(error.to_string()));
                // It goes round, although nothing can be done yet: no supervisor can mend this by a restart.
                health.went_round();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

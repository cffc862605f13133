//! Keeps the outbox empty.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::context::AppContext;
use crate::notify::Deliverer;

/// Between two looks at the outbox.
const DELIVER_EVERY: Duration = Duration::from_secs(5);

/// Delivers when a run has ended, and every few seconds. Each channel goes at its own pace.
pub(super) async fn deliver(app: AppContext, ended: Arc<Notify>, stop: CancellationToken) {
    let deliverer = Deliverer::new(app.clone());
    let loops = app.estate.channels.iter().map(|channel| {
        let (deliverer, ended) = (deliverer.clone(), Arc::clone(&ended));
        async move {
            loop {
                let ended = ended.notified();
                if let Err(error) = deliverer.deliver_channel(channel).await {
                    let error = format!("{error:#}");
                    tracing::warn!(channel = channel.name, error, "the outbox could not be read; trying again");
                }
                tokio::select! {
                    () = ended => {}
                    () = tokio::time::sleep(DELIVER_EVERY) => {}
                }
            }
        }
    });
    stop.run_until_cancelled(futures_util::future::join_all(loops)).await;
}

//! Starts and stops the databases behind restored copies, outside the world's lock.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::after;
use super::model::Backend;
use crate::clock::VirtualClock;
use crate::sandbox::engine::{Content, Engines, Gate, Running, free_port};

/// How often a database is started before its copy goes without.
const START_TRIES: usize = 3;

/// What it takes to start a copy.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Copies {
    /// Who starts it.
    pub(in crate::sandbox) engines: Arc<Engines>,
    /// Held meanwhile: how long this machine takes is not how long AWS takes.
    pub(in crate::sandbox) clock: VirtualClock,
    /// For so long nobody sees what is made. The clock runs on meanwhile: held, it would keep a copy unseen for as long
    /// as this machine takes to start a database.
    pub(in crate::sandbox) unseen_seconds: i64,
}

impl Copies {
    /// Starts a database behind `backend`. Until it runs, the resource is not available; where it cannot be started, its
    /// endpoint refuses connections.
    pub(in crate::sandbox) fn start(&self, backend: &Backend, content: &Content, port: u16, name: &str) {
        if content.seed.is_none() {
            return;
        }
        backend.set_starting();
        let hold = (self.unseen_seconds == 0).then(|| self.clock.hold());
        let seen_at = after(self.clock.now(), self.unseen_seconds);
        let (engines, backend, content, name) =
            (Arc::clone(&self.engines), backend.clone(), content.clone(), name.to_owned());
        let clock = self.clock.clone();
        // Held from now on: until the database runs, another sandbox might take the port for one of its own.
        let outside = TcpListener::bind(("127.0.0.1", port));
        tokio::spawn(async move {
            wait_until(&clock, seen_at).await;
            let hold = hold.unwrap_or_else(|| clock.hold());
            let running = match outside {
                Ok(outside) => start(&engines, &content, outside, &clock, &backend.gate).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = &running {
                tracing::warn!(name, error = format!("{error:#}"), "no database behind the restored copy");
            }
            backend.set(running.ok());
            drop(hold);
        });
    }

    /// Stops the database behind `backend`, if there is one.
    pub(in crate::sandbox) fn stop(backend: &Backend) {
        let Some(running) = backend.running() else { return };
        backend.set(None);
        tokio::spawn(async move {
            if let Some(running) = running.lock().await.take() {
                running.stop().await;
            }
        });
    }

    /// Gives the database behind `backend` a new master password, when it is time.
    pub(in crate::sandbox) fn set_password(&self, backend: &Backend, password: &str, plan: PasswordPlan) {
        let Some(running) = backend.running() else { return };
        let (password, clock, backend) = (password.to_owned(), self.clock.clone(), backend.clone());
        let change = backend.begin_change(plan.shown_from);
        tokio::spawn(async move {
            wait_until(&clock, plan.done_at).await;
            // Where the database is late, AWS has already called it done.
            let change = if plan.works_from > plan.done_at { None } else { Some(change) };
            wait_until(&clock, plan.works_from).await;
            let hold = clock.hold();
            if let Some(running) = running.lock().await.as_ref()
                && let Err(error) = running.set_password(&password).await
            {
                tracing::warn!(error = format!("{error:#}"), "the copy did not take the password");
            }
            drop((change, hold));
        });
    }
}

/// When a new master password is what.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct PasswordPlan {
    /// The status says `resetting-master-credentials` from then on.
    pub(in crate::sandbox) shown_from: Timestamp,
    /// AWS calls it done.
    pub(in crate::sandbox) done_at: Timestamp,
    /// The database takes it, and no longer the one before.
    pub(in crate::sandbox) works_from: Timestamp,
}

/// How often a task looks whether a moment of the virtual clock has come: somebody may move it forward.
const LOOK: Duration = Duration::from_millis(10);

async fn wait_until(clock: &VirtualClock, at: Timestamp) {
    while clock.now() < at {
        tokio::time::sleep(LOOK).await;
    }
}

async fn start(
    engines: &Engines,
    content: &Content,
    outside: TcpListener,
    clock: &VirtualClock,
    gate: &Gate,
) -> anyhow::Result<Running> {
    let mut tries = 0;
    let running = loop {
        tries += 1;
        match engines.start(content, free_port()?).await {
            // Somebody else may have taken the port meanwhile.
            Err(error) if tries < START_TRIES => tracing::info!(error = format!("{error:#}"), "starting a copy again"),
            ended => break ended?,
        }
    };
    running.behind_door(outside, clock.clone(), gate.clone())
}

//! Delivers what the outbox holds: paced, tried again with growing pauses, and in the end given up.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use sha2::{Digest, Sha256};

use super::channels::{Envelope, send};
use super::http::DeliveryError;
use super::message::{Message, ReasonName};
use crate::context::AppContext;
use crate::estate::{Channel, Event, Transport};
use crate::store::{ClaimedMessage, DeliveryOutcome};

/// Messages claimed at once. They are sent one by one, before the claim runs out, unless they are too many.
const BATCH_FOR_PROGRAMS: u32 = 5;
const BATCH_FOR_PEOPLE: u32 = 50;
/// More than so many waiting for one channel of people are told in one message.
const FLOOD: usize = 5;
/// The targets that such a message names.
const NAMED: usize = 20;
/// Slack takes one message a second.
const SLACK_PACE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(30);
/// After so many attempts a message is given up: a day and more.
const ATTEMPTS: u32 = 60;

/// Delivers the messages of one estate.
#[derive(Clone, Debug)]
pub struct Deliverer {
    app: AppContext,
}

impl Deliverer {
    /// Delivers by this environment's channels.
    #[must_use]
    pub fn new(app: AppContext) -> Self {
        Self { app }
    }

    /// Sends whatever is due, by every channel. Returns how many messages arrived.
    ///
    /// # Errors
    /// Where the store could not be read or written; what was sent then goes out once more, with the same id.
    pub async fn deliver_due(&self) -> anyhow::Result<usize> {
        let sent = self.app.estate.channels.iter().map(|channel| self.deliver_channel(channel));
        let sent: Vec<anyhow::Result<usize>> = futures_util::future::join_all(sent).await;
        sent.into_iter().sum()
    }

    /// Sends whatever is due by one channel, until nothing is, or until the channel does not take it.
    ///
    /// # Errors
    /// See [`Deliverer::pass`].
    pub async fn deliver_channel(&self, channel: &Channel) -> anyhow::Result<usize> {
        let AppContext { store, estate, clock, .. } = &self.app;
        let for_people = !matches!(channel.way, Transport::PagerDuty { .. } | Transport::Webhook { .. });
        let batch = if for_people { BATCH_FOR_PEOPLE } else { BATCH_FOR_PROGRAMS };
        let mut arrived = 0;
        loop {
            let claimed = store.claim_messages(&estate.name, &channel.name, clock.now(), batch).await?;
            if claimed.is_empty() {
                return Ok(arrived);
            }
            let mut sound = Vec::new();
            for sendable in claimed {
                match serde_json::from_str::<Message>(&sendable.outgoing.message) {
                    Ok(message) => sound.push((sendable, message)),
                    Err(error) => {
                        let error = format!("the message cannot be read: {error}");
                        store.mark_sent(&sendable.outgoing.id, &DeliveryOutcome::Dead { error }).await?;
                    }
                }
            }
            let parcels = if for_people && sound.len() > FLOOD { vec![digest(sound)] } else { singly(sound) };
            let mut parcels = parcels.into_iter();
            while let Some(bundle) = parcels.next() {
                match self.send(channel, &bundle).await? {
                    None => arrived += bundle.sendables.len(),
                    // The others would fare no better: they wait as long, and it counts as no attempt of theirs.
                    Some(at) => {
                        for held in parcels.by_ref().flat_map(|bundle| bundle.sendables) {
                            store.mark_sent(&held.outgoing.id, &DeliveryOutcome::Held { at }).await?;
                        }
                        return Ok(arrived);
                    }
                }
            }
        }
    }

    /// Sends one bundle. Returns until when the channel is to be left alone, where it does not answer as it should.
    async fn send(&self, channel: &Channel, bundle: &Batch) -> anyhow::Result<Option<Timestamp>> {
        let parcel = Envelope { id: &bundle.id, message: &bundle.message };
        let result = send(&self.app, channel, parcel).await;
        if channel.way.name() == "slack" {
            tokio::time::sleep(SLACK_PACE).await;
        }
        let mut leave_alone = None;
        for sendable in &bundle.sendables {
            let id = &sendable.outgoing.id;
            let sent = match &result {
                Ok(()) => DeliveryOutcome::Delivered,
                Err(not_sent) => next_attempt(sendable.attempts, not_sent, self.app.clock.now()),
            };
            match &sent {
                DeliveryOutcome::Delivered | DeliveryOutcome::Held { .. } => {}
                DeliveryOutcome::Later { at, error } => {
                    leave_alone = leave_alone.max(Some(*at));
                    tracing::warn!(channel = channel.name, id, %at, error, "not sent; trying again later");
                }
                DeliveryOutcome::Dead { error } => {
                    let hint = "`drctl notify retry` tries it again";
                    tracing::error!(channel = channel.name, id, error, hint, "message moved to dead letters");
                }
            }
            self.app.store.mark_sent(id, &sent).await?;
        }
        Ok(leave_alone)
    }
}

/// Messages that go out as one.
struct Batch {
    /// What the far end can know a repeat by.
    id: String,
    message: Message,
    sendables: Vec<ClaimedMessage>,
}

fn singly(sound: Vec<(ClaimedMessage, Message)>) -> Vec<Batch> {
    let bundle = |(sendable, message): (ClaimedMessage, Message)| Batch {
        id: sendable.outgoing.id.clone(),
        message,
        sendables: vec![sendable],
    };
    sound.into_iter().map(bundle).collect()
}

/// One message for many. Its id is that of just these.
fn digest(sound: Vec<(ClaimedMessage, Message)>) -> Batch {
    let worst = sound.iter().map(|(_, message)| message.event).max_by_key(|event| match event {
        Event::Passed => 0,
        Event::Recovered => 1,
        Event::Unknown => 2,
        Event::Failed => 3,
        Event::Stuck => 4,
    });
    let mut lines: Vec<String> = sound.iter().take(NAMED).map(|(_, message)| message.title()).collect();
    if sound.len() > NAMED {
        lines.push(format!("and {} more", sound.len() - NAMED));
    }
    let mut hash = Sha256::new();
    for (sendable, _) in &sound {
        hash.update(format!("{}\n", sendable.outgoing.id));
    }
    let id = hash.finalize().iter().take(16).fold("digest-".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    let last = &sound[sound.len() - 1].1;
    let message = Message {
        event: worst.unwrap_or(last.event),
        because: ReasonName::Digest,
        target: format!("{} messages", sound.len()),
        incident: None,
        since: None,
        summary: format!("{} messages came at once.", sound.len()),
        findings: Vec::new(),
        measured: lines,
        next: "`drctl runs list` shows them all".to_owned(),
        ..last.clone()
    };
    Batch { id, message, sendables: sound.into_iter().map(|(sendable, _)| sendable).collect() }
}

/// When to try again: after twice as long as before, give or take a half, and not before the far end wants it.
fn next_attempt(attempts: u32, not_sent: &DeliveryError, now: Timestamp) -> DeliveryOutcome {
    let error = not_sent.text.clone();
    if !not_sent.retryable || attempts + 1 >= ATTEMPTS {
        return DeliveryOutcome::Dead { error };
    }
    let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempts.min(16))).min(LONGEST_PAUSE);
    let own = doubled.mul_f64(rand::rng().random_range(0.5..1.5));
    let pause = not_sent.pause.map_or(own, |asked| asked.max(own));
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(30));
    DeliveryOutcome::Later { at: now.checked_add(pause).unwrap_or(now), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let again = DeliveryError::again("no answer");
        let after = |attempts| match next_attempt(attempts, &again, Timestamp::UNIX_EPOCH) {
            DeliveryOutcome::Later { at, .. } => at.as_second(),
            _ => panic!("given up after {attempts}"),
        };
        assert!((2..=8).contains(&after(0)) && (20..=60).contains(&after(3)));
        assert!((900..=2700).contains(&after(ATTEMPTS - 2)));
        assert!(matches!(next_attempt(ATTEMPTS - 1, &again, Timestamp::UNIX_EPOCH), DeliveryOutcome::Dead { .. }));
        assert!(matches!(
            next_attempt(0, &DeliveryError::never("no"), Timestamp::UNIX_EPOCH),
            DeliveryOutcome::Dead { .. }
        ));
    }

    #[test]
    fn the_far_end_says_how_long() {
        let busy = DeliveryError { pause: Some(Duration::from_secs(77)), ..DeliveryError::again("429") };
        assert!(
            matches!(next_attempt(5, &busy, Timestamp::UNIX_EPOCH), DeliveryOutcome::Later { at, .. } if at.as_second() >= 77)
        );
    }
}

//! Delivers what the outbox holds: paced, tried again with growing pauses, and in the end given up.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;

use super::channels::{Parcel, send};
use super::http::NotSent;
use super::message::{Message, Reason};
use crate::estate::{Channel, Way};
use crate::runbook::Environment;
use crate::store::{Sendable, Sent};

/// Messages claimed at once.
const BATCH: u32 = 50;
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
    environment: Environment,
}

impl Deliverer {
    /// Delivers by this environment's channels.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// Sends whatever is due. Returns how many messages arrived.
    ///
    /// # Errors
    /// Where the store could not be read or written; what was sent then goes out once more, with the same id.
    pub async fn pass(&self) -> anyhow::Result<usize> {
        let sent = self.environment.estate.channels.iter().map(|channel| self.serve(channel));
        let sent: Vec<anyhow::Result<usize>> = futures_util::future::join_all(sent).await;
        sent.into_iter().sum()
    }

    /// One channel. A channel that does not answer keeps nobody else waiting.
    async fn serve(&self, channel: &Channel) -> anyhow::Result<usize> {
        let Environment { store, estate, clock, .. } = &self.environment;
        let mut arrived = 0;
        loop {
            let batch = store.claim_messages(&estate.name, &channel.name, clock.now(), BATCH).await?;
            if batch.is_empty() {
                return Ok(arrived);
            }
            let mut sound = Vec::new();
            for sendable in batch {
                match serde_json::from_str::<Message>(&sendable.outgoing.message) {
                    Ok(message) => sound.push((sendable, message)),
                    Err(error) => {
                        let error = format!("the message cannot be read: {error}");
                        store.mark_sent(&sendable.outgoing.id, &Sent::Dead { error }).await?;
                    }
                }
            }
            let for_people = !matches!(channel.way, Way::PagerDuty { .. } | Way::Webhook { .. });
            let parcels = if for_people && sound.len() > FLOOD { vec![digest(sound)] } else { singly(sound) };
            for (message, sendables) in parcels {
                arrived += self.send(channel, &message, &sendables).await?;
            }
        }
    }

    async fn send(&self, channel: &Channel, message: &Message, sendables: &[Sendable]) -> anyhow::Result<usize> {
        let Some(first) = sendables.first() else { return Ok(0) };
        let parcel = Parcel { id: &first.outgoing.id, message };
        let result = send(&self.environment, channel, parcel).await;
        if channel.way.name() == "slack" {
            tokio::time::sleep(SLACK_PACE).await;
        }
        for sendable in sendables {
            let sent = match &result {
                Ok(()) => Sent::Delivered,
                Err(not_sent) => next_attempt(sendable.attempts, not_sent, self.environment.clock.now()),
            };
            match &sent {
                Sent::Delivered => {}
                Sent::Later { at, error } => {
                    tracing::warn!(channel = channel.name, id = sendable.outgoing.id, %at, error, "not sent; trying again later");
                }
                Sent::Dead { error } => {
                    tracing::error!(
                        channel = channel.name,
                        id = sendable.outgoing.id,
                        error,
                        "given up; `drctl notify retry` tries it again"
                    );
                }
            }
            self.environment.store.mark_sent(&sendable.outgoing.id, &sent).await?;
        }
        Ok(if result.is_ok() { sendables.len() } else { 0 })
    }
}

fn singly(sound: Vec<(Sendable, Message)>) -> Vec<(Message, Vec<Sendable>)> {
    sound.into_iter().map(|(sendable, message)| (message, vec![sendable])).collect()
}

/// One message for many.
fn digest(sound: Vec<(Sendable, Message)>) -> (Message, Vec<Sendable>) {
    let worst = sound.iter().map(|(_, message)| message.event).max_by_key(|event| match event {
        crate::estate::Event::Passed => 0,
        crate::estate::Event::Recovered => 1,
        crate::estate::Event::Unknown => 2,
        crate::estate::Event::Failed => 3,
        crate::estate::Event::Stuck => 4,
    });
    let mut lines: Vec<String> = sound.iter().take(NAMED).map(|(_, message)| message.title()).collect();
    if sound.len() > NAMED {
        lines.push(format!("and {} more", sound.len() - NAMED));
    }
    let last = &sound[sound.len() - 1].1;
    let message = Message {
        event: worst.unwrap_or(last.event),
        because: Reason::Digest,
        target: format!("{} messages", sound.len()),
        incident: None,
        since: None,
        summary: format!("{} messages came at once.", sound.len()),
        findings: Vec::new(),
        measured: lines,
        next: "`drctl runs list` shows them all".to_owned(),
        ..last.clone()
    };
    (message, sound.into_iter().map(|(sendable, _)| sendable).collect())
}

/// When to try again: after what the far end asks for, or twice as long as before, give or take a half.
fn next_attempt(attempts: u32, not_sent: &NotSent, now: Timestamp) -> Sent {
    let error = not_sent.text.clone();
    if !not_sent.again || attempts + 1 >= ATTEMPTS {
        return Sent::Dead { error };
    }
    let pause = not_sent.pause.unwrap_or_else(|| {
        let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempts.min(16))).min(LONGEST_PAUSE);
        doubled.mul_f64(rand::rng().random_range(0.5..1.5))
    });
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(30));
    Sent::Later { at: now.checked_add(pause).unwrap_or(now), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let again = NotSent::again("no answer");
        let after = |attempts| match next_attempt(attempts, &again, Timestamp::UNIX_EPOCH) {
            Sent::Later { at, .. } => at.as_second(),
            _ => panic!("given up after {attempts}"),
        };
        assert!((2..=8).contains(&after(0)) && (20..=60).contains(&after(3)));
        assert!((900..=2700).contains(&after(ATTEMPTS - 2)));
        assert!(matches!(next_attempt(ATTEMPTS - 1, &again, Timestamp::UNIX_EPOCH), Sent::Dead { .. }));
        assert!(matches!(next_attempt(0, &NotSent::never("no"), Timestamp::UNIX_EPOCH), Sent::Dead { .. }));
    }

    #[test]
    fn the_far_end_says_how_long() {
        let busy = NotSent { pause: Some(Duration::from_secs(77)), ..NotSent::again("429") };
        assert!(
            matches!(next_attempt(5, &busy, Timestamp::UNIX_EPOCH), Sent::Later { at, .. } if at.as_second() == 77)
        );
    }
}

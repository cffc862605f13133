//! What people are still to be told. A message is written with the result that it tells of, claimed, sent, and marked.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::connection::Store;
use super::time_limit::TimeLimit;

/// How long a claim holds: longer than sending takes.
const CLAIM: Duration = Duration::from_mins(5);

/// A message on its way to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The same for the same message to the same channel, however often it is written or sent.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// The alert that it is about: the messages of one alert reach a channel in their order. Empty where it is about none.
    pub alert: String,
    /// What is told, as JSON.
    pub message: String,
}

/// A message that is to be sent now.
#[derive(Clone, Debug)]
pub struct ClaimedMessage {
    /// The message.
    pub outgoing: OutboxMessage,
    /// When it was written.
    pub created_at: Timestamp,
    /// How often it was tried before.
    pub attempts: u32,
    /// The last error, where there was one.
    pub error: Option<String>,
}

/// How an attempt to send ended.
#[derive(Clone, Debug)]
pub enum DeliveryOutcome {
    /// It arrived.
    Delivered,
    /// It is to be tried again.
    Later {
        /// When.
        at: Timestamp,
        /// Why it did not arrive.
        error: String,
    },
    /// It was not tried: the channel wants to be left alone.
    Held {
        /// Until when.
        at: Timestamp,
    },
    /// It is given up, until a person says otherwise.
    Dead {
        /// Why it did not arrive.
        error: String,
    },
}

pub(super) async fn insert(
    connection: &mut AnyConnection,
    estate: &str,
    at: Timestamp,
    messages: &[OutboxMessage],
) -> anyhow::Result<()> {
    for outgoing in messages {
        let seq = Store::next(&mut *connection, "outbox").await?;
        sqlx::query(
            "insert into outbox (id, estate, channel, message, state, created_at, attempts, next_try_at, alert, seq)
             values ($1, $2, $3, $4, 'pending', $5, 0, $5, $6, $7) on conflict (id) do nothing",
        )
        .bind(&outgoing.id)
        .bind(estate)
        .bind(&outgoing.channel)
        .bind(&outgoing.message)
        .bind(at.as_millisecond())
        .bind(&outgoing.alert)
        .bind(seq)
        .execute(&mut *connection)
        .limited()
        .await?;
    }
    Ok(())
}

type Row = (String, String, String, String, i64, i64, Option<String>);

fn sendable((id, channel, alert, message, created_at, attempts, error): Row) -> anyhow::Result<ClaimedMessage> {
    Ok(ClaimedMessage {
        outgoing: OutboxMessage { id, channel, alert, message },
        created_at: Timestamp::from_millisecond(created_at)?,
        attempts: u32::try_from(attempts)?,
        error,
    })
}

impl Store {
    /// Claims messages to one channel that are due, the oldest first.
    ///
    /// # Errors
    /// Where the store could not be written.
    pub async fn claim_messages(
        &self,
        estate: &str,
        channel: &str,
        now: Timestamp,
        most: u32,
    ) -> anyhow::Result<Vec<ClaimedMessage>> {
        let mut transaction = self.writing().await?;
        let select = format!(
            "select id, channel, alert, message, created_at, cast(attempts as bigint), error from outbox
             where estate = $1 and channel = $2 and state = 'pending' and next_try_at <= $3
               and (claimed_until is null or claimed_until < {})
               and not exists (select 1 from outbox earlier
                               where earlier.estate = outbox.estate and earlier.channel = outbox.channel
                                 and earlier.alert = outbox.alert and outbox.alert <> ''
                                 and earlier.state = 'pending' and earlier.seq < outbox.seq)
             order by seq, created_at, id limit $4{}",
            self.now(),
            self.skip_locked()
        );
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(select))
            .bind(estate)
            .bind(channel)
            .bind(now.as_millisecond())
            .bind(i64::from(most))
            .fetch_all(&mut *transaction)
            .limited()
            .await?;
        let claim = format!("update outbox set claimed_until = {} + $2 where id = $1", self.now());
        for row in &rows {
            let claim = sqlx::query(AssertSqlSafe(claim.clone())).bind(&row.0).bind(i64::try_from(CLAIM.as_millis())?);
            claim.execute(&mut *transaction).limited().await?;
        }
        transaction.commit().limited().await?;
        rows.into_iter().map(sendable).collect()
    }

    /// Says how an attempt to send ended.
    ///
    /// # Errors
    /// Where the store could not be written: the message is then sent once more, with the same id.
    pub async fn mark_sent(&self, id: &str, sent: &DeliveryOutcome) -> anyhow::Result<()> {
        let (state, next, error, tried) = match sent {
            DeliveryOutcome::Delivered => ("sent", None, None, 1),
            DeliveryOutcome::Later { at, error } => ("pending", Some(at.as_millisecond()), Some(error), 1),
            DeliveryOutcome::Held { at } => ("pending", Some(at.as_millisecond()), None, 0),
            DeliveryOutcome::Dead { error } => ("dead", None, Some(error), 1),
        };
        sqlx::query(
            "update outbox set state = $2, next_try_at = coalesce($3, next_try_at), error = coalesce($4, error),
                               claimed_until = null, attempts = attempts + $5 where id = $1 and state = 'pending'",
        )
        .bind(id)
        .bind(state)
        .bind(next)
        .bind(error)
        .bind(tried)
        .execute(&self.pool)
        .limited()
        .await?;
        Ok(())
    }

    /// Gives back what a daemon that is gone had claimed. Only for a store that has one daemon at a time.
    ///
    /// # Errors
    /// Where the store could not be written.
    pub async fn forget_claims(&self) -> anyhow::Result<()> {
        if let super::connection::Backend::Sqlite(_) = self.backend {
            sqlx::query("update outbox set claimed_until = null where state = 'pending'")
                .execute(&self.pool)
                .limited()
                .await?;
        }
        Ok(())
    }

    /// Forgets the text of messages that were sent before `before`; that they were sent stays known.
    ///
    /// # Errors
    /// Where the store could not be written.
    pub async fn forget_sent(&self, estate: &str, before: Timestamp) -> anyhow::Result<()> {
        let sql =
            "update outbox set message = '' where estate = $1 and state = 'sent' and created_at < $2 and message <> ''";
        sqlx::query(sql).bind(estate).bind(before.as_millisecond()).execute(&self.pool).limited().await?;
        Ok(())
    }

    /// Messages that were given up.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn dead_messages(&self, estate: &str) -> anyhow::Result<Vec<ClaimedMessage>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, channel, alert, message, created_at, cast(attempts as bigint), error from outbox
             where estate = $1 and state = 'dead' order by seq, created_at, id",
        )
        .bind(estate)
        .fetch_all(&self.pool)
        .limited()
        .await?;
        rows.into_iter().map(sendable).collect()
    }

    /// Has everything that was given up tried again, but for what a later message of the same alert has overtaken: a channel
    /// that knows the end must not be told the beginning. Returns how many messages that are.
    ///
    /// # Errors
    /// Where the store could not be written.
    pub async fn revive_messages(&self, estate: &str, now: Timestamp) -> anyhow::Result<u64> {
        let sql = "update outbox set state = 'pending', attempts = 0, next_try_at = $2
                   where estate = $1 and state = 'dead'
                     and not exists (select 1 from outbox later
                                     where later.estate = outbox.estate and later.channel = outbox.channel
                                       and later.alert = outbox.alert and outbox.alert <> ''
                                       and later.state = 'sent' and later.seq > outbox.seq)";
        let revived = sqlx::query(sql).bind(estate).bind(now.as_millisecond()).execute(&self.pool).limited().await?;
        Ok(revived.rows_affected())
    }

    /// What a channel calls the thread of an incident.
    ///
    /// # Errors
    /// Where it could not be read.
    pub async fn thread(&self, channel: &str, incident: &str) -> anyhow::Result<Option<String>> {
        let sql = "select reference from threads where channel = $1 and incident = $2";
        Ok(sqlx::query_scalar(sql).bind(channel).bind(incident).fetch_optional(&self.pool).limited().await?)
    }

    /// Remembers what a channel calls the thread of an incident.
    ///
    /// # Errors
    /// Where it could not be written.
    pub async fn remember_thread(&self, channel: &str, incident: &str, reference: &str) -> anyhow::Result<()> {
        let sql = "insert into threads (channel, incident, reference) values ($1, $2, $3) on conflict do nothing";
        sqlx::query(sql).bind(channel).bind(incident).bind(reference).execute(&self.pool).limited().await?;
        Ok(())
    }
}

//! A plain webhook: the message as JSON, signed so that the far end can tell it from anybody else's.
//!
//! `X-Drctl-Signature: t=SECONDS,v1=HEX` holds HMAC-SHA256 over `SECONDS.BODY`; the time keeps an old request from being
//! played again. `Idempotency-Key` is the same for every attempt.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;

use super::message::Message;

const SCHEMA: &str = "drctl.notification/1";

/// What a webhook is sent.
pub(super) fn payload(id: &str, message: &Message) -> anyhow::Result<Value> {
    let mut payload = json!({ "schema": SCHEMA, "id": id, "title": message.title(), "text": message.text() });
    let fields = serde_json::to_value(message)?;
    if let (Some(payload), Value::Object(fields)) = (payload.as_object_mut(), fields) {
        payload.extend(fields);
    }
    // Whoever routes by `event` must not take a test of the channel for the real thing.
    payload["event"] = json!(message.event_name());
    Ok(payload)
}

/// The value of `X-Drctl-Signature`.
pub(super) fn signature(key: &SecretString, at: Timestamp, body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())?;
    mac.update(format!("{}.{body}", at.as_second()).as_bytes());
    let hex = mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(format!("t={},v1={hex}", at.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '0.body' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn the_signature_is_what_openssl_says() {
        let signature = signature(&"key".to_owned().into(), Timestamp::UNIX_EPOCH, "body").unwrap();
        assert_eq!(signature, "t=0,v1=e0af04d5c83b24373ff89f540d0c8fd9a4e097e2b3ee8318ab5541047697626d");
    }
}

//! SNS: plain text, with attributes that subscriptions can filter on.

use std::collections::BTreeMap;

use super::message::{Message, cut_to};
use crate::aws::Publish;

/// SNS takes ASCII subjects of up to 100 characters.
const SUBJECT_CHARS: usize = 100;

/// What SNS is asked to publish.
pub(super) fn publish(topic_arn: &str, id: &str, message: &Message) -> Publish {
    let subject: String =
        message.title().chars().map(|c| if c.is_ascii() && !c.is_control() { c } else { '?' }).collect();
    let mut attributes = BTreeMap::from([
        ("id", id.to_owned()),
        ("event", message.event_name().to_owned()),
        ("estate", message.estate.clone()),
        ("target", message.target.clone()),
        ("run_id", message.run_id.clone()),
    ]);
    // SNS takes no empty attribute.
    attributes.extend((!message.environment.is_empty()).then(|| ("environment", message.environment.clone())));
    attributes.extend(message.incident.clone().map(|incident| ("incident", incident)));
    Publish {
        topic_arn: topic_arn.to_owned(),
        id: id.to_owned(),
        group: message.target.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-"),
        subject: cut_to(&subject, SUBJECT_CHARS).replace('…', "."),
        text: message.text(),
        attributes,
    }
}

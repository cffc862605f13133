//! The SNS API: publishing.

use std::collections::BTreeMap;

use aws_sdk_sns::Client as Sns;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::{Value, json};

use super::client::{Connect, Connection};
use super::connect::Aws;
use super::error::{Error, ErrorKind, Result, Service};
use super::policy_scope::PolicyScope;
use crate::estate::Transport;

/// SNS.
const SNS: Service = Service {
    prefix: "sns",
    // Of the key of an encrypted topic.
    codes: &[
        ("KMSAccessDenied", ErrorKind::Key),
        ("KMSDisabled", ErrorKind::Key),
        ("KMSInvalidState", ErrorKind::Key),
        ("KMSNotFound", ErrorKind::Key),
        ("KMSOptInRequired", ErrorKind::Key),
        ("KMSThrottling", ErrorKind::Throttled),
        ("AuthorizationError", ErrorKind::Denied),
    ],
};

impl Connect for Sns {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_sns::config::Builder::from(&connection.config);
        Self::from_conf(connection.interceptors().fold(config, aws_sdk_sns::config::Builder::interceptor).build())
    }
}

/// A message to a topic.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Publish {
    /// The topic.
    pub topic_arn: String,
    /// Names the message: a FIFO topic delivers it once.
    pub id: String,
    /// What a FIFO topic keeps in order.
    pub group: String,
    /// The subject of a mail.
    pub subject: String,
    /// The text.
    pub text: String,
    /// What subscriptions can filter on.
    pub attributes: BTreeMap<&'static str, String>,
}

impl Aws {
    /// Publishes a message, in the Region of the topic.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn publish(&self, message: &Publish) -> Result<()> {
        // The suffix is part of a FIFO topic's name, and is in lower case.
        let fifo = message.topic_arn.rsplit_once('.').is_some_and(|(_, suffix)| suffix == "fifo");
        let mut request = self
            .client::<Sns>()
            .publish()
            .topic_arn(&message.topic_arn)
            .subject(&message.subject)
            .message(&message.text)
            .set_message_group_id(fifo.then(|| message.group.clone()))
            .set_message_deduplication_id(fifo.then(|| message.id.clone()));
        for (name, value) in &message.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| Error::new("Publish", ErrorKind::Invalid, error.to_string()))?;
            request = request.message_attributes(*name, attribute);
        }
        let region = message.topic_arn.split(':').nth(3).filter(|region| !region.is_empty() && *region != self.region);
        let answer = match region {
            Some(region) => {
                let region = aws_sdk_sns::config::Region::new(region.to_owned());
                request.customize().config_override(aws_sdk_sns::config::Builder::new().region(region)).send().await
            }
            None => request.send().await,
        };
        answer.map(drop).map_err(|error| SNS.error("Publish", error))
    }
}

/// "Key management" in the SNS developer guide: who publishes to an encrypted topic needs its key.
pub(super) fn statements(scope: &PolicyScope<'_>) -> Vec<Value> {
    let names = scope.estate.channels.iter().filter_map(|channel| match &channel.way {
        Transport::Sns { topic_arn } => Some(topic_arn.clone()),
        _ => None,
    });
    let keys = json!(["kms:Decrypt", "kms:GenerateDataKey*"]);
    scope.with_keys(names.collect(), "sns:Publish", "TellPeople", "sns", &keys)
}

//! The SNS API: publishing.

use std::collections::BTreeMap;

use aws_sdk_sns::types::MessageAttributeValue;

use super::connect::Aws;
use super::error::{Error, ErrorKind, Result, classify};

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
            .sns
            .publish()
            .topic_arn(&message.topic_arn)
            .subject(&message.subject)
            .message(&message.text)
            .set_message_group_id(fifo.then(|| message.group.clone()))
            .set_message_deduplication_id(fifo.then(|| message.id.clone()));
        for (name, value) in &message.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| Error {
                operation: "Publish",
                code: None,
                message: error.to_string(),
                kind: ErrorKind::Invalid,
            })?;
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
        answer.map(drop).map_err(|error| classify("Publish", error))
    }
}

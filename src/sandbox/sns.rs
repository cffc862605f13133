//! SNS: topics that take messages. Nobody is subscribed to them.

use super::protocol::{Answer, ApiError, Params, leaf, xml_answer};
use super::world::World;

pub(super) fn answer(world: &World, action: &str, params: &Params) -> Result<Answer, ApiError> {
    if action != "Publish" {
        return Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not know {action}")));
    }
    let topic = params.required("TopicArn")?;
    if !world.topics.contains(topic) {
        return Err(ApiError::new(404, "NotFound", "Topic does not exist"));
    }
    params.required("Message")?;
    let id = format!("{:032x}", rand::random::<u128>());
    Ok(xml_answer(action, vec![leaf("MessageId", id)]))
}

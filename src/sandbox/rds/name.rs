//! What a request names: an identifier, or an ARN of this account and Region.

use crate::sandbox::protocol::Fault;
use crate::sandbox::world::{ACCOUNT, Region};

/// Regions as the partitions of botocore's endpoints have them.
const REGIONS: &str = "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 \
                       ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 \
                       ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 \
                       eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 \
                       us-east-1 us-east-2 us-west-1 us-west-2 cn-north-1 cn-northwest-1 us-gov-east-1 us-gov-west-1";

/// Refuses a Region that AWS does not have. The signature names it, hence the code.
pub(super) fn known_region(region: &str) -> Result<(), Fault> {
    if REGIONS.split_whitespace().any(|known| known == region) {
        return Ok(());
    }
    let message = format!("Credential should be scoped to a valid region, not '{region}'.");
    Err(Fault::new(403, "SignatureDoesNotMatch", message))
}

/// An ARN taken apart: `arn:aws:rds:eu-west-1:123456789012:db:shop`. Names may hold colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
}

pub(super) fn parse_arn(text: &str) -> Option<Arn<'_>> {
    let mut parts = text.splitn(7, ':');
    let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (scheme == "arn" && partition.starts_with("aws") && service == "rds").then_some(Arn { region, account, kind, name })
}

/// The name of something of this account and Region, in lower case. `None` where an ARN names something else.
pub(super) fn own(region: &Region, kind: &str, text: &str) -> Option<String> {
    if !text.starts_with("arn:") {
        return Some(text.to_ascii_lowercase());
    }
    let arn = parse_arn(text)?;
    let is_ours = arn.region == region.name && arn.account == ACCOUNT && arn.kind == kind;
    is_ours.then(|| arn.name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known() {
        assert!(known_region("eu-west-1").is_ok() && known_region("us-gov-west-1").is_ok());
        assert_eq!(known_region("mars-north-1").unwrap_err().status, 403);
    }

    #[test]
    fn an_arn_names_account_region_and_a_name_with_colons() {
        let arn = parse_arn("arn:aws:rds:eu-west-1:123456789012:snapshot:rds:shop-2026").unwrap();
        assert_eq!((arn.account, arn.kind, arn.name), ("123456789012", "snapshot", "rds:shop-2026"));
        assert!(parse_arn("arn:aws:s3:::bucket").is_none());
    }
}

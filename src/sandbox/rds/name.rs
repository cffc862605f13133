//! What a request names: an identifier, or an ARN of this account and Region.

use crate::sandbox::world::Region;

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
    let is_ours = arn.region == region.name && arn.account == region.account && arn.kind == kind;
    is_ours.then(|| arn.name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_account_region_and_a_name_with_colons() {
        let arn = parse_arn("arn:aws:rds:eu-west-1:123456789012:snapshot:rds:shop-2026").unwrap();
        assert_eq!((arn.account, arn.kind, arn.name), ("123456789012", "snapshot", "rds:shop-2026"));
        assert!(parse_arn("arn:aws:s3:::bucket").is_none());
    }
}

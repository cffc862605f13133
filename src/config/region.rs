//! AWS Regions, as far as they are known: a new one is let through with a warning.

use super::reader::Section;
use crate::text;

/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>, and the China and GovCloud Regions.
const KNOWN: [&str; 39] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The Region under `key`, with a warning where it is not a known one.
pub(super) fn read(section: &Section<'_, '_>, key: &'static str, region: Option<String>) -> Option<String> {
    let region = region?;
    if !KNOWN.contains(&region.as_str()) {
        let hint = text::did_you_mean(&region, KNOWN).unwrap_or_else(|| "write it as in `eu-west-1`".to_owned());
        section.warn(key, format!("`{}` is no Region that this drctl knows", text::clean(&region)), hint);
    }
    Some(region)
}

//! AWS's partitions: sets of Regions that share nothing, not even the beginning of an ARN.

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What ARNs begin with after `arn:`, such as `aws-us-gov`.
    pub id: &'static str,
    /// What the names of services end in.
    pub dns_suffix: &'static str,
}

/// By the beginning of a Region's name. Source: `partitions.json`, which AWS's SDKs share.
const PARTITIONS: [(&str, Partition); 7] = [
    ("cn-", Partition { id: "aws-cn", dns_suffix: "amazonaws.com.cn" }),
    ("us-gov-", Partition { id: "aws-us-gov", dns_suffix: "amazonaws.com" }),
    ("us-iso-", Partition { id: "aws-iso", dns_suffix: "c2s.ic.gov" }),
    ("us-isob-", Partition { id: "aws-iso-b", dns_suffix: "sc2s.sgov.gov" }),
    ("eu-isoe-", Partition { id: "aws-iso-e", dns_suffix: "cloud.adc-e.uk" }),
    ("us-isof-", Partition { id: "aws-iso-f", dns_suffix: "csp.hci.ic.gov" }),
    ("eusc-", Partition { id: "aws-eusc", dns_suffix: "amazonaws.eu" }),
];
const COMMERCIAL: Partition = Partition { id: "aws", dns_suffix: "amazonaws.com" };

impl Partition {
    /// The partition of a Region.
    #[must_use]
    pub fn of(region: &str) -> Self {
        PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or(COMMERCIAL, |(_, found)| *found)
    }
}

#[cfg(test)]
mod tests {
    use super::Partition;

    #[test]
    fn a_region_says_its_partition() {
        for (region, id) in [
            ("eu-west-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-east-1", "aws"),
        ] {
            assert_eq!(Partition::of(region).id, id);
        }
    }
}

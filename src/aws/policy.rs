//! The least IAM policy for an estate, put together from what each service's file asks for.
//!
//! Sources: AWS's service authorization reference for Amazon RDS (which DocumentDB shares), KMS, Secrets Manager, SNS and
//! STS says which resources and condition keys an action has; the rest is named where it stands.

use serde_json::{Value, json};

use super::policy_scope::PolicyScope;
use super::{ec2, kms, rds, secrets, sns};
use crate::estate::Estate;

/// Reads. They change nothing, most of them ask for all of a kind (`db:*`), and reaping asks in every Region in which a run
/// has left something.
const READS: [&[&str]; 2] = [&ec2::READS, &rds::READS];
/// What each service asks for besides.
const STATEMENTS: [fn(&PolicyScope<'_>) -> Vec<Value>; 4] =
    [rds::statements, kms::statements, secrets::statements, sns::statements];

/// The policy of the identity that drctl works with.
#[must_use]
pub fn policy(estate: &Estate) -> Value {
    let scope = PolicyScope { estate, region: &estate.region };
    let look = json!({ "Sid": "Look", "Effect": "Allow", "Action": READS.concat(), "Resource": "*" });
    let others = STATEMENTS.iter().flat_map(|statements| statements(&scope));
    let statements: Vec<Value> = std::iter::once(look).chain(others).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The policy of the identity that assumes `role_arn`, where there is one.
#[must_use]
pub fn base_policy(estate: &Estate) -> Option<Value> {
    let role = estate.role_arn.as_ref()?;
    let mut statement =
        json!({ "Sid": "AssumeDrctlsRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role });
    if let Some(id) = &estate.external_id {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": id } });
    }
    Some(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estate(region: &str, more: &str) -> Estate {
        let text = format!(
            "[estate]\nname = \"shop\"\nregion = \"{region}\"\nrole_arn = \"arn:aws:iam::123456789012:role/drctl\"\n\
             [[database]]\nid = \"db\"\nkind = \"rds-mysql\"\n[database.restore_test]\npassword = \"secretsmanager:a/b\"\n{more}"
        );
        crate::config::parse("x", &text).unwrap()
    }

    #[test]
    fn a_policy_speaks_of_its_own_partition() {
        for (region, arn, service) in [
            ("us-gov-west-1", "arn:aws-us-gov:rds:us-gov-west-1:", "rds.us-gov-west-1.amazonaws.com\""),
            ("cn-north-1", "arn:aws-cn:rds:cn-north-1:", "rds.cn-north-1.amazonaws.com.cn\""),
        ] {
            let text = policy(&estate(region, "")).to_string();
            assert!(text.contains(arn) && text.contains(service) && !text.contains("arn:aws:"), "{text}");
        }
    }

    #[test]
    fn an_estate_without_clusters_may_do_nothing_with_them() {
        let text = policy(&estate("eu-west-1", "")).to_string();
        assert!(
            !text.contains("RestoreDBCluster") && !text.contains("CreateDBInstance") && !text.contains(":cluster:")
        );
        let text = policy(&estate("eu-west-1", "[[database]]\nid = \"c\"\nkind = \"documentdb\"\n")).to_string();
        assert!(text.contains("rds:DeleteDBCluster") && text.contains(":cluster:c\""));
    }

    #[test]
    fn a_secret_of_another_region_is_decrypted_there() {
        let arn = "arn:aws:sns:us-east-1:123456789012:alerts";
        let text =
            policy(&estate("eu-west-1", &format!("[[notify]]\nname = \"x\"\nsns = {{ topic_arn = \"{arn}\" }}\n")));
        let text = text.to_string();
        assert!(text.contains(arn) && text.contains("sns.us-east-1.amazonaws.com"), "{text}");
        assert!(text.contains("secretsmanager.eu-west-1.amazonaws.com") && text.contains("secret:a/b-??????"));
    }

    #[test]
    fn the_identity_that_assumes_the_role_may_do_only_that() {
        let base = base_policy(&estate("eu-west-1", "")).unwrap();
        assert_eq!(base["Statement"][0]["Resource"], "arn:aws:iam::123456789012:role/drctl");
        assert_eq!(base["Statement"].as_array().unwrap().len(), 1);
    }
}

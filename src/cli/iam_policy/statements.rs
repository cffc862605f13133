//! What is allowed. Each action stands with why it is needed.
//!
//! Sources: AWS's service authorization reference for Amazon RDS (which DocumentDB shares), KMS, Secrets Manager, SNS and STS
//! says which resources and condition keys an action has; the rest is named where it stands. `aws:RequestTag` and
//! `rds:PubliclyAccessible` are asked for on what is made, never on what it is made from, so that it does not matter
//! whether AWS has them at hand there as well. No key says that a modification changes the password and nothing else: what
//! may be modified is therefore what drctl made, by name and tag.

use serde_json::{Value, json};

use crate::estate::{Database, DatabaseKind, Estate, Partition, SecretRef, Transport};
use crate::runbook::{NAME_PREFIX, RUN_TAG};

/// Tags of drctl's own: nobody else's are set or taken away.
const OWN_TAGS: &str = "drctl:*";
/// AWS appends a hyphen and six characters to a secret's name.
const SECRET_SUFFIX: &str = "-??????";

/// Reads. They change nothing, most of them ask for all of a kind (`db:*`), and reaping asks in every Region in which a run
/// has left something.
const LOOK: [&str; 15] = [
    // Whether copies in the quarantine could reach anything. Without it `drctl doctor` does not know.
    "ec2:DescribeSecurityGroups",
    // The account's quotas, before anything is made.
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBClusterAutomatedBackups",
    "rds:DescribeDBClusterParameterGroups",
    // Restore points.
    "rds:DescribeDBClusterSnapshots",
    // Sources and copies.
    "rds:DescribeDBClusters",
    // What is left of a source that is gone.
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBInstances",
    // Whether the source's group still fits.
    "rds:DescribeDBParameterGroups",
    "rds:DescribeDBSnapshots",
    // The quarantine.
    "rds:DescribeDBSubnetGroups",
    // Why a restore has failed.
    "rds:DescribeEvents",
    "rds:DescribeOptionGroups",
    // Whether the class can be had.
    "rds:DescribeOrderableDBInstanceOptions",
    // Tags are read back right before anything is removed.
    "rds:ListTagsForResource",
];

/// The policy of the identity that drctl works with.
pub(super) fn policy(estate: &Estate) -> Value {
    let (instances, clusters): (Vec<_>, Vec<_>) =
        estate.databases.iter().partition(|database| !database.kind.is_cluster());
    let ids = |of: &[&Database]| of.iter().map(|database| database.id.clone()).collect::<Vec<_>>();
    let scope = Scope { estate, region: &estate.region };
    let mut statements = vec![json!({ "Sid": "Look", "Effect": "Allow", "Action": LOOK, "Resource": "*" })];
    if !instances.is_empty() {
        statements.extend(scope.restores_of_instances(&ids(&instances)));
    }
    if !clusters.is_empty() {
        statements.extend(scope.restores_of_clusters(&ids(&clusters)));
        statements.extend(scope.members(&clusters));
    }
    statements.extend(scope.copies(!clusters.is_empty()));
    statements.extend(scope.keys());
    statements.extend(scope.secrets());
    statements.extend(scope.topics());
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The policy of the identity that assumes `role_arn`, where there is one.
pub(super) fn base_policy(estate: &Estate) -> Option<Value> {
    let role = estate.role_arn.as_ref()?;
    let mut statement =
        json!({ "Sid": "AssumeDrctlsRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role });
    if let Some(id) = &estate.external_id {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": id } });
    }
    Some(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

struct Scope<'e> {
    estate: &'e Estate,
    region: &'e str,
}

impl Scope<'_> {
    fn partition(&self) -> Partition {
        Partition::of(self.region)
    }

    /// The account of the estate's own resources.
    fn account(&self) -> &str {
        self.estate.account.as_deref().unwrap_or("*")
    }

    /// One of the estate's own resources, in its Region.
    fn rds(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:rds:{}:{}:{kind}:{name}", self.partition().id, self.region, self.account())
    }

    /// What drctl made, in any Region: the estate may have moved since.
    fn copy(&self, kind: &str) -> String {
        format!("arn:{}:rds:*:{}:{kind}:{NAME_PREFIX}*", self.partition().id, self.account())
    }

    /// The groups that every restore has to be allowed to use.
    fn groups(&self, parameter_group: &str) -> Vec<String> {
        let network = self.estate.quarantine.subnet_group.as_deref().unwrap_or("*");
        vec![self.rds(parameter_group, "*"), self.rds("og", "*"), self.rds("subgrp", network)]
    }

    /// A key of any account, since what is shared may be encrypted with another's.
    fn any_key(&self, region: &str) -> String {
        format!("arn:{}:kms:{region}:*:key/*", self.partition().id)
    }

    fn via(&self, service: &str, region: &str) -> String {
        format!("{service}.{region}.{}", self.partition().dns_suffix)
    }

    fn restores_of_instances(&self, sources: &[String]) -> Vec<Value> {
        let actions = ["rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime"];
        let mut from = self.groups("pg");
        // Shared snapshots are another account's.
        from.push(format!("arn:{}:rds:{}:*:snapshot:*", self.partition().id, self.region));
        from.push(self.rds("auto-backup", "*"));
        let sources: Vec<String> = sources.iter().map(|source| self.rds("db", source)).collect();
        vec![
            json!({
                "Sid": "RestoreInstancesThatAreTaggedAndPrivate", "Effect": "Allow", "Action": actions,
                "Resource": self.rds("db", &format!("{NAME_PREFIX}*")), "Condition": tagged_and_private(),
            }),
            json!({ "Sid": "RestoreInstancesFrom", "Effect": "Allow", "Action": actions, "Resource": from }),
            // Not from a snapshot, which names no source: a source that is gone must not come back under its own name.
            json!({
                "Sid": "RestoreInstancesInTimeFrom", "Effect": "Allow", "Action": actions[1], "Resource": sources,
                "Condition": { "BoolIfExists": { "rds:PubliclyAccessible": "false" } },
            }),
        ]
    }

    /// The reference knows no `rds:PubliclyAccessible` for clusters: their instances are what can be public.
    fn restores_of_clusters(&self, sources: &[String]) -> Vec<Value> {
        let actions = ["rds:RestoreDBClusterFromSnapshot", "rds:RestoreDBClusterToPointInTime"];
        let mut from = self.groups("cluster-pg");
        from.push(format!("arn:{}:rds:{}:*:cluster-snapshot:*", self.partition().id, self.region));
        from.push(self.rds("cluster-auto-backup", "*"));
        let sources: Vec<String> = sources.iter().map(|source| self.rds("cluster", source)).collect();
        vec![
            json!({
                "Sid": "RestoreClustersThatAreTagged", "Effect": "Allow", "Action": actions,
                "Resource": self.rds("cluster", &format!("{NAME_PREFIX}*")), "Condition": { "StringLike": requested_tag() },
            }),
            json!({ "Sid": "RestoreClustersFrom", "Effect": "Allow", "Action": actions, "Resource": from }),
            json!({ "Sid": "RestoreClustersInTimeFrom", "Effect": "Allow", "Action": actions[1], "Resource": sources }),
        ]
    }

    /// Without an instance nobody can connect to a cluster. DocumentDB's API cannot ask for public instances, and so never says
    /// that one is private; AWS does not write that its instances lack the key, and so they are told by their engine.
    fn members(&self, clusters: &[&Database]) -> Vec<Value> {
        let action = "rds:CreateDBInstance";
        let copy = self.rds("db", &format!("{NAME_PREFIX}*"));
        let mut member_of = self.groups("pg");
        member_of.push(self.rds("cluster", &format!("{NAME_PREFIX}*")));
        let is_documentdb = |database: &&&Database| database.kind == DatabaseKind::Documentdb;
        let mut statements = Vec::new();
        if clusters.iter().any(|database| !is_documentdb(&database)) {
            statements.push(json!({
                "Sid": "AddInstancesThatAreTaggedAndPrivate", "Effect": "Allow", "Action": action, "Resource": copy,
                "Condition": tagged_and_private(),
            }));
        }
        if clusters.iter().any(|database| is_documentdb(&database)) {
            statements.push(json!({
                "Sid": "AddDocumentDbInstancesThatAreTagged", "Effect": "Allow", "Action": action, "Resource": copy,
                "Condition": { "StringEquals": { "rds:DatabaseEngine": "docdb" }, "StringLike": requested_tag() },
            }));
        }
        statements.push(json!({
            "Sid": "AddInstancesToCopies", "Effect": "Allow", "Action": action, "Resource": member_of,
        }));
        statements
    }

    fn copies(&self, clusters: bool) -> Vec<Value> {
        let kinds: &[&str] = if clusters { &["db", "cluster"] } else { &["db"] };
        let copies: Vec<String> = kinds.iter().map(|kind| self.copy(kind)).collect();
        let mut change = vec!["rds:ModifyDBInstance", "rds:DeleteDBInstance"];
        if clusters {
            change.extend(["rds:ModifyDBCluster", "rds:DeleteDBCluster"]);
        }
        let made_by_drctl = json!({ format!("aws:ResourceTag/{RUN_TAG}"): "*" });
        let own_tags = json!({ "aws:TagKeys": OWN_TAGS });
        let mut statements = vec![
            // Tags that come with a restore or a new instance need this besides: a dependent action of both.
            json!({
                "Sid": "TagCopies", "Effect": "Allow", "Action": "rds:AddTagsToResource", "Resource": copies,
                "Condition": { "StringLike": requested_tag(), "ForAllValues:StringLike": own_tags },
            }),
            // The password is set where the configuration names none; and what was made is removed.
            json!({
                "Sid": "ChangeAndRemoveOnlyWhatDrctlMade", "Effect": "Allow", "Action": change, "Resource": copies,
                "Condition": { "StringLike": made_by_drctl },
            }),
            // `drctl keep` gives a copy to people.
            json!({
                "Sid": "GiveCopiesToPeople", "Effect": "Allow", "Action": "rds:RemoveTagsFromResource", "Resource": copies,
                "Condition": { "StringLike": made_by_drctl, "ForAllValues:StringLike": own_tags },
            }),
        ];
        if clusters {
            // The reference marks a final snapshot as required, though drctl asks for none.
            statements.push(json!({
                "Sid": "RemoveClustersAsTheReferenceHasIt", "Effect": "Allow", "Action": "rds:DeleteDBCluster",
                "Resource": self.copy("cluster-snapshot"),
            }));
        }
        statements
    }

    /// "AWS KMS key management" in the RDS user guide asks for `CreateGrant` and `DescribeKey` of whoever restores;
    /// the reference lists the other two as dependent actions.
    fn keys(&self) -> Vec<Value> {
        let key = self.any_key(self.region);
        let through = self.via("rds", self.region);
        vec![
            // A disabled key makes every backup useless: asked before a restore, without RDS.
            json!({ "Sid": "LookAtKeys", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": key }),
            json!({
                "Sid": "DecryptVolumesThroughRds", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key, "Condition": { "StringEquals": { "kms:ViaService": through } },
            }),
            json!({
                "Sid": "LetRdsUseKeys", "Effect": "Allow", "Action": "kms:CreateGrant", "Resource": key,
                "Condition": {
                    "Bool": { "kms:GrantIsForAWSResource": "true" }, "StringEquals": { "kms:ViaService": through },
                },
            }),
        ]
    }

    /// Secrets that a key of the customer's encrypts need that key.
    fn secrets(&self) -> Vec<Value> {
        let of_databases = self.estate.databases.iter().filter_map(|database| database.test.password.as_ref());
        let of_channels = self.estate.channels.iter().flat_map(|channel| channel.way.secrets());
        let names = of_databases.chain(of_channels).filter_map(|reference| match reference {
            SecretRef::SecretsManager { id, .. } if id.starts_with("arn:") => Some(id.clone()),
            SecretRef::SecretsManager { id, .. } => {
                let (partition, account) = (self.partition().id, self.account());
                let region = self.region;
                Some(format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{id}{SECRET_SUFFIX}"))
            }
            SecretRef::Env(_) | SecretRef::File(_) => None,
        });
        let action = "secretsmanager:GetSecretValue";
        self.with_keys(sorted(names), action, "ReadSecrets", "secretsmanager", &json!("kms:Decrypt"))
    }

    /// "Key management" in the SNS developer guide: who publishes to an encrypted topic needs its key.
    fn topics(&self) -> Vec<Value> {
        let names = self.estate.channels.iter().filter_map(|channel| match &channel.way {
            Transport::Sns { topic_arn } => Some(topic_arn.clone()),
            _ => None,
        });
        let keys = json!(["kms:Decrypt", "kms:GenerateDataKey*"]);
        self.with_keys(sorted(names), "sns:Publish", "TellPeople", "sns", &keys)
    }

    /// An action on resources by ARN, and the use of keys through their service, in the Region of each.
    fn with_keys(&self, arns: Vec<String>, action: &str, sid: &str, service: &str, key_actions: &Value) -> Vec<Value> {
        if arns.is_empty() {
            return Vec::new();
        }
        let regions = sorted(arns.iter().filter_map(|arn| arn.split(':').nth(3).map(str::to_owned)));
        let keys: Vec<String> = regions.iter().map(|region| self.any_key(region)).collect();
        let through: Vec<String> = regions.iter().map(|region| self.via(service, region)).collect();
        vec![
            json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": arns }),
            json!({
                "Sid": format!("{sid}Keys"), "Effect": "Allow", "Action": key_actions, "Resource": keys,
                "Condition": { "StringEquals": { "kms:ViaService": through } },
            }),
        ]
    }
}

fn requested_tag() -> Value {
    json!({ format!("aws:RequestTag/{RUN_TAG}"): "*" })
}

fn tagged_and_private() -> Value {
    json!({ "Bool": { "rds:PubliclyAccessible": "false" }, "StringLike": requested_tag() })
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
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

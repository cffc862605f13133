//! What drctl has to be allowed at RDS and DocumentDB. Each action stands with why it is needed.
//!
//! `aws:RequestTag` and `rds:PubliclyAccessible` are asked for on what is made, never on what it is made from, so that it
//! does not matter whether AWS has them at hand there as well. No key says that a modification changes the password and
//! nothing else: what may be modified is therefore what drctl made, by name and tag.

use serde_json::{Value, json};

use super::super::ownership::{NAME_PREFIX, RUN_TAG};
use super::super::policy_scope::PolicyScope;
use crate::estate::{Database, DatabaseKind};

/// Tags of drctl's own: nobody else's are set or taken away.
const OWN_TAGS: &str = "drctl:*";

/// Reads.
pub(in crate::aws) const READS: [&str; 14] = [
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

/// What making, changing and removing copies of the estate's databases needs.
pub(in crate::aws) fn statements(scope: &PolicyScope<'_>) -> Vec<Value> {
    let (instances, clusters): (Vec<_>, Vec<_>) =
        scope.estate.databases.iter().partition(|database| !database.kind.is_cluster());
    let ids = |of: &[&Database]| of.iter().map(|database| database.id.clone()).collect::<Vec<_>>();
    let mut statements = Vec::new();
    if !instances.is_empty() {
        statements.extend(restores_of_instances(scope, &ids(&instances)));
    }
    if !clusters.is_empty() {
        statements.extend(restores_of_clusters(scope, &ids(&clusters)));
        statements.extend(members(scope, &clusters));
    }
    statements.extend(copies(scope, !clusters.is_empty()));
    statements
}

fn restores_of_instances(scope: &PolicyScope<'_>, sources: &[String]) -> Vec<Value> {
    let actions = ["rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime"];
    let mut from = scope.groups("pg");
    // Shared snapshots are another account's.
    from.push(format!("arn:{}:rds:{}:*:snapshot:*", scope.partition().id, scope.region));
    from.push(scope.rds("auto-backup", "*"));
    let sources: Vec<String> = sources.iter().map(|source| scope.rds("db", source)).collect();
    vec![
        json!({
            "Sid": "RestoreInstancesThatAreTaggedAndPrivate", "Effect": "Allow", "Action": actions,
            "Resource": scope.rds("db", &format!("{NAME_PREFIX}*")), "Condition": tagged_and_private(),
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
fn restores_of_clusters(scope: &PolicyScope<'_>, sources: &[String]) -> Vec<Value> {
    let actions = ["rds:RestoreDBClusterFromSnapshot", "rds:RestoreDBClusterToPointInTime"];
    let mut from = scope.groups("cluster-pg");
    from.push(format!("arn:{}:rds:{}:*:cluster-snapshot:*", scope.partition().id, scope.region));
    from.push(scope.rds("cluster-auto-backup", "*"));
    let sources: Vec<String> = sources.iter().map(|source| scope.rds("cluster", source)).collect();
    vec![
        json!({
            "Sid": "RestoreClustersThatAreTagged", "Effect": "Allow", "Action": actions,
            "Resource": scope.rds("cluster", &format!("{NAME_PREFIX}*")), "Condition": { "StringLike": requested_tag() },
        }),
        json!({ "Sid": "RestoreClustersFrom", "Effect": "Allow", "Action": actions, "Resource": from }),
        json!({ "Sid": "RestoreClustersInTimeFrom", "Effect": "Allow", "Action": actions[1], "Resource": sources }),
    ]
}

/// Without an instance nobody can connect to a cluster. DocumentDB's API cannot ask for public instances, and so never says
/// that one is private; AWS does not write that its instances lack the key, and so they are told by their engine.
fn members(scope: &PolicyScope<'_>, clusters: &[&Database]) -> Vec<Value> {
    let action = "rds:CreateDBInstance";
    let copy = scope.rds("db", &format!("{NAME_PREFIX}*"));
    let mut member_of = scope.groups("pg");
    member_of.push(scope.rds("cluster", &format!("{NAME_PREFIX}*")));
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

fn copies(scope: &PolicyScope<'_>, clusters: bool) -> Vec<Value> {
    let kinds: &[&str] = if clusters { &["db", "cluster"] } else { &["db"] };
    let copies: Vec<String> = kinds.iter().map(|kind| scope.copy(kind)).collect();
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
            "Resource": scope.copy("cluster-snapshot"),
        }));
    }
    statements
}

fn requested_tag() -> Value {
    json!({ format!("aws:RequestTag/{RUN_TAG}"): "*" })
}

fn tagged_and_private() -> Value {
    json!({ "Bool": { "rds:PubliclyAccessible": "false" }, "StringLike": requested_tag() })
}

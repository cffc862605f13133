//! `drctl iam-policy`: the least that the estate needs, with deletes only of what carries drctl's tag.

use std::path::Path;

use serde_json::{Value, json};

use super::exit::Exit;
use super::{output, setup};
use crate::estate::{Estate, SecretRef, Way};
use crate::runbook::{NAME_PREFIX, RUN_TAG};

pub(super) fn run(config: &Path) -> anyhow::Result<Exit> {
    let loaded = setup::load(config)?;
    output::json(&policy(&loaded.estate))?;
    Ok(Exit::Passed)
}

/// Service authorization reference: "Actions, resources, and condition keys for Amazon RDS". DocumentDB shares it.
fn policy(estate: &Estate) -> Value {
    let region = &estate.region;
    let arn = |kind: &str, name: &str| format!("arn:aws:rds:{region}:*:{kind}:{name}");
    let copies: Vec<String> = ["db", "cluster"].map(|kind| arn(kind, &format!("{NAME_PREFIX}*"))).to_vec();
    let mut sources = Vec::new();
    for database in &estate.databases {
        let (kind, snapshot) =
            if database.kind.is_cluster() { ("cluster", "cluster-snapshot") } else { ("db", "snapshot") };
        sources.push(arn(kind, &database.id));
        sources.push(arn(snapshot, &format!("rds:{}-*", database.id)));
        sources.push(arn(snapshot, "*"));
    }
    sources.sort();
    sources.dedup();
    let network = match &estate.quarantine.subnet_group {
        Some(group) => arn("subgrp", group),
        None => arn("subgrp", "*"),
    };
    let mut restore_on: Vec<String> = copies.clone();
    restore_on.extend(sources);
    restore_on.extend([network, arn("pg", "*"), arn("cluster-pg", "*"), arn("og", "*")]);
    let our_request = json!({ "StringLike": { format!("aws:RequestTag/{RUN_TAG}"): "*" } });
    let our_resource = json!({ "StringLike": { format!("aws:ResourceTag/{RUN_TAG}"): "*" } });
    let mut statements = vec![
        json!({
            "Sid": "Look", "Effect": "Allow", "Resource": "*",
            "Action": [
                "rds:DescribeDBInstances", "rds:DescribeDBClusters", "rds:DescribeDBSnapshots",
                "rds:DescribeDBClusterSnapshots", "rds:DescribeDBSubnetGroups", "rds:DescribeEvents",
                "rds:DescribeAccountAttributes", "rds:ListTagsForResource",
            ],
        }),
        json!({
            "Sid": "RestoreCopies", "Effect": "Allow", "Resource": restore_on,
            "Action": [
                "rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime",
                "rds:RestoreDBClusterFromSnapshot", "rds:RestoreDBClusterToPointInTime",
            ],
        }),
        json!({
            "Sid": "AddInstancesToCopies", "Effect": "Allow", "Action": "rds:CreateDBInstance",
            "Resource": copies, "Condition": our_request.clone(),
        }),
        json!({
            "Sid": "TagCopies", "Effect": "Allow", "Action": "rds:AddTagsToResource",
            "Resource": copies, "Condition": our_request,
        }),
        json!({
            "Sid": "ChangeAndRemoveOnlyWhatDrctlMade", "Effect": "Allow", "Resource": copies, "Condition": our_resource,
            "Action": [
                "rds:ModifyDBInstance", "rds:ModifyDBCluster", "rds:DeleteDBInstance", "rds:DeleteDBCluster",
            ],
        }),
        json!({
            "Sid": "UseKeysThroughRds", "Effect": "Allow", "Resource": format!("arn:aws:kms:{region}:*:key/*"),
            "Action": ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt"],
            "Condition": { "StringEquals": { "kms:ViaService": format!("rds.{region}.amazonaws.com") } },
        }),
        json!({
            "Sid": "LookAtKeys", "Effect": "Allow", "Action": "kms:DescribeKey",
            "Resource": format!("arn:aws:kms:{region}:*:key/*"),
        }),
    ];
    let secrets = secrets(estate);
    if !secrets.is_empty() {
        statements.push(json!({
            "Sid": "ReadSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secrets,
        }));
    }
    let topics: Vec<&str> = estate
        .channels
        .iter()
        .filter_map(|channel| match &channel.way {
            Way::Sns { topic_arn } => Some(topic_arn.as_str()),
            _ => None,
        })
        .collect();
    if !topics.is_empty() {
        statements.push(json!({
            "Sid": "TellPeople", "Effect": "Allow", "Action": "sns:Publish", "Resource": topics,
        }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A secret's ARN ends in six characters that its name does not tell.
fn secrets(estate: &Estate) -> Vec<String> {
    let of_databases = estate.databases.iter().filter_map(|database| database.test.password.as_ref());
    let of_channels = estate.channels.iter().flat_map(|channel| channel.way.secrets());
    let mut arns: Vec<String> = of_databases
        .chain(of_channels)
        .filter_map(|reference| match reference {
            SecretRef::SecretsManager { id, .. } if id.starts_with("arn:") => Some(id.clone()),
            SecretRef::SecretsManager { id, .. } => {
                Some(format!("arn:aws:secretsmanager:{}:*:secret:{id}-??????", estate.region))
            }
            SecretRef::Env(_) | SecretRef::File(_) => None,
        })
        .collect();
    arns.sort();
    arns.dedup();
    arns
}

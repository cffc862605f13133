//! What the statements of a policy are about: ARNs in the estate's account, Region and partition.

use serde_json::{Value, json};

use super::ownership::NAME_PREFIX;
use crate::estate::{Estate, Partition};

/// What resources are named in: the estate's account, Region and partition.
pub(super) struct PolicyScope<'e> {
    pub(super) estate: &'e Estate,
    pub(super) region: &'e str,
}

impl PolicyScope<'_> {
    pub(super) fn partition(&self) -> Partition {
        Partition::of(self.region)
    }

    /// The account of the estate's own resources.
    pub(super) fn account(&self) -> &str {
        self.estate.account.as_deref().unwrap_or("*")
    }

    /// One of the estate's own resources, in its Region.
    pub(super) fn rds(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:rds:{}:{}:{kind}:{name}", self.partition().id, self.region, self.account())
    }

    /// What drctl made, in any Region: the estate may have moved since.
    pub(super) fn copy(&self, kind: &str) -> String {
        format!("arn:{}:rds:*:{}:{kind}:{NAME_PREFIX}*", self.partition().id, self.account())
    }

    /// The groups that every restore has to be allowed to use.
    pub(super) fn groups(&self, parameter_group: &str) -> Vec<String> {
        let network = self.estate.quarantine.subnet_group.as_deref().unwrap_or("*");
        vec![self.rds(parameter_group, "*"), self.rds("og", "*"), self.rds("subgrp", network)]
    }

    /// A key of any account, since what is shared may be encrypted with another's.
    pub(super) fn any_key(&self, region: &str) -> String {
        format!("arn:{}:kms:{region}:*:key/*", self.partition().id)
    }

    pub(super) fn via(&self, service: &str, region: &str) -> String {
        format!("{service}.{region}.{}", self.partition().dns_suffix)
    }

    /// An action on resources by ARN, and the use of keys through their service, in the Region of each.
    pub(super) fn with_keys(
        &self,
        names: Vec<String>,
        action: &str,
        sid: &str,
        service: &str,
        key_actions: &Value,
    ) -> Vec<Value> {
        let arns = sorted(names.into_iter());
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

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

//! What RDS's and DocumentDB's calls need.

use super::{Asked, Need, Refusal, add_tags, on_key};
use crate::estate::Tags;
use crate::sandbox::policy::Context;
use crate::sandbox::protocol::Params;
use crate::sandbox::world::{Region, World};

/// Describes that know resources, each with the type and with the parameter that names one. Without that, all of the type
/// are asked for: `db:*`.
const DESCRIBES: [(&str, &str, &str); 10] = [
    ("DescribeDBInstances", "db", "DBInstanceIdentifier"),
    ("DescribeDBClusters", "cluster", "DBClusterIdentifier"),
    ("DescribeDBSnapshots", "snapshot", "DBSnapshotIdentifier"),
    ("DescribeDBClusterSnapshots", "cluster-snapshot", "DBClusterSnapshotIdentifier"),
    ("DescribeDBSubnetGroups", "subgrp", "DBSubnetGroupName"),
    ("DescribeDBParameterGroups", "pg", "DBParameterGroupName"),
    ("DescribeDBClusterParameterGroups", "cluster-pg", "DBClusterParameterGroupName"),
    ("DescribeOptionGroups", "og", "OptionGroupName"),
    ("DescribeDBInstanceAutomatedBackups", "auto-backup", "DbiResourceId"),
    ("DescribeDBClusterAutomatedBackups", "cluster-auto-backup", "DbClusterResourceId"),
];

/// What a restore names. A name is looked up as it is; an ARN names its resource itself.
struct Restore {
    action: &'static str,
    /// The type and the parameter of what is made.
    makes: (&'static str, &'static str),
    /// The type and the parameter of what it is made from.
    from: (&'static str, &'static str),
    parameter_group: (&'static str, &'static str),
}

const RESTORES: [Restore; 4] = [
    Restore {
        action: "RestoreDBInstanceFromDBSnapshot",
        makes: ("db", "DBInstanceIdentifier"),
        from: ("snapshot", "DBSnapshotIdentifier"),
        parameter_group: ("pg", "DBParameterGroupName"),
    },
    Restore {
        action: "RestoreDBInstanceToPointInTime",
        makes: ("db", "TargetDBInstanceIdentifier"),
        from: ("db", "SourceDBInstanceIdentifier"),
        parameter_group: ("pg", "DBParameterGroupName"),
    },
    Restore {
        action: "RestoreDBClusterFromSnapshot",
        makes: ("cluster", "DBClusterIdentifier"),
        from: ("cluster-snapshot", "SnapshotIdentifier"),
        parameter_group: ("cluster-pg", "DBClusterParameterGroupName"),
    },
    Restore {
        action: "RestoreDBClusterToPointInTime",
        makes: ("cluster", "DBClusterIdentifier"),
        from: ("cluster", "SourceDBClusterIdentifier"),
        parameter_group: ("cluster-pg", "DBClusterParameterGroupName"),
    },
];

/// What is changed or removed, by type and parameter.
const CHANGES: [(&str, &str, &str); 10] = [
    ("ModifyDBInstance", "db", "DBInstanceIdentifier"),
    ("ModifyDBCluster", "cluster", "DBClusterIdentifier"),
    ("DeleteDBInstance", "db", "DBInstanceIdentifier"),
    ("DeleteDBCluster", "cluster", "DBClusterIdentifier"),
    ("FailoverDBCluster", "cluster", "DBClusterIdentifier"),
    ("RebootDBInstance", "db", "DBInstanceIdentifier"),
    ("CopyDBSnapshot", "snapshot", "TargetDBSnapshotIdentifier"),
    ("CopyDBClusterSnapshot", "cluster-snapshot", "TargetDBClusterSnapshotIdentifier"),
    ("DeleteDBSnapshot", "snapshot", "DBSnapshotIdentifier"),
    ("DeleteDBClusterSnapshot", "cluster-snapshot", "DBClusterSnapshotIdentifier"),
];

/// What the keys of volumes are used for: the dependent actions that the reference lists for `CreateDBInstance`.
const KEY_ACTIONS: [&str; 4] = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"];

pub(super) fn needs(world: &mut World, asked: Asked<'_>, common: &Context) -> Vec<Need> {
    let params = Params::parse(asked.body);
    let region = world.region(asked.region);
    let context = of_request(common, &params);
    let found = DESCRIBES.iter().chain(&CHANGES).find(|(action, _, _)| *action == asked.action);
    let needs = Needs { asked, region, params: &params, context: &context };
    if let Some((_, kind, name)) = found {
        return vec![needs.on(needs.named(kind, name, "*"))];
    }
    if let Some(restore) = RESTORES.iter().find(|restore| restore.action == asked.action) {
        return needs.of_restore(restore);
    }
    match asked.action {
        "ListTagsForResource" | "AddTagsToResource" | "RemoveTagsFromResource" => {
            vec![needs.on(params.text("ResourceName").unwrap_or("*").to_owned())]
        }
        "CreateDBInstance" => needs.of_new_instance(),
        _ => vec![needs.on("*".to_owned())],
    }
}

/// What the request itself says.
fn of_request(common: &Context, params: &Params) -> Context {
    let mut context = common.clone();
    let tags = params.tags();
    add_tags(&mut context, "aws:RequestTag", &tags);
    add_tags(&mut context, "rds:req-tag", &tags);
    for key in tags.keys().cloned().chain(params.list("TagKeys.member")) {
        context.add("aws:TagKeys", key);
    }
    for (key, name) in [
        ("rds:PubliclyAccessible", "PubliclyAccessible"),
        ("rds:DatabaseEngine", "Engine"),
        ("rds:DatabaseClass", "DBInstanceClass"),
        ("rds:MultiAz", "MultiAZ"),
        ("rds:ManageMasterUserPassword", "ManageMasterUserPassword"),
    ] {
        if let Some(value) = params.text(name) {
            context.add(key, value);
        }
    }
    context
}

struct Needs<'a> {
    asked: Asked<'a>,
    region: &'a Region,
    params: &'a Params,
    context: &'a Context,
}

impl Needs<'_> {
    /// The ARN that a parameter names, or that of the default.
    fn named(&self, kind: &str, name: &str, default: &str) -> String {
        match self.params.text(name) {
            Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
            Some(id) => self.region.arn(kind, &id.to_ascii_lowercase()),
            None => self.region.arn(kind, default),
        }
    }

    /// The call itself, on one resource.
    fn on(&self, resource: String) -> Need {
        self.action(&format!("rds:{}", self.asked.action), resource)
    }

    fn action(&self, action: &str, resource: String) -> Need {
        let mut context = self.context.clone();
        if let Some((kind, tags)) = tags_of(self.region, &resource) {
            add_tags(&mut context, "aws:ResourceTag", tags);
            add_tags(&mut context, &format!("rds:{kind}-tag"), tags);
        }
        Need { action: action.to_owned(), resource, context, refusal: Refusal::Query }
    }

    fn of_restore(&self, restore: &Restore) -> Vec<Need> {
        let made = self.named(restore.makes.0, restore.makes.1, "*");
        let source = self.named(restore.from.0, restore.from.1, "*");
        let mut needs = vec![self.on(made.clone()), self.on(source.clone())];
        needs.push(self.on(self.named(restore.parameter_group.0, restore.parameter_group.1, "default")));
        needs.push(self.on(self.named("og", "OptionGroupName", "default")));
        needs.push(self.on(self.named("subgrp", "DBSubnetGroupName", "default")));
        needs.extend(self.tagging(made));
        let key = self.params.text("KmsKeyId").map(str::to_owned).or_else(|| key_of(self.region, &source));
        needs.extend(key.into_iter().flat_map(|key| self.key(&key)));
        needs
    }

    fn of_new_instance(&self) -> Vec<Need> {
        let made = self.named("db", "DBInstanceIdentifier", "*");
        let mut needs = vec![self.on(made.clone())];
        for (kind, name) in [
            ("cluster", "DBClusterIdentifier"),
            ("pg", "DBParameterGroupName"),
            ("og", "OptionGroupName"),
            ("subgrp", "DBSubnetGroupName"),
        ] {
            if self.params.text(name).is_some() {
                needs.push(self.on(self.named(kind, name, "*")));
            }
        }
        needs.extend(self.tagging(made));
        needs
    }

    /// Tags that are given to what is made have to be allowed as such.
    fn tagging(&self, made: String) -> Option<Need> {
        (!self.params.tags().is_empty()).then(|| self.action("rds:AddTagsToResource", made))
    }

    fn key(&self, key: &str) -> Vec<Need> {
        let context = self.context.clone().with("kms:ViaService", self.asked.via("rds"));
        let need = |action: &&str| {
            let context = match *action {
                "kms:CreateGrant" => context.clone().with("kms:GrantIsForAWSResource", "true"),
                _ => context.clone(),
            };
            on_key(action, key, &context, Refusal::KeyBehindRds)
        };
        KEY_ACTIONS.iter().map(need).collect()
    }
}

/// The type and the name that an ARN ends in.
fn parts(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(7, ':').skip(5);
    Some((parts.next()?, parts.next()?))
}

fn tags_of<'r>(region: &'r Region, arn: &str) -> Option<(&'static str, &'r Tags)> {
    let (kind, id) = parts(arn)?;
    match kind {
        "db" => region.instances.get(id).map(|found| ("db", &found.settings.tags)),
        "cluster" => region.clusters.get(id).map(|found| ("cluster", &found.settings.tags)),
        "snapshot" => region.instance_snapshots.get(id).map(|found| ("snapshot", &found.settings.tags)),
        "cluster-snapshot" => region.cluster_snapshots.get(id).map(|found| ("cluster-snapshot", &found.settings.tags)),
        _ => None,
    }
}

/// The key that what is restored is encrypted with.
fn key_of(region: &Region, arn: &str) -> Option<String> {
    let (kind, id) = parts(arn)?;
    match kind {
        "db" => region.instances.get(id).and_then(|found| found.settings.kms_key.clone()),
        "cluster" => region.clusters.get(id).and_then(|found| found.settings.kms_key.clone()),
        "snapshot" => region.instance_snapshots.get(id).and_then(|found| found.settings.kms_key.clone()),
        "cluster-snapshot" => region.cluster_snapshots.get(id).and_then(|found| found.settings.kms_key.clone()),
        _ => None,
    }
}

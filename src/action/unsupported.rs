//! What drctl does not restore is refused by its name, with what to use instead.

use super::source::DatabaseDescription;
use crate::aws::Snapshot;
use crate::context::AppContext;
use crate::estate::{Database, DatabaseKind, Protocol};
use crate::runbook::Failure;
use crate::verify::documentdb_too_old;

const ELSEWHERE: &str = "use AWS Backup's restore testing with a validation of your own";

/// Refuses a source that is of no kind that drctl restores.
///
/// # Errors
/// With what it is, and what to do instead.
pub(super) async fn check(
    app: &AppContext,
    database: &Database,
    source: Option<&DatabaseDescription>,
) -> Result<(), Failure> {
    let Some(source) = source else {
        // A Multi-AZ DB cluster of RDS is not found where instances are looked for.
        if !database.kind.is_cluster()
            && let Ok(Some(cluster)) = app.aws.cluster(database.kind, &database.id).await
        {
            return Err(not_an_instance(database, &cluster.engine));
        }
        return Ok(());
    };
    if source.is_multi_az_cluster {
        return Err(multi_az_cluster(&database.id));
    }
    if let Some(failure) = engine_mode(&database.id, source.engine_mode.as_deref()) {
        return Err(failure);
    }
    match engine(database, &source.engine) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn not_an_instance(database: &Database, engine: &str) -> Failure {
    if engine.starts_with("aurora") || engine == "docdb" {
        let message = format!("`{}` is a cluster of `{engine}`, not of kind `{}`", database.id, database.kind);
        return Failure::refused(message, format!("correct `kind` of `{}`", database.id));
    }
    multi_az_cluster(&database.id)
}

fn multi_az_cluster(id: &str) -> Failure {
    let message = format!("`{id}` is a Multi-AZ DB cluster, which drctl does not restore");
    let hint = format!(
        "{ELSEWHERE}, or restore it by hand: `aws rds restore-db-cluster-from-snapshot --db-cluster-instance-class ...`"
    );
    Failure::refused(message, hint)
}

fn engine_mode(id: &str, mode: Option<&str>) -> Option<Failure> {
    (mode? == "serverless").then(|| {
        let message = format!("`{id}` is Aurora Serverless v1, which drctl does not restore");
        Failure::refused(message, "move it to Aurora Serverless v2 or to provisioned instances: AWS has ended v1")
    })
}

fn engine(database: &Database, engine: &str) -> Option<Failure> {
    if database.kind.matches_engine(engine) {
        return None;
    }
    let message = format!("`{}` is `{engine}`, not of kind `{}`", database.id, database.kind);
    let never = ["oracle", "sqlserver", "custom-", "db2", "neptune"];
    if never.iter().any(|name| engine.starts_with(name)) {
        let message = format!("`{}` is `{engine}`, which drctl does not test", database.id);
        return Some(Failure::refused(message, ELSEWHERE));
    }
    Some(Failure::refused(message, format!("correct `kind` of `{}`", database.id)))
}

/// Refuses an engine version that nothing here can connect to.
///
/// # Errors
/// For DocumentDB 3.6 and 4.0: the driver speaks to 5.0 and newer only.
pub(super) fn check_version(database: &Database, version: Option<&str>) -> Result<(), Failure> {
    let is_documents = database.kind.protocol() == Protocol::Mongo;
    match version.filter(|_| is_documents).and_then(documentdb_too_old) {
        Some(message) => {
            let hint = "upgrade the cluster to 5.0 (in place), or restore and check it by hand with an older client";
            Err(Failure::refused(message, hint))
        }
        None => Ok(()),
    }
}

/// Refuses names of things that are no snapshots of this Region.
///
/// # Errors
/// With what it names, and what to do instead.
pub(super) fn check_snapshot_name(app: &AppContext, database: &Database, id: &str) -> Result<(), Failure> {
    let mut parts = id.split(':');
    if parts.next() != Some("arn") {
        return Ok(());
    }
    let (service, region) = (parts.nth(1).unwrap_or_default(), parts.next().unwrap_or_default());
    if service == "backup" || id.contains(":recovery-point:") {
        let message = format!("`{id}` is a recovery point in an AWS Backup vault, which drctl does not restore");
        let hint = "use AWS Backup's restore testing; an `awsbackup:...` snapshot that RDS itself lists can be named";
        return Err(Failure::refused(message, hint));
    }
    if region != app.aws.region {
        let message = format!("snapshot `{id}` is in {region}, and copies are made in {}", app.aws.region);
        let verb = if database.kind.is_cluster() { "copy-db-cluster-snapshot" } else { "copy-db-snapshot" };
        let hint =
            format!("copy it first (`aws rds {verb}` with a key of this Region), or test it from an estate there");
        return Err(Failure::refused(message, hint));
    }
    Ok(())
}

/// Refuses a snapshot that AWS itself would refuse to restore.
///
/// # Errors
/// With what to do instead.
pub(super) fn check_snapshot(account: &str, database: &Database, snapshot: &Snapshot) -> Result<(), Failure> {
    if let Some(failure) = engine_mode(&snapshot.id, snapshot.engine_mode.as_deref()) {
        return Err(failure);
    }
    let is_foreign = snapshot.account().is_some_and(|owner| owner != account);
    let shared = snapshot.snapshot_type == "shared" || is_foreign;
    if !shared || snapshot.encrypted != Some(true) {
        return Ok(());
    }
    let message =
        format!("snapshot `{}` is shared and encrypted: AWS restores only a copy of it that you own", snapshot.id);
    Err(Failure::refused(message, copy_command(database.kind, &snapshot.arn)))
}

fn copy_command(kind: DatabaseKind, arn: &str) -> String {
    let (verb, prefix) = if kind.is_cluster() {
        ("copy-db-cluster-snapshot", "db-cluster-snapshot")
    } else {
        ("copy-db-snapshot", "db-snapshot")
    };
    format!(
        "copy it first: `aws rds {verb} --source-{prefix}-identifier {arn} --target-{prefix}-identifier NAME \
         --kms-key-id KEY`, then name the copy with `--point`"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::RunState;

    /// A database of a kind.
    pub(in crate::action) fn database(kind: &str) -> Database {
        let text = format!(
            "[estate]\nname = \"x\"\nregion = \"eu-west-1\"\n[objectives]\nrto = \"1h\"\nrpo = \"1h\"\n\
             [[database]]\nid = \"x\"\nkind = \"{kind}\"\n"
        );
        let estate = crate::config::parse("x", &text).expect("it is valid");
        estate.databases.into_iter().next().expect("there is one")
    }

    #[test]
    fn a_snapshot_that_is_shared_and_encrypted_has_to_be_copied_first() {
        let database = database("rds-postgresql");
        let theirs = Snapshot {
            arn: "arn:aws:rds:eu-west-1:999999999999:snapshot:theirs".to_owned(),
            snapshot_type: "manual".to_owned(),
            encrypted: Some(true),
            ..Snapshot::default()
        };
        let failure = check_snapshot("123456789012", &database, &theirs).expect_err("AWS refuses it");
        assert_eq!(failure.state, RunState::Refused);
        assert!(failure.hint.is_some_and(|hint| hint.contains("copy-db-snapshot") && hint.contains("--kms-key-id")));
        assert!(check_snapshot("999999999999", &database, &theirs).is_ok());
        let plain = Snapshot { encrypted: Some(false), ..theirs };
        assert!(check_snapshot("123456789012", &database, &plain).is_ok());
    }

    #[test]
    fn what_is_not_tested_is_refused_by_its_name() {
        let postgres = database("rds-postgresql");
        let refused = |name: &str| engine(&postgres, name).map(|failure| failure.message()).unwrap_or_default();
        assert!(refused("oracle-ee").contains("does not test"));
        assert!(refused("sqlserver-se").contains("does not test"));
        assert!(refused("mysql").contains("not of kind"));
        assert!(engine(&postgres, "postgres").is_none());
        assert!(
            engine_mode("x", Some("serverless")).is_some_and(|failure| failure.message().contains("Serverless v1"))
        );
        assert!(engine_mode("x", Some("provisioned")).is_none() && engine_mode("x", None).is_none());
        assert!(check_version(&database("documentdb"), Some("4.0.0")).is_err());
        assert!(check_version(&database("documentdb"), Some("5.0.0")).is_ok());
        assert!(check_version(&postgres, Some("9.6.24")).is_ok());
        assert!(not_an_instance(&postgres, "postgres").message().contains("Multi-AZ DB cluster"));
    }
}

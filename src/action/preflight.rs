//! What is looked at before anything is made. `drctl doctor` asks the same questions by the same functions.

use super::finding::Finding;
use super::point::{Point, PointType};
use super::wanted::{SERVERLESS, Wanted, family, is_allowed};
use super::{network, unsupported};
use crate::aws::{KeyState, resolve_secret};
use crate::context::AppContext;
use crate::estate::{Database, DatabaseKind, SecretRef, TlsMode};
use crate::runbook::Failure;
use crate::store::RunState;
use crate::verify::{Outcome, check_ca};

/// Where AWS publishes the authorities that sign RDS's and DocumentDB's certificates.
const BUNDLE: &str = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem";

/// The first finding that stands in the way. What could only not be asked is logged.
pub(super) fn refuse_on_first(database: &Database, findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        if let Some(failure) = finding.failure() {
            return Err(failure);
        }
        if finding.outcome != Outcome::Passed {
            tracing::warn!(target = %database.id, subject = finding.subject, found = finding.found, "going on all the same");
        }
    }
    Ok(())
}

/// What concerns the network and the account: the same for every database.
pub(crate) async fn of_estate(app: &AppContext) -> Vec<Finding> {
    let mut findings = vec![network::quarantine(app).await];
    findings.extend(network::security_groups(app).await);
    findings.extend(network::quotas(app, &["DBInstances", "DBClusters"]).await);
    findings
}

/// What concerns one copy. Classes that cannot be ordered are dropped while one is left that can.
pub(super) async fn of_copy(app: &AppContext, database: &Database, point: &Point, wanted: &mut Wanted) -> Vec<Finding> {
    let subject = |what: &str| format!("{} {what}", database.id);
    let mut findings = Vec::new();
    if let Err(failure) = unsupported::check_version(database, point.engine_version.as_deref()) {
        findings.push(Finding::of(subject("version"), &failure));
    }
    findings.push(class(app, database, wanted));
    findings.extend(orderable(app, database, point, wanted).await);
    findings.extend(parameter_group(app, database, point, wanted).await);
    findings.extend(network::option_group(app, database, wanted).await);
    findings.extend(key(app, database, point).await);
    findings.push(master_user(database, point));
    findings.extend(secret(app, database).await);
    findings.extend(ca(app, database));
    findings
}

/// Whether anybody says which class, and whether the configuration allows it.
fn class(app: &AppContext, database: &Database, wanted: &Wanted) -> Finding {
    let subject = format!("{} class", database.id);
    let allowed = &app.estate.quarantine.instance_classes;
    let Some(first) = wanted.classes.first() else {
        if !database.kind.is_cluster() && allowed.is_empty() {
            return Finding::pass(subject, "as its snapshot's");
        }
        let found = format!("nobody says which instance class the copy of `{}` shall have", database.id);
        return Finding::refused(
            subject,
            found,
            "add `instance_class = \"db.r6g.large\"` under `[database.restore_test]`",
        );
    };
    if let Some(class) = wanted.classes.iter().find(|class| !is_allowed(class, allowed)) {
        let found = format!("class `{class}` is none of those that copies may have: {}", allowed.join(", "));
        let hint = "give `instance_class`, or widen `instance_classes` under `[quarantine]`";
        return Finding::refused(subject, found, hint);
    }
    if first == SERVERLESS && wanted.capacity.is_none() {
        let found = format!("the copy of `{}` is to be `{SERVERLESS}`, and nobody says how far it scales", database.id);
        return Finding::refused(subject, found, "add `serverless_capacity = \"0.5-8\"`, or give `instance_class`");
    }
    Finding::pass(subject, format!("`{first}`"))
}

/// Whether the classes exist for this version here.
async fn orderable(app: &AppContext, database: &Database, point: &Point, wanted: &mut Wanted) -> Vec<Finding> {
    let subject = format!("{} orderable", database.id);
    let version = point.engine_version.as_deref();
    let (mut good, mut gone, mut zones) = (Vec::new(), Vec::new(), Vec::new());
    for class in &wanted.classes {
        match app.aws.orderable(&point.engine, version, class).await {
            Ok(options) if options.is_empty() => gone.push(class.clone()),
            Ok(options) => {
                zones.extend(options.into_iter().flat_map(|option| option.zones));
                good.push(class.clone());
            }
            Err(error) => return vec![Finding::not_asked(subject, &error)],
        }
    }
    if good.is_empty() && gone.is_empty() {
        return Vec::new();
    }
    let named = format!("{} {}", point.engine, version.unwrap_or_default());
    if good.is_empty() {
        if !matches!(app.aws.is_offered(&point.engine, version).await, Ok(true)) {
            let found = format!("AWS lists no class at all for {named}: the restore will tell");
            let fix = "upgrade the source: AWS no longer offers this version";
            return vec![Finding::fail(subject, Outcome::Unknown, found, fix)];
        }
        let found = format!("AWS does not offer {} for {named} in {}", quoted(&gone), app.aws.region);
        let hint = "choose another `instance_class`: `aws rds describe-orderable-db-instance-options --engine ENGINE`";
        return vec![Finding::refused(subject, found, hint)];
    }
    zones.sort();
    zones.dedup();
    let mut findings =
        vec![Finding::pass(&subject, format!("{} for {named}, in {} zones", quoted(&good), zones.len()))];
    if !gone.is_empty() {
        let found = format!("AWS does not offer {} for {named}", quoted(&gone));
        findings.push(Finding::fail(
            subject,
            Outcome::Unknown,
            found,
            "correct `instance_class` or `instance_classes`",
        ));
    }
    wanted.classes = good;
    findings
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether the parameter group is there and fits the version.
async fn parameter_group(app: &AppContext, database: &Database, point: &Point, wanted: &Wanted) -> Option<Finding> {
    let subject = format!("{} parameter group", database.id);
    let group = wanted.parameter_group.as_ref()?;
    if database.kind == DatabaseKind::Documentdb && point.kind == PointType::PointInTime {
        // The call has no place for it.
        return Some(Finding::pass(
            subject,
            format!("AWS's default: DocumentDB's restore in time does not take `{group}`"),
        ));
    }
    let hint = "give the copy one that fits: `parameter_group = \"...\"` under `[database.restore_test]`";
    let found = match app.aws.parameter_group_family(database.kind, group).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let found = format!("there is no parameter group `{group}` in {}", app.aws.region);
            return Some(Finding::refused(subject, found, hint));
        }
        Err(error) => return Some(Finding::not_asked(subject, &error)),
    };
    let needed = point.engine_version.as_deref().map(|version| family(&point.engine, version));
    match needed {
        Some(needed) if !found.is_empty() && found != needed => {
            let found = format!("parameter group `{group}` is of family `{found}`, and the backup needs `{needed}`");
            Some(Finding::refused(subject, found, hint))
        }
        _ => Some(Finding::pass(subject, format!("`{group}` of family `{found}`"))),
    }
}

async fn key(app: &AppContext, database: &Database, point: &Point) -> Option<Finding> {
    let subject = format!("{} key", database.id);
    let key = point.kms_key.as_ref()?;
    Some(match app.aws.key_state(key).await {
        KeyState::Enabled => Finding::pass(subject, "enabled"),
        KeyState::Unusable(state) => {
            let found = format!("key `{key}` is `{state}`: restore point `{}` cannot be decrypted", point.id);
            let fix = "enable the KMS key (or cancel its deletion) at once: backups depend on it";
            Finding::fail(subject, Outcome::Failed, found, fix).stopping_as(RunState::Failed)
        }
        KeyState::Unknown(reason) => {
            let found = format!("key `{key}` could not be looked at: {reason}");
            Finding::fail(subject, Outcome::Unknown, found, "allow `kms:DescribeKey`: `drctl iam-policy`")
        }
    })
}

/// Without a password drctl sets a new one, which AWS does for the master user alone.
fn master_user(database: &Database, point: &Point) -> Finding {
    let subject = format!("{} user", database.id);
    let test = &database.test;
    match (&test.username, &test.password, &point.master_username) {
        (Some(user), None, Some(master)) if user != master => {
            let found = format!(
                "without `password` drctl sets a new one for the master user, which is `{master}`, and logs in as `{user}`"
            );
            Finding::refused(subject, found, format!("remove `username`, or give the `password` of `{user}`"))
        }
        (Some(user), None, None) => {
            let found = format!("AWS does not say whether `{user}` is the master user, whose password drctl sets");
            Finding::fail(subject, Outcome::Unknown, found, format!("give the `password` of `{user}`"))
        }
        (None, _, None) => {
            let found = format!("AWS does not say who the master user of `{}` is", point.id);
            Finding::refused(subject, found, "add `username` under `[database.restore_test]`")
        }
        (Some(user), ..) => Finding::pass(subject, format!("`{user}`")),
        (None, _, Some(master)) => Finding::pass(subject, format!("`{master}`, the master user")),
    }
}

async fn secret(app: &AppContext, database: &Database) -> Option<Finding> {
    let subject = format!("{} password", database.id);
    let reference = database.test.password.as_ref()?;
    let hint = match reference {
        SecretRef::Env(name) => format!("export `{name}`"),
        SecretRef::File(path) => format!("write the password to `{}`", path.display()),
        SecretRef::SecretsManager { .. } => {
            "check the secret's name and that this role may read it (`drctl iam-policy`)".to_owned()
        }
    };
    Some(match resolve_secret(&app.aws, reference).await {
        Ok(_) => Finding::pass(subject, format!("`{reference}` can be read")),
        Err(error) => Finding::refused(subject, format!("{error:#}"), hint),
    })
}

/// Whether the server's certificate can be verified. AWS's authorities are in no system's store.
fn ca(app: &AppContext, database: &Database) -> Option<Finding> {
    let subject = format!("{} ca", database.id);
    let test = &database.test;
    let fix = format!("download {BUNDLE} and write `ca = \"global-bundle.pem\"` under `[database.restore_test]`");
    let Some(ca) = app.ca(database) else {
        if test.tls != TlsMode::VerifyFull {
            return None;
        }
        let found = format!("`{}` has no `ca`: no certificate of a copy could be verified", database.id);
        return Some(Finding::refused(subject, found, fix));
    };
    let shown = ca.display();
    Some(match check_ca(&ca) {
        Ok(()) => Finding::pass(subject, format!("`{shown}` is there")),
        Err(error) => Finding::refused(subject, format!("`ca` cannot be used: `{shown}`: {error}"), fix),
    })
}

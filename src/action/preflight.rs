//! What is looked at before anything is made: quarantine, subnet group, quotas, key, secret.

use crate::aws::{KeyState, Quota, resolve_secret};
use crate::estate::{Database, SecretRef};
use crate::runbook::{Context, Failure};
use crate::store::RunState;

use super::point::Point;

/// Refuses to start what cannot finish.
///
/// # Errors
/// With what stands in the way.
pub(super) async fn check(
    context: &Context<'_>,
    database: &Database,
    point: &Point,
    is_there: bool,
) -> Result<(), Failure> {
    quarantine(context).await?;
    if !is_there {
        quotas(context, database).await?;
    }
    key(context, point).await?;
    secret(context, database).await
}

async fn quarantine(context: &Context<'_>) -> Result<(), Failure> {
    let quarantine = &context.environment.estate.quarantine;
    let Some(group) = &quarantine.subnet_group else {
        if quarantine.allow_default_network {
            return Ok(());
        }
        let hint = "add `[quarantine]` with `subnet_group` and `security_groups`, or `allow_default_network = true`";
        return Err(Failure::refused("there is no quarantine to restore into", hint));
    };
    if quarantine.security_groups.is_empty() && !quarantine.allow_default_network {
        let hint = "add `security_groups = [\"sg-...\"]`, or `allow_default_network = true`";
        return Err(Failure::refused("without `security_groups` a copy would get its network's default one", hint));
    }
    match context.environment.aws.subnet_group(group).await? {
        Some(status) if status.eq_ignore_ascii_case("complete") || status.is_empty() => Ok(()),
        Some(status) => {
            let message = format!("subnet group `{group}` is `{status}`, not `Complete`");
            Err(Failure::refused(message, "mend its subnets, then run the test again"))
        }
        None => {
            let region = &context.environment.aws.region;
            let hint = "make it, or correct `subnet_group` under `[quarantine]`";
            Err(Failure::refused(format!("there is no subnet group `{group}` in {region}"), hint))
        }
    }
}

async fn quotas(context: &Context<'_>, database: &Database) -> Result<(), Failure> {
    let quotas = match context.environment.aws.quotas().await {
        Ok(quotas) => quotas,
        Err(error) => {
            tracing::warn!(run.id = %context.run.id, %error, "could not read the quotas; going on without");
            return Ok(());
        }
    };
    let needed: &[&str] = if database.kind.is_cluster() { &["DBInstances", "DBClusters"] } else { &["DBInstances"] };
    let full = |quota: &&Quota| needed.contains(&quota.name.as_str()) && quota.used >= quota.max;
    let Some(quota) = quotas.iter().find(full) else { return Ok(()) };
    let message =
        format!("the account has {} of {} `{}`: a restore could not finish", quota.used, quota.max, quota.name);
    let hint = "raise the quota in Service Quotas (a real recovery would need it too), or remove what is not used";
    Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), hint))
}

async fn key(context: &Context<'_>, point: &Point) -> Result<(), Failure> {
    let Some(key) = &point.kms_key else { return Ok(()) };
    match context.environment.aws.key_state(key).await {
        KeyState::Enabled => Ok(()),
        KeyState::Unusable(state) => {
            let message = format!("key `{key}` is `{state}`: restore point `{}` cannot be decrypted", point.id);
            Err(Failure::failed(message, "enable the KMS key (or cancel its deletion) at once: backups depend on it"))
        }
        KeyState::Unknown(reason) => {
            tracing::warn!(run.id = %context.run.id, key, reason, "could not look at the key; the restore will tell");
            Ok(())
        }
    }
}

async fn secret(context: &Context<'_>, database: &Database) -> Result<(), Failure> {
    let Some(reference) = &database.test.password else { return Ok(()) };
    let hint = match reference {
        SecretRef::Env(name) => format!("export `{name}`"),
        SecretRef::File(path) => format!("write the password to `{}`", path.display()),
        SecretRef::SecretsManager { .. } => {
            "check the secret's name and that this role may read it (`drctl iam-policy`)".to_owned()
        }
    };
    match resolve_secret(&context.environment.aws, reference).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(RunState::Refused, error, hint)),
    }
}

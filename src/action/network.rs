//! Whether the quarantine takes a copy: subnet group, security groups, VPC, quotas.

use super::finding::Finding;
use super::wanted::Wanted;
use crate::estate::Database;
use crate::runbook::Environment;
use crate::store::RunState;
use crate::verify::Outcome;

/// The quarantine itself.
pub(super) async fn quarantine(environment: &Environment) -> Finding {
    let subject = "quarantine";
    let quarantine = &environment.estate.quarantine;
    let Some(group) = &quarantine.subnet_group else {
        if quarantine.allow_default_network {
            return Finding::fine(subject, "none: copies go to the account's default network, as allowed");
        }
        let hint = "add `[quarantine]` with `subnet_group` and `security_groups`, or `allow_default_network = true`";
        return Finding::refused(subject, "there is no quarantine to restore into", hint);
    };
    if quarantine.security_groups.is_empty() && !quarantine.allow_default_network {
        let hint = "add `security_groups = [\"sg-...\"]`, or `allow_default_network = true`";
        return Finding::refused(subject, "without `security_groups` a copy would get its network's default one", hint);
    }
    match environment.aws.subnet_group(group).await {
        Ok(Some(found)) if found.status.eq_ignore_ascii_case("complete") || found.status.is_empty() => {
            let vpc = found.vpc.map_or_else(String::new, |vpc| format!(" in `{vpc}`"));
            Finding::fine(subject, format!("subnet group `{group}`{vpc}, {}", quarantine.security_groups.join(", ")))
        }
        Ok(Some(found)) => {
            let message = format!("subnet group `{group}` is `{}`, not `Complete`", found.status);
            Finding::refused(subject, message, "mend its subnets, then run the test again")
        }
        Ok(None) => {
            let message = format!("there is no subnet group `{group}` in {}", environment.aws.region);
            Finding::refused(subject, message, "make it, or correct `subnet_group` under `[quarantine]`")
        }
        Err(error) => {
            // Nothing is restored into a network that could not be looked at.
            let state = if error.kind == crate::aws::Kind::Denied { RunState::Refused } else { RunState::Unknown };
            Finding::not_asked(subject, &error).stopping_as(state)
        }
    }
}

/// The quotas of these names.
pub(super) async fn quotas(environment: &Environment, names: &[&str]) -> Vec<Finding> {
    let quotas = match environment.aws.quotas().await {
        Ok(quotas) => quotas,
        Err(error) => return vec![Finding::not_asked("quotas", &error)],
    };
    let needed = quotas.into_iter().filter(|quota| names.contains(&quota.name.as_str()));
    needed
        .map(|quota| {
            let subject = format!("quota {}", quota.name);
            if quota.used < quota.max {
                return Finding::fine(subject, format!("{} of {}", quota.used, quota.max));
            }
            let found =
                format!("the account has {} of {} `{}`: a restore could not finish", quota.used, quota.max, quota.name);
            let fix =
                "raise the quota in Service Quotas (a real recovery would need it too), or remove what is not used";
            Finding::bad(subject, Outcome::Failed, found, fix).stopping_as(RunState::Unknown)
        })
        .collect()
}

/// Whether the option group is there, and whether it and the quarantine are in one VPC: a group with options that
/// belong to a network is bound to one, and AWS then refuses any other.
pub(super) async fn option_group(environment: &Environment, database: &Database, wanted: &Wanted) -> Option<Finding> {
    let subject = format!("{} option group", database.id);
    let name = wanted.option_group.as_ref()?;
    let group = match environment.aws.option_group(name).await {
        Ok(Some(group)) => group,
        Ok(None) => {
            let found = format!("there is no option group `{name}` in {}", environment.aws.region);
            let fix = "name one that has the same options: `option_group = \"...\"` under `[database.restore_test]`";
            return Some(Finding::refused(subject, found, fix));
        }
        Err(error) => return Some(Finding::not_asked(subject, &error)),
    };
    let Some(bound_to) = &group.vpc else { return Some(Finding::fine(subject, format!("`{name}`"))) };
    let subnets = match &environment.estate.quarantine.subnet_group {
        Some(subnets) => environment.aws.subnet_group(subnets).await.ok().flatten(),
        None => None,
    };
    let vpc = subnets.and_then(|subnets| subnets.vpc);
    Some(judge_option_group(subject, name, bound_to, vpc.as_deref()))
}

fn judge_option_group(subject: String, name: &str, bound_to: &str, vpc: Option<&str>) -> Finding {
    match vpc {
        Some(vpc) if vpc == bound_to => Finding::fine(subject, format!("`{name}`, of the quarantine's VPC")),
        Some(vpc) => {
            let found = format!(
                "option group `{name}` is bound to `{bound_to}`, and the quarantine is in `{vpc}`: AWS refuses the restore"
            );
            let fix = format!(
                "copy it (`aws rds copy-option-group --source-option-group-identifier {name} \
                 --target-option-group-identifier NAME --target-option-group-description drctl`) and write \
                 `option_group = \"NAME\"`, or put the quarantine into `{bound_to}`"
            );
            Finding::refused(subject, found, fix)
        }
        None => {
            let found = format!("option group `{name}` is bound to `{bound_to}`, and the quarantine's VPC is unknown");
            Finding::bad(subject, Outcome::Unknown, found, "give the quarantine a `subnet_group`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_group_of_another_vpc_stops_a_restore() {
        let judged = |vpc| judge_option_group("x".to_owned(), "audit", "vpc-1", vpc);
        assert_eq!(judged(Some("vpc-1")).outcome, Outcome::Passed);
        let refused = judged(Some("vpc-2"));
        assert_eq!(refused.failure().map(|failure| failure.state), Some(RunState::Refused));
        assert!(refused.fix.is_some_and(|fix| fix.contains("copy-option-group")));
        assert_eq!(judged(None).outcome, Outcome::Unknown);
    }
}

//! Whether the quarantine takes a copy: subnet group, security groups, VPC, quotas.

use super::finding::Finding;
use super::wanted::Wanted;
use crate::aws::{ErrorKind, SecurityGroup};
use crate::context::AppContext;
use crate::estate::Database;
use crate::store::RunState;
use crate::verify::Outcome;

/// The quarantine itself.
pub(super) async fn quarantine(app: &AppContext) -> Finding {
    let subject = "quarantine";
    let quarantine = &app.estate.quarantine;
    let Some(group) = &quarantine.subnet_group else {
        if quarantine.allow_default_network {
            return Finding::pass(subject, "none: copies go to the account's default network, as allowed");
        }
        let hint = "add `[quarantine]` with `subnet_group` and `security_groups`, or `allow_default_network = true`";
        return Finding::refused(subject, "there is no quarantine to restore into", hint);
    };
    if quarantine.security_groups.is_empty() && !quarantine.allow_default_network {
        let hint = "add `security_groups = [\"sg-...\"]`, or `allow_default_network = true`";
        return Finding::refused(subject, "without `security_groups` a copy would get its network's default one", hint);
    }
    match app.aws.subnet_group(group).await {
        Ok(Some(found)) if found.status.eq_ignore_ascii_case("complete") || found.status.is_empty() => {
            let vpc = found.vpc.map_or_else(String::new, |vpc| format!(" in `{vpc}`"));
            Finding::pass(subject, format!("subnet group `{group}`{vpc}, {}", quarantine.security_groups.join(", ")))
        }
        Ok(Some(found)) => {
            let message = format!("subnet group `{group}` is `{}`, not `Complete`", found.status);
            Finding::refused(subject, message, "correct its subnets, then run the test again")
        }
        Ok(None) => {
            let message = format!("there is no subnet group `{group}` in {}", app.aws.region);
            Finding::refused(subject, message, "make it, or correct `subnet_group` under `[quarantine]`")
        }
        Err(error) => {
            // Nothing is restored into a network that could not be looked at.
            let state = if error.kind == ErrorKind::Denied { RunState::Refused } else { RunState::Unknown };
            Finding::not_asked(subject, &error).stopping_as(state)
        }
    }
}

/// The quarantine's security groups: whether they are there, in the VPC of its subnets, and whether anything in a copy could
/// reach out. Its events, jobs and subscriptions are production's, and start with it.
pub(super) async fn security_groups(app: &AppContext) -> Option<Finding> {
    let subject = "quarantine's way out";
    let quarantine = &app.estate.quarantine;
    if quarantine.security_groups.is_empty() {
        return None;
    }
    let groups = match app.aws.security_groups(&quarantine.security_groups).await {
        Ok(groups) => groups,
        Err(error)
            if error.kind == ErrorKind::NotFound || error.code.as_deref() == Some("InvalidGroupId.Malformed") =>
        {
            let found = format!("{} in {}", error.message, app.aws.region);
            return Some(Finding::refused(subject, found, "correct `security_groups` under `[quarantine]`"));
        }
        Err(error) => return Some(Finding::not_asked(subject, &error)),
    };
    let vpc = vpc_of(app).await;
    Some(judge_security_groups(subject, &quarantine.security_groups, &groups, vpc.as_deref()))
}

/// The VPC of the quarantine's subnets, where AWS says so.
async fn vpc_of(app: &AppContext) -> Option<String> {
    let subnets = app.estate.quarantine.subnet_group.as_ref()?;
    app.aws.subnet_group(subnets).await.ok().flatten()?.vpc
}

fn judge_security_groups(subject: &str, wanted: &[String], groups: &[SecurityGroup], vpc: Option<&str>) -> Finding {
    if let Some(missing) = wanted.iter().find(|id| !groups.iter().any(|group| &group.id == *id)) {
        let fix = "look at it with `aws ec2 describe-security-groups`";
        return Finding::fail(subject, Outcome::Unknown, format!("AWS does not tell the rules of `{missing}`"), fix);
    }
    if let Some((vpc, group)) = vpc.and_then(|vpc| Some((vpc, groups.iter().find(|group| group.vpc != vpc)?))) {
        let found = format!("`{}` is of `{}`, and the quarantine's subnets are in `{vpc}`", group.id, group.vpc);
        return Finding::refused(subject, found, "name security groups of the quarantine's VPC");
    }
    // Members of a group may speak to each other: copies are all that is in the quarantine.
    let leads_out = |group: &&SecurityGroup| group.egress.iter().any(|to| !wanted.contains(to));
    let Some(open) = groups.iter().find(leads_out) else {
        return Finding::pass(subject, "none: no outbound rule leads out of the security groups");
    };
    let to: Vec<&str> = open.egress.iter().filter(|to| !wanted.contains(to)).map(String::as_str).collect();
    let found = format!(
        "`{}` lets traffic out to {}: whether the subnets' routes stop it was not looked at, and what is scheduled or          subscribed inside a copy starts with it",
        open.id,
        to.join(", ")
    );
    let fix =
        "remove the group's outbound rules: a copy needs none, since answers to connections from outside pass anyway";
    Finding::fail(subject, Outcome::Unknown, found, fix)
}

/// The quotas of these names.
pub(super) async fn quotas(app: &AppContext, names: &[&str]) -> Vec<Finding> {
    let quotas = match app.aws.quotas().await {
        Ok(quotas) => quotas,
        Err(error) => return vec![Finding::not_asked("quotas", &error)],
    };
    let needed = quotas.into_iter().filter(|quota| names.contains(&quota.name.as_str()));
    needed
        .map(|quota| {
            let subject = format!("quota {}", quota.name);
            if quota.used < quota.max {
                return Finding::pass(subject, format!("{} of {}", quota.used, quota.max));
            }
            let found =
                format!("the account has {} of {} `{}`: a restore could not finish", quota.used, quota.max, quota.name);
            let fix =
                "raise the quota in Service Quotas (a real recovery would need it too), or remove what is not used";
            Finding::fail(subject, Outcome::Failed, found, fix).stopping_as(RunState::Unknown)
        })
        .collect()
}

/// Whether the option group is there, and whether it and the quarantine are in one VPC: a group with options that
/// belong to a network is bound to one, and AWS then refuses any other.
pub(super) async fn option_group(app: &AppContext, database: &Database, wanted: &Wanted) -> Option<Finding> {
    let subject = format!("{} option group", database.id);
    let name = wanted.option_group.as_ref()?;
    let group = match app.aws.option_group(name).await {
        Ok(Some(group)) => group,
        Ok(None) => {
            let found = format!("there is no option group `{name}` in {}", app.aws.region);
            let fix = "name one that has the same options: `option_group = \"...\"` under `[database.restore_test]`";
            return Some(Finding::refused(subject, found, fix));
        }
        Err(error) => return Some(Finding::not_asked(subject, &error)),
    };
    let Some(bound_to) = &group.vpc else { return Some(Finding::pass(subject, format!("`{name}`"))) };
    let vpc = vpc_of(app).await;
    Some(judge_option_group(subject, name, bound_to, vpc.as_deref()))
}

fn judge_option_group(subject: String, name: &str, bound_to: &str, vpc: Option<&str>) -> Finding {
    match vpc {
        Some(vpc) if vpc == bound_to => Finding::pass(subject, format!("`{name}`, of the quarantine's VPC")),
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
            Finding::fail(subject, Outcome::Unknown, found, "give the quarantine a `subnet_group`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_with_a_way_out_is_not_known_to_be_one() {
        let group = |id: &str, egress: &[&str]| SecurityGroup {
            id: id.to_owned(),
            vpc: "vpc-1".to_owned(),
            egress: egress.iter().map(|to| (*to).to_owned()).collect(),
        };
        let wanted = ["sg-1".to_owned(), "sg-2".to_owned()];
        let outcome = |groups: &[SecurityGroup], vpc| judge_security_groups("x", &wanted, groups, vpc).outcome;
        let closed = [group("sg-1", &[]), group("sg-2", &["sg-1", "sg-2"])];
        assert_eq!(outcome(&closed, Some("vpc-1")), Outcome::Passed);
        assert_eq!(outcome(&closed, Some("vpc-2")), Outcome::Failed);
        assert_eq!(outcome(&closed[..1], Some("vpc-1")), Outcome::Unknown);
        for leads_out in ["0.0.0.0/0", "::/0", "sg-3", "pl-1"] {
            let open = [group("sg-1", &[]), group("sg-2", &[leads_out])];
            assert_eq!(outcome(&open, Some("vpc-1")), Outcome::Unknown, "{leads_out}");
        }
    }

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

//! `drctl doctor`: is everything in order that a restore test needs? Changes nothing.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{progress, setup};
use crate::aws::{KeyState, resolve_secret};
use crate::duration;
use crate::estate::{Channel, Database, HostPort};
use crate::runbook::Environment;
use crate::verify::Outcome;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    subject: String,
    outcome: Outcome,
    found: String,
    fix: Option<String>,
}

fn fine(subject: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { subject: subject.into(), outcome: Outcome::Passed, found: found.into(), fix: None }
}

fn bad(subject: impl Into<String>, outcome: Outcome, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { subject: subject.into(), outcome, found: found.into(), fix: Some(fix.into()) }
}

pub(super) async fn run(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let loaded = setup::load(config)?;
    let (environment, account) = setup::environment(&loaded, CancellationToken::new(), progress::silent()).await?;
    let estate = &loaded.estate;
    let mut findings = vec![
        fine("configuration", format!("{} databases in `{}`", estate.databases.len(), loaded.path.display())),
        fine("credentials", format!("{} in account {}, {}", account.arn, account.id, estate.region)),
    ];
    findings.push(quarantine(&environment).await);
    findings.extend(quotas(&environment).await);
    for database in &estate.databases {
        findings.extend(examine(&environment, database).await);
    }
    for channel in &estate.channels {
        findings.push(channel_secrets(&environment, channel).await);
    }
    findings.extend(schedules(&environment));
    let worst = findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Passed);
    show(&findings, format)?;
    Ok(match worst {
        Outcome::Passed => Exit::Passed,
        Outcome::Unknown => Exit::Unknown,
        Outcome::Failed => Exit::Failed,
    })
}

/// Whether a channel's secrets can be read; `drctl notify test` tries the channel itself.
async fn channel_secrets(environment: &Environment, channel: &Channel) -> Finding {
    let subject = format!("channel {}", channel.name);
    for secret in channel.way.secrets() {
        if let Err(error) = resolve_secret(&environment.aws, secret).await {
            return bad(
                subject,
                Outcome::Failed,
                format!("{error:#}"),
                "make the secret readable where the daemon runs",
            );
        }
    }
    fine(subject, format!("{}; `drctl notify test {}` sends a trial message", channel.way.name(), channel.name))
}

/// When the daemon tests what.
fn schedules(environment: &Environment) -> Vec<Finding> {
    let now = environment.clock.now();
    let scheduled = environment.estate.databases.iter().filter_map(|database| {
        let timetable = database.test.timetable.as_ref()?;
        let subject = format!("{} schedule", database.id);
        Some(match timetable.next(now, now) {
            Some(next) => fine(subject, format!("`{timetable}`, next at {next}")),
            None => bad(subject, Outcome::Failed, format!("`{timetable}` never comes"), "see `drctl schedule`"),
        })
    });
    scheduled.collect()
}

async fn quarantine(environment: &Environment) -> Finding {
    let quarantine = &environment.estate.quarantine;
    let subject = "quarantine";
    let Some(group) = &quarantine.subnet_group else {
        if quarantine.allow_default_network {
            return fine(subject, "none: copies go to the account's default network, as allowed");
        }
        return bad(subject, Outcome::Failed, "not configured", "add `[quarantine]` with `subnet_group`");
    };
    match environment.aws.subnet_group(group).await {
        Ok(Some(status)) if status.is_empty() || status.eq_ignore_ascii_case("complete") => {
            fine(subject, format!("subnet group `{group}` is there"))
        }
        Ok(Some(status)) => {
            bad(subject, Outcome::Failed, format!("subnet group `{group}` is {status}"), "mend its subnets")
        }
        Ok(None) => bad(subject, Outcome::Failed, format!("there is no subnet group `{group}`"), "make it"),
        Err(error) => bad(subject, Outcome::Unknown, error.to_string(), error.hint()),
    }
}

async fn quotas(environment: &Environment) -> Vec<Finding> {
    match environment.aws.quotas().await {
        Ok(quotas) => quotas
            .into_iter()
            .filter(|quota| ["DBInstances", "DBClusters"].contains(&quota.name.as_str()))
            .map(|quota| {
                let found = format!("{} of {}", quota.used, quota.max);
                let subject = format!("quota {}", quota.name);
                if quota.used < quota.max {
                    fine(subject, found)
                } else {
                    bad(subject, Outcome::Failed, found, "raise it in Service Quotas: no restore could finish")
                }
            })
            .collect(),
        Err(error) => vec![bad("quotas", Outcome::Unknown, error.to_string(), error.hint())],
    }
}

async fn examine(environment: &Environment, database: &Database) -> Vec<Finding> {
    let subject = |what: &str| format!("{} {what}", database.id);
    let mut findings = vec![source(environment, database).await];
    findings.push(match environment.aws.snapshots(database.kind, &database.id).await {
        Ok(snapshots) => {
            let usable = snapshots.iter().filter(|snapshot| snapshot.is_usable());
            let newest = usable.clone().filter_map(crate::aws::Snapshot::taken_at).max();
            match newest {
                Some(at) => {
                    let age = environment.clock.now().duration_since(at).as_secs_f64();
                    fine(
                        subject("snapshots"),
                        format!("{} usable, the newest {} old", usable.count(), duration::show_seconds(age)),
                    )
                }
                None => bad(subject("snapshots"), Outcome::Failed, "none is usable", "turn on automated backups"),
            }
        }
        Err(error) => bad(subject("snapshots"), Outcome::Unknown, error.to_string(), error.hint()),
    });
    if let Some(reference) = &database.test.password {
        findings.push(match resolve_secret(&environment.aws, reference).await {
            Ok(_) => fine(subject("password"), format!("`{reference}` can be read")),
            Err(error) => bad(subject("password"), Outcome::Failed, format!("{error:#}"), "correct `password`"),
        });
    }
    if let Some(ca) = &database.test.ca {
        findings.push(match std::fs::metadata(ca) {
            Ok(_) => fine(subject("ca"), format!("`{}` is there", ca.display())),
            Err(error) => bad(subject("ca"), Outcome::Failed, format!("`{}`: {error}", ca.display()), "correct `ca`"),
        });
    }
    findings.push(reach(environment, database).await);
    findings
}

/// Whether a copy could be reached from here, as far as that can be told before there is one: by the tunnel, or by the
/// source's own endpoint.
async fn reach(environment: &Environment, database: &Database) -> Finding {
    let subject = format!("{} network", database.id);
    if let Some(tunnel) = &database.test.connect {
        return match knock(tunnel).await {
            Ok(()) => fine(subject, format!("the tunnel {tunnel} answers")),
            Err(reason) => bad(subject, Outcome::Failed, format!("the tunnel {tunnel} {reason}"), "open it"),
        };
    }
    let endpoint = if database.kind.is_cluster() {
        environment.aws.cluster(database.kind, &database.id).await.map(|found| found.and_then(|found| found.endpoint))
    } else {
        environment.aws.instance(&database.id).await.map(|found| found.and_then(|found| found.endpoint))
    };
    let fix = "run drctl where the quarantine can be reached, or give `connect` a tunnel";
    match endpoint {
        Ok(Some(endpoint)) => match knock(&endpoint).await {
            Ok(()) => fine(subject, format!("{endpoint} answers from here")),
            Err(reason) => bad(subject, Outcome::Unknown, format!("the source's {endpoint} {reason}"), fix),
        },
        Ok(None) => bad(subject, Outcome::Unknown, "the source has no endpoint to try", fix),
        Err(error) => bad(subject, Outcome::Unknown, error.to_string(), error.hint()),
    }
}

/// The source itself: there, of the right kind, and its key usable.
async fn source(environment: &Environment, database: &Database) -> Finding {
    let subject = format!("{} source", database.id);
    let found = if database.kind.is_cluster() {
        let cluster = environment.aws.cluster(database.kind, &database.id).await;
        cluster.map(|found| found.map(|cluster| (cluster.engine, cluster.status, cluster.kms_key)))
    } else {
        let instance = environment.aws.instance(&database.id).await;
        instance.map(|found| found.map(|instance| (instance.engine, instance.status, instance.kms_key)))
    };
    let (engine, status, key) = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let region = &environment.aws.region;
            return bad(subject, Outcome::Failed, format!("not in {region}"), "correct `id` or `region`");
        }
        Err(error) => return bad(subject, Outcome::Unknown, error.to_string(), error.hint()),
    };
    if !database.kind.matches_engine(&engine) {
        return bad(subject, Outcome::Failed, format!("is `{engine}`, not {}", database.kind), "correct `kind`");
    }
    let Some(key) = key else { return fine(subject, format!("{engine}, {status}")) };
    match environment.aws.key_state(&key).await {
        KeyState::Enabled => fine(subject, format!("{engine}, {status}, its key enabled")),
        KeyState::Unusable(state) => {
            bad(subject, Outcome::Failed, format!("its key is {state}"), "enable the key: backups depend on it")
        }
        KeyState::Unknown(reason) => {
            let found = format!("{engine}, {status}; its key may not be looked at: {reason}");
            bad(subject, Outcome::Unknown, found, "allow `kms:DescribeKey`: `drctl iam-policy`")
        }
    }
}

/// Whether somebody takes connections there.
async fn knock(place: &HostPort) -> Result<(), String> {
    let connect = tokio::net::TcpStream::connect((place.host.as_str(), place.port));
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("does not answer: {error}")),
        Err(_) => Err("does not answer".to_owned()),
    }
}

fn show(findings: &[Finding], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&serde_json::json!({ "schema": "drctl.doctor/1", "findings": findings }));
    }
    for finding in findings {
        output::data(&format!("{:<8} {:<32} {}", finding.outcome.name(), finding.subject, finding.found));
        if let Some(fix) = &finding.fix {
            output::data(&format!("{:<8} {:<32} hint: {fix}", "", ""));
        }
    }
    Ok(())
}

//! `drctl doctor`: is everything in order that a restore test needs? Changes nothing.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{progress, setup};
use crate::action::{Finding, examine, examine_estate, source_endpoint};
use crate::aws::{Account, CredentialsLife, resolve_secret};
use crate::estate::{Channel, Database, HostPort};
use crate::runbook::{Environment, outlast};
use crate::verify::Outcome;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let loaded = setup::load(config)?;
    let (environment, account) = setup::environment(&loaded, CancellationToken::new(), progress::silent()).await?;
    let estate = &loaded.estate;
    let mut findings = vec![
        Finding::fine("configuration", format!("{} databases in `{}`", estate.databases.len(), loaded.path.display())),
        credentials(&environment, &account).await,
    ];
    findings.extend(examine_estate(&environment).await);
    for database in &estate.databases {
        findings.extend(Box::pin(examine(&environment, database)).await);
        findings.push(reach(&environment, database).await);
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

/// Who we are, and whether the credentials last as long as the longest test and its cleaning up.
async fn credentials(environment: &Environment, account: &Account) -> Finding {
    let subject = "credentials";
    let found = format!("{} in account {}, {}", account.arn, account.id, environment.aws.region);
    let longest = environment.estate.databases.iter().map(|database| database.test.deadline).max().unwrap_or_default();
    let needed_until = environment.clock.now().checked_add(longest).unwrap_or(jiff::Timestamp::MAX);
    let fix = "use credentials that are renewed, such as those of a role by `role_arn`";
    match environment.aws.credentials_life().await {
        Ok(CredentialsLife::Lasting) => Finding::fine(subject, found),
        Ok(CredentialsLife::Until(end)) => match outlast(environment.clock.now(), needed_until, end) {
            Ok(()) => Finding::fine(subject, format!("{found}, until {end}")),
            Err(failure) => Finding::of(subject, &failure),
        },
        Ok(CredentialsLife::Temporary) => {
            let found = format!("{found}: they are temporary, and nobody says until when");
            Finding::bad(subject, Outcome::Unknown, found, fix)
        }
        Err(error) => Finding::not_asked(subject, &error),
    }
}

/// Whether a channel's secrets can be read; `drctl notify test` tries the channel itself.
async fn channel_secrets(environment: &Environment, channel: &Channel) -> Finding {
    let subject = format!("channel {}", channel.name);
    for secret in channel.way.secrets() {
        if let Err(error) = resolve_secret(&environment.aws, secret).await {
            return Finding::bad(
                subject,
                Outcome::Failed,
                format!("{error:#}"),
                "make the secret readable where the daemon runs",
            );
        }
    }
    Finding::fine(
        subject,
        format!("{}; `drctl notify test {}` sends a trial message", channel.way.name(), channel.name),
    )
}

/// When the daemon tests what.
fn schedules(environment: &Environment) -> Vec<Finding> {
    let now = environment.clock.now();
    let scheduled = environment.estate.databases.iter().filter_map(|database| {
        let timetable = database.test.timetable.as_ref()?;
        let subject = format!("{} schedule", database.id);
        Some(match timetable.next(now, now) {
            Some(next) => Finding::fine(subject, format!("`{timetable}`, next at {next}")),
            None => {
                Finding::bad(subject, Outcome::Failed, format!("`{timetable}` never comes"), "see `drctl schedule`")
            }
        })
    });
    scheduled.collect()
}

/// Whether a copy could be reached from here, as far as that can be told before there is one: by the tunnel, or by the
/// source's own endpoint.
async fn reach(environment: &Environment, database: &Database) -> Finding {
    let subject = format!("{} network", database.id);
    if let Some(tunnel) = &database.test.connect {
        return match knock(tunnel).await {
            Ok(()) => Finding::fine(subject, format!("the tunnel {tunnel} answers")),
            Err(reason) => Finding::bad(subject, Outcome::Failed, format!("the tunnel {tunnel} {reason}"), "open it"),
        };
    }
    let endpoint = source_endpoint(environment, database).await;
    let fix = "run drctl where the quarantine can be reached, or give `connect` a tunnel";
    match endpoint {
        Ok(Some(endpoint)) => match knock(&endpoint).await {
            Ok(()) => Finding::fine(subject, format!("{endpoint} answers from here")),
            Err(reason) => Finding::bad(subject, Outcome::Unknown, format!("the source's {endpoint} {reason}"), fix),
        },
        Ok(None) => Finding::bad(subject, Outcome::Unknown, "the source has no endpoint to try", fix),
        Err(error) => Finding::bad(subject, Outcome::Unknown, error.to_string(), error.hint()),
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

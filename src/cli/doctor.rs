//! `drctl doctor`: is everything in order that a restore test needs? Changes nothing.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress};
use crate::action::{Finding, examine, examine_estate, source_endpoint};
use crate::aws::{Account, CredentialsLife, resolve_secret};
use crate::context::AppContext;
use crate::estate::{Channel, Database, HostPort};
use crate::runbook::outlast;
use crate::verify::Outcome;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let (app, account) = bootstrap::app(&loaded, CancellationToken::new(), progress::silent()).await?;
    let estate = &loaded.estate;
    let mut findings = vec![
        Finding::pass("configuration", format!("{} databases in `{}`", estate.databases.len(), loaded.path.display())),
        credentials(&app, &account).await,
    ];
    findings.extend(examine_estate(&app).await);
    for database in &estate.databases {
        findings.extend(Box::pin(examine(&app, database)).await);
        findings.push(reach(&app, database).await);
    }
    for channel in &estate.channels {
        findings.push(channel_secrets(&app, channel).await);
    }
    findings.extend(schedules(&app));
    let worst = findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Passed);
    show(&findings, format)?;
    Ok(match worst {
        Outcome::Passed => Exit::Passed,
        Outcome::Unknown => Exit::Unknown,
        Outcome::Failed => Exit::Failed,
    })
}

/// Who we are, and whether the credentials last as long as the longest test and its cleaning up.
async fn credentials(app: &AppContext, account: &Account) -> Finding {
    let subject = "credentials";
    let found = format!("{} in account {}, {}", account.arn, account.id, app.aws.region);
    let longest = app.estate.databases.iter().map(|database| database.test.deadline).max().unwrap_or_default();
    let needed_until = app.clock.now().checked_add(longest).unwrap_or(jiff::Timestamp::MAX);
    let fix = "use credentials that are renewed, such as those of a role by `role_arn`";
    match app.aws.credentials_life().await {
        Ok(CredentialsLife::Lasting) => Finding::pass(subject, found),
        Ok(CredentialsLife::Until(end)) => match outlast(app.clock.now(), needed_until, end) {
            Ok(()) => Finding::pass(subject, format!("{found}, until {end}")),
            Err(failure) => Finding::of(subject, &failure),
        },
        Ok(CredentialsLife::Temporary) => {
            let found = format!("{found}: they are temporary, and nobody says until when");
            Finding::fail(subject, Outcome::Unknown, found, fix)
        }
        Err(error) => Finding::not_asked(subject, &error),
    }
}

/// Whether a channel's secrets can be read; `drctl notify test` tries the channel itself.
async fn channel_secrets(app: &AppContext, channel: &Channel) -> Finding {
    let subject = format!("channel {}", channel.name);
    for secret in channel.way.secrets() {
        if let Err(error) = resolve_secret(&app.aws, secret).await {
            return Finding::fail(
                subject,
                Outcome::Failed,
                format!("{error:#}"),
                "make the secret readable where the daemon runs",
            );
        }
    }
    Finding::pass(
        subject,
        format!("{}; `drctl notify test {}` sends a test notification", channel.way.name(), channel.name),
    )
}

/// When the daemon tests what.
fn schedules(app: &AppContext) -> Vec<Finding> {
    let now = app.clock.now();
    let scheduled = app.estate.databases.iter().filter_map(|database| {
        let timetable = database.test.timetable.as_ref()?;
        let subject = format!("{} schedule", database.id);
        Some(match timetable.next(now, now) {
            Some(next) => Finding::pass(subject, format!("`{timetable}`, next at {next}")),
            None => {
                Finding::fail(subject, Outcome::Failed, format!("`{timetable}` never fires"), "see `drctl schedule`")
            }
        })
    });
    scheduled.collect()
}

/// Whether a copy could be reached from here, as far as that can be told before there is one: by the tunnel, or by the
/// source's own endpoint.
async fn reach(app: &AppContext, database: &Database) -> Finding {
    let subject = format!("{} network", database.id);
    if let Some(tunnel) = &database.test.connect {
        return match tcp_probe(tunnel).await {
            Ok(()) => Finding::pass(subject, format!("the tunnel {tunnel} answers")),
            Err(reason) => Finding::fail(subject, Outcome::Failed, format!("the tunnel {tunnel} {reason}"), "open it"),
        };
    }
    let endpoint = source_endpoint(app, database).await;
    let fix = "run drctl where the quarantine can be reached, or give `connect` a tunnel";
    match endpoint {
        Ok(Some(endpoint)) => match tcp_probe(&endpoint).await {
            Ok(()) => Finding::pass(subject, format!("{endpoint} answers from here")),
            Err(reason) => Finding::fail(subject, Outcome::Unknown, format!("the source's {endpoint} {reason}"), fix),
        },
        Ok(None) => Finding::fail(subject, Outcome::Unknown, "the source has no endpoint to try", fix),
        Err(error) => Finding::fail(subject, Outcome::Unknown, error.to_string(), error.hint()),
    }
}

/// Whether somebody takes connections there.
async fn tcp_probe(place: &HostPort) -> Result<(), String> {
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
        output::print(&format!("{:<8} {:<32} {}", finding.outcome.name(), finding.subject, finding.found));
        if let Some(fix) = &finding.fix {
            output::print(&format!("{:<8} {:<32} hint: {fix}", "", ""));
        }
    }
    Ok(())
}

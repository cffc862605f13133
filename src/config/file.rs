//! The whole file: finds it, reads it, and puts the estate together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::problem::{ConfigError, Diagnostic};
use super::reader::{Section, Source};
use super::{daemon, database, notify, region, reserved};
use crate::estate::{Channel, Estate, Objectives, Quarantine, StateLocation, Transport};

/// The largest configuration that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// An AWS account's number has so many.
const ACCOUNT_DIGITS: usize = 12;
const DEFAULT_OBJECTIVES: Objectives = Objectives { rto: Duration::from_hours(1), rpo: Duration::from_hours(24) };

/// An estate and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its text, to see whether it has changed.
    pub text: String,
    /// What it says.
    pub estate: Estate,
    /// What is read all the same, and should be written otherwise.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a configuration file. Relative paths inside it are taken from its directory.
///
/// # Errors
/// Where it cannot be read, and [`ConfigError`] where it is not valid.
pub fn load(path: &Path) -> anyhow::Result<Loaded> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("failed to read the configuration `{shown}`"))?.len();
    anyhow::ensure!(size <= MAX_BYTES, "the configuration `{shown}` is larger than {MAX_BYTES} bytes");
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read the configuration `{shown}`"))?;
    let (mut estate, warnings) = parse_with_warnings(&shown.to_string(), &text)?;
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    if let StateLocation::Sqlite(state) = &mut estate.state.location {
        *state = directory.join(&state);
    }
    for channel in &mut estate.channels {
        if let Transport::Email(email) = &mut channel.way {
            email.ca = email.ca.take().map(|ca| directory.join(ca));
        }
    }
    for database in &mut estate.databases {
        database.test.ca = database.test.ca.take().map(|ca| directory.join(ca));
    }
    Ok(Loaded { path: path.to_owned(), text, estate, warnings })
}

/// Checks a configuration's text. `file` is only its name in messages.
///
/// # Errors
/// With every problem that the text has.
pub fn parse(file: &str, text: &str) -> Result<Estate, ConfigError> {
    parse_with_warnings(file, text).map(|(estate, _)| estate)
}

pub(super) fn parse_with_warnings(file: &str, text: &str) -> Result<(Estate, Vec<Diagnostic>), ConfigError> {
    let source = Source::new(file, text, 0);
    let table = source.parse()?;
    let estate = read(&source.root(table.get_ref()));
    let warnings = source.warnings();
    source.finish(estate).map(|estate| (estate, warnings))
}

fn read(root: &Section<'_, '_>) -> Option<Estate> {
    let objectives = root.section("objectives").map_or(DEFAULT_OBJECTIVES, |section| {
        let objectives = Objectives {
            rto: section.duration("rto").unwrap_or(DEFAULT_OBJECTIVES.rto),
            rpo: section.duration("rpo").unwrap_or(DEFAULT_OBJECTIVES.rpo),
        };
        section.finish();
        objectives
    });
    let quarantine = root.section("quarantine").map(|section| read_quarantine(&section)).unwrap_or_default();
    let state = root.section("state").map_or_else(|| Some(daemon::default_state()), |section| daemon::state(&section));
    let daemon_section = root.section("daemon");
    let zone = daemon_section.as_ref().map_or_else(daemon::utc, daemon::zone);
    let daemon = daemon_section.as_ref().map_or_else(|| daemon::default(&zone), |section| daemon::read(section, &zone));
    let sections = root.sections("database");
    let databases: Vec<_> = sections.iter().map(|section| database::read(section, objectives, &zone)).collect();
    report_duplicates(&sections, "id", "target");
    reserved::check(root, &sections);
    let channels = read_channels(root);
    let Some(head) = root.section("estate") else {
        root.report("estate", "is missing", "add `[estate]` with `name` and `region`");
        root.finish();
        return None;
    };
    let name = head.required_text("name");
    let region = region::read(&head, "region", head.required_text("region"));
    let environment = head.text("environment").unwrap_or_default();
    let backup_region = region::read(&head, "backup_region", head.text("backup_region"));
    let role_arn = head.parsed("role_arn", "an ARN such as `\"arn:aws:iam::123456789012:role/drctl\"`", |text| {
        text.starts_with("arn:").then(|| text.to_owned())
    });
    let account = read_account(&head, role_arn.as_deref());
    let external_id = head.text("external_id");
    if external_id.is_some() && role_arn.is_none() {
        head.report("external_id", "is for a role, and there is none", "add `role_arn`, or remove the line");
    }
    head.finish();
    root.finish();
    let databases: Vec<_> = databases.into_iter().collect::<Option<_>>()?;
    Some(Estate {
        timezone: daemon::common_zone(daemon_section.as_ref(), &zone, &databases),
        name: name?,
        environment,
        region: region?,
        backup_region,
        account,
        role_arn,
        external_id,
        objectives,
        state: state?,
        quarantine,
        databases,
        daemon: daemon?,
        channels: channels?,
    })
}

/// `[[notify]]` and `[[heartbeat]]`.
fn read_channels(root: &Section<'_, '_>) -> Option<Vec<Channel>> {
    let mut sections = root.sections("notify");
    let told: Vec<_> = sections.iter().map(notify::read).collect();
    let heartbeats = root.sections("heartbeat");
    let switches: Vec<_> =
        heartbeats.iter().map(|section| notify::read_heartbeat(section).map(|one| vec![one])).collect();
    sections.extend(heartbeats);
    report_duplicates(&sections, "name", "channel");
    Some(told.into_iter().chain(switches).collect::<Option<Vec<_>>>()?.concat())
}

/// The account that is meant. A role of another one cannot be meant.
fn read_account(head: &Section<'_, '_>, role_arn: Option<&str>) -> Option<String> {
    let account = head.parsed("account", "the account's twelve digits, such as `\"123456789012\"`", |text| {
        (text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
    })?;
    // arn:PARTITION:iam::ACCOUNT:role/NAME
    let of_role = role_arn.and_then(|arn| arn.split(':').nth(4));
    if let Some(of_role) = of_role.filter(|of_role| *of_role != account) {
        let message = format!("is `{account}`, and `role_arn` is of account `{of_role}`");
        head.report("account", message, "name the account that the role is of");
    }
    Some(account)
}

fn read_quarantine(section: &Section<'_, '_>) -> Quarantine {
    let quarantine = Quarantine {
        subnet_group: section.text("subnet_group"),
        security_groups: section.texts("security_groups"),
        allow_default_network: section.boolean("allow_default_network").unwrap_or(false),
        instance_classes: section.texts("instance_classes"),
    };
    section.finish();
    quarantine
}

/// Names are unique over all tables: a target's name must mean one thing.
fn report_duplicates(sections: &[Section<'_, '_>], key: &'static str, what: &str) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for section in sections {
        let Some(id) = section.raw(key).and_then(|value| value.as_str()) else { continue };
        if let Some(line) = first.get(id) {
            let message = format!("`{id}` is the name of another {what}, on line {line}");
            section.report(key, message, format!("give each {what} a name of its own"));
        } else {
            first.insert(id, section.line_of(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String, String)> {
        let invalid = parse("drctl.toml", text).expect_err("the text has problems");
        invalid.problems.into_iter().map(|p| (p.line, p.key, p.message)).collect()
    }

    const HEAD: &str = "[estate]\nname = \"shop\"\nregion = \"eu-west-1\"\n";

    #[test]
    fn a_small_file_gets_careful_defaults() {
        let estate = parse("x", &format!("{HEAD}[[database]]\nid = \"db\"\nkind = \"rds-mysql\"\n")).unwrap();
        let test = &estate.databases[0].test;
        assert_eq!(test.max_snapshot_age, Duration::from_hours(26));
        assert!(test.password.is_none() && test.keep_for.is_zero());
        assert_eq!(test.tls, crate::estate::TlsMode::VerifyFull);
    }

    #[test]
    fn every_problem_is_named_at_once_with_its_line() {
        let text = format!(
            "{HEAD}colour = \"red\"\n[[database]]\nid = \"db\"\nkind = \"oracle\"\nrto = \"15 minutes\"\n\
             [database.restore_test]\npassword = \"hunter2\"\n[[database]]\nid = \"db\"\nkind = \"documentdb\"\n"
        );
        let found = problems(&text);
        let keys: Vec<_> = found.iter().map(|(line, key, _)| (*line, key.as_str())).collect();
        let expected = [
            (4, "estate.colour"),
            (7, "database.kind"),
            (8, "database.rto"),
            (10, "database.restore_test.password"),
            (12, "database.id"),
        ];
        assert_eq!(keys, expected);
        assert!(found.iter().all(|(_, _, message)| !message.contains("hunter2")));
    }

    #[test]
    fn each_recipient_of_a_mail_is_a_channel() {
        let text = |to: &str| {
            format!(
                "{HEAD}[[notify]]\nname = \"mail\"\n[notify.email]\nsmtp = \"smtps://localhost\"\n\
                 from = \"drctl@example.com\"\nto = [{to}]\n"
            )
        };
        let names = |to: &str| {
            parse("x", &text(to)).unwrap().channels.into_iter().map(|channel| channel.name).collect::<Vec<_>>()
        };
        assert_eq!(names("\"dba@example.com\""), ["mail"]);
        let two = names("\"dba@example.com\", \"On call <ops@example.com>\", \"dba@example.com\"");
        assert_eq!(two, ["mail/ops@example.com", "mail/dba@example.com"]);
        assert_eq!(problems(&text(""))[0].1, "notify.email.to");
        assert_eq!(problems(&text("\"nobody\""))[0].1, "notify.email.to");
    }

    #[test]
    fn a_sinks_token_is_no_plain_text() {
        let found = problems(&format!("{HEAD}[sink]\ntoken = \"hunter2\"\n"));
        assert!(found[0].1 == "sink.token" && !found[0].2.contains("hunter2"), "{found:?}");
    }

    #[test]
    fn a_misspelt_key_is_told_its_neighbour() {
        let invalid = parse("x", &format!("{HEAD}[quarantine]\nsubnet_groop = \"a\"\n")).unwrap_err();
        assert_eq!(invalid.problems[0].hint, "did you mean `subnet_group`?");
    }

    #[test]
    fn an_account_is_twelve_digits_and_the_roles() {
        let account = |lines: &str| parse("x", &format!("{HEAD}{lines}\n"));
        assert_eq!(account("account = \"123456789012\"").unwrap().account.as_deref(), Some("123456789012"));
        assert_eq!(account("account = \"12345678901\"").unwrap_err().problems[0].key, "estate.account");
        let role = "role_arn = \"arn:aws:iam::210987654321:role/drctl\"";
        assert!(account(&format!("{role}\naccount = \"210987654321\"\nexternal_id = \"x\"")).is_ok());
        let other = account(&format!("{role}\naccount = \"123456789012\"")).unwrap_err();
        assert!(other.problems[0].message.contains("210987654321"), "{other:?}");
        assert_eq!(account("external_id = \"x\"").unwrap_err().problems[0].key, "estate.external_id");
    }

    #[test]
    fn what_is_no_toml_is_told_its_line() {
        assert_eq!(problems("[estate\nname = 1")[0].0, 1);
    }

    #[test]
    fn an_aggregation_that_writes_is_refused() {
        let text = format!(
            "{HEAD}[[database]]\nid = \"db\"\nkind = \"documentdb\"\n[[database.restore_test.check]]\nname = \"x\"\n\
             collection = \"c\"\naggregate = '[{{\"$out\": \"d\"}}]'\nexpect = \"empty\"\n"
        );
        assert_eq!(problems(&text)[0].1, "database.restore_test.check.aggregate");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]a-z_=\"0-9. \n{},-]{0,200}") {
            let _ = parse("x", &text);
        }
    }
}

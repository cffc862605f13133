//! `[[database]]`: one database, its objectives and its restore test.

use std::time::Duration;

use super::daemon::{self, Zone};
use super::notify::secret;
use super::reader::Section;
use super::reserved;
use crate::estate::{
    ContentMode, CustomCheck, Database, DatabaseKind, Expectation, HostPort, Objectives, PointChoice, Probe, Protocol,
    RestoreTest, ServerlessV2Scaling, TlsMode,
};

const HOUR: Duration = Duration::from_hours(1);
const DEFAULT_DEADLINE: Duration = Duration::from_hours(2);
const DEFAULT_MAX_SNAPSHOT_AGE: Duration = Duration::from_hours(26);
const DEFAULT_RANDOM_WINDOW: Duration = Duration::from_hours(720);
/// The longest identifier that RDS takes.
const ID_CHARS: usize = 63;

/// Reads one database; `None` where something was wrong, which is then reported.
pub(super) fn read(section: &Section<'_, '_>, estate: Objectives, zone: &Zone) -> Option<Database> {
    let id = section.required_text("id");
    if let Some(id) = &id {
        check_identifier(section, id);
    }
    if !section.has("kind") {
        section.report("kind", "is missing", "add `kind = \"rds-postgresql\"` or another of the five kinds");
    }
    let kind = read_kind(section);
    let objectives = Objectives {
        rto: section.duration("rto").unwrap_or(estate.rto),
        rpo: section.duration("rpo").unwrap_or(estate.rpo),
    };
    let retention = section.duration("retention");
    reserved::check_connections(section);
    reserved::check_dependencies(section);
    let test = section.section("restore_test").map(|test| {
        let read = read_test(&test, kind, zone);
        check_cleartext(&test, read.as_ref());
        read
    });
    section.finish();
    let test = test.unwrap_or_else(|| Some(default_test(kind?)));
    Some(Database { id: id?, kind: kind?, objectives, retention, test: test? })
}

/// What drctl does not test is refused by its name, with what does.
fn read_kind(section: &Section<'_, '_>) -> Option<DatabaseKind> {
    let written = section.raw("kind").and_then(|value| value.as_str()).unwrap_or_default().to_ascii_lowercase();
    let others = ["oracle", "sqlserver", "sql-server", "db2", "neptune"];
    let Some(other) = others.iter().find(|name| written.contains(**name)) else {
        return section.choice("kind", &DatabaseKind::ALL);
    };
    let hint = "use AWS Backup's restore testing with a validation of your own; drctl tests PostgreSQL, MySQL, MariaDB \
                and DocumentDB";
    section.report("kind", format!("{other} is not tested by drctl"), hint);
    None
}

fn check_identifier(section: &Section<'_, '_>, id: &str) {
    let shape = id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !id.ends_with('-')
        && !id.contains("--")
        && id.len() <= ID_CHARS;
    if !shape {
        let hint = "write the identifier as AWS shows it: letters, digits and single hyphens, 63 at most";
        section.report("id", format!("`{id}` cannot be an RDS identifier"), hint);
    }
}

fn default_test(kind: DatabaseKind) -> RestoreTest {
    RestoreTest {
        timetable: None,
        point: PointChoice::Latest,
        random_window: DEFAULT_RANDOM_WINDOW,
        max_snapshot_age: DEFAULT_MAX_SNAPSHOT_AGE,
        instance_class: None,
        instance_classes: Vec::new(),
        parameter_group: None,
        option_group: None,
        capacity: None,
        storage_type: None,
        iops: None,
        storage_throughput: None,
        deadline: DEFAULT_DEADLINE,
        keep_for: Duration::ZERO,
        database: default_database(kind).to_owned(),
        username: None,
        password: None,
        tls: TlsMode::VerifyFull,
        ca: None,
        connect: None,
        row_tolerance: 0.0,
        content: ContentMode::Full,
        checks: Vec::new(),
    }
}

fn default_database(kind: DatabaseKind) -> &'static str {
    match kind.protocol() {
        Protocol::Postgres => "postgres",
        Protocol::Mysql => "mysql",
        Protocol::Mongo => "admin",
    }
}

fn read_test(section: &Section<'_, '_>, kind: Option<DatabaseKind>, zone: &Zone) -> Option<RestoreTest> {
    let checks: Vec<_> = section.sections("check").iter().map(|check| read_check(check, kind)).collect();
    let checks: Option<Vec<_>> = checks.into_iter().collect();
    let checks_are_valid = checks.is_some();
    let tls = section
        .choice("tls", &[("verify-full", TlsMode::VerifyFull), ("require", TlsMode::Require), ("off", TlsMode::Off)]);
    let test = RestoreTest {
        timetable: daemon::timetable(section, "schedule", zone),
        point: section.text("point").map_or(PointChoice::Latest, |text| PointChoice::parse(&text)),
        random_window: section.duration("random_window").unwrap_or(DEFAULT_RANDOM_WINDOW),
        max_snapshot_age: section.duration("max_snapshot_age").unwrap_or(DEFAULT_MAX_SNAPSHOT_AGE),
        instance_class: section.parsed("instance_class", "a class such as `\"db.r6g.large\"`", |text| {
            text.starts_with("db.").then(|| text.to_owned())
        }),
        instance_classes: fallback_classes(section),
        parameter_group: section.text("parameter_group"),
        option_group: option_group(section, kind),
        capacity: section.parsed("serverless_capacity", "the least and the most units: `\"0.5-16\"`", capacity),
        storage_type: section.text("storage_type"),
        iops: provisioned(section, "iops", kind),
        storage_throughput: provisioned(section, "storage_throughput", kind),
        deadline: deadline(section),
        keep_for: section.duration("keep_for").unwrap_or_default(),
        database: section.text("database").unwrap_or_else(|| kind.map_or("", default_database).to_owned()),
        username: username(section, kind),
        password: secret(section, "password"),
        tls: tls.unwrap_or(TlsMode::VerifyFull),
        ca: section.text("ca").map(Into::into),
        connect: section.parsed("connect", "`\"host:port\"`", HostPort::parse),
        row_tolerance: row_tolerance(section),
        content: content(section),
        checks: checks.unwrap_or_default(),
    };
    section.finish();
    checks_are_valid.then_some(test)
}

/// AWS reserves `admin` on PostgreSQL and DocumentDB: no such master user can exist there.
fn username(section: &Section<'_, '_>, kind: Option<DatabaseKind>) -> Option<String> {
    let username = section.text("username")?;
    let protocol = kind.map(DatabaseKind::protocol);
    if username.eq_ignore_ascii_case("admin") && matches!(protocol, Some(Protocol::Postgres | Protocol::Mongo)) {
        let hint = "remove the line: the master user is read from the backup; or name the user that `password` is of";
        section.report("username", "`admin` is reserved on PostgreSQL and DocumentDB: no such user can exist", hint);
    }
    Some(username)
}

fn fallback_classes(section: &Section<'_, '_>) -> Vec<String> {
    let classes = section.texts("instance_classes");
    if let Some(wrong) = classes.iter().find(|class| !class.starts_with("db.")) {
        let hint = "write classes such as `[\"db.r6g.large\", \"db.r7g.large\"]`";
        section.report("instance_classes", format!("`{wrong}` is no instance class"), hint);
    }
    classes
}

fn option_group(section: &Section<'_, '_>, kind: Option<DatabaseKind>) -> Option<String> {
    let group = section.text("option_group")?;
    if kind.is_some_and(DatabaseKind::is_cluster) {
        section.report(
            "option_group",
            "is only for instances: AWS gives clusters none of one's own",
            "remove the line",
        );
    }
    Some(group)
}

/// `0.5-16`: the least and the most capacity units of Serverless v2, in steps of a half.
fn capacity(text: &str) -> Option<ServerlessV2Scaling> {
    let (least, most) = text.split_once('-')?;
    let (least, most): (f64, f64) = (least.trim().parse().ok()?, most.trim().parse().ok()?);
    let is_step = |units: f64| (0.0..=256.0).contains(&units) && (units * 2.0).fract() == 0.0;
    (is_step(least) && is_step(most) && most >= 1.0 && least <= most)
        .then_some(ServerlessV2Scaling { min: least, max: most })
}

fn provisioned(section: &Section<'_, '_>, key: &'static str, kind: Option<DatabaseKind>) -> Option<i32> {
    let number = section.count(key)?;
    if kind.is_some_and(DatabaseKind::is_cluster) {
        section.report(key, "is only for instances: a cluster's storage has no such setting", "remove the line");
    }
    let number = i32::try_from(number).ok().filter(|number| *number > 0);
    if number.is_none() {
        section.report(key, "is out of range", format!("write `{key} = 3000`"));
    }
    number
}

/// A password in the clear stays on this machine: it may go to the near end of a tunnel, and nowhere else.
fn check_cleartext(section: &Section<'_, '_>, test: Option<&RestoreTest>) {
    let Some(test) = test.filter(|test| test.tls == TlsMode::Off) else { return };
    if !test.connect.as_ref().is_some_and(HostPort::is_loopback) {
        let hint = "write `tls = \"verify-full\"`, or let `connect` name a tunnel's end on this machine";
        section.report("tls", "would send the password in the clear beyond this machine", hint);
    }
}

fn deadline(section: &Section<'_, '_>) -> Duration {
    let Some(deadline) = section.duration("deadline") else { return DEFAULT_DEADLINE };
    if deadline.is_zero() || deadline > 48 * HOUR {
        section.report("deadline", "must be between 1s and 48h", "write `deadline = \"2h\"`");
    }
    deadline
}

/// `settled` is what `immutable` was called before.
fn content(section: &Section<'_, '_>) -> ContentMode {
    if section.raw("content").and_then(|value| value.as_str()) == Some("settled") {
        let message = "`settled` is now called `immutable`; the old name will go";
        section.warn("content", message, "write `content = \"immutable\"`");
        return ContentMode::Settled;
    }
    let mode = section.choice("content", &[("full", ContentMode::Full), ("immutable", ContentMode::Settled)]);
    mode.unwrap_or(ContentMode::Full)
}

fn row_tolerance(section: &Section<'_, '_>) -> f64 {
    let percent = section.parsed("row_tolerance", "a share such as `\"1%\"`", |text| {
        let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
        (0.0..=100.0).contains(&number).then_some(number / 100.0)
    });
    percent.unwrap_or(0.0)
}

fn read_check(section: &Section<'_, '_>, kind: Option<DatabaseKind>) -> Option<CustomCheck> {
    let name = section.required_text("name");
    let mongo = kind.map(|kind| kind.protocol() == Protocol::Mongo);
    let immutable = section.renamed("settled", "immutable");
    let probe = match ["sql", "aggregate", "newest", immutable].map(|key| section.has(key)) {
        // Where the kind is wrong, that is the one mistake.
        [true, false, false, false] if mongo != Some(true) => read_sql(section),
        [false, true, false, false] if mongo != Some(false) => read_aggregate(section),
        [false, false, true, false] => read_newest(section),
        [false, false, false, true] => read_immutable(section, immutable),
        _ => {
            let query = match mongo {
                Some(true) => "`collection` and `aggregate` with `expect`",
                _ => "`sql` with `expect`",
            };
            let hint = format!("give it exactly one of {query}; `newest` with `within`; `immutable` with `older_than`");
            section.report("", "does not say what to look at", hint);
            for key in ["expect", "within", "collection", section.renamed("after", "older_than")] {
                let _ = section.has(key);
            }
            None
        }
    };
    section.finish();
    Some(CustomCheck { name: name?, probe: probe? })
}

fn expectation(section: &Section<'_, '_>) -> Option<Expectation> {
    if !section.has("expect") {
        section.report("expect", "is missing", "add `expect = \">= 1\"`, `\"empty\"`, `\"not empty\"` or a value");
    }
    section.parsed("expect", "`\">= 1\"`, `\"== 0\"`, `\"empty\"`, `\"not empty\"` or a value", Expectation::parse)
}

fn read_sql(section: &Section<'_, '_>) -> Option<Probe> {
    let sql = section.text("sql");
    let expect = expectation(section);
    Some(Probe::Sql { sql: sql?, expect: expect? })
}

fn read_aggregate(section: &Section<'_, '_>) -> Option<Probe> {
    let collection = section.required_text("collection");
    let pipeline = section.parsed("aggregate", "a JSON array of stages", |text| {
        serde_json::from_str::<Vec<serde_json::Value>>(text).ok()
    });
    if let Some(stage) = pipeline.iter().flatten().find_map(writing_stage) {
        let hint =
            format!("take `{stage}` out: checks read only, and what a stage yields is judged without being stored");
        section.report("aggregate", format!("has a `{stage}`, which writes; no check may write"), hint);
    }
    let expect = expectation(section);
    Some(Probe::Aggregate { collection: collection?, pipeline: pipeline?, expect: expect? })
}

/// The stage that writes, if there is one: also inside `$facet`, `$lookup` and `$unionWith`, which have pipelines of
/// their own. `serde_json` lets nothing through that is nested deeper than 128 levels.
fn writing_stage(json: &serde_json::Value) -> Option<&'static str> {
    match json {
        serde_json::Value::Array(values) => values.iter().find_map(writing_stage),
        serde_json::Value::Object(fields) => ["$out", "$merge"]
            .into_iter()
            .find(|stage| fields.contains_key(*stage))
            .or_else(|| fields.values().find_map(writing_stage)),
        _ => None,
    }
}

fn relation_and_column(text: &str) -> Option<(String, String)> {
    let (relation, column) = text.rsplit_once('.')?;
    (!relation.is_empty() && !column.is_empty()).then(|| (relation.to_owned(), column.to_owned()))
}

fn read_newest(section: &Section<'_, '_>) -> Option<Probe> {
    let place = section.parsed("newest", "`\"table.column\"`", relation_and_column);
    if !section.has("within") {
        section.report("within", "is missing", "add `within = \"1h\"`: how far before the restore point it may lie");
    }
    let within = section.duration("within");
    let (relation, column) = place?;
    Some(Probe::Newest { relation, column, within: within? })
}

fn read_immutable(section: &Section<'_, '_>, key: &'static str) -> Option<Probe> {
    let place = section.parsed(key, "`\"table.column\"`", relation_and_column);
    let older_than = section.renamed("after", "older_than");
    if !section.has(older_than) {
        let hint = "add `older_than = \"7d\"`: the age from which rows no longer change";
        section.report(older_than, "is missing", hint);
    }
    let settled_after = section.duration(older_than);
    let (relation, column) = place?;
    Some(Probe::Settled { relation, column, settled_after: settled_after? })
}

#[cfg(test)]
mod tests {
    use super::capacity;

    #[test]
    fn serverless_capacity_is_a_range_in_half_units() {
        assert_eq!(capacity("0.5-16").map(|capacity| (capacity.min, capacity.max)), Some((0.5, 16.0)));
        assert_eq!(capacity("0-1").map(|capacity| capacity.min), Some(0.0));
        for wrong in ["16-0.5", "0.3-4", "0.5", "1-300", "a-b", "0-0.5"] {
            assert_eq!(capacity(wrong), None, "{wrong}");
        }
    }
}

//! What a copy is to be like: as its source, unless the configuration says otherwise. Pure.

use super::point::Point;
use super::source::SourceSettings;
use crate::aws::Storage;
use crate::estate::{Database, ServerlessV2Scaling};

/// The class of a Serverless v2 instance.
pub(super) const SERVERLESS: &str = "db.serverless";

/// What a copy is to be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// The instance class, and those to take where there is no capacity of it. Empty where nobody says.
    pub(super) classes: Vec<String>,
    pub(super) parameter_group: Option<String>,
    /// Of a cluster's instance.
    pub(super) member_parameter_group: Option<String>,
    pub(super) lifecycle: Option<String>,
    pub(super) option_group: Option<String>,
    pub(super) storage: Storage,
    pub(super) capacity: Option<ServerlessV2Scaling>,
}

impl Wanted {
    /// `source` is the live source's, or what the last passed run remembers of it.
    pub(super) fn decide(
        database: &Database,
        point: &Point,
        source: Option<&SourceSettings>,
        given_class: Option<String>,
    ) -> Self {
        let test = &database.test;
        let of_source = source.and_then(|source| source.class.clone());
        let mut classes: Vec<String> =
            given_class.or_else(|| test.instance_class.clone()).or(of_source).into_iter().collect();
        for class in &test.instance_classes {
            if !classes.contains(class) {
                classes.push(class.clone());
            }
        }
        // A group fits one family: an older snapshot's copy gets that version's default.
        let fits = source.filter(|source| {
            let of_point = point.engine_version.as_deref();
            of_point
                .is_none_or(|of_point| family(&point.engine, &source.engine_version) == family(&point.engine, of_point))
        });
        let option_group = test.option_group.clone().or_else(|| point.option_group.clone()).or_else(|| {
            let source = fits?;
            source.option_group.clone()
        });
        Self {
            classes,
            // Default groups belong to a version; AWS takes the right one by itself.
            parameter_group: test.parameter_group.clone().or_else(|| {
                let of_source = fits?.parameter_group.clone();
                of_source.filter(|group| !group.starts_with("default."))
            }),
            member_parameter_group: fits
                .and_then(|source| source.member_parameter_group.clone())
                .filter(|group| !group.starts_with("default.")),
            lifecycle: source.and_then(|source| source.lifecycle.clone()),
            option_group: option_group.filter(|group| !database.kind.is_cluster() && !group.starts_with("default:")),
            storage: storage(database, point, source),
            capacity: test.capacity.or_else(|| source.and_then(|source| source.capacity)),
        }
    }
}

fn storage(database: &Database, point: &Point, source: Option<&SourceSettings>) -> Storage {
    let test = &database.test;
    let as_is = source.map_or_else(|| point.storage.clone(), |source| source.storage.clone());
    let kind = test.storage_type.clone().or_else(|| as_is.kind.clone()).filter(|kind| !kind.is_empty());
    if database.kind.is_cluster() {
        return Storage { kind, ..Storage::default() };
    }
    // The figures of one type mean nothing for another.
    let same = kind == as_is.kind;
    Storage {
        iops: test.iops.or(as_is.iops.filter(|_| same)),
        throughput: test.storage_throughput.or(as_is.throughput.filter(|_| same)),
        allocated_gib: point.storage.allocated_gib.or(as_is.allocated_gib),
        kind,
    }
}

/// The family of parameter groups that a version belongs to, such as `postgres15`, `mysql8.0`, `mariadb10.11`,
/// `aurora-mysql8.0` or `docdb5.0`. PostgreSQL has one number a family since 10; all others have two.
pub(super) fn family(engine: &str, version: &str) -> String {
    let mut parts = version.split('.');
    let first = parts.next().unwrap_or_default();
    let is_postgres = matches!(engine, "postgres" | "aurora-postgresql");
    let one_number = is_postgres && first.parse::<u32>().is_ok_and(|number| number >= 10);
    match parts.next() {
        Some(second) if !one_number => format!("{engine}{first}.{second}"),
        _ => format!("{engine}{first}"),
    }
}

/// Whether a class is among `patterns`, in which `*` stands for any text. None at all allow everything.
pub(super) fn is_allowed(class: &str, patterns: &[String]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(class, pattern))
}

fn matches(text: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return text == pattern };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(rest, tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_aws_names_them() {
        for (engine, version, expected) in [
            ("postgres", "15.3", "postgres15"),
            ("postgres", "9.6.24", "postgres9.6"),
            ("mysql", "8.0.35", "mysql8.0"),
            ("mysql", "8.4.3", "mysql8.4"),
            ("mariadb", "10.6.14", "mariadb10.6"),
            ("mariadb", "10.11.8", "mariadb10.11"),
            ("aurora-postgresql", "15.3", "aurora-postgresql15"),
            ("aurora-mysql", "8.0.mysql_aurora.3.05.2", "aurora-mysql8.0"),
            ("docdb", "5.0.0", "docdb5.0"),
        ] {
            assert_eq!(family(engine, version), expected);
        }
        assert_ne!(family("mariadb", "10.6.14"), family("mariadb", "10.11.8"));
    }

    #[test]
    fn classes_are_bounded_by_patterns() {
        let patterns = ["db.t4g.*".to_owned(), "db.r6g.large".to_owned()];
        assert!(is_allowed("db.t4g.medium", &patterns) && is_allowed("db.r6g.large", &patterns));
        assert!(!is_allowed("db.r6g.16xlarge", &patterns) && !is_allowed("db.r6g.largest", &patterns));
        assert!(is_allowed("db.x2g.16xlarge", &[]));
    }
}

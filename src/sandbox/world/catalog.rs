//! What RDS offers: engines with their versions and families, and instance classes.
//!
//! Versions and classes come and go on AWS. These are some that were there in 2026 (assumption, but for the families,
//! which follow from the versions as `DescribeDBEngineVersions` has them); the default of an engine is one of them.

/// One version of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Version {
    pub(in crate::sandbox) engine: &'static str,
    pub(in crate::sandbox) number: &'static str,
    /// Of its parameter groups.
    pub(in crate::sandbox) family: &'static str,
    /// As option groups have it.
    pub(in crate::sandbox) major: &'static str,
    /// The one that is taken where none is asked for.
    pub(in crate::sandbox) is_default: bool,
}

const fn version(
    engine: &'static str,
    number: &'static str,
    family: &'static str,
    major: &'static str,
    is_default: bool,
) -> Version {
    Version { engine, number, family, major, is_default }
}

/// Every version that there is.
pub(in crate::sandbox) const VERSIONS: &[Version] = &[
    version("postgres", "13.20", "postgres13", "13", false),
    version("postgres", "14.17", "postgres14", "14", false),
    version("postgres", "15.3", "postgres15", "15", false),
    version("postgres", "15.12", "postgres15", "15", false),
    version("postgres", "16.8", "postgres16", "16", false),
    version("postgres", "17.4", "postgres17", "17", true),
    version("mysql", "5.7.44", "mysql5.7", "5.7", false),
    version("mysql", "8.0.35", "mysql8.0", "8.0", false),
    version("mysql", "8.0.41", "mysql8.0", "8.0", true),
    version("mysql", "8.4.4", "mysql8.4", "8.4", false),
    version("mariadb", "10.6.21", "mariadb10.6", "10.6", false),
    version("mariadb", "10.11.11", "mariadb10.11", "10.11", true),
    version("aurora-postgresql", "13.18", "aurora-postgresql13", "13", false),
    version("aurora-postgresql", "14.15", "aurora-postgresql14", "14", false),
    version("aurora-postgresql", "15.3", "aurora-postgresql15", "15", false),
    version("aurora-postgresql", "15.10", "aurora-postgresql15", "15", false),
    version("aurora-postgresql", "16.6", "aurora-postgresql16", "16", true),
    version("aurora-postgresql", "17.4", "aurora-postgresql17", "17", false),
    version("aurora-mysql", "5.7.mysql_aurora.2.11.5", "aurora-mysql5.7", "5.7", false),
    version("aurora-mysql", "8.0.mysql_aurora.3.04.0", "aurora-mysql8.0", "8.0", false),
    version("aurora-mysql", "8.0.mysql_aurora.3.05.2", "aurora-mysql8.0", "8.0", false),
    version("aurora-mysql", "8.0.mysql_aurora.3.08.0", "aurora-mysql8.0", "8.0", true),
    version("docdb", "3.6.0", "docdb3.6", "3.6", false),
    version("docdb", "4.0.0", "docdb4.0", "4.0", false),
    version("docdb", "5.0.0", "docdb5.0", "5.0", true),
];

/// The class of a cluster's instances that scale by themselves.
pub(in crate::sandbox) const SERVERLESS: &str = "db.serverless";

/// Memory-optimised families: what Aurora and DocumentDB run on, and RDS as well.
const MEMORY_FAMILIES: [&str; 6] = ["r5", "r6g", "r6i", "r7g", "r7i", "r8g"];
const GENERAL_FAMILIES: [&str; 5] = ["m5", "m6g", "m6i", "m7g", "m7i"];
const SIZES: [&str; 8] = ["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"];
/// Burstable sizes of RDS.
const SMALL_SIZES: [&str; 6] = ["micro", "small", "medium", "large", "xlarge", "2xlarge"];
const SMALL_FAMILIES: [&str; 2] = ["t3", "t4g"];

/// Engines whose databases are clusters.
pub(in crate::sandbox) fn is_cluster_engine(engine: &str) -> bool {
    engine.starts_with("aurora") || engine == "docdb"
}

/// One version, where it is known.
pub(in crate::sandbox) fn find(engine: &str, version: &str) -> Option<Version> {
    VERSIONS.iter().copied().find(|known| known.engine == engine && known.number == version)
}

/// The version that is taken where none is asked for.
pub(in crate::sandbox) fn default_version(engine: &str) -> Option<Version> {
    VERSIONS.iter().copied().find(|known| known.engine == engine && known.is_default)
}

/// The classes that an engine can be ordered in.
pub(in crate::sandbox) fn classes(engine: &str) -> Vec<String> {
    let each = |families: &[&str], sizes: &[&str]| -> Vec<String> {
        families.iter().flat_map(|family| sizes.iter().map(move |size| format!("db.{family}.{size}"))).collect()
    };
    let mut classes = each(&MEMORY_FAMILIES, &SIZES);
    if is_cluster_engine(engine) {
        // "db.t4g.medium", "db.t3.medium": Aurora also takes large ones, DocumentDB does not.
        classes.extend(each(&SMALL_FAMILIES, if engine == "docdb" { &["medium"] } else { &["medium", "large"] }));
        classes.push(SERVERLESS.to_owned());
    } else {
        classes.extend(each(&GENERAL_FAMILIES, &SIZES));
        classes.extend(each(&SMALL_FAMILIES, &SMALL_SIZES));
    }
    classes.sort();
    classes
}

/// Whether AWS has such a class at all, for whichever engine.
pub(in crate::sandbox) fn is_class(class: &str) -> bool {
    ["postgres", "aurora-postgresql"].iter().any(|engine| classes(engine).iter().any(|known| known == class))
}

/// Families past their end of standard support by the release calendars of RDS and Aurora, late in 2026.
const PAST_SUPPORT: [&str; 4] = ["aurora-mysql5.7", "aurora-postgresql13", "mysql5.7", "postgres13"];

/// The version itself, or the first of a later family that is still supported.
pub(in crate::sandbox) fn supported(version: Version) -> Version {
    let is_past = |version: &Version| PAST_SUPPORT.contains(&version.family);
    if !is_past(&version) {
        return version;
    }
    let later = VERSIONS.iter().filter(|known| known.engine == version.engine && !is_past(known));
    later.copied().find(|known| is_same_or_later(*known, version)).unwrap_or(version)
}

/// Whether `later` is the same version of an engine or a later one: the list is in order.
pub(in crate::sandbox) fn is_same_or_later(later: Version, earlier: Version) -> bool {
    let position = |wanted: Version| VERSIONS.iter().position(|known| *known == wanted);
    later.engine == earlier.engine && position(later) >= position(earlier)
}

/// The licence that `DescribeOrderableDBInstanceOptions` names for an engine.
pub(in crate::sandbox) fn license(engine: &str) -> &'static str {
    match engine {
        "postgres" => "postgresql-license",
        "docdb" => "na",
        _ => "general-public-license",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_one_default_version() {
        for engine in ["postgres", "mysql", "mariadb", "aurora-postgresql", "aurora-mysql", "docdb"] {
            let defaults = VERSIONS.iter().filter(|known| known.engine == engine && known.is_default).count();
            assert_eq!(defaults, 1, "{engine}");
            assert!(default_version(engine).is_some());
        }
    }

    #[test]
    fn classes_depend_on_the_engine() {
        let has = |engine: &str, class: &str| classes(engine).iter().any(|known| known == class);
        assert!(has("postgres", "db.m6g.large") && has("mysql", "db.t3.micro"));
        assert!(has("aurora-postgresql", "db.serverless") && !has("postgres", "db.serverless"));
        assert!(!has("docdb", "db.m6g.large") && has("docdb", "db.r6g.large"));
        assert!(!has("postgres", "big"));
    }
}

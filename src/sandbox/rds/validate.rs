//! What identifiers, passwords, tags and numbers must look like. Pure; the texts of the errors are AWS's where they are
//! known from people's reports, and the rules are those of botocore's texts.

use crate::estate::Tags;
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::{Scaling, Storage};

const MAX_ID_CHARS: usize = 63;
const MAX_SNAPSHOT_ID_CHARS: usize = 255;
const MAX_TAGS: usize = 50;
const MAX_TAG_KEY_CHARS: usize = 128;
const MAX_TAG_VALUE_CHARS: usize = 256;
const MAX_RETENTION_DAYS: i64 = 35;
/// Below this size `gp3` has its baseline, and takes neither IOPS nor throughput ("gp3 storage", RDS user guide).
const GP3_THRESHOLD_GIB: i64 = 400;

/// The identifier of an instance or a cluster, in lower case.
pub(super) fn identifier(parameter: &str, text: &str) -> Result<String, ApiError> {
    name(parameter, text, MAX_ID_CHARS)
}

/// The identifier of a snapshot that somebody makes: automated ones have a colon, which nobody may write.
pub(super) fn snapshot_identifier(parameter: &str, text: &str) -> Result<String, ApiError> {
    name(parameter, text, MAX_SNAPSHOT_ID_CHARS)
}

fn name(parameter: &str, text: &str, most: usize) -> Result<String, ApiError> {
    let fits = text.len() <= most
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.ends_with('-')
        && !text.contains("--");
    if fits {
        return Ok(text.to_ascii_lowercase());
    }
    Err(ApiError::invalid(format!(
        "The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain only \
         ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
    )))
}

/// A master password: "any printable ASCII character except `/`, `"`, or `@`", no spaces; 8 to 41 characters for MySQL,
/// MariaDB and Aurora, to 100 for DocumentDB, to 128 for PostgreSQL.
pub(super) fn password(engine: &str, text: &str) -> Result<(), ApiError> {
    let most = match engine {
        "postgres" => 128,
        "docdb" => 100,
        _ => 41,
    };
    if text.len() < 8 {
        let message =
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.";
        return Err(ApiError::invalid(message));
    }
    if text.len() > most {
        let message = format!(
            "The parameter MasterUserPassword is not a valid password because it is longer than {most} characters."
        );
        return Err(ApiError::invalid(message));
    }
    if text.chars().all(|c| c.is_ascii_graphic() && !['/', '"', '@'].contains(&c)) {
        return Ok(());
    }
    let message = "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides \
                   '/', '@', '\"', ' ' may be used.";
    Err(ApiError::invalid(message))
}

/// A master user's name: letters, digits and underscores, a letter first, and no word that the engine reserves.
pub(super) fn username(engine: &str, text: &str) -> Result<(), ApiError> {
    let (most, reserved): (usize, &[&str]) = match engine {
        // "Can't be a reserved word for the chosen database engine": `admin` is one of PostgreSQL's on RDS, and
        // DocumentDB's guide says the same of `admin`.
        "postgres" | "aurora-postgresql" => (63, &["admin", "postgresql", "rdsadmin", "public", "user"]),
        "docdb" => (63, &["admin", "rdsadmin"]),
        _ => (32, &["mysql", "rdsadmin", "rdsrepladmin"]),
    };
    let fits = text.len() <= most
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return Err(ApiError::invalid(format!("The parameter MasterUsername is not a valid name: {text}")));
    }
    if reserved.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        let message = format!("MasterUsername {text} cannot be used as it is a reserved word used by the engine");
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

/// Tags as botocore's `Tag` describes them.
pub(super) fn tags(tags: &Tags, number: usize) -> Result<(), ApiError> {
    if number > MAX_TAGS || tags.len() > MAX_TAGS {
        return Err(ApiError::invalid(format!("The number of tags cannot exceed {MAX_TAGS}.")));
    }
    if tags.len() != number {
        return Err(ApiError::invalid("Duplicate tag keys found. Please note that tag keys are case insensitive."));
    }
    let in_charset =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c));
    for (key, value) in tags {
        let reserved = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.starts_with("aws:") || text.starts_with("rds:")
        };
        if reserved(key) {
            return Err(ApiError::invalid("Tag keys cannot start with reserved keyword aws: or rds:."));
        }
        if key.chars().count() > MAX_TAG_KEY_CHARS || value.chars().count() > MAX_TAG_VALUE_CHARS {
            return Err(ApiError::invalid(format!("The key or the value of tag {key} is too long.")));
        }
        if !in_charset(key) || !in_charset(value) {
            return Err(ApiError::invalid(format!("Tag {key} contains characters that are not allowed.")));
        }
    }
    Ok(())
}

/// "Must be a value from 0 to 35"; of a cluster "from 1 to 35".
pub(super) fn retention(days: i64, is_cluster: bool) -> Result<i64, ApiError> {
    let least = i64::from(is_cluster);
    if (least..=MAX_RETENTION_DAYS).contains(&days) {
        return Ok(days);
    }
    let message = format!(
        "Invalid backup retention period: {days}. Retention period must be between {least} and {MAX_RETENTION_DAYS}"
    );
    Err(ApiError::invalid(message))
}

/// "Valid Values: 1150-65535".
pub(super) fn port(number: i64) -> Result<(), ApiError> {
    if (1150..=65_535).contains(&number) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid port {number}: it must be from 1150 to 65535")))
}

/// What an instance can be stored on.
pub(super) fn storage(engine: &str, storage: &Storage, given: Given) -> Result<(), ApiError> {
    let combination = |message: String| Err(ApiError::new(400, "InvalidParameterCombination", message));
    if !["standard", "gp2", "gp3", "io1", "io2"].contains(&storage.kind.as_str()) {
        return Err(ApiError::invalid(format!("Invalid storage type: {}", storage.kind)));
    }
    let least = if matches!(storage.kind.as_str(), "io1" | "io2") { 100 } else { 20 };
    if !(least..=65_536).contains(&storage.gib) {
        let message =
            format!("Invalid storage size for engine name {engine} and storage type {}: {}", storage.kind, storage.gib);
        return Err(ApiError::invalid(message));
    }
    match storage.kind.as_str() {
        "gp3" if (given.iops || given.throughput) && storage.gib < GP3_THRESHOLD_GIB => combination(format!(
            "You can't specify IOPS or storage throughput for engine {engine} and a storage size less than \
             {GP3_THRESHOLD_GIB}."
        )),
        "gp3" if given.iops && !storage.iops.is_some_and(|iops| (12_000..=64_000).contains(&iops)) => {
            combination(format!("Invalid IOPS for storage type gp3 and a storage size of {}.", storage.gib))
        }
        "gp3" if given.throughput && !storage.throughput.is_some_and(|rate| (500..=4000).contains(&rate)) => {
            combination(format!("Invalid storage throughput for a storage size of {}.", storage.gib))
        }
        "gp3" => Ok(()),
        "io1" | "io2" => match storage.iops {
            Some(iops) if (1000..=256_000).contains(&iops) && iops <= storage.gib * 1000 => Ok(()),
            Some(iops) => combination(format!("Invalid iops value: {iops}")),
            None => combination(format!("You must specify IOPS for storage type {}.", storage.kind)),
        },
        kind if given.iops || given.throughput => {
            combination(format!("You can't specify IOPS or storage throughput for storage type {kind}."))
        }
        _ => Ok(()),
    }
}

/// Which of a storage's figures a request names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub(super) iops: bool,
    pub(super) throughput: bool,
}

/// "The minimum is 0 (or 0.5), the largest 256; in steps of 0.5" (botocore, `ServerlessV2ScalingConfiguration`).
pub(super) fn scaling(scaling: Scaling) -> Result<Scaling, ApiError> {
    let Scaling { min, max } = scaling;
    let half = |value: f64| (value * 2.0).fract() == 0.0;
    if (0.0..=256.0).contains(&min) && (1.0..=256.0).contains(&max) && min <= max && half(min) && half(max) {
        return Ok(scaling);
    }
    let message =
        format!("Serverless v2 capacity {min} to {max} isn't valid: it must be from 0 to 256 in steps of 0.5.");
    Err(ApiError::invalid(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_letters_digits_and_single_hyphens() {
        assert_eq!(identifier("x", "Shop-1").unwrap(), "shop-1");
        for wrong in ["", "1abc", "a--b", "ab-", "a_b", "rds:foo", "9 foo", &"a".repeat(64)] {
            assert!(identifier("x", wrong).is_err(), "{wrong}");
        }
        assert!(snapshot_identifier("x", &"a".repeat(255)).is_ok());
    }

    #[test]
    fn passwords_have_a_length_and_a_charset() {
        assert!(password("postgres", "long-enough!").is_ok());
        for wrong in ["abc", "with space 1", "slash/slash", "at@at@at@", "quote\"quote", "ümlautümlaut"] {
            assert!(password("mysql", wrong).is_err(), "{wrong}");
        }
        assert!(password("mysql", &"a".repeat(42)).is_err() && password("postgres", &"a".repeat(128)).is_ok());
    }

    #[test]
    fn admin_is_reserved_where_aws_reserves_it() {
        assert!(username("postgres", "admin").is_err() && username("docdb", "admin").is_err());
        assert!(username("mysql", "admin").is_ok() && username("postgres", "shop_admin").is_ok());
    }

    #[test]
    fn tags_are_bounded() {
        let one = |key: &str, value: &str| tags(&Tags::from([(key.to_owned(), value.to_owned())]), 1);
        assert!(one("drctl:run-id", "01KACY").is_ok() && one("größe", "a b@c").is_ok());
        assert!(one("aws:x", "").is_err() && one("rds:x", "").is_err());
        assert!(one(&"k".repeat(129), "").is_err() && one("k", &"v".repeat(257)).is_err() && one("k", "<v>").is_err());
        let many: Tags = (0..51).map(|number| (format!("k{number}"), String::new())).collect();
        assert!(tags(&many, 51).is_err() && tags(&Tags::from([("k".to_owned(), String::new())]), 2).is_err());
    }

    #[test]
    fn small_gp3_takes_no_iops_and_io1_needs_them() {
        let on =
            |kind: &str, gib: i64, iops: Option<i64>| Storage { kind: kind.to_owned(), gib, iops, throughput: None };
        let given = Given { iops: true, throughput: false };
        assert!(storage("postgres", &on("gp3", 100, Some(3000)), Given::default()).is_ok());
        assert!(storage("postgres", &on("gp3", 100, Some(3000)), given).is_err());
        assert!(storage("postgres", &on("gp3", 500, Some(12_000)), given).is_ok());
        assert!(storage("postgres", &on("io1", 100, None), Given::default()).is_err());
        assert!(storage("postgres", &on("gp2", 5, None), Given::default()).is_err());
        assert!(storage("postgres", &on("fast", 100, None), Given::default()).is_err());
    }

    #[test]
    fn retention_is_bounded_and_a_clusters_is_never_off() {
        assert!(retention(0, false).is_ok() && retention(0, true).is_err());
        assert!(retention(99, false).is_err() && retention(35, true).is_ok());
    }
}

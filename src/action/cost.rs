//! What a test would be billed for: quantities, with what they assume. No prices: AWS's price list is not asked.

use super::wanted::{SERVERLESS, Wanted};
use crate::duration;
use crate::estate::{Database, DatabaseKind};

/// Lines for a dry run.
pub(super) fn notes(database: &Database, wanted: &Wanted) -> Vec<String> {
    let deadline = duration::show(database.test.deadline);
    let kept = database.test.keep_for;
    let stands = if kept.is_zero() {
        format!("from the restore to its removal, {deadline} (`deadline`) at most")
    } else {
        format!("until {} (`keep_for`) after the start, if it passes", duration::show(kept))
    };
    let class = wanted.classes.first().map_or("its snapshot's class", String::as_str);
    let instance = if class == SERVERLESS {
        let units = wanted.capacity.map_or_else(String::new, |units| format!(" {} to {}", units.min, units.max));
        format!("1 x `{class}`,{units} capacity units an hour")
    } else {
        format!("1 x `{class}`")
    };
    vec![
        format!("cost: {instance} and its storage, for as long as the copy stands: {stands}"),
        storage(database, wanted),
        "cost: reading everything once for the checks: data that leaves the copy's zone is billed by the GB; no prices \
         are assumed here"
            .to_owned(),
    ]
}

fn storage(database: &Database, wanted: &Wanted) -> String {
    let storage = &wanted.storage;
    let kind = storage.kind.as_deref();
    if !database.kind.is_cluster() {
        let size = storage.allocated_gib.map_or_else(|| "its snapshot's GiB".to_owned(), |gib| format!("{gib} GiB"));
        let iops = storage.iops.map_or_else(String::new, |iops| format!(", {iops} IOPS"));
        return format!("cost: storage of {size} of {}{iops}, by the hour", kind.unwrap_or("the default type"));
    }
    let optimised = matches!(kind, Some("aurora-iopt1" | "iopt1"));
    let io = match (optimised, database.kind) {
        (true, _) => "I/O included",
        (false, DatabaseKind::Documentdb) => "and every I/O of the full read by the million",
        (false, _) => "and every I/O of the full read (16 KiB pages) by the million",
    };
    format!("cost: storage of the cluster's volume as it is used, {}, by the hour, {io}", kind.unwrap_or("standard"))
}

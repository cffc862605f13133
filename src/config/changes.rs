//! What differs between two configurations, key by key.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::problem::shown;

/// The keys that were added, removed or changed, as lines such as `database.shop.rto: "1h" -> "2h"`. Of an address only the
/// host is shown: what follows it may let in whoever knows it.
#[must_use]
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (keys(before), keys(after));
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), show);
    let changed = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    changed.map(|path| format!("{path}: {} -> {}", shown(before.get(path)), shown(after.get(path)))).collect()
}

/// Every value by its path. A text that is no TOML has none.
fn keys(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in text.parse::<Table>().unwrap_or_default() {
        flatten(key, value, &mut found);
    }
    found
}

fn flatten(path: String, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(format!("{path}.{key}"), value, found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            let mut names = BTreeSet::new();
            for (number, value) in list.into_iter().enumerate() {
                let name = ["id", "name"].into_iter().find_map(|key| value.get(key)?.as_str());
                let name = name.map(str::to_owned).filter(|name| names.insert(name.clone()));
                let name = name.unwrap_or_else(|| number.to_string());
                flatten(format!("{path}.{name}"), value, found);
            }
        }
        leaf => drop(found.insert(path, leaf)),
    }
}

fn show(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.contains("://") => shown(text),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::changes;

    const BEFORE: &str = "[estate]\nname = \"shop\"\n[[database]]\nid = \"db\"\nrto = \"1h\"\n[database.restore_test]\n\
        schedule = \"@weekly\"\n[[notify]]\nname = \"hook\"\nwebhook = { url = \"https://a:b@example.com/secret\" }\n";

    #[test]
    fn each_key_is_named_with_what_it_was_and_is() {
        let after = BEFORE.replace("1h", "2h").replace("@weekly\"", "@daily\"\ndeadline = \"4h\"");
        let expected = [
            "database.db.restore_test.deadline: nothing -> \"4h\"",
            "database.db.restore_test.schedule: \"@weekly\" -> \"@daily\"",
            "database.db.rto: \"1h\" -> \"2h\"",
        ];
        assert_eq!(changes(BEFORE, &after), expected);
        assert!(changes(BEFORE, &format!("# only words\n{BEFORE}")).is_empty());
    }

    #[test]
    fn two_of_one_name_are_told_apart() {
        let check = "[[database.restore_test.check]]\nname = \"rows\"\nexpect = ";
        let with = |first: u8| format!("{BEFORE}[[database]]\nid = \"x\"\n{check}{first}\n{check}7\n");
        assert_eq!(changes(&with(1), &with(2)), ["database.x.restore_test.check.rows.expect: 1 -> 2"]);
    }

    #[test]
    fn an_address_that_changes_is_named_and_not_shown() {
        let found = changes(BEFORE, &BEFORE.replace("secret", "other"));
        let shown = "an address at example.com";
        assert_eq!(found, [format!("notify.hook.webhook.url: {shown} -> {shown}")]);
    }
}

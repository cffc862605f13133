//! References in a step's arguments: `{{ point.snapshot_id }}`.

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// What references can name: `inputs` and the steps done so far.
pub(super) type Scope = Map<String, Value>;

/// Every reference in a text, in order; `Err` with the offending part where one is not closed.
pub(super) fn references(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let after = &rest[start + 2..];
        let Some(end) = after.find("}}") else { return Err(rest[start..].to_owned()) };
        found.push(after[..end].trim());
        rest = &after[end + 2..];
    }
    Ok(found)
}

/// The text's one reference, where it is nothing but that.
pub(super) fn only_reference(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{")).then(|| inner.trim())
}

/// Replaces references. A text that is one reference takes on the value itself, whatever its type.
///
/// # Errors
/// Where a reference names nothing.
pub(super) fn resolve(value: &Value, scope: &Scope) -> anyhow::Result<Value> {
    match value {
        Value::String(text) => resolve_text(text, scope),
        Value::Array(items) => items.iter().map(|item| resolve(item, scope)).collect(),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| Ok((key.clone(), resolve(value, scope)?)));
            Ok(Value::Object(members.collect::<anyhow::Result<_>>()?))
        }
        other => Ok(other.clone()),
    }
}

fn resolve_text(text: &str, scope: &Scope) -> anyhow::Result<Value> {
    if let Some(path) = only_reference(text) {
        return Ok(look_up(path, scope)?.clone());
    }
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (path, after) = after.split_once("}}").context("a reference is not closed")?;
        resolved.push_str(before);
        resolved.push_str(&as_text(look_up(path.trim(), scope)?));
        rest = after;
    }
    resolved.push_str(rest);
    Ok(Value::String(resolved))
}

fn look_up<'s>(path: &str, scope: &'s Scope) -> anyhow::Result<&'s Value> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let mut value = scope.get(first).with_context(|| format!("`{path}` names nothing"))?;
    for part in parts {
        value = value.get(part).with_context(|| format!("`{path}` names nothing"))?;
    }
    Ok(value)
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a step's `when` holds: a comparison with `==` or `!=`, or a single value that is not empty or false.
///
/// # Errors
/// Where a reference names nothing.
pub(super) fn holds(when: &str, scope: &Scope) -> anyhow::Result<bool> {
    let side = |text: &str| -> anyhow::Result<String> {
        let text = text.trim();
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match quoted {
            Some(literal) => Ok(literal.to_owned()),
            None => Ok(as_text(&resolve_text(text, scope)?)),
        }
    };
    if let Some((left, right)) = when.split_once("!=") {
        return Ok(side(left)? != side(right)?);
    }
    if let Some((left, right)) = when.split_once("==") {
        return Ok(side(left)? == side(right)?);
    }
    match side(when)?.as_str() {
        "true" => Ok(true),
        "" | "false" | "null" => Ok(false),
        other => bail!("`when` is neither true nor false but `{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let scope = serde_json::json!({ "inputs": { "target": "db" }, "point": { "id": "s-1", "age": 5 } });
        scope.as_object().unwrap().clone()
    }

    #[test]
    fn one_reference_keeps_its_type_and_several_become_text() {
        let resolve = |text: &str| resolve(&Value::from(text), &scope()).unwrap();
        assert_eq!(resolve("{{ point.age }}"), Value::from(5));
        assert_eq!(resolve("{{point.id}} of {{ inputs.target }}"), Value::from("s-1 of db"));
        assert_eq!(resolve("plain"), Value::from("plain"));
    }

    #[test]
    fn what_names_nothing_is_an_error() {
        assert!(resolve(&Value::from("{{ point.colour }}"), &scope()).is_err());
        assert!(references("{{ open").is_err());
    }

    #[test]
    fn conditions_compare() {
        assert!(holds("{{ point.id }} == \"s-1\"", &scope()).unwrap());
        assert!(!holds("{{ point.id }} != \"s-1\"", &scope()).unwrap());
        assert!(holds("true", &scope()).unwrap());
        assert!(holds("{{ point.id }}", &scope()).is_err());
    }
}

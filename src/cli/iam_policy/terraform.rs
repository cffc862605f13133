//! A policy as Terraform takes it, in the layout of `terraform fmt`.

use std::fmt::Write;

use serde_json::{Map, Value};

/// One resource for the policy, and one for the identity that assumes the role, where there is one.
pub(super) fn document(estate: &str, policy: &Value, base: Option<&Value>) -> String {
    let name = label(estate);
    let mut text =
        String::from("# Printed by `drctl iam-policy --output terraform`; print it anew when the estate changes.\n");
    text.push_str(&resource(&format!("drctl_{name}"), &format!("drctl-{estate}"), "What drctl needs", policy));
    if let Some(base) = base {
        let purpose = "What the identity needs that assumes drctl's role";
        text.push('\n');
        text.push_str(&resource(&format!("drctl_{name}_base"), &format!("drctl-{estate}-base"), purpose, base));
    }
    text
}

fn resource(label: &str, name: &str, purpose: &str, policy: &Value) -> String {
    let mut text = format!("resource \"aws_iam_policy\" \"{label}\" {{\n");
    let _ = writeln!(text, "  name        = {}", quoted(&iam_name(name)));
    let _ = writeln!(text, "  description = {}", quoted(purpose));
    let _ = writeln!(text, "  policy = jsonencode({})\n}}", expression(policy, 1));
    text
}

/// A value as an expression, indented by `depth` steps.
fn expression(value: &Value, depth: usize) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(list) => {
            let indent = "  ".repeat(depth + 1);
            let lines = list.iter().map(|item| format!("{indent}{},\n", expression(item, depth + 1)));
            format!("[\n{}{}]", lines.collect::<String>(), "  ".repeat(depth))
        }
        Value::Object(members) => object(members, depth),
        other => other.to_string(),
    }
}

/// `terraform fmt` aligns the `=` of members that stand on one line each and next to each other.
fn object(members: &Map<String, Value>, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let lines: Vec<(String, String)> =
        members.iter().map(|(key, value)| (key_of(key), expression(value, depth + 1))).collect();
    let mut text = String::from("{\n");
    let mut at = 0;
    while at < lines.len() {
        let together = lines[at..].iter().take_while(|(_, value)| !value.contains('\n')).count().max(1);
        let group = &lines[at..at + together];
        let width = group.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        for (key, value) in group {
            let _ = writeln!(text, "{indent}{key:width$} = {value}");
        }
        at += together;
    }
    text.push_str(&"  ".repeat(depth));
    text.push('}');
    text
}

fn key_of(key: &str) -> String {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric()) && key.starts_with(|c: char| c.is_ascii_alphabetic());
    if plain { key.to_owned() } else { quoted(key) }
}

/// A text in quotes. `${` and `%{` would begin a template.
fn quoted(text: &str) -> String {
    let escaped = Value::from(text).to_string();
    escaped.replace("${", "$${").replace("%{", "%%{")
}

/// A name of a resource: letters, digits and underscores.
fn label(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// A name that IAM takes: `[\w+=,.@-]`, 128 characters at most.
fn iam_name(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() || "+=,.@_-".contains(c) { c } else { '-' });
    plain.take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_in_a_name_stays_a_text() {
        assert_eq!(quoted("a${b}%{c}\"\n"), "\"a$${b}%%{c}\\\"\\n\"");
        assert_eq!(label("Shop & Co"), "shop___co");
        assert_eq!(iam_name("drctl-Shop & Co"), "drctl-Shop---Co");
    }
}

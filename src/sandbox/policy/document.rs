//! A policy as it is written.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

use super::condition::Condition;

/// A policy.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Policy {
    pub(super) statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) allows: bool,
    pub(super) actions: Covers,
    pub(super) resources: Covers,
    pub(super) conditions: Vec<Condition>,
}

/// What a statement is about.
#[derive(Clone, Debug)]
pub(super) enum Covers {
    /// `Action`, `Resource`
    Only(Vec<String>),
    /// `NotAction`, `NotResource`
    AllBut(Vec<String>),
}

impl Covers {
    pub(super) fn covers(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Only(patterns) => patterns.iter().any(|pattern| fits(pattern)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| fits(pattern)),
        }
    }
}

const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Where IAM would refuse it, or it holds something that the sandbox does not know.
    pub(in crate::sandbox) fn parse(text: &str) -> anyhow::Result<Self> {
        let document: Map<String, Value> = serde_json::from_str(text).context("it is not a JSON object")?;
        for (key, value) in &document {
            match key.as_str() {
                "Version" => ensure!(value.as_str().is_some_and(|v| VERSIONS.contains(&v)), "`Version` is not known"),
                "Id" | "Statement" => {}
                _ => bail!("`{key}` is not part of a policy"),
            }
        }
        let statements = match document.get("Statement").context("there is no `Statement`")? {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        let read = |(at, value): (usize, &Value)| statement(value).with_context(|| format!("statement {}", at + 1));
        Ok(Self { statements: statements.into_iter().enumerate().map(read).collect::<anyhow::Result<_>>()? })
    }
}

fn statement(value: &Value) -> anyhow::Result<Statement> {
    let members = value.as_object().context("it is not an object")?;
    const KNOWN: [&str; 7] = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    if let Some(unknown) = members.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        bail!("`{unknown}` is not part of a statement of an identity's policy");
    }
    let allows = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => bail!("`Effect` is neither `Allow` nor `Deny`"),
    };
    let actions = covers(members, "Action", "NotAction")?;
    let (Covers::Only(list) | Covers::AllBut(list)) = &actions;
    if let Some(action) = list.iter().find(|action| *action != "*" && !action.contains(':')) {
        bail!("`{action}` names no service");
    }
    let resources = covers(members, "Resource", "NotResource")?;
    let (Covers::Only(list) | Covers::AllBut(list)) = &resources;
    if let Some(resource) = list.iter().find(|resource| *resource != "*" && !resource.starts_with("arn:")) {
        bail!("`{resource}` is no ARN");
    }
    let conditions = members.get("Condition").map_or_else(|| Ok(Vec::new()), conditions)?;
    Ok(Statement { allows, actions, resources, conditions })
}

fn covers(members: &Map<String, Value>, only: &str, all_but: &str) -> anyhow::Result<Covers> {
    match (members.get(only), members.get(all_but)) {
        (Some(value), None) => Ok(Covers::Only(texts(value)?)),
        (None, Some(value)) => Ok(Covers::AllBut(texts(value)?)),
        _ => bail!("it needs either `{only}` or `{all_but}`"),
    }
}

fn conditions(value: &Value) -> anyhow::Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (operator, keys) in value.as_object().context("`Condition` is not an object")? {
        for (key, values) in keys.as_object().with_context(|| format!("`{operator}` is not an object"))? {
            conditions.push(Condition::new(operator, key, texts(values)?)?);
        }
    }
    Ok(conditions)
}

/// One text or several. A condition's may also be written as numbers, or as true and false.
fn texts(value: &Value) -> anyhow::Result<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => bail!("`{value}` is not a text"),
    };
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn what_is_not_known_is_refused_and_never_passed_over() {
        let with = |statement: &str| format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statement}]}}");
        assert!(Policy::parse(&with(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#)).is_ok());
        for statement in [
            r#"{"Effect":"allow","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#,
            r#"{"Effect":"Allow","Action":"Describe*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"db:x"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringAlmost":{"a":"b"}}}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#,
        ] {
            assert!(Policy::parse(&with(statement)).is_err(), "{statement}");
        }
    }
}

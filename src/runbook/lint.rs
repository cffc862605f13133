//! Refuses what cannot work before anything is done: unknown actions, arguments and references.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::action::{Registry, Spec, ValueType};
use super::document::{Input, Runbook, Step};
use super::template;
use crate::config::Diagnostic;

/// Problems that are told at once.
const MAX_PROBLEMS: usize = 200;
/// Names that a hint offers, the nearest first.
const MAX_NAMES: usize = 20;

/// Everything that is wrong with a runbook; empty where it can be run.
#[must_use]
pub fn lint(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let specs: Vec<Spec> = registry.iter().map(|action| action.spec()).collect();
    let mut lint = Lint { runbook, specs: &specs, at: HashMap::new(), problems: Vec::new() };
    if runbook.steps.is_empty() {
        lint.report(1, "steps", "there is no step".to_owned(), "add a fenced block tagged `toml drctl`".to_owned());
    }
    for (at, step) in runbook.steps.iter().enumerate() {
        if lint.at.contains_key(step.id.as_str()) {
            lint.report(step.line, "id", format!("`{}` names another step", step.id), "rename one".to_owned());
        }
        lint.step(step, &runbook.steps[..at]);
        lint.at.entry(&step.id).or_insert(at);
    }
    lint.problems
}

struct Lint<'a> {
    runbook: &'a Runbook,
    specs: &'a [Spec],
    /// Where each step stands, up to the one that is looked at.
    at: HashMap<&'a str, usize>,
    problems: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn report(&mut self, line: usize, key: &str, message: String, hint: String) {
        match self.problems.len() {
            0..MAX_PROBLEMS => {}
            MAX_PROBLEMS => {
                let (message, hint) = ("more problems are not shown".to_owned(), "correct these first".to_owned());
                return self.problems.push(Diagnostic {
                    line,
                    key: "...".to_owned(),
                    message,
                    hint,
                    ..Diagnostic::default()
                });
            }
            _ => return,
        }
        self.problems.push(Diagnostic { line, key: key.to_owned(), message, hint, ..Diagnostic::default() });
    }

    fn step(&mut self, step: &Step, before: &[Step]) {
        let Some(spec) = self.specs.iter().find(|spec| spec.name == step.action).copied() else {
            let names: Vec<_> = self.specs.iter().map(|spec| spec.name).collect();
            let hint = format!("use one of {}", names.join(", "));
            self.report(step.line, "action", format!("`{}` is not known", step.action), hint);
            return;
        };
        for argument in spec.arguments.iter().filter(|argument| argument.required) {
            if !step.arguments.contains_key(argument.name) {
                let hint = format!("add `{} = ...`: {}", argument.name, argument.about);
                self.report(step.line, argument.name, format!("`{}` needs it", spec.name), hint);
            }
        }
        for (name, value) in &step.arguments {
            match spec.arguments.iter().find(|argument| argument.name == name) {
                Some(argument) => self.value(step, name, value, argument.kind, before),
                None => {
                    let known: Vec<_> = spec.arguments.iter().map(|argument| argument.name).collect();
                    let hint = format!("`{}` takes {}", spec.name, known.join(", "));
                    self.report(step.line, name, "is not a known key".to_owned(), hint);
                }
            }
        }
        if let Some(when) = &step.when {
            for reference in template::references(when).unwrap_or_default() {
                self.reference(step, "when", reference, before);
            }
        }
    }

    fn value(&mut self, step: &Step, key: &str, value: &Value, wanted: ValueType, before: &[Step]) {
        let Some(text) = value.as_str() else {
            if wanted != ValueType::Text {
                let hint = format!("write {}", wanted.name());
                self.report(step.line, key, "is not text".to_owned(), hint);
            }
            return;
        };
        let references = match template::references(text) {
            Ok(references) => references,
            Err(open) => {
                self.report(step.line, key, format!("`{open}` is not closed"), "close it with `}}`".to_owned());
                return;
            }
        };
        for reference in &references {
            let Some(found) = self.reference(step, key, reference, before) else { continue };
            if template::only_reference(text).is_some() && wanted != ValueType::Text && found != wanted {
                let message = format!("`{reference}` is {}, not {}", found.name(), wanted.name());
                self.report(step.line, key, message, format!("refer to {}", wanted.name()));
            }
        }
        if references.is_empty() && matches!(wanted, ValueType::Point | ValueType::Copy | ValueType::Proof) {
            let hint = "refer to the step that yields it, as in `\"{{ point }}\"`".to_owned();
            self.report(step.line, key, format!("must be {}", wanted.name()), hint);
        }
    }

    /// The type of what a reference names; `None`, and reported, where it names nothing.
    fn reference(&mut self, step: &Step, key: &str, path: &str, before: &[Step]) -> Option<ValueType> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if first == "inputs" {
            let found = self.runbook.inputs.iter().find(|input| Some(input.name.as_str()) == rest);
            if found.is_none() {
                let names: Vec<_> = self.runbook.inputs.iter().map(|input| format!("inputs.{}", input.name)).collect();
                let hint = format!("the inputs are {}", names.join(", "));
                self.report(step.line, key, format!("`{path}` names nothing"), hint);
            }
            return found.map(|input| input.kind);
        }
        let Some(source) = self.at.get(first).and_then(|at| before.get(*at)) else {
            let names: Vec<_> = before.iter().rev().take(MAX_NAMES).map(|other| other.id.as_str()).collect();
            let hint = match names.is_empty() {
                true => "no step comes before this one; refer to `inputs.NAME`".to_owned(),
                false => format!("the steps before this one are {}", names.join(", ")),
            };
            self.report(step.line, key, format!("`{path}` names nothing"), hint);
            return None;
        };
        let spec = *self.specs.iter().find(|spec| spec.name == source.action)?;
        let Some(field) = rest else { return Some(spec.output) };
        let field = field.split('.').next().unwrap_or(field);
        if spec.fields.contains(&field) {
            return Some(ValueType::Text);
        }
        let hint = format!("`{first}` has {}", spec.fields.join(", "));
        self.report(step.line, key, format!("`{path}` names nothing"), hint);
        None
    }
}

/// The inputs for a run: what was given, else the defaults.
///
/// # Errors
/// Where an input is missing or not known.
pub fn inputs_of(runbook: &Runbook, given: &Map<String, Value>) -> anyhow::Result<Map<String, Value>> {
    let known: Vec<&str> = runbook.inputs.iter().map(|input| input.name.as_str()).collect();
    if let Some(unknown) = given.keys().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("runbook `{}` has no input `{unknown}`; it has {}", runbook.name, known.join(", "));
    }
    let value = |input: &Input| {
        let value = given.get(&input.name).cloned().or_else(|| input.default.clone().map(Value::String));
        let value = value.ok_or_else(|| anyhow::anyhow!("runbook `{}` needs the input `{}`", runbook.name, input.name));
        Ok((input.name.clone(), value?))
    };
    runbook.inputs.iter().map(value).collect()
}

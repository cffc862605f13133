//! A runbook's text: TOML front matter, prose for the person, and steps in fenced blocks tagged `toml drctl`.

use std::time::Duration;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::{Map, Value};
use toml::de::DeValue;

use super::action::ValueType;
use crate::config::{ConfigError, Section, Source};
use crate::estate::DatabaseKind;

const FENCE: &str = "+++";
const STEP_TAG: &str = "toml drctl";
/// Keys of a step that are not its action's arguments.
const STEP_KEYS: [&str; 5] = ["id", "action", "when", "deadline", "retries"];
const MAX_RETRIES: u64 = 10;
/// After so many problems the rest of a document is not read.
const MAX_PROBLEMS: usize = 200;

/// Whether what a run makes is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunbookKind {
    /// Leaves nothing behind.
    Drill,
    /// Its product stays.
    Recovery,
}

/// Something that the person who starts the runbook gives it.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ValueType,
    /// For a database: the kinds that fit. Empty for any.
    pub engines: Vec<DatabaseKind>,
    /// What it is where nobody says.
    pub default: Option<String>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// How later steps refer to it.
    pub id: String,
    /// What it does.
    pub action: String,
    /// With what; texts may hold references.
    pub arguments: Map<String, Value>,
    /// Only where this holds.
    pub when: Option<String>,
    /// The longest that it may take.
    pub deadline: Option<Duration>,
    /// How often it is tried again.
    pub retries: u64,
    /// Where it stands in the document.
    pub line: usize,
}

/// A whole runbook.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Whether its product stays.
    pub kind: RunbookKind,
    /// What it is given.
    pub inputs: Vec<Input>,
    /// What it does.
    pub steps: Vec<Step>,
    /// The document as it was read.
    pub text: String,
}

impl Runbook {
    /// Reads a document. `file` is its name in messages.
    ///
    /// # Errors
    /// With every problem of the front matter, or else every problem of the steps.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let (front, body) = split(text);
        let source = Source::new(file, front, 1);
        if front.is_empty() {
            source.report(1, FENCE, "there is no front matter", "start with `+++`, `name`, `title`, `kind`, `+++`");
            return source.finish(None);
        }
        let table = source.parse()?;
        let head = read_front(&source.root(table.get_ref()));
        let (name, title, kind, inputs) = source.finish(head)?;
        let mut steps = Vec::new();
        let mut problems = Vec::new();
        for (line, block) in blocks(text, body) {
            match read_block(file, &block, line) {
                Ok(step) => steps.push(step),
                Err(invalid) => problems.extend(invalid.problems),
            }
            if problems.len() > MAX_PROBLEMS {
                break;
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { file: file.to_owned(), problems });
        }
        Ok(Self { name, title, kind, inputs, steps, text: text.to_owned() })
    }
}

/// The front matter, and the offset at which the body starts.
fn split(text: &str) -> (&str, usize) {
    let Some(rest) = text.strip_prefix(FENCE).and_then(|rest| rest.strip_prefix('\n')) else { return ("", 0) };
    let Some(end) = rest.find("\n+++") else { return ("", 0) };
    let start = text.len() - rest.len();
    (&rest[..=end], start + end + 1 + FENCE.len())
}

type Front = (String, String, RunbookKind, Vec<Input>);

fn read_front(root: &Section<'_, '_>) -> Option<Front> {
    let name = root.required_text("name");
    let title = root.required_text("title");
    if !root.has("kind") {
        root.report("kind", "is missing", "add `kind = \"drill\"` or `kind = \"recovery\"`");
    }
    let kind = root.choice("kind", &[("drill", RunbookKind::Drill), ("recovery", RunbookKind::Recovery)]);
    let inputs = root.section("inputs").map_or_else(|| Some(Vec::new()), |section| read_inputs(&section));
    root.finish();
    Some((name?, title?, kind?, inputs?))
}

fn read_inputs(section: &Section<'_, '_>) -> Option<Vec<Input>> {
    let names: Vec<String> = section.keys().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let Some(input) = section.section_named(&name) else {
                section.report(&name, "is not a table", format!("write `{name} = {{ type = \"text\" }}`"));
                return None;
            };
            if !input.has("type") {
                input.report("type", "is missing", "add `type = \"database\"`");
            }
            let kind = input.choice("type", &ValueType::INPUTS);
            let engines = input.texts("engines");
            let engines = engines.iter().map(|engine| {
                let found = DatabaseKind::ALL.iter().find(|(name, _)| name == engine);
                if found.is_none() {
                    let names: Vec<_> = DatabaseKind::ALL.iter().map(|(name, _)| *name).collect();
                    let hint = format!("write any of {}", names.join(", "));
                    input.report("engines", format!("`{engine}` is not known"), hint);
                }
                found.map(|(_, kind)| *kind)
            });
            let engines: Option<Vec<_>> = engines.collect();
            let default = input.text("default");
            input.finish();
            Some(Input { name, kind: kind?, engines: engines?, default })
        })
        .collect()
}

/// The fenced blocks that are steps, each with the number of lines before it.
fn blocks(text: &str, body: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut current: Option<(usize, String)> = None;
    // Lines up to `counted`, which moves on with the blocks.
    let (mut counted, mut lines) = (0, 0);
    for (event, range) in Parser::new(&text[body..]).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if info.trim() == STEP_TAG => {
                lines += text[counted..body + range.start].matches('\n').count();
                counted = body + range.start;
                current = Some((lines + 1, String::new()));
            }
            Event::Text(part) => {
                if let Some((_, block)) = &mut current {
                    block.push_str(&part);
                }
            }
            Event::End(TagEnd::CodeBlock) => found.extend(current.take()),
            _ => {}
        }
    }
    found
}

fn read_block(file: &str, block: &str, lines_before: usize) -> Result<Step, ConfigError> {
    let source = Source::new(file, block, lines_before);
    let table = source.parse()?;
    let root = source.root(table.get_ref());
    let step = read_step(&root, lines_before);
    source.finish(step)
}

fn read_step(root: &Section<'_, '_>, line: usize) -> Option<Step> {
    let id = root.required_text("id").filter(|id| {
        let valid = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if !valid || id == "inputs" {
            root.report("id", format!("`{id}` is not valid"), "use lower-case letters, digits, `-` and `_`");
        }
        valid && id != "inputs"
    });
    let action = root.required_text("action");
    let when = root.text("when");
    let deadline = root.duration("deadline");
    let retries = root.count("retries").unwrap_or(0);
    if retries > MAX_RETRIES {
        root.report("retries", format!("{retries} is too many"), format!("write {MAX_RETRIES} at most"));
    }
    let arguments = root.table().iter().filter(|(key, _)| !STEP_KEYS.contains(&key.get_ref().as_ref()));
    let arguments = arguments.map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref())));
    Some(Step { id: id?, action: action?, arguments: arguments.collect(), when, deadline, retries, line })
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| to_json(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref()))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Runbook;

    const HEAD: &str = "+++\nname = \"n\"\ntitle = \"t\"\nkind = \"drill\"\n+++\n";

    #[test]
    fn only_blocks_with_the_tag_are_steps() {
        let text = format!("{HEAD}\n```toml\nid = 1\n```\n\n```toml drctl\nid = \"a\"\naction = \"x\"\nn = 1\n```\n");
        let runbook = Runbook::parse("x.md", &text).unwrap();
        assert_eq!(runbook.steps.len(), 1);
        assert_eq!(runbook.steps[0].arguments["n"], 1);
    }

    #[test]
    fn a_mistake_in_a_step_has_the_documents_line() {
        let text = format!("{HEAD}\ntext\n\n```toml drctl\nid = \"a\"\naction = \"x\"\ndeadline = \"soon\"\n```\n");
        let invalid = Runbook::parse("x.md", &text).unwrap_err();
        assert_eq!((invalid.problems[0].line, invalid.problems[0].key.as_str()), (12, "deadline"));
    }

    #[test]
    fn a_document_without_front_matter_is_told_how_to_begin() {
        assert_eq!(Runbook::parse("x.md", "# Hello").unwrap_err().problems[0].key, "+++");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\+\\+\\+\n)?[a-z=\"`#+ \n{}]{0,200}") {
            let _ = Runbook::parse("x", &text);
        }
    }
}

//! A dry run: every call that would be made, and nothing made.

use crate::context::AppContext;
use serde_json::{Map, Value};

use super::action::{Context, Preview, Registry, RunInfo};
use super::document::{Runbook, Step};
use super::failure::Failure;
use super::journal::Journal;
use super::template::{self, Scope};

/// Goes through the steps and asks each what it would do. Steps that would not be taken yield nothing.
///
/// # Errors
/// Where a step finds that it could not be done.
pub async fn preview(
    app: &AppContext,
    run: &RunInfo,
    runbook: &Runbook,
    registry: &Registry,
    inputs: &Map<String, Value>,
) -> Result<Vec<(Step, Preview)>, Failure> {
    let journal = Journal::unwritten(app.clock.clone());
    let mut scope = Scope::new();
    scope.insert("inputs".to_owned(), Value::Object(inputs.clone()));
    let mut previews = Vec::new();
    for step in &runbook.steps {
        if let Some(when) = &step.when
            && !template::holds(when, &scope)?
        {
            continue;
        }
        let action = registry.iter().find(|action| action.spec().name == step.action);
        let Some(action) = action else {
            return Err(Failure::refused(format!("`{}` is not known", step.action), "lint the runbook"));
        };
        let arguments = template::resolve(&Value::Object(step.arguments.clone()), &scope)?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let context = Context { app, run, step: &step.id, journal: &journal };
        let preview = action.preview(&context, &arguments).await?;
        scope.insert(step.id.clone(), preview.outputs.clone());
        previews.push((step.clone(), preview));
    }
    Ok(previews)
}

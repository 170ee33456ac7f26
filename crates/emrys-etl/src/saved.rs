//! Saved workflows: `workflow.json` and the files of the operators beside it.

use std::path::Path;
use std::sync::Arc;

use emrys_schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::io::{AtomicDir, Existing, INCOMPLETE_MARKER};
use crate::operator::{ArtifactReader, ArtifactWriter};
use crate::ops::Registry;
use crate::parts::RemovedColumns;
use crate::plan::graph::{Graph, NodeId, OperatorStep, Phase, States, Step};
use crate::session::Session;
use crate::workflow::{FittedWorkflow, TrainingData};
use crate::{Error, Result};

/// The file of a saved workflow.
pub(crate) const WORKFLOW_FILE: &str = "workflow.json";

/// The version of the format that is written, and the newest that is read.
///
/// Every version that was ever written stays readable (`tests/data/saved_v1` is read by a test).
/// New fields have `#[serde(default)]` and are left out when they have it, so that they need no
/// new version. A new version is needed when an old file would be read as something else: then
/// the number rises, [`load`] turns files of the old number into the new form, and a workflow of
/// the old number is added to `tests/data` before the change.
///
/// | version | since | what is new |
/// |---|---|---|
/// | 1 | 0.1.0 | `emrys_workflow`, `created_by`, `steps`, `output`, schemas, `training_fingerprint`; later `removed` |
/// | 2 | 0.1.0 | `trained_on` lists all data sets with their rows, in the place of `training_fingerprint` |
const FORMAT_VERSION: u64 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedWorkflow {
    emrys_workflow: u64,
    created_by: String,
    steps: Vec<SavedStep>,
    output: NodeId,
    input_schema: Schema,
    output_schema: Schema,
    #[serde(default)]
    trained_on: Vec<SavedTrainingData>,
    /// Version 1: the only data set, whose rows were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training_fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "RemovedColumns::is_empty")]
    removed: RemovedColumns,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTrainingData {
    fingerprint: String,
    rows: Option<u64>,
}

impl SavedTrainingData {
    fn read(self) -> Option<TrainingData> {
        Some(TrainingData {
            fingerprint: u64::from_str_radix(&self.fingerprint, 16).ok()?,
            rows: self.rows,
        })
    }
}

type SavedStep = Step<NodeId, SavedOperator>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedOperator {
    name: String,
    config: Value,
    input: NodeId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<NodeId>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    state: Value,
}

pub(crate) fn save(workflow: &FittedWorkflow, path: &Path) -> Result<()> {
    let folder = AtomicDir::create(path, Existing::ReplaceIfHolds(WORKFLOW_FILE))?;
    let mut steps = Vec::with_capacity(workflow.graph.steps.len());
    for (id, step) in workflow.graph.steps.iter().enumerate() {
        let save = |operator| save_operator(workflow, id, operator, folder.path());
        steps.push(step.clone().try_with_operator(save)?);
    }
    let saved = SavedWorkflow {
        emrys_workflow: FORMAT_VERSION,
        created_by: concat!("emrys ", env!("CARGO_PKG_VERSION")).to_owned(),
        steps,
        output: workflow.graph.output,
        input_schema: workflow.input_schema.clone(),
        output_schema: workflow.output_schema.clone(),
        trained_on: workflow
            .trained_on
            .iter()
            .map(|data| SavedTrainingData {
                fingerprint: format!("{:016x}", data.fingerprint),
                rows: data.rows,
            })
            .collect(),
        training_fingerprint: None,
        removed: workflow.removed.clone(),
    };
    let text = serde_json::to_string_pretty(&saved)
        .map_err(|e| Error::Internal(format!("workflow to JSON: {e}")))?;
    let file = folder.path().join(WORKFLOW_FILE);
    std::fs::write(&file, text).map_err(Error::io("write", &file))?;
    folder.commit()
}

fn save_operator(
    workflow: &FittedWorkflow,
    id: NodeId,
    step: OperatorStep,
    folder: &Path,
) -> Result<SavedOperator> {
    let operator = step.operator;
    let state = match workflow.states.get(&id) {
        Some(state) => operator.save_state(state, &mut ArtifactWriter::new(folder, id))?,
        None => Value::Null,
    };
    Ok(SavedOperator {
        name: operator.name().to_owned(),
        config: operator.config()?,
        input: step.input,
        dependencies: step.dependencies,
        state,
    })
}

pub(crate) fn load(
    path: &Path,
    registry: &Registry,
    session: Arc<Session>,
) -> Result<FittedWorkflow> {
    let file = path.join(WORKFLOW_FILE);
    let wrong = |problem: String| Error::Saved {
        path: file.clone(),
        problem,
    };
    if path.join(INCOMPLETE_MARKER).exists() {
        return Err(wrong(
            "the workflow is not whole, since writing it was interrupted; save it again".into(),
        ));
    }
    let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    // The version comes first: a newer format may differ in everything else.
    match json.get("emrys_workflow").and_then(Value::as_u64) {
        Some(1..=FORMAT_VERSION) => {}
        Some(found) if found > FORMAT_VERSION => {
            return Err(Error::NewerFormat {
                path: file,
                found,
                supported: FORMAT_VERSION,
            });
        }
        _ => {
            return Err(wrong(
                "it is not a saved workflow: `emrys_workflow` is missing".into(),
            ));
        }
    }
    let saved: SavedWorkflow = serde_json::from_value(json).map_err(|e| wrong(e.to_string()))?;
    let first = saved
        .training_fingerprint
        .map(|fingerprint| SavedTrainingData {
            fingerprint,
            rows: None,
        });
    let trained_on: Option<Vec<TrainingData>> = first
        .into_iter()
        .chain(saved.trained_on)
        .map(SavedTrainingData::read)
        .collect();
    let trained_on =
        trained_on.ok_or_else(|| wrong("a `fingerprint` is not a hexadecimal number".into()))?;

    let artifacts = ArtifactReader::new(path, &file).with_storage(session.storage());
    let mut graph = Graph {
        steps: Vec::new(),
        output: saved.output,
    };
    let mut states = States::new();
    for (id, step) in saved.steps.into_iter().enumerate() {
        let step = step.try_with_operator(|operator| {
            load_operator(id, operator, &artifacts, registry, &mut states)
        })?;
        // The order of the file is the order of computation, so cycles cannot be written down.
        if step
            .inputs(Phase::Training)
            .into_iter()
            .any(|input| input >= id)
        {
            return Err(wrong(format!("step {id} uses a step that comes after it")));
        }
        graph.steps.push(step);
    }
    if graph.output >= graph.steps.len() {
        return Err(wrong(format!(
            "the output is step {}, which is not there",
            graph.output
        )));
    }
    let loaded = FittedWorkflow::new(graph, states, saved.input_schema, trained_on, session)?
        .without(saved.removed);
    if loaded.output_schema != saved.output_schema {
        return Err(wrong(
            "the stored output schema is not that of the stored operators".into(),
        ));
    }
    Ok(loaded)
}

fn load_operator(
    id: NodeId,
    saved: SavedOperator,
    artifacts: &ArtifactReader,
    registry: &Registry,
    states: &mut States,
) -> Result<OperatorStep> {
    let SavedOperator { name, .. } = saved;
    let Some(entry) = registry.get(&name) else {
        return Err(artifacts.wrong(unknown_operator(id, &name, registry)));
    };
    let operator = entry
        .build(saved.config)
        .map_err(|error| artifacts.wrong(format!("step {id}: {error}")))?;
    if operator.is_fitted() && saved.state.is_null() {
        return Err(artifacts.wrong(format!(
            "step {id} ({name}) was not fitted; fit the workflow and save it again"
        )));
    }
    let state = operator
        .load_state(saved.state, artifacts)
        .map_err(|error| match error {
            Error::Saved { path, problem } => Error::Saved {
                path,
                problem: format!("step {id} ({name}): {problem}"),
            },
            error => error,
        })?;
    states.insert(id, state);
    Ok(OperatorStep {
        operator,
        input: saved.input,
        dependencies: saved.dependencies,
    })
}

/// A name may be misspelt, or be that of an operator that only the user's program has.
fn unknown_operator(step: NodeId, name: &str, registry: &Registry) -> String {
    let closest = registry
        .closest(name)
        .map(|closest| format!(" (did you mean `{closest}`?)"))
        .unwrap_or_default();
    format!(
        "step {step}: operator `{name}` is not registered{closest}; if it is your own, load with \
         `FittedWorkflow::load_with(path, Registry::default().with::<{name}>())`, else with the \
         version of emrys that has it"
    )
}

//! Operators of other crates live in the same registry as ours.

use std::sync::Arc;

use emrys_etl::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use emrys_etl::ops::{Normalize, Registry, registry};
use emrys_etl::testing::conformance;
use emrys_etl::{FittedWorkflow, LoadOptions, Result, SessionOptions, Workflow, cols};
use emrys_schema::{ColumnSchema, DType, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::table::{collect, dataset, json as as_json};

/// Multiplies by a number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    factor: f64,
}

impl Operator for Times {
    type State = ();

    fn name() -> &'static str {
        "Times"
    }

    fn description() -> &'static str {
        "Multiplies by a number."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        input.require_numeric()?;
        let floats = input
            .columns()
            .map(|c| c.clone().with_dtype(DType::Float64));
        Ok(Schema::new(floats)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let factor = datafusion::prelude::lit(self.factor);
        let columns = input.columns().map(|column| {
            Ok((
                column.name().to_owned(),
                input.expr(column.name())? * factor.clone(),
            ))
        });
        Ok(Lowered::Columns(columns.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Twice.",
            config: json!({"factor": 2.0}),
            input: json!({"a": [1.0, null, 3.5]}),
            selection: Value::Null,
            output: json!({"a": [2.0, null, 7.0]}),
        }]
    }
}

#[test]
fn it_is_held_to_what_holds_for_ours() {
    for example in Times::examples() {
        let operator = Times { factor: 2.0 };
        let problems = conformance(&(Arc::new(operator) as _), &example);
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

#[test]
fn a_saved_operator_of_another_crate_is_loaded_through_the_registry() {
    let data = dataset(&json!({"a": [1.0, 2.0, 6.0]}));
    let node = cols(["a"]) >> Times { factor: 0.1 } >> Normalize::default();
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    fitted.save(&path).unwrap();

    let error = FittedWorkflow::load(&path).unwrap_err().to_string();
    let expected = "step 1: operator `Times` is not registered; if it is your own, load with \
                    `FittedWorkflow::load_with(path, Registry::default().with::<Times>())`, else \
                    with the version of emrys that has it";
    assert!(error.ends_with(expected), "{error}");

    let registry = Registry::default().with::<Times>();
    let options = LoadOptions::new()
        .with_registry(registry.clone())
        .with_session(SessionOptions::new().with_threads(1));
    for loaded in [
        FittedWorkflow::load_with(&path, registry).unwrap(),
        FittedWorkflow::load_with(&path, options).unwrap(),
    ] {
        assert_eq!(collect(&loaded, &data), collect(&fitted, &data));
    }
}

#[test]
fn declarative_graphs_may_name_it_too() {
    let schema = Schema::new([ColumnSchema::new("a", DType::Float64)]).unwrap();
    let text = r#"{"nodes": [{"id": "n", "inputs": ["a"], "op": "Times", "params": {"factor": 3}}],
                   "outputs": ["@n"]}"#;
    let error = Workflow::from_json(text, &schema, ".")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("node `n`, operator `Times`: there is no such operator"),
        "{error}"
    );
    let registry = Registry::default().with::<Times>();
    let workflow = Workflow::from_json_with(text, &schema, ".", &registry).unwrap();
    let data = dataset(&json!({"a": [1.0, 2.0]}));
    let fitted = workflow.fit(&data).unwrap();
    assert_eq!(as_json(&collect(&fitted, &data)), json!({"a": [3.0, 6.0]}));
}

#[test]
fn listings_have_what_was_added() {
    let listed = Registry::default().with::<Times>();
    assert_eq!(listed.entries().len(), registry().len() + 1);
    assert_eq!(
        listed.get("Times").unwrap().description,
        "Multiplies by a number."
    );
    let twice = listed.with::<Times>();
    assert_eq!(twice.entries().len(), registry().len() + 1);
}

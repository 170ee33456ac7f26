//! Workflows written down as JSON: nodes with inputs, operators by name, and outputs.
//!
//! ```
//! use emrys_etl::Workflow;
//! use emrys_schema::{ColumnSchema, DType, Schema};
//!
//! let schema = Schema::new([
//!     ColumnSchema::new("user", DType::String),
//!     ColumnSchema::new("price", DType::Float64),
//! ])?;
//! let workflow = Workflow::from_json(
//!     r#"{
//!         "nodes": [
//!             {"id": "filled", "inputs": ["price"], "op": "FillMissing", "params": {"fill_val": 1}},
//!             {"id": "scaled", "inputs": ["@filled"], "op": "Normalize"},
//!             {"id": "ids", "inputs": ["user"], "op": "Categorify"}
//!         ],
//!         "outputs": ["@ids", "@scaled"]
//!     }"#,
//!     &schema,
//!     ".",
//! )?;
//! assert_eq!(workflow.output_schema(&schema)?.names(), ["user", "price"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same in TOML, which people write ([`WorkflowFile`]); nodes may stand in any order there:
//!
//! ```
//! # use emrys_etl::Workflow;
//! # use emrys_schema::{ColumnSchema, DType, Schema};
//! # let schema = Schema::new([
//! #     ColumnSchema::new("user", DType::String),
//! #     ColumnSchema::new("price", DType::Float64),
//! # ])?;
//! let text = r#"
//! outputs = ["@ids", "@scaled"]
//!
//! [nodes.ids]
//! inputs = ["user"]
//! op = "Categorify"
//!
//! [nodes.scaled]
//! inputs = ["@filled"]
//! op = "Normalize"
//!
//! [nodes.filled]
//! inputs = ["price"]
//! op = "FillMissing"
//! params = { fill_val = 1 }
//! "#;
//! let workflow = Workflow::from_toml(text, &schema, ".")?;
//! assert_eq!(workflow.output_schema(&schema)?.names(), ["user", "price"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - `inputs` are columns of the data set, nodes (`"@id"`) and groups (`["a", "b"]`); also
//!   `{"all": true}`, `{"tags": ["continuous"]}`, and for names of columns that begin with `@`
//!   `{"columns": ["@a"]}` and `{"group": ["@a", "b"]}`. Nodes come first, then columns.
//! - `op` is an operator of the [`Registry`] (your own too, with
//!   [`Workflow::from_json_with`]), or one of NVTabular's other names:
//!   `LambdaOp`, `AddTags`, `AddProperties`, `TagAsUserID`, `TagAsItemID`, `TagAsUserFeatures`,
//!   `TagAsItemFeatures`; or works on the graph: `Concat`, `Select` (`columns`), `Subtract`
//!   (`columns` or `node`), `Subgraph` (`name`). `columns` may also be objects as in `inputs`.
//! - `params` are the operator's options under NVTabular's names. Those that only say how
//!   NVTabular computes (`split_out`, `cat_cache`, `out_path`...) are ignored, and null is the
//!   default, as `None` is in Python, where it has no meaning of its own. Options that the operator
//!   does not have are refused. Expressions of `Filter` and `LambdaOp` are understood as pandas
//!   would: `a <> b` also holds where one side is null, and `int8` is a type of 8 bits. Under the
//!   name `sql` instead of `expr` they are SQL.
//! - `depends_on` are nodes among whose columns the operator finds others that it names, such as
//!   a target.
//! - `outputs` are nodes and columns; other keys of the JSON document are ignored.
//! - `remove_inputs` are columns of the data set that are taken away with everything that comes from
//!   them, before the workflow is fitted ([`Workflow::remove_inputs`]); none if it is left out.
//!
//! [`Workflow::to_json`] and [`Workflow::to_toml`] write a graph in these forms.

mod file;
mod read;
mod settings;
mod sizes;
mod toml_text;
mod written;

use std::path::Path;

use emrys_schema::Schema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::graph::Node;
use crate::ops::Registry;
use crate::workflow::Workflow;
use crate::{Error, Result};

pub use file::WorkflowFile;
use read::Reader;
pub use settings::{
    FitSettings, SessionSettings, Settings, ShuffleSetting, SourceSettings, WriteSettings,
};
pub use sizes::parse_bytes;
use toml_text::Lines;

/// A graph as it is written down.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Document {
    nodes: Vec<NodeText>,
    outputs: Vec<Value>,
    #[serde(default)]
    remove_inputs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    id: String,
    inputs: Vec<Value>,
    op: String,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    depends_on: Vec<Value>,
}

impl Workflow {
    /// Reads a workflow from JSON (see [`declaration`](crate::declaration)).
    ///
    /// The schema is that of the data set; relative paths of external tables start at `folder`.
    ///
    /// # Errors
    /// [`Error::Declaration`], naming the node.
    pub fn from_json(text: &str, schema: &Schema, folder: impl AsRef<Path>) -> Result<Workflow> {
        Workflow::from_json_with(text, schema, folder, &Registry::default())
    }

    /// Reads a workflow from JSON that may name operators of your own.
    ///
    /// # Errors
    /// As [`from_json`](Workflow::from_json).
    pub fn from_json_with(
        text: &str,
        schema: &Schema,
        folder: impl AsRef<Path>,
        registry: &Registry,
    ) -> Result<Workflow> {
        let place = |part: Part<'_>| Lines::default().place(part);
        let document = Document::from_json(text)?;
        let (workflow, _) = document.build(schema, folder.as_ref(), registry, place)?;
        Ok(workflow)
    }
}

/// What an error is about.
#[derive(Clone, Copy)]
enum Part<'a> {
    Node(&'a str),
    Outputs,
    RemoveInputs,
}

impl Document {
    fn from_json(text: &str) -> Result<Document> {
        serde_json::from_str(text).map_err(|error| Error::Declaration {
            place: "workflow".to_owned(),
            problem: error.to_string(),
        })
    }

    /// Makes the graph, and gives also each of its nodes in order; `place` says where a part of
    /// the document stands.
    fn build(
        self,
        schema: &Schema,
        folder: &Path,
        registry: &Registry,
        place: impl Fn(Part<'_>) -> String,
    ) -> Result<(Workflow, Vec<Node>)> {
        let mut nodes = Vec::new();
        let ids = self.nodes.iter().map(|node| node.id.clone()).collect();
        let mut reader = Reader::new(registry, schema, folder, ids);
        for node in self.nodes {
            let id = node.id.clone();
            let built = reader
                .node(node)
                .map_err(|error| within(error, place(Part::Node(&id))))?;
            nodes.push(built.clone());
            if !reader.define(&id, built) {
                return Err(Error::Declaration {
                    place: place(Part::Node(&id)),
                    problem: "this id is taken twice".into(),
                });
            }
        }
        if self.outputs.is_empty() {
            return Err(Error::Declaration {
                place: place(Part::Outputs),
                problem: "there are none; name at least one node or column".to_owned(),
            });
        }
        let output = reader.sum(&self.outputs).map_err(|error| match error {
            Error::Declaration {
                place: inner,
                problem,
            } if inner == "inputs" => Error::Declaration {
                place: place(Part::Outputs),
                problem,
            },
            error => within(error, place(Part::Outputs)),
        })?;
        let workflow = Workflow::new(output).remove_inputs(self.remove_inputs);
        Ok((workflow, nodes))
    }
}

/// The error with the place in the document where it arose.
fn within(error: Error, place: String) -> Error {
    match error {
        Error::Declaration {
            place: inner,
            problem,
        } => Error::Declaration {
            place: format!("{place}, {inner}"),
            problem,
        },
        error => error.at(place),
    }
}

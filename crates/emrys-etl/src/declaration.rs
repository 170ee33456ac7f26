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
//! - `inputs` are columns of the data set, nodes (`"@id"`) and groups (`["a", "b"]`).
//! - `op` is an operator of the [`Registry`] (your own too, with
//!   [`Workflow::from_json_with`]), or one of NVTabular's other names:
//!   `LambdaOp`, `AddTags`, `AddProperties`, `TagAsUserID`, `TagAsItemID`, `TagAsUserFeatures`,
//!   `TagAsItemFeatures`; or works on the graph: `Concat`, `Select` (`columns`), `Subtract`
//!   (`columns` or `node`), `Subgraph` (`name`).
//! - `params` are the operator's options under NVTabular's names. Those that only say how
//!   NVTabular computes (`split_out`, `cat_cache`, `out_path`...) are ignored. Expressions of
//!   `Filter` and `LambdaOp` are understood as pandas would: `a <> b` also holds where one side is
//!   null, and `int8` is a type of 8 bits.
//! - `outputs` are nodes and columns; other keys of the document are ignored.

use std::collections::HashMap;
use std::path::Path;

use emrys_schema::Schema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::graph::{Node, NodeKind, cols, group};
use crate::ops::Registry;
use crate::selector::Selector;
use crate::workflow::Workflow;
use crate::{Error, Result, expression};

#[derive(Deserialize)]
struct Document {
    nodes: Vec<NodeText>,
    outputs: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    id: String,
    inputs: Vec<Value>,
    op: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// Options of NVTabular's operators that do not change results.
const IGNORED: [&str; 8] = [
    "split_out",
    "split_every",
    "tree_width",
    "on_host",
    "cat_cache",
    "out_path",
    "search_sorted",
    "cache",
];

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
        let document: Document =
            serde_json::from_str(text).map_err(|error| Error::Declaration {
                place: "workflow".to_owned(),
                problem: error.to_string(),
            })?;
        let mut reader = Reader {
            registry,
            schema,
            folder: folder.as_ref(),
            nodes: HashMap::new(),
        };
        for node in document.nodes {
            let place = format!("node `{}`", node.id);
            let id = node.id.clone();
            let built = reader.node(node).map_err(|error| match error {
                Error::Declaration {
                    place: inner,
                    problem,
                } => Error::Declaration {
                    place: format!("{place}, {inner}"),
                    problem,
                },
                error => error.at(place.clone()),
            })?;
            if reader.nodes.insert(id, built).is_some() {
                return Err(Error::Declaration {
                    place,
                    problem: "this id is taken twice".into(),
                });
            }
        }
        if document.outputs.is_empty() {
            return Err(Error::Declaration {
                place: "outputs".to_owned(),
                problem: "there are none; name at least one node or column".to_owned(),
            });
        }
        let output = reader.sum(&document.outputs)?;
        Ok(Workflow::new(output))
    }
}

struct Reader<'a> {
    registry: &'a Registry,
    schema: &'a Schema,
    folder: &'a Path,
    nodes: HashMap<String, Node>,
}

impl Reader<'_> {
    fn node(&self, text: NodeText) -> Result<Node> {
        let NodeText {
            inputs,
            op,
            mut params,
            ..
        } = text;
        params.retain(|key, _| !IGNORED.contains(&key.as_str()));
        let input = self.sum(&inputs)?;
        let tags = |tags: &[&str]| json!({ "tags": tags });
        let (name, config) = match op.as_str() {
            "Concat" => return Ok(input),
            "Select" => return Ok(input.subset(names(&params, "columns")?)),
            "Subtract" => return self.subtract(input, &params),
            "Subgraph" => return Ok(input.named(text_of(&params, "name")?)),
            "Lambda" | "LambdaOp" => {
                let sql = expression::from_pandas("lambda", &text_of(&params, "expr")?)?;
                params.insert("expr".to_owned(), json!(sql));
                ("Lambda", Value::Object(params))
            }
            "AddTags" | "AddProperties" => ("AddMetadata", Value::Object(params)),
            "TagAsUserID" => ("TagAs", tags(&["user_id"])),
            "TagAsItemID" => ("TagAs", tags(&["item_id"])),
            "TagAsUserFeatures" => ("TagAs", tags(&["user"])),
            "TagAsItemFeatures" => ("TagAs", tags(&["item"])),
            "Filter" => {
                let sql = expression::from_pandas("filter", &text_of(&params, "expr")?)?;
                ("Filter", json!({ "expr": sql }))
            }
            "JoinExternal" => {
                let path = text_of(&params, "df_ext")?;
                params.insert("df_ext".to_owned(), json!(self.folder.join(path)));
                ("JoinExternal", Value::Object(params))
            }
            "TargetEncoding" => return self.target_encoding(input, params),
            other => (other, Value::Object(params)),
        };
        Ok(input.apply(self.registry.build(name, config)?))
    }

    fn subtract(&self, input: Node, params: &Map<String, Value>) -> Result<Node> {
        match params.get("node") {
            Some(node) => Ok(input - self.sum(std::slice::from_ref(node))?),
            None => Ok(input - Selector::from(names(params, "columns")?)),
        }
    }

    /// A target may be a node: then its columns are the targets.
    fn target_encoding(&self, input: Node, mut params: Map<String, Value>) -> Result<Node> {
        let target = params
            .get("target")
            .and_then(Value::as_str)
            .and_then(|t| t.strip_prefix('@'));
        let Some(id) = target else {
            return Ok(input.apply(
                self.registry
                    .build("TargetEncoding", Value::Object(params))?,
            ));
        };
        let node = self.named(id)?;
        let columns = Workflow::new(node.clone()).output_schema(self.schema)?;
        params.insert("target".to_owned(), json!(columns.names()));
        let operator = self
            .registry
            .build("TargetEncoding", Value::Object(params))?;
        Ok(input.apply(operator).depends_on(node))
    }

    fn named(&self, id: &str) -> Result<Node> {
        self.nodes
            .get(id)
            .cloned()
            .ok_or_else(|| Error::Declaration {
                place: format!("`@{id}`"),
                problem: match emrys_schema::closest_name(id, self.nodes.keys().map(String::as_str))
                {
                    Some(closest) => {
                        format!("there is no such node before it; did you mean `@{closest}`?")
                    }
                    None => "there is no such node before it".to_owned(),
                },
            })
    }

    /// The sum of inputs: nodes in order, then plain columns and groups.
    fn sum(&self, inputs: &[Value]) -> Result<Node> {
        let wrong = |problem: String| Error::Declaration {
            place: "inputs".to_owned(),
            problem,
        };
        let mut nodes = Vec::new();
        let mut columns = Vec::new();
        for input in inputs {
            match input {
                Value::String(name) => match name.strip_prefix('@') {
                    Some(id) => nodes.push(self.named(id)?),
                    None => columns.push(cols([name.clone()])),
                },
                Value::Array(members) => columns.push(self.group(members)?),
                other => {
                    return Err(wrong(format!(
                        "{other} is no column, node or group of columns"
                    )));
                }
            }
        }
        let mut parts = nodes.into_iter().chain(columns);
        let first = parts
            .next()
            .ok_or_else(|| wrong("there are none; name at least one node or column".to_owned()))?;
        Ok(parts.fold(first, |sum, part| sum + part))
    }

    fn group(&self, members: &[Value]) -> Result<Node> {
        let texts: Option<Vec<&str>> = members.iter().map(Value::as_str).collect();
        match texts {
            Some(names) if names.iter().all(|name| !name.starts_with('@')) => Ok(group(names)),
            _ => Ok(Node::new(NodeKind::Group(self.sum(members)?))),
        }
    }
}

fn text_of(params: &Map<String, Value>, key: &str) -> Result<String> {
    params
        .get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::Declaration {
            place: "params".to_owned(),
            problem: format!("`{key}` must be a text"),
        })
}

fn names(params: &Map<String, Value>, key: &str) -> Result<Vec<String>> {
    params
        .get(key)
        .and_then(Value::as_array)
        .and_then(|names| {
            names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect()
        })
        .ok_or_else(|| Error::Declaration {
            place: "params".to_owned(),
            problem: format!("`{key}` must be a list of names"),
        })
}

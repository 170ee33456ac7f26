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
//!   NVTabular computes (`split_out`, `cat_cache`, `out_path`...) are ignored. Expressions of
//!   `Filter` and `LambdaOp` are understood as pandas would: `a <> b` also holds where one side is
//!   null, and `int8` is a type of 8 bits. Under the name `sql` instead of `expr` they are SQL.
//! - `depends_on` are nodes among whose columns the operator finds others that it names, such as
//!   a target.
//! - `outputs` are nodes and columns; other keys of the JSON document are ignored.
//! - `remove_inputs` are columns of the data set that are taken away with everything that comes from
//!   them, before the workflow is fitted ([`Workflow::remove_inputs`]); none if it is left out.
//!
//! [`Workflow::to_json`] and [`Workflow::to_toml`] write a graph in these forms.

mod file;
mod settings;
mod sizes;
mod toml_text;
mod written;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use emrys_schema::Schema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::graph::{Node, NodeKind, cols, group, select};
use crate::ops::Registry;
use crate::selector::Selector;
use crate::workflow::Workflow;
use crate::{Error, Result, expression};

pub use file::WorkflowFile;
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

/// Options of NVTabular's operators that do not change results.
const IGNORED: [&str; 9] = [
    "split_out",
    "split_every",
    "tree_width",
    "on_host",
    "cat_cache",
    "out_path",
    "search_sorted",
    "cache",
    "on_device",
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
        let mut reader = Reader {
            registry,
            schema,
            folder,
            ids: self.nodes.iter().map(|node| node.id.clone()).collect(),
            nodes: HashMap::new(),
        };
        for node in self.nodes {
            let id = node.id.clone();
            let built = reader
                .node(node)
                .map_err(|error| within(error, place(Part::Node(&id))))?;
            nodes.push(built.clone());
            if reader.nodes.insert(id.clone(), built).is_some() {
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

struct Reader<'a> {
    registry: &'a Registry,
    schema: &'a Schema,
    folder: &'a Path,
    /// The ids of the whole document.
    ids: HashSet<String>,
    nodes: HashMap<String, Node>,
}

impl Reader<'_> {
    fn node(&self, text: NodeText) -> Result<Node> {
        let others: Vec<Node> = text
            .depends_on
            .iter()
            .map(|other| self.sum(std::slice::from_ref(other)))
            .collect::<Result<_>>()?;
        let node = self.operator(text)?;
        Ok(others.into_iter().fold(node, Node::depends_on))
    }

    fn operator(&self, text: NodeText) -> Result<Node> {
        let NodeText {
            inputs,
            op,
            mut params,
            ..
        } = text;
        params.retain(|key, _| !IGNORED.contains(&key.as_str()));
        for path in paths(&op, &mut params) {
            *path = json!(self.folder.join(path.as_str().unwrap_or_default()));
        }
        let input = self.sum(&inputs)?;
        let tags = |tags: &[&str]| json!({ "tags": tags });
        let (name, config) = match op.as_str() {
            "Concat" => return Ok(input),
            "Select" if !params.contains_key("tags") => {
                return Ok(input.subset(columns(&params)?));
            }
            "Subtract" => return self.subtract(input, &params),
            "Subgraph" => return Ok(input.named(text_of(&params, "name")?)),
            "Lambda" | "LambdaOp" => {
                let sql = sql_of("lambda", &mut params)?;
                params.insert("expr".to_owned(), json!(sql));
                ("Lambda", Value::Object(params))
            }
            "AddTags" | "AddProperties" => ("AddMetadata", Value::Object(params)),
            "TagAsUserID" => ("TagAs", tags(&["user_id"])),
            "TagAsItemID" => ("TagAs", tags(&["item_id"])),
            "TagAsUserFeatures" => ("TagAs", tags(&["user"])),
            "TagAsItemFeatures" => ("TagAs", tags(&["item"])),
            "Filter" => {
                let sql = sql_of("filter", &mut params)?;
                params.insert("expr".to_owned(), json!(sql));
                ("Filter", Value::Object(params))
            }
            "TargetEncoding" => return self.target_encoding(input, params),
            other => (other, Value::Object(params)),
        };
        Ok(input.apply(self.registry.build(name, config)?))
    }

    fn subtract(&self, input: Node, params: &Map<String, Value>) -> Result<Node> {
        match params.get("node") {
            Some(node) => Ok(input - self.sum(std::slice::from_ref(node))?),
            None => Ok(input - columns(params)?),
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
                problem: if self.ids.contains(id) {
                    "this node stands later; move it before those that use it".to_owned()
                } else {
                    let known = self.nodes.keys().map(String::as_str);
                    match emrys_schema::closest_name(id, known) {
                        Some(closest) => {
                            format!("there is no such node; did you mean `@{closest}`?")
                        }
                        None => "there is no such node".to_owned(),
                    }
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
                Value::Object(object) => columns.push(select(selector_of(object)?)),
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
        match texts(members) {
            Some(names) if names.iter().all(|name| !name.starts_with('@')) => Ok(group(names)),
            _ => Ok(Node::new(NodeKind::Group(self.sum(members)?))),
        }
    }
}

/// The options of an operator that are paths of files.
fn paths<'a>(op: &str, params: &'a mut Map<String, Value>) -> Vec<&'a mut Value> {
    let names: &[&str] = match op {
        "JoinExternal" => &["df_ext"],
        "ColumnSimilarity" => &["left_features", "right_features"],
        "Categorify" => &["vocabs"],
        _ => &[],
    };
    let options = params
        .iter_mut()
        .filter(|(name, _)| names.contains(&name.as_str()));
    let values = options.flat_map(|(_, value)| match value {
        // A file for each column.
        Value::Object(columns) => columns.values_mut().collect(),
        value => vec![value],
    });
    values.filter(|value| value.is_string()).collect()
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

/// The expression of an operator as SQL; given as `expr`, it is as pandas would understand it.
fn sql_of(operator: &str, params: &mut Map<String, Value>) -> Result<String> {
    if params.contains_key("sql") && !params.contains_key("expr") {
        let sql = text_of(params, "sql")?;
        params.remove("sql");
        return Ok(sql);
    }
    expression::from_pandas(operator, &text_of(params, "expr")?)
}

/// The columns that `Select` and `Subtract` name.
fn columns(params: &Map<String, Value>) -> Result<Selector> {
    let wrong = || Error::Declaration {
        place: "params".to_owned(),
        problem: "`columns` must be a list of names".to_owned(),
    };
    let columns = params.get("columns").and_then(Value::as_array);
    let mut selector = Selector::default();
    for column in columns.ok_or_else(wrong)? {
        selector = selector.and(match column {
            Value::String(name) => Selector::names([name]),
            Value::Array(members) => Selector::group(texts(members).ok_or_else(wrong)?),
            Value::Object(object) => selector_of(object)?,
            _ => return Err(wrong()),
        });
    }
    Ok(selector)
}

/// Columns that are not named one by one (`all`, `tags`), or whose names begin with `@` (`columns`,
/// `group`).
fn selector_of(object: &Map<String, Value>) -> Result<Selector> {
    let mut entries = object.iter();
    let selector = match (entries.next(), entries.next()) {
        (Some((key, value)), None) => match (key.as_str(), value) {
            ("all", Value::Bool(true)) => Some(Selector::all()),
            ("tags", Value::Array(tags)) => texts(tags).map(Selector::tags),
            ("columns", Value::Array(names)) => texts(names).map(Selector::names),
            ("group", Value::Array(names)) => texts(names).map(Selector::group),
            _ => None,
        },
        _ => None,
    };
    selector.ok_or_else(|| Error::Declaration {
        place: "inputs".to_owned(),
        problem: format!(
            "{} selects no columns; write `all = true`, `tags = [...]` or `columns = [...]`",
            Value::Object(object.clone())
        ),
    })
}

fn texts(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(Value::as_str).collect()
}

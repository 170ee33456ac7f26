//! Nodes from what is written about them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use emrys_schema::Schema;
use serde_json::{Map, Value, json};

use super::NodeText;
use crate::graph::{Node, NodeKind, cols, group, select};
use crate::operator::{DynOperator, message_name};
use crate::ops::Registry;
use crate::selector::Selector;
use crate::workflow::Workflow;
use crate::{Error, Result, expression};

/// Options of NVTabular's operators that do not change results.
const INERT: [(&str, &[&str]); 6] = [
    (
        "Categorify",
        &[
            "cardinality_memory_limit",
            "cat_cache",
            "on_host",
            "out_path",
            "search_sorted",
            "split_every",
            "split_out",
            "tree_width",
        ],
    ),
    ("ColumnSimilarity", &["on_device"]),
    ("JoinExternal", &["cache", "kind_ext"]),
    ("JoinGroupby", &GROUPING),
    ("Lambda", &["label"]),
    ("TargetEncoding", &GROUPING),
];

const GROUPING: [&str; 6] = [
    "cat_cache",
    "on_host",
    "out_path",
    "split_every",
    "split_out",
    "tree_width",
];

/// Makes the nodes of a graph one after another.
pub(super) struct Reader<'a> {
    registry: &'a Registry,
    schema: &'a Schema,
    folder: &'a Path,
    /// The ids of the whole document.
    ids: HashSet<String>,
    nodes: HashMap<String, Node>,
}

impl<'a> Reader<'a> {
    /// `ids` are those of the whole document.
    pub(super) fn new(
        registry: &'a Registry,
        schema: &'a Schema,
        folder: &'a Path,
        ids: HashSet<String>,
    ) -> Reader<'a> {
        Reader {
            registry,
            schema,
            folder,
            ids,
            nodes: HashMap::new(),
        }
    }

    /// Gives a node its id; whether the id was free.
    pub(super) fn define(&mut self, id: &str, node: Node) -> bool {
        self.nodes.insert(id.to_owned(), node).is_none()
    }

    pub(super) fn node(&self, text: NodeText) -> Result<Node> {
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
            inputs, op, params, ..
        } = text;
        let input = self.sum(&inputs)?;
        let tags = |tag: &str| Map::from_iter([("tags".to_owned(), json!([tag]))]);
        let (name, tagged) = match op.as_str() {
            "Concat" => return Ok(input),
            "Select" if !params.contains_key("tags") => {
                return Ok(input.subset(columns(&params)?));
            }
            "Subtract" => return self.subtract(input, &params),
            "Subgraph" => return Ok(input.named(text_of(&params, "name")?)),
            "LambdaOp" => ("Lambda", None),
            "AddTags" | "AddProperties" => ("AddMetadata", None),
            "TagAsUserID" => ("TagAs", Some("user_id")),
            "TagAsItemID" => ("TagAs", Some("item_id")),
            "TagAsUserFeatures" => ("TagAs", Some("user")),
            "TagAsItemFeatures" => ("TagAs", Some("item")),
            other => (other, None),
        };
        let params = tagged.map_or(params, tags);
        self.apply(input, name, params)
    }

    /// A node with an operator of the registry.
    fn apply(&self, input: Node, name: &str, mut params: Map<String, Value>) -> Result<Node> {
        let inert = INERT.iter().find(|(operator, _)| *operator == name);
        params.retain(|option, _| {
            !inert.is_some_and(|(_, options)| options.contains(&option.as_str()))
        });
        if matches!(name, "Filter" | "Lambda") {
            let sql = sql_of(&message_name(name), &mut params)?;
            params.insert("expr".to_owned(), json!(sql));
        }
        for path in paths(name, &mut params) {
            *path = json!(self.folder.join(path.as_str().unwrap_or_default()));
        }
        let other = self.columns_of_node(name, &mut params)?;
        let node = input.apply(self.build(name, params)?);
        Ok(other.into_iter().fold(node, Node::depends_on))
    }

    /// Columns that an operator uses besides its inputs may be given as a node.
    fn columns_of_node(
        &self,
        operator: &str,
        params: &mut Map<String, Value>,
    ) -> Result<Option<Node>> {
        let option = match operator {
            "TargetEncoding" => "target",
            "JoinGroupby" => "cont_cols",
            "Lambda" => "dependency",
            _ => return Ok(None),
        };
        let given = params.get(option).and_then(Value::as_str);
        let node = match given.and_then(|text| text.strip_prefix('@')) {
            Some(id) => Some(self.named(id)?),
            None => None,
        };
        match (&node, operator) {
            // The expression names the columns.
            (_, "Lambda") => {
                params.shift_remove(option);
            }
            (Some(node), _) => {
                let columns = Workflow::new(node.clone()).output_schema(self.schema)?;
                params.insert(option.to_owned(), json!(columns.names()));
            }
            (None, _) => {}
        }
        Ok(node)
    }

    /// An option that is null has its default, unless null means something to the operator.
    fn build(&self, name: &str, params: Map<String, Value>) -> Result<Arc<dyn DynOperator>> {
        let (nulls, mut said): (Map<_, _>, Map<_, _>) =
            params.into_iter().partition(|(_, value)| value.is_null());
        for (option, null) in nulls {
            let unknown = format!("unknown field `{option}`");
            let mut more = said.clone();
            more.insert(option, null);
            match self.registry.build(name, Value::Object(more.clone())) {
                Ok(_) => said = more,
                // A misspelt name.
                Err(error) if error.to_string().contains(&unknown) => return Err(error),
                // Null means nothing here.
                Err(_) => {}
            }
        }
        self.registry.build(name, Value::Object(said))
    }

    fn subtract(&self, input: Node, params: &Map<String, Value>) -> Result<Node> {
        match params.get("node") {
            Some(node) => Ok(input - self.sum(std::slice::from_ref(node))?),
            None => Ok(input - columns(params)?),
        }
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
    pub(super) fn sum(&self, inputs: &[Value]) -> Result<Node> {
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
pub(super) fn paths<'a>(op: &str, params: &'a mut Map<String, Value>) -> Vec<&'a mut Value> {
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
        Value::Array(paths) => paths.iter_mut().collect(),
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

//! A graph as text: JSON and TOML.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::read::paths;
use super::{Document, NodeText};
use crate::operator::message_name;
use crate::plan::graph::{Graph, NodeId, OperatorStep, Step};
use crate::selector::{Item, Selector};
use crate::workflow::{FittedWorkflow, Workflow};
use crate::{Error, Result, ops};

impl Workflow {
    /// Writes the graph as JSON, which [`Workflow::from_json`] reads.
    ///
    /// # Errors
    /// [`Error::Declaration`] if an operator holds data that a declaration cannot, such as a table
    /// in memory.
    pub fn to_json(&self) -> Result<String> {
        Ok(self.document()?.to_json())
    }

    /// Writes the graph as TOML, which [`Workflow::from_toml`] reads.
    ///
    /// ```
    /// use emrys_etl::{Workflow, cols, ops::{FillMissing, LogOp}};
    ///
    /// let price = cols(["price"]) >> FillMissing::with(0.0) >> LogOp::default();
    /// let text = Workflow::new(cols(["user"]) + price).to_toml()?;
    /// assert!(text.contains("[nodes.log_op]\ninputs = [\"@fill_missing\"]\nop = \"LogOp\""), "{text}");
    /// # Ok::<(), emrys_etl::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`to_json`](Workflow::to_json).
    pub fn to_toml(&self) -> Result<String> {
        Ok(self.document()?.to_toml())
    }

    fn document(&self) -> Result<Document> {
        Ok(Document {
            remove_inputs: self.removed.iter().cloned().collect(),
            ..Document::of(&self.graph)?
        })
    }
}

impl FittedWorkflow {
    /// Writes the graph as JSON, without what it has learned.
    ///
    /// Inputs that were removed from the fitted workflow may be needed to fit it again, as a target
    /// is: the graph still has them, and leaves out the outputs that came from them.
    ///
    /// # Errors
    /// As [`Workflow::to_json`].
    pub fn to_json(&self) -> Result<String> {
        Ok(self.document()?.to_json())
    }

    /// Writes the graph as TOML, without what it has learned; see [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// As [`Workflow::to_json`].
    pub fn to_toml(&self) -> Result<String> {
        Ok(self.document()?.to_toml())
    }

    fn document(&self) -> Result<Document> {
        let removed = &self.removed.outputs;
        if removed.is_empty() {
            return Document::of(&self.graph);
        }
        let mut graph = self.graph.clone();
        graph.steps.push(Step::Without {
            input: graph.output,
            columns: Selector::names(removed),
        });
        graph.output = graph.steps.len() - 1;
        Document::of(&graph)
    }
}

impl Document {
    fn of(graph: &Graph) -> Result<Document> {
        let mut writer = Writer {
            nodes: Vec::new(),
            taken: HashSet::new(),
            columns: HashMap::new(),
            inputs: Vec::with_capacity(graph.steps.len()),
        };
        for step in &graph.steps {
            let inputs = writer.step(step)?;
            writer.inputs.push(inputs);
        }
        let outputs = writer.ordered(writer.inputs[graph.output].clone());
        Ok(Document {
            nodes: writer.nodes,
            outputs,
            remove_inputs: Vec::new(),
        })
    }

    /// One line per node.
    fn to_json(&self) -> String {
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| {
                let mut object = json!({ "id": node.id, "inputs": node.inputs, "op": node.op });
                if !node.params.is_empty() {
                    object["params"] = Value::Object(node.params.clone());
                }
                if !node.depends_on.is_empty() {
                    object["depends_on"] = Value::Array(node.depends_on.clone());
                }
                format!("    {object}")
            })
            .collect();
        let nodes = match nodes.is_empty() {
            true => "[]".to_owned(),
            false => format!("[\n{}\n  ]", nodes.join(",\n")),
        };
        let outputs = Value::Array(self.outputs.clone());
        let removed = match self.remove_inputs.is_empty() {
            true => String::new(),
            false => format!(",\n  \"remove_inputs\": {}", json!(self.remove_inputs)),
        };
        format!("{{\n  \"nodes\": {nodes},\n  \"outputs\": {outputs}{removed}\n}}\n")
    }

    fn to_toml(&self) -> String {
        let list = |values: &[Value]| toml_value(&Value::Array(values.to_vec()));
        let mut text = format!("outputs = {}\n", list(&self.outputs));
        if !self.remove_inputs.is_empty() {
            let removed = toml_value(&json!(self.remove_inputs));
            let _ = writeln!(text, "remove_inputs = {removed}");
        }
        for node in &self.nodes {
            let _ = write!(
                text,
                "\n[nodes.{}]\ninputs = {}\nop = {}\n",
                toml_key(&node.id),
                list(&node.inputs),
                toml_value(&json!(node.op)),
            );
            if !node.depends_on.is_empty() {
                let _ = writeln!(text, "depends_on = {}", list(&node.depends_on));
            }
            // TOML has no nulls.
            let (said, unsaid) = node.toml_params();
            if !unsaid.is_empty() {
                let json = Value::Object(unsaid).to_string();
                let _ = writeln!(text, "params_json = {}", toml_value(&json!(json)));
            }
            if !said.is_empty() {
                let _ = writeln!(text, "params = {}", toml_value(&Value::Object(said)));
            }
        }
        text
    }
}

impl NodeText {
    /// The options that TOML can say, and those it cannot.
    fn toml_params(&self) -> (Map<String, Value>, Map<String, Value>) {
        let entries = self.params.clone().into_iter();
        entries.partition(|(_, value)| can_be_toml(value))
    }
}

/// The options of an operator without those that have their defaults.
fn without_defaults(name: &str, config: Map<String, Value>) -> Map<String, Value> {
    let built = |params: &Map<String, Value>| {
        ops::build(name, Value::Object(params.clone()))
            .and_then(|operator| operator.config())
            .ok()
    };
    let whole = built(&config);
    if whole.is_none() {
        // An operator of the user's own: all that is known are its options.
        return config;
    }
    let mut said = config.clone();
    for option in config.keys() {
        let mut fewer = said.clone();
        fewer.shift_remove(option);
        if built(&fewer) == whole {
            said = fewer;
        }
    }
    said
}

struct Writer {
    nodes: Vec<NodeText>,
    taken: HashSet<String>,
    /// The nodes that stand for columns, by what they stand for.
    columns: HashMap<String, Value>,
    /// How the columns of each step are named as inputs of another.
    inputs: Vec<Vec<Value>>,
}

impl Writer {
    fn step(&mut self, step: &Step) -> Result<Vec<Value>> {
        Ok(match step {
            Step::Select(selector) => selector_values(selector),
            Step::Concat(parts) => {
                let parts = parts.iter().flat_map(|part| self.inputs[*part].clone());
                parts.collect()
            }
            Step::Group(node) => {
                let members = self.inputs[*node].clone();
                vec![Value::Array(self.ordered(members))]
            }
            Step::Operator(OperatorStep {
                operator,
                input,
                dependencies,
            }) => {
                let (op, params) = written_operator(operator.name(), operator.config()?)?;
                let depends_on = dependencies
                    .iter()
                    .map(|node| self.reference(*node))
                    .collect();
                let inputs = self.inputs[*input].clone();
                let id = message_name(operator.name());
                vec![self.add(&id, inputs, op, params, depends_on)]
            }
            Step::Subset { input, columns } => {
                let params = json!({ "columns": selector_values(columns) });
                self.graph_node("select", *input, "Select", params)
            }
            Step::Without { input, columns } => {
                let params = json!({ "columns": selector_values(columns) });
                self.graph_node("without", *input, "Subtract", params)
            }
            Step::Difference { input, other } => {
                let params = json!({ "node": self.reference(*other) });
                self.graph_node("difference", *input, "Subtract", params)
            }
            Step::Subgraph { name, node } => {
                self.graph_node(name, *node, "Subgraph", json!({ "name": name }))
            }
        })
    }

    /// Inputs are read as nodes first, then columns: columns before a node become nodes.
    fn ordered(&mut self, inputs: Vec<Value>) -> Vec<Value> {
        let nodes = inputs.iter().rposition(is_node).map_or(0, |last| last + 1);
        let mut ordered = Vec::with_capacity(inputs.len());
        let mut run = Vec::new();
        for (position, input) in inputs.into_iter().enumerate() {
            if position < nodes && !is_node(&input) {
                run.push(input);
                continue;
            }
            if !run.is_empty() {
                ordered.push(self.as_node(std::mem::take(&mut run)));
            }
            ordered.push(input);
        }
        ordered
    }

    /// A step as one node.
    fn reference(&mut self, step: NodeId) -> Value {
        match self.inputs[step].as_slice() {
            [value] if is_node(value) => value.clone(),
            inputs => {
                let inputs = inputs.to_vec();
                self.as_node(inputs)
            }
        }
    }

    /// A node that stands for several inputs; the same for the same.
    fn as_node(&mut self, inputs: Vec<Value>) -> Value {
        let key = Value::Array(inputs.clone()).to_string();
        if let Some(node) = self.columns.get(&key) {
            return node.clone();
        }
        let node = self.add("columns", inputs, "Concat", Map::new(), Vec::new());
        self.columns.insert(key, node.clone());
        node
    }

    fn graph_node(
        &mut self,
        id: &str,
        input: NodeId,
        op: &'static str,
        params: Value,
    ) -> Vec<Value> {
        let params = match params {
            Value::Object(params) => params,
            _ => Map::new(),
        };
        vec![self.add(id, self.inputs[input].clone(), op, params, Vec::new())]
    }

    fn add(
        &mut self,
        id: &str,
        inputs: Vec<Value>,
        op: &str,
        params: Map<String, Value>,
        depends_on: Vec<Value>,
    ) -> Value {
        let inputs = self.ordered(inputs);
        let mut unique = id.to_owned();
        let mut number = 1;
        while !self.taken.insert(unique.clone()) {
            number += 1;
            unique = format!("{id}_{number}");
        }
        self.nodes.push(NodeText {
            id: unique.clone(),
            // No columns at all are written down too.
            inputs: match inputs.is_empty() {
                true => vec![json!({ "columns": [] })],
                false => inputs,
            },
            op: op.to_owned(),
            params,
            depends_on,
        });
        json!(format!("@{unique}"))
    }
}

fn is_node(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with('@'))
}

fn selector_values(selector: &Selector) -> Vec<Value> {
    selector
        .items()
        .iter()
        .map(|item| match item {
            Item::All => json!({ "all": true }),
            Item::Name(name) if name.starts_with('@') => json!({ "columns": [name] }),
            Item::Name(name) => json!(name),
            Item::Tag(tag) => json!({ "tags": [tag.as_str()] }),
            Item::Group(names) if names.iter().any(|name| name.starts_with('@')) => {
                json!({ "group": names })
            }
            Item::Group(names) => json!(names),
        })
        .collect()
}

/// The operator as the reader expects it, which understands expressions as pandas unless they are
/// called SQL.
fn written_operator(
    name: &'static str,
    config: Value,
) -> Result<(&'static str, Map<String, Value>)> {
    let Value::Object(config) = config else {
        return Ok((name, Map::new()));
    };
    let mut params = without_defaults(name, config);
    match name {
        "Filter" | "Lambda" => {
            if let Some(sql) = params.shift_remove("expr") {
                params.shift_insert(0, "sql".to_owned(), sql);
            }
        }
        "JoinExternal" if !params.contains_key("df_ext") => {
            return Err(in_memory(
                name,
                "its table is",
                "write it to a parquet file and join that",
            ));
        }
        "ColumnSimilarity"
            if !params.contains_key("left_features") || params.contains_key("right_in_memory") =>
        {
            return Err(in_memory(
                name,
                "its features are",
                "write them to a parquet file",
            ));
        }
        "TargetEncoding" => {
            // A text would be read as the name of a node.
            if let Some(target) = params.get_mut("target").filter(|target| is_node(target)) {
                *target = json!([target]);
            }
        }
        _ => {}
    }
    for path in paths(name, &mut params) {
        // A declaration may be read from another folder.
        let relative = path.as_str().unwrap_or_default();
        let absolute = std::path::absolute(relative).map_err(Error::io("read", relative))?;
        *path = json!(absolute);
    }
    Ok((name, params))
}

fn in_memory(operator: &str, what: &str, advice: &str) -> Error {
    Error::Declaration {
        place: message_name(operator),
        problem: format!("{what} in memory; {advice}"),
    }
}

fn can_be_toml(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => number.as_i64().is_some() || !number.is_u64(),
        Value::Array(values) => values.iter().all(can_be_toml),
        Value::Object(entries) => entries.values().all(can_be_toml),
        Value::Bool(_) | Value::String(_) => true,
    }
}

/// A value of TOML on one line.
fn toml_value(value: &Value) -> String {
    match value {
        // Not reached: see `can_be_toml`.
        Value::Null => "\"\"".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => toml::Value::Float(float).to_string(),
            _ => number.to_string(),
        },
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml_value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{} = {}", toml_key(key), toml_value(value)))
                .collect();
            match entries.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", entries.join(", ")),
            }
        }
    }
}

fn toml_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !key.is_empty() && key.chars().all(bare) {
        true => key.to_owned(),
        // Quoted on one line, as JSON does; a basic string of TOML knows the same escapes.
        false => json!(key).to_string(),
    }
}

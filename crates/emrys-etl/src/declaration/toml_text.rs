//! The graph of a workflow file in TOML, with the line of each node.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Document, NodeText, Part};

/// A graph, and where its parts stand.
#[derive(Debug, Clone)]
pub(super) struct TomlDocument {
    pub(super) document: Document,
    pub(super) lines: Lines,
}

/// The lines of nodes and outputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    nodes: HashMap<String, usize>,
    outputs: Option<usize>,
    remove_inputs: Option<usize>,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) node: Option<String>,
    pub(super) problem: String,
}

impl Lines {
    /// Where a part stands, as in "line 7, node `ids`".
    pub(super) fn place(&self, part: Part<'_>) -> String {
        let (line, part) = match part {
            Part::Node(id) => (self.nodes.get(id).copied(), format!("node `{id}`")),
            Part::Outputs => (self.outputs, "outputs".to_owned()),
            Part::RemoveInputs => (self.remove_inputs, "remove_inputs".to_owned()),
        };
        match line {
            Some(line) => format!("line {line}, {part}"),
            None => part,
        }
    }
}

/// The first line is 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|byte| *byte == b'\n').count()
}

impl TomlDocument {
    pub(super) fn parse(text: &str) -> Result<TomlDocument, Problem> {
        let document = DeTable::parse(text).map_err(|error| Problem {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            node: None,
            problem: error.message().replace('\n', "; "),
        })?;
        let document = document.get_ref();
        let mut lines = Lines::default();
        let outputs = match document.get("outputs") {
            Some(outputs) => {
                lines.outputs = Some(line_of(text, outputs.span().start));
                match to_json(text, outputs)? {
                    Value::Array(outputs) => outputs,
                    _ => return Err(at(text, outputs, None, "`outputs` must be a list".into())),
                }
            }
            None => {
                return Err(Problem {
                    line: 1,
                    node: None,
                    problem: "`outputs` is missing; name the nodes and columns that come out"
                        .to_owned(),
                });
            }
        };
        let mut remove_inputs = Vec::new();
        if let Some(names) = document.get("remove_inputs") {
            lines.remove_inputs = Some(line_of(text, names.span().start));
            remove_inputs = serde_json::from_value(to_json(text, names)?).map_err(|_| {
                let problem = "`remove_inputs` must be a list of names of columns";
                at(text, names, None, problem.to_owned())
            })?;
        }
        let mut nodes = Vec::new();
        if let Some(section) = document.get("nodes") {
            let Some(table) = section.get_ref().as_table() else {
                let problem = "`nodes` must hold a table for each node: `[nodes.NAME]`";
                return Err(at(text, section, None, problem.to_owned()));
            };
            for (id, value) in table {
                let line = line_of(text, id.span().start);
                let node = node(text, id.get_ref(), value).map_err(|problem| Problem {
                    node: Some(id.get_ref().to_string()),
                    ..problem
                })?;
                lines.nodes.insert(node.id.clone(), line);
                nodes.push((id.span().start, node));
            }
        }
        // The order of the file, as far as possible: operators come out in it.
        nodes.sort_by_key(|(start, _)| *start);
        let nodes = in_order(nodes.into_iter().map(|(_, node)| node).collect()).map_err(
            |(id, chain)| Problem {
                line: lines.nodes.get(&id).copied().unwrap_or(1),
                problem: format!("it needs itself, by way of {chain}; a graph has no circles"),
                node: Some(id),
            },
        )?;
        Ok(TomlDocument {
            document: Document {
                nodes,
                outputs,
                remove_inputs,
            },
            lines,
        })
    }
}

fn at(text: &str, value: &Spanned<DeValue<'_>>, node: Option<&str>, problem: String) -> Problem {
    Problem {
        line: line_of(text, value.span().start),
        node: node.map(str::to_owned),
        problem,
    }
}

fn node(text: &str, id: &str, value: &Spanned<DeValue<'_>>) -> Result<NodeText, Problem> {
    const KEYS: [&str; 5] = ["inputs", "op", "params", "params_json", "depends_on"];
    let wrong =
        |place: &Spanned<DeValue<'_>>, problem: &str| at(text, place, Some(id), problem.to_owned());
    let Some(table) = value.get_ref().as_table() else {
        return Err(wrong(value, "it must be a table with `inputs` and `op`"));
    };
    if let Some(key) = table
        .keys()
        .find(|key| !KEYS.contains(&key.get_ref().as_ref()))
    {
        let name = key.get_ref();
        let advice = match emrys_schema::closest_name(name, KEYS) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("a node has: {}", KEYS.join(", ")),
        };
        return Err(Problem {
            line: line_of(text, key.span().start),
            node: Some(id.to_owned()),
            problem: format!("there is no key `{name}`; {advice}"),
        });
    }
    let list = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(found) => match to_json(text, found)? {
            Value::Array(values) => Ok(Some(values)),
            _ => Err(wrong(found, &format!("`{key}` must be a list"))),
        },
    };
    let missing = |key: &str| wrong(value, &format!("`{key}` is missing"));
    let inputs = list("inputs")?.ok_or_else(|| missing("inputs"))?;
    let depends_on = list("depends_on")?.unwrap_or_default();
    let op = table.get("op").ok_or_else(|| missing("op"))?;
    let Some(name) = op.get_ref().as_str() else {
        return Err(wrong(op, "`op` must be the name of an operator"));
    };
    let mut params = match table.get("params") {
        None => Map::new(),
        Some(found) => match to_json(text, found)? {
            Value::Object(params) => params,
            _ => return Err(wrong(found, "`params` must be a table of options")),
        },
    };
    if let Some(found) = table.get("params_json") {
        let more = found
            .get_ref()
            .as_str()
            .map(serde_json::from_str::<Map<String, Value>>);
        match more {
            Some(Ok(more)) => params.extend(more),
            Some(Err(error)) => {
                return Err(wrong(
                    found,
                    &format!("`params_json` is no object of JSON: {error}"),
                ));
            }
            None => return Err(wrong(found, "`params_json` must be a text")),
        }
    }
    Ok(NodeText {
        id: id.to_owned(),
        inputs,
        op: name.to_owned(),
        params,
        depends_on,
    })
}

fn to_json(text: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, Problem> {
    let wrong = |problem: &str| at(text, value, None, problem.to_owned());
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        // Times are texts, as in JSON.
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            let number = i64::from_str_radix(digits, radix)
                .map(Number::from)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
            Value::Number(number.map_err(|_| wrong("a number of more than 64 bits"))?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| wrong("options must be finite numbers"))?)
        }
        DeValue::Array(values) => Value::Array(
            values
                .iter()
                .map(|v| to_json(text, v))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => {
            // Entries in the order of the file; the table itself is sorted by name.
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key.get_ref().to_string(), to_json(text, value)?);
            }
            Value::Object(object)
        }
    })
}

/// Nodes after those that they use, else in the order given.
///
/// # Errors
/// A node that needs itself, and by way of which others.
fn in_order(nodes: Vec<NodeText>) -> Result<Vec<NodeText>, (String, String)> {
    let positions: HashMap<String, usize> = nodes
        .iter()
        .enumerate()
        .map(|(position, node)| (node.id.clone(), position))
        .collect();
    // What is not there is told when the graph is built.
    let position = |id: &str| positions.get(id).copied();
    let used: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| used_nodes(node).into_iter().filter_map(position).collect())
        .collect();

    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Open,
        Done,
    }
    let mut visits = vec![Visit::Not; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for start in 0..nodes.len() {
        // A path from `start`: each node with the next of the nodes it uses.
        let mut path = vec![(start, 0)];
        while let Some((position, next)) = path.last_mut() {
            let position = *position;
            if *next == 0 && visits[position] == Visit::Done {
                path.pop();
                continue;
            }
            visits[position] = Visit::Open;
            let Some(input) = used[position].get(*next).copied() else {
                visits[position] = Visit::Done;
                order.push(position);
                path.pop();
                continue;
            };
            *next += 1;
            match visits[input] {
                Visit::Not => path.push((input, 0)),
                Visit::Done => {}
                Visit::Open => {
                    let circle = path.iter().skip_while(|(position, _)| *position != input);
                    let chain: Vec<String> = circle
                        .skip(1)
                        .map(|(position, _)| format!("`@{}`", nodes[*position].id))
                        .collect();
                    let id = nodes[input].id.clone();
                    let chain = match chain.is_empty() {
                        true => format!("`@{id}`"),
                        false => chain.join(" and "),
                    };
                    return Err((id, chain));
                }
            }
        }
    }
    let mut nodes: Vec<Option<NodeText>> = nodes.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|position| nodes[position].take())
        .collect())
}

/// The ids of the nodes that a node names.
pub(super) fn used_nodes(node: &NodeText) -> Vec<&str> {
    let mut used = Vec::new();
    let params = ["node", "target", "cont_cols", "dependency"].map(|key| node.params.get(key));
    let values = node.inputs.iter().chain(&node.depends_on);
    for value in values.chain(params.into_iter().flatten()) {
        references(value, &mut used);
    }
    used
}

/// The ids of nodes that a value names.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix('@')),
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_after_those_they_use() {
        let text = r#"
            outputs = ["@c"]
            nodes.c = { inputs = ["@b", ["@a", "x"]], op = "Concat" }
            nodes.b = { inputs = ["@a"], op = "LogOp" }
            nodes.z = { inputs = ["y"], op = "LogOp" }
            nodes.a = { inputs = ["x"], op = "LogOp" }
        "#;
        let parsed = TomlDocument::parse(text).unwrap();
        let ids: Vec<&str> = parsed
            .document
            .nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect();
        assert_eq!(ids, ["a", "b", "c", "z"]);
        assert_eq!(parsed.lines.place(Part::Node("b")), "line 4, node `b`");
        assert_eq!(parsed.lines.place(Part::Outputs), "line 2, outputs");
    }

    #[test]
    fn a_circle_is_told() {
        let text = r#"
            outputs = ["@a"]
            nodes.a = { inputs = ["@b"], op = "LogOp" }
            nodes.b = { inputs = ["x"], op = "LogOp", depends_on = ["@a"] }
        "#;
        let problem = TomlDocument::parse(text).unwrap_err();
        assert_eq!((problem.line, problem.node.as_deref()), (3, Some("a")));
        assert_eq!(
            problem.problem,
            "it needs itself, by way of `@b`; a graph has no circles"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = |text: &str| {
            let problem = TomlDocument::parse(text).map(|_| ()).unwrap_err();
            format!("{}, {:?}: {}", problem.line, problem.node, problem.problem)
        };
        let node = |rest: &str| told(&format!("outputs = []\n[nodes.a]\ninputs = ['x']\n{rest}"));
        insta::assert_snapshot!(
            [
                told("outputs = [\n"),
                told("[nodes.a]\nop = 'LogOp'\ninputs = ['x']"),
                told("outputs = 'a'"),
                told("outputs = []\nremove_inputs = [3]"),
                told("outputs = []\nnodes = 3"),
                told("outputs = []\n[nodes]\na = 3"),
                node(""),
                node("op = 'LogOp'\nparms = {}"),
                node("op = ['LogOp']"),
                node("op = 'LogOp'\n\nparams = 3"),
                node("op = 'Clip'\nparams = { min = -inf }"),
                node("op = 'Clip'\nparams_json = '{'"),
            ]
            .join("\n"),
            @r#"
        1, None: unclosed array, expected `]`
        1, None: `outputs` is missing; name the nodes and columns that come out
        1, None: `outputs` must be a list
        2, None: `remove_inputs` must be a list of names of columns
        2, None: `nodes` must hold a table for each node: `[nodes.NAME]`
        3, Some("a"): it must be a table with `inputs` and `op`
        2, Some("a"): `op` is missing
        5, Some("a"): there is no key `parms`; did you mean `params`?
        4, Some("a"): `op` must be the name of an operator
        6, Some("a"): `params` must be a table of options
        5, Some("a"): options must be finite numbers
        5, Some("a"): `params_json` is no object of JSON: EOF while parsing an object at line 1 column 1
        "#
        );
    }

    #[test]
    fn values_become_those_of_json() {
        let text = r#"
            outputs = []
            [nodes.a]
            inputs = []
            op = "X"
            params = { a = 0xff, b = 1.5, c = [true, "t"], d = 2020-01-01T00:00:00Z, e = { f = 18446744073709551615 } }
            params_json = '{"g": null}'
        "#;
        let parsed = TomlDocument::parse(text).unwrap();
        assert_eq!(
            Value::Object(parsed.document.nodes[0].params.clone()),
            serde_json::json!({
                "a": 255, "b": 1.5, "c": [true, "t"], "d": "2020-01-01T00:00:00Z",
                "e": {"f": u64::MAX}, "g": null
            })
        );
    }
}

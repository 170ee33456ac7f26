//! `emrys ops`.

mod options;
mod reference;

use clap::Args;
use emrys_etl::ops::{Entry, registry};
use emrys_etl::{Error, operator::Example};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::console;
use crate::failure::Result;
use crate::table::Table;
use options::Described;

/// List the operators, or describe one with its options and examples
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys ops
  emrys ops Categorify
  emrys ops --markdown > docs/operators.md")]
pub(crate) struct Ops {
    /// The operator to describe
    name: Option<String>,
    /// Print the reference of all operators, or of the one, as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

impl Ops {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let entries = registry();
        let Some(name) = &self.name else {
            return match (global.json, self.markdown) {
                (true, _) => {
                    let all: Vec<Value> = entries.iter().map(as_json).collect();
                    console::print_json(&Value::Array(all))
                }
                (false, true) => console::print(&reference::page(&entries)),
                (false, false) => console::print(&list(&entries)),
            };
        };
        let entry = find(&entries, name)?;
        match (global.json, self.markdown) {
            (true, _) => console::print_json(&as_json(entry)),
            (false, true) => console::print(&reference::section(entry)),
            (false, false) => console::print(&description(entry)),
        }
    }
}

/// The operator of a name in any case.
fn find<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry> {
    let same = |entry: &&Entry| entry.name.eq_ignore_ascii_case(name);
    if let Some(entry) = entries.iter().find(same) {
        return Ok(entry);
    }
    let names = entries.iter().map(|entry| entry.name);
    let advice = match emrys_schema::closest_name(name, names) {
        Some(closest) => format!("did you mean `{closest}`?"),
        None => "`emrys ops` lists them".to_owned(),
    };
    Err(Error::Declaration {
        place: format!("operator `{name}`"),
        problem: format!("there is no such operator; {advice}"),
    }
    .into())
}

fn list(entries: &[Entry]) -> String {
    let mut table = Table::new(["operator", "description"]);
    for entry in entries {
        table.row([entry.name, entry.description]);
    }
    table.text("")
}

fn description(entry: &Entry) -> String {
    let mut text = format!("{}: {}\n", entry.name, entry.description);
    let options = options::of(entry);
    if !options.is_empty() {
        text += "\nOptions\n";
        text += &option_table(&options).text("  ");
    }
    for example in (entry.examples)() {
        text += &format!("\nExample: {}\n", example.title);
        for (title, value) in facts(&example) {
            text += &format!("  {title}: {value}\n");
        }
        text += &format!(
            "\n{}\n{}",
            rows(&example.input).text("    "),
            "  becomes\n\n"
        );
        text += &rows(&example.output).text("    ");
    }
    text
}

fn option_table(options: &[Described]) -> Table {
    let mut table = Table::new(["option", "default"]);
    for option in options {
        let default = match &option.default {
            None => "required".to_owned(),
            Some(Value::Null) => "none".to_owned(),
            Some(value) => value.to_string(),
        };
        table.row([option.name.clone(), default]);
    }
    table
}

/// The options of an example and its inputs, where they say something.
fn facts(example: &Example) -> Vec<(&'static str, &Value)> {
    let is_empty = example
        .config
        .as_object()
        .is_none_or(serde_json::Map::is_empty);
    let config = (!is_empty).then_some(("params", &example.config));
    let selection = (!example.selection.is_null()).then_some(("inputs", &example.selection));
    config.into_iter().chain(selection).collect()
}

/// The rows of a table given by its columns.
fn rows(columns: &Value) -> Table {
    let columns: Vec<(&String, &Vec<Value>)> = columns
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, values)| Some((name, values.as_array()?)))
        .collect();
    let mut table = Table::new(columns.iter().map(|(name, _)| name.as_str()));
    let length = columns.iter().map(|(_, values)| values.len()).max();
    for row in 0..length.unwrap_or(0) {
        table.row(columns.iter().map(|(_, values)| {
            values
                .get(row)
                .map_or_else(String::new, |value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
        }));
    }
    table
}

fn as_json(entry: &Entry) -> Value {
    let options: Vec<Value> = options::of(entry)
        .into_iter()
        .map(|option| match option.default {
            None => json!({ "name": option.name, "required": true }),
            Some(default) => json!({ "name": option.name, "default": default }),
        })
        .collect();
    let examples: Vec<Value> = (entry.examples)()
        .into_iter()
        .map(|example| {
            json!({
                "title": example.title,
                "params": example.config,
                "inputs": example.selection,
                "input": example.input,
                "output": example.output,
            })
        })
        .collect();
    json!({
        "name": entry.name,
        "description": entry.description,
        "options": options,
        "examples": examples,
    })
}

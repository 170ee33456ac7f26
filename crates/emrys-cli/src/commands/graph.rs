//! `emrys graph`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use emrys_etl::{FittedWorkflow, Workflow};
use emrys_schema::Schema;

use crate::arguments::{DataArgs, Global};
use crate::failure::Result;
use crate::input::WorkflowInput;
use crate::{console, input};

/// Print the graph of a workflow as a declaration or as a picture
///
/// A fitted workflow prints the declaration it could have been fitted from; a declared one is
/// checked against the schema of the data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys graph --workflow fitted > workflow.toml
  emrys graph train/ --workflow workflow.toml --format svg > workflow.svg
  emrys graph --workflow fitted --format dot | dot -Tpng > workflow.png")]
pub(crate) struct Graph {
    #[command(flatten)]
    data: DataArgs,
    /// The file that declares the workflow, or the folder of a fitted one
    #[arg(long, short, value_name = "PATH")]
    workflow: PathBuf,
    /// How to print it; --json is the same as --format json
    #[arg(long, short, value_enum, default_value_t = Format::Toml)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A declaration for people
    Toml,
    /// The same declaration as JSON
    Json,
    /// A picture in the language of Graphviz
    Dot,
    /// A picture
    Svg,
}

impl Graph {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let format = match global.json {
            true => Format::Json,
            false => self.format,
        };
        let text = match WorkflowInput::read(&self.workflow)? {
            WorkflowInput::Declared(file) => {
                let dataset = input::dataset(&self.data, file.settings())?;
                of_declared(&file.workflow(dataset.schema())?, dataset.schema(), format)
            }
            WorkflowInput::Saved(folder) => of_fitted(&FittedWorkflow::load(folder)?, format),
        };
        console::print(&text?)
    }
}

fn of_declared(workflow: &Workflow, data: &Schema, format: Format) -> emrys_etl::Result<String> {
    match format {
        Format::Toml => workflow.to_toml(),
        Format::Json => workflow.to_json(),
        Format::Dot => Ok(workflow.picture(data)?.to_dot()),
        Format::Svg => Ok(workflow.picture(data)?.to_svg()),
    }
}

fn of_fitted(workflow: &FittedWorkflow, format: Format) -> emrys_etl::Result<String> {
    match format {
        Format::Toml => workflow.to_toml(),
        Format::Json => workflow.to_json(),
        Format::Dot => Ok(workflow.picture()?.to_dot()),
        Format::Svg => Ok(workflow.picture()?.to_svg()),
    }
}

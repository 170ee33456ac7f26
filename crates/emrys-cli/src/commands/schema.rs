//! `emrys schema`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use emrys_etl::declaration::Settings;
use emrys_etl::{Error, FittedWorkflow};
use emrys_schema::Schema;

use crate::arguments::{DataArgs, Global};
use crate::failure::{Failure, Result};
use crate::input::WorkflowInput;
use crate::{console, input};

/// Print the schema of data, of a schema file, or of what comes out of a workflow
///
/// Reads and prints our own JSON, and Merlin's pbtxt and JSON, and so converts between them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys schema train/
  emrys schema train/ --workflow workflow.toml
  emrys schema --workflow fitted --format pbtxt > schema.pbtxt
  emrys schema schema.pbtxt --format json")]
pub(crate) struct SchemaCommand {
    #[command(flatten)]
    data: DataArgs,
    /// Print what comes out of this workflow: a file that declares it, or the folder of a fitted one
    #[arg(long, short, value_name = "PATH")]
    workflow: Option<PathBuf>,
    /// Print the columns that a fitted workflow reads instead
    #[arg(long, requires = "workflow")]
    input: bool,
    /// How to print it; --json is the same as --format json
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table for people
    Table,
    /// Our own JSON, lossless
    Json,
    /// Merlin's text format
    Pbtxt,
    /// Merlin's JSON
    MerlinJson,
}

impl SchemaCommand {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let schema = self.schema()?;
        let text = match self.format {
            _ if global.json => schema.to_json()?,
            Format::Json => schema.to_json()?,
            Format::Table => schema.to_string(),
            Format::Pbtxt => schema.to_pbtxt()?,
            Format::MerlinJson => schema.to_merlin_json()?,
        };
        console::print(&format!("{}\n", text.trim_end()))
    }

    fn schema(&self) -> Result<Schema> {
        let Some(workflow) = &self.workflow else {
            return self.of_data();
        };
        match WorkflowInput::read(workflow)? {
            WorkflowInput::Saved(folder) => {
                let fitted = FittedWorkflow::load(folder)?;
                Ok(match self.input {
                    true => fitted.input_schema().clone(),
                    false => fitted.output_schema().clone(),
                })
            }
            WorkflowInput::Declared(_) if self.input => Err(Failure::Usage(
                "`--input` needs a fitted workflow; a declared one reads the data it is given"
                    .to_owned(),
            )),
            WorkflowInput::Declared(file) => {
                let dataset = input::dataset(&self.data, file.settings())?;
                let workflow = file.workflow(dataset.schema())?;
                Ok(workflow.output_schema(dataset.schema())?)
            }
        }
    }

    /// The schema of a data set; or of a schema file, or a folder with nothing else.
    fn of_data(&self) -> Result<Schema> {
        if let [path] = self.data.paths.as_slice() {
            let is_schema = ["json", "pbtxt"]
                .map(Some)
                .contains(&path.extension().and_then(|extension| extension.to_str()));
            if is_schema && path.is_file() {
                return Ok(Schema::read(path)?);
            }
            if let Err(Failure::Run(Error::EmptyDataset { .. })) =
                input::dataset(&self.data, &Settings::default())
                && let Ok(schema) = Schema::read(path)
            {
                return Ok(schema);
            }
        }
        Ok(input::dataset(&self.data, &Settings::default())?
            .schema()
            .clone())
    }
}

//! `emrys explain`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{DataArgs, Global, SessionArgs};
use crate::failure::Result;
use crate::input::WorkflowInput;
use crate::run::Run;
use crate::{console, input};

/// Show the rounds of fitting, or the plan of a transform, without running them
///
/// For a declared workflow the rounds in which its operators are fitted, with the queries of the
/// first; for a fitted one the plan of transforming the data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys explain train/ --workflow workflow.toml
  emrys explain valid/ --workflow fitted")]
pub(crate) struct Explain {
    #[command(flatten)]
    data: DataArgs,
    /// The file that declares the workflow, or the folder of a fitted one
    #[arg(long, short, value_name = "PATH")]
    workflow: PathBuf,
    #[command(flatten)]
    session: SessionArgs,
}

impl Explain {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let workflow = WorkflowInput::read(&self.workflow)?;
        let settings = workflow.settings();
        let mut run = Run::start(&self.session.over(&settings.session), global)?;
        let dataset = input::dataset(&self.data, &settings)?;
        let explanation = match workflow {
            WorkflowInput::Declared(file) => file
                .workflow(dataset.schema())?
                .with_options(run.options())
                .explanation(&dataset)?,
            WorkflowInput::Saved(folder) => {
                input::fitted(&folder, run.options())?.explanation(&dataset)?
            }
        };
        run.finish();
        match global.json {
            true => console::print(&format!("{}\n", explanation.to_json()?)),
            false => console::print(&format!("{}\n", explanation.to_string().trim_end())),
        }
    }
}

//! `emrys fit`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::arguments::{DataArgs, Global, SessionArgs};
use crate::console::{self, counted};
use crate::failure::Result;
use crate::input;
use crate::run::{Run, output_path};

/// Fit a declared workflow on data, and save it
///
/// The saved folder holds the graph, what each operator has learned, and the schemas of input and
/// output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys fit train/ --workflow workflow.toml --out fitted
  emrys fit 'train/day_*.parquet' --workflow workflow.toml --out fitted --memory 2GiB --overwrite")]
pub(crate) struct Fit {
    #[command(flatten)]
    data: DataArgs,
    /// The file that declares the workflow: TOML, or JSON if its name ends with .json
    #[arg(long, short, value_name = "FILE")]
    workflow: PathBuf,
    /// The folder for the fitted workflow
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the output if emrys wrote it before
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    session: SessionArgs,
}

impl Fit {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let file = input::declared(&self.workflow)?;
        let settings = file.settings();
        let out = output_path(self.out.as_ref(), "fit", settings.fit.out.as_ref())?;
        input::check_output(&out, self.overwrite)?;
        let dataset = input::dataset(&self.data, settings)?;
        let workflow = file.workflow(dataset.schema())?;

        let mut run = Run::start(&self.session.over(&settings.session), global)?;
        let fitted = workflow.with_options(run.options()).fit(&dataset)?;
        run.go_on()?;
        fitted.save(&out)?;
        let seconds = run.finish();
        if global.json {
            return console::print_json(&json!({
                "workflow": out,
                "rows": dataset.num_rows(),
                "files": dataset.files().len(),
                "columns": fitted.output_schema().names(),
                "seconds": seconds,
            }));
        }
        if !global.quiet {
            console::tell(&format!(
                "fitted on {} in {seconds:.1} s, saved in `{}`",
                counted(dataset.num_rows(), "row"),
                out.display()
            ));
        }
        Ok(())
    }
}

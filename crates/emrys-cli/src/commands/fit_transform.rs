//! `emrys fit-transform`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{DataArgs, Global, SessionArgs, WriteArgs};
use crate::failure::Result;
use crate::run::{Run, output_path};
use crate::{console, input};

/// Fit a declared workflow on data, and transform the same data with it
///
/// The rows are those that `emrys fit` and `emrys transform` would write one after the other:
/// encodings of a target are out of fold. With --save the fitted workflow is kept for other data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys fit-transform train/ --workflow workflow.toml --out train_encoded --save fitted")]
pub(crate) struct FitTransform {
    #[command(flatten)]
    data: DataArgs,
    /// The file that declares the workflow: TOML, or JSON if its name ends with .json
    #[arg(long, short, value_name = "FILE")]
    workflow: PathBuf,
    /// The folder for the rows
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder for the fitted workflow; without it, it is not kept
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Replace the outputs if emrys wrote them before
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    session: SessionArgs,
}

impl FitTransform {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let file = input::declared(&self.workflow)?;
        let settings = file.settings();
        let out = output_path(self.out.as_ref(), "write", settings.write.out.as_ref())?;
        let save = self.save.as_ref().or(settings.fit.out.as_ref());
        for path in save.into_iter().chain([&out]) {
            input::check_output(path, self.overwrite)?;
        }
        let options = self.write.over(&settings.write).options()?;
        let dataset = input::dataset(&self.data, settings)?;
        let workflow = file.workflow(dataset.schema())?;

        let mut run = Run::start(&self.session.over(&settings.session), global)?;
        let fitted = workflow.with_options(run.options()).fit(&dataset)?;
        run.go_on()?;
        if let Some(save) = save {
            fitted.save(save)?;
        }
        let transformed = fitted.transform(&dataset)?;
        let manifest = transformed.write(&out, &options.with_overwrite(self.overwrite))?;
        let seconds = run.finish();
        if let (Some(save), false, false) = (save, global.quiet, global.json) {
            console::tell(&format!(
                "saved the fitted workflow in `{}`",
                save.display()
            ));
        }
        super::transform::report(global, &out, &manifest, seconds)
    }
}

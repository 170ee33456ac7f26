//! `emrys transform`.

use std::path::{Path, PathBuf};

use clap::Args;
use emrys_etl::Manifest;
use emrys_etl::declaration::Settings;
use serde_json::json;

use crate::arguments::{DataArgs, Global, SessionArgs, WriteArgs};
use crate::console::{self, counted};
use crate::failure::Result;
use crate::input;
use crate::run::{Run, output_path};

/// Transform data with a fitted workflow, and write them as parquet
///
/// The folder that is written holds part files in the order of the data, `schema.json`,
/// `schema.pbtxt` and a manifest with checksums. It appears under its name only when it is whole.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys transform valid/ --workflow fitted --out valid_encoded
  emrys transform valid/ --workflow fitted --out valid_encoded --rows-per-file 1000000 --json")]
pub(crate) struct Transform {
    #[command(flatten)]
    data: DataArgs,
    /// The folder of a fitted workflow
    #[arg(long, short, value_name = "DIR")]
    workflow: PathBuf,
    /// The folder for the rows
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the output if emrys wrote it before
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    session: SessionArgs,
}

impl Transform {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let settings = Settings::default();
        let out = output_path(self.out.as_ref(), "write", None)?;
        input::check_output(&out, self.overwrite)?;
        let options = self.write.over(&settings.write).options()?;

        let mut run = Run::start(&self.session.over(&settings.session), global)?;
        let fitted = input::fitted(&self.workflow, run.options())?;
        let dataset = input::dataset(&self.data, &settings)?;
        let transformed = fitted.transform(&dataset)?;
        let manifest = transformed.write(&out, &options.with_overwrite(self.overwrite))?;
        let seconds = run.finish();
        report(global, &out, &manifest, seconds)
    }
}

/// Tells what was written.
pub(super) fn report(global: &Global, out: &Path, manifest: &Manifest, seconds: f64) -> Result<()> {
    if global.json {
        return console::print_json(&json!({
            "out": out,
            "rows": manifest.rows,
            "files": manifest.files.len(),
            "bytes": manifest.bytes(),
            "seconds": seconds,
        }));
    }
    if !global.quiet {
        console::tell(&format!(
            "wrote {} to {} ({}) in `{}` in {seconds:.1} s",
            counted(manifest.rows, "row"),
            counted(manifest.files.len() as u64, "file"),
            indicatif::HumanBytes(manifest.bytes()),
            out.display()
        ));
    }
    Ok(())
}

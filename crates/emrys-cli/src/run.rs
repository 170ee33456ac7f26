//! A run: its session, its progress bar, and its end by Ctrl-C.

use std::path::PathBuf;
use std::time::Instant;

use emrys_etl::declaration::SessionSettings;
use emrys_etl::session::SpillFolder;
use emrys_etl::{Error, Progress, SessionOptions};

use crate::arguments::Global;
use crate::bars::Bars;
use crate::failure::Result;
use crate::interrupt;

/// A run of the library.
///
/// It has a folder of its own to spill into, which is deleted at the end however the run ends; if
/// the process is killed, by the next run.
pub(crate) struct Run {
    started: Instant,
    options: SessionOptions,
    progress: Progress,
    bars: Option<Bars>,
    /// Goes away with the run.
    _spill: SpillFolder,
}

impl Run {
    pub(crate) fn start(settings: &SessionSettings, global: &Global) -> Result<Run> {
        let progress = Progress::new();
        // First of all: what is begun from here on is tidied up.
        interrupt::stops(&progress);
        let parent = settings
            .spill_dir
            .clone()
            .unwrap_or_else(std::env::temp_dir);
        let spill = SpillFolder::create(parent)?;
        Ok(Run {
            started: Instant::now(),
            options: settings
                .options()
                .with_spill_dir(spill.path())
                .with_progress(progress.clone()),
            bars: Bars::show(&progress, global.quiet),
            progress,
            _spill: spill,
        })
    }

    pub(crate) fn options(&self) -> SessionOptions {
        self.options.clone()
    }

    /// Fails if the run was stopped; to be asked before something is kept.
    pub(crate) fn go_on(&self) -> Result<()> {
        match self.progress.is_cancelled() {
            true => Err(Error::Interrupted.into()),
            false => Ok(()),
        }
    }

    /// Ends the drawing and gives the seconds that the run took. What it has spilled stays until
    /// the run is dropped: let that be after what it has made.
    pub(crate) fn finish(&mut self) -> f64 {
        self.bars = None;
        self.started.elapsed().as_secs_f64()
    }
}

/// The place of an output: the argument, else what the workflow file says.
pub(crate) fn output_path(
    argument: Option<&PathBuf>,
    section: &str,
    setting: Option<&PathBuf>,
) -> Result<PathBuf> {
    let path = argument.or(setting).cloned();
    path.ok_or_else(|| {
        crate::failure::Failure::Usage(format!(
            "there is no output: give `--out DIR`, or `out` in the section [{section}] of the \
             workflow file"
        ))
    })
}

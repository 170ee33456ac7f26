//! A bar for whoever waits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether progress is shown while a trainer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// A bar on standard error if that is a terminal, else nothing.
    #[default]
    Auto,
    /// Nothing.
    Quiet,
}

/// A bar of batches.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that stands at `done` of `batches`.
    pub(super) fn new(progress: Progress, label: String, batches: usize, done: usize) -> Self {
        let bar = match progress {
            // Indicatif draws nothing where standard error is no terminal.
            Progress::Auto => ProgressBar::new(batches as u64),
            Progress::Quiet => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} [{eta}] {msg}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(label);
        bar.set_position(done as u64);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// One batch more is done.
    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    /// The text behind the bar; only made where it is seen.
    pub(super) fn say(&self, message: impl FnOnce() -> String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

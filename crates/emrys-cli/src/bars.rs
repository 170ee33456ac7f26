//! Progress bars on terminals.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use emrys_etl::{Progress, ProgressSnapshot, Stage};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar is drawn.
const PERIOD: Duration = Duration::from_millis(100);

const TEMPLATE: &str = "{prefix} [{bar:30}] {percent}% {msg}, {eta} left";

/// A bar that shows a run until it is dropped.
pub(crate) struct Bars {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Bars {
    /// Shows a run on stderr; nothing is shown if that is no terminal, or if nothing is to be
    /// shown.
    pub(crate) fn show(progress: &Progress, quiet: bool) -> Option<Bars> {
        let target = ProgressDrawTarget::stderr();
        if quiet || target.is_hidden() {
            return None;
        }
        let progress = progress.clone();
        let (stop, stopped) = mpsc::channel();
        let draw = move || {
            let bar = ProgressBar::with_draw_target(None, target).with_style(style());
            let mut stage = Stage::Waiting;
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let seen = progress.snapshot();
                let Some(rows) = seen.rows_total else {
                    continue;
                };
                if seen.stage != stage {
                    stage = seen.stage;
                    // The time that is left is that of the stage.
                    bar.reset();
                    bar.set_prefix(title(stage));
                }
                bar.set_length(rows);
                bar.set_message(message(&seen));
                bar.set_position(seen.rows_read);
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("emrys-bars".into());
        // A run without a bar is still a run.
        let thread = thread.spawn(draw).ok()?;
        Some(Bars {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn title(stage: Stage) -> String {
    match stage {
        Stage::Fit { round, rounds } => format!("fit, round {round} of {rounds}"),
        Stage::Transform => "transform".to_owned(),
        Stage::Scan => "read".to_owned(),
        _ => String::new(),
    }
}

fn message(seen: &ProgressSnapshot) -> String {
    let rows = HumanCount(seen.rows_read);
    let mut message = match seen.rows_total {
        Some(total) => format!("{rows} of {} rows", HumanCount(total)),
        None => format!("{rows} rows"),
    };
    message += &format!(", {}", HumanBytes(seen.bytes_read));
    if seen.stage == Stage::Transform {
        message += &format!(", {} written", HumanCount(seen.rows_written));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_what_is_done_and_how_much() {
        assert_eq!(
            title(Stage::Fit {
                round: 1,
                rounds: 2
            }),
            "fit, round 1 of 2"
        );
        assert_eq!(message(&ProgressSnapshot::default()), "0 rows, 0 B");
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}

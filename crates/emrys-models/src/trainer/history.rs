//! What came of each epoch.

use std::fmt;
use std::path::Path;

use crate::metrics::Evaluation;
use crate::{Error, Result};

/// What came of one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochReport {
    /// The number of the epoch, from 1.
    pub epoch: u64,
    /// Rows trained on.
    pub rows: u64,
    /// Time spent training, without validation.
    pub seconds: f64,
    /// The mean loss of the rows while they were trained on.
    pub loss: f64,
    /// Loss and metrics of the validation data after the epoch; empty without validation.
    pub valid: Vec<(String, f64)>,
}

impl EpochReport {
    /// Rows trained on in a second.
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    /// The validation metric of that name, such as `auc`.
    pub fn valid(&self, name: &str) -> Option<f64> {
        self.valid
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    }

    pub(super) fn with_valid(mut self, evaluation: &Evaluation) -> Self {
        self.valid = evaluation
            .iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        self
    }
}

/// What came of all epochs, in order; prints as a table.
///
/// # Example
/// ```
/// use emrys_models::trainer::{EpochReport, History};
///
/// let valid = vec![("auc".to_owned(), 0.8123)];
/// let report = EpochReport { epoch: 1, rows: 1000, seconds: 0.5, loss: 0.5432, valid };
/// assert_eq!(
///     History::from(vec![report]).to_string(),
///     "epoch    rows   rows/s    loss  valid_auc\n    1    1000     2000  0.5432     0.8123\n"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    epochs: Vec<EpochReport>,
}

impl From<Vec<EpochReport>> for History {
    fn from(epochs: Vec<EpochReport>) -> Self {
        Self { epochs }
    }
}

impl History {
    /// The epochs in order.
    pub fn epochs(&self) -> &[EpochReport] {
        &self.epochs
    }

    /// The last epoch, if one was finished.
    pub fn last(&self) -> Option<&EpochReport> {
        self.epochs.last()
    }

    pub(super) fn push(&mut self, report: EpochReport) {
        self.epochs.push(report);
    }

    /// The names of the validation metrics, in order of first appearance.
    fn valid_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.epochs.iter().flat_map(|epoch| &epoch.valid) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Writes one line an epoch: `epoch,rows,seconds,loss`, then `valid_<metric>` for each metric.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failed = |source| Error::Csv {
            path: path.to_owned(),
            source,
        };
        let names = self.valid_names();
        let mut csv = csv::Writer::from_path(path).map_err(failed)?;
        let valid = names.iter().map(|name| format!("valid_{name}"));
        let header = ["epoch", "rows", "seconds", "loss"]
            .map(str::to_owned)
            .into_iter()
            .chain(valid);
        csv.write_record(header).map_err(failed)?;
        for epoch in &self.epochs {
            let text =
                |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let numbers = [
                epoch.epoch.to_string(),
                epoch.rows.to_string(),
                epoch.seconds.to_string(),
                epoch.loss.to_string(),
            ];
            let valid = names.iter().map(|name| text(epoch.valid(name)));
            csv.write_record(numbers.into_iter().chain(valid))
                .map_err(failed)?;
        }
        csv.flush().map_err(|error| failed(error.into()))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .valid_names()
            .into_iter()
            .map(|name| format!("valid_{name}"))
            .collect();
        write!(f, "epoch    rows   rows/s    loss")?;
        for name in &names {
            write!(f, "  {name:>6}")?;
        }
        writeln!(f)?;
        for epoch in &self.epochs {
            let speed = epoch.rows_per_second();
            write!(
                f,
                "{:>5} {:>7} {speed:>8.0}  {:.4}",
                epoch.epoch, epoch.rows, epoch.loss
            )?;
            for name in &names {
                let width = name.len().max(6);
                match epoch.valid(&name["valid_".len()..]) {
                    Some(value) => write!(f, "  {value:>width$.4}")?,
                    None => write!(f, "  {:>width$}", "")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_column_for_each_metric() {
        let report = |epoch, valid: &[(&str, f64)]| EpochReport {
            epoch,
            rows: 10,
            seconds: 2.0,
            loss: 0.25,
            valid: valid
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
        };
        let history = History::from(vec![report(1, &[]), report(2, &[("auc", 0.75)])]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        history.write_csv(&path).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(path).unwrap(), @r"
        epoch,rows,seconds,loss,valid_auc
        1,10,2,0.25,
        2,10,2,0.25,0.75
        ");
        let missing = folder.path().join("no/such/folder/history.csv");
        assert!(matches!(history.write_csv(missing), Err(Error::Csv { .. })));
    }
}

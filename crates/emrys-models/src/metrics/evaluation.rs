//! The result of an evaluation.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Named numbers that were measured over some rows.
///
/// # Example
/// ```
/// use emrys_models::metrics::Evaluation;
///
/// let evaluation = Evaluation::new(200, std::time::Duration::from_secs(2), [("auc".to_owned(), 0.8)]);
/// assert_eq!(evaluation.get("auc"), Some(0.8));
/// assert_eq!(evaluation.to_string(), "auc 0.8000 (200 rows, 100 rows/s)");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    rows: usize,
    seconds: f64,
    values: Vec<(String, f64)>,
}

impl Evaluation {
    /// What was measured over `rows` rows, or users, in the given time.
    pub fn new(
        rows: usize,
        elapsed: Duration,
        values: impl IntoIterator<Item = (String, f64)>,
    ) -> Self {
        Self {
            rows,
            seconds: elapsed.as_secs_f64(),
            values: values.into_iter().collect(),
        }
    }

    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    }

    /// Names and numbers, in the order in which the tasks report them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
    }

    /// How many rows, or users, were measured.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How long it took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(f, "{name} {value:.4} ")?;
        }
        let speed = self.rows as f64 / self.seconds;
        write!(f, "({} rows, {speed:.0} rows/s)", self.rows)
    }
}

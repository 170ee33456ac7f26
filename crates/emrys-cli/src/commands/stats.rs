//! `emrys stats`.

use clap::Args;
use emrys_etl::declaration::Settings;
use emrys_etl::{ColumnStats, Session};
use serde_json::{Value, json};

use crate::arguments::{DataArgs, Global, SessionArgs};
use crate::console::{self, counted};
use crate::failure::Result;
use crate::input;
use crate::run::Run;
use crate::table::Table;

/// Longer values are cut: one text would push everything else off the screen.
const WIDEST_VALUE: usize = 20;

/// Describe the columns of data in one scan
///
/// Counts of rows, nulls and distinct values (approximate), extremes, mean, deviation and quantiles
/// of numbers, and the lengths of lists.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys stats train/
  emrys stats 'train/day_*.parquet' --json")]
pub(crate) struct Stats {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    session: SessionArgs,
}

impl Stats {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let mut run = Run::start(&self.session.over(&input::no_settings()), global)?;
        let dataset = input::dataset(&self.data, &Settings::default())?;
        let stats = dataset.column_stats(&Session::new(run.options())?)?;
        run.finish();
        let (rows, files) = (dataset.num_rows(), dataset.files().len());
        if global.json {
            return console::print_json(&json!({
                "rows": rows,
                "files": files,
                "columns": stats,
            }));
        }
        console::print(&format!(
            "{}, {}, {}\n\n{}",
            counted(rows, "row"),
            counted(stats.len() as u64, "column"),
            counted(files as u64, "file"),
            table(&stats).text("")
        ))
    }
}

fn table(stats: &[ColumnStats]) -> Table {
    let mut table = Table::new([
        "column", "dtype", "nulls", "nan", "distinct", "min", "25%", "50%", "75%", "max", "mean",
        "std", "lengths",
    ]);
    for column in stats {
        let count = |count: Option<u64>| match count {
            None | Some(0) => String::new(),
            Some(count) => count.to_string(),
        };
        let quantile = |of: fn(&emrys_etl::Quantiles) -> f64| {
            column
                .quantiles
                .as_ref()
                .map_or_else(String::new, |all| short(of(all)))
        };
        table.row([
            column.column.clone(),
            column.dtype.clone(),
            count(Some(column.nulls)),
            count(column.nan),
            column
                .distinct
                .map_or_else(String::new, |distinct| distinct.to_string()),
            shown(&column.min),
            quantile(|all| all.p25),
            quantile(|all| all.p50),
            quantile(|all| all.p75),
            shown(&column.max),
            column.mean.map_or_else(String::new, short),
            column.std.map_or_else(String::new, short),
            column.lengths.map_or_else(String::new, |lengths| {
                format!(
                    "{} to {}, mean {}",
                    lengths.min,
                    lengths.max,
                    short(lengths.mean)
                )
            }),
        ]);
    }
    table.without_empty_columns()
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::Number(number) if number.is_f64() => short(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(WIDEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// About five digits.
fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) {
        let digits = 4 - (size.max(1.0).log10() as usize).min(4);
        let text = format!("{number:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    } else {
        format!("{number:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [
            0.0,
            0.5,
            -1.0,
            1.0 / 3.0,
            123.456,
            99_999.5,
            1_234_567.0,
            1e-9,
            -1e300,
            1e7,
        ];
        assert_eq!(
            numbers.map(short),
            [
                "0",
                "0.5",
                "-1",
                "0.3333",
                "123.46",
                "100000",
                "1234567",
                "1.0000e-9",
                "-1.0000e300",
                "1.0000e7"
            ]
        );
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(
            shown(&json!("ä".repeat(30))),
            format!("{}…", "ä".repeat(20))
        );
        assert_eq!(shown(&json!(i64::MIN)), "-9223372036854775808");
    }
}

//! Medians, ratios, the tables, and the last line.

use serde_json::{Map, Value, json};

use crate::Result;
use crate::arguments::{Arguments, Keys};
use crate::peers::Tool;
use crate::process::Run;
use crate::rounds::Configuration;

/// The medians of a tool's runs of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    tool: Tool,
    runs: usize,
    fit_s: f64,
    transform_s: f64,
    total_s: f64,
    cpu_s: f64,
    peak_mib: f64,
    others: f64,
    ids: u64,
}

impl Summary {
    pub(crate) fn of(tool: Tool, runs: &[Run]) -> Option<Summary> {
        let median = |value: fn(&Run) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
        };
        let ids = runs.first()?.result.ids;
        Some(Summary {
            tool,
            runs: runs.len(),
            fit_s: median(|run| run.result.fit_s),
            transform_s: median(|run| run.result.transform_s),
            total_s: median(|run| run.result.total_s()),
            cpu_s: median(|run| run.result.cpu_s),
            peak_mib: median(|run| run.peak_mib),
            others: median(|run| run.others),
            ids,
        })
    }
}

fn find(summaries: &[Summary], tools: &[Tool], value: fn(&Summary) -> f64) -> Option<f64> {
    summaries
        .iter()
        .filter(|summary| tools.contains(&summary.tool))
        .map(value)
        .min_by(f64::total_cmp)
}

/// The table of a configuration.
pub(crate) fn print_configuration(configuration: &Configuration, summaries: &[Summary]) {
    let Configuration {
        rows,
        keys,
        threshold,
    } = configuration;
    println!(
        "\n{rows} rows, {} keys, freq_threshold {threshold}",
        keys.name()
    );
    println!(
        "{:<12} {:>4} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8} {:>7}",
        "", "runs", "fit s", "write s", "total s", "cpu s", "peak MiB", "ratio", "cpu", "others"
    );
    let ours = summaries.iter().find(|summary| summary.tool == Tool::Emrys);
    let ids = ours.map(|ours| ours.ids);
    for summary in summaries {
        let over = |value: fn(&Summary) -> f64| match ours {
            Some(ours) => format!("{:.3}", value(ours) / value(summary)),
            None => "-".to_owned(),
        };
        println!(
            "{:<12} {:>4} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>9.0} {:>8} {:>8} {:>6.0}%{}",
            summary.tool.name(),
            summary.runs,
            summary.fit_s,
            summary.transform_s,
            summary.total_s,
            summary.cpu_s,
            summary.peak_mib,
            over(|summary| summary.total_s),
            over(|summary| summary.cpu_s),
            100.0 * summary.others,
            match ids {
                Some(ids) if !summary.tool.is_floor() && summary.ids != ids =>
                    format!("  {} ids, not {ids}", summary.ids),
                _ => String::new(),
            }
        );
    }
    println!(
        "(floor: decode once in place of fit, encode with the parquet library in place of write; \
         own-floor: encode with Emrys' encoder; ratio and cpu: emrys over the tool; others: the \
         processor time that other programs took)"
    );
}

/// The last line.
pub(crate) fn print_json(
    done: &[(Configuration, Vec<Summary>)],
    arguments: &Arguments,
) -> Result<()> {
    let polars: &[Tool] = &[Tool::Polars, Tool::PolarsJoin];
    let worst = |tools: &[Tool], value: fn(&Summary) -> f64| {
        done.iter()
            .filter_map(|(_, summaries)| {
                let ours = find(summaries, &[Tool::Emrys], value)?;
                Some(ours / find(summaries, tools, value)?)
            })
            .max_by(f64::total_cmp)
            .map(rounded)
    };
    let total = |summary: &Summary| summary.total_s;
    let cpu = |summary: &Summary| summary.cpu_s;
    let peak = |summary: &Summary| summary.peak_mib;
    let peers: &[Tool] = &[
        Tool::Polars,
        Tool::PolarsJoin,
        Tool::DuckDb,
        Tool::NvTabular,
    ];
    let peak_mib = done
        .iter()
        .filter_map(|(_, summaries)| find(summaries, &[Tool::Emrys], peak))
        .max_by(f64::total_cmp);
    let configurations: Vec<Value> = done
        .iter()
        .map(|(configuration, summaries)| {
            let mut tools = Map::new();
            for summary in summaries {
                tools.insert(summary.tool.name().to_owned(), to_json(summary));
            }
            json!({
                "rows": configuration.rows,
                "keys": configuration.keys.name(),
                "freq_threshold": configuration.threshold,
                "tools": tools,
            })
        })
        .collect();
    println!(
        "{}",
        json!({
            "benchmark": "etl_criteo",
            "threads": arguments.threads,
            "over_polars": worst(polars, total),
            "over_duckdb": worst(&[Tool::DuckDb], total),
            "over_nvtabular": worst(&[Tool::NvTabular], total),
            "over_floor": worst(&[Tool::Floor], total),
            "over_own_floor": worst(&[Tool::OwnFloor], total),
            "cpu_over_polars": worst(polars, cpu),
            "cpu_over_duckdb": worst(&[Tool::DuckDb], cpu),
            "cpu_over_nvtabular": worst(&[Tool::NvTabular], cpu),
            "cpu_over_floor": worst(&[Tool::Floor], cpu),
            "peak_mib": peak_mib.map(rounded),
            "peak_over_peers": worst(peers, peak),
            "growth": growth(done).map(rounded),
            "configurations": configurations,
        })
    );
    Ok(())
}

/// The time per row of the most rows over that of the fewest, in the worst case.
fn growth(done: &[(Configuration, Vec<Summary>)]) -> Option<f64> {
    let mut worst: Option<f64> = None;
    for keys in [Keys::String, Keys::Integer] {
        let of_keys = || {
            done.iter()
                .filter(|(configuration, _)| configuration.keys == keys)
        };
        for (fewest, summaries) in of_keys() {
            let ours = find(summaries, &[Tool::Emrys], |summary| summary.total_s)?;
            for (most, more) in of_keys() {
                if most.threshold != fewest.threshold || most.rows <= fewest.rows {
                    continue;
                }
                let times = find(more, &[Tool::Emrys], |summary| summary.total_s)? / ours;
                let growth = times / (most.rows as f64 / fewest.rows as f64);
                worst = Some(worst.map_or(growth, |worst| worst.max(growth)));
            }
        }
    }
    worst
}

fn to_json(summary: &Summary) -> Value {
    json!({
        "runs": summary.runs,
        "fit_s": rounded(summary.fit_s),
        "transform_write_s": rounded(summary.transform_s),
        "total_s": rounded(summary.total_s),
        "cpu_s": rounded(summary.cpu_s),
        "peak_mib": rounded(summary.peak_mib),
        "others_cpu_share": rounded(summary.others),
        "ids": summary.ids,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

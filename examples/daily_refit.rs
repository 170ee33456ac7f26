//! A workflow that learns from every new day, without reading the old ones again.
//!
//! You learn how rows are held out by time and by user; how a fitted workflow learns from another
//! day; that its statistics are then those of all days; that known categories keep their ids, so
//! that trained embeddings stay valid, or are numbered anew when asked; and how ids become values
//! again.
//!
//! ```text
//! cargo run --release --example daily_refit
//! ```

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type};
use emrys::etl::io::Split;
use emrys::etl::{Session, SessionOptions};
use emrys::prelude::*;

const EVENTS_A_DAY: u64 = 4_000;
const SECONDS_A_DAY: u64 = 86_400;
/// The id of all users that are not in the vocabulary.
const UNSEEN: i64 = 2;

/// The events of a shop on one day: some users come back, others are new.
fn events(day: u64) -> Result<RecordBatch, Box<dyn Error>> {
    let rows = || (0..EVENTS_A_DAY).map(|row| (row, draw(day * EVENTS_A_DAY + row)));
    let user = rows().map(|(_, dice)| format!("user {}", 80 * day + dice % 400));
    let time = rows().map(|(row, _)| (day * SECONDS_A_DAY + row * 21) as i64);
    let price = rows().map(|(_, dice)| (day * 5 + dice / 400 % 90) as f64);
    let click = rows().map(|(_, dice)| i64::from(dice / 40_000 % 10 < dice % 5));
    let columns: [(&str, ArrayRef); 4] = [
        ("user", Arc::new(StringArray::from_iter_values(user))),
        ("time", Arc::new(Int64Array::from_iter_values(time))),
        ("price", Arc::new(Float64Array::from_iter_values(price))),
        ("click", Arc::new(Int64Array::from_iter_values(click))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// A well mixed number for each number (`SplitMix64`).
fn draw(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn dataset(days: &[&RecordBatch]) -> Result<Dataset, Box<dyn Error>> {
    let batches = days.iter().map(|day| (*day).clone()).collect();
    Ok(Dataset::from_batches(days[0].schema(), batches)?)
}

fn transform(workflow: &FittedWorkflow, data: &Dataset) -> Result<RecordBatch, Box<dyn Error>> {
    let batches = workflow.transform(data)?.collect()?;
    Ok(concat_batches(&batches[0].schema(), &batches)?)
}

/// The users in the files of a folder.
fn users(folder: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let session = Session::new(SessionOptions::new())?;
    let frame = Dataset::open(folder)?.to_dataframe(session.context(), Some(&["user"]))?;
    let mut users = BTreeSet::new();
    for batch in session.block_on(frame.collect())? {
        let texts = cast(batch.column(0), &DataType::Utf8)?;
        users.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(users)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (monday, tuesday, wednesday) = (events(0)?, events(1)?, events(2)?);
    let both_days = dataset(&[&monday, &tuesday])?;

    println!("1. rows held out");
    let folder = tempfile::tempdir()?;
    let session = Session::new(SessionOptions::new())?;
    let options = WriteOptions::new();
    let (by_time, by_user) = (folder.path().join("by_time"), folder.path().join("by_user"));
    let split = Split::from_time("time", SECONDS_A_DAY);
    let written = split.write(&both_days, &session, &by_time, &options)?;
    println!(
        "   by time: {} rows of Monday to train, {} of Tuesday held out",
        written.train.rows, written.valid.rows
    );
    let split = Split::by_key(["user"], 0.2, 42);
    let written = split.write(&both_days, &session, &by_user, &options)?;
    let (train, valid) = (
        users(&by_user.join("train"))?,
        users(&by_user.join("valid"))?,
    );
    if !train.is_disjoint(&valid) {
        return Err("a user is on both sides".into());
    }
    println!(
        "   by user: {} users to train, {} held out with their {} rows",
        train.len(),
        valid.len(),
        written.valid.rows
    );

    println!("\n2. fitted on Monday, then learned from Tuesday");
    let features = (cols(["user"]) >> Categorify::new())
        + (cols(["price"]) >> Normalize::default())
        + (cols(["user"]) >> TargetEncoding::new("click"));
    let workflow = Workflow::new(features);
    let first = workflow.fit(&dataset(&[&monday])?)?;
    let second = first.refit(&dataset(&[&tuesday])?, NewIds::Append)?;
    let whole = workflow.fit(&both_days)?;
    let cardinality = |fitted: &FittedWorkflow| {
        let user = fitted.output_schema().get("user");
        user.and_then(ColumnSchema::cardinality).unwrap_or_default()
    };
    println!(
        "   {} ids on Monday, {} on Tuesday",
        cardinality(&first),
        cardinality(&second)
    );

    println!("\n3. on Wednesday");
    let wednesday = dataset(&[&wednesday])?;
    let (appended, all_days) = (
        transform(&second, &wednesday)?,
        transform(&whole, &wednesday)?,
    );
    for name in ["price", "TE_user_click"] {
        if appended.column_by_name(name) != all_days.column_by_name(name) {
            return Err(format!("`{name}` is not that of a fit on both days").into());
        }
        println!("   {name:13} is that of a fit on both days, bit for bit");
    }
    let ids = |rows: &RecordBatch| rows["user"].as_primitive::<Int64Type>().clone();
    let (old, new) = (ids(&transform(&first, &wednesday)?), ids(&appended));
    let mut new_rows = 0;
    for (old, new) in old.values().iter().zip(new.values()) {
        if *old != UNSEEN && old != new {
            return Err(format!("the id {old} has become {new}").into());
        }
        new_rows += u64::from(*old == UNSEEN && *new != UNSEEN);
    }
    println!("   known users   keep their ids; {new_rows} rows are of users first seen on Tuesday");
    let renumbered = first.refit(&dataset(&[&tuesday])?, NewIds::ByCount)?;
    if transform(&renumbered, &wednesday)? != all_days {
        return Err("renumbered, it is not what a fit on both days gives".into());
    }
    println!("   renumbered    by count, everything is that of a fit on both days");

    println!("\n4. what the newest ids stand for");
    let last = cardinality(&second) as i64;
    let newest: ArrayRef = Arc::new(Int64Array::from_iter_values(last - 3..last));
    let values = second.inverse_transform("user", &newest)?;
    let values: Vec<&str> = values.as_string::<i32>().iter().flatten().collect();
    println!("   {} to {}: {}", last - 3, last - 1, values.join(", "));

    println!(
        "\n{}",
        serde_json::json!({"ids": cardinality(&second), "new_rows": new_rows, "held_out": written.valid.rows})
    );
    Ok(())
}

//! A session with a limit of memory takes about as much, whatever the data.
//!
//! Every allocation of the process is counted, and so is what the limit does not: batches on their
//! way, and the buffers of files. Only the hash tables of four mebibytes and more are not, whose
//! pages come from the system; with these limits, tables of that size lie on disk.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "an allocator that counts; tests stop at the first surprise"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use emrys_etl::hash::hash_bits;
use emrys_etl::io::RowGenerator;
use emrys_etl::ops::{Categorify, DataStats, FillMedian, JoinGroupby, Rename, Stat};
use emrys_etl::{Dataset, Node, Result, SessionOptions, Workflow, WriteOptions, cols};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rows of which nearly all values are different.
#[derive(Debug)]
struct Clicks {
    rows: u64,
}

impl RowGenerator for Clicks {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("user", DataType::Utf8, false),
            Field::new("item", DataType::Int64, false),
            Field::new("price", DataType::Float64, false),
        ]))
    }

    fn num_rows(&self) -> u64 {
        self.rows
    }

    fn fingerprint(&self) -> u64 {
        self.rows
    }

    fn rows(&self, range: Range<u64>, columns: &[usize]) -> Result<RecordBatch> {
        let hash = |row: u64| hash_bits(row % (self.rows * 3 / 4));
        let column = |at: &usize| -> ArrayRef {
            let rows = range.clone();
            match at {
                0 => Arc::new(StringArray::from_iter_values(
                    rows.map(|row| format!("user number {:016x}", hash(row))),
                )),
                1 => Arc::new(Int64Array::from_iter_values(
                    rows.map(|row| hash(row ^ 1).cast_signed()),
                )),
                _ => Arc::new(Float64Array::from_iter_values(
                    rows.map(|row| (hash(row ^ 2) >> 12) as f64),
                )),
            }
        };
        let schema = Arc::new(self.schema().project(columns).unwrap());
        let arrays = columns.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(range.clone().count()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options).unwrap())
    }
}

fn everything() -> Node {
    let statistics = JoinGroupby::of(["price"]).with_stats([Stat::Mean, Stat::Nunique]);
    (cols(["user", "item"]) >> Categorify::default())
        + (cols(["user"]) >> statistics)
        + (cols(["price"]) >> FillMedian::default())
        + (cols(["user", "item"]) >> DataStats::default() >> Rename::postfix("_same"))
}

/// How many bytes fitting and writing take at most.
fn peak(options: SessionOptions) -> usize {
    let data = Dataset::generated(Clicks { rows: 400_000 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let fitted = Workflow::new(everything())
        .with_options(options)
        .fit(&data)
        .unwrap();
    let written = WriteOptions::new().with_row_group_rows(10_000);
    let output = fitted.transform(&data).unwrap();
    output.write(folder.path().join("out"), &written).unwrap();
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn peaks_obey_the_limit() {
    let unlimited = peak(SessionOptions::new().with_threads(2));
    for mebibytes in [16, 24, 48] {
        let limit = mebibytes << 20;
        let options = SessionOptions::new()
            .with_threads(2)
            .with_memory_limit(limit);
        let limited = peak(options);
        println!(
            "{mebibytes} MiB: {} of {} MiB",
            limited >> 20,
            unlimited >> 20
        );
        // Half as much again, and what the threads have in hand.
        assert!(
            limited < limit * 3 / 2 + (8 << 20) && limited < unlimited / 2,
            "{limited} bytes with a limit of {limit}, {unlimited} without one"
        );
    }
}

//! What holds for all data.

use emrys_etl::ops::{Categorify, Normalize, TargetEncoding};
use emrys_etl::{Node, SessionOptions, Workflow, cols, group};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{batch, collect, split};

fn graph() -> Node {
    (cols(["c"]) >> Categorify::default())
        + (cols(["x"]) >> Normalize::default())
        + (cols(["c"]) >> TargetEncoding::new("x").with_kfold(3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn partitions_batches_and_threads_do_not_change_a_bit(
        values in prop::collection::vec((prop::option::of(0u8..20), -1e6f64..1e6), 1..300),
        rows in 1usize..100,
        threads in 1usize..5,
    ) {
        let batch = batch(&json!({
            "c": values.iter().map(|(c, _)| c.map(|c| format!("c{c}"))).collect::<Vec<_>>(),
            "x": values.iter().map(|(_, x)| *x).collect::<Vec<_>>(),
        }));
        let run = |rows: usize, threads: usize, batch_size: usize| {
            let options =
                SessionOptions::default().with_threads(threads).with_batch_size(batch_size);
            let data = split(&batch, rows);
            let fitted = Workflow::new(graph()).with_options(options).fit(&data).unwrap();
            collect(&fitted, &data)
        };
        prop_assert_eq!(run(batch.num_rows(), 1, 8192), run(rows, threads, rows));
    }

    /// With a limit of memory values are counted by group-by queries, which can spill.
    #[test]
    fn a_limit_of_memory_does_not_change_what_is_counted(
        values in prop::collection::vec(
            (
                prop::option::of(0u8..20),
                prop::option::of(-3i64..30),
                prop::option::of(prop::collection::vec(prop::option::of(0u8..9), 0..4)),
            ),
            1..200,
        ),
        threads in 1usize..4,
        rows in 1usize..50,
    ) {
        let text = |value: &Option<u8>| value.map(|v| format!("a category of many bytes {v}"));
        let batch = batch(&json!({
            "text": values.iter().map(|(value, _, _)| text(value)).collect::<Vec<_>>(),
            "left": values.iter().map(|(_, value, _)| *value).collect::<Vec<_>>(),
            "right": values.iter().map(|(_, value, _)| value.map(|v| v * 2)).collect::<Vec<_>>(),
            "list": values.iter().map(|(_, _, list)| {
                list.as_ref().map(|list| list.iter().map(text).collect::<Vec<_>>())
            }).collect::<Vec<_>>(),
        }));
        let graph = || {
            (cols(["text", "list"]) + group(["left", "right"])) >> Categorify::default()
        };
        let data = split(&batch, rows);
        let run = |options: SessionOptions| {
            let options = options.with_threads(threads).with_batch_size(rows);
            let fitted = Workflow::new(graph()).with_options(options).fit(&data).unwrap();
            collect(&fitted, &data)
        };
        let limited = SessionOptions::default().with_memory_limit(256 << 20);
        prop_assert_eq!(run(SessionOptions::default()), run(limited));
    }
}

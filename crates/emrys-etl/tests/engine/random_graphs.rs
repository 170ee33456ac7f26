//! Graphs of all shapes survive being saved and loaded, and serve batches as they serve data sets.

use arrow::array::RecordBatch;
use emrys_etl::ops::{
    AddMetadata, Bucketize, Categorify, Clip, EncodeType, FillMissing, Filter, Lambda, LogOp,
    Normalize, Rename, TargetEncoding,
};
use emrys_etl::{Dataset, FittedWorkflow, Node, Workflow, cols, group_of};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{batch, collect};

/// What one branch of a graph does: numbers and categories, in several stages.
#[derive(Debug, Clone, Copy)]
enum Branch {
    Filled,
    Scaled,
    Buckets,
    Encoded,
    Ids,
    Pair,
    Joint,
    DerivedPair,
    Rates,
    ScaledRates,
    Named,
    Nested,
    NamedGroup,
    Subset,
    Without,
}

const BRANCHES: [Branch; 15] = [
    Branch::Filled,
    Branch::Scaled,
    Branch::Buckets,
    Branch::Encoded,
    Branch::Ids,
    Branch::Pair,
    Branch::Joint,
    Branch::DerivedPair,
    Branch::Rates,
    Branch::ScaledRates,
    Branch::Named,
    Branch::Nested,
    Branch::NamedGroup,
    Branch::Subset,
    Branch::Without,
];

/// The node of a branch whose outputs no other branch has.
fn node(branch: Branch, number: usize, source: &Node) -> Node {
    let take = |names: &[&str]| source.clone().subset(names.to_vec());
    let combo = || Categorify::default().with_encode_type(EncodeType::Combo);
    let node = match branch {
        Branch::Filled => take(&["x"]) >> FillMissing::with(0.5).with_flags(true),
        Branch::Scaled => take(&["x", "y"]) >> Clip::between(-5.0, 5.0) >> Normalize::default(),
        Branch::Buckets => take(&["y"]) >> Bucketize::new([-1.0, 0.0, 2.5]),
        Branch::Encoded => take(&["y"]) >> Lambda::new("x * 2 + 1") >> LogOp,
        Branch::Ids => take(&["c", "l"]) >> Categorify::default().with_freq_threshold(2),
        Branch::Pair => take(&["c", "d"]).grouped() >> combo(),
        Branch::Joint => take(&["c", "d"]).grouped() >> Categorify::default().with_num_buckets(3),
        Branch::DerivedPair => {
            group_of([take(&["c"]) >> Lambda::new("upper(x)"), take(&["d"])]) >> combo()
        }
        Branch::Rates => take(&["c", "d"]) >> TargetEncoding::new("y").with_kfold(3),
        Branch::ScaledRates => {
            let rates = take(&["c"]) >> TargetEncoding::new("t");
            rates.depends_on(source.clone().subset(["t"])) >> Normalize::default()
        }
        Branch::Named => (take(&["x"]) >> AddMetadata::default().with_tags(["context"]))
            .named(format!("part {number}")),
        Branch::Nested => {
            let inner = (take(&["x"]) >> LogOp).named(format!("inner {number}"));
            (inner + take(&["y", "c"])).named(format!("outer \"{number}\""))
        }
        Branch::NamedGroup => {
            let ids = take(&["d"]).named(format!("member {number}"));
            group_of([take(&["c"]), ids]) >> combo()
        }
        Branch::Subset => (take(&["c", "d", "l"]) >> Categorify::default()).subset(["l", "c"]),
        Branch::Without => (take(&["x", "y"]) >> LogOp) - take(&["x"]),
    };
    node >> Rename::postfix(format!("_{number}"))
}

fn graph(branches: &[usize], filtered: bool) -> Node {
    let all = cols(["x", "y", "t"]) + cols(["c", "d", "l"]);
    let source = match filtered {
        true => all >> Filter::new("y > -50 or x is null"),
        false => all,
    };
    let mut nodes = branches
        .iter()
        .enumerate()
        .map(|(number, branch)| node(BRANCHES[*branch], number, &source));
    let first = nodes.next().unwrap();
    nodes.fold(first, |sum, node| sum + node)
}

type Row = (Option<f64>, i32, Option<u8>, u8);

fn table(values: &[Row]) -> RecordBatch {
    let column =
        |value: &dyn Fn(&Row) -> serde_json::Value| values.iter().map(value).collect::<Vec<_>>();
    batch(&json!({
        "x": column(&|v| json!(v.0)),
        "y": column(&|v| json!(f64::from(v.1) / 3.0)),
        "t": column(&|v| json!(v.1 % 2)),
        "c": column(&|v| v.2.map_or(json!(null), |c| json!(format!("c{c}")))),
        "d": column(&|v| json!(format!("d{}", v.3))),
        "l": column(&|v| json!(vec![format!("l{}", v.3); usize::from(v.3)])),
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_saved_graph_gives_the_same_bits(
        branches in prop::collection::vec(0..BRANCHES.len(), 1..6),
        filtered in any::<bool>(),
        values in prop::collection::vec(
            (prop::option::of(-9.0f64..9.0), -90i32..90, prop::option::of(0u8..6), 0u8..4), 3..40),
    ) {
        // The first row decides the types.
        let mut all = vec![(Some(0.5), 1, Some(1), 1)];
        all.extend(values);
        let batch = table(&all);
        let train = Dataset::from_batches(batch.schema(), vec![batch.clone()]).unwrap();
        let other = batch.slice(1, batch.num_rows() - 1);
        let other = Dataset::from_batches(other.schema(), vec![other]).unwrap();
        let fitted = Workflow::new(graph(&branches, filtered)).fit(&train).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workflow");
        fitted.save(&path).unwrap();
        let loaded = FittedWorkflow::load(&path).unwrap();
        prop_assert_eq!(loaded.output_schema(), fitted.output_schema());
        for data in [&train, &other] {
            prop_assert_eq!(collect(&loaded, data), collect(&fitted, data));
        }
        let online = loaded.transform_batch(&batch.slice(1, batch.num_rows() - 1)).unwrap();
        let expected = collect(&fitted, &other);
        prop_assert_eq!(online.columns(), expected.columns());
    }

    #[test]
    fn a_declared_graph_is_the_same_graph(
        branches in prop::collection::vec(0..BRANCHES.len(), 1..6),
        filtered in any::<bool>(),
        removed in prop::sample::subsequence(vec!["x", "y", "t", "c", "d", "l"], 0..3),
    ) {
        let rows = [(Some(0.5), 1, Some(1), 1), (None, -7, None, 2), (Some(2.0), 30, Some(1), 0)];
        let batch = table(&rows);
        let data = Dataset::from_batches(batch.schema(), vec![batch.clone()]).unwrap();
        let workflow = Workflow::new(graph(&branches, filtered)).remove_inputs(removed);
        let (toml, text) = (workflow.to_toml().unwrap(), workflow.to_json().unwrap());
        let read = Workflow::from_toml(&toml, data.schema(), ".");
        let Ok(expected) = workflow.fit(&data) else {
            prop_assert!(read.is_err(), "nothing is left:\n{}", toml);
            return Ok(());
        };
        for read in [read, Workflow::from_json(&text, data.schema(), ".")] {
            let read = read.unwrap();
            prop_assert_eq!(read.to_toml().unwrap(), toml.as_str());
            prop_assert_eq!(read.to_json().unwrap(), text.as_str());
            let fitted = read.fit(&data).unwrap();
            prop_assert_eq!(fitted.output_schema(), expected.output_schema());
            prop_assert_eq!(fitted.input_schema(), expected.input_schema());
            prop_assert_eq!(collect(&fitted, &data), collect(&expected, &data));
        }
        // What is left of the graph can be written down without saying what was removed.
        let left = Workflow::from_toml(&expected.to_toml().unwrap(), data.schema(), ".").unwrap();
        prop_assert_eq!(collect(&left.fit(&data).unwrap(), &data), collect(&expected, &data));
    }
}

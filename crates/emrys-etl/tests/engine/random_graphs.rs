//! Graphs of all shapes survive being saved and loaded, and serve batches as they serve data sets.

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
    Subset,
    Without,
}

const BRANCHES: [Branch; 13] = [
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
    Branch::Subset,
    Branch::Without,
];

/// The node of a branch whose outputs no other branch has.
fn node(branch: Branch, number: usize, source: &Node) -> Node {
    let take = |names: &[&str]| source.clone().subset(names.to_vec());
    let combo = || Categorify::default().encode_type(EncodeType::Combo);
    let node = match branch {
        Branch::Filled => take(&["x"]) >> FillMissing::with(0.5).with_flags(true),
        Branch::Scaled => take(&["x", "y"]) >> Clip::between(-5.0, 5.0) >> Normalize::default(),
        Branch::Buckets => take(&["y"]) >> Bucketize::new([-1.0, 0.0, 2.5]),
        Branch::Encoded => take(&["y"]) >> Lambda::new("x * 2 + 1") >> LogOp,
        Branch::Ids => take(&["c", "l"]) >> Categorify::default().freq_threshold(2),
        Branch::Pair => take(&["c", "d"]).grouped() >> combo(),
        Branch::Joint => take(&["c", "d"]).grouped() >> Categorify::default().num_buckets(3),
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
        let values = all;
        let column = |value: &dyn Fn(&Row) -> serde_json::Value| {
            values.iter().map(value).collect::<Vec<_>>()
        };
        let batch = batch(&json!({
            "x": column(&|v| json!(v.0)),
            "y": column(&|v| json!(f64::from(v.1) / 3.0)),
            "t": column(&|v| json!(v.1 % 2)),
            "c": column(&|v| v.2.map_or(json!(null), |c| json!(format!("c{c}")))),
            "d": column(&|v| json!(format!("d{}", v.3))),
            "l": column(&|v| json!(vec![format!("l{}", v.3); usize::from(v.3)])),
        }));
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
}

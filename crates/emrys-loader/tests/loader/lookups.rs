//! Lookup plans against a naive account of the same ids.

use std::collections::BTreeSet;

use crate::fixtures::{batches, numbered_files};
use emrys_loader::{
    Batch, Column, Layout, Loader, LoaderConfig, LookupFeature, LookupPlan, LookupSpec, plan,
};
use proptest::prelude::*;
use tempfile::tempdir;

/// Each position leads to its id's row, and no other row is there.
fn assert_plan(batch: &Batch, spec: &LookupSpec, plan: &LookupPlan) {
    let mut needed = BTreeSet::new();
    assert_eq!(plan.features.len(), spec.features.len());
    for (feature, found) in spec.features.iter().zip(&plan.features) {
        let column = batch.column(&feature.column).unwrap();
        assert_eq!(
            (&*found.column, &found.layout),
            (feature.column.as_str(), column.layout())
        );
        let rows: Vec<i64> = column
            .to_i64()
            .unwrap()
            .iter()
            .map(|id| id + feature.row_offset as i64)
            .collect();
        let through_plan: Vec<i64> = found
            .positions
            .iter()
            .map(|position| plan.unique[*position as usize])
            .collect();
        assert_eq!(through_plan, rows);
        needed.extend(rows);
    }
    assert_eq!(plan.unique, needed.into_iter().collect::<Vec<_>>());
}

#[test]
fn features_that_share_a_table_share_rows() {
    let batch = Batch::new([
        ("seen", Column::lists([vec![4, 2], vec![], vec![2, 2]])),
        ("next", Column::from(vec![2, 4, 0])),
        (
            "pair",
            Column::fixed(vec![1_i64, 0, 0, 0, 1, 1], 2).unwrap(),
        ),
    ])
    .unwrap();
    let features = [
        LookupFeature::new("seen", 10, 5),
        LookupFeature::new("next", 10, 5),
        LookupFeature::new("pair", 0, 2),
    ];
    let spec = LookupSpec::new("dim8", features);
    let plan = plan(&batch, &spec).unwrap();
    assert_eq!(plan.unique, [0, 1, 10, 12, 14]);
    assert_eq!(plan.feature("next").unwrap().positions, [3, 4, 2]);
    assert_eq!(plan.feature("pair").unwrap().layout, Layout::Fixed(2));
    assert_plan(&batch, &spec, &plan);
}

#[test]
fn loaders_plan_every_batch() {
    let folder = tempdir().unwrap();
    let folder = numbered_files(folder.path(), &[vec![30, 11], vec![25]]);
    let specs = [
        LookupSpec::new("dim4", [LookupFeature::new("id", 0, 7)]),
        LookupSpec::new(
            "dim8",
            [
                LookupFeature::new("items", 0, 700),
                LookupFeature::new("id", 700, 7),
            ],
        ),
    ];
    let loader = Loader::open(folder, LoaderConfig::new(8).with_shuffle(true)).unwrap();
    let loader = loader.with_lookups(specs.clone()).unwrap();
    let given = [
        batches(loader.epoch(0).unwrap()),
        vec![loader.sample_batch().unwrap()],
    ]
    .concat();
    for batch in &given {
        assert_eq!(batch.plans().len(), specs.len());
        for spec in &specs {
            // The loader's threads use other maps than `plan` does; the plans are the same.
            let found = batch.plan(&spec.group).unwrap();
            assert_plan(batch, spec, found);
            assert_eq!(found, &plan(batch, spec).unwrap());
        }
    }
}

#[test]
fn batches_that_are_still_being_planned_at_the_end_are_given() {
    let folder = tempdir().unwrap();
    let config = LoaderConfig::new(500)
        .with_threads(1)
        .with_batches_ahead(100);
    let loader = Loader::open(numbered_files(folder.path(), &[vec![40_000]]), config).unwrap();
    let spec = LookupSpec::new("dim4", [LookupFeature::new("row", 0, 40_000)]);
    let loader = loader.with_lookups([spec]).unwrap();
    for _ in 0..3 {
        assert_eq!(batches(loader.epoch(0).unwrap()).len(), 80);
    }
}

#[test]
fn an_id_outside_its_table_names_column_row_and_table() {
    let batch =
        Batch::new([("tags", Column::lists([vec![1, 2], vec![], vec![3, 50, 4]]))]).unwrap();
    let spec = LookupSpec::new("dim4", [LookupFeature::new("tags", 7, 50)]);
    insta::assert_snapshot!(
        plan(&batch, &spec).unwrap_err(),
        @"column `tags`, row 2 of the batch: id 50 is outside its table of 50 rows (0 to 49); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for"
    );
    let batch = Batch::new([("tags", Column::from(vec![-1]))]).unwrap();
    insta::assert_snapshot!(
        plan(&batch, &spec).unwrap_err(),
        @"column `tags`, row 0 of the batch: id -1 is outside its table of 50 rows (0 to 49); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for"
    );
}

#[test]
fn lookups_are_checked_before_the_first_batch() {
    let folder = tempdir().unwrap();
    let loader = Loader::open(
        numbered_files(folder.path(), &[vec![3]]),
        LoaderConfig::new(2),
    )
    .unwrap();
    let with = |column, rows| {
        let spec = LookupSpec::new("dim4", [LookupFeature::new(column, 0, rows)]);
        loader.with_lookups([spec]).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        with("itms", 5),
        @"column `itms` is not in the batch; did you mean `items`? (columns: row, id, half, items)"
    );
    insta::assert_snapshot!(
        with("half", 5),
        @"column `half` cannot be looked up: its ids are float32; run Categorify first"
    );
    insta::assert_snapshot!(
        with("id", 1 << 33),
        @"lookup group `dim4` has 8589934592 rows, more than 2^32; divide its tables into several groups"
    );
}

#[test]
fn plans_and_features_that_are_not_there_are_named() {
    let batch = Batch::new([("id", Column::from(vec![1, 2]))]).unwrap();
    insta::assert_snapshot!(
        batch.plan("dim4").unwrap_err(),
        @"the batch has no lookup plan of group `dim4`; give the loader its lookups (`Loader::with_lookups`)"
    );
    let spec = LookupSpec::new("dim4", [LookupFeature::new("id", 0, 3)]);
    let batch = batch.with_lookups(&[spec]).unwrap();
    insta::assert_snapshot!(
        batch.plan("dim8").unwrap_err(),
        @"the batch has no lookup plan of group `dim8`; did you mean `dim4`? (groups: dim4)"
    );
    insta::assert_snapshot!(
        batch.plan("dim4").unwrap().feature("ids").unwrap_err(),
        @"column `ids` is not in lookup plan `dim4`; did you mean `id`? (columns: id)"
    );
}

proptest! {
    #[test]
    fn plans_lead_each_id_to_its_row(
        ids in prop::collection::vec(0_i32..50, 1..60),
        lists in prop::collection::vec(prop::collection::vec(0_i64..1_000_000, 0..4), 1..60),
        offset in 0_u64..4_000_000_000,
    ) {
        let rows = ids.len().min(lists.len());
        let batch = Batch::new([
            ("id", Column::from(ids[..rows].to_vec())),
            ("list", Column::lists(lists[..rows].to_vec())),
        ]).unwrap();
        let spec = LookupSpec::new("g", [
            LookupFeature::new("id", offset, 50),
            LookupFeature::new("list", offset, 1_000_000),
        ]);
        assert_plan(&batch, &spec, &plan(&batch, &spec).unwrap());
    }
}

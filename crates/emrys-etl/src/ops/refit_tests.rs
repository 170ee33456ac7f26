//! States of operators that learned from two parts of the data are those of all data.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt64Array};
use datafusion::scalar::ScalarValue;
use emrys_schema::{ColumnSchema, DType, Schema};

use super::{Bucketize, DataStats, FillMedian, NormalizeMinMax, ReduceDtypeSize};
use crate::operator::{FitResults, InputSchema, NewIds, Operator};
use crate::selector::Selected;

fn input(dtype: DType) -> InputSchema {
    let schema = Schema::new([ColumnSchema::new("x", dtype)]).unwrap();
    let selected = vec![Selected::Column("x".to_owned())];
    InputSchema::new("test".to_owned(), selected, schema, Schema::default())
}

fn aggregates(values: &[(&str, ScalarValue)]) -> FitResults {
    let named = values.iter().cloned();
    FitResults {
        aggregates: named
            .map(|(name, value)| (format!("{name}\u{1f}x"), value))
            .collect(),
        grouped: HashMap::new(),
    }
}

fn counts(values: &[f64]) -> FitResults {
    let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![1; values.len()]));
    let batch = RecordBatch::try_from_iter([("element", values), ("count", counts)]).unwrap();
    FitResults {
        aggregates: HashMap::new(),
        grouped: HashMap::from([("x".to_owned(), vec![batch])]),
    }
}

/// Whether what is learned from one part and then from the other is what is learned from both.
fn check<O: Operator<State: PartialEq>>(
    operator: &O,
    dtype: DType,
    [first, second, both]: [FitResults; 3],
) {
    let input = input(dtype);
    let known = operator.fit(&input, first).unwrap();
    let refitted = operator
        .refit(&known, &input, second, NewIds::Append)
        .unwrap();
    assert_eq!(refitted, operator.fit(&input, both).unwrap());
}

#[test]
fn ranges_widen() {
    let range = |min: Option<f64>, max: Option<f64>| {
        aggregates(&[
            ("min", ScalarValue::Float64(min)),
            ("max", ScalarValue::Float64(max)),
        ])
    };
    let (operator, dtype) = (NormalizeMinMax::default(), DType::Float64);
    let parts = [range(Some(0.0), Some(4.0)), range(Some(-2.0), Some(3.0))];
    let [first, second] = parts;
    check(
        &operator,
        dtype,
        [first, second, range(Some(-2.0), Some(4.0))],
    );
    let nothing = [
        range(Some(1.0), Some(2.0)),
        range(None, None),
        range(Some(1.0), Some(2.0)),
    ];
    check(&operator, dtype, nothing);
    let first_nothing = [
        range(None, None),
        range(Some(1.0), Some(2.0)),
        range(Some(1.0), Some(2.0)),
    ];
    check(&operator, dtype, first_nothing);
}

#[test]
fn types_grow() {
    let range = |min: Option<i64>, max: Option<i64>| {
        aggregates(&[
            ("min", ScalarValue::Int64(min)),
            ("max", ScalarValue::Int64(max)),
        ])
    };
    let (operator, dtype) = (ReduceDtypeSize::default(), DType::Int64);
    check(
        &operator,
        dtype,
        [
            range(Some(0), Some(9)),
            range(Some(5), Some(300)),
            range(Some(0), Some(300)),
        ],
    );
    check(
        &operator,
        dtype,
        [
            range(None, None),
            range(Some(-1), Some(1)),
            range(Some(-1), Some(1)),
        ],
    );
    check(
        &operator,
        dtype,
        [
            range(Some(-1), Some(1)),
            range(None, None),
            range(Some(-1), Some(1)),
        ],
    );
}

#[test]
fn medians_and_quantiles_move() {
    let parts = || {
        let both = [5.0, 1.0, 2.0, 9.0, 7.0, 2.0, -4.0];
        [counts(&both[..3]), counts(&both[3..]), counts(&both)]
    };
    check(&FillMedian::default(), DType::Float64, parts());
    check(&Bucketize::quantiles(3), DType::Float64, parts());
}

#[test]
fn descriptions_add_up() {
    let part = |rows: i64, min: f64, max: f64, sum: f64, variance: f64, hashes: Vec<u64>| {
        let numbers = [
            ("count", ScalarValue::Int64(Some(rows))),
            ("sum", ScalarValue::Float64(Some(sum))),
            ("mean", ScalarValue::Float64(Some(sum / rows as f64))),
            ("variance", ScalarValue::Float64(Some(variance))),
        ];
        let fields = numbers.iter().map(|(name, value)| {
            let field = arrow::datatypes::Field::new(*name, value.data_type(), false);
            (Arc::new(field), value.to_array().unwrap())
        });
        let fields: Vec<_> = fields.collect();
        let moments = arrow::array::StructArray::from(fields);
        let mut results = aggregates(&[
            ("rows", ScalarValue::Int64(Some(rows + 1))),
            ("present", ScalarValue::Int64(Some(rows))),
            ("min", ScalarValue::Float64(Some(min))),
            ("max", ScalarValue::Float64(Some(max))),
            ("moments", ScalarValue::Struct(Arc::new(moments))),
        ]);
        let hashes: ArrayRef = Arc::new(UInt64Array::from(hashes));
        let batch = RecordBatch::try_from_iter([("element", hashes)]).unwrap();
        results
            .grouped
            .insert("distinct\u{1f}x".to_owned(), vec![batch]);
        results
    };
    let operator = DataStats::default();
    let input = input(DType::Int64);
    // 1, 3 and then 2, 3, 6.
    let known = operator
        .fit(&input, part(2, 1.0, 3.0, 4.0, 2.0, vec![11, 33]))
        .unwrap();
    let more = part(3, 2.0, 6.0, 11.0, 13.0 / 3.0, vec![22, 33, 66]);
    let found = operator
        .refit(&known, &input, more, NewIds::Append)
        .unwrap();
    let found = found.describe();
    let [x] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((x.rows, x.missing, x.cardinality), (7, 2, Some(4)));
    assert_eq!((x.min, x.max, x.mean), (Some(1.0), Some(6.0), Some(3.0)));
    // The deviations from 3 are -2, 0, -1, 0, 3.
    assert!((x.std.unwrap() - (14.0f64 / 4.0).sqrt()).abs() < 1e-12);
}

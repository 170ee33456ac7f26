use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat};
use arrow::datatypes::{Float16Type, Int32Type, TimeUnit};
use proptest::prelude::*;

use super::*;

fn array(values: impl Array + 'static) -> ArrayRef {
    Arc::new(values)
}

fn strings<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    array(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// Values with the codes 10, 11, 12...; null has code 1.
fn index(columns: &[ArrayRef]) -> ValueIndex {
    ValueIndex::build(columns, 10, 1).unwrap()
}

fn codes(index: &ValueIndex, values: impl Array + 'static) -> Vec<u32> {
    index.lookup(&[array(values)]).unwrap()
}

const TEXTS: [&str; 9] = [
    "",
    "a",
    "a\0",
    "elevenbytes",
    "twelve bytes",
    "a string of more than twelve bytes",
    "a string of more than twelve bytez",
    "\u{e4}\u{f6}\u{fc}",
    "b",
];

#[test]
fn strings_of_every_length_are_found_whatever_their_arrow_type() {
    let index = index(&[strings(TEXTS)]);
    let asked: Vec<Option<&str>> = TEXTS
        .iter()
        .copied()
        .map(Some)
        .chain([None, Some("c"), Some("twelve bytez"), Some("elevenbytez")])
        .collect();
    let expected: Vec<u32> = (10..19).chain([1, 0, 0, 0]).collect();
    let asked = array(StringArray::from(asked));
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::LargeUtf8)),
    ];
    for data_type in types {
        let asked = cast(&asked, &data_type).unwrap();
        assert_eq!(index.lookup(&[asked]).unwrap(), expected, "{data_type}");
    }
}

#[test]
fn sliced_arrays_are_read_from_their_offset() {
    let index = index(&[strings(TEXTS).slice(2, 5)]);
    assert_eq!(
        index.lookup(&[strings(TEXTS).slice(1, 4)]).unwrap(),
        [0, 10, 11, 12]
    );
    let views = cast(&strings(TEXTS), &DataType::Utf8View).unwrap();
    assert_eq!(index.lookup(&[views.slice(5, 3)]).unwrap(), [13, 14, 0]);
    let sparse = self::index(&[array(
        Int64Array::from(vec![9, 1_000_000_000, -5]).slice(1, 2),
    )]);
    assert_eq!(
        codes(&sparse, Int32Array::from(vec![9, -5, 9]).slice(1, 2)),
        [11, 0]
    );
}

#[test]
fn integers_are_equal_in_every_width() {
    for values in [vec![3, -1, 7, 0], vec![3, -1, i64::MAX, i64::MIN, 0]] {
        let index = index(&[array(Int64Array::from(values))]);
        assert_eq!(
            codes(
                &index,
                Int8Array::from(vec![Some(3), Some(-1), Some(5), None])
            ),
            [10, 11, 0, 1]
        );
        assert_eq!(codes(&index, UInt8Array::from(vec![3, 255])), [10, 0]);
        assert_eq!(codes(&index, UInt64Array::from(vec![3, u64::MAX])), [10, 0]);
    }
    let unsigned = index(&[array(UInt64Array::from(vec![u64::MAX, 1]))]);
    assert_eq!(codes(&unsigned, Int64Array::from(vec![-1, 1])), [0, 11]);
}

#[test]
fn integers_that_arrive_as_floats_are_found_if_they_are_whole() {
    let index = index(&[array(Int64Array::from(vec![7, -3]))]);
    let floats = Float64Array::from(vec![
        Some(7.0),
        None,
        Some(f64::NAN),
        Some(-3.0),
        Some(8.0),
        Some(-0.0),
    ]);
    assert_eq!(codes(&index, floats), [10, 1, 1, 11, 0, 0]);
    let error = index
        .lookup(&[array(Float32Array::from(vec![7.5]))])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "7.5 has no equal among integers, which the known values are; cast the column"
    );
}

#[test]
fn floats_have_one_nan_which_is_null_and_one_zero() {
    let index = index(&[array(Float64Array::from(vec![0.5, 0.0, -2.0]))]);
    let asked = Float64Array::from(vec![0.5, -0.0, f64::NAN, -f64::NAN, -2.0, 1.0]);
    assert_eq!(codes(&index, asked), [10, 11, 1, 1, 12, 0]);
    assert_eq!(codes(&index, Float32Array::from(vec![0.5, 0.1])), [10, 0]);
    assert_eq!(codes(&index, Int16Array::from(vec![-2, 1])), [12, 0]);
    let half = <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(-2.0);
    assert_eq!(codes(&index, Float16Array::from(vec![half])), [12]);
}

#[test]
fn times_are_equal_in_every_unit() {
    let index = index(&[array(TimestampMicrosecondArray::from(vec![
        86_400_000_000,
        5,
    ]))]);
    assert_eq!(
        codes(&index, TimestampSecondArray::from(vec![86_400, 5])),
        [10, 0]
    );
    assert_eq!(
        codes(&index, TimestampNanosecondArray::from(vec![5_000, 5])),
        [11, 0]
    );
    assert_eq!(
        codes(&index, Date32Array::from(vec![Some(1), None])),
        [10, 1]
    );
    let zoned = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    assert!(index.check(&[&zoned]).is_err());
}

#[test]
fn booleans_and_dictionaries_are_found() {
    let index = index(&[array(BooleanArray::from(vec![true, false]))]);
    assert_eq!(
        codes(
            &index,
            BooleanArray::from(vec![Some(false), None, Some(true)])
        ),
        [11, 1, 10]
    );
    let dictionary = DictionaryArray::new(
        Int32Array::from(vec![Some(0), Some(1), None, Some(2)]),
        strings([Some("b"), None, Some("?")]),
    );
    assert_eq!(
        codes(&self::index(&[strings(["a", "b"])]), dictionary),
        [11, 1, 1, 0]
    );
}

#[test]
fn an_index_of_nothing_knows_only_null() {
    for empty in [
        array(NullArray::new(0)),
        strings([] as [&str; 0]),
        array(Int64Array::from(vec![0; 0])),
    ] {
        assert_eq!(codes(&index(&[empty]), NullArray::new(2)), [1, 1]);
    }
    let index = index(&[array(NullArray::new(0))]);
    assert_eq!(index.lookup(&[strings([Some("a"), None])]).unwrap(), [0, 1]);
    assert_eq!(codes(&index, Float64Array::from(vec![f64::NAN])), [1]);
}

#[test]
fn a_null_row_has_the_code_of_its_row() {
    let index = ValueIndex::build(&[strings([Some("a"), None])], 1, 0).unwrap();
    assert_eq!(
        index
            .lookup(&[strings([None, Some("a"), Some("b")])])
            .unwrap(),
        [2, 1, 0]
    );
    for nulls in [
        array(Int64Array::from(vec![None, None])),
        array(NullArray::new(2)),
    ] {
        let tuples = [strings([Some("a"), None]), nulls];
        let index = ValueIndex::build(&tuples, 1, 0).unwrap();
        assert_eq!(index.lookup(&tuples).unwrap(), [1, 2]);
    }
}

#[test]
fn tuples_are_found_with_nulls_among_their_members() {
    let columns = [
        strings([Some("x"), None, Some("y"), Some("x")]),
        array(Int64Array::from(vec![Some(1), Some(3), Some(2), None])),
        array(BooleanArray::from(vec![true, true, false, true])),
    ];
    let index = index(&columns);
    assert_eq!(index.lookup(&columns).unwrap(), [10, 11, 12, 13]);
    let others = [
        strings([None, Some("x"), Some("z"), Some("y")]),
        array(Int32Array::from(vec![None, Some(2), Some(1), Some(2)])),
        array(BooleanArray::from(vec![
            None,
            Some(true),
            Some(true),
            Some(true),
        ])),
    ];
    assert_eq!(index.lookup(&others).unwrap(), [1, 0, 0, 0]);
    let pair = self::index(&columns[..2]);
    assert_eq!(pair.lookup(&columns[..2]).unwrap(), [10, 11, 12, 13]);
}

#[test]
fn repeated_values_are_refused() {
    let error = ValueIndex::build(&[strings(["a", "b", "a"])], 3, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value in row 2 is the same as in row 0; values must be distinct"
    );
    // The first of several, whether short or long.
    let long = "a value that is too long for a slot";
    for (values, second) in [(["a", long, long, "a"], 2), (["a", long, "a", long], 2)] {
        let error = ValueIndex::build(&[strings(values)], 3, 1).unwrap_err();
        assert!(
            matches!(error, LookupError::Repeated { second: row, .. } if row == second),
            "{error}"
        );
    }
    assert!(ValueIndex::build(&[array(Float64Array::from(vec![0.0, -0.0]))], 3, 1).is_err());
    let tuples = [strings(["a", "a"]), array(Int64Array::from(vec![1, 1]))];
    assert!(ValueIndex::build(&tuples, 3, 1).is_err());
}

#[test]
fn types_that_cannot_be_compared_are_refused_before_lookup() {
    let index = index(&[array(Int64Array::from(vec![1])), strings(["a"])]);
    assert!(
        index
            .check(&[&DataType::UInt8, &DataType::Utf8View])
            .is_ok()
    );
    assert!(index.check(&[&DataType::Float32, &DataType::Null]).is_ok());
    let (position, error) = index
        .check(&[&DataType::Int64, &DataType::Int64])
        .unwrap_err();
    assert_eq!(position, 1);
    assert_eq!(
        error.to_string(),
        "values are Int64 here, but the known ones are strings or binary values; cast one of the two"
    );
    let list = DataType::new_list(DataType::Int64, true);
    assert!(matches!(
        index.check(&[&list, &DataType::Utf8]),
        Err((0, LookupError::Unsupported { .. }))
    ));
}

#[test]
fn common_types_lose_nothing() {
    use DataType::*;
    let common = |a: DataType, b: DataType| common_type([&a, &b]);
    assert_eq!(common(Int32, Int32).unwrap(), Int32);
    assert_eq!(common(Int32, Int64).unwrap(), Int64);
    assert_eq!(common(UInt8, UInt16).unwrap(), UInt64);
    assert_eq!(common(UInt8, Int8).unwrap(), Int64);
    assert_eq!(common(Null, Utf8View).unwrap(), Utf8);
    assert_eq!(common(Utf8, LargeUtf8).unwrap(), LargeUtf8);
    assert_eq!(common(Float32, Float64).unwrap(), Float64);
    assert!(common(Utf8, Int64).is_err());
}

/// More values than a block, in a table too large for the nearest caches.
#[test]
fn large_tables_agree_with_a_hash_map() {
    let texts: Vec<String> = (0..30_000)
        .map(|i| format!("{:x}{}", i * 7919, "-".repeat(i % 17)))
        .collect();
    let numbers: Vec<i64> = (0..30_000)
        .map(|i: i64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64))
        .collect();
    let by_text = index(&[array(StringArray::from_iter_values(&texts[..20_000]))]);
    let by_number = index(&[array(Int64Array::from(numbers[..20_000].to_vec()))]);
    let expected: Vec<u32> = (0..30_000)
        .map(|i| if i < 20_000 { 10 + i } else { 0 })
        .collect();
    assert_eq!(
        codes(&by_text, StringArray::from_iter_values(&texts)),
        expected
    );
    assert_eq!(
        codes(&by_text, StringViewArray::from_iter_values(&texts)),
        expected
    );
    assert_eq!(codes(&by_number, Int64Array::from(numbers)), expected);
    let pairs = index(&[
        array(StringArray::from_iter_values(
            texts.iter().map(|text| &text[..1]),
        )),
        array(Int32Array::from_iter_values(0..30_000)),
    ]);
    let asked = [
        array(StringArray::from_iter_values(
            texts.iter().map(|text| &text[..1]),
        )),
        array(Int32Array::from_iter_values((0..30_000).map(|i| i + i % 2))),
    ];
    let found = pairs.lookup(&asked).unwrap();
    for (row, code) in found.into_iter().enumerate() {
        let partner = row + row % 2;
        let is_same = texts
            .get(partner)
            .is_some_and(|other| other[..1] == texts[row][..1]);
        assert_eq!(code, if is_same { 10 + partner as u32 } else { 0 });
    }
}

/// So many values, short and long ones and nulls among them, that several threads fill a table.
#[test]
fn tables_filled_side_by_side_agree_with_a_hash_map() {
    let text = |i: u64| format!("{:x}{}", i * 7919, "-".repeat(i as usize % 17));
    let wide = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) as i64;
    let narrow = |i: u64| (i as u32).wrapping_mul(0x9E37_79B1);
    let values = |rows: std::ops::Range<u64>| {
        let null = |i: &u64| *i == 250_001;
        let texts = rows.clone().map(|i| (!null(&i)).then(|| text(i)));
        let wides = rows.clone().map(|i| (!null(&i)).then(|| wide(i)));
        let floats = rows.clone().map(|i| (!null(&i)).then(|| i as f64 / 3.0));
        let narrows = rows.map(|i| (!null(&i)).then(|| narrow(i)));
        [
            array(texts.collect::<StringArray>()),
            array(wides.collect::<Int64Array>()),
            array(floats.collect::<Float64Array>()),
            array(narrows.collect::<UInt32Array>()),
        ]
    };
    let expected: Vec<u32> = (10..300_010).chain([0; 1000]).collect();
    for (known, asked) in values(0..300_000).iter().zip(values(0..301_000)) {
        assert_eq!(
            index(&[Arc::clone(known)]).lookup(&[asked]).unwrap(),
            expected
        );
    }
    for known in values(0..300_000) {
        let again = [known.slice(0, 280_000), known.slice(7, 1)];
        let again: Vec<&dyn Array> = again.iter().map(|part| &**part).collect();
        let repeated = ValueIndex::build(&[concat(&again).unwrap()], 3, 1).unwrap_err();
        assert_eq!(
            repeated.to_string(),
            "the value in row 280000 is the same as in row 7; values must be distinct"
        );
    }
}

/// Integers of a range of 32 bits, which have hashes and slots of their own.
#[test]
fn large_tables_of_near_integers_agree_with_a_hash_map() {
    for first in [i64::MIN, -2_000_000_000, 0, i64::MAX - 3_000_000_000] {
        let numbers: Vec<i64> = (0..30_000)
            .map(|i| first + 100_003 * (i * 7_919 % 30_000))
            .collect();
        let index = index(&[array(Int64Array::from(numbers[..20_000].to_vec()))]);
        let expected: Vec<u32> = (10..20_010).chain(vec![0; 10_000]).collect();
        assert_eq!(codes(&index, Int64Array::from(numbers.clone())), expected);
        let far = numbers.iter().map(|number| number.wrapping_add(1 << 32));
        assert_eq!(
            codes(&index, Int64Array::from_iter_values(far)),
            vec![0; 30_000]
        );
    }
    let unsigned: Vec<u64> = (0..1_000).map(|i| u64::MAX - 100_003 * i).collect();
    let index = index(&[array(UInt64Array::from(unsigned.clone()))]);
    let expected: Vec<u32> = (10..1_010).collect();
    assert_eq!(codes(&index, UInt64Array::from(unsigned.clone())), expected);
    let same_bits = unsigned.into_iter().map(|number| number as i64);
    assert_eq!(
        codes(&index, Int64Array::from_iter_values(same_bits)),
        [0; 1_000]
    );
}

fn reference<T: std::hash::Hash + Eq + Copy>(known: &[T], asked: &[Option<T>]) -> Vec<u32> {
    let map: HashMap<T, u32> = known.iter().copied().zip(10..).collect();
    asked
        .iter()
        .map(|value| value.map_or(1, |value| map.get(&value).copied().unwrap_or(0)))
        .collect()
}

proptest! {
    #[test]
    fn integers_agree_with_a_hash_map(
        known in prop::collection::hash_set(prop_oneof![-20..20_i64, any::<i64>()], 0..300),
        others in prop::collection::vec(prop::option::of(prop_oneof![-20..20_i64, any::<i64>()]), 0..300),
    ) {
        let known: Vec<i64> = known.into_iter().collect();
        let asked: Vec<Option<i64>> = known.iter().copied().map(Some).chain(others).collect();
        let index = index(&[array(Int64Array::from(known.clone()))]);
        prop_assert_eq!(codes(&index, Int64Array::from(asked.clone())), reference(&known, &asked));
    }

    #[test]
    fn near_integers_agree_with_a_hash_map(
        first in any::<i32>(),
        known in prop::collection::hash_set(0..i64::from(u32::MAX), 1..300),
        others in prop::collection::vec(prop::option::of(any::<i64>()), 0..300),
    ) {
        let known: Vec<i64> = known.into_iter().map(|number| number + i64::from(first)).collect();
        let asked: Vec<Option<i64>> = known.iter().copied().map(Some).chain(others).collect();
        let index = index(&[array(Int64Array::from(known.clone()))]);
        prop_assert_eq!(codes(&index, Int64Array::from(asked.clone())), reference(&known, &asked));
        let narrow: Vec<Option<i32>> = asked.iter().map(|number| number.map(|number| number as i32)).collect();
        let asked: Vec<Option<i64>> = narrow.iter().map(|number| number.map(i64::from)).collect();
        prop_assert_eq!(codes(&index, Int32Array::from(narrow)), reference(&known, &asked));
    }

    #[test]
    fn strings_agree_with_a_hash_map(
        known in prop::collection::hash_set("[a-c\0]{0,14}", 0..300),
        others in prop::collection::vec(prop::option::of("[a-c\0]{0,14}"), 0..300),
    ) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let asked: Vec<Option<&str>> =
            known.iter().copied().map(Some).chain(others.iter().map(Option::as_deref)).collect();
        let index = index(&[array(StringArray::from(known.clone()))]);
        let expected = reference(&known, &asked);
        prop_assert_eq!(&codes(&index, StringArray::from(asked.clone())), &expected);
        prop_assert_eq!(&codes(&index, StringViewArray::from(asked.clone())), &expected);
        let dictionary: DictionaryArray<Int32Type> = asked.into_iter().collect();
        prop_assert_eq!(&codes(&index, dictionary), &expected);
    }
}

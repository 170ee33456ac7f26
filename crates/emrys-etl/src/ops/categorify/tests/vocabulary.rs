use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::super::build::{Limit, from_counts};
use super::super::layout::VocabularyPlan;
use super::super::vocabulary::{Layout, Vocabulary};
use super::super::{EmbeddingRule, IdType};
use super::{array, letters, strings};

/// Counts as a group-by gives them, each row counted once: the same values come several times.
fn counts(columns: &[ArrayRef]) -> RecordBatch {
    let ones = array(Int64Array::from(vec![1; columns[0].len()]));
    let named = columns.iter().chain([&ones]).enumerate();
    RecordBatch::try_from_iter_with_nullable(
        named.map(|(at, column)| (format!("column_{at}"), Arc::clone(column), true)),
    )
    .unwrap()
}

pub(super) fn layout(columns: usize, num_buckets: u32) -> Layout {
    let columns = ["a", "b", "c"][..columns]
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    Layout {
        name: columns.join("_"),
        columns,
        num_buckets,
    }
}

pub(super) fn fit_limited(columns: &[ArrayRef], num_buckets: u32, limit: Limit) -> Vocabulary {
    from_counts(
        layout(columns.len(), num_buckets),
        &[counts(columns)],
        limit,
        true,
    )
    .unwrap()
}

pub(super) fn fit(columns: &[ArrayRef]) -> Vocabulary {
    fit_limited(columns, 1, Limit::MinCount(0))
}

pub(super) fn encode(vocabulary: &Vocabulary, columns: &[ArrayRef]) -> Vec<i64> {
    let ids = vocabulary.encode(columns, 0).unwrap();
    ids.into_iter().map(i64::from).collect()
}

pub(super) fn observed(vocabulary: &Vocabulary) -> [u64; 4] {
    vocabulary.meta().map(|range| range.observed.unwrap())
}

fn most_frequent(max_size: u64, num_buckets: u32) -> Limit {
    let plan = VocabularyPlan {
        layout: layout(1, num_buckets),
        sources: Vec::new(),
        freq_threshold: 0,
        max_size,
        num_buckets: Some(num_buckets),
    };
    plan.limit()
}

#[test]
fn ids_fall_with_the_count_and_unseen_values_are_2() {
    let vocabulary = fit(&[letters("xyx-")]);
    assert_eq!(encode(&vocabulary, &[letters("xq-y")]), [3, 2, 1, 4]);
    assert_eq!(vocabulary.cardinality(), 5);
}

#[test]
fn the_vocabulary_starts_behind_the_buckets() {
    let vocabulary = fit_limited(&[letters("xyx-")], 4, Limit::MinCount(0));
    assert_eq!(encode(&vocabulary, &[letters("xy-")]), [6, 7, 1]);
    assert_eq!(vocabulary.cardinality(), 8);
    let unseen = encode(&vocabulary, &[letters("abcdefghijklmnopqrstuvw")]);
    assert!(unseen.iter().all(|id| (2..6).contains(id)));
    assert!((2..6).all(|id| unseen.contains(&id)), "{unseen:?}");
}

#[test]
fn values_below_the_threshold_are_unseen() {
    let vocabulary = fit_limited(&[letters("xyxzxy-")], 1, Limit::MinCount(2));
    assert_eq!(
        encode(&vocabulary, &[letters("xyxzxy-")]),
        [3, 4, 3, 2, 3, 4, 1]
    );
    assert_eq!(observed(&vocabulary), [0, 1, 1, 5]);
}

#[test]
fn max_size_keeps_the_most_frequent() {
    let data = letters("aaaabbbccdef");
    let vocabulary = fit_limited(std::slice::from_ref(&data), 1, most_frequent(5, 1));
    assert_eq!(
        encode(&vocabulary, &[letters("abcdef")]),
        [3, 4, 2, 2, 2, 2]
    );
    assert_eq!(observed(&vocabulary), [0, 0, 5, 7]);
    assert_eq!(vocabulary.cardinality(), 5);
}

#[test]
fn max_size_leaves_room_for_the_buckets() {
    let data = letters("aaaabbbccdef");
    let vocabulary = fit_limited(std::slice::from_ref(&data), 3, most_frequent(7, 3));
    let ids = encode(&vocabulary, &[letters("abcdef")]);
    assert_eq!(ids[..2], [5, 6]);
    assert!(ids[2..].iter().all(|id| (2..5).contains(id)));
    assert_eq!(vocabulary.cardinality(), 7);

    let only_buckets = fit_limited(&[data], 3, most_frequent(5, 3));
    assert!(only_buckets.is_empty());
    assert_eq!(only_buckets.cardinality(), 5);
    assert!(
        encode(&only_buckets, &[letters("abcdef")])
            .iter()
            .all(|id| (2..5).contains(id))
    );
}

#[test]
fn columns_that_share_a_vocabulary_add_their_counts() {
    let (a, b) = (letters("xy-x-"), letters("yz-qx"));
    let batches = [
        counts(std::slice::from_ref(&a)),
        counts(std::slice::from_ref(&b)),
    ];
    let vocabulary = from_counts(layout(1, 1), &batches, Limit::MinCount(0), true).unwrap();
    assert_eq!(encode(&vocabulary, &[a]), [3, 4, 1, 3, 1]);
    assert_eq!(encode(&vocabulary, &[b]), [4, 6, 1, 5, 3]);
    assert_eq!(vocabulary.cardinality(), 7);
    assert_eq!(observed(&vocabulary), [0, 3, 0, 7]);
}

#[test]
fn tuples_are_categories_and_nulls_are_values_among_their_members() {
    let columns = [
        letters("xy-x-"),
        array(Int64Array::from(vec![
            Some(1),
            Some(2),
            None,
            Some(1),
            Some(3),
        ])),
    ];
    let vocabulary = fit(&columns);
    assert_eq!(encode(&vocabulary, &columns), [3, 5, 1, 3, 4]);
    assert_eq!(vocabulary.observed().unwrap().counts.values(), &[2, 1, 1]);
    // Both members are known, but not together.
    let unknown = [letters("x"), array(Int64Array::from(vec![2]))];
    assert_eq!(encode(&vocabulary, &unknown), [2]);
}

#[test]
fn independent_joint_and_combined_encodings_differ() {
    let (author, engaging) = (letters("AEBC"), letters("BBAD"));
    assert_eq!(
        encode(
            &fit(std::slice::from_ref(&author)),
            std::slice::from_ref(&author)
        ),
        [3, 6, 4, 5]
    );
    assert_eq!(
        encode(
            &fit(std::slice::from_ref(&engaging)),
            std::slice::from_ref(&engaging)
        ),
        [3, 3, 4, 5]
    );
    let pairs = [Arc::clone(&author), Arc::clone(&engaging)];
    assert_eq!(encode(&fit(&pairs), &pairs), [3, 6, 4, 5]);
    let batches = [
        counts(std::slice::from_ref(&author)),
        counts(std::slice::from_ref(&engaging)),
    ];
    let joint = from_counts(layout(1, 1), &batches, Limit::MinCount(0), true).unwrap();
    assert_eq!(encode(&joint, &[author]), [4, 7, 3, 5]);
    assert_eq!(encode(&joint, &[engaging]), [3, 3, 4, 6]);
}

#[test]
fn the_vocabulary_holds_values_with_their_counts() {
    let users = strings([
        Some("u1"),
        Some("u2"),
        Some("u1"),
        None,
        Some("u3"),
        Some("u2"),
        Some("u1"),
        Some("u4"),
    ]);
    let vocabulary = fit(std::slice::from_ref(&users));
    assert_eq!(encode(&vocabulary, &[users]), [3, 4, 3, 1, 5, 4, 3, 6]);
    assert_eq!(&vocabulary.values()[0], &strings(["u1", "u2", "u3", "u4"]));
    assert_eq!(
        vocabulary.observed().unwrap().counts.values(),
        &[3, 2, 1, 1]
    );
}

#[test]
fn embedding_widths_follow_the_cardinality() {
    let rule = EmbeddingRule::default();
    let alphabet: String = ('a'..='z').collect();
    assert_eq!(fit(&[letters(&alphabet)]).cardinality(), 29);
    let widths = [
        (1, 16),
        (29, 16),
        (64, 16),
        (65, 17),
        (100, 21),
        (200, 31),
        (500, 52),
        (1_000, 77),
        (5_000, 189),
        (10_000, 278),
        (20_000, 410),
        (29_697, 511),
        (29_698, 512),
        (1 << 40, 512),
    ];
    for (cardinality, width) in widths {
        assert_eq!(rule.dimension(cardinality), width, "{cardinality}");
    }
}

#[test]
fn booleans_floats_dates_and_timestamps_are_categories() {
    let booleans = array(BooleanArray::from(vec![true, false, true]));
    assert_eq!(
        encode(&fit(std::slice::from_ref(&booleans)), &[booleans]),
        [3, 4, 3]
    );
    let floats = array(Float64Array::from(vec![
        0.5,
        -0.0,
        0.0,
        f64::NAN,
        -2.0,
        f64::INFINITY,
    ]));
    let vocabulary = fit(std::slice::from_ref(&floats));
    assert_eq!(encode(&vocabulary, &[floats]), [5, 3, 3, 1, 4, 6]);
    assert_eq!(observed(&vocabulary), [0, 1, 0, 5]);
    let days = array(Date32Array::from(vec![10, -10, 10]));
    assert_eq!(
        encode(&fit(std::slice::from_ref(&days)), &[days]),
        [3, 4, 3]
    );
    let times = array(TimestampMicrosecondArray::from(vec![5, 6, -1]));
    assert_eq!(
        encode(&fit(std::slice::from_ref(&times)), &[times]),
        [4, 5, 3]
    );
}

#[test]
fn ties_are_ordered_by_value_however_many_there_are() {
    let mut texts: Vec<String> = (0..70_000)
        .map(|i| format!("user_{}", i * 7919 % 70_000))
        .collect();
    let shuffled = array(StringArray::from_iter_values(&texts));
    texts.sort();
    assert_eq!(
        &fit(&[shuffled]).values()[0],
        &array(StringArray::from_iter_values(&texts))
    );
    let numbers = array(Int32Array::from(vec![7, -3, 0, i32::MIN, i32::MAX, -1]));
    let sorted = array(Int32Array::from(vec![i32::MIN, -3, -1, 0, 7, i32::MAX]));
    assert_eq!(&fit(&[numbers]).values()[0], &sorted);
    let large = array(UInt64Array::from(vec![u64::MAX, 0, 1 << 63]));
    assert_eq!(
        &fit(&[large]).values()[0],
        &array(UInt64Array::from(vec![0, 1 << 63, u64::MAX]))
    );
    let texts = strings(["b", "", "a\0", "a", "abcdefghz", "abcdefgha", "\u{e9}"]);
    let sorted = strings(["", "a", "a\0", "abcdefgha", "abcdefghz", "b", "\u{e9}"]);
    assert_eq!(&fit(&[texts]).values()[0], &sorted);
    let tuples = [
        letters("y-xy-x"),
        array(Int64Array::from(vec![
            Some(1),
            Some(5),
            None,
            None,
            Some(-5),
            Some(0),
        ])),
    ];
    let vocabulary = fit(&tuples);
    assert_eq!(&vocabulary.values()[0], &letters("--xxyy"));
    let members = Int64Array::from(vec![Some(-5), Some(5), None, Some(0), None, Some(1)]);
    assert_eq!(&vocabulary.values()[1], &array(members));
}

#[test]
fn a_column_of_nothing_but_nulls_has_cardinality_3() {
    for nulls in [
        array(NullArray::new(3)),
        letters("---"),
        array(Int64Array::from(vec![None; 3])),
    ] {
        let vocabulary = fit(std::slice::from_ref(&nulls));
        assert_eq!(vocabulary.cardinality(), 3);
        assert_eq!(encode(&vocabulary, &[nulls]), [1, 1, 1]);
        assert_eq!(observed(&vocabulary), [0, 3, 0, 0]);
    }
    let nothing = from_counts(layout(1, 1), &[], Limit::MinCount(0), false).unwrap();
    assert_eq!(encode(&nothing, &[letters("a-")]), [2, 1]);
}

#[test]
fn a_batch_of_nothing_but_nulls_is_encoded_as_1() {
    let vocabulary = fit(&[letters("xy")]);
    assert_eq!(encode(&vocabulary, &[letters("--")]), [1, 1]);
    assert_eq!(encode(&vocabulary, &[array(NullArray::new(2))]), [1, 1]);
    assert!(encode(&vocabulary, &[letters("")]).is_empty());
}

#[test]
fn integers_that_arrive_as_floats_with_nulls_keep_their_ids() {
    let vocabulary = fit(&[array(Int64Array::from(vec![10, 20, 10]))]);
    let floats = array(Float64Array::from(vec![
        Some(20.0),
        None,
        Some(f64::NAN),
        Some(30.0),
    ]));
    assert_eq!(encode(&vocabulary, &[floats]), [4, 1, 1, 2]);
    let fraction = array(Float64Array::from(vec![20.5]));
    assert!(vocabulary.encode(&[fraction], 0).is_err());
    assert!(vocabulary.check_types(&[&DataType::Utf8]).is_err());
}

#[test]
fn buckets_depend_on_the_value_alone() {
    let vocabulary = fit_limited(&[letters("x")], 1_000, Limit::MinCount(0));
    let expected = encode(&vocabulary, &[letters("pqr")]);
    assert_eq!(
        encode(&vocabulary, &[letters("rxqp")]),
        [expected[2], 1_002, expected[1], expected[0]]
    );
    assert_eq!(
        expected[0],
        2 + (crate::hash::hash_bytes(b"p") % 1_000) as i64
    );
    for data_type in [
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::new_dictionary(),
    ] {
        let values = cast(&letters("pqr"), &data_type).unwrap();
        assert_eq!(encode(&vocabulary, &[values]), expected);
    }
    // Integers that arrive as floats fall into the same buckets.
    let integers = fit_limited(
        &[array(Int64Array::from(vec![1]))],
        1_000,
        Limit::MinCount(0),
    );
    let narrow = encode(&integers, &[array(Int16Array::from(vec![7, -7]))]);
    assert_eq!(
        encode(&integers, &[array(Float64Array::from(vec![7.0, -7.0]))]),
        narrow
    );
    // A tuple's bucket comes from the exclusive or of its members' hashes.
    let tuples = [letters("x"), letters("y")];
    let vocabulary = fit_limited(&tuples, 1_000, Limit::MinCount(0));
    let hash = crate::hash::hash_bytes(b"p") ^ crate::hash::NULL_HASH;
    assert_eq!(
        encode(&vocabulary, &[letters("p"), letters("-")]),
        [2 + (hash % 1_000) as i64]
    );
}

trait NewDictionary {
    fn new_dictionary() -> DataType;
}

impl NewDictionary for DataType {
    fn new_dictionary() -> DataType {
        DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8))
    }
}

#[test]
fn ids_of_known_values_are_shifted_for_a_single_table() {
    let vocabulary = fit(&[letters("xyx-")]);
    let ids = vocabulary.encode(&[letters("xyq-")], 10).unwrap();
    assert_eq!(ids, [13, 14, 2, 1]);
    let expected = array(Int32Array::from(vec![13, 14, 2, 1]));
    assert_eq!(&IdType::Int32.array(&ids), &expected);
}

#[test]
fn views_and_dictionaries_make_the_same_vocabulary() {
    let plain = strings(["a value of many bytes", "b", "a value of many bytes", "c"]);
    let expected = fit(std::slice::from_ref(&plain));
    for data_type in [DataType::Utf8View, DataType::new_dictionary()] {
        assert_eq!(fit(&[cast(&plain, &data_type).unwrap()]), expected);
    }
}

proptest! {
    #[test]
    fn the_vocabulary_is_the_same_for_every_order_and_partitioning(
        values in prop::collection::vec((prop::option::of("[a-d]{0,3}"), 1..4_i64), 1..200),
        cuts in prop::collection::vec(0..200_usize, 0..4),
        seed in any::<u32>(),
    ) {
        let texts: StringArray = values.iter().map(|(text, _)| text.as_deref()).collect();
        let weights = Int64Array::from_iter_values(values.iter().map(|(_, count)| *count));
        let batch = RecordBatch::try_from_iter_with_nullable(
            [("a", array(texts), true), ("count", array(weights), true)],
        ).unwrap();
        let expected = from_counts(layout(1, 1), std::slice::from_ref(&batch), Limit::MinCount(3), true).unwrap();

        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_by_key(|row| row.wrapping_mul(seed | 1).rotate_left(7));
        let shuffled = take_record_batch(&batch, &UInt32Array::from(order)).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(values.len())).collect();
        cuts.extend([0, values.len()]);
        cuts.sort_unstable();
        let parts: Vec<RecordBatch> =
            cuts.windows(2).map(|pair| shuffled.slice(pair[0], pair[1] - pair[0])).collect();
        let vocabulary = from_counts(layout(1, 1), &parts, Limit::MinCount(3), true).unwrap();
        prop_assert_eq!(&vocabulary, &expected);
        let total: u64 = observed(&vocabulary).iter().sum();
        prop_assert_eq!(total, values.iter().map(|(_, count)| *count as u64).sum::<u64>());

        // Ids are those of the reference: by falling count, then by value.
        let whole = concat_batches(&batch.schema(), &parts).unwrap();
        let mut reference = std::collections::BTreeMap::new();
        for (text, count) in &values {
            if let Some(text) = text {
                *reference.entry(text.as_str()).or_insert(0) += count;
            }
        }
        let mut reference: Vec<_> = reference.into_iter().filter(|(_, count)| *count >= 3).collect();
        reference.sort_by_key(|(text, count)| (-count, *text));
        let ids = encode(&vocabulary, &[Arc::clone(whole.column(0))]);
        for (id, text) in ids.iter().zip(whole.column(0).as_string::<i32>()) {
            let expected = match text {
                None => 1,
                Some(text) => reference.iter().position(|(other, _)| *other == text).map_or(2, |at| at as i64 + 3),
            };
            prop_assert_eq!(*id, expected);
        }
    }
}

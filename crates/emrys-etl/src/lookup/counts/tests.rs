use std::collections::BTreeMap;

use arrow::array::{DictionaryArray, Int32Array, StringArray, StringViewArray, new_null_array};
use arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::packed::MOST;
use super::*;

/// What was counted, by the values in words.
fn counted(counts: ValueCounts) -> BTreeMap<String, i64> {
    let (values, counts) = counts.finish().unwrap();
    let counts = counts.as_primitive::<arrow::datatypes::Int64Type>();
    let mut found = BTreeMap::new();
    for row in 0..values.len() {
        let value = match values.is_null(row) {
            true => "null".to_owned(),
            false => arrow::util::display::array_value_to_string(&values, row).unwrap(),
        };
        let before = found.insert(value, counts.value(row));
        assert_eq!(before, None, "a value comes out once");
    }
    found
}

fn count(arrays: &[ArrayRef]) -> ValueCounts {
    let mut counts = ValueCounts::new(arrays[0].data_type());
    for array in arrays {
        counts.add(array).unwrap();
    }
    counts
}

fn expected(values: &[Option<String>]) -> BTreeMap<String, i64> {
    let mut expected = BTreeMap::new();
    for value in values {
        *expected
            .entry(value.clone().unwrap_or_else(|| "null".to_owned()))
            .or_default() += 1;
    }
    expected
}

#[test]
fn the_type_of_the_values_is_kept() {
    let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(-3), None, Some(-3)]));
    let (values, counts) = count(&[array]).finish().unwrap();
    assert_eq!(values.data_type(), &DataType::Int32);
    let pairs = values.as_primitive::<Int32Type>().iter().zip(
        counts
            .as_primitive::<arrow::datatypes::Int64Type>()
            .values(),
    );
    assert_eq!(pairs.collect::<Vec<_>>(), [(Some(-3), &2), (None, &1)]);
}

#[test]
fn nothing_but_nulls_is_counted() {
    for data_type in [DataType::Utf8View, DataType::Int64, DataType::Boolean] {
        let counts = count(&[new_null_array(&data_type, 5)]);
        assert_eq!(counted(counts), BTreeMap::from([("null".to_owned(), 5)]));
    }
    assert!(counted(ValueCounts::new(&DataType::Utf8)).is_empty());
}

#[test]
fn zero_and_the_empty_string_are_values() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0, 0]));
    assert_eq!(
        counted(count(&[zeros])),
        BTreeMap::from([("0".to_owned(), 2)])
    );
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "", "a"]));
    assert_eq!(
        counted(count(&[texts])),
        BTreeMap::from([(String::new(), 2), ("a".to_owned(), 1)])
    );
}

#[test]
fn counts_beyond_32_bits_are_kept() {
    let mut counts = PackedCounts::<u128>::with_room_for(1);
    counts.add(7, MOST - 1);
    for _ in 0..3 {
        counts.count([7, 8].into_iter());
    }
    let mut other = PackedCounts::with_room_for(1);
    other.add(7, 3 * MOST);
    let found: BTreeMap<u128, u64> = other.merge(counts).iter().collect();
    assert_eq!(found, BTreeMap::from([(7, 4 * MOST + 2), (8, 3)]));
}

#[test]
fn integers_of_32_bits_and_others_are_counted_together() {
    let batches: [&[i64]; 4] = [
        &[0, 7, 7, i64::from(u32::MAX)],
        &[-1, 7, i64::MAX, 1 << 32],
        &[7, 0],
        &[i64::MIN],
    ];
    let arrays = batches.map(|batch| Arc::new(Int64Array::from(batch.to_vec())) as ArrayRef);
    let words = batches.iter().flat_map(|batch| batch.iter());
    let words: Vec<_> = words.map(|value| Some(value.to_string())).collect();
    assert_eq!(counted(count(&arrays)), expected(&words));
    let [first, .., last] = &arrays;
    let merged = count(&arrays[..3]).merge(count(std::slice::from_ref(last)));
    assert_eq!(counted(merged.unwrap()), expected(&words));
    let merged = count(std::slice::from_ref(first)).merge(count(&arrays[1..]));
    assert_eq!(counted(merged.unwrap()), expected(&words));
}

#[test]
fn nulls_are_counted_as_a_value() {
    fn check(values: ArrayRef, value: ArrayRef, expected: &[(&str, i64)]) {
        let mut counts = count(&[values]);
        counts.count_nulls_as(&value).unwrap();
        let expected = expected
            .iter()
            .map(|(value, count)| ((*value).to_owned(), *count));
        assert_eq!(counted(counts), expected.collect());
    }
    let integers = |values: &[Option<i64>]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let some = [Some(5), None, Some(5), None, Some(0)];
    check(integers(&some), integers(&[Some(0)]), &[("0", 3), ("5", 2)]);
    check(
        integers(&some),
        integers(&[Some(7)]),
        &[("0", 1), ("5", 2), ("7", 2)],
    );
    check(
        integers(&some),
        integers(&[Some(-1)]),
        &[("-1", 2), ("0", 1), ("5", 2)],
    );
    let far = [Some(-9), None, Some(0)];
    check(integers(&far), integers(&[Some(0)]), &[("-9", 1), ("0", 2)]);
    check(integers(&[Some(1)]), integers(&[Some(0)]), &[("1", 1)]);
    let texts = |values: &[Option<&str>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let some = [Some("a"), None, None];
    let long = "a text of more than twelve bytes";
    check(texts(&some), texts(&[Some("a")]), &[("a", 3)]);
    check(texts(&some), texts(&[Some("")]), &[("", 2), ("a", 1)]);
    check(texts(&some), texts(&[Some(long)]), &[("a", 1), (long, 2)]);
}

#[test]
fn the_ends_of_every_type_are_kept() {
    let signed: ArrayRef = Arc::new(Int32Array::from(vec![i32::MIN, -1, 0, i32::MAX, -1]));
    let words = [i32::MIN, -1, 0, i32::MAX, -1].map(|value| Some(value.to_string()));
    assert_eq!(counted(count(&[signed])), expected(&words));
    let small: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![i8::MIN, i8::MAX]));
    let words = [i8::MIN, i8::MAX].map(|value| Some(value.to_string()));
    assert_eq!(counted(count(&[small])), expected(&words));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    let words = ["true", "false", "true"].map(|value| Some(value.to_owned()));
    assert_eq!(counted(count(&[flags])), expected(&words));
}

#[test]
fn the_greatest_unsigned_integers_are_kept() {
    let array: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0, u64::MAX]));
    let expected = BTreeMap::from([(u64::MAX.to_string(), 2), ("0".to_owned(), 1)]);
    assert_eq!(counted(count(&[array])), expected);
}

#[test]
fn tables_grow() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..50_000).map(|i| i % 20_000),
    ));
    let (_, counts) = count(&[Arc::clone(&numbers)]).finish().unwrap();
    assert_eq!(counts.len(), 20_000);
    let texts = (0..30_000).map(|i| format!("a value of many bytes {}", i % 10_000));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let counts = counted(count(&[texts]));
    assert_eq!(counts.len(), 10_000);
    assert!(counts.values().all(|count| *count == 3));
}

/// More than the nearest caches hold, new values and known ones, with nulls between.
#[test]
fn large_tables_agree_with_a_hash_map() {
    let number = |i: i64| (i % 7 != 3).then_some(100_003 * (i * i % 40_009));
    for shift in [0, 1 << 40] {
        let numbers: Vec<Option<i64>> = (0..100_000)
            .map(|i| number(i).map(|number| number + shift))
            .collect();
        let words: Vec<_> = numbers
            .iter()
            .map(|number| number.map(|number| number.to_string()))
            .collect();
        let array: ArrayRef = Arc::new(Int64Array::from(numbers));
        let pieces: Vec<ArrayRef> = (0..10)
            .map(|piece| array.slice(10_000 * piece, 10_000))
            .collect();
        assert_eq!(counted(count(&pieces)), expected(&words));
    }
}

fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let text = prop_oneof!["[ab]{0,2}", "[ab]{9,13}", "long text [a-c]{1,2}"];
    prop::collection::vec(prop::option::weighted(0.9, text), 1..600)
}

proptest! {
    #[test]
    fn every_form_of_strings_is_counted_alike(values in texts(), cut in 0.0..1.0) {
        let cut = (cut * values.len() as f64) as usize;
        let plain = StringArray::from_iter(values.iter());
        let views = StringViewArray::from_iter(values.iter());
        let entries: Vec<&str> = {
            let mut entries: Vec<&str> = values.iter().flatten().map(String::as_str).collect();
            entries.sort_unstable();
            entries.dedup();
            entries
        };
        let keys = values.iter().map(|value| {
            let value = value.as_deref()?;
            entries.binary_search(&value).ok().map(|key| key as i32)
        });
        let dictionary = DictionaryArray::new(
            keys.collect::<Int32Array>(),
            Arc::new(StringArray::from(entries.clone())),
        );
        let expected = expected(&values);
        for array in [Arc::new(plain) as ArrayRef, Arc::new(views), Arc::new(dictionary)] {
            let parts = [array.slice(0, cut), array.slice(cut, array.len() - cut)];
            prop_assert_eq!(&counted(count(&parts)), &expected);
            let [first, second] = parts.map(|part| count(&[part]));
            prop_assert_eq!(&counted(first.merge(second).unwrap()), &expected);
        }
    }

    #[test]
    fn integers_are_counted(values in prop::collection::vec(prop::option::weighted(0.9, -50_i64..50), 1..800)) {
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let words: Vec<_> = values.iter().map(|value| value.map(|value| value.to_string())).collect();
        prop_assert_eq!(counted(count(&[array.slice(0, values.len())])), expected(&words));
    }

    #[test]
    fn entries_are_counted_as_the_rows_are(
        keys in prop::collection::vec(prop::option::weighted(0.9, 0_i32..6), 1..300),
        entries in prop_oneof![Just(6_usize), Just(5_000)],
        cut in 0.0..1.0,
    ) {
        let cut = (cut * keys.len() as f64) as usize;
        let integers = Int64Array::from_iter((0..entries as i64).map(|entry| (entry != 4).then_some(entry * 3)));
        let texts = StringArray::from_iter((0..entries).map(|entry| {
            (entry != 4).then(|| format!("{}{entry}", "long ".repeat(entry % 5)))
        }));
        for dictionary in [Arc::new(integers) as ArrayRef, Arc::new(texts)] {
            let array = DictionaryArray::new(Int32Array::from(keys.clone()), Arc::clone(&dictionary));
            let array: ArrayRef = Arc::new(array);
            let mut counted_entries = EntryCounts::of(&array);
            for part in [array.slice(0, cut), array.slice(cut, array.len() - cut)] {
                prop_assert!(counted_entries.takes(&part));
                counted_entries.add(&part);
            }
            let mut counts = ValueCounts::new(array.data_type());
            counts.add_entries(&counted_entries).unwrap();
            let plain = strict_cast(&array, dictionary.data_type()).unwrap();
            prop_assert_eq!(counted(counts), counted(count(&[plain])));
        }
    }

    #[test]
    fn an_entry_for_each_row_is_told_apart(keys in prop::collection::vec(0_i32..3, 3)) {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![5, 6, 7]));
        let array = DictionaryArray::new(Int32Array::from(keys.clone()), Arc::clone(&values));
        let array: ArrayRef = Arc::new(array);
        prop_assert_eq!(entry_by_row(&array).is_some(), keys == [0, 1, 2]);
        prop_assert!(entry_by_row(&values).is_none());
    }
}

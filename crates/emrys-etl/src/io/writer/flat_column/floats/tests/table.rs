//! The table of floats.

use parquet::file::properties::DEFAULT_PAGE_SIZE;

use super::*;
use crate::io::writer::flat_column::dictionary::Dictionary;
use crate::io::writer::flat_column::floats::table::FloatTable;

#[test]
fn a_table_has_room_for_so_many_values() {
    for (most, expected) in [(0, 0), (1, 1), (5_000, 5_000), (DEFAULT_PAGE_SIZE, 1 << 15)] {
        let mut table = FloatTable::<f64>::new(most);
        let floats: Vec<f64> = (0..40_000).map(|float| f64::from(float) / 10.0).collect();
        let mut numbers = Vec::new();
        assert_eq!(table.number(&floats, &mut numbers), expected);
        assert!(numbers.iter().copied().eq(0..expected as u16));
        assert_eq!(table.values(), &floats[..expected]);
        assert_eq!(table.number(&floats[..expected], &mut numbers), expected);
        assert_eq!(numbers[..expected], numbers[expected..]);
    }
}

#[test]
fn values_that_crowd_into_one_slot_fill_the_table() {
    // An inverse of the multiplier gives bits whose products are small.
    let inverse = 0xf1de_83e1_9937_733d_u64;
    assert_eq!(inverse.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1);
    let crowd = (0..1_000).map(|product: u64| f64::from_bits(product.wrapping_mul(inverse)));
    let crowd: Vec<f64> = crowd.collect();
    let numbered = FloatTable::new(10_000).number(&crowd, &mut Vec::new());
    assert_eq!(numbered, 256);
    let options = WriteOptions::new();
    let batch = batch(Arc::new(Float64Array::from(crowd)), false);
    let bytes = written(
        std::slice::from_ref(&batch),
        &Arc::new(encoding(&batch, &options)),
    );
    assert_eq!(bits(&read(&bytes)), bits(&batch));
}

//! How many different values there are, from their hashes.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

use crate::operator::GroupedRows;
use crate::storage::{Sink, Storage};
use crate::{Error, Result};

/// How many hashes are kept to estimate a count.
///
/// The estimate is off by 1 / sqrt(SAMPLE), 0.8 percent, in two cases of three.
const SAMPLE: usize = 1 << 14;

/// The distinct hashes of the values of a column: all of them, or for an estimate the smallest.
///
/// Hashes are spread evenly, so the value of the k-th smallest tells how many there are. Which
/// hashes are kept depends on the values alone, not on their order or on how they were split among
/// threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DistinctHashes {
    estimated: bool,
    /// In rising order; in memory, or in a file that is mapped into it.
    hashes: ScalarBuffer<u64>,
}

impl DistinctHashes {
    /// From hashes in any order, repeated or not; for an estimate all but the smallest are let go.
    fn new(estimated: bool, mut hashes: Vec<u64>) -> DistinctHashes {
        hashes.sort_unstable();
        hashes.dedup();
        if estimated {
            hashes.truncate(SAMPLE);
        }
        DistinctHashes {
            estimated,
            hashes: hashes.into(),
        }
    }

    /// All hashes of a query that counts them; they lie on disk if memory is short.
    ///
    /// # Errors
    /// If a spill file cannot be read or written.
    pub(crate) fn exact(rows: &GroupedRows, storage: &Storage) -> Result<DistinctHashes> {
        if rows.is_ordered() {
            return DistinctHashes::from_rising(false, rows.batches()?, rows.num_rows(), storage);
        }
        let batches = rows.batches()?.map(|batch| hashes_of(&batch?));
        let hashes: Vec<Vec<u64>> = batches.collect::<Result<_>>()?;
        Ok(DistinctHashes::new(false, hashes.concat()))
    }

    /// At most `most` hashes, batch by batch in rising order.
    ///
    /// # Errors
    /// The first error among the batches, or if a spill file cannot be written.
    pub(crate) fn from_rising(
        estimated: bool,
        batches: impl Iterator<Item = Result<RecordBatch>>,
        most: usize,
        storage: &Storage,
    ) -> Result<DistinctHashes> {
        let mut writer = HashWriter::new(storage, most)?;
        for batch in batches {
            let hashes = hashes_of(&batch?)?;
            hashes.into_iter().try_for_each(|hash| writer.push(hash))?;
        }
        Ok(DistinctHashes {
            estimated,
            hashes: writer.finish()?,
        })
    }

    /// From the bytes that [`smallest_hashes`] gives.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are something else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<DistinctHashes> {
        let (hashes, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Error::Internal("bytes are no hashes".to_owned()));
        }
        let hashes = hashes.iter().map(|hash| u64::from_le_bytes(*hash));
        Ok(DistinctHashes::new(true, hashes.collect()))
    }

    /// Whether the count may be an estimate.
    pub(crate) fn is_estimated(&self) -> bool {
        self.estimated
    }

    /// The hashes in rising order.
    pub(crate) fn hashes(&self) -> &ScalarBuffer<u64> {
        &self.hashes
    }

    /// The hashes of both parts of a column.
    ///
    /// # Errors
    /// If a spill file cannot be written.
    pub(crate) fn merged(
        &self,
        other: &DistinctHashes,
        storage: &Storage,
    ) -> Result<DistinctHashes> {
        if self.estimated {
            return Ok(self.merged_estimate(other));
        }
        let mut writer = HashWriter::new(storage, self.hashes.len() + other.hashes.len())?;
        let mut others = other.hashes.iter().copied().peekable();
        for hash in self.hashes.iter().copied() {
            while let Some(before) = others.next_if(|other| *other < hash) {
                writer.push(before)?;
            }
            writer.push(hash)?;
        }
        others.try_for_each(|hash| writer.push(hash))?;
        Ok(DistinctHashes {
            estimated: false,
            hashes: writer.finish()?,
        })
    }

    fn merged_estimate(&self, other: &DistinctHashes) -> DistinctHashes {
        DistinctHashes::new(true, [&*self.hashes, &*other.hashes].concat())
    }

    /// The number of different values.
    pub(crate) fn count(&self) -> u64 {
        match self.hashes.last() {
            Some(last) if self.estimated && self.hashes.len() == SAMPLE => {
                let share = (*last as f64 + 1.0) / 2f64.powi(64);
                // A positive number below 2^78, limited by the cast.
                ((SAMPLE - 1) as f64 / share).round() as u64
            }
            _ => self.hashes.len() as u64,
        }
    }
}

/// Hashes of a table of one column, without nulls.
fn hashes_of(batch: &RecordBatch) -> Result<Vec<u64>> {
    let column = batch.column(0).as_primitive_opt::<UInt64Type>();
    let column = column.ok_or_else(|| Error::Internal("hashes have another type".to_owned()))?;
    Ok(column.iter().flatten().collect())
}

/// Takes hashes in rising order, repeated or not.
struct HashWriter {
    sink: Sink,
    last: Option<u64>,
}

impl HashWriter {
    /// For at most so many hashes, which lie on disk if memory is short.
    fn new(storage: &Storage, hashes: usize) -> Result<HashWriter> {
        let bytes = hashes * size_of::<u64>();
        Ok(HashWriter {
            sink: storage.sink(storage.is_on_disk(bytes), bytes)?,
            last: None,
        })
    }

    fn push(&mut self, hash: u64) -> Result<()> {
        match self.last.replace(hash) {
            Some(last) if last == hash => Ok(()),
            Some(last) if last > hash => Err(Error::Internal("hashes out of order".to_owned())),
            _ => self.sink.write_all(&[hash]),
        }
    }

    fn finish(self) -> Result<ScalarBuffer<u64>> {
        self.sink.finish_numbers()
    }
}

/// The aggregate of hashes (`UInt64`) whose results [`DistinctHashes::from_bytes`] reads.
pub(crate) fn smallest_hashes(hash: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(SmallestHashes::new())));
    FUNCTION.call(vec![hash])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SmallestHashes {
    signature: Signature,
}

impl SmallestHashes {
    fn new() -> SmallestHashes {
        SmallestHashes {
            signature: Signature::exact(vec![DataType::UInt64], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for SmallestHashes {
    fn name(&self) -> &'static str {
        "smallest_hashes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> EngineResult<Vec<FieldRef>> {
        let name = format!("{}[hashes]", args.name);
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> EngineResult<Box<dyn Accumulator>> {
        Ok(Box::new(Smallest {
            kept: DistinctHashes::new(true, Vec::new()),
            buffer: Vec::new(),
        }))
    }
}

#[derive(Debug)]
struct Smallest {
    kept: DistinctHashes,
    buffer: Vec<u64>,
}

impl Smallest {
    fn add(&mut self, hash: u64) {
        let full = self.kept.hashes.len() == SAMPLE;
        // Most hashes of a large column are too great to be kept.
        if full && self.kept.hashes.last().is_some_and(|last| hash > *last) {
            return;
        }
        self.buffer.push(hash);
        if self.buffer.len() == SAMPLE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.kept = self
            .kept
            .merged_estimate(&DistinctHashes::new(true, buffer));
    }
}

impl Accumulator for Smallest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        for hash in values[0].as_primitive::<UInt64Type>().iter().flatten() {
            self.add(hash);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        self.flush();
        let bytes = self.kept.hashes.iter().flat_map(|hash| hash.to_le_bytes());
        Ok(ScalarValue::Binary(Some(bytes.collect())))
    }

    fn size(&self) -> usize {
        size_of::<Smallest>() + (self.kept.hashes.len() + self.buffer.capacity()) * size_of::<u64>()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        for state in states[0].as_binary::<i32>().iter().flatten() {
            let other = DistinctHashes::from_bytes(state)?;
            self.kept = self.kept.merged_estimate(&other);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::UInt64Array;

    use super::*;
    use crate::hash::hash_bits;

    fn smallest(values: impl Iterator<Item = u64>) -> DistinctHashes {
        let mut kept = Smallest {
            kept: DistinctHashes::new(true, Vec::new()),
            buffer: Vec::new(),
        };
        let hashes: ArrayRef = Arc::new(UInt64Array::from_iter_values(values.map(hash_bits)));
        kept.update_batch(&[hashes]).unwrap();
        let ScalarValue::Binary(Some(bytes)) = kept.evaluate().unwrap() else {
            panic!("not bytes");
        };
        DistinctHashes::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn few_values_are_counted_exactly() {
        assert_eq!(smallest((0..50_000).map(|value| value % 777)).count(), 777);
        assert_eq!(smallest(std::iter::empty()).count(), 0);
    }

    #[test]
    fn many_values_are_estimated_within_three_percent() {
        for count in [20_000_u64, 100_000, 1_000_000] {
            let found = smallest(0..count).count() as f64;
            let error = (found / count as f64 - 1.0).abs();
            assert!(error < 0.03, "{found} for {count}");
        }
    }

    #[test]
    fn parts_add_up_whatever_their_order() {
        let whole = smallest(0..300_000);
        let storage = Storage::default();
        let parts = smallest(200_000..300_000);
        let parts = parts.merged(&smallest(0..250_000), &storage).unwrap();
        assert_eq!(parts, whole);
        let exact = DistinctHashes::new(false, vec![5, 1, 5]);
        let more = DistinctHashes::new(false, vec![2, 1]);
        let exact = exact.merged(&more, &storage).unwrap();
        assert_eq!(**exact.hashes(), [1, 2, 5]);
        assert_eq!(exact.count(), 3);
    }
}

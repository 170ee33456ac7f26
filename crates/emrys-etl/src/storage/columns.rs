//! Arrays that are written batch by batch.

use std::sync::Arc;

use arrow::array::GenericByteArray;
use arrow::array::types::ByteArrayType;
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, NullArray,
    NullBufferBuilder, make_array,
};
use arrow::datatypes::{
    ArrowNativeType, BinaryType, DataType, LargeBinaryType, LargeUtf8Type, Utf8Type,
};

use super::{Sink, Storage};
use crate::{Error, Result};

/// Takes arrays of one plain type (see [`plain_type`](crate::lookup::plain_type)) and gives one
/// array of all their rows.
pub(crate) struct ColumnSink {
    data_type: DataType,
    rows: usize,
    nulls: NullBufferBuilder,
    values: Values,
}

enum Values {
    Nothing,
    /// Booleans are never many.
    Bits(BooleanBufferBuilder),
    Fixed {
        width: usize,
        data: Sink,
    },
    Bytes {
        /// Whether offsets have 64 bits.
        large: bool,
        end: usize,
        offsets: Sink,
        data: Sink,
    },
}

impl ColumnSink {
    /// A sink for about `rows` rows, whose values may take `bytes` bytes: texts of more than two
    /// gibibytes get wide offsets.
    pub(crate) fn new(
        data_type: &DataType,
        storage: &Storage,
        on_disk: bool,
        rows: usize,
        bytes: usize,
    ) -> Result<ColumnSink> {
        let mut data_type = data_type.clone();
        let values = match &data_type {
            DataType::Null => Values::Nothing,
            DataType::Boolean => Values::Bits(BooleanBufferBuilder::new(0)),
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => {
                if i32::try_from(bytes).is_err() {
                    data_type = match data_type {
                        DataType::Utf8 | DataType::LargeUtf8 => DataType::LargeUtf8,
                        _ => DataType::LargeBinary,
                    };
                }
                let large = matches!(data_type, DataType::LargeUtf8 | DataType::LargeBinary);
                let mut offsets = storage.sink(on_disk, (rows + 1) * if large { 8 } else { 4 })?;
                match large {
                    true => offsets.write_all(&[0i64])?,
                    false => offsets.write_all(&[0i32])?,
                }
                Values::Bytes {
                    large,
                    end: 0,
                    offsets,
                    data: storage.sink(on_disk, 0)?,
                }
            }
            other => match other.primitive_width() {
                Some(width) => Values::Fixed {
                    width,
                    data: storage.sink(on_disk, rows * width)?,
                },
                None => {
                    return Err(Error::Internal(format!("a column of {other} to be stored")));
                }
            },
        };
        Ok(ColumnSink {
            data_type,
            rows: 0,
            nulls: NullBufferBuilder::new(0),
            values,
        })
    }

    /// Makes room in memory for so many bytes of texts.
    pub(crate) fn expect_text(&mut self, bytes: usize) {
        if let Values::Bytes { data, .. } = &mut self.values {
            data.reserve(bytes);
        }
    }

    /// Adds the rows of an array of the type that the sink was made for.
    pub(crate) fn append(&mut self, array: &ArrayRef) -> Result<()> {
        self.rows += array.len();
        match array.nulls() {
            Some(nulls) => self.nulls.append_buffer(nulls),
            None => self.nulls.append_n_non_nulls(array.len()),
        }
        match &mut self.values {
            Values::Nothing => Ok(()),
            Values::Bits(bits) => {
                bits.append_buffer(array.as_boolean().values());
                Ok(())
            }
            Values::Fixed { width, data } => {
                let array = array.to_data();
                let start = array.offset() * *width;
                data.write(&array.buffers()[0].as_slice()[start..start + array.len() * *width])
            }
            Values::Bytes {
                large,
                end,
                offsets,
                data,
            } => {
                let mut add = |lengths: &mut dyn Iterator<Item = usize>,
                               bytes: &[u8]|
                 -> Result<()> {
                    data.write(bytes)?;
                    for length in lengths {
                        *end += length;
                        match large {
                            true => offsets.write_all(&[*end as i64])?,
                            false => {
                                offsets.write_all(&[i32::try_from(*end).map_err(|_| {
                                    Error::Internal("more bytes of text than were announced".into())
                                })?])?;
                            }
                        }
                    }
                    Ok(())
                };
                match array.data_type() {
                    DataType::Utf8 => add_bytes(array.as_bytes::<Utf8Type>(), &mut add),
                    DataType::LargeUtf8 => add_bytes(array.as_bytes::<LargeUtf8Type>(), &mut add),
                    DataType::Binary => add_bytes(array.as_bytes::<BinaryType>(), &mut add),
                    _ => add_bytes(array.as_bytes::<LargeBinaryType>(), &mut add),
                }
            }
        }
    }

    /// All rows as one array.
    pub(crate) fn finish(mut self) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        let buffers = match self.values {
            Values::Nothing => return Ok(Arc::new(NullArray::new(self.rows))),
            Values::Bits(mut bits) => {
                return Ok(Arc::new(BooleanArray::new(bits.finish(), nulls)));
            }
            Values::Fixed { data, .. } => vec![data.finish()?],
            Values::Bytes { offsets, data, .. } => vec![offsets.finish()?, data.finish()?],
        };
        let mut builder = ArrayData::builder(self.data_type)
            .len(self.rows)
            .nulls(nulls);
        for buffer in buffers {
            builder = builder.add_buffer(buffer);
        }
        // Checking texts byte by byte would read back from disk what valid arrays put there.
        #[expect(
            unsafe_code,
            reason = "the buffers hold the values of valid arrays of this type, with offsets that rise from zero to the end of the bytes"
        )]
        let data = unsafe { builder.build_unchecked() };
        Ok(make_array(data))
    }
}

/// Takes the lengths of values and their bytes.
type AddBytes<'a> = dyn FnMut(&mut dyn Iterator<Item = usize>, &[u8]) -> Result<()> + 'a;

/// Hands the lengths of all values and the bytes of all values on.
fn add_bytes<T: ByteArrayType>(array: &GenericByteArray<T>, add: &mut AddBytes<'_>) -> Result<()> {
    let offsets = array.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[array.len()].as_usize());
    let mut lengths = offsets
        .windows(2)
        .map(|pair| pair[1].as_usize() - pair[0].as_usize());
    add(&mut lengths, &array.value_data()[first..last])
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, LargeStringArray, StringArray};
    use arrow::compute::concat;

    use super::*;

    fn stored(parts: &[ArrayRef], on_disk: bool, bytes: usize) -> ArrayRef {
        let storage = Storage::default();
        let data_type = parts[0].data_type();
        let mut sink = ColumnSink::new(data_type, &storage, on_disk, 1, bytes).unwrap();
        parts.iter().for_each(|part| sink.append(part).unwrap());
        sink.finish().unwrap()
    }

    fn check(parts: &[ArrayRef]) {
        let parts: Vec<ArrayRef> = parts
            .iter()
            .cloned()
            .chain(parts.iter().map(|part| part.slice(1, part.len() - 1)))
            .chain([parts[0].slice(0, 0)])
            .collect();
        let all: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
        let expected = concat(&all).unwrap();
        for on_disk in [false, true] {
            assert_eq!(&stored(&parts, on_disk, 0), &expected);
        }
    }

    #[test]
    fn arrays_come_back_from_memory_and_from_disk() {
        check(&[
            Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)])),
            Arc::new(Int64Array::from(vec![7, 8])),
        ]);
        check(&[
            Arc::new(StringArray::from(vec![Some("one"), Some(""), None])),
            Arc::new(StringArray::from(vec![
                "four",
                "a longer text than the others",
            ])),
        ]);
        check(&[Arc::new(BooleanArray::from(vec![Some(true), None]))]);
        check(&[Arc::new(Float64Array::from(vec![0.5, f64::MAX]))]);
        check(&[Arc::new(NullArray::new(3))]);
    }

    #[test]
    fn long_texts_have_wide_offsets() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "bc"]));
        let expected: ArrayRef = Arc::new(LargeStringArray::from(vec!["a", "bc"]));
        assert_eq!(&stored(&[texts], true, usize::MAX), &expected);
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        let texts: ArrayRef = Arc::new(StringArray::new_null(0));
        assert_eq!(stored(&[texts], true, 0).len(), 0);
    }
}

//! The fields of a column, one after the other.

use arrow::array::{BooleanBufferBuilder, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};

/// A batch ends when one of its columns has so many bytes, long before offsets overflow.
pub(crate) const COLUMN_BYTES: usize = 32 << 20;

/// The texts of a column while a batch grows.
pub(crate) struct TextColumn {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: BooleanBufferBuilder,
}

impl TextColumn {
    pub(crate) fn new(rows: usize) -> TextColumn {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        TextColumn {
            bytes: Vec::new(),
            ends,
            valid: BooleanBufferBuilder::new(rows),
        }
    }

    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end(true);
    }

    pub(crate) fn push_null(&mut self) {
        self.end(false);
    }

    fn end(&mut self, valid: bool) {
        let end = i32::try_from(self.bytes.len()).expect("a batch ends long before offsets do");
        self.ends.push(end);
        self.valid.append(valid);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The array of the texts; if one is not UTF-8, the error is its place and itself.
    pub(crate) fn finish(mut self) -> Result<StringArray, (usize, Vec<u8>)> {
        let nulls = NullBuffer::new(self.valid.finish());
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let sound = std::str::from_utf8(&self.bytes).is_ok_and(|text| {
            let mut ends = self.ends.iter();
            ends.all(|end| text.is_char_boundary(place(*end)))
        });
        if !sound {
            let valid = |ends: &[i32]| {
                std::str::from_utf8(&self.bytes[place(ends[0])..place(ends[1])]).is_ok()
            };
            let first = self.ends.windows(2).position(|ends| !valid(ends));
            let row = first.unwrap_or_default();
            let bytes = place(self.ends[row])..place(self.ends[row + 1]);
            return Err((row, self.bytes[bytes].to_vec()));
        }
        let offsets = OffsetBuffer::new(self.ends.into());
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
            .map_err(|_| (0, Vec::new()))
    }
}

fn place(end: i32) -> usize {
    usize::try_from(end).expect("offsets are not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_nulls_come_out_in_order() {
        let mut column = TextColumn::new(2);
        column.push("ä".as_bytes());
        column.push_null();
        column.push(b"");
        let texts = column.finish().unwrap();
        assert_eq!(
            texts.iter().collect::<Vec<_>>(),
            [Some("ä"), None, Some("")]
        );
    }

    #[test]
    fn the_text_that_is_not_utf_8_is_placed() {
        let mut column = TextColumn::new(3);
        for text in [&b"a"[..], b"b", b"\xe4", b"c"] {
            column.push(text);
        }
        assert_eq!(column.finish(), Err((2, vec![0xe4])));
        let mut split = TextColumn::new(2);
        for text in [&b"a"[..], b"\xc3", b"\xa4"] {
            split.push(text);
        }
        assert_eq!(split.finish(), Err((1, vec![0xc3])));
    }
}

//! See [`ListSlice`].

mod function;

use std::ops::Range;

use emrys_schema::{ColumnSchema, DType, Dim, Schema, Shape, Tag};
use serde::{Deserialize, Serialize};

use super::columns::require_list;
use super::fill_missing::FillValue;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Keeps a part of each list, and fills short lists up if asked.
///
/// | start and end | what is kept |
/// |---|---|
/// | `start = 3` | the first three elements |
/// | `start = -3` | the last three elements |
/// | `start = 1`, `end = 3` | the second and third, as Python's `x[1:3]` |
/// | `start = -3`, `end = -1` | as Python's `x[-3:-1]` |
///
/// # Output
/// The same columns. Padded lists all have the greatest length that the slice allows, and the type
/// of their elements stays.
/// # Schema
/// Adds `list`. The outer list dimension becomes `0..=longest`, closer where the input's lengths
/// are known, and fixed for padded lists.
/// # Nulls, NaN and empty input
/// Null lists stay null; where lists are padded, they are filled like empty ones. Missing elements
/// are kept. No rows in, no rows out.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Only those; of lists of lists, the outer lists are cut, and filled up with empty lists (with
/// lists of the padding value where their length is fixed).
/// # Errors
/// At build: a column without lists; a slice that is always empty; padding where the slice has no
/// greatest length; a padding value that is none of the element's type. While running: padding that
/// gives a batch more than 2^31 - 1 elements.
/// # Compared with Merlin
/// On the CPU Merlin does not pad lists that come from parquet files. It can only pad at the end.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::{ListSlice, PadSide}};
/// use emrys_schema::{ColumnSchema, DType, Schema, Shape};
///
/// let items = ColumnSchema::new("items", DType::Int64).with_shape(Shape::ragged(0, None));
/// let last = ListSlice::last(20).with_padding(0).with_pad_side(PadSide::Left);
/// let output = Workflow::new(cols(["items"]) >> last).output_schema(&Schema::new([items])?)?;
/// assert_eq!(output.get("items").unwrap().shape().to_string(), "[20]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSlice {
    start: i64,
    #[serde(default)]
    end: Option<i64>,
    #[serde(default)]
    pad: bool,
    #[serde(default = "zero")]
    pad_value: FillValue,
    #[serde(default)]
    pad_side: PadSide,
}

fn zero() -> FillValue {
    FillValue::from(0)
}

/// Where short lists are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadSide {
    /// At the start, so that the last elements of all lists stand together.
    Left,
    /// At the end.
    #[default]
    Right,
}

impl ListSlice {
    /// The first elements of each list.
    pub fn first(elements: u32) -> ListSlice {
        ListSlice::of(elements.into(), None)
    }

    /// The last elements of each list.
    pub fn last(elements: u32) -> ListSlice {
        ListSlice::of(-i64::from(elements), None)
    }

    /// The elements from one position up to another, which is left out; negative positions count
    /// from the end.
    pub fn between(start: i64, end: i64) -> ListSlice {
        ListSlice::of(start, Some(end))
    }

    fn of(start: i64, end: Option<i64>) -> ListSlice {
        ListSlice {
            start,
            end,
            pad: false,
            pad_value: zero(),
            pad_side: PadSide::Right,
        }
    }

    /// Fills short lists up with a number, a text or a boolean; off by default.
    #[must_use]
    pub fn with_padding(mut self, value: impl Into<FillValue>) -> Self {
        self.pad = true;
        self.pad_value = value.into();
        self
    }

    /// Where short lists are filled up; at the end by default.
    #[must_use]
    pub fn with_pad_side(mut self, side: PadSide) -> Self {
        self.pad_side = side;
        self
    }

    /// The positions that are kept of a list.
    fn kept(&self, length: usize) -> Range<usize> {
        let position = |position: i64| match usize::try_from(position) {
            Ok(from_start) => from_start.min(length),
            Err(_) => {
                let from_end = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
                length.saturating_sub(from_end)
            }
        };
        let (start, end) = match self.end {
            None if self.start > 0 => (0, position(self.start)),
            None => (position(self.start), length),
            Some(end) => (position(self.start), position(end)),
        };
        start..end.max(start)
    }

    /// The greatest length that the slice allows, if there is one.
    fn longest(&self) -> Option<u64> {
        let distance = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        match (self.start, self.end) {
            (0, None) => None,
            (start, None) => Some(start.unsigned_abs()),
            (start, Some(end)) if (start < 0) == (end < 0) => Some(distance(start, end)),
            (start, Some(end)) if start < 0 => Some(start.unsigned_abs().min(end.unsigned_abs())),
            _ => None,
        }
    }

    /// The lengths of slices of lists of some lengths.
    fn dim(&self, lists: Dim) -> Dim {
        if self.pad {
            return self.longest().map_or(Dim::ANY, Dim::fixed);
        }
        let cut = |length: u64| {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            self.kept(length).len() as u64
        };
        // From the end to a place from the start, longer lists may have shorter slices.
        let grows = self.start >= 0 || self.end.is_none_or(|end| end < 0);
        let max = match lists.max {
            Some(max) if grows => Some(cut(max)),
            Some(max) => self.longest().map(|longest| longest.min(max)).or(Some(max)),
            None => self.longest(),
        };
        let min = match (grows, lists.max) {
            (true, _) => cut(lists.min),
            (false, Some(max)) => cut(lists.min).min(cut(max)),
            (false, None) => 0,
        };
        match max {
            // Arrow's lists of no elements are of no use.
            Some(0) => Dim::ANY,
            max => Dim { min, max },
        }
    }

    fn invalid(option: &str, value: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::InvalidOption {
            operator: "list_slice".to_owned(),
            option: option.to_owned(),
            value: value.into(),
            expected: expected.into(),
        }
    }

    /// Checks that the padding is a value of the elements' type.
    fn check_padding(&self, column: &ColumnSchema) -> Result<()> {
        let wrong = || {
            ListSlice::invalid(
                "pad_value",
                self.pad_value.to_string(),
                format!(
                    "the elements of `{}` are {}; give a value of that type",
                    column.name(),
                    column.dtype()
                ),
            )
        };
        if !self.pad_value.fits(column.dtype()) {
            return Err(wrong());
        }
        if column.dtype() == DType::Unknown {
            return Ok(());
        }
        let element = column.clone().with_shape(Shape::SCALAR).to_arrow()?;
        let value = self.pad_value.scalar().cast_to(element.data_type());
        value.map(|_| ()).map_err(|_| wrong())
    }
}

impl Operator for ListSlice {
    type State = ();

    fn name() -> &'static str {
        "ListSlice"
    }

    fn description() -> &'static str {
        "Keeps a part of each list, and fills short lists up if asked."
    }

    fn check(&self) -> Result<()> {
        if self.longest() == Some(0) {
            return Err(ListSlice::invalid(
                "start",
                self.start.to_string(),
                "no element lies between it and `end`; let `end` come after it",
            ));
        }
        if self.pad
            && self
                .longest()
                .is_none_or(|longest| i32::try_from(longest).is_err())
        {
            return Err(ListSlice::invalid(
                "pad",
                "true",
                "the slice may be of any length; give `start`, or `end` on the same side",
            ));
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let columns = input.columns().map(|column| {
            require_list(input, column)?;
            if self.pad {
                self.check_padding(column)?;
            }
            let mut dims = column.shape().dims().to_vec();
            // Without types there is no shape yet either.
            match dims.first_mut() {
                Some(outer) => *outer = self.dim(*outer),
                None => dims.push(self.dim(Dim::ANY)),
            }
            Ok(column
                .clone()
                .with_shape(Shape::new(dims))
                .with_tags([Tag::List]))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let columns = input.columns().map(|column| {
            let sliced = function::slice(self, input.expr(column.name())?);
            Ok((column.name().to_owned(), sliced))
        });
        Ok(Lowered::Columns(columns.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        let input = serde_json::json!({"x": [[1, 2, 3, 4], [5], [], null]});
        vec![
            Example {
                title: "The first two.",
                config: serde_json::json!({"start": 2}),
                input: input.clone(),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [[1, 2], [5], [], null]}),
            },
            Example {
                title: "The last two but one.",
                config: serde_json::json!({"start": -3, "end": -1}),
                input: input.clone(),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"x": [[2, 3], [], [], null]}),
            },
            Example {
                title: "The last three, filled up at the start.",
                config: serde_json::json!({
                    "start": -3, "pad": true, "pad_value": 9, "pad_side": "left",
                }),
                input,
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "x": [[2, 3, 4], [9, 9, 5], [9, 9, 9], [9, 9, 9]],
                }),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(start: i64, end: Option<i64>) -> ListSlice {
        ListSlice::of(start, end)
    }

    #[test]
    fn slices_are_those_of_python() {
        // The length of the list, and what Python's slice keeps of it.
        for (start, end, length, kept) in [
            (2, None, 5, 0..2),
            (0, Some(2), 5, 0..2),
            (3, Some(5), 4, 3..4),
            (3, Some(5), 3, 3..3),
            (100, Some(20_000), 5, 5..5),
            (-4, None, 5, 1..5),
            (-4, None, 3, 0..3),
            (-3, Some(-1), 5, 2..4),
            (-3, Some(-1), 2, 0..1),
            (1, Some(-1), 4, 1..3),
            (-4, Some(2), 5, 1..2),
            (0, None, 3, 0..3),
        ] {
            assert_eq!(
                slice(start, end).kept(length),
                kept,
                "[{start}:{end:?}] of {length}"
            );
        }
    }

    #[test]
    fn bounds_hold_for_all_lengths() {
        for start in -4..5 {
            for end in [None, Some(-3), Some(-1), Some(1), Some(3), Some(6)] {
                let slice = slice(start, end);
                if slice.longest() == Some(0) {
                    continue;
                }
                for min in 0..6 {
                    for max in [None, Some(min), Some(min + 2), Some(min + 9)] {
                        let dim = slice.dim(Dim { min, max });
                        for length in min..=max.unwrap_or(min + 20) {
                            let found = slice.kept(length as usize).len() as u64;
                            assert!(
                                dim.min <= found && dim.max.is_none_or(|max| found <= max),
                                "[{start}:{end:?}] of {length} has {found}, promised {dim:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_padding_must_fit_the_elements() {
        let column = |dtype| ColumnSchema::new("x", dtype).with_shape(Shape::ragged(0, None));
        let check = |slice: ListSlice, dtype| {
            slice
                .check_padding(&column(dtype))
                .map_err(|error| error.to_string())
        };
        assert!(check(slice(2, None).with_padding(0.0), DType::Int32).is_ok());
        assert_eq!(
            check(slice(2, None).with_padding(300), DType::Int8).unwrap_err(),
            "list_slice: `pad_value` is 300, but the elements of `x` are int8; give a value of that type"
        );
        assert_eq!(
            check(slice(2, None).with_padding(0), DType::String).unwrap_err(),
            "list_slice: `pad_value` is 0, but the elements of `x` are string; give a value of that type"
        );
    }

    #[test]
    fn padding_needs_a_length() {
        let error = slice(1, Some(-1)).with_padding(0).check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "list_slice: `pad` is true, but the slice may be of any length; give `start`, or `end` \
             on the same side"
        );
        let error = slice(3, Some(3)).check().unwrap_err().to_string();
        assert!(error.contains("no element lies between"), "{error}");
    }
}

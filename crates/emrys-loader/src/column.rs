//! The values of one column of a batch.

use std::sync::Arc;

use emrys_schema::DType;

use crate::{Error, Result};

/// The values of a column, of one of the four types that models compute with.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Integers of 32 bits.
    I32(Vec<i32>),
    /// Integers of 64 bits.
    I64(Vec<i64>),
}

/// Evaluates an expression for the vector inside, whatever its type.
macro_rules! with_values {
    ($values:expr, $vec:ident => $result:expr) => {
        match $values {
            Values::F32($vec) => $result,
            Values::F64($vec) => $result,
            Values::I32($vec) => $result,
            Values::I64($vec) => $result,
        }
    };
}

macro_rules! values_from {
    ($($native:ty => $variant:ident,)+) => {
        $(impl From<Vec<$native>> for Values {
            fn from(values: Vec<$native>) -> Values {
                Values::$variant(values)
            }
        }

        impl From<Vec<$native>> for Column {
            fn from(values: Vec<$native>) -> Column {
                Column::scalar(values.into())
            }
        })+
    };
}

values_from! {
    f32 => F32,
    f64 => F64,
    i32 => I32,
    i64 => I64,
}

impl Values {
    /// How many values there are.
    pub fn len(&self) -> usize {
        with_values!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn dtype(&self) -> DType {
        match self {
            Values::F32(_) => DType::Float32,
            Values::F64(_) => DType::Float64,
            Values::I32(_) => DType::Int32,
            Values::I64(_) => DType::Int64,
        }
    }

    /// Puts `other` behind the values; both have the same type.
    fn append(&mut self, other: Values) {
        match (self, other) {
            (Values::F32(values), Values::F32(other)) => values.extend(other),
            (Values::F64(values), Values::F64(other)) => values.extend(other),
            (Values::I32(values), Values::I32(other)) => values.extend(other),
            (Values::I64(values), Values::I64(other)) => values.extend(other),
            _ => unreachable!(
                "the files of a data set have the same types; this is checked on opening"
            ),
        }
    }
}

/// How the values of a column belong to rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One value per row.
    Scalar,
    /// That many values per row, one row after the other.
    Fixed(usize),
    /// Any number of values per row: those of row `i` are at `offsets[i]..offsets[i + 1]`.
    ///
    /// There is one offset more than there are rows, and the first is 0.
    Ragged(Arc<[i32]>),
}

/// One column of a batch: values and how they belong to rows.
///
/// ```
/// use emrys_loader::Column;
///
/// let ids = Column::from(vec![7, 8, 9]);
/// assert_eq!(ids.num_rows(), 3);
///
/// let genres = Column::lists([vec![1, 2], vec![], vec![3]]);
/// assert_eq!(genres.offsets(), Some(&[0, 2, 2, 3][..]));
///
/// let vectors = Column::fixed(vec![0.1_f32, 0.2, 0.3, 0.4], 2)?;
/// assert_eq!((vectors.num_rows(), vectors.width()), (2, Some(2)));
/// # Ok::<(), emrys_loader::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    values: Values,
    layout: Layout,
}

impl Column {
    /// Rows of `width` values each, one row after the other.
    ///
    /// # Errors
    /// [`Error::Width`] if the values do not divide into such rows.
    pub fn fixed(values: impl Into<Values>, width: usize) -> Result<Column> {
        let values = values.into();
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(Error::Width {
                values: values.len(),
                width,
            });
        }
        Ok(Column {
            values,
            layout: Layout::Fixed(width),
        })
    }

    /// Rows of any number of values: those of row `i` are at `offsets[i]..offsets[i + 1]`.
    ///
    /// # Errors
    /// [`Error::Offsets`] if the offsets do not start at 0, fall, or do not end at the number of values.
    pub fn ragged(values: impl Into<Values>, offsets: impl Into<Arc<[i32]>>) -> Result<Column> {
        let (values, offsets) = (values.into(), offsets.into());
        let whole = offsets.first() == Some(&0)
            && offsets.is_sorted()
            && offsets.last().and_then(|last| usize::try_from(*last).ok()) == Some(values.len());
        if !whole {
            return Err(Error::Offsets {
                values: values.len(),
            });
        }
        Ok(Column {
            values,
            layout: Layout::Ragged(offsets),
        })
    }

    /// A ragged column from one list per row.
    ///
    /// # Panics
    /// If there are more than 2^31 values.
    pub fn lists<T>(rows: impl IntoIterator<Item = impl IntoIterator<Item = T>>) -> Column
    where
        Vec<T>: Into<Values>,
    {
        let mut values = Vec::new();
        let mut offsets = vec![0];
        for row in rows {
            values.extend(row);
            offsets.push(i32::try_from(values.len()).expect("fewer than 2^31 values"));
        }
        Column {
            values: values.into(),
            layout: Layout::Ragged(offsets.into()),
        }
    }

    /// One value per row.
    pub(crate) fn scalar(values: Values) -> Column {
        Column {
            values,
            layout: Layout::Scalar,
        }
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        match &self.layout {
            Layout::Scalar => self.values.len(),
            Layout::Fixed(width) => self.values.len() / width,
            Layout::Ragged(offsets) => offsets.len() - 1,
        }
    }

    /// The values of all rows.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The values of all rows, without a copy.
    pub fn into_values(self) -> Values {
        self.values
    }

    /// How the values belong to rows.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The offsets of a ragged column.
    pub fn offsets(&self) -> Option<&[i32]> {
        match &self.layout {
            Layout::Ragged(offsets) => Some(offsets),
            Layout::Scalar | Layout::Fixed(_) => None,
        }
    }

    /// The length of each row's list, for a column of fixed lists.
    pub fn width(&self) -> Option<usize> {
        match self.layout {
            Layout::Fixed(width) => Some(width),
            Layout::Scalar | Layout::Ragged(_) => None,
        }
    }

    /// Whether the values are integers.
    pub fn is_integer(&self) -> bool {
        matches!(self.values, Values::I32(_) | Values::I64(_))
    }

    /// The values in single precision, as nearly as it can hold them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "rounding is what is asked for"
    )]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F32(values) => values.clone(),
            Values::F64(values) => values.iter().map(|value| *value as f32).collect(),
            Values::I32(values) => values.iter().map(|value| *value as f32).collect(),
            Values::I64(values) => values.iter().map(|value| *value as f32).collect(),
        }
    }

    /// The values as integers of 64 bits; `None` for a float column.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match &self.values {
            Values::I32(values) => Some(values.iter().copied().map(i64::from).collect()),
            Values::I64(values) => Some(values.clone()),
            Values::F32(_) | Values::F64(_) => None,
        }
    }

    /// The given rows, in the given order.
    pub(crate) fn take(&self, rows: &[u32]) -> Column {
        let (values, layout) = match &self.layout {
            Layout::Scalar => (
                with_values!(&self.values, v => take_scalars(v, rows).into()),
                Layout::Scalar,
            ),
            Layout::Fixed(width) => {
                let values = with_values!(&self.values, v => take_fixed(v, *width, rows).into());
                (values, Layout::Fixed(*width))
            }
            Layout::Ragged(offsets) => {
                let taken = take_offsets(offsets, rows);
                let values =
                    with_values!(&self.values, v => take_lists(v, offsets, rows, &taken).into());
                (values, Layout::Ragged(taken.into()))
            }
        };
        Column { values, layout }
    }

    /// The rows of `others` behind those of this column; all have the same type and layout.
    pub(crate) fn followed_by(self, others: Vec<Column>) -> Result<Column> {
        if others.is_empty() {
            return Ok(self);
        }
        let Column {
            mut values,
            mut layout,
        } = self;
        let more: usize = others.iter().map(|other| other.values.len()).sum();
        with_values!(&mut values, values => values.reserve_exact(more));
        if let Layout::Ragged(offsets) = &mut layout {
            let total = values.len() + more;
            i32::try_from(total).map_err(|_| Error::TooManyValues { values: total })?;
            let mut all = offsets.to_vec();
            for other in &others {
                let start = *all.last().unwrap_or(&0);
                all.extend(
                    other
                        .offsets()
                        .into_iter()
                        .flatten()
                        .skip(1)
                        .map(|offset| start + offset),
                );
            }
            *offsets = all.into();
        }
        others
            .into_iter()
            .for_each(|other| values.append(other.values));
        Ok(Column { values, layout })
    }
}

fn take_scalars<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}

fn take_fixed<T: Copy>(values: &[T], width: usize, rows: &[u32]) -> Vec<T> {
    let mut taken = Vec::with_capacity(rows.len() * width);
    for row in rows {
        taken.extend_from_slice(&values[*row as usize * width..][..width]);
    }
    taken
}

/// The offsets of the lists of `rows`; they cannot overflow where those of all rows did not, since
/// no row is taken twice.
fn take_offsets(offsets: &[i32], rows: &[u32]) -> Vec<i32> {
    let lengths = rows
        .iter()
        .map(|row| offsets[*row as usize + 1] - offsets[*row as usize]);
    let mut end = 0;
    std::iter::once(0)
        .chain(lengths.map(|length| {
            end += length;
            end
        }))
        .collect()
}

fn take_lists<T: Copy>(
    values: &[T],
    offsets: &[i32],
    rows: &[u32],
    taken_offsets: &[i32],
) -> Vec<T> {
    let place = |offset: i32| offset.unsigned_abs() as usize;
    let mut taken = Vec::with_capacity(taken_offsets.last().map_or(0, |end| place(*end)));
    for row in rows {
        let row = *row as usize;
        taken.extend_from_slice(&values[place(offsets[row])..place(offsets[row + 1])]);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_in_the_order_asked_for() {
        let rows = [2, 0];
        assert_eq!(
            Column::from(vec![1_i64, 2, 3]).take(&rows),
            Column::from(vec![3_i64, 1])
        );
        assert_eq!(
            Column::fixed(vec![1.0_f32, 1.5, 2.0, 2.5, 3.0, 3.5], 2)
                .unwrap()
                .take(&rows),
            Column::fixed(vec![3.0_f32, 3.5, 1.0, 1.5], 2).unwrap()
        );
        assert_eq!(
            Column::lists([vec![1, 2], vec![], vec![3]]).take(&rows),
            Column::lists([vec![3], vec![1, 2]])
        );
    }

    #[test]
    fn parts_are_put_one_behind_the_other() {
        let first = Column::lists([vec![1], vec![]]);
        let others = vec![Column::lists([vec![2, 3]]), Column::lists([vec![4]])];
        assert_eq!(
            first.followed_by(others).unwrap(),
            Column::lists([vec![1], vec![], vec![2, 3], vec![4]])
        );
        let numbers = Column::from(vec![1])
            .followed_by(vec![Column::from(vec![2, 3])])
            .unwrap();
        assert_eq!(numbers, Column::from(vec![1, 2, 3]));
        assert_eq!(numbers.clone().followed_by(vec![]).unwrap(), numbers);
    }

    #[test]
    fn values_that_do_not_fill_rows_are_refused() {
        let error = Column::fixed(vec![1.0_f32; 5], 2).unwrap_err();
        insta::assert_snapshot!(error, @"5 values do not divide into rows of 2");
        for offsets in [vec![], vec![0, 1], vec![1, 2], vec![0, 3, 2]] {
            let error = Column::ragged(vec![1, 2], offsets).unwrap_err();
            assert!(matches!(error, Error::Offsets { values: 2 }));
        }
        let error = Error::Offsets { values: 2 };
        insta::assert_snapshot!(error, @"offsets must start at 0, never fall, and end at the number of values (2)");
    }
}

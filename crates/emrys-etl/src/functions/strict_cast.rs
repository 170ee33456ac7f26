//! A cast that stops at the first value that the new type cannot hold.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;

use crate::Error;
use crate::functions::lossless_cast::nan_to_null;
use crate::lookup::plain_type;

/// Casts a column that holds no lists.
///
/// A value must stay what it is: a fraction does not become an integer, nor a time a date. Floats
/// are rounded to narrower floats, as long as they stay finite; texts must be readable as the new
/// type; NaN becomes a null integer. `advice` says what to do about a value that does not fit.
pub(crate) fn strict_cast(
    operator: &str,
    column: &str,
    input: Expr,
    target: &DataType,
    advice: &'static str,
) -> Expr {
    let function = StrictCast {
        name: format!("strict_cast_{column}_{target}"),
        operator: operator.to_owned(),
        column: column.to_owned(),
        target: target.clone(),
        advice,
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![input])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StrictCast {
    /// Tells functions apart that are printed, so it has all that they differ in.
    name: String,
    operator: String,
    column: String,
    target: DataType,
    advice: &'static str,
    signature: Signature,
}

impl StrictCast {
    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let mut array = cast(array, &plain_type(array.data_type()))?;
        if let DataType::Timestamp(unit, Some(_)) = array.data_type() {
            // The zone is only how times are shown; a cast that drops it must not move them.
            let naive = DataType::Timestamp(*unit, None);
            array = cast(&cast(&array, &DataType::Int64)?, &naive)?;
        }
        if array.data_type() == &self.target {
            return Ok(array);
        }
        if array.data_type().is_floating() && self.target.is_integer() {
            array = nan_to_null(&array)?;
        }
        let converted = cast(&array, &self.target)?;
        let Some(row) = first_lost(&array, &converted)? else {
            return Ok(converted);
        };
        let text = ArrayFormatter::try_new(&array, &FormatOptions::default())?;
        Err(Error::Data {
            operator: self.operator.clone(),
            problem: format!(
                "column `{}` holds {}, which is no {}; {}",
                self.column,
                text.value(row),
                type_name(&self.target),
                self.advice
            ),
        }
        .into())
    }
}

/// The name of a type as schemas have it.
fn type_name(data_type: &DataType) -> String {
    let field = arrow::datatypes::Field::new("", data_type.clone(), true);
    match emrys_schema::ColumnSchema::from_arrow(&field) {
        Ok(column) => column.dtype().to_string(),
        Err(_) => data_type.to_string(),
    }
}

/// The first row whose value is not what it was.
fn first_lost(before: &ArrayRef, after: &ArrayRef) -> EngineResult<Option<usize>> {
    let (from, to) = (before.data_type(), after.data_type());
    let lost: BooleanArray = if from.is_floating() && to.is_floating() {
        let infinite = |array: &ArrayRef| -> EngineResult<BooleanArray> {
            let floats = cast(array, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            Ok(BooleanArray::from_unary(floats, f64::is_infinite))
        };
        distinct(&infinite(before)?, &infinite(after)?)?
    } else if is_text(from) || is_text(to) {
        // Texts of the same value differ (`1` and `01`), so only what cannot be read is lost.
        let nulls = |array: &ArrayRef| arrow::compute::is_null(array);
        distinct(&nulls(before)?, &nulls(after)?)?
    } else {
        let back = cast(after, from)?;
        distinct(before, &back)?
    };
    Ok((0..lost.len()).find(|row| lost.value(*row)))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary
    )
}

impl ScalarUDFImpl for StrictCast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

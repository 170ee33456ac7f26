//! From values to ids.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;
use serde::{Deserialize, Serialize};

use super::decode::Meaning;
use super::legacy::LegacyIds;
use super::state::{data_error, type_error};
use super::vocabulary::{FIRST_UNSEEN_ID, Vocabulary};
use crate::Result;
use crate::functions::{filled, put_at_nulls};
use crate::hash::hash_tuples;
use crate::lookup::{ABSENT, LookupError};
use crate::operator::InputSchema;

/// The type of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdType {
    /// 32 bits, enough for 2 billion ids.
    Int32,
    /// 64 bits.
    #[default]
    Int64,
}

impl IdType {
    /// The greatest id.
    pub(super) fn max_id(self) -> u64 {
        match self {
            IdType::Int32 => i32::MAX as u64,
            // Tables number values with 32 bits.
            IdType::Int64 => u64::from(u32::MAX),
        }
    }

    /// Ids, the greatest of which was compared with the type when the vocabulary was fitted.
    pub(super) fn array(self, ids: &[u32]) -> ArrayRef {
        match self {
            IdType::Int32 => {
                let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
                Arc::new(Int32Array::from(ids))
            }
            IdType::Int64 => {
                let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
                Arc::new(Int64Array::from(ids))
            }
        }
    }

    fn arrow_type(self) -> DataType {
        match self {
            IdType::Int32 => DataType::Int32,
            IdType::Int64 => DataType::Int64,
        }
    }
}

impl Vocabulary {
    /// The ids of the rows of a column (for tuples: of several columns), which are not lists.
    ///
    /// No id is null. A value that is not in the vocabulary has the id `2 + hash % num_buckets`,
    /// which depends on the value alone (for tuples: on the exclusive or of the members' hashes).
    /// Ids of known values are raised by `shift`.
    pub(super) fn encode(&self, columns: &[ArrayRef], shift: u32) -> Result<Vec<u32>, LookupError> {
        let mut ids = self.index.lookup(columns)?;
        self.bucket_unseen(columns, &mut ids)?;
        let first_id = self.first_id();
        if shift > 0 {
            for id in &mut ids {
                *id += if *id >= first_id { shift } else { 0 };
            }
        }
        Ok(ids)
    }

    fn bucket_unseen(&self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<(), LookupError> {
        if self.num_buckets() == 1 {
            for id in ids {
                *id = if *id == ABSENT { FIRST_UNSEEN_ID } else { *id };
            }
            return Ok(());
        }
        let unseen: UInt32Array = (0..ids.len() as u32)
            .filter(|row| ids[*row as usize] == ABSENT)
            .collect();
        if unseen.is_empty() {
            return Ok(());
        }
        let values: Vec<ArrayRef> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| self.index.align(at, &take(column, &unseen, None)?))
            .collect::<Result<_, _>>()?;
        for (row, hash) in unseen.values().iter().zip(hash_tuples(&values)?) {
            // The remainder is less than the number of buckets.
            let bucket = (hash % u64::from(self.num_buckets())) as u32;
            ids[*row as usize] = FIRST_UNSEEN_ID + bucket;
        }
        Ok(())
    }
}

/// The function that encodes columns of the given types, none of which is a list.
///
/// # Errors
/// [`Error::UnsupportedType`](crate::Error::UnsupportedType) if the values cannot be looked up.
pub(super) fn function(
    input: &InputSchema,
    vocabulary: &Arc<Vocabulary>,
    columns: &[String],
    types: &[&DataType],
    id_type: IdType,
    rule: IdRule,
) -> Result<ScalarUDF> {
    vocabulary.check_types(types).map_err(|(position, error)| {
        type_error(input, &columns[position], types[position], &error)
    })?;
    Ok(ScalarUDF::new_from_impl(Encode {
        operator: input.operator().to_owned(),
        vocabulary: Arc::clone(vocabulary),
        id_type,
        rule,
        nulls_as: None,
        signature: Signature::any(columns.len(), Volatility::Immutable),
    }))
}

/// How the ids of a vocabulary are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IdRule {
    /// As [`Vocabulary`] says, with the ids of known values raised by a number.
    Shifted(u32),
    /// As NVTabular did up to 23.05.
    Legacy(LegacyIds),
}

impl IdRule {
    /// What an id stands for; `None` if it is no id.
    pub(super) fn meaning(self, vocabulary: &Vocabulary, id: u64) -> Option<Meaning> {
        match self {
            IdRule::Legacy(legacy) => legacy.meaning(vocabulary, id),
            IdRule::Shifted(_) if id == 0 => Some(Meaning::Padding),
            IdRule::Shifted(_) if id < u64::from(FIRST_UNSEEN_ID) => Some(Meaning::Null),
            IdRule::Shifted(_) if id < u64::from(vocabulary.first_id()) => Some(Meaning::Unseen),
            IdRule::Shifted(shift) => {
                let position = id.checked_sub(u64::from(vocabulary.first_id()) + u64::from(shift));
                let position = usize::try_from(position?).ok()?;
                (position < vocabulary.len()).then_some(Meaning::Value(position))
            }
        }
    }

    /// The id of the first value, unless all values are hashed.
    pub(super) fn first_value(self, vocabulary: &Vocabulary) -> Option<u64> {
        match self {
            IdRule::Shifted(shift) => Some(u64::from(vocabulary.first_id()) + u64::from(shift)),
            IdRule::Legacy(legacy) => legacy.first_value(),
        }
    }
}

/// The ids of one column or tuple of columns.
#[derive(Debug)]
struct Encode {
    operator: String,
    vocabulary: Arc<Vocabulary>,
    id_type: IdType,
    rule: IdRule,
    /// The id of nulls, where they are filled with a value first.
    nulls_as: Option<u32>,
    signature: Signature,
}

impl Encode {
    fn ids(&self, columns: &[ArrayRef]) -> EngineResult<Vec<u32>> {
        let ids = match self.rule {
            IdRule::Shifted(shift) => self.vocabulary.encode(columns, shift),
            IdRule::Legacy(legacy) => legacy.encode(&self.vocabulary, columns),
        };
        Ok(ids.map_err(|error| data_error(&self.operator, self.vocabulary.name(), error))?)
    }

    /// The ids of a column in which nulls stand for a value.
    fn with_nulls_as(&self, value: ArrayRef) -> EngineResult<Encode> {
        Ok(Encode {
            operator: self.operator.clone(),
            vocabulary: Arc::clone(&self.vocabulary),
            id_type: self.id_type,
            rule: self.rule,
            nulls_as: self.ids(&[value])?.first().copied(),
            signature: self.signature.clone(),
        })
    }
}

impl ScalarUDFImpl for Encode {
    fn name(&self) -> &'static str {
        "categorify"
    }

    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        // Expressions of one name in a plan must be the same, so it tells the vocabulary.
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let (vocabulary, id_type) = (self.vocabulary.name(), self.id_type.arrow_type());
        Ok(format!(
            "categorify({}, {id_type} by {vocabulary}, {:?}, nulls {:?})",
            args.join(", "),
            self.rule,
            self.nulls_as
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.id_type.arrow_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let mut ids = self.ids(&columns)?;
        if let (Some(id), [values]) = (self.nulls_as, &columns[..])
            && let Some(nulls) = values.logical_nulls()
        {
            put_at_nulls(&mut ids, &nulls, id);
        }
        Ok(ColumnarValue::Array(self.id_type.array(&ids)))
    }

    /// Nulls that were to be filled with a value get its id, so that the column is not copied.
    fn simplify(
        &self,
        args: Vec<Expr>,
        info: &SimplifyContext,
    ) -> EngineResult<ExprSimplifyResult> {
        let ([arg], None) = (&args[..], self.nulls_as) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let Some((operand, value)) = filled(arg, info.schema()) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        // A value that cannot be looked up is an error only where there are nulls.
        let Ok(encode) = self.with_nulls_as(value) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let encode = ScalarUDF::new_from_impl(encode);
        Ok(ExprSimplifyResult::Simplified(encode.call(vec![operand])))
    }
}

impl PartialEq for Encode {
    fn eq(&self, other: &Encode) -> bool {
        Arc::ptr_eq(&self.vocabulary, &other.vocabulary)
            && (self.id_type, self.rule) == (other.id_type, other.rule)
            && self.nulls_as == other.nulls_as
    }
}

impl Eq for Encode {}

impl Hash for Encode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let layout = (self.id_type, self.rule, self.nulls_as);
        (self.vocabulary.name(), layout).hash(state);
    }
}

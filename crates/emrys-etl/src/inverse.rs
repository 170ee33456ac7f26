//! From ids back to the values they stand for.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, Int64Array, OffsetSizeTrait,
    RecordBatch, StructArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema as ArrowSchema};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, ident,
};
use emrys_schema::{ColumnSchema, Schema};

use crate::batch_of::batch_of;
use crate::io::Dataset;
use crate::operator::{Decode, Markers};
use crate::plan::graph::{NodeId, Phase};
use crate::plan::lineage::names_of;
use crate::session::Session;
use crate::workflow::{FittedWorkflow, Transformed};
use crate::{Error, Result};

impl FittedWorkflow {
    /// The values that ids of an output column stand for, as [`Inverse::values`] without markers.
    ///
    /// # Errors
    /// As [`inverse`](FittedWorkflow::inverse) and [`Inverse::values`].
    pub fn inverse_transform(&self, column: &str, ids: &ArrayRef) -> Result<ArrayRef> {
        self.inverse()?.values(column, ids)
    }

    /// What turns the outputs that hold ids back into values.
    ///
    /// These are the outputs of Categorify (or of an operator of your own with a decoder), also
    /// where they were renamed, tagged or filtered afterwards. The values are those that came into
    /// that operator. Many values share the id of a bucket, as those that were left out of the
    /// vocabulary share theirs: these ids stand for no value, like padding and null.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
    /// use emrys_etl::operator::Markers;
    /// use emrys_etl::{Dataset, Workflow, cols, ops::Categorify};
    ///
    /// let user: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "ann"]));
    /// let batch = RecordBatch::try_from_iter([("user", user)])?;
    /// let data = Dataset::from_batches(batch.schema(), vec![batch])?;
    /// let workflow = Workflow::new(cols(["user"]) >> Categorify::default()).fit(&data)?;
    ///
    /// let inverse = workflow.inverse()?.with_markers(Markers::new().with_unseen("?"));
    /// let ids: ArrayRef = Arc::new(Int64Array::from(vec![4, 3, 2, 0]));
    /// let users = inverse.values("user", &ids)?;
    /// let users: Vec<_> = users.as_string::<i32>().iter().collect();
    /// assert_eq!(users, [Some("bob"), Some("ann"), Some("?"), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the plan cannot be built.
    pub fn inverse(&self) -> Result<Inverse> {
        let binding = self.binding(Phase::Inference)?;
        let frame = self.empty_frame()?;
        let mut decoders = BTreeMap::new();
        for (position, column) in self.output_schema().iter().enumerate() {
            for name in names_of(frame.logical_plan(), position) {
                let Some((id, output)) = made_by(&name) else {
                    continue;
                };
                let input = binding.node(id)?.input.as_ref();
                let (Some(operator), Some(state), Some(input)) =
                    (self.graph.operator(id), self.states.get(&id), input)
                else {
                    continue;
                };
                if let Some(decoder) = operator.decoder(state, &input.schema, output)? {
                    let inputs = decoder.columns().iter();
                    let inputs = inputs.map(|name| input.schema.column(name).cloned());
                    let column_decoder = ColumnDecoder {
                        inputs: inputs.collect::<Result<_>>()?,
                        decoder,
                    };
                    decoders.insert(column.name().to_owned(), column_decoder);
                    break;
                }
            }
        }
        Ok(Inverse {
            decoders,
            markers: Markers::default(),
            session: Arc::clone(&self.session),
        })
    }
}

/// The operator that makes a column of a plan, and its name there.
fn made_by(internal: &str) -> Option<(NodeId, &str)> {
    let (node, column) = internal.strip_prefix('#')?.split_once('.')?;
    // Number 0 is the data set.
    Some((node.parse::<usize>().ok()?.checked_sub(1)?, column))
}

/// Turns ids back into values: see [`FittedWorkflow::inverse`].
#[derive(Clone)]
pub struct Inverse {
    decoders: BTreeMap<String, ColumnDecoder>,
    markers: Markers,
    session: Arc<Session>,
}

#[derive(Debug, Clone)]
struct ColumnDecoder {
    /// What came into the operator: one column, or the members of a combination.
    inputs: Vec<ColumnSchema>,
    decoder: Arc<dyn Decode>,
}

impl Inverse {
    /// Marks ids that stand for no value; they are null otherwise.
    #[must_use]
    pub fn with_markers(mut self, markers: Markers) -> Inverse {
        self.markers = markers;
        self
    }

    /// The output columns that hold ids.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.decoders.keys().map(String::as_str)
    }

    /// The values of ids of an output column: a struct with one field for each member where the
    /// column is a combination, and lists for lists of ids.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] if it is no output that holds ids, [`Error::UnsupportedType`] if
    /// the ids are no integers, [`Error::Data`] for a number that is no id.
    pub fn values(&self, column: &str, ids: &ArrayRef) -> Result<ArrayRef> {
        let decoder = self.decoder(column)?;
        let mut members = decoder.decode(column, ids, &self.markers)?;
        if members.len() == 1 {
            return Ok(members.remove(0));
        }
        let fields = decoder
            .inputs
            .iter()
            .zip(&members)
            .map(|(input, values)| Field::new(input.name(), values.data_type().clone(), true));
        StructArray::try_new(fields.collect(), members, None)
            .map(|members| Arc::new(members) as ArrayRef)
            .map_err(|error| Error::Internal(format!("members of `{column}`: {error}")))
    }

    /// The batch with values in place of ids; other columns stay as they are. A combination
    /// becomes one column for each member, called `combination.member`.
    ///
    /// # Errors
    /// As [`values`](Inverse::values).
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            let Some(decoder) = self.decoders.get(field.name()) else {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(values));
                continue;
            };
            let members = decoder.decode(field.name(), values, &self.markers)?;
            let names = decoder.names(field.name());
            for (name, values) in names.into_iter().zip(members) {
                fields.push(Arc::new(Field::new(name, values.data_type().clone(), true)));
                columns.push(values);
            }
        }
        let schema = Arc::new(ArrowSchema::new(fields));
        batch_of(&schema, columns, batch.num_rows())
            .map_err(|error| Error::Internal(format!("decoded columns: {error}")))
    }

    /// The rows of a data set with values in place of ids, in the form of
    /// [`batch`](Inverse::batch); nothing is computed yet.
    ///
    /// # Errors
    /// [`Error::UnsupportedType`] if a column of ids holds no integers.
    pub fn dataset(&self, dataset: &Dataset) -> Result<Transformed> {
        let frame = dataset.to_dataframe(self.session.context(), None)?;
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for column in dataset.schema() {
            let name = column.name();
            let Some(decoder) = self.decoders.get(name) else {
                exprs.push(ident(name).alias(name));
                columns.push(column.clone());
                continue;
            };
            let field = frame.schema().field_with_unqualified_name(name);
            let field = field.map_err(Error::query("looking up a type"))?;
            // Decoding nothing tells the types.
            let empty = new_empty_array(field.data_type());
            let types = decoder.decode(name, &empty, &self.markers)?;
            for (member, (new_name, values)) in
                decoder.names(name).into_iter().zip(types).enumerate()
            {
                let function = ScalarUDF::new_from_impl(Decoding {
                    column: name.to_owned(),
                    member,
                    decoder: decoder.clone(),
                    markers: self.markers.clone(),
                    output: values.data_type().clone(),
                    signature: Signature::any(1, Volatility::Immutable),
                });
                exprs.push(function.call(vec![ident(name)]).alias(&new_name));
                let found = Field::new(&new_name, values.data_type().clone(), true);
                let found = ColumnSchema::from_arrow(&found)?;
                columns.push(
                    decoder.inputs[member]
                        .clone()
                        .with_name(&new_name)
                        .with_dtype(found.dtype())
                        .with_shape(found.shape().clone()),
                );
            }
        }
        let frame = frame
            .select(exprs)
            .map_err(Error::query("selecting the values"))?;
        Ok(Transformed {
            frame,
            dataset: dataset.clone(),
            schema: Schema::new(columns)?,
            phase: Phase::Inference,
            session: Arc::clone(&self.session),
        })
    }

    fn decoder(&self, column: &str) -> Result<&ColumnDecoder> {
        self.decoders
            .get(column)
            .ok_or_else(|| Error::UnknownColumn {
                operator: "inverse_transform".to_owned(),
                column: column.to_owned(),
                available: self.decoders.keys().cloned().collect(),
            })
    }
}

impl std::fmt::Debug for Inverse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inverse")
            .field("decoders", &self.decoders)
            .field("markers", &self.markers)
            .finish_non_exhaustive()
    }
}

impl ColumnDecoder {
    /// The names of the columns that come out.
    fn names(&self, column: &str) -> Vec<String> {
        match self.inputs.as_slice() {
            [_] => vec![column.to_owned()],
            members => members
                .iter()
                .map(|member| format!("{column}.{}", member.name()))
                .collect(),
        }
    }

    fn decode(&self, column: &str, ids: &ArrayRef, markers: &Markers) -> Result<Vec<ArrayRef>> {
        match ids.data_type() {
            DataType::List(_) => self.decode_list::<i32>(column, ids, markers),
            DataType::LargeList(_) => self.decode_list::<i64>(column, ids, markers),
            DataType::FixedSizeList(_, length) => {
                let lists = ids.as_fixed_size_list();
                let members = self.decode(column, lists.values(), markers)?.into_iter();
                members
                    .map(|values| {
                        let field = element(&values);
                        FixedSizeListArray::try_new(field, *length, values, lists.nulls().cloned())
                            .map(|lists| Arc::new(lists) as ArrayRef)
                            .map_err(not_a_list)
                    })
                    .collect()
            }
            _ => self.decoder.decode(&integers(column, ids)?, markers),
        }
    }

    fn decode_list<O: OffsetSizeTrait>(
        &self,
        column: &str,
        ids: &ArrayRef,
        markers: &Markers,
    ) -> Result<Vec<ArrayRef>> {
        let lists = ids.as_list::<O>();
        // A slice of lists keeps all values of the whole.
        let offsets = lists.offsets();
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let used = lists
            .values()
            .slice(first.as_usize(), (last - first).as_usize());
        let offsets = OffsetBuffer::new(offsets.iter().map(|offset| *offset - first).collect());
        let members = self.decode(column, &used, markers)?.into_iter();
        members
            .map(|values| {
                let (field, offsets) = (element(&values), offsets.clone());
                GenericListArray::try_new(field, offsets, values, lists.nulls().cloned())
                    .map(|lists| Arc::new(lists) as ArrayRef)
                    .map_err(not_a_list)
            })
            .collect()
    }
}

fn element(values: &ArrayRef) -> FieldRef {
    Arc::new(Field::new_list_field(values.data_type().clone(), true))
}

fn not_a_list(error: arrow::error::ArrowError) -> Error {
    Error::Internal(format!("a list of decoded values: {error}"))
}

fn integers(column: &str, ids: &ArrayRef) -> Result<Int64Array> {
    let wrong = || Error::UnsupportedType {
        operator: "inverse_transform".to_owned(),
        column: column.to_owned(),
        found: ids.data_type().to_string(),
        expected: "ids are integers, or lists of integers".to_owned(),
    };
    if !ids.data_type().is_integer() {
        return Err(wrong());
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let ids = cast_with_options(ids, &DataType::Int64, &options).map_err(|_| wrong())?;
    Ok(ids.as_primitive::<Int64Type>().clone())
}

/// One member of the values of a column of ids.
#[derive(Debug)]
struct Decoding {
    column: String,
    member: usize,
    decoder: ColumnDecoder,
    markers: Markers,
    output: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Decoding {
    fn name(&self) -> &'static str {
        "decode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(self.output.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let ids = args.args[0].clone().into_array(args.number_rows)?;
        let mut members = self.decoder.decode(&self.column, &ids, &self.markers)?;
        Ok(ColumnarValue::Array(members.swap_remove(self.member)))
    }
}

impl PartialEq for Decoding {
    fn eq(&self, other: &Decoding) -> bool {
        Arc::ptr_eq(&self.decoder.decoder, &other.decoder.decoder)
            && (self.member, &self.markers) == (other.member, &other.markers)
    }
}

impl Eq for Decoding {}

impl Hash for Decoding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.column, self.member).hash(state);
    }
}

//! The approximate distribution as an aggregate of the engine.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, cast,
};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;

use super::{CELLS, Cell, Distribution, float_key};

/// How many values are collected before they are sorted into the cells.
const BUFFER: usize = CELLS;

/// The aggregate whose results [`Distribution::from_bytes`] reads.
pub(crate) fn value_distribution(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(ValueDistribution::new())));
    FUNCTION.call(vec![cast(expr, DataType::Float64)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueDistribution {
    signature: Signature,
}

impl ValueDistribution {
    fn new() -> ValueDistribution {
        ValueDistribution {
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for ValueDistribution {
    fn name(&self) -> &'static str {
        "value_distribution"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> EngineResult<Vec<FieldRef>> {
        let name = format!("{}[cells]", args.name);
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> EngineResult<Box<dyn Accumulator>> {
        Ok(Box::new(Sketch::new()))
    }
}

/// A distribution that grows, with the values that are not in its cells yet.
#[derive(Debug)]
pub(super) struct Sketch {
    cells: Distribution,
    buffer: Vec<u64>,
}

impl Sketch {
    pub(super) fn new() -> Sketch {
        Sketch {
            cells: Distribution::approximate(64, Vec::new()),
            buffer: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.buffer.push(float_key(value));
        if self.buffer.len() == BUFFER {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.buffer.sort_unstable();
        let new = self.buffer.chunk_by(|a, b| a == b).map(|same| Cell {
            low: same[0],
            high: same[0],
            count: same.len() as u64,
        });
        let new = Distribution::approximate(64, new.collect());
        self.buffer.clear();
        self.cells = self.cells.merged_approximately(&new);
    }

    pub(super) fn finish(&mut self) -> &Distribution {
        self.flush();
        &self.cells
    }
}

impl Accumulator for Sketch {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        for value in values[0].as_primitive::<Float64Type>().iter().flatten() {
            self.add(value);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.finish().to_bytes())))
    }

    fn size(&self) -> usize {
        size_of::<Sketch>()
            + self.cells.cells.num_bytes()
            + self.buffer.capacity() * size_of::<u64>()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        let states = states[0].as_binary::<i32>();
        for state in states.iter().flatten() {
            self.cells = self
                .cells
                .merged_approximately(&Distribution::from_bytes(state)?);
        }
        Ok(())
    }
}

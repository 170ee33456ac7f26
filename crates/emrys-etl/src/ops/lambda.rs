//! See [`Lambda`].

use datafusion::logical_expr::cast;
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Properties, Schema, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Result, expression};

/// Replaces each column by an SQL expression, in which `x` is the column.
///
/// Other names are other columns of the same rows; all functions of DataFusion can be used. The
/// expression is stored as text, so every workflow can be saved.
///
/// # Output
/// The same names and rows; the dtype is that of the expression, or the one asked for with
/// [`with_dtype`](Lambda::with_dtype).
/// # Schema
/// Keeps tags and properties and adds those given; a domain is dropped, since it is one of the old
/// values.
/// # Nulls, NaN and empty input
/// As in SQL.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// `x` is the whole list: use `array_length(x)`, `array_sum(x)`...
/// # Errors
/// At build: text that is no expression, an unknown column, types that do not fit.
/// # Compared with Merlin
/// Merlin takes Python functions, which cannot be checked before data are read.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::Lambda};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("rating", DType::Float32)])?;
/// let liked = cols(["rating"]) >> Lambda::new("cast(x > 3 as int)");
/// assert_eq!(Workflow::new(liked).output_schema(&schema)?.get("rating").unwrap().dtype(), DType::Int32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lambda {
    expr: String,
    #[serde(default)]
    dtype: Option<DType>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    properties: Properties,
}

/// What the column is called in the expression.
const OPERAND: &str = "x";

impl Lambda {
    /// An SQL expression over `x`.
    pub fn new(sql: impl Into<String>) -> Lambda {
        Lambda {
            expr: sql.into(),
            dtype: None,
            tags: Vec::new(),
            properties: Properties::new(),
        }
    }

    /// A DataFusion expression over the column `x`.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if it cannot be written as SQL, which
    /// is how workflows store it.
    pub fn expr(expr: &Expr) -> Result<Lambda> {
        Ok(Lambda::new(expression::stored("lambda", expr)?))
    }

    /// Casts the result.
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> Lambda {
        self.dtype = Some(dtype);
        self
    }

    /// Adds tags to the result.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<Tag>>) -> Lambda {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Adds a property to the result.
    #[must_use]
    pub fn with_property(mut self, key: impl Into<String>, value: impl Into<Value>) -> Lambda {
        self.properties.insert(key.into(), value.into());
        self
    }
}

impl Operator for Lambda {
    type State = ();

    fn name() -> &'static str {
        "Lambda"
    }

    fn description() -> &'static str {
        "Replaces each column by an SQL expression over it."
    }

    fn check(&self) -> Result<()> {
        expression::check("lambda", &self.expr)
    }

    fn dependencies(&self) -> Vec<String> {
        let mut names = expression::column_names(&self.expr);
        names.retain(|name| name != OPERAND);
        names
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let mut columns = Vec::new();
        for column in input.columns() {
            let operand = Some((OPERAND, column.name()));
            let found = expression::output_type("lambda", &self.expr, input, operand)?;
            let result = match found {
                Some(field) => ColumnSchema::from_arrow(&field)?,
                None => column.clone().with_dtype(DType::Unknown),
            };
            columns.push(
                column
                    .clone()
                    .with_dtype(self.dtype.unwrap_or(result.dtype()))
                    .with_shape(result.shape().clone())
                    .with_domain(None)
                    .with_tags(self.tags.clone())
                    .with_properties(self.properties.clone()),
            );
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for column in input.columns() {
            let operand = Some((OPERAND, column.name()));
            let mut expr = input.parse_sql("expr", &self.expr, operand)?;
            if let Some(dtype) = self.dtype {
                let target = column.clone().with_dtype(dtype).to_arrow()?;
                expr = cast(expr, target.data_type().clone());
            }
            outputs.push((column.name().to_owned(), expr));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "A binary target from a rating.",
            config: serde_json::json!({"expr": "cast(x > 3 as int)"}),
            input: serde_json::json!({"rating": [5.0, 2.0, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"rating": [1, 0, null]}),
        }]
    }
}

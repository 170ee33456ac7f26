//! See [`Rename`].
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result, expression};

/// Gives columns other names.
///
/// # Output
/// The same columns with the same values under new names.
/// # Schema
/// Tags, domains and properties are kept.
/// # Nulls, NaN and empty input
/// Kept.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Kept.
/// # Errors
/// At build: a single new name for several columns; an expression that does not give a text; two
/// columns that get the same name.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::Rename};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("userId", DType::Int64)])?;
/// let renamed = cols(["userId"]) >> Rename::expr("lower(name) || '_raw'");
/// assert_eq!(Workflow::new(renamed).output_schema(&schema)?.names(), ["userid_raw"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rename {
    /// The new name of the only column.
    Name(String),
    /// What is put behind each name.
    Postfix(String),
    /// An SQL expression over `name`.
    Expr(String),
}

impl Rename {
    /// The new name of the only column.
    pub fn to(name: impl Into<String>) -> Rename {
        Rename::Name(name.into())
    }

    /// Puts a text behind each name.
    pub fn postfix(postfix: impl Into<String>) -> Rename {
        Rename::Postfix(postfix.into())
    }

    /// Makes each name by an SQL expression over the old one, which is called `name`.
    pub fn expr(sql: impl Into<String>) -> Rename {
        Rename::Expr(sql.into())
    }

    fn new_name(&self, old: &str) -> Result<String> {
        match self {
            Rename::Name(name) => Ok(name.clone()),
            Rename::Postfix(postfix) => Ok(format!("{old}{postfix}")),
            Rename::Expr(sql) => expression::evaluate_text(sql, "name", old).map_err(|problem| {
                Error::InvalidOption {
                    operator: "rename".to_owned(),
                    option: "expr".to_owned(),
                    value: format!("`{sql}`"),
                    expected: problem,
                }
            }),
        }
    }
}

impl Operator for Rename {
    type State = ();

    fn name() -> &'static str {
        "Rename"
    }

    fn description() -> &'static str {
        "Gives columns other names."
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        if let (Rename::Name(name), true) = (self, input.schema().len() > 1) {
            return Err(Error::InvalidOption {
                operator: "rename".to_owned(),
                option: "name".to_owned(),
                value: format!("`{name}`"),
                expected: format!(
                    "there are {} columns ({}); use a postfix or an expression",
                    input.schema().len(),
                    input.schema().names().join(", ")
                ),
            });
        }
        let renamed: Result<Vec<_>> = input
            .columns()
            .map(|column| Ok(column.clone().with_name(self.new_name(column.name())?)))
            .collect();
        Ok(Schema::new(renamed?)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let outputs: Result<Vec<_>> = input
            .columns()
            .map(|column| Ok((self.new_name(column.name())?, input.expr(column.name())?)))
            .collect();
        Ok(Lowered::Columns(outputs?))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "A postfix.",
            config: serde_json::json!({"postfix": "_raw"}),
            input: serde_json::json!({"x": [1, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"x_raw": [1, null]}),
        }]
    }
}

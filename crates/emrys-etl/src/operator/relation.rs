//! What an operator sees of its input.

use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ident;
use datafusion::prelude::{DataFrame, Expr};
use emrys_schema::{ColumnSchema, Schema};

use crate::expression;
use crate::io::ROW_ID;
use crate::selector::Selected;
use crate::{Error, Result};

/// The columns that come into an operator.
#[derive(Debug, Clone)]
pub struct InputSchema {
    operator: String,
    selected: Vec<Selected>,
    schema: Schema,
    dependencies: Schema,
}

impl InputSchema {
    pub(crate) fn new(
        operator: String,
        selected: Vec<Selected>,
        schema: Schema,
        dependencies: Schema,
    ) -> InputSchema {
        InputSchema {
            operator,
            selected,
            schema,
            dependencies,
        }
    }

    /// The operator as messages call it.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Single columns and groups, as the graph gives them.
    pub fn selected(&self) -> &[Selected] {
        &self.selected
    }

    /// All input columns, members of groups included, each once.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The input columns in order.
    pub fn columns(&self) -> impl Iterator<Item = &ColumnSchema> {
        self.schema.iter()
    }

    /// The columns named by [`Operator::dependencies`](super::Operator::dependencies).
    pub fn dependencies(&self) -> &Schema {
        &self.dependencies
    }

    /// An input column or dependency.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`].
    pub fn column(&self, name: &str) -> Result<&ColumnSchema> {
        self.schema
            .get(name)
            .or_else(|| self.dependencies.get(name))
            .ok_or_else(|| Error::UnknownColumn {
                operator: self.operator.clone(),
                column: name.to_owned(),
                available: self.schema.names().into_iter().map(str::to_owned).collect(),
            })
    }

    /// Checks that every input column is of a numeric type, or a list of one.
    ///
    /// # Errors
    /// [`Error::UnsupportedType`].
    pub fn require_numeric(&self) -> Result<()> {
        self.columns()
            .try_for_each(|column| self.require(column, "a number", |d| d.is_numeric()))
    }

    /// Checks the type of a column.
    ///
    /// # Errors
    /// [`Error::UnsupportedType`].
    pub fn require(
        &self,
        column: &ColumnSchema,
        needed: &str,
        holds: impl Fn(emrys_schema::DType) -> bool,
    ) -> Result<()> {
        // Files of Merlin do not tell the types of all columns; the data will.
        if holds(column.dtype()) || column.dtype() == emrys_schema::DType::Unknown {
            return Ok(());
        }
        Err(Error::UnsupportedType {
            operator: self.operator.clone(),
            column: column.name().to_owned(),
            found: format!("{}{}", column.dtype(), column.shape()),
            expected: format!("{needed} is needed; cast it or leave it out"),
        })
    }

    /// Checks that no input column is a list.
    ///
    /// # Errors
    /// [`Error::UnsupportedType`].
    pub fn require_scalars(&self) -> Result<()> {
        match self.columns().find(|column| column.shape().is_list()) {
            None => Ok(()),
            Some(column) => Err(Error::UnsupportedType {
                operator: self.operator.clone(),
                column: column.name().to_owned(),
                found: format!("{}{}", column.dtype(), column.shape()),
                expected: "a single value per row is needed; leave it out".to_owned(),
            }),
        }
    }
}

/// The rows that come into an operator: an [`InputSchema`] with expressions.
#[derive(Clone)]
pub struct Relation {
    pub(crate) input: InputSchema,
    pub(crate) frame: DataFrame,
    /// Public name and internal name of each input column and dependency.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) training: bool,
    pub(crate) has_row_id: bool,
}

impl std::ops::Deref for Relation {
    type Target = InputSchema;

    fn deref(&self) -> &InputSchema {
        &self.input
    }
}

impl Relation {
    /// The expression of an input column or dependency.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`].
    pub fn expr(&self, name: &str) -> Result<Expr> {
        self.internal_name(name).map(ident)
    }

    /// The Arrow type of an input column or dependency, as it really is in the plan.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`].
    pub fn arrow_type(&self, name: &str) -> Result<DataType> {
        let internal = self.internal_name(name)?;
        self.frame
            .schema()
            .field_with_unqualified_name(internal)
            .map(|field| field.data_type().clone())
            .map_err(Error::query("looking up a type"))
    }

    /// Whether these are the rows the workflow is fitted on: while it is fitted, and when the
    /// same data are transformed. Encodings of a target must then not use a row's own target.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// The number of each row in the data set (`Int64`), whatever the partitioning.
    ///
    /// # Errors
    /// [`Error::Internal`] if the operator did not announce it with
    /// [`needs_row_id`](super::Operator::needs_row_id).
    pub fn row_id(&self) -> Result<Expr> {
        if self.has_row_id {
            Ok(ident(ROW_ID))
        } else {
            Err(Error::Data {
                operator: self.operator().to_owned(),
                problem: "rows have no numbers after an aggregation; encode before it".to_owned(),
            })
        }
    }

    /// The rows as a frame whose columns are the inputs and dependencies under their public
    /// names, for operators that change rows. The row id, where there is one, is its last column.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn dataframe(&self) -> Result<DataFrame> {
        let mut columns: Vec<Expr> = self
            .names
            .iter()
            .map(|(public, internal)| ident(internal).alias(public))
            .collect();
        if self.has_row_id {
            columns.push(ident(ROW_ID));
        }
        self.frame
            .clone()
            .select(columns)
            .map_err(Error::query("selecting the input"))
    }

    /// The rows for which a predicate holds, in the form of [`dataframe`](Relation::dataframe).
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn filter(&self, predicate: Expr) -> Result<DataFrame> {
        let frame = self
            .frame
            .clone()
            .filter(predicate)
            .map_err(Error::query("filtering"))?;
        Relation {
            frame,
            ..self.clone()
        }
        .dataframe()
    }

    /// Parses an SQL expression over the public names of inputs and dependencies; the result
    /// refers to the columns of this relation. `operand` is another name for one column.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if it is not SQL or names an unknown column.
    pub fn parse_sql(
        &self,
        option: &str,
        sql: &str,
        operand: Option<(&str, &str)>,
    ) -> Result<Expr> {
        let mut fields = Vec::new();
        if let Some((alias, column)) = operand {
            fields.push(Field::new(alias, self.arrow_type(column)?, true));
        }
        for (name, _) in &self.names {
            if operand.is_none_or(|(alias, _)| alias != name) {
                fields.push(Field::new(name, self.arrow_type(name)?, true));
            }
        }
        let parsed = expression::parse(self.operator(), option, sql, fields)?;
        expression::rename_columns(parsed, |name| {
            let name = operand
                .filter(|(alias, _)| *alias == name)
                .map_or(name, |(_, column)| column);
            self.internal_name(name).ok().map(str::to_owned)
        })
        .map_err(Error::query("renaming columns"))
    }

    fn internal_name(&self, name: &str) -> Result<&str> {
        match self.names.iter().find(|(public, _)| public == name) {
            Some((_, internal)) => Ok(internal),
            None => Err(Error::UnknownColumn {
                operator: self.operator().to_owned(),
                column: name.to_owned(),
                available: self
                    .names
                    .iter()
                    .map(|(public, _)| public.clone())
                    .collect(),
            }),
        }
    }
}

impl std::fmt::Debug for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relation")
            .field("input", &self.input)
            .field("names", &self.names)
            .field("training", &self.training)
            .finish_non_exhaustive()
    }
}

//! Expressions as SQL text: parsed, printed, typed, and evaluated on constants.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{Expr, SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::unparser::expr_to_sql;
use emrys_schema::DType;

use crate::operator::InputSchema;
use crate::{Error, Result};

/// A session that only plans: names keep their case, as column names do everywhere in Emrys.
static PLANNER: LazyLock<SessionContext> = LazyLock::new(|| {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.enable_ident_normalization = false;
    SessionContext::new_with_config(config)
});

/// Parses an expression of an operator over columns of the given names and types.
///
/// # Errors
/// [`Error::InvalidOption`].
pub(crate) fn parse(operator: &str, option: &str, sql: &str, fields: Vec<Field>) -> Result<Expr> {
    DFSchema::try_from(Schema::new(fields))
        .and_then(|schema| PLANNER.parse_sql_expr(sql, &schema))
        .map_err(|error| brief(&error))
        .and_then(of_one_row)
        .map_err(|problem| invalid(operator, option, sql, &problem))
}

/// Refuses expressions whose value depends on more than one row.
fn of_one_row(expr: Expr) -> Result<Expr, String> {
    let mut refused = None;
    let visited = expr.apply(|part| {
        refused = match part {
            Expr::AggregateFunction(function) => Some(function.func.name().to_owned()),
            Expr::WindowFunction(function) => Some(function.fun.name().to_owned()),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    });
    visited.map_err(|error| brief(&error))?;
    match refused {
        None => Ok(expr),
        Some(name) => Err(format!(
            "`{name}` looks at many rows, an expression at one; operators such as Normalize and \
             TargetEncoding learn from all rows"
        )),
    }
}

/// Refuses text that is no expression.
///
/// # Errors
/// [`Error::InvalidOption`].
pub(crate) fn check(operator: &str, sql: &str) -> Result<()> {
    syntax(sql)
        .map(|_| ())
        .map_err(|problem| invalid(operator, "expr", sql, &problem))
}

/// The names of the columns that an expression uses, sorted; none if it is no expression.
pub(crate) fn column_names(sql: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    if let Ok(expr) = syntax(sql) {
        let _: ControlFlow<()> = ast::visit_expressions(&expr, |part| {
            if let ast::Expr::Identifier(name) = part {
                names.insert(name.value.clone());
            }
            ControlFlow::Continue(())
        });
    }
    names.into_iter().collect()
}

/// The type of an expression over the columns of an input; `operand` is another name for one of
/// them. `None` if the types of the columns are not known.
///
/// # Errors
/// [`Error::InvalidOption`] if the expression does not fit the columns.
pub(crate) fn output_type(
    operator: &str,
    sql: &str,
    input: &InputSchema,
    operand: Option<(&str, &str)>,
) -> Result<Option<FieldRef>> {
    let mut fields: Vec<Field> = Vec::new();
    if let Some((alias, column)) = operand {
        fields.push(
            input
                .column(column)?
                .clone()
                .with_name(alias)
                .to_arrow_if_known()?,
        );
    }
    for column in input.columns().chain(input.dependencies()) {
        if operand.is_none_or(|(alias, _)| alias != column.name()) {
            fields.push(column.to_arrow_if_known()?);
        }
    }
    let used = column_names(sql);
    let unknown = |field: &&Field| field.data_type() == &DataType::Null;
    if fields
        .iter()
        .filter(unknown)
        .any(|field| used.contains(field.name()))
    {
        return Ok(None);
    }
    let expr = parse(operator, "expr", sql, fields.clone())?;
    let (_, field) =
        compile(expr, fields).map_err(|error| invalid(operator, "expr", sql, &brief(&error)))?;
    Ok(Some(field))
}

/// The Arrow field of a column, of type null if the type is not known.
pub(crate) trait ToArrowIfKnown {
    /// The field.
    ///
    /// # Errors
    /// If the column has a shape that Arrow does not know.
    fn to_arrow_if_known(&self) -> Result<Field>;
}

impl ToArrowIfKnown for emrys_schema::ColumnSchema {
    fn to_arrow_if_known(&self) -> Result<Field> {
        match self.dtype() {
            DType::Unknown => Ok(Field::new(self.name(), DataType::Null, true)),
            _ => Ok(self.to_arrow()?),
        }
    }
}

/// Compiles an expression over columns of the given names and types.
pub(crate) fn compile(
    expr: Expr,
    fields: Vec<Field>,
) -> EngineResult<(Arc<dyn PhysicalExpr>, FieldRef)> {
    let schema = Schema::new(fields);
    let compiled = PLANNER.create_physical_expr(expr, &DFSchema::try_from(schema.clone())?)?;
    let field = compiled.return_field(&schema)?;
    Ok((compiled, field))
}

/// The value of an expression over one text.
///
/// # Errors
/// What is wrong with the expression.
pub(crate) fn evaluate_text(sql: &str, name: &str, value: &str) -> Result<String, String> {
    let evaluate = || {
        let field = Field::new(name, DataType::Utf8, false);
        let schema = DFSchema::try_from(Schema::new(vec![field.clone()]))?;
        let expr = PLANNER.parse_sql_expr(sql, &schema)?;
        let (compiled, _) = compile(expr, vec![field.clone()])?;
        let input: ArrayRef = Arc::new(StringArray::from(vec![value]));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![input])?;
        let array = compiled.evaluate(&batch)?.into_array(1)?;
        EngineResult::Ok(arrow::compute::cast(&array, &DataType::Utf8)?)
    };
    let array =
        evaluate().map_err(|error| format!("that is no valid expression: {}", brief(&error)))?;
    let texts = array.as_string::<i32>();
    match texts.iter().next().flatten() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("it gives no name for `{value}`")),
    }
}

/// Writes an expression as SQL, in which operators store it.
///
/// # Errors
/// [`Error::InvalidOption`].
pub(crate) fn stored(operator: &str, expr: &Expr) -> Result<String> {
    expr_to_sql(expr)
        .map(|sql| sql.to_string())
        .map_err(|error| {
            invalid(
                operator,
                "expr",
                &expr.to_string(),
                &format!("it has no SQL: {}", brief(&error)),
            )
        })
}

/// The expression as pandas would understand it: `a <> b` also holds where one side is null, and
/// types have NumPy's names (`int8` has 8 bits, not 8 bytes).
///
/// # Errors
/// [`Error::InvalidOption`].
pub(crate) fn from_pandas(operator: &str, sql: &str) -> Result<String> {
    let mut expr = syntax(sql).map_err(|problem| invalid(operator, "expr", sql, &problem))?;
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut expr, |part| {
        match part {
            ast::Expr::BinaryOp {
                left,
                op: ast::BinaryOperator::NotEq,
                right,
            } => {
                *part = ast::Expr::IsDistinctFrom(left.clone(), right.clone());
            }
            ast::Expr::Cast { data_type, .. } => {
                *data_type = match &*data_type {
                    ast::DataType::Int8(None) => ast::DataType::TinyInt(None),
                    ast::DataType::Int16 => ast::DataType::SmallInt(None),
                    ast::DataType::Int32 => ast::DataType::Int(None),
                    ast::DataType::Int64 => ast::DataType::BigInt(None),
                    ast::DataType::Float32 => ast::DataType::Real,
                    ast::DataType::Float64 => ast::DataType::DoublePrecision,
                    other => other.clone(),
                };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    Ok(expr.to_string())
}

/// Replaces the names of columns; names for which `rename` gives nothing are kept.
pub(crate) fn rename_columns(
    expr: Expr,
    rename: impl Fn(&str) -> Option<String>,
) -> EngineResult<Expr> {
    expr.transform(|part| {
        let new = match &part {
            Expr::Column(column) => rename(&column.name),
            _ => None,
        };
        Ok(match new {
            Some(name) => Transformed::yes(datafusion::logical_expr::ident(name)),
            None => Transformed::no(part),
        })
    })
    .map(|result| result.data)
}

fn syntax(sql: &str) -> Result<ast::Expr, String> {
    let parse = || {
        let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql)?;
        let expr = parser.parse_expr()?;
        parser.expect_token(&datafusion::sql::sqlparser::tokenizer::Token::EOF)?;
        Ok::<_, datafusion::sql::sqlparser::parser::ParserError>(expr)
    };
    parse().map_err(|error| error.to_string().replace("sql parser error: ", ""))
}

fn invalid(operator: &str, option: &str, sql: &str, problem: &str) -> Error {
    Error::InvalidOption {
        operator: operator.to_owned(),
        option: option.to_owned(),
        value: format!("`{sql}`"),
        expected: format!("that is no valid expression: {problem}"),
    }
}

/// The message of an engine's error, without what only its developers can read.
fn brief(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let mut message = text.lines().next().unwrap_or_default();
    // Kinds of errors pile up in front of the text, such as `Schema error: `.
    while let Some((kind, rest)) = message.split_once("rror: ") {
        if kind.len() > 20 {
            break;
        }
        message = rest;
    }
    message = message
        .strip_prefix("Error during planning: ")
        .unwrap_or(message);
    if let Some(parser) = message.strip_prefix("ParserError(\"") {
        message = parser.trim_end_matches("\")");
    }
    message.trim_end_matches('.').to_owned()
}

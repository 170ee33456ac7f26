//! Expressions as SQL text: parsed, printed, and evaluated on constants.

use std::sync::LazyLock;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as EngineResult;
use datafusion::prelude::{Expr, SessionConfig, SessionContext};
use datafusion::sql::unparser::expr_to_sql;

/// A session that only parses: names keep their case, as column names do everywhere in Emrys.
static PARSER: LazyLock<SessionContext> = LazyLock::new(|| {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.enable_ident_normalization = false;
    SessionContext::new_with_config(config)
});

/// Parses an expression over the columns of `schema`.
pub(crate) fn parse(sql: &str, schema: &DFSchema) -> EngineResult<Expr> {
    PARSER.parse_sql_expr(sql, schema)
}

/// Writes an expression as SQL that [`parse`] reads.
pub(crate) fn to_sql(expr: &Expr) -> EngineResult<String> {
    expr_to_sql(expr).map(|sql| sql.to_string())
}

/// Replaces the names of columns; names for which `rename` gives nothing are kept.
pub(crate) fn rename_columns(expr: Expr, rename: impl Fn(&str) -> Option<String>) -> EngineResult<Expr> {
    expr.transform(|part| {
        Ok(match &part {
            Expr::Column(column) => match rename(&column.name) {
                Some(name) => Transformed::yes(datafusion::logical_expr::ident(name)),
                None => Transformed::no(part),
            },
            _ => Transformed::no(part),
        })
    })
    .map(|result| result.data)
}

/// The message of an engine's error, without what only its developers can read.
pub(crate) fn brief(error: &datafusion::error::DataFusionError) -> String {
    let text = error.strip_backtrace();
    let first = text.lines().next().unwrap_or_default();
    let mut message = first;
    // Kinds of errors pile up in front of the text, such as `Schema error: `.
    while let Some((kind, rest)) = message.split_once("rror: ") {
        if kind.len() > 20 {
            break;
        }
        message = rest;
    }
    message.trim_end_matches('.').to_owned()
}

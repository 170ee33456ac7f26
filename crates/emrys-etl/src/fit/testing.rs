//! Fitting on one data set and learning from another, for tests of operators.

use crate::operator::NewIds;
use crate::{Dataset, FittedWorkflow, Node, Result, SessionOptions, Workflow};

/// Fits a graph on `first`; then its operators learn from `second`.
pub(crate) fn fit_and_refit(
    node: &Node,
    first: &Dataset,
    second: Option<(&Dataset, NewIds)>,
    options: SessionOptions,
) -> Result<FittedWorkflow> {
    let fitted = Workflow::new(node.clone())
        .with_options(options)
        .fit(first)?;
    match second {
        Some((second, ids)) => fitted.refit(second, ids),
        None => Ok(fitted),
    }
}

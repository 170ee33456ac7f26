//! The distributions of columns, for the operators that read medians and quantiles from them.

use std::collections::BTreeMap;

use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::ident;
use datafusion::scalar::ScalarValue;
use emrys_schema::ColumnSchema;
use serde_json::Value;

use super::leaf_statistics::{ELEMENT, LeafResults, leaf_groups, leaf_statistics};
use crate::functions::{Distribution, StoredDistribution, value_distribution};
use crate::operator::{
    ArtifactReader, ArtifactWriter, FitResults, InputSchema, Relation, Statistic,
};
use crate::storage::Storage;
use crate::{Error, Result};

/// The distributions of some columns, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distributions {
    columns: BTreeMap<String, Distribution>,
}

const CELLS: &str = "cells";

/// What is needed to know how the values of a column are spread, exactly or approximately.
pub(super) fn statistics(
    input: &Relation,
    column: &ColumnSchema,
    approximate: bool,
) -> Result<Vec<Statistic>> {
    if approximate {
        return leaf_statistics(input, column, |values| {
            Ok(vec![(CELLS.to_owned(), value_distribution(values))])
        });
    }
    let name = column.name().to_owned();
    let counts = vec![("count".to_owned(), count(ident(ELEMENT)))];
    Ok(vec![leaf_groups(input, column, name, Ok, counts)?])
}

impl Distributions {
    /// From the results of [`statistics`] for each of the columns.
    pub(super) fn fit<'a>(
        columns: impl IntoIterator<Item = &'a ColumnSchema>,
        approximate: bool,
        results: &mut FitResults,
    ) -> Result<Distributions> {
        let mut distributions = Distributions::default();
        for column in columns {
            let distribution = if approximate {
                let cells = LeafResults::take(results, column)?;
                match cells.get(results, CELLS)? {
                    ScalarValue::Binary(Some(bytes)) => Distribution::from_bytes(bytes)?,
                    other => {
                        return Err(Error::Internal(format!("{other} is no distribution")));
                    }
                }
            } else {
                let counts = results.take_grouped(column.name())?;
                Distribution::from_counts(column.dtype(), &counts, &results.storage)?
            };
            let name = column.name().to_owned();
            distributions.columns.insert(name, distribution);
        }
        Ok(distributions)
    }

    /// The distributions of these and of more data.
    pub(super) fn merged(&self, more: &Distributions, storage: &Storage) -> Result<Distributions> {
        let mut columns = self.columns.clone();
        for (name, distribution) in &more.columns {
            let both = match self.columns.get(name) {
                Some(known) => known.merged(distribution, storage)?,
                None => distribution.clone(),
            };
            columns.insert(name.clone(), both);
        }
        Ok(Distributions { columns })
    }

    /// What is read from each distribution, by column.
    pub(super) fn map<T>(&self, read: impl Fn(&Distribution) -> T) -> BTreeMap<String, T> {
        let columns = self.columns.iter();
        columns.map(|(name, of)| (name.clone(), read(of))).collect()
    }

    /// The distribution of a column.
    ///
    /// # Errors
    /// [`Error::Data`] if the operator was not fitted on it.
    pub(super) fn get(&self, input: &InputSchema, column: &str) -> Result<&Distribution> {
        self.columns
            .get(column)
            .ok_or_else(|| super::columns::not_fitted(input, column))
    }

    /// Writes a table for each column; what is returned goes into the workflow's file.
    pub(super) fn save(&self, artifacts: &mut ArtifactWriter) -> Result<Value> {
        let mut stored: BTreeMap<&str, StoredDistribution> = BTreeMap::new();
        for (i, (name, distribution)) in self.columns.iter().enumerate() {
            let file = format!("distribution_{i:03}.parquet");
            stored.insert(name, distribution.save(&file, artifacts)?);
        }
        serde_json::to_value(stored)
            .map_err(|error| Error::Internal(format!("distributions to JSON: {error}")))
    }

    /// Reads what [`save`](Distributions::save) wrote.
    pub(super) fn load(saved: Value, artifacts: &ArtifactReader) -> Result<Distributions> {
        let stored: BTreeMap<String, StoredDistribution> =
            serde_json::from_value(saved).map_err(|error| artifacts.wrong(error.to_string()))?;
        let columns: Result<BTreeMap<String, Distribution>> = stored
            .into_iter()
            .map(|(name, stored)| Ok((name, Distribution::load(&stored, artifacts)?)))
            .collect();
        Ok(Distributions { columns: columns? })
    }
}

//! The groups of a plan's rows, as a table of the query engine.
//!
//! A table takes part in the engine's plans without rules of its own: what is asked of its columns
//! decides which columns of the rows are read and sorted.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::DefaultTableSource;
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan, ident};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;

use super::exec::GroupExec;
use crate::functions::RangeAggregate;

/// What groups are made of, by names of columns of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupSpec {
    pub(super) keys: Vec<String>,
    /// What the rows of a group are sorted by, and whether it ascends.
    pub(super) order: Vec<(String, bool)>,
    pub(super) outputs: Vec<Output>,
    /// Smaller groups do not come out.
    pub(super) min_length: usize,
    /// The most elements of a list.
    pub(super) max_length: Option<usize>,
    /// Whether lists are cut at the end, since they begin with the latest rows.
    pub(super) latest_first: bool,
}

/// An aggregate that comes out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Output {
    pub(super) column: String,
    pub(super) aggregate: RangeAggregate,
    pub(super) name: String,
}

/// The name under which a key comes out, which is no name of an aggregate.
pub(super) fn key_name(position: usize) -> String {
    format!("#key.{position}")
}

impl GroupSpec {
    /// The columns of the rows that some outputs need, each once.
    pub(super) fn input_columns<'a>(
        &'a self,
        outputs: impl Iterator<Item = &'a Output>,
    ) -> Vec<&'a str> {
        let keys = self.keys.iter();
        let order = self.order.iter().map(|(column, _)| column);
        let values = outputs.map(|output| &output.column);
        let mut columns: Vec<&str> = Vec::new();
        for name in keys.chain(order).chain(values) {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        columns
    }

    /// The columns of the groups: all keys, then the outputs.
    pub(super) fn schema(&self, rows: &ArrowSchema) -> EngineResult<SchemaRef> {
        let mut fields: Vec<Field> = Vec::new();
        for (i, key) in self.keys.iter().enumerate() {
            let data_type = rows.field_with_name(key)?.data_type().clone();
            fields.push(Field::new(key_name(i), data_type, true));
        }
        for output in &self.outputs {
            let values = rows.field_with_name(&output.column)?.data_type();
            let data_type = output.aggregate.output_type(values);
            fields.push(Field::new(&output.name, data_type, true));
        }
        Ok(Arc::new(ArrowSchema::new(fields)))
    }
}

#[derive(Debug)]
pub(crate) struct GroupTable {
    rows: LogicalPlan,
    spec: GroupSpec,
    schema: SchemaRef,
}

impl GroupTable {
    /// The groups of a plan whose columns are those of the specification.
    ///
    /// # Errors
    /// If a column is missing.
    pub(super) fn new(rows: LogicalPlan, spec: GroupSpec) -> EngineResult<GroupTable> {
        Ok(GroupTable {
            schema: spec.schema(rows.schema().as_arrow())?,
            spec,
            rows,
        })
    }

    /// The table of a scan, if it is one of groups.
    pub(crate) fn of(scan: &TableScan) -> Option<&GroupTable> {
        let source: &dyn Any = &*scan.source;
        let provider: &dyn Any = &*source.downcast_ref::<DefaultTableSource>()?.table_provider;
        provider.downcast_ref()
    }

    /// The rows with the columns that some columns of the groups need.
    pub(crate) fn rows(&self, projection: Option<&Vec<usize>>) -> EngineResult<LogicalPlan> {
        let keys = self.spec.keys.len();
        let projection = self.projection(projection);
        let outputs = projection.iter().filter(|column| **column >= keys);
        let outputs = outputs.map(|column| &self.spec.outputs[column - keys]);
        let columns = self.spec.input_columns(outputs);
        LogicalPlanBuilder::from(self.rows.clone())
            .project(columns.into_iter().map(ident))?
            .build()
    }

    fn projection(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        }
    }
}

#[async_trait]
impl TableProvider for GroupTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let rows = state.create_physical_plan(&self.rows(projection)?).await?;
        Ok(Arc::new(GroupExec::new(
            rows,
            self.spec.clone(),
            self.projection(projection),
        )?))
    }
}

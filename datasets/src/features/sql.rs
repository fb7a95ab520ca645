//! Scalar SQL over the columns of one row. The only file of the features that knows DataFusion.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility, cast};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionConfig;

use super::PlanError;
use super::error::nearest;
use crate::schema::{ColumnType, Schema};

/// What checking an expression tells about it.
pub(super) struct Checked {
    /// Type of its value.
    pub(super) kind: ColumnType,
    /// Columns it reads, in the order of the schema.
    pub(super) columns: Vec<String>,
}

/// An expression ready to run. Its value is a function of the row alone.
#[derive(Debug)]
pub(super) struct Compiled {
    feature: String,
    kind: ColumnType,
    expression: Arc<dyn PhysicalExpr>,
}

/// `name` as a quoted SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Parses and types an expression.
pub(super) fn check(feature: &str, sql: &str, schema: &Schema) -> Result<Checked, PlanError> {
    let columns = nullable(schema);
    let (expr, kind) = parse(feature, sql, &columns)?;
    let refs = expr.column_refs();
    let read = columns.fields().iter().map(|f| f.name()).filter(|n| refs.iter().any(|c| &c.name == *n));
    Ok(Checked { kind, columns: read.cloned().collect() })
}

/// Compiles an expression over the columns of `schema`, in their order.
pub(super) fn compile(feature: &str, sql: &str, schema: &Schema) -> Result<Compiled, PlanError> {
    let columns = nullable(schema);
    let (expr, kind) = parse(feature, sql, &columns)?;
    let fail = |e: DataFusionError| invalid(feature, &columns, &e);
    let table = DFSchema::try_from(columns.clone()).map_err(fail)?;
    let expression = SESSION.create_physical_expr(cast(expr, kind.arrow()), &table).map_err(fail)?;
    Ok(Compiled { feature: feature.into(), kind, expression })
}

impl Compiled {
    /// Type of the value.
    pub(super) fn kind(&self) -> ColumnType {
        self.kind
    }

    /// One value per row of `rows`, which has the columns it was compiled over. A row on which the
    /// expression fails has none; the others are not affected.
    pub(super) fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, PlanError> {
        let fail = |reason: String| PlanError::Evaluate { feature: self.feature.clone(), reason };
        let n_rows = rows.num_rows();
        match self.expression.evaluate(rows).and_then(|value| value.into_array(n_rows)) {
            Ok(values) if values.data_type() == &self.kind.arrow() => Ok(values),
            Ok(values) => {
                Err(fail(format!("it gave {} instead of {}", values.data_type(), self.kind.arrow())))
            }
            Err(_) if n_rows <= 1 => Ok(new_null_array(&self.kind.arrow(), n_rows)),
            Err(_) => {
                let half = n_rows / 2;
                let first = self.evaluate(&rows.slice(0, half))?;
                let second = self.evaluate(&rows.slice(half, n_rows - half))?;
                concat(&[&first, &second]).map_err(|e| fail(e.to_string()))
            }
        }
    }
}

/// Functions and planner; shared, since registering some two hundred functions takes a while.
static SESSION: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.enable_ident_normalization = false;
    SessionStateBuilder::new().with_config(config).with_default_features().build()
});

/// Every column may be missing: what was learned of a required column must not change the plan.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields =
        schema.arrow().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    Arc::new(ArrowSchema::new(fields))
}

fn parse(feature: &str, sql: &str, columns: &SchemaRef) -> Result<(Expr, ColumnType), PlanError> {
    let fail = |e: DataFusionError| invalid(feature, columns, &e);
    let table = DFSchema::try_from(columns.clone()).map_err(fail)?;
    let expr = SESSION.create_logical_expr(sql, &table).map_err(fail)?.unalias();
    refuse_more_than_one_row(feature, &expr)?;
    let typed = expr.get_type(&table).map_err(fail)?;
    let Some(kind) = kind_of(&typed) else {
        let reason = format!("its value is {typed}; make it a number, a bool, a string or a timestamp");
        return Err(PlanError::Feature { feature: feature.into(), reason });
    };
    // Compiling shows type errors that planning lets pass.
    SESSION.create_physical_expr(expr.clone(), &table).map_err(fail)?;
    Ok((expr, kind))
}

/// A feature is a function of one row: nothing that looks at other rows, at the clock or at chance.
fn refuse_more_than_one_row(feature: &str, expr: &Expr) -> Result<(), PlanError> {
    let mut reason = None;
    let _ = expr.apply(|node| {
        reason = match node {
            Expr::AggregateFunction(_) => {
                Some("an aggregate over rows; a SQL feature sees one row".to_owned())
            }
            Expr::WindowFunction(_) => Some("a window over rows; a SQL feature sees one row".to_owned()),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                Some("a subquery; a SQL feature sees one row".to_owned())
            }
            Expr::ScalarFunction(f) if f.func.signature().volatility != Volatility::Immutable => {
                Some(format!(
                    "{}(), which does not depend on the row alone; use the columns instead",
                    f.func.name()
                ))
            }
            _ => None,
        };
        Ok(if reason.is_some() {
            datafusion::common::tree_node::TreeNodeRecursion::Stop
        } else {
            datafusion::common::tree_node::TreeNodeRecursion::Continue
        })
    });
    match reason {
        Some(what) => {
            Err(PlanError::Feature { feature: feature.into(), reason: format!("it contains {what}") })
        }
        None => Ok(()),
    }
}

fn kind_of(typed: &DataType) -> Option<ColumnType> {
    Some(match typed {
        DataType::Boolean => ColumnType::Bool,
        t if t.is_integer() => ColumnType::Int64,
        t if t.is_floating() || t.is_decimal() => ColumnType::Float64,
        DataType::Null => ColumnType::Float64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::String,
        DataType::Dictionary(_, value) => return kind_of(value),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => ColumnType::Timestamp,
        _ => return None,
    })
}

fn invalid(feature: &str, columns: &SchemaRef, error: &DataFusionError) -> PlanError {
    if let DataFusionError::SchemaError(inner, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, .. } = inner.as_ref()
    {
        let known = columns.fields().iter().map(|f| f.name().as_str());
        let nearest = nearest(&field.name, known);
        return PlanError::UnknownColumn { feature: feature.into(), name: field.name.clone(), nearest };
    }
    let text = error.find_root().strip_backtrace();
    let reason = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    PlanError::Feature { feature: feature.into(), reason: format!("its SQL cannot be used: {reason}") }
}

/// A SQL condition on one row.
#[derive(Debug)]
pub(crate) struct RowFilter {
    compiled: Compiled,
    columns: SchemaRef,
}

impl RowFilter {
    /// Compiles a condition over the columns of `schema`.
    pub(crate) fn compile(sql: &str, schema: &Schema) -> Result<Self, PlanError> {
        let compiled = compile("condition", sql, schema)?;
        if compiled.kind != ColumnType::Bool {
            let reason = "it is no condition; write one, such as amount > 0".into();
            return Err(PlanError::Feature { feature: "condition".into(), reason });
        }
        Ok(Self { compiled, columns: nullable(schema) })
    }

    /// Whether each row meets the condition, null where that is unknown. `rows` has the columns of
    /// the schema in their order.
    pub(crate) fn mask(&self, rows: &RecordBatch) -> Result<BooleanArray, PlanError> {
        let fail = |e: arrow::error::ArrowError| PlanError::Evaluate {
            feature: "condition".into(),
            reason: e.to_string(),
        };
        let rows = RecordBatch::try_new(self.columns.clone(), rows.columns().to_vec()).map_err(fail)?;
        let mask = self.compiled.evaluate(&rows)?;
        Ok(mask.as_boolean().clone())
    }
}

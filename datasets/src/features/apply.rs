use std::collections::HashMap;
use std::fmt::Write;

use arrow::record_batch::RecordBatch;

use super::plan::{FittedPlan, NumericStep, Scale};
use super::quantile::QuantileMap;
use super::reader::{Reader, Values};
use super::{FeatureBatch, PlanError};
use crate::schema::ColumnType;

/// Rows worked on together: their output stays in the second-level cache while the features pass
/// over it one by one, and each feature's knots stay in the first.
const BLOCK: usize = 1024;

/// A fitted plan ready to run: SQL compiled, columns resolved. Thread-safe; `apply` never blocks.
#[derive(Debug)]
pub struct CompiledPlan {
    fitted: FittedPlan,
    reader: Reader,
    numeric: Vec<NumericOp>,
    categorical: Vec<CategoricalOp>,
}

impl CompiledPlan {
    pub(super) fn new(fitted: FittedPlan) -> Result<Self, PlanError> {
        let reader = Reader::new(&fitted.input, &fitted.sql)?;
        let mut numeric = fitted
            .numeric
            .iter()
            .enumerate()
            .map(|(column, feature)| {
                let (source, kind) = source(&reader, &feature.name, &feature.source)?;
                Ok(NumericOp { source, kind, column, step: Step::new(&feature.name, &feature.step)? })
            })
            .collect::<Result<Vec<_>, PlanError>>()?;
        // Features of one source follow each other: its numbers are taken out once.
        numeric.sort_by_key(|op| op.source);
        let categorical = fitted
            .categorical
            .iter()
            .map(|feature| {
                let (source, kind) = source(&reader, &feature.name, &feature.name)?;
                Ok(CategoricalOp { source, kind, codes: Codes::new(kind, &feature.categories) })
            })
            .collect::<Result<Vec<_>, PlanError>>()?;
        Ok(Self { fitted, reader, numeric, categorical })
    }

    /// The plan it was compiled from.
    pub fn fitted(&self) -> &FittedPlan {
        &self.fitted
    }

    /// Validated rows (schema [`FittedPlan::input`], extra columns ignored) to model input.
    /// A row's result depends on that row alone.
    pub fn apply(&self, rows: &RecordBatch) -> Result<FeatureBatch, PlanError> {
        let mut out = FeatureBatch::default();
        self.apply_into(rows, &mut out)?;
        Ok(out)
    }

    /// [`CompiledPlan::apply`] into a batch whose memory is used again.
    pub fn apply_into(&self, rows: &RecordBatch, out: &mut FeatureBatch) -> Result<(), PlanError> {
        let arrays = self.reader.read(rows)?;
        out.n_rows = rows.num_rows();
        out.n_numeric = self.numeric.len();
        out.n_categorical = self.categorical.len();
        out.numeric.clear();
        out.numeric.resize(out.n_rows * out.n_numeric, 0.0);
        out.categorical.clear();
        out.categorical.resize(out.n_rows * out.n_categorical, 0);
        let mut scratch = Scratch { taken: [0.0; BLOCK], mapped: [0.0; BLOCK] };
        for start in (0..out.n_rows).step_by(BLOCK) {
            let n = BLOCK.min(out.n_rows - start);
            let mut taken = None;
            for op in &self.numeric {
                if taken != Some(op.source) {
                    Values::of(&arrays[op.source], op.kind).numbers(start, &mut scratch.taken[..n]);
                    taken = Some(op.source);
                }
                let rows = &mut out.numeric[start * out.n_numeric..(start + n) * out.n_numeric];
                op.step.run(&scratch.taken[..n], &mut scratch.mapped[..n], |i, z| {
                    rows[i * self.numeric.len() + op.column] = z
                });
            }
        }
        for (column, op) in self.categorical.iter().enumerate() {
            let values = Values::of(&arrays[op.source], op.kind);
            let n_categorical = self.categorical.len();
            op.codes.run(&values, |i, code| out.categorical[i * n_categorical + column] = code);
        }
        Ok(())
    }
}

fn source(reader: &Reader, feature: &str, name: &str) -> Result<(usize, ColumnType), PlanError> {
    reader.source(name).ok_or_else(|| PlanError::Feature {
        feature: feature.into(),
        reason: format!("the plan does not say where {name} comes from; the plan file is damaged"),
    })
}

struct Scratch {
    taken: [f64; BLOCK],
    mapped: [f64; BLOCK],
}

#[derive(Debug)]
struct NumericOp {
    source: usize,
    kind: ColumnType,
    column: usize,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Missing,
    Constant,
    Raw { clip: [f64; 2] },
    Value { impute: f64, clip: [f64; 2], scale: ReadyScale },
}

#[derive(Debug)]
enum ReadyScale {
    None,
    Standard { mean: f64, sd: f64 },
    Quantile(QuantileMap),
}

impl Step {
    fn new(feature: &str, step: &NumericStep) -> Result<Self, PlanError> {
        let fail = |reason: &str| Err(PlanError::Feature { feature: feature.into(), reason: reason.into() });
        let (NumericStep::Value { clip, .. } | NumericStep::Raw { clip }) = step else {
            return Ok(Self::Missing);
        };
        let clip = clip.unwrap_or([f64::MIN, f64::MAX]);
        if clip.iter().any(|c| c.is_nan()) || clip[0] > clip[1] {
            return fail("its clip limits are not numbers; the plan file is damaged");
        }
        let NumericStep::Value { impute, scale, .. } = step else { return Ok(Self::Raw { clip }) };
        if !impute.is_finite() {
            return fail("its impute value is not a number; the plan file is damaged");
        }
        let scale = match scale {
            Scale::Constant => return Ok(Self::Constant),
            Scale::None => ReadyScale::None,
            Scale::Standard { mean, sd } if mean.is_finite() && *sd > 0.0 => {
                ReadyScale::Standard { mean: *mean, sd: *sd }
            }
            Scale::Quantile { quantiles }
                if quantiles.len() >= 2
                    && quantiles.is_sorted()
                    && quantiles.iter().all(|q| q.is_finite()) =>
            {
                ReadyScale::Quantile(QuantileMap::new(quantiles))
            }
            _ => return fail("its scale is not usable; the plan file is damaged"),
        };
        Ok(Self::Value { impute: *impute, clip, scale })
    }

    /// Numbers (NaN: missing) to model input, each with its index to `put`.
    fn run(&self, taken: &[f64], mapped: &mut [f64], mut put: impl FnMut(usize, f32)) {
        let limit = f64::from(f32::MAX);
        let (impute, clip, scale) = match self {
            Self::Value { impute, clip, scale } => (impute, clip, scale),
            Self::Raw { clip } => {
                let raw = |x: f64| x.clamp(clip[0], clip[1]).clamp(-limit, limit) as f32;
                return taken.iter().enumerate().for_each(|(i, x)| put(i, raw(*x)));
            }
            Self::Missing => {
                return taken.iter().enumerate().for_each(|(i, x)| put(i, f32::from(u8::from(x.is_nan()))));
            }
            Self::Constant => return,
        };
        for (out, x) in mapped.iter_mut().zip(taken) {
            let x = if x.is_nan() { *impute } else { *x };
            *out = x.clamp(clip[0], clip[1]);
        }
        match scale {
            ReadyScale::None => {}
            ReadyScale::Standard { mean, sd } => mapped.iter_mut().for_each(|x| *x = (*x - mean) / sd),
            ReadyScale::Quantile(map) => map.map(mapped),
        }
        mapped.iter().enumerate().for_each(|(i, z)| put(i, z.clamp(-limit, limit) as f32));
    }
}

#[derive(Debug)]
struct CategoricalOp {
    source: usize,
    kind: ColumnType,
    codes: Codes,
}

const MISSING: u32 = 0;
const UNKNOWN: u32 = 1;

/// Codes by category, in the type of the source.
#[derive(Debug)]
enum Codes {
    Texts(HashMap<Box<str>, u32>),
    Ints(HashMap<i64, u32>),
    Bools([u32; 2]),
}

impl Codes {
    fn new(kind: ColumnType, categories: &[String]) -> Self {
        let coded = || categories.iter().zip(UNKNOWN + 1..);
        match kind {
            ColumnType::Bool => {
                let code =
                    |text: &str| coded().find(|(c, _)| c.as_str() == text).map_or(UNKNOWN, |(_, code)| code);
                Self::Bools([code("false"), code("true")])
            }
            ColumnType::Int64 => {
                Self::Ints(coded().filter_map(|(c, code)| Some((c.parse().ok()?, code))).collect())
            }
            _ => Self::Texts(coded().map(|(c, code)| (c.as_str().into(), code)).collect()),
        }
    }

    fn run(&self, values: &Values<'_>, mut put: impl FnMut(usize, u32)) {
        match (self, values) {
            (Self::Bools(codes), Values::Bool(a)) => {
                a.iter().enumerate().for_each(|(i, v)| put(i, v.map_or(MISSING, |v| codes[usize::from(v)])));
            }
            (Self::Ints(codes), Values::Int(a)) => {
                let code = |v: i64| codes.get(&v).copied().unwrap_or(UNKNOWN);
                a.iter().enumerate().for_each(|(i, v)| put(i, v.map_or(MISSING, code)));
            }
            (Self::Texts(codes), Values::Text(a)) => {
                let code = |v: &str| codes.get(v).copied().unwrap_or(UNKNOWN);
                a.iter().enumerate().for_each(|(i, v)| put(i, v.map_or(MISSING, code)));
            }
            (Self::Texts(codes), Values::Float(a)) => {
                let mut text = String::new();
                for (i, v) in a.iter().enumerate() {
                    put(
                        i,
                        v.filter(|v| v.is_finite()).map_or(MISSING, |v| {
                            text.clear();
                            let _ = write!(text, "{v}");
                            codes.get(text.as_str()).copied().unwrap_or(UNKNOWN)
                        }),
                    );
                }
            }
            // A source of another type does not pass the check of the plan.
            (_, Values::Bool(_) | Values::Int(_) | Values::Float(_) | Values::Text(_) | Values::Time(_)) => {}
        }
    }
}

use std::path::PathBuf;

use cupola_datasets::features::FeatureTable;
use cupola_datasets::lake::ScanOptions;
use cupola_models::Bundle;
use cupola_models::Scores;
use cupola_models::bundle::{BundleParts, Provenance};
use cupola_models::predict::{Predictor, Task};
use cupola_monitoring::drift::ReferenceProfile;
use cupola_training::metrics::{self, Evaluation, Predictions};
use cupola_training::split::Part;
use cupola_training::trainer::Epoch;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::features::Featured;
use super::importance::{self, FeatureImportance};
use super::observer::Stage;
use super::prepare::Prepared;
use super::run::Context;
use super::store::address;
use super::train::{Model, Trained};

/// Result of the evaluate stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// The bundle, not yet registered.
    pub bundle: PathBuf,
    /// Judgement on the test rows, or on the validation rows where there are no test rows.
    pub evaluation: Evaluation,
    /// Part that was judged.
    pub part: Part,
    /// Epochs of the training, for the report.
    pub history: Vec<Epoch>,
    /// What each feature does for the model, the most important first.
    #[serde(default)]
    pub importance: Vec<FeatureImportance>,
    /// The page a person reads.
    pub report: Option<PathBuf>,
}

impl Evaluated {
    /// Metrics by the keys of a run, such as `test/pr_auc`.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let values = self.evaluation.values.iter();
        values.map(|(name, value)| (format!("{}/{name}", self.part.name()), *value)).collect()
    }

    /// One line for a person.
    pub fn text(&self) -> String {
        let values: Vec<String> =
            self.evaluation.values.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        format!("on the {} part: {}", self.part.name(), values.join(", "))
    }
}

/// Scores the held-out rows with the predictor that will serve, and writes the bundle.
pub fn run(
    context: &Context<'_>,
    prepared: &Prepared,
    featured: &Featured,
    trained: &Trained,
) -> Result<(Evaluated, bool), RunError> {
    let p = &context.pipeline;
    let address =
        address(&(&featured.features, &trained.weights, &trained.shape, &p.evaluate, &prepared.clean))?;
    if let Some(result) =
        context.store.get::<Evaluated>(Stage::Evaluate, &address).filter(|e| e.bundle.exists())
    {
        return Ok((result, true));
    }
    context.allow(Stage::Evaluate)?;
    let model = Model::load(trained)?;
    let predictor = model.parts().predictor(&featured.task).map_err(RunError::training)?;
    let judge = Judge { context, featured, model: &*predictor };
    let finished = |judged: Judged, part: Part, threshold: Option<f64>| {
        let importance = importance::of(context, featured, (&model, &*predictor), part)?;
        finish(context, prepared, featured, trained, &model, &address, (judged, part, threshold, importance))
    };
    let mut threshold = None;
    // The threshold is set on validation rows; the test rows only judge it.
    if featured.n_validation > 0 {
        let validation = judge.part(Part::Validation, None)?;
        threshold = validation.evaluation.threshold;
        if featured.n_test == 0 {
            return finished(validation, Part::Validation, threshold);
        }
    }
    let evaluation = judge.part(Part::Test, threshold)?;
    finished(evaluation, Part::Test, threshold)
}

/// A part's scores and what they are worth.
struct Judged {
    evaluation: Evaluation,
    scores: Scores,
}

struct Judge<'a> {
    context: &'a Context<'a>,
    featured: &'a Featured,
    model: &'a dyn Predictor,
}

impl Judge<'_> {
    fn part(&self, part: Part, threshold: Option<f64>) -> Result<Judged, RunError> {
        let options = ScanOptions { part: Some(("part".into(), part.name().into())), ..Default::default() };
        let mut scores = Scores { n_outputs: self.featured.task.n_outputs(), values: Vec::new() };
        let (mut labels, mut weights, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for batch in self.context.lake.scan(&self.featured.features, options)? {
            let rows = FeatureTable::decode(&self.featured.plan, &batch?)?;
            let scored = self.model.predict(&rows.features).map_err(RunError::training)?;
            scores.values.extend(scored.values);
            labels.extend(rows.labels);
            weights.extend(rows.weights.into_iter().flatten());
            groups.extend(rows.groups.into_iter().flatten());
            let total = self.featured.n_test.max(self.featured.n_validation);
            self.context.observer.progress(
                Stage::Evaluate,
                labels.len() as u64,
                Some(total),
                "rows",
                part.name(),
            );
        }
        let (weights, groups) =
            ((!weights.is_empty()).then_some(&weights[..]), (!groups.is_empty()).then_some(&groups[..]));
        let predictions = Predictions { scores: &scores, labels: &labels, weights, groups };
        let settings = &self.context.pipeline.evaluate;
        let evaluation = metrics::evaluate_at(&self.featured.task, predictions, settings, threshold)
            .map_err(|error| RunError::Data(format!("the {} part cannot be judged: {error}", part.name())))?;
        Ok(Judged { evaluation, scores })
    }
}

fn finish(
    context: &Context<'_>,
    prepared: &Prepared,
    featured: &Featured,
    trained: &Trained,
    model: &Model,
    address: &str,
    (judged, part, threshold, importance): (Judged, Part, Option<f64>, Vec<FeatureImportance>),
) -> Result<(Evaluated, bool), RunError> {
    let folder = context.store.folder(Stage::Evaluate, address)?;
    let bundle = folder.join("bundle");
    // Left by a run that was killed after writing it.
    if bundle.exists() {
        std::fs::remove_dir_all(&bundle).map_err(|source| RunError::Io { path: bundle.clone(), source })?;
    }
    let Judged { evaluation, scores } = judged;
    let reference = ReferenceProfile::new(prepared.profile.clone(), &scores.values, scores.n_outputs);
    let profile = serde_json::to_value(&reference).map_err(RunError::data)?;
    let parts = BundleParts {
        name: context.pipeline.name.clone(),
        model: model.parts(),
        plan: &featured.plan,
        profile,
        task: featured.task.clone(),
        identity: context.pipeline.schema.identity(),
        provenance: provenance(context, featured)?,
        metrics: evaluation.values.clone(),
        threshold: threshold.filter(|_| matches!(featured.task, Task::Binary { .. })),
    };
    Bundle::write(parts, &bundle)?;
    let result = Evaluated {
        bundle,
        evaluation,
        part,
        history: trained.history.clone(),
        importance,
        report: Some(folder.join("report.html")),
    };
    context.store.put(Stage::Evaluate, address, &result)?;
    Ok((result, false))
}

fn provenance(context: &Context<'_>, featured: &Featured) -> Result<Provenance, RunError> {
    Ok(Provenance {
        pipeline_hash: address(context.pipeline)?,
        table: Some(featured.features.clone()),
        code_commit: code_commit(context.base_dir),
        cupola_version: env!("CARGO_PKG_VERSION").into(),
        run_id: context.run_id.to_owned(),
        seed: context.pipeline.train.seed,
        device: context.device,
        created: rfc3339(context.now_micros),
    })
}

/// Commit of the repository the pipeline file is in, if it is in one and git is there.
fn code_commit(folder: &std::path::Path) -> Option<String> {
    let output =
        std::process::Command::new("git").arg("-C").arg(folder).args(["rev-parse", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Time as RFC 3339 in UTC, to the second.
pub fn rfc3339(micros: i64) -> String {
    use arrow::array::temporal_conversions::timestamp_us_to_datetime;
    timestamp_us_to_datetime(micros)
        .map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

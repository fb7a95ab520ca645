//! What the types of the pipeline file cannot say. No I/O.

use cupola_datasets::features::Normalise;
use cupola_models::mlp::MlpConfig;
use cupola_models::predict::TaskKind;
use cupola_models::trees::GbdtConfig;
use cupola_training::metrics::metric_names;
use cupola_training::split::SplitKind;
use cupola_training::trainer::TrainConfig;

use super::config::{ModelConfig, Pipeline};
use super::load::nearest;

/// A contradiction, with the key it is at.
pub struct Finding {
    pub key: String,
    pub message: String,
    pub help: Option<String>,
}

/// All contradictions of a pipeline.
pub fn check(pipeline: &Pipeline) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    check_name(pipeline, &mut findings);
    check_columns(pipeline, &mut findings);
    check_split(pipeline, &mut findings);
    check_model(pipeline, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, key: impl Into<String>, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.0.push(Finding { key: key.into(), message: message.into(), help: help.into() });
    }
}

fn check_name(pipeline: &Pipeline, findings: &mut Findings) {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if pipeline.name.is_empty() || pipeline.name.starts_with('.') || !pipeline.name.chars().all(ok) {
        findings.push(
            "name",
            format!("{:?} cannot name a model", pipeline.name),
            Some("use letters, digits, `-`, `_` and `.`, not starting with a dot".into()),
        );
    }
    if !(0.0..=1.0).contains(&pipeline.max_quarantined) {
        findings.push("max_quarantined", "the share must be between 0 and 1", None);
    }
}

fn check_columns(pipeline: &Pipeline, findings: &mut Findings) {
    let schema = &pipeline.schema;
    if schema.label.is_none() {
        findings.push(
            "schema.label",
            "no label: the schema does not say which column to learn",
            Some("add `label = \"COLUMN\"` under [schema]".into()),
        );
    }
    // Without declared columns the schema is inferred from the source when the run starts.
    if schema.columns.is_empty() {
        return;
    }
    let known = |name: &str| schema.columns.contains_key(name) || pipeline.features.sql.contains_key(name);
    let mut references: Vec<(String, &str)> = Vec::new();
    references.extend(schema.label.iter().map(|c| ("schema.label".into(), c.as_str())));
    references.extend(schema.time.iter().map(|c| ("schema.time".into(), c.as_str())));
    references.extend(schema.weight.iter().map(|c| ("schema.weight".into(), c.as_str())));
    references.extend(schema.group.iter().map(|c| ("schema.group".into(), c.as_str())));
    references.extend(schema.key.iter().map(|c| ("schema.key".into(), c.as_str())));
    references.extend(pipeline.split.by.iter().map(|c| ("split.by".into(), c.as_str())));
    references
        .extend(pipeline.features.numeric.iter().flatten().map(|c| ("features.numeric".into(), c.as_str())));
    references.extend(
        pipeline.features.categorical.iter().flatten().map(|c| ("features.categorical".into(), c.as_str())),
    );
    references.extend(pipeline.prepare.impute.keys().map(|c| (format!("prepare.impute.{c}"), c.as_str())));
    references.extend(pipeline.prepare.clip.keys().map(|c| (format!("prepare.clip.{c}"), c.as_str())));
    for (key, column) in references {
        if known(column) {
            continue;
        }
        let names = schema.columns.keys().chain(pipeline.features.sql.keys()).map(String::as_str);
        let help = match nearest(column, names) {
            Some(name) => format!("did you mean `{name}`? Declare other columns under [schema.columns]"),
            None => "declare it under [schema.columns]".into(),
        };
        findings.push(key, format!("there is no column `{column}`"), Some(help));
    }
    if let Some(label) = &schema.label {
        let lists =
            [("numeric", &pipeline.features.numeric), ("categorical", &pipeline.features.categorical)];
        for (list, names) in lists {
            if names.as_ref().is_some_and(|names| names.contains(label)) {
                findings.push(
                    format!("features.{list}"),
                    format!("the label `{label}` cannot be a feature: it is what the model learns"),
                    Some(format!("take `{label}` out of the list")),
                );
            }
        }
    }
}

fn check_split(pipeline: &Pipeline, findings: &mut Findings) {
    let split = &pipeline.split;
    for (key, share) in [("split.validation", split.validation), ("split.test", split.test)] {
        if !(0.0..1.0).contains(&share) {
            findings.push(key, "a share must be at least 0 and below 1", None);
        }
    }
    if split.validation + split.test >= 1.0 {
        findings.push(
            "split",
            "validation and test leave no rows to train on",
            Some("their sum must be below 1".into()),
        );
    }
    match split.kind {
        Some(SplitKind::Time) if pipeline.schema.time.is_none() => findings.push(
            "split.kind",
            "a time split needs the column with the event time",
            Some("add `time = \"COLUMN\"` under [schema]".into()),
        ),
        Some(SplitKind::Group) if split.by.is_none() && pipeline.schema.group.is_none() => findings.push(
            "split.kind",
            "a group split needs the column whose rows stay together",
            Some("add `by = \"COLUMN\"` under [split]".into()),
        ),
        _ => {}
    }
}

fn check_ranking(pipeline: &Pipeline, findings: &mut Findings) {
    let (ranks, has_lists) = (pipeline.task == Some(TaskKind::Ranking), pipeline.schema.group.is_some());
    if ranks && !has_lists {
        findings.push(
            "task",
            "a ranking needs lists of rows",
            Some("name the column that is equal within a list: `group = \"COLUMN\"` under [schema]".into()),
        );
    }
    if ranks && matches!(pipeline.split.kind, Some(SplitKind::Random | SplitKind::Stratified)) {
        findings.push(
            "split.kind",
            "the lists of a ranking stay whole",
            Some("use `group` or `time`, or leave it out".into()),
        );
    }
    if ranks && pipeline.split.by.is_some() {
        findings.push("split.by", "a ranking keeps its lists together", Some("leave it out".into()));
    }
    if has_lists && !ranks {
        findings.push(
            "schema.group",
            "lists of rows are for rankings only",
            Some("add `task = \"ranking\"`; to keep rows together in a split, use `split.by`".into()),
        );
    }
    if ranks && matches!(pipeline.model, ModelConfig::Mlp(_)) {
        findings.push("model.kind", "a network does not rank", Some("use `kind = \"gbdt\"`".into()));
    }
}

fn check_model(pipeline: &Pipeline, findings: &mut Findings) {
    check_ranking(pipeline, findings);
    match &pipeline.model {
        ModelConfig::Mlp(mlp) => check_mlp(mlp, pipeline, findings),
        ModelConfig::Gbdt(gbdt) => check_gbdt(gbdt, pipeline, findings),
    }
}

fn check_mlp(mlp: &MlpConfig, pipeline: &Pipeline, findings: &mut Findings) {
    if pipeline.features.normalise == Some(Normalise::Raw) {
        findings.push(
            "features.normalise",
            "`raw` leaves missing numbers missing, which a network cannot read",
            Some("leave it out, or choose `quantile`, `standard` or `none`".into()),
        );
    }
    if mlp.hidden.contains(&0) {
        findings.push("model.hidden", "a layer needs at least one unit", None);
    }
    if !(0.0..1.0).contains(&mlp.dropout.unwrap_or(0.0)) {
        findings.push("model.dropout", "the share of dropped units must be at least 0 and below 1", None);
    }
    if pipeline.train.batch_rows == Some(0) {
        findings.push("train.batch_rows", "a step needs at least one row", None);
    }
    if pipeline.train.learning_rate <= 0.0 {
        findings.push("train.learning_rate", "the learning rate must be above 0", None);
    }
    if pipeline.train.epochs_max == 0 {
        findings.push("train.epochs_max", "at least one epoch is needed", None);
    }
}

fn check_gbdt(gbdt: &GbdtConfig, pipeline: &Pipeline, findings: &mut Findings) {
    for (key, expected) in gbdt.findings() {
        findings.push(format!("model.{key}"), format!("expected {expected}"), None);
    }
    if let (Some(objective), Some(task)) = (gbdt.objective, pipeline.task)
        && !objective.fits(task)
    {
        let message = format!("`{}` does not fit the task", objective.name());
        findings.push("model.objective", message, Some("leave it out: the task has a default".into()));
    }
    if pipeline.train.learning_rate != TrainConfig::default().learning_rate {
        let help = Some("write `learning_rate` under [model]".into());
        findings.push("train.learning_rate", "trees have their own learning rate", help);
    }
    let evaluated = pipeline.task.zip(gbdt.eval_metric.as_deref());
    if let Some((task, metric)) = evaluated
        && !metric_names(task).contains(&metric)
    {
        let known = metric_names(task).join(", ");
        findings.push(
            "model.eval_metric",
            format!("there is no metric `{metric}` here"),
            Some(format!("one of {known}")),
        );
    }
    if let Some(numeric) = &pipeline.features.numeric
        && let Some(margin) = gbdt.base_margin.as_ref().filter(|margin| !numeric.contains(margin))
    {
        let message = format!("`{margin}` is not a numeric feature");
        findings.push("model.base_margin", message, Some("add it to `features.numeric`".into()));
    }
}

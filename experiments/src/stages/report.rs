use std::fmt::Write;

use cupola_models::bundle::{self, GBDT, Manifest};
use cupola_models::predict::Task;
use cupola_training::metrics::CurvePoint;

use super::error::RunError;
use super::evaluate::Evaluated;
use super::plot::{COLOURS, Line, Plot, short};
use super::run::RunOutcome;
use super::store;

/// Writes the page a person reads after a run: metrics, curves, the course of the training.
pub fn write(evaluated: &Evaluated, outcome: &RunOutcome) -> Result<(), RunError> {
    let Some(path) = &evaluated.report else { return Ok(()) };
    let manifest = bundle::verify(&evaluated.bundle)?;
    store::write(path, page(&manifest, evaluated, outcome).as_bytes())
}

fn page(manifest: &Manifest, evaluated: &Evaluated, outcome: &RunOutcome) -> String {
    let version = outcome.registered.as_ref().map_or_else(String::new, |registered| {
        let alias =
            registered.alias.as_ref().map(|alias| format!(" ({})", escape(alias))).unwrap_or_default();
        format!(", version {}{alias}", registered.version)
    });
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}</title><style>{STYLE}</style><h1>{name}</h1>\
         <p>Model <code>{kind}</code>{version}. Run {run}, judged on the {part} part, {rows} rows.</p>",
        name = escape(&manifest.name),
        kind = escape(&manifest.kind),
        run = escape(&outcome.run_id),
        part = evaluated.part.name(),
        rows = evaluated.evaluation.n_rows,
    );
    page.push_str("<table><tr><th>metric</th><th>value</th></tr>");
    for (name, value) in &evaluated.evaluation.values {
        let _ = write!(page, "<tr><td>{}</td><td>{value:.5}</td></tr>", escape(name));
    }
    page.push_str("</table>");
    confusion(&mut page, manifest, evaluated);
    plots(&mut page, manifest, evaluated);
    importance(&mut page, evaluated);
    page.push_str("<h2>Stages</h2><table><tr><th>stage</th><th>seconds</th><th>what it did</th></tr>");
    for stage in &outcome.stages {
        let seconds = if stage.reused { "unchanged".to_owned() } else { format!("{:.2}", stage.seconds) };
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{seconds}</td><td>{}</td></tr>",
            stage.stage,
            escape(&stage.text)
        );
    }
    page.push_str("</table></html>");
    page
}

/// What the decision threshold does to the judged rows of a binary model.
fn confusion(page: &mut String, manifest: &Manifest, evaluated: &Evaluated) {
    let evaluation = &evaluated.evaluation;
    let (Some(threshold), Some(confusion)) = (evaluation.threshold, evaluation.confusion) else { return };
    let Task::Binary { classes } = &manifest.signature.task else { return };
    let [negative, positive] = classes.each_ref().map(|class| escape(class));
    let row = |class: &str, counts: [f64; 2]| {
        // Rows that have weights do not add up to whole numbers.
        let cells = counts.map(|n| if n.fract() == 0.0 { format!("{n}") } else { format!("{n:.1}") });
        format!("<tr><th>is {class}</th><td>{}</td><td>{}</td></tr>", cells[0], cells[1])
    };
    let _ = write!(
        page,
        "<h2>Decisions</h2><p>Decision threshold {threshold:.5}: a row that scores at least this is taken for {positive}.</p>\
         <table><tr><th></th><th>taken for {negative}</th><th>taken for {positive}</th></tr>\
         {}{}</table>",
        row(&negative, [confusion.true_negative, confusion.false_positive]),
        row(&positive, [confusion.false_negative, confusion.true_positive]),
    );
}

fn plots(page: &mut String, manifest: &Manifest, evaluated: &Evaluated) {
    let curves = &evaluated.evaluation.curves;
    let points =
        |curve: &[CurvePoint]| -> Vec<[f64; 2]> { curve.iter().map(|point| [point.x, point.y]).collect() };
    let calibration: Vec<[f64; 2]> =
        curves.calibration.iter().map(|bin| [bin.predicted, bin.observed]).collect();
    // Probabilities that come true as often as they say lie on the diagonal.
    let largest = calibration.iter().flatten().copied().fold(0.0, f64::max);
    let diagonal = if calibration.is_empty() { Vec::new() } else { vec![[0.0; 2], [largest; 2]] };
    let line = |value: fn(&cupola_training::trainer::Epoch) -> f64| -> Vec<[f64; 2]> {
        evaluated.history.iter().map(|epoch| [epoch.epoch as f64, value(epoch)]).collect()
    };
    let step = if manifest.kind == GBDT { "round" } else { "epoch" };
    page.push_str("<div class=\"plots\">");
    for plot in [
        Plot {
            title: "ROC",
            axes: ("false positive rate", "true positive rate"),
            lines: vec![Line::plain(points(&curves.roc))],
        },
        Plot {
            title: "Precision and recall",
            axes: ("recall", "precision"),
            lines: vec![Line::plain(points(&curves.pr))],
        },
        Plot {
            title: "Calibration",
            axes: ("predicted", "observed"),
            lines: vec![Line::plain(calibration), Line::guide(diagonal)],
        },
        Plot {
            title: "Loss",
            axes: (step, "loss"),
            lines: vec![
                Line::named("train", COLOURS[0], line(|epoch| epoch.train_loss)),
                Line::named("validation", COLOURS[1], line(|epoch| epoch.validation_loss)),
            ],
        },
    ] {
        plot.write(page);
    }
    page.push_str("</div>");
}

/// Features shown.
const FEATURES_MAX: usize = 20;

/// The most important features as bars, and what the trees say of them.
fn importance(page: &mut String, evaluated: &Evaluated) {
    let shown = &evaluated.importance[..evaluated.importance.len().min(FEATURES_MAX)];
    let largest = shown.iter().filter_map(|of| of.permutation).fold(0.0, f64::max);
    if largest <= 0.0 {
        return;
    }
    let has_trees = shown.iter().any(|of| of.gain.is_some());
    let metric = escape(&evaluated.evaluation.primary);
    let _ = write!(
        page,
        "<h2>Features</h2><p>What {metric} loses when a feature's values are shuffled among the judged rows.</p>\
         <table><tr><th>feature</th><th>loss of {metric}</th><th></th>{}</tr>",
        if has_trees { "<th>gain</th><th>cover</th>" } else { "" }
    );
    for of in shown {
        let loss = of.permutation.unwrap_or(0.0);
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{loss:.5}</td><td><svg viewBox=\"0 0 200 12\" style=\"width:200px;height:12px\">\
             <rect width=\"{:.1}\" height=\"12\" fill=\"{}\"/></svg></td>",
            escape(&of.feature),
            (loss / largest * 200.0).max(0.0),
            COLOURS[0],
        );
        for number in [of.gain, of.cover].into_iter().flatten() {
            let _ = write!(page, "<td>{}</td>", short(number));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse}td,th{padding:.25rem .75rem;border-bottom:1px solid #8884;text-align:left}\
.plots{display:flex;flex-wrap:wrap;gap:1rem;margin:1.5rem 0}figure{margin:0}svg{width:300px;height:260px}text{fill:currentColor;font-size:11px}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

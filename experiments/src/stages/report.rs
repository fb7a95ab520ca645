use std::fmt::Write;

use cupola_training::metrics::CurvePoint;

use super::error::RunError;
use super::evaluate::Evaluated;
use super::run::{Context, RunOutcome};
use super::store;

/// Writes the page a person reads after a run: metrics, curves, the course of the training.
pub fn write(context: &Context<'_>, evaluated: &Evaluated, outcome: &RunOutcome) -> Result<(), RunError> {
    let Some(path) = &evaluated.report else { return Ok(()) };
    store::write(path, page(context, evaluated, outcome).as_bytes())
}

fn page(context: &Context<'_>, evaluated: &Evaluated, outcome: &RunOutcome) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}</title><style>{STYLE}</style><h1>{name}</h1><p>Run {run}, judged on the {part} part.</p>",
        name = escape(&context.pipeline.name),
        run = escape(&outcome.run_id),
        part = evaluated.part.name(),
    );
    page.push_str("<table><tr><th>metric</th><th>value</th></tr>");
    for (name, value) in &evaluated.evaluation.values {
        let _ = write!(page, "<tr><td>{}</td><td>{value:.5}</td></tr>", escape(name));
    }
    page.push_str("</table><div class=\"plots\">");
    let curves = &evaluated.evaluation.curves;
    let points =
        |curve: &[CurvePoint]| -> Vec<[f64; 2]> { curve.iter().map(|point| [point.x, point.y]).collect() };
    let calibration: Vec<[f64; 2]> =
        curves.calibration.iter().map(|bin| [bin.predicted, bin.observed]).collect();
    plot(&mut page, "ROC", ("false positive rate", "true positive rate"), &[("", &points(&curves.roc))]);
    plot(&mut page, "Precision and recall", ("recall", "precision"), &[("", &points(&curves.pr))]);
    plot(&mut page, "Calibration", ("predicted", "observed"), &[("", &calibration)]);
    let line = |value: fn(&cupola_training::trainer::Epoch) -> f64| -> Vec<[f64; 2]> {
        evaluated.history.iter().map(|epoch| [epoch.epoch as f64, value(epoch)]).collect()
    };
    let (train, validation) = (line(|epoch| epoch.train_loss), line(|epoch| epoch.validation_loss));
    plot(&mut page, "Loss", ("epoch", "loss"), &[("train", &train), ("validation", &validation)]);
    page.push_str("</div>");
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

const COLOURS: [&str; 2] = ["#2f6fdf", "#d9822b"];

/// One line chart as inline SVG.
fn plot(page: &mut String, title: &str, (x_label, y_label): (&str, &str), lines: &[(&str, &[[f64; 2]])]) {
    let points = || {
        lines.iter().flat_map(|(_, points)| points.iter()).filter(|p| p[0].is_finite() && p[1].is_finite())
    };
    if points().count() == 0 {
        return;
    }
    let range = |axis: usize| {
        let (low, high) =
            points().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p[axis]), high.max(p[axis])));
        if high > low { (low, high) } else { (low - 0.5, high + 0.5) }
    };
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    let x = |value: f64| 45.0 + (value - x0) / (x1 - x0) * 240.0;
    let y = |value: f64| 215.0 - (value - y0) / (y1 - y0) * 185.0;
    let _ = write!(
        page,
        "<figure><svg viewBox=\"0 0 300 260\" role=\"img\" aria-label=\"{title}\"><text x=\"150\" y=\"16\" text-anchor=\"middle\">{title}</text>\
         <path d=\"M45 30V215H285\" fill=\"none\" stroke=\"currentColor\"/>\
         <text x=\"45\" y=\"230\">{x0}</text><text x=\"285\" y=\"230\" text-anchor=\"end\">{x1}</text>\
         <text x=\"165\" y=\"246\" text-anchor=\"middle\">{x_label}</text>\
         <text x=\"42\" y=\"215\" text-anchor=\"end\">{y0}</text><text x=\"42\" y=\"36\" text-anchor=\"end\">{y1}</text>\
         <text x=\"12\" y=\"125\" transform=\"rotate(-90 12 125)\" text-anchor=\"middle\">{y_label}</text>",
        x0 = short(x0),
        x1 = short(x1),
        y0 = short(y0),
        y1 = short(y1),
    );
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> = points
            .iter()
            .filter(|p| p[1].is_finite())
            .map(|p| format!("{:.1},{:.1}", x(p[0]), y(p[1])))
            .collect();
        let _ = write!(
            page,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        if !name.is_empty() {
            let at = 45 + 14 * index;
            let _ = write!(
                page,
                "<text x=\"280\" y=\"{at}\" text-anchor=\"end\" style=\"fill:{colour}\">{name}</text>"
            );
        }
    }
    page.push_str("</svg></figure>");
}

/// A number for an axis: about three digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if value.fract() == 0.0 || size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

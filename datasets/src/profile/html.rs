use std::fmt::Write;

use super::chart::{self, escape, number, whole};
use super::{ColumnProfile, ColumnRole, DataProfile, Measure};
use crate::schema::ColumnType;

/// Values drawn per column.
const VALUES_SHOWN: usize = 8;

/// The profile as one HTML page that needs nothing else: no script, no fonts, no network.
pub fn to_html(profile: &DataProfile) -> String {
    let mut page = String::with_capacity(64 * 1024);
    page.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Data profile</title>",
    );
    let _ = write!(page, "<style>{}</style></head><body><main>", include_str!("style.css"));
    heading(&mut page, profile);
    warnings(&mut page, profile);
    label(&mut page, profile);
    overview(&mut page, profile);
    page.push_str("<h2>Columns</h2><div class=\"cards\">");
    for (i, column) in profile.columns.iter().enumerate() {
        card(&mut page, i, column);
    }
    page.push_str("</div></main></body></html>\n");
    page
}

fn heading(page: &mut String, profile: &DataProfile) {
    let _ = write!(
        page,
        "<h1>Data profile</h1><p class=\"soft\">{} rows, {} columns",
        whole(profile.n_rows),
        profile.columns.len()
    );
    if profile.n_sampled < profile.n_rows {
        let _ = write!(page, "; quantiles and histograms from a sample of {} rows", whole(profile.n_sampled));
    }
    page.push_str("</p>");
}

fn warnings(page: &mut String, profile: &DataProfile) {
    if profile.warnings.is_empty() {
        return;
    }
    page.push_str("<h2>Worth a look</h2><ul class=\"warnings\">");
    for warning in &profile.warnings {
        let at = profile.columns.iter().position(|c| c.name == warning.column).unwrap_or_default();
        let _ = write!(
            page,
            "<li><a href=\"#c{at}\"><strong>{}</strong></a>: {}</li>",
            escape(&warning.column),
            escape(&warning.message)
        );
    }
    page.push_str("</ul>");
}

fn label(page: &mut String, profile: &DataProfile) {
    let Some(column) = profile.columns.iter().find(|c| c.role == ColumnRole::Label) else { return };
    let _ = write!(
        page,
        "<h2>Label: {}</h2><div class=\"cards\"><div class=\"card\">{}",
        escape(&column.name),
        charts(column)
    );
    page.push_str("</div></div>");
}

fn overview(page: &mut String, profile: &DataProfile) {
    page.push_str(
        "<h2>Overview</h2><div class=\"scroll\"><table><thead><tr><th>Column</th><th>Type</th><th>For</th>",
    );
    page.push_str(
        "<th>Missing</th><th class=\"n\">Distinct</th><th class=\"n\">Mean</th><th class=\"n\">Median</th>",
    );
    page.push_str("<th class=\"n\">Smallest</th><th class=\"n\">Largest</th><th class=\"n\">With label</th></tr></thead><tbody>");
    for (i, column) in profile.columns.iter().enumerate() {
        let _ = write!(page, "<tr><td><a href=\"#c{i}\">{}</a></td>", escape(&column.name));
        let _ = write!(page, "<td>{}</td><td>{}</td>", kind(column.kind), role(column.role));
        let missing = column.missing_share();
        let _ = write!(
            page,
            "<td>{}{:.1} %</td><td class=\"n\">{}</td>",
            chart::share(missing),
            100.0 * missing,
            distinct(column)
        );
        for text in numbers(column) {
            let _ = write!(page, "<td class=\"n\">{}</td>", escape(&text));
        }
        let _ = write!(page, "<td class=\"n\">{}</td></tr>", association(column));
    }
    page.push_str("</tbody></table></div>");
}

/// Mean, median, smallest, largest; empty where there is none.
fn numbers(column: &ColumnProfile) -> [String; 4] {
    let Some(n) = &column.numeric else { return Default::default() };
    let median = n.quantiles.iter().find(|q| q.order == 0.5).map_or(f64::NAN, |q| q.value);
    [n.mean, median, n.min, n.max].map(|x| chart::value(x, column.kind))
}

fn card(page: &mut String, i: usize, column: &ColumnProfile) {
    let _ = write!(
        page,
        "<section class=\"card\" id=\"c{i}\"><header><h3>{}</h3><span class=\"tag\">{} · {}</span></header>{}",
        escape(&column.name),
        kind(column.kind),
        role(column.role),
        charts(column)
    );
    page.push_str("<dl>");
    let mut facts = vec![
        ("rows", whole(column.count)),
        ("missing", whole(column.missing)),
        ("distinct", distinct(column)),
    ];
    if let Some(n) = column.numeric.as_ref().filter(|_| column.kind != ColumnType::Bool) {
        facts.push(("mean", chart::value(n.mean, column.kind)));
        if column.kind != ColumnType::Timestamp {
            facts.push(("sd", number(n.sd)));
        }
        for quantile in &n.quantiles {
            let name = match quantile.order {
                0.05 => "5 %",
                0.5 => "median",
                0.95 => "95 %",
                _ => continue,
            };
            facts.push((name, chart::value(quantile.value, column.kind)));
        }
    }
    if column.association.is_some() {
        facts.push(("with label", association(column)));
    }
    for (name, value) in facts {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    page.push_str("</dl></section>");
}

/// Values of what has few of them, the distribution of other numbers.
fn charts(column: &ColumnProfile) -> String {
    let few = column.distinct.count <= VALUES_SHOWN as u64 || column.kind == ColumnType::String;
    match &column.numeric {
        _ if column.count == 0 => "<p class=\"soft\">no values</p>".into(),
        _ if few && !column.top.is_empty() => chart::categories(&column.top, column.other, VALUES_SHOWN),
        Some(n) => chart::histogram(&n.histogram, column.kind),
        None => String::new(),
    }
}

fn distinct(column: &ColumnProfile) -> String {
    let about = if column.distinct.exact { "" } else { "≈ " };
    format!("{about}{}", whole(column.distinct.count))
}

fn association(column: &ColumnProfile) -> String {
    let Some(association) = column.association else { return String::new() };
    let name = match association.measure {
        Measure::Pearson => "r",
        Measure::CorrelationRatio => "η",
        Measure::CramersV => "V",
    };
    format!("{name} {:.3}", association.value)
}

fn kind(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bool => "bool",
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::String => "string",
        ColumnType::Timestamp => "timestamp",
    }
}

fn role(role: ColumnRole) -> &'static str {
    match role {
        ColumnRole::Feature => "feature",
        ColumnRole::Unused => "not used",
        ColumnRole::Label => "label",
        ColumnRole::Time => "event time",
        ColumnRole::Key => "key",
        ColumnRole::Weight => "weight",
    }
}

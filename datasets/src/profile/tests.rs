#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;

use super::{ColumnRole, DataProfile, Histogram, Measure, ProfileConfig, WarningKind, to_html};
use crate::schema::{Column, ColumnType, Schema};

fn schema(columns: &[(&str, ColumnType)]) -> Schema {
    let column = |kind| Column {
        kind,
        required: false,
        min: None,
        max: None,
        allowed: vec![],
        pattern: None,
        missing: vec![],
    };
    Schema {
        columns: columns.iter().map(|(n, kind)| ((*n).to_owned(), column(*kind))).collect(),
        ..Schema::default()
    }
}

fn table() -> (Schema, Vec<RecordBatch>) {
    let schema = Schema {
        time: Some("ts".into()),
        ..schema(&[
            ("ts", ColumnType::Timestamp),
            ("x", ColumnType::Float64),
            ("leak", ColumnType::Float64),
            ("city", ColumnType::String),
            ("n", ColumnType::Int64),
            ("constant", ColumnType::Int64),
            ("rare", ColumnType::Float64),
            ("name", ColumnType::String),
            ("label", ColumnType::Bool),
        ])
    };
    let batches = [0..600_i64, 600..1000]
        .into_iter()
        .map(|rows| {
            let rows = || rows.clone();
            RecordBatch::try_new(
                schema.arrow(),
                vec![
                    Arc::new(
                        TimestampMicrosecondArray::from_iter_values(rows().map(|i| i * 86_400_000_000))
                            .with_timezone("UTC"),
                    ),
                    Arc::new(rows().map(|i| (i % 10 != 0).then_some(i as f64)).collect::<Float64Array>()),
                    Arc::new(
                        rows().map(|i| Some(if i % 4 == 0 { 2.0 } else { -1.0 })).collect::<Float64Array>(),
                    ),
                    Arc::new(
                        rows()
                            .map(|i| Some(["Rome", "Oslo", "Oslo", "Bern"][(i % 4) as usize]))
                            .collect::<StringArray>(),
                    ),
                    Arc::new(rows().map(|i| Some(i % 5)).collect::<Int64Array>()),
                    Arc::new(rows().map(|_| Some(1)).collect::<Int64Array>()),
                    Arc::new(
                        rows().map(|i| (i % 3 == 0).then_some(0.5 * i as f64)).collect::<Float64Array>(),
                    ),
                    Arc::new(rows().map(|i| Some(format!("<script>{i}"))).collect::<StringArray>()),
                    Arc::new(rows().map(|i| Some(i % 4 == 0)).collect::<BooleanArray>()),
                ],
            )
            .unwrap()
        })
        .collect();
    (schema, batches)
}

fn profile_of(
    schema: &Schema,
    batches: Vec<RecordBatch>,
    label: Option<&str>,
    config: &ProfileConfig,
) -> DataProfile {
    DataProfile::compute_with(&mut batches.into_iter().map(Ok), schema, label, config).unwrap()
}

fn profile() -> DataProfile {
    let (schema, batches) = table();
    profile_of(&schema, batches, Some("label"), &ProfileConfig::default())
}

#[test]
fn counts_moments_and_quantiles_are_right() {
    let profile = profile();
    assert_eq!((profile.n_rows, profile.n_sampled), (1000, 1000));
    let x = profile.column("x").unwrap();
    assert_eq!((x.count, x.missing, x.distinct.count, x.distinct.exact), (900, 100, 900, true));
    // numpy of [i for i in range(1000) if i % 10]: mean 500, std 288.67224782903304
    let n = x.numeric.as_ref().unwrap();
    assert!(
        (n.mean - 500.0).abs() < 1e-9 && (n.sd - 288.672_247_829_033_04).abs() < 1e-9,
        "{} {}",
        n.mean,
        n.sd
    );
    assert_eq!((n.min, n.max), (1.0, 999.0));
    assert_eq!(n.quantiles.iter().find(|q| q.order == 0.5).unwrap().value, 500.0);
    assert_eq!(profile.column("ts").unwrap().role, ColumnRole::Time);
}

#[test]
fn histograms_hold_every_value_of_the_sample() {
    let profile = profile();
    let n = profile.column("x").unwrap().numeric.clone().unwrap();
    assert_eq!((n.histogram.counts.len(), n.histogram.counts.iter().sum::<u64>()), (32, 900));
    assert_eq!(n.deciles.counts, [90; 10]);
    let five = profile.column("n").unwrap().numeric.clone().unwrap();
    assert_eq!(five.histogram.edges, [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]);
    assert_eq!(five.histogram.counts, [200; 5]);
}

#[test]
fn a_value_outside_the_bins_counts_in_the_outermost() {
    let mut bins = Histogram { edges: vec![0.0, 1.0, 2.0], counts: vec![0, 0] };
    for x in [-5.0, 0.0, 0.99, 1.0, 2.0, 7.0] {
        bins.add(x);
    }
    assert_eq!(bins.counts, [3, 3]);
    assert_eq!(bins.shares(), [0.5, 0.5]);
}

#[test]
fn heavy_tails_and_ties_do_not_spoil_the_bins() {
    let schema = schema(&[("x", ColumnType::Float64)]);
    let values: Float64Array =
        (0..10_000).map(|i| Some(if i < 6_000 { 0.0 } else { (f64::from(i) / 400.0).exp() })).collect();
    let batch = RecordBatch::try_new(schema.arrow(), vec![Arc::new(values)]).unwrap();
    let profile = profile_of(&schema, vec![batch], None, &ProfileConfig::default());
    let n = profile.columns[0].numeric.clone().unwrap();
    for bins in [&n.histogram, &n.deciles] {
        assert!(bins.edges.windows(2).all(|w| w[0] < w[1]), "{:?}", bins.edges);
        assert_eq!(bins.counts.iter().sum::<u64>(), 10_000);
    }
    assert_eq!(n.deciles.counts.len(), 5); // six of ten deciles are 0
}

#[test]
fn top_values_come_with_the_mean_of_the_label() {
    let profile = profile();
    let city = profile.column("city").unwrap();
    let top: Vec<_> = city.top.iter().map(|c| (c.value.as_str(), c.count, c.label_mean)).collect();
    assert_eq!(top, [("Oslo", 500, Some(0.0)), ("Bern", 250, Some(0.0)), ("Rome", 250, Some(1.0))]);
    assert_eq!(city.other, 0);
    let name = profile.column("name").unwrap();
    assert_eq!((name.top.len(), name.other), (20, 980));
    let label: Vec<_> =
        profile.column("label").unwrap().top.iter().map(|c| (c.value.as_str(), c.count)).collect();
    assert_eq!(label, [("false", 750), ("true", 250)]);
}

#[test]
fn association_with_a_binary_label_is_right() {
    let profile = profile();
    let of = |name: &str| profile.column(name).unwrap().association.unwrap();
    assert_eq!(of("leak").measure, Measure::Pearson);
    assert!((of("leak").value - 1.0).abs() < 1e-12);
    // scipy.stats.pearsonr([i for i in range(1000) if i % 10], [i % 4 == 0 for ...]): 0.0005...
    assert!(of("x").value.abs() < 0.01);
    assert_eq!(of("city").measure, Measure::CorrelationRatio);
    assert!((of("city").value - 1.0).abs() < 1e-12);
    // Every name is unique: nothing is explained.
    assert!(profile.column("name").unwrap().association.is_none());
    assert!(profile.column("label").unwrap().association.is_none());
}

#[test]
fn association_with_classes_is_right() {
    let schema = schema(&[("x", ColumnType::Float64), ("c", ColumnType::String), ("y", ColumnType::String)]);
    let y: Vec<&str> = (0..300).map(|i| ["a", "b", "c"][i % 3]).collect();
    let batch = RecordBatch::try_new(
        schema.arrow(),
        vec![
            Arc::new((0..300).map(|i| Some((i % 3) as f64)).collect::<Float64Array>()),
            Arc::new((0..300).map(|i| Some(["u", "v"][usize::from(i % 3 == 0)])).collect::<StringArray>()),
            Arc::new(StringArray::from(y)),
        ],
    )
    .unwrap();
    let profile = profile_of(&schema, vec![batch], Some("y"), &ProfileConfig::default());
    let of = |name: &str| profile.column(name).unwrap().association.unwrap();
    assert_eq!(of("x").measure, Measure::CorrelationRatio);
    assert!((of("x").value - 1.0).abs() < 1e-12);
    assert_eq!(of("c").measure, Measure::CramersV);
    assert!((of("c").value - 1.0).abs() < 0.01, "{}", of("c").value);
}

#[test]
fn warnings_name_what_is_odd() {
    let profile = profile();
    let found: Vec<_> = profile.warnings.iter().map(|w| (w.column.as_str(), w.kind)).collect();
    assert_eq!(
        found,
        [
            ("leak", WarningKind::SuspiciouslyPredictive),
            ("city", WarningKind::SuspiciouslyPredictive),
            ("constant", WarningKind::Constant),
            ("rare", WarningKind::MostlyMissing),
            ("name", WarningKind::Identifier),
        ]
    );
}

#[test]
fn texts_and_running_numbers_of_their_own_are_identifiers() {
    let schema = schema(&[
        ("running", ColumnType::Int64),
        ("shuffled", ColumnType::Int64),
        ("cents", ColumnType::Int64),
        ("code", ColumnType::String),
        ("half", ColumnType::String),
    ]);
    let ints = |value: fn(i64) -> i64| Arc::new((0..1_009).map(|i| Some(value(i))).collect::<Int64Array>());
    let texts = |n: i64| Arc::new((0..1_009).map(|i| Some(format!("t{}", i % n))).collect::<StringArray>());
    let batch = RecordBatch::try_new(
        schema.arrow(),
        vec![
            ints(|i| 10_000 * i),
            // 1,009 is a prime: every number once.
            ints(|i| i * 500 % 1_009),
            ints(|i| i * 500 % 1_009 * 977),
            texts(1_009),
            texts(500),
        ],
    )
    .unwrap();
    let profile = profile_of(&schema, vec![batch], None, &ProfileConfig::default());
    let found = |profile: &DataProfile| -> Vec<(String, WarningKind)> {
        profile.warnings.iter().map(|w| (w.column.clone(), w.kind)).collect()
    };
    let is = |name: &str| (name.to_owned(), WarningKind::Identifier);
    assert_eq!(found(&profile), [is("running"), is("shuffled"), is("code")]);

    let profile = profile.with_features(|name| name != "running");
    assert_eq!(found(&profile), [is("shuffled"), is("code")]);
    assert_eq!(profile.column("running").unwrap().role, ColumnRole::Unused);
    assert!(to_html(&profile).contains("int64 · not used"));
}

/// Ends of the texts of a page's charts, by the widths of characters in DejaVu Sans at 11 pixels.
fn ends_of_texts(page: &str) -> Vec<(f64, f64)> {
    let attribute = |text: &str, name: &str| -> Option<String> {
        text.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value.to_owned())
    };
    let of_text = |text: &str| {
        let (tag, rest) = text.split_once('>').unwrap();
        let shown = rest.split_once('<').unwrap().0;
        let x: f64 = attribute(tag, " x").unwrap().parse().unwrap();
        let width: f64 = shown.chars().map(width_of).sum();
        match attribute(tag, "text-anchor").as_deref() {
            Some("end") => (x - width, x),
            Some("middle") => (x - width / 2.0, x + width / 2.0),
            _ => (x, x + width),
        }
    };
    page.split("<text ").skip(1).map(of_text).collect()
}

fn width_of(c: char) -> f64 {
    match c {
        ' ' | '.' | ',' | '·' | '\u{202f}' => 3.5,
        '(' | ')' => 4.3,
        '%' => 10.5,
        '…' => 11.0,
        c if c.is_uppercase() => 7.6,
        _ => 7.0,
    }
}

#[test]
fn no_text_of_a_chart_is_cut_off() {
    let schema =
        schema(&[("job", ColumnType::String), ("one", ColumnType::Float64), ("y", ColumnType::Float64)]);
    let jobs = ["PROFESSIONAL SERVICES", "a very long name of a value that nobody can read", "x"];
    let rows = || 0..90_000;
    let batch = RecordBatch::try_new(
        schema.arrow(),
        vec![
            Arc::new(rows().map(|i| Some(jobs[i % 3])).collect::<StringArray>()),
            Arc::new(rows().map(|i| Some(0.125 + (i / 90_000) as f64)).collect::<Float64Array>()),
            Arc::new(rows().map(|i| Some(i as f64 * 1e-7)).collect::<Float64Array>()),
        ],
    )
    .unwrap();
    let profile = profile_of(&schema, vec![batch], Some("y"), &ProfileConfig::default());
    let ends = ends_of_texts(&to_html(&profile));
    assert!(ends.len() > 10, "{}", ends.len());
    for (start, end) in ends {
        assert!(start >= 0.0 && end <= 422.0, "a text from {start} to {end} leaves the chart of 422");
    }
}

#[test]
fn a_sample_of_a_large_table_is_close() {
    let schema = schema(&[("x", ColumnType::Float64)]);
    let batches = (0..20)
        .map(|b| {
            let values = (0..5_000).map(|i| Some(f64::from((b * 5_000 + i) * 7 % 100_000)));
            RecordBatch::try_new(schema.arrow(), vec![Arc::new(values.collect::<Float64Array>())]).unwrap()
        })
        .collect();
    let config =
        ProfileConfig { sample_rows_max: 2_000, distinct_exact_max: 1_000, ..ProfileConfig::default() };
    let profile = profile_of(&schema, batches, None, &config);
    assert_eq!((profile.n_rows, profile.n_sampled), (100_000, 2_000));
    let column = &profile.columns[0];
    let median = column.numeric.as_ref().unwrap().quantiles[3].value;
    assert!((median - 50_000.0).abs() < 5_000.0, "{median}");
    assert!(
        !column.distinct.exact && (column.distinct.count as f64 - 1e5).abs() < 5e3,
        "{:?}",
        column.distinct
    );
}

#[test]
fn a_profile_survives_json() {
    let profile = profile();
    let read: DataProfile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
    assert_eq!(read, profile);
}

#[test]
fn empty_tables_and_empty_columns_have_a_profile_and_a_page() {
    let (schema, _) = table();
    let profile = profile_of(&schema, vec![], Some("label"), &ProfileConfig::default());
    assert_eq!(profile.n_rows, 0);
    assert!(profile.warnings.iter().all(|w| w.kind == WarningKind::Empty));
    assert!(to_html(&profile).contains("no values"));
}

#[test]
fn the_page_is_self_contained_well_formed_and_escaped() {
    let page = to_html(&profile());
    for outside in ["<script", "http://", "https://", "<link", "<img", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;script&gt;"));
    assert!(page.contains("prefers-color-scheme: dark"));
    for tag in [
        "section", "svg", "table", "tr", "td", "ul", "li", "dl", "dt", "dd", "div", "g", "title", "main",
        "html", "text",
    ] {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(page.matches("class=\"card\" id=").count(), 9);
}

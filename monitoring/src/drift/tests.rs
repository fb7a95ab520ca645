use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use cupola_datasets::Schema;
use cupola_datasets::profile::DataProfile;
use proptest::prelude::*;

use super::*;

fn rows(start: usize, n: usize, shift: f64) -> RecordBatch {
    let at = |i: usize| ((start + i) * 7_919) % 10_007;
    let amount = (0..n).map(|i| (at(i) % 20 != 0).then(|| at(i) as f64 / 100.0 + shift));
    let country = (0..n).map(|i| ["DE", "FR", "IT"][at(i) % 3]);
    let weekday = (0..n).map(|i| (at(i) % 7) as i64);
    let online = (0..n).map(|i| Some(at(i) % 4 == 0));
    let columns: [(&str, ArrayRef); 4] = [
        ("amount", Arc::new(amount.collect::<Float64Array>())),
        ("country", Arc::new(country.map(Some).collect::<StringArray>())),
        ("weekday", Arc::new(weekday.map(Some).collect::<Int64Array>())),
        ("online", Arc::new(online.collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()
}

fn schema() -> Schema {
    serde_json::from_value(serde_json::json!({ "columns": {
        "amount": { "type": "float64", "required": false },
        "country": { "type": "string", "required": false },
        "weekday": { "type": "int64", "required": false },
        "online": { "type": "bool", "required": false },
    } }))
    .unwrap()
}

fn profile(schema: &Schema) -> DataProfile {
    DataProfile::compute(&mut [Ok(rows(0, 10_000, 0.0))].into_iter(), schema, None).unwrap()
}

/// Even scores of two outputs: the first rises from 0 to 1, the second falls.
fn scores(n: usize) -> Vec<f32> {
    (0..n).flat_map(|i| [i as f32 / n as f32, 1.0 - i as f32 / n as f32]).collect()
}

fn monitor(config: DriftConfig) -> DriftMonitor {
    let reference = ReferenceProfile::new(profile(&schema()), &scores(10_000), 2);
    DriftMonitor::new(&reference, ["amount", "country", "weekday", "online", "unknown"], &config)
}

fn drift_of(monitor: &DriftMonitor, column: &str) -> f64 {
    monitor.drift().columns.into_iter().find(|d| d.of == column).unwrap().psi
}

/// By hand: (0.3-0.5) ln(0.3/0.5) + (0.7-0.5) ln(0.7/0.5) = 0.2 ln(0.5/0.3) + 0.2 ln(0.7/0.5).
#[test]
fn the_index_is_that_of_the_formula() {
    let expected = 0.2 * (5.0f64 / 3.0).ln() + 0.2 * 1.4f64.ln();
    assert!((psi(&[50, 50], &[30, 70]) - expected).abs() < 1e-12);
    assert!((expected - 0.169_459_6).abs() < 1e-6);
    assert_eq!((psi(&[5, 5], &[]), psi(&[0, 0], &[1, 2])), (0.0, 0.0));
}

#[test]
fn rows_like_the_reference_do_not_drift_and_shifted_ones_do() {
    let mut same = monitor(DriftConfig::default());
    same.observe(&rows(10_000, 5_000, 0.0), &[]);
    for column in ["amount", "country", "weekday", "online"] {
        assert!(drift_of(&same, column) < 0.02, "{column}: {}", drift_of(&same, column));
    }
    let mut shifted = monitor(DriftConfig::default());
    shifted.observe(&rows(10_000, 5_000, 30.0), &[]);
    assert!(drift_of(&shifted, "amount") > 0.25);
    assert!(drift_of(&shifted, "country") < 0.02);
}

#[test]
fn values_that_training_never_saw_and_missing_ones_are_drift() {
    let mut monitor = monitor(DriftConfig::default());
    let country: StringArray = (0..1_000).map(|i| (i % 2 == 0).then_some("XX")).collect();
    let batch = RecordBatch::try_from_iter([("country", Arc::new(country) as ArrayRef)]).unwrap();
    monitor.observe(&batch, &[]);
    assert!(drift_of(&monitor, "country") > 1.0);
    assert_eq!(drift_of(&monitor, "amount"), 0.0, "not in these rows");
}

#[test]
fn nothing_is_told_before_enough_rows_and_old_ones_fade() {
    let mut monitor = monitor(DriftConfig { window_rows: 1_000, rows_min: 500, ..DriftConfig::default() });
    monitor.observe(&rows(0, 499, 0.0), &[]);
    assert_eq!(monitor.drift(), Drift::default());
    monitor.observe(&rows(0, 1_500, 500.0), &[]);
    let at_worst = drift_of(&monitor, "amount");
    (0..20).for_each(|i| monitor.observe(&rows(i * 1_000, 1_000, 0.0), &[]));
    assert!(drift_of(&monitor, "amount") < 0.02 && at_worst > 1.0);
}

#[test]
fn scores_that_move_are_drift_of_their_output_alone() {
    let mut monitor = monitor(DriftConfig::default());
    let moved: Vec<f32> = scores(2_000).chunks(2).flat_map(|row| [row[0], row[1] / 4.0]).collect();
    monitor.observe(&rows(0, 2_000, 0.0), &moved);
    let drift = monitor.drift().scores;
    assert_eq!(drift.iter().map(|d| d.of).collect::<Vec<_>>(), [0, 1]);
    // By hand: a tenth expected in each decile. Found: 0.4 in each of the first two, 0.2 in the
    // third, none in seven, which count as 1e-4.
    let by_hand = 2.0 * 0.3 * 4.0f64.ln() + 0.1 * 2.0f64.ln() + 7.0 * (1e-4 - 0.1) * 1e-3f64.ln();
    assert!(drift[0].psi < 0.01 && (drift[1].psi - by_hand).abs() < 0.02, "{drift:?} {by_hand}");
}

#[test]
fn the_event_time_is_not_watched() {
    let timed = Schema { time: Some("weekday".into()), ..schema() };
    let reference = ReferenceProfile { data: profile(&timed), scores: Vec::new() };
    let mut monitor = DriftMonitor::new(&reference, ["amount", "weekday"], &DriftConfig::default());
    monitor.observe(&rows(0, 1_000, 0.0), &[]);
    let drift = monitor.drift();
    assert_eq!(drift.columns.iter().map(|d| d.of.as_str()).collect::<Vec<_>>(), ["amount"]);
    assert!(drift.scores.is_empty(), "the reference knows none");
}

#[test]
fn a_reference_profile_is_read_with_and_without_scores() {
    let data = profile(&schema());
    let without: ReferenceProfile = serde_json::from_value(serde_json::to_value(&data).unwrap()).unwrap();
    assert_eq!(without, ReferenceProfile { data: data.clone(), scores: Vec::new() });
    let with = ReferenceProfile::new(data, &scores(1_000), 2);
    assert_eq!(with.scores.len(), 2);
    let text = serde_json::to_string(&with).unwrap();
    assert_eq!(serde_json::from_str::<ReferenceProfile>(&text).unwrap(), with);
}

#[test]
fn a_budget_spreads_rows_over_time_and_saves_one_second_at_most() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut budget = RowBudget::new(100, start);
    assert_eq!(budget.take(5, at(0)), 0, "nothing has gathered yet");
    assert_eq!((budget.take(5, at(25)), budget.take(5, at(25))), (2, 0));
    assert_eq!(budget.take(5, at(30)), 1, "the half left over counts");
    assert_eq!((budget.take(3, at(130)), budget.take(100, at(130))), (3, 7));
    assert_eq!(budget.take(1_000, at(60_000)), 100);
    let of_a_minute: usize = (0..60_000).map(|ms| budget.take(3, at(60_000 + ms))).sum();
    assert!(of_a_minute.abs_diff(6_000) <= 1, "{of_a_minute}");
    assert_eq!(RowBudget::new(0, start).take(1, at(10_000)), 0);
}

proptest! {
    #[test]
    fn the_index_is_finite_not_negative_and_blind_to_scale(
        bins in prop::collection::vec((0u64..10_000, 0u64..10_000), 1..20),
    ) {
        let (e, a): (Vec<u64>, Vec<u64>) = bins.into_iter().unzip();
        let index = psi(&e, &a);
        prop_assert!(index.is_finite() && index >= 0.0);
        let scaled: Vec<u64> = a.iter().map(|count| count * 3).collect();
        prop_assert!((index - psi(&e, &scaled)).abs() < 1e-9);
    }
}

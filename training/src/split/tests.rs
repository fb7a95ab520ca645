#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn config(kind: SplitKind, validation: f64, test: f64) -> SplitConfig {
    SplitConfig { kind: Some(kind), validation, test, by: None }
}

fn rows(n_rows: usize) -> SplitInput<'static> {
    SplitInput { n_rows, ..SplitInput::default() }
}

fn count(parts: &[Part], part: Part) -> usize {
    parts.iter().filter(|p| **p == part).count()
}

#[test]
fn hash_agrees_with_the_published_generator() {
    // First outputs of the reference implementation of SplitMix64 seeded with 0: its k-th output
    // mixes k times the golden gamma, which is our hash of row k with seed 0.
    assert_eq!(splitmix64(1, 0), 0xE220_A839_7B1D_CDAF);
    assert_eq!(splitmix64(2, 0), 0x6E78_9E6A_A1B9_65F4);
    assert_eq!(splitmix64(2, 0), splitmix64(0, 2));
}

#[test]
fn random_split_meets_its_shares_and_depends_on_the_seed_alone() {
    let config = config(SplitKind::Random, 0.15, 0.2);
    let parts = assign(&config, rows(1_001), 7).unwrap();
    assert_eq!(count(&parts, Part::Test), 200);
    assert_eq!(count(&parts, Part::Validation), 150);
    assert_eq!(count(&parts, Part::Train), 651);
    assert_eq!(parts, assign(&config, rows(1_001), 7).unwrap());
    assert_ne!(parts, assign(&config, rows(1_001), 8).unwrap());
}

#[test]
fn random_split_takes_the_rows_with_the_greatest_hashes_as_test() {
    let parts = assign(&config(SplitKind::Random, 0.0, 0.5), rows(6), 20_240_501).unwrap();
    // Order of splitmix64(row + 20240501) computed in Python: 0, 3, 5, 1, 4, 2.
    use Part::{Test, Train};
    assert_eq!(parts, [Train, Test, Test, Train, Test, Train]);
}

#[test]
fn time_split_keeps_equal_times_together_in_the_later_part() {
    // Sorted: 1 1 2 3 3 3 4 5 6 6; test begins at rank 8 (time 6), validation at rank 5 (time 3).
    let times = [3, 1, 6, 2, 3, 5, 1, 4, 6, 3];
    let input = SplitInput { times: Some(&times), ..rows(10) };
    let parts = assign(&config(SplitKind::Time, 0.3, 0.2), input, 0).unwrap();
    for (time, part) in times.iter().zip(parts) {
        let expected = match time {
            6 => Part::Test,
            3..=5 => Part::Validation,
            _ => Part::Train,
        };
        assert_eq!(part, expected, "time {time}");
    }
}

#[test]
fn time_split_of_one_single_time_is_an_error() {
    let times = [5; 20];
    let input = SplitInput { times: Some(&times), ..rows(20) };
    let error = assign(&config(SplitKind::Time, 0.15, 0.15), input, 0).unwrap_err();
    assert_eq!(error, SplitError::Empty { part: "train", n_rows: 20, kind: SplitKind::Time });
}

#[test]
fn stratified_split_has_the_exact_share_of_each_class() {
    let labels: Vec<u32> = (0..1_000).map(|row| u32::from(row % 50 == 0)).collect();
    let input = SplitInput { labels: Some(&labels), ..rows(1_000) };
    let parts = assign(&config(SplitKind::Stratified, 0.1, 0.2), input, 3).unwrap();
    let of = |class: u32, part: Part| {
        parts.iter().zip(&labels).filter(|(p, l)| **p == part && **l == class).count()
    };
    assert_eq!((of(1, Part::Train), of(1, Part::Validation), of(1, Part::Test)), (14, 2, 4));
    assert_eq!((of(0, Part::Train), of(0, Part::Validation), of(0, Part::Test)), (686, 98, 196));
}

#[test]
fn group_split_never_divides_a_group_and_comes_close_to_its_shares() {
    let groups: Vec<u64> = (0..10_000).map(|row| (row * row) % 977).collect();
    let input = SplitInput { groups: Some(&groups), ..rows(10_000) };
    let parts = assign(&config(SplitKind::Group, 0.15, 0.15), input, 1).unwrap();
    let mut part_of = HashMap::new();
    for (group, part) in groups.iter().zip(&parts) {
        assert_eq!(part_of.entry(group).or_insert(*part), part);
    }
    assert!((1_480..=1_520).contains(&count(&parts, Part::Test)), "{}", count(&parts, Part::Test));
}

#[test]
fn kind_follows_from_what_the_table_has() {
    let times: Vec<i64> = (0..100).collect();
    let labels = vec![0_u32; 100];
    let both = SplitInput { times: Some(&times), labels: Some(&labels), ..rows(100) };
    let default = SplitConfig::default();
    let by_time = assign(&default, both, 0).unwrap();
    assert!(by_time[85..].iter().all(|part| *part == Part::Test));
    let by_class = assign(&default, SplitInput { times: None, ..both }, 0).unwrap();
    assert_eq!(by_class, assign(&config(SplitKind::Stratified, 0.15, 0.15), both, 0).unwrap());
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let error = |config: SplitConfig, n| assign(&config, rows(n), 0).unwrap_err();
    assert!(matches!(error(config(SplitKind::Random, 0.5, 0.5), 10), SplitError::Shares { .. }));
    assert!(matches!(error(config(SplitKind::Random, f64::NAN, 0.5), 10), SplitError::Shares { .. }));
    assert!(matches!(error(config(SplitKind::Random, -0.1, 0.5), 10), SplitError::Shares { .. }));
    assert_eq!(error(config(SplitKind::Time, 0.1, 0.1), 10), SplitError::NoTime);
    assert_eq!(error(config(SplitKind::Stratified, 0.1, 0.1), 10), SplitError::NoLabels);
    assert_eq!(error(config(SplitKind::Group, 0.1, 0.1), 10), SplitError::NoGroups);
    assert_eq!(
        error(config(SplitKind::Random, 0.1, 0.1), 2),
        SplitError::TooFewRows { n_rows: 2, needed: 3 }
    );
    assert!(matches!(error(config(SplitKind::Random, 0.1, 0.1), 4), SplitError::Empty { .. }));
    let short = SplitInput { times: Some(&[1, 2]), ..rows(10) };
    assert!(matches!(assign(&SplitConfig::default(), short, 0), Err(SplitError::Length { found: 2, .. })));
}

proptest! {
    #[test]
    fn shares_are_met_to_within_one_row(n in 10_usize..2_000, validation in 0.1..0.4, test in 0.1..0.4, seed: u64) {
        let parts = assign(&config(SplitKind::Random, validation, test), rows(n), seed).unwrap();
        prop_assert!((count(&parts, Part::Test) as f64 - n as f64 * test).abs() <= 0.5);
        prop_assert!((count(&parts, Part::Validation) as f64 - n as f64 * validation).abs() <= 0.5);
    }
}

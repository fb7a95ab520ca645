use std::convert::Infallible;

use cupola_models::VersionRef;
use indexmap::IndexMap;

use super::*;

fn ab(weights: &[(&str, u32)], salt: &str) -> RouteConfig {
    let weights = weights.iter().map(|(name, weight)| (name.to_string(), *weight)).collect();
    RouteConfig::Ab { by: Some("card_id".into()), by_header: None, weights, salt: salt.into() }
}

fn router(config: &RouteConfig) -> Router<String> {
    Router::resolve(config, |version| Ok::<_, Infallible>(version.to_string())).unwrap()
}

fn pick(config: &RouteConfig, key: u32) -> String {
    let Router::Ab(split) = router(config) else { panic!("not an A/B route") };
    split.pick(key.to_string().as_bytes()).clone()
}

/// From CPython 3.11, whose `sys.hash_info.algorithm` is siphash13, under PYTHONHASHSEED=0, which is
/// a zero key: `(hash(salt + b"\0" + key) % 2**64 * 100) >> 64`.
#[test]
fn a_bucket_is_the_same_in_every_process_and_version() {
    assert_eq!([bucket("", b"4711", 100), bucket("s", b"4711", 100), bucket("", b"", 100)], BUCKETS);
}

const BUCKETS: [u64; 3] = [98, 58, 40];

#[test]
fn shares_follow_the_weights() {
    let config = ab(&[("champion", 90), ("challenger", 10)], "");
    let n = 100_000;
    let challenger = (0..n).filter(|key| pick(&config, *key) == "challenger").count();
    // Four standard deviations of a binomial of 100,000 draws at 0.1 are 380.
    assert!(challenger.abs_diff(10_000) < 380, "{challenger}");
    let thirds = ab(&[("a", 1), ("b", 1), ("3", 1)], "");
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    (0..n).for_each(|key| *counts.entry(pick(&thirds, key)).or_default() += 1);
    assert!(counts.len() == 3 && counts.values().all(|c| c.abs_diff(33_333) < 600), "{counts:?}");
}

#[test]
fn a_key_sticks_and_a_larger_share_moves_keys_one_way_only() {
    let before = ab(&[("champion", 90), ("challenger", 10)], "");
    let after = ab(&[("champion", 70), ("challenger", 30)], "");
    for key in 0..10_000 {
        assert_eq!(pick(&before, key), pick(&before, key));
        if pick(&before, key) == "challenger" {
            assert_eq!(pick(&after, key), "challenger", "key {key} went back");
        }
    }
}

#[test]
fn another_salt_is_another_assignment() {
    let (one, two) = (ab(&[("a", 1), ("b", 1)], "one"), ab(&[("a", 1), ("b", 1)], "two"));
    let equal = (0..10_000).filter(|key| pick(&one, *key) == pick(&two, *key)).count();
    assert!(equal.abs_diff(5_000) < 200, "{equal}");
}

#[test]
fn a_version_without_weight_is_neither_needed_nor_picked() {
    let config = ab(&[("champion", 1), ("challenger", 0)], "");
    assert_eq!(config.versions(), [VersionRef::Alias("champion".into())]);
    assert!((0..1_000).all(|key| pick(&config, key) == "champion"));
}

#[test]
fn a_route_that_cannot_work_is_refused() {
    assert_eq!(ab(&[("champion", 0)], "").validate(), Err(RouteError::NoWeight));
    assert_eq!(ab(&[], "").validate(), Err(RouteError::NoWeight));
    let two_keys = RouteConfig::Ab {
        by: Some("a".into()),
        by_header: Some("b".into()),
        weights: IndexMap::from([("1".into(), 1)]),
        salt: String::new(),
    };
    assert_eq!(two_keys.validate(), Err(RouteError::TwoKeys));
    let same = RouteConfig::Shadow { answer: VersionRef::Number(1), shadow: VersionRef::Number(1) };
    assert_eq!(same.validate(), Err(RouteError::SameVersion { version: VersionRef::Number(1) }));
}

#[test]
fn routes_are_read_strictly() {
    let read = |text: &str| serde_json::from_str::<RouteConfig>(text);
    let config = read(r#"{"kind":"ab","by":"card_id","weights":{"champion":90,"challenger":10}}"#).unwrap();
    assert_eq!(config, ab(&[("champion", 90), ("challenger", 10)], ""));
    assert_eq!(read(r#"{"kind":"pinned"}"#).unwrap(), RouteConfig::default());
    assert!(read(r#"{"kind":"pinned","versoin":"3"}"#).unwrap_err().to_string().contains("versoin"));
    assert!(read(r#"{"kind":"canary"}"#).is_err());
}

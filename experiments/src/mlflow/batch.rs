use std::collections::{HashMap, HashSet};

use reqwest::Method;
use serde::Serialize;

use super::client::Client;
use super::error::MlflowError;
use super::{limits, runs};
use crate::journal::MetricValue;

/// One metric, parameter or tag on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Metric(MetricItem),
    Param(Pair),
    Tag(Pair),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct MetricItem {
    pub key: String,
    pub value: MetricValue,
    pub timestamp: i64,
    pub step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_digest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Pair {
    pub key: String,
    pub value: String,
}

impl Item {
    pub(super) fn param(key: &str, value: &str) -> Self {
        Self::Param(Pair { key: limits::key(key), value: limits::param(value) })
    }

    pub(super) fn tag(key: &str, value: &str) -> Self {
        Self::Tag(Pair { key: limits::key(key), value: limits::tag(value) })
    }

    fn bytes(&self) -> usize {
        let json = match self {
            Self::Metric(metric) => serde_json::to_vec(metric),
            Self::Param(pair) | Self::Tag(pair) => serde_json::to_vec(pair),
        };
        json.map_or(limits::BATCH_BYTES_MAX, |json| json.len() + 1)
    }
}

#[derive(Default, Serialize)]
struct Request<'a> {
    run_id: &'a str,
    metrics: Vec<&'a MetricItem>,
    params: Vec<&'a Pair>,
    tags: Vec<&'a Pair>,
}

impl<'a> Request<'a> {
    fn new(run_id: &'a str, items: &'a [Item]) -> Self {
        let mut request = Self { run_id, ..Self::default() };
        for item in items {
            match item {
                Item::Metric(metric) => request.metrics.push(metric),
                Item::Param(pair) => request.params.push(pair),
                Item::Tag(pair) => request.tags.push(pair),
            }
        }
        request
    }
}

/// Cuts items, in their order, into pieces that the server takes in one request each.
pub(super) fn pieces(items: &[Item]) -> Vec<&[Item]> {
    let mut pieces = Vec::new();
    let (mut start, mut params, mut tags, mut bytes) = (0, 0, 0, 0);
    for (i, item) in items.iter().enumerate() {
        let size = item.bytes();
        let is_full = i - start == limits::BATCH_ITEMS_MAX
            || bytes + size > limits::BATCH_BYTES_MAX
            || (params == limits::BATCH_PARAMS_MAX && matches!(item, Item::Param(_)))
            || (tags == limits::BATCH_TAGS_MAX && matches!(item, Item::Tag(_)));
        if is_full && i > start {
            pieces.push(&items[start..i]);
            (start, params, tags, bytes) = (i, 0, 0, 0);
        }
        bytes += size;
        params += usize::from(matches!(item, Item::Param(_)));
        tags += usize::from(matches!(item, Item::Tag(_)));
    }
    if start < items.len() {
        pieces.push(&items[start..]);
    }
    pieces
}

/// Sends items. When the server refuses some, the others are sent still, and the refusals come
/// back.
///
/// # Errors
/// Any other failure; then it is not known which items have arrived.
pub(super) fn send(client: &Client, run_id: &str, items: &[Item]) -> Result<Vec<MlflowError>, MlflowError> {
    let mut refused = Vec::new();
    for piece in pieces(items) {
        send_piece(client, run_id, piece, &mut refused)?;
    }
    Ok(refused)
}

fn send_piece(
    client: &Client,
    run_id: &str,
    items: &[Item],
    refused: &mut Vec<MlflowError>,
) -> Result<(), MlflowError> {
    match client.tell(Method::POST, "runs/log-batch", &Request::new(run_id, items)) {
        Ok(()) => Ok(()),
        Err(error @ MlflowError::Refused { .. }) if !error.is_not_there() => {
            if let [_] = items {
                refused.push(error);
                return Ok(());
            }
            // Halves until the guilty one is alone. What of this piece the server took all the
            // same is left out.
            let (left, right) = items.split_at(items.len() / 2);
            for half in [left, right] {
                let half = missing(client, run_id, half.to_vec())?;
                if !half.is_empty() {
                    send_piece(client, run_id, &half, refused)?;
                }
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The items that the server does not have: all but metrics that are in their history. Sending a
/// parameter or tag again is harmless.
pub(super) fn missing(client: &Client, run_id: &str, items: Vec<Item>) -> Result<Vec<Item>, MlflowError> {
    if !items.iter().any(|item| matches!(item, Item::Metric(_))) {
        return Ok(items);
    }
    let known: HashSet<String> =
        runs::get(client, run_id)?.data.metrics.into_iter().map(|metric| metric.key).collect();
    let mut arrived: HashMap<String, HashSet<(i64, i64, u64)>> = HashMap::new();
    let mut missing = Vec::with_capacity(items.len());
    for item in items {
        if let Item::Metric(metric) = &item
            && known.contains(&metric.key)
        {
            if !arrived.contains_key(&metric.key) {
                let history = runs::metric_history(client, run_id, &metric.key)?;
                let history = history
                    .into_iter()
                    .map(|past| (past.step, past.timestamp, identity(past.value.0)))
                    .collect();
                arrived.insert(metric.key.clone(), history);
            }
            if arrived[&metric.key].contains(&(metric.step, metric.timestamp, identity(metric.value.0))) {
                continue;
            }
        }
        missing.push(item);
    }
    Ok(missing)
}

/// What a value is when it comes back: MLflow stores infinities as the largest floats.
fn identity(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value.clamp(f64::MIN, f64::MAX) + 0.0).to_bits() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(i: usize) -> Item {
        Item::Metric(MetricItem {
            key: format!("m{i}"),
            value: MetricValue(0.5),
            timestamp: 1,
            step: 1,
            model_id: None,
            dataset_name: None,
            dataset_digest: None,
        })
    }

    #[test]
    fn pieces_keep_the_limits_of_the_server_and_the_order() {
        let mut items: Vec<Item> = (0..250).map(|i| Item::param(&format!("p{i}"), "v")).collect();
        items.extend((0..2300).map(metric));
        items.extend((0..150).map(|i| Item::tag(&format!("t{i}"), "v")));
        let pieces = pieces(&items);
        for piece in &pieces {
            let params = piece.iter().filter(|item| matches!(item, Item::Param(_))).count();
            let tags = piece.iter().filter(|item| matches!(item, Item::Tag(_))).count();
            assert!(piece.len() <= 1000 && params <= 100 && tags <= 100, "{} {params} {tags}", piece.len());
        }
        assert_eq!(pieces.concat(), items);
        assert_eq!(pieces.len(), 6);
    }

    #[test]
    fn pieces_stay_under_a_megabyte() {
        // A control character is six bytes of JSON.
        let items: Vec<Item> =
            (0..90).map(|i| Item::param(&format!("p{i}"), &"\u{1}".repeat(6000))).collect();
        for piece in pieces(&items) {
            let body = serde_json::to_vec(&Request::new("r", piece)).unwrap_or_default();
            assert!(!body.is_empty() && body.len() < 1_000_000, "{}", body.len());
        }
    }

    #[test]
    fn values_are_known_again_after_the_server_stored_them() {
        assert_eq!(identity(f64::INFINITY), identity(f64::MAX));
        assert_eq!(identity(-f64::NAN), identity(f64::NAN));
        assert_eq!(identity(-0.0), identity(0.0));
        assert_ne!(identity(0.1), identity(0.1 + f64::EPSILON));
    }
}

use std::io::Write;
use std::sync::Arc;

use crate::scoring::Answer;
use crate::versions::LoadedVersion;

/// What one version answers to a request.
pub struct Share {
    /// The version.
    pub version: Arc<LoadedVersion>,
    /// Its scores.
    pub answer: Answer,
    /// Places of its records in the request; none: it has them all.
    pub places: Option<Vec<usize>>,
}

/// The reply as JSON, written straight from the scores. When records went to several versions, the
/// reply's version is `null` and each prediction names its own.
pub fn write_reply(request_id: &str, shares: &[Share]) -> Vec<u8> {
    let n_records: usize = shares.iter().map(|share| share.answer.n_rows).sum();
    let mut out = Vec::with_capacity(160 + 48 * n_records);
    let model = shares.first().map_or("", |share| &share.version.model);
    out.extend_from_slice(b"{\"request_id\":\"");
    out.extend_from_slice(request_id.as_bytes());
    out.extend_from_slice(b"\",\"model\":");
    write_json(&mut out, model);
    match shares {
        [only] => {
            out.extend_from_slice(b",\"version\":");
            write_json(&mut out, &only.version.version);
            out.extend_from_slice(b",\"predictions\":[");
            for i in 0..only.answer.n_rows {
                separate(&mut out, i);
                write_prediction(&mut out, &only.version, only.answer.row(i), false);
            }
        }
        several => {
            out.extend_from_slice(b",\"version\":null,\"predictions\":[");
            for (i, (share, row)) in in_order(several, n_records).into_iter().enumerate() {
                separate(&mut out, i);
                write_prediction(&mut out, &share.version, share.answer.row(row), true);
            }
        }
    }
    out.extend_from_slice(b"]}");
    out
}

/// For each record of the request, its share and its row there.
fn in_order(shares: &[Share], n_records: usize) -> Vec<(&Share, usize)> {
    let mut order = Vec::with_capacity(n_records);
    for share in shares {
        let places = share.places.iter().flatten();
        order.extend(places.enumerate().map(|(row, place)| (*place, (share, row))));
    }
    order.sort_unstable_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, at)| at).collect()
}

fn separate(out: &mut Vec<u8>, i: usize) {
    if i > 0 {
        out.push(b',');
    }
}

fn write_prediction(out: &mut Vec<u8>, version: &LoadedVersion, scores: &[f32], with_version: bool) {
    out.push(b'{');
    if with_version {
        out.extend_from_slice(b"\"version\":");
        write_json(out, &version.version);
        out.push(b',');
    }
    let class = version.class(scores);
    if version.labels.len() > 2 || scores.len() > 1 {
        write_classes(out, version, scores, class);
    } else {
        out.extend_from_slice(b"\"score\":");
        write_json(out, &scores.first());
        if let Some(label) = class.and_then(|i| version.labels.get(i)) {
            out.extend_from_slice(b",\"label\":");
            out.extend_from_slice(label);
        }
    }
    out.push(b'}');
}

fn write_classes(out: &mut Vec<u8>, version: &LoadedVersion, scores: &[f32], class: Option<usize>) {
    out.extend_from_slice(b"\"label\":");
    out.extend_from_slice(class.and_then(|i| version.labels.get(i)).map_or(b"null", |label| label));
    out.extend_from_slice(b",\"scores\":{");
    for (i, (label, score)) in version.labels.iter().zip(scores).enumerate() {
        separate(out, i);
        out.extend_from_slice(label);
        out.push(b':');
        write_json(out, score);
    }
    out.push(b'}');
}

fn write_json(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Numbers and texts always have a JSON form, and a vector takes every byte.
    let _ = serde_json::to_writer(&mut *out, value);
    let _ = out.flush();
}

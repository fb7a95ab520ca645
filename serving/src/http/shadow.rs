use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot::Receiver;

use super::reply::Share;
use crate::records::Records;
use crate::scoring::{Answer, JobError, PredictJob};
use crate::telemetry::ShadowOutcome;
use crate::versions::LoadedVersion;

/// A shadow score under way.
pub struct Beside {
    version: Arc<LoadedVersion>,
    pending: Receiver<Result<Answer, JobError>>,
}

/// Has the shadow score the same records, on its own threads: the thread that reads requests never
/// waits for it. When too much waits, these records go without.
pub fn start(version: &Arc<LoadedVersion>, body: &Bytes, records: &Records) -> Option<Beside> {
    let (job, pending) = PredictJob::new(body.clone(), records.clone());
    let weight = job.weight();
    match version.batcher.admit(job, weight) {
        Ok(queued) => {
            version.batcher.enqueue(queued);
            version.metrics.routed("shadow", records.len());
            Some(Beside { version: version.clone(), pending })
        }
        Err(_) => {
            version.metrics.shadowed(ShadowOutcome::Dropped, records.len());
            None
        }
    }
}

/// Counts how the shadow compares, once it is done. An answer that failed is compared with nothing.
pub fn compare(beside: Option<Beside>, shares: Option<&Vec<Share>>) {
    let (Some(beside), Some([share])) = (beside, shares.map(Vec::as_slice)) else {
        return;
    };
    let (answering, answer) = (share.version.clone(), share.answer.clone());
    actix_web::rt::spawn(async move {
        let Beside { version, pending } = beside;
        match pending.await {
            Ok(Ok(shadow)) => {
                for i in 0..answer.n_rows {
                    count(&version, shadow.row(i), &answering, answer.row(i));
                }
            }
            _ => version.metrics.shadowed(ShadowOutcome::Failed, answer.n_rows),
        }
    });
}

fn count(version: &LoadedVersion, shadow: &[f32], answering: &LoadedVersion, answer: &[f32]) {
    let differences = shadow.iter().zip(answer).map(|(a, b)| (a - b).abs());
    let difference = differences.fold(0.0, f32::max);
    version.metrics.shadow_difference(difference);
    let label =
        |version: &LoadedVersion, scores| version.class(scores).and_then(|i| version.labels.get(i).cloned());
    let equal = match (label(version, shadow), label(answering, answer)) {
        (None, None) => shadow.len() == answer.len() && difference <= 1e-6 * answer[0].abs(),
        (ours, theirs) => ours == theirs,
    };
    version.metrics.shadowed(if equal { ShadowOutcome::Equal } else { ShadowOutcome::Different }, 1);
}

use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;

/// Mean loss of raw outputs `[n, n_outputs]` against the batch's targets, by row weight, and its
/// gradient in the place of the outputs. The same losses as [`super::super::loss`].
pub(super) fn loss_and_gradient(task: &Task, outputs: &mut [f32], batch: &LabelledBatch) -> f64 {
    let n = batch.labels.len();
    let n_outputs = outputs.len() / n.max(1);
    let mut total = 0.0;
    for (row, (outputs, label)) in outputs.chunks_exact_mut(n_outputs.max(1)).zip(&batch.labels).enumerate() {
        let weight = batch.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
        total += weight * row_loss(task, outputs, *label, weight / n as f64);
    }
    total / n as f64
}

/// Loss of one row; its gradient times `share` takes the place of the outputs.
fn row_loss(task: &Task, outputs: &mut [f32], label: f32, share: f64) -> f64 {
    if let Task::Multiclass { .. } = task {
        return cross_entropy(outputs, label as usize, share);
    }
    let (x, y) = (f64::from(outputs[0]), f64::from(label));
    let (loss, gradient) = match task {
        // max(x, 0) - x y + log(1 + e^-|x|), stable for any logit.
        Task::Binary { .. } => (x.max(0.0) - x * y + (-x.abs()).exp().ln_1p(), 1.0 / (1.0 + (-x).exp()) - y),
        Task::Poisson => (x.exp() - x * y, x.exp() - y),
        _ => ((x - y) * (x - y), 2.0 * (x - y)),
    };
    // Infinities and NaN have no maximum: the loss must show them.
    outputs[0] = (gradient * share) as f32;
    if x.is_finite() { loss } else { f64::NAN }
}

fn cross_entropy(logits: &mut [f32], class: usize, share: f64) -> f64 {
    let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum();
    let loss = sum.ln() + top - f64::from(logits[class]);
    for (i, logit) in logits.iter_mut().enumerate() {
        let probability = (f64::from(*logit) - top).exp() / sum;
        *logit = (share * (probability - f64::from(u8::from(i == class)))) as f32;
    }
    loss
}

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData, activation};
use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;

/// Mean loss of raw outputs `[n, n_outputs]` against the batch's targets, by row weight: logistic
/// loss, cross-entropy, squared error, or Poisson negative log-likelihood of a log rate.
pub(super) fn loss<B: Backend>(
    task: &Task,
    outputs: Tensor<B, 2>,
    batch: &LabelledBatch,
    device: &B::Device,
) -> Tensor<B, 1> {
    let n = batch.labels.len();
    let per_row: Tensor<B, 2> = match task {
        Task::Multiclass { .. } => {
            let classes: Vec<i32> = batch.labels.iter().map(|label| *label as i32).collect();
            let classes: Tensor<B, 2, Int> = Tensor::from_data(TensorData::new(classes, [n, 1]), device);
            activation::log_softmax(outputs, 1).gather(1, classes).neg()
        }
        _ => {
            let labels: Tensor<B, 2> =
                Tensor::from_data(TensorData::new(batch.labels.clone(), [n, 1]), device);
            match task {
                // max(x, 0) - x y + log(1 + e^-|x|), stable for any logit.
                Task::Binary { .. } => {
                    let log_term = outputs.clone().abs().neg().exp().log1p();
                    activation::relu(outputs.clone()) - outputs * labels + log_term
                }
                Task::Poisson => outputs.clone().exp() - outputs * labels,
                _ => (outputs - labels).powi_scalar(2),
            }
        }
    };
    match &batch.weights {
        Some(weights) => {
            (per_row * Tensor::from_data(TensorData::new(weights.clone(), [n, 1]), device)).mean()
        }
        None => per_row.mean(),
    }
}

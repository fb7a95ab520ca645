use candle_core::{Device, Tensor};
use cupola_models::Predictor;
use cupola_models::mlp::CpuMlp;

use crate::models;

#[test]
fn candle_reads_our_weights_bit_for_bit() {
    for model in models::all() {
        let bytes = model.weights.to_safetensors().unwrap();
        let theirs = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
        assert_eq!(theirs.len(), model.weights.iter().count());
        for (name, ours) in model.weights.iter() {
            assert_eq!(theirs[name].dims(), ours.shape, "{name}");
            let values: Vec<f32> = theirs[name].flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(values, ours.values, "{name}");
        }
    }
}

/// Layouts mean what they say: candle computes the plain network from the file alone.
#[test]
fn candle_computes_our_scores_from_the_file() {
    let model = models::all().remove(0);
    let tensors =
        candle_core::safetensors::load_buffer(&model.weights.to_safetensors().unwrap(), &Device::Cpu)
            .unwrap();
    let rows = model.rows(50);
    let dense = |x: &Tensor, layer: &str| {
        let weight = tensors[&format!("{layer}.weight")].t().unwrap();
        x.matmul(&weight).unwrap().broadcast_add(&tensors[&format!("{layer}.bias")]).unwrap()
    };
    let input = Tensor::from_vec(rows.numeric.clone(), (50, model.shape.n_numeric), &Device::Cpu).unwrap();
    let first = dense(&input, "hidden.0").relu().unwrap();
    let second = (dense(&first, "hidden.1").relu().unwrap() + &first).unwrap();
    let logits: Vec<f32> = dense(&second, "output").flatten_all().unwrap().to_vec1().unwrap();
    let theirs: Vec<f32> = logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    let ours = CpuMlp::new(&model.shape, &model.weights, &model.task).unwrap().predict(&rows).unwrap();
    let worst = ours.values.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

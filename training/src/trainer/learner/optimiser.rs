//! What Burn's AdamW lacks: a limit on the whole gradient, and a running mean of the weights.

use burn::Dispatch;
use burn::backend::Autodiff;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use cupola_models::mlp::Mlp;

/// Scales the whole gradient down to at most `norm_max`; 0 leaves it. Stays on the device.
pub(super) fn clip(network: &Mlp<Autodiff<Dispatch>>, gradients: &mut GradientsParams, norm_max: f64) {
    if norm_max <= 0.0 {
        return;
    }
    let mut squares = Squares { gradients, sum: None };
    network.visit(&mut squares);
    if let Some(sum) = squares.sum {
        let factor = (sum.sqrt() + 1e-6).recip().mul_scalar(norm_max).clamp_max(1.0);
        network.visit(&mut Scale { gradients, factor });
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<Dispatch, 1>>,
}

impl ModuleVisitor<Autodiff<Dispatch>> for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<Autodiff<Dispatch>, D>>) {
        if let Some(gradient) = self.gradients.get::<Dispatch, D>(parameter.id) {
            let square = gradient.square().sum();
            self.sum = Some(self.sum.take().map_or(square.clone(), |sum| sum + square));
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<Dispatch, 1>,
}

impl ModuleVisitor<Autodiff<Dispatch>> for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<Autodiff<Dispatch>, D>>) {
        if let Some(gradient) = self.gradients.remove::<Dispatch, D>(parameter.id) {
            self.gradients.register(parameter.id, gradient * self.factor.clone().unsqueeze());
        }
    }
}

/// Moves a mean of the weights towards the network's by `share` of the way.
pub(super) fn average(mean: Mlp<Dispatch>, network: Mlp<Dispatch>, share: f64) -> Mlp<Dispatch> {
    if share >= 1.0 {
        return network;
    }
    let mut values = Values(GradientsParams::new());
    network.visit(&mut values);
    mean.map(&mut Towards { values: values.0, share })
}

/// Tensors by parameter, of any rank.
struct Values(GradientsParams);

impl ModuleVisitor<Dispatch> for Values {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<Dispatch, D>>) {
        self.0.register(parameter.id, parameter.val());
    }
}

struct Towards {
    values: GradientsParams,
    share: f64,
}

impl ModuleMapper<Dispatch> for Towards {
    fn map_float<const D: usize>(
        &mut self,
        parameter: Param<Tensor<Dispatch, D>>,
    ) -> Param<Tensor<Dispatch, D>> {
        let value = self.values.remove::<Dispatch, D>(parameter.id);
        parameter.map(|mean| match value {
            Some(value) => mean.mul_scalar(1.0 - self.share) + value.mul_scalar(self.share),
            None => mean,
        })
    }
}

//! LambdaMART (Burges 2010): pairs of a list pull each other apart, by what their exchange would change in NDCG.

use cupola_models::trees::GbdtConfig;
use cupola_models::trees::learner::Gradients;
use rayon::prelude::*;

use super::math::exp;
use crate::lists::{self, Lists};

/// Least hessian of a pair: keeps sums above zero where a model is sure.
const HESSIAN_MIN: f32 = 1e-16;

/// What shapes the gradients of `rank:ndcg`.
#[derive(Clone, Copy, Debug)]
pub struct LambdaRank {
    /// Pairs are made of rows one of which is among this many first ones.
    pub n_places: usize,
    /// Whether gaps of scores and sums of gradients are evened out between lists.
    pub is_normalised: bool,
}

impl LambdaRank {
    pub fn new(config: &GbdtConfig) -> Self {
        Self {
            n_places: config.lambdarank_num_pair_per_sample,
            is_normalised: config.lambdarank_normalization,
        }
    }
}

/// Gradients and hessians of all rows, by row.
pub struct Lambdas {
    gradients: Vec<f32>,
    hessians: Vec<f32>,
}

impl Lambdas {
    pub fn new(
        settings: LambdaRank,
        lists: &Lists,
        raw: &[f32],
        labels: &[f32],
        weights: Option<&[f32]>,
    ) -> Self {
        let of_list = |list: usize| List::new(settings, lists.rows(list), raw, labels).lambdas();
        let by_list: Vec<Vec<[f32; 2]>> = (0..lists.len()).into_par_iter().map(of_list).collect();
        let mut found = Self { gradients: vec![0.0; raw.len()], hessians: vec![0.0; raw.len()] };
        for (list, lambdas) in by_list.into_iter().enumerate() {
            for (row, [gradient, hessian]) in lists.rows(list).iter().zip(lambdas) {
                let weight = weights.map_or(1.0, |weights| weights[*row as usize]);
                found.gradients[*row as usize] = weight * gradient;
                found.hessians[*row as usize] = weight * hessian;
            }
        }
        found
    }
}

impl Gradients for Lambdas {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        gradients.copy_from_slice(&self.gradients[first..first + gradients.len()]);
        hessians.copy_from_slice(&self.hessians[first..first + hessians.len()]);
    }
}

/// One list, its members numbered as its rows stand.
struct List {
    settings: LambdaRank,
    scores: Vec<f32>,
    labels: Vec<f32>,
    /// Members by score, the best first; ties in the order of the rows.
    order: Vec<usize>,
    ideal: f64,
}

impl List {
    fn new(settings: LambdaRank, rows: &[u32], raw: &[f32], labels: &[f32]) -> Self {
        let scores: Vec<f32> = rows.iter().map(|row| raw[*row as usize]).collect();
        let labels: Vec<f32> = rows.iter().map(|row| labels[*row as usize]).collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let ideal = lists::ideal(labels.iter().copied(), settings.n_places);
        Self { settings, scores, labels, order, ideal }
    }

    /// Gradient and hessian of each member.
    fn lambdas(&self) -> Vec<[f32; 2]> {
        let mut found = vec![[0.0; 2]; self.order.len()];
        if self.ideal <= 0.0 {
            return found;
        }
        let mut sum = 0.0;
        for place in 0..self.order.len().min(self.settings.n_places) {
            for other in place + 1..self.order.len() {
                sum += self.pair(place, other, &mut found);
            }
        }
        if self.settings.is_normalised && sum > 0.0 {
            let factor = ((1.0 + sum).log2() / sum) as f32;
            found.iter_mut().flatten().for_each(|of| *of *= factor);
        }
        found
    }

    /// Adds what two places do to each other; returns the size of both gradients.
    fn pair(&self, place: usize, other: usize, found: &mut [[f32; 2]]) -> f64 {
        let (a, b) = (self.order[place], self.order[other]);
        if self.labels[a] == self.labels[b] {
            return 0.0;
        }
        let (better, worse) = if self.labels[a] > self.labels[b] { (a, b) } else { (b, a) };
        let gains = lists::gain(self.labels[better]) - lists::gain(self.labels[worse]);
        let mut delta = gains * (lists::discount(place) - lists::discount(other)) / self.ideal;
        let ahead = self.scores[better] - self.scores[worse];
        let all_tied = self.scores[self.order[0]] == self.scores[self.order[self.order.len() - 1]];
        if self.settings.is_normalised && !all_tied {
            delta /= f64::from(ahead.abs()) + 0.01;
        }
        let wrong = 1.0 / (1.0 + exp(ahead));
        let gradient = delta as f32 * wrong;
        let hessian = delta as f32 * (wrong * (1.0 - wrong)).max(HESSIAN_MIN);
        found[better][0] -= gradient;
        found[worse][0] += gradient;
        found[better][1] += hessian;
        found[worse][1] += hessian;
        2.0 * f64::from(gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambdas_by_hand() {
        // Equal scores, relevances 0, 1, 2 in this order. The best order is worth 3 + 1/log2(3) = 3.63093. Exchanges
        // change 1 x 0.36907, 3 x 0.5 and 2 x 0.13093 of it; each pair is wrong with probability 0.5.
        let settings = LambdaRank { n_places: 10, is_normalised: false };
        let lists = Lists::new(&[4, 4, 4]);
        let found = Lambdas::new(settings, &lists, &[0.3; 3], &[0.0, 1.0, 2.0], None);
        for (value, by_hand) in found.gradients.iter().zip([0.257_382, -0.014_763, -0.242_619]) {
            assert!((value - by_hand).abs() < 1e-5, "{value} {by_hand}");
        }
        for (value, by_hand) in found.hessians.iter().zip([0.128_691, 0.043_441, 0.121_309]) {
            assert!((value - by_hand).abs() < 1e-5, "{value} {by_hand}");
        }
        // Only the first place is learned: the pair of the other two is left out.
        let first = LambdaRank { n_places: 1, ..settings };
        let found = Lambdas::new(first, &lists, &[0.3; 3], &[0.0, 1.0, 2.0], Some(&[1.0, 1.0, 2.0]));
        // The best order is worth 3: 1 x 0.36907 / 3 / 2 and 3 x 0.5 / 3 / 2.
        for (value, by_hand) in found.gradients.iter().zip([0.311_512, -0.061_512, -0.5]) {
            assert!((value - by_hand).abs() < 1e-5, "{value} {by_hand}");
        }
    }

    #[test]
    fn lists_do_not_touch_each_other_and_equal_ones_say_nothing() {
        let settings = LambdaRank { n_places: 10, is_normalised: true };
        let (raw, labels) = ([0.5, -0.1, 0.2, 0.9, 0.4], [1.0, 0.0, 2.0, 1.0, 0.0]);
        let apart = Lambdas::new(settings, &Lists::new(&[1, 1, 1]), &raw[..3], &labels[..3], None);
        let mixed = Lambdas::new(
            settings,
            &Lists::new(&[9, 1, 1, 9, 1, 7]),
            &[0.9, 0.5, -0.1, 0.4, 0.2, 3.0],
            &[1.0, 1.0, 0.0, 1.0, 2.0, 1.0],
            None,
        );
        assert_eq!([1, 2, 4].map(|row| mixed.gradients[row]), apart.gradients[..]);
        assert_eq!([0, 3, 5].map(|row| (mixed.gradients[row], mixed.hessians[row])), [(0.0, 0.0); 3]);
    }
}

use crate::trees::learner::gradient::{Draw, Gradients, Record, Units, quantise};
use crate::trees::learner::loss::{RowScores, sigmoid_table};

impl Gradients for RowScores<'_> {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        let table = sigmoid_table();
        for (i, (g, h)) in gradients.iter_mut().zip(hessians).enumerate() {
            let row = first + i;
            let weight = self.weights.map_or(1.0, |weights| weights[row]);
            let (gradient, hessian) = self.loss.gradient(table, self.raw[row], self.labels[row]);
            (*g, *h) = (gradient * weight, hessian * weight);
        }
    }
}

/// The host's records; rows that do not take part weigh nothing.
pub(super) fn records(rows: &RowScores<'_>, draw: Draw) -> Option<(Vec<Record>, Units)> {
    let mut records = vec![Record::default(); rows.raw.len()];
    let units = quantise(&mut records, draw.seed, rows)?;
    records.iter_mut().filter(|record| !draw.takes(record.row)).for_each(|record| record.pair = 0);
    Some((records, units))
}

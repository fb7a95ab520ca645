/// The rows of a table by the list that ranks them: the results of a query, the offers of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    /// Rows, those of a list together and ascending.
    rows: Vec<u32>,
    /// First place of each list in `rows`, and the end of the last.
    starts: Vec<usize>,
}

impl Lists {
    /// Rows of equal `groups` are a list, wherever they stand. Lists are in the order of their first rows.
    pub fn new(groups: &[u64]) -> Self {
        let mut number = std::collections::HashMap::new();
        let list_of: Vec<usize> = groups
            .iter()
            .map(|group| {
                let next = number.len();
                *number.entry(*group).or_insert(next)
            })
            .collect();
        let mut starts = vec![0; number.len() + 1];
        list_of.iter().for_each(|list| starts[list + 1] += 1);
        for list in 0..number.len() {
            starts[list + 1] += starts[list];
        }
        let (mut rows, mut next) = (vec![0; groups.len()], starts.clone());
        for (row, list) in list_of.into_iter().enumerate() {
            rows[next[list]] = row as u32;
            next[list] += 1;
        }
        Self { rows, starts }
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Rows of a list.
    pub fn rows(&self, list: usize) -> &[u32] {
        &self.rows[self.starts[list]..self.starts[list + 1]]
    }
}

/// What a row of this relevance is worth: 2^relevance - 1 (Burges et al. 2005).
pub fn gain(relevance: f32) -> f64 {
    f64::from(relevance).exp2() - 1.0
}

/// What a place counts, from 0 on.
pub fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

/// Discounted gain of the best order, over the first `n_places`.
pub fn ideal(relevances: impl Iterator<Item = f32>, n_places: usize) -> f64 {
    let mut gains: Vec<f64> = relevances.map(gain).collect();
    gains.sort_unstable_by(|a, b| b.total_cmp(a));
    gains.iter().take(n_places).enumerate().map(|(place, gain)| gain * discount(place)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_list_need_not_stand_together() {
        let lists = Lists::new(&[7, 3, 7, 9, 3, 7]);
        assert_eq!(
            (0..lists.len()).map(|list| lists.rows(list)).collect::<Vec<_>>(),
            [&[0, 2, 5][..], &[1, 4], &[3]]
        );
        assert_eq!(Lists::new(&[]).len(), 0);
    }

    #[test]
    fn the_ideal_gain_by_hand() {
        // Relevances 3, 2, 1: 7/log2(2) + 3/log2(3) + 1/log2(4).
        let by_hand = 7.0 + 3.0 / 3_f64.log2() + 0.5;
        assert!((ideal([1.0, 3.0, 2.0].into_iter(), 10) - by_hand).abs() < 1e-12);
        assert_eq!(ideal([1.0, 3.0, 2.0].into_iter(), 1), 7.0);
    }
}

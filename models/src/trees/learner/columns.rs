use super::gradient::hash;

/// Which features a node may split by: sampling of columns, and constraints on which may interact.
#[derive(Clone, Debug, Default)]
pub struct ColumnRules {
    pub by_tree: f64,
    pub by_level: f64,
    pub by_node: f64,
    /// Groups of places that may meet on a path; empty allows all.
    pub interactions: Vec<Vec<usize>>,
}

/// The rules in one tree.
pub struct TreeColumns<'a> {
    rules: &'a ColumnRules,
    seed: u64,
    tree: Vec<bool>,
}

impl<'a> TreeColumns<'a> {
    pub fn new(rules: &'a ColumnRules, n_places: usize, seed: u64) -> Self {
        let tree = sample(&vec![true; n_places], rules.by_tree, seed ^ 0x7EE);
        Self { rules, seed, tree }
    }

    /// Places that a node may split by; `path` holds those that its ancestors split by.
    pub fn of_node(&self, node: usize, depth: usize, path: &[usize]) -> Vec<bool> {
        let level = sample(&self.tree, self.rules.by_level, self.seed ^ (0x1E_0000 + depth as u64));
        let mut places = sample(&level, self.rules.by_node, self.seed ^ (0x0DE_0000_0000 + node as u64));
        if !self.rules.interactions.is_empty() && !path.is_empty() {
            let together =
                self.rules.interactions.iter().filter(|group| path.iter().all(|p| group.contains(p)));
            let mut may = vec![false; places.len()];
            together.flatten().chain(path).for_each(|place| may[*place] = true);
            places.iter_mut().zip(may).for_each(|(place, may)| *place &= may);
        }
        places
    }
}

/// A share of the places that are open, at least one.
fn sample(places: &[bool], share: f64, seed: u64) -> Vec<bool> {
    if share >= 1.0 {
        return places.to_vec();
    }
    let mut open: Vec<usize> = (0..places.len()).filter(|place| places[*place]).collect();
    open.sort_by_key(|place| (hash(seed, *place as u32), *place));
    open.truncate(((open.len() as f64 * share).round() as usize).max(1));
    let mut chosen = vec![false; places.len()];
    open.into_iter().for_each(|place| chosen[place] = true);
    chosen
}

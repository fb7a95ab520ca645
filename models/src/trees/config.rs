use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Objective;

/// The boosted trees of `kind = "gbdt"`. Keys have XGBoost's names where they mean the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GbdtConfig {
    /// What is minimised. Default, by the task: `binary:logistic`, `multi:softprob`, `reg:squarederror`,
    /// `count:poisson`, `rank:ndcg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// Most rounds; a round is one tree, or one for each class.
    pub n_estimators: usize,
    /// Rounds without a better validation score before training stops; the model keeps the rounds up to the best. 0 never
    /// stops early and keeps all rounds.
    pub early_stopping_rounds: usize,
    /// Metric of the validation rows that stops the training: the objective's own loss by default, else one
    /// of the task's metrics, such as `pr_auc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_metric: Option<String>,
    /// Share of a tree's values that is added to the model.
    #[serde(alias = "eta")]
    pub learning_rate: f64,
    /// Deepest leaf; 0 sets no limit (then `max_leaves` must).
    pub max_depth: usize,
    /// Most leaves of a tree; 0 sets no limit (then `max_depth` must).
    pub max_leaves: usize,
    /// Which node is split next.
    pub grow_policy: GrowPolicy,
    /// Least sum of hessians of a child.
    pub min_child_weight: f64,
    /// L2 penalty of leaf values.
    #[serde(alias = "lambda")]
    pub reg_lambda: f64,
    /// L1 penalty of leaf values.
    #[serde(alias = "alpha")]
    pub reg_alpha: f64,
    /// Least gain of a split.
    #[serde(alias = "min_split_loss")]
    pub gamma: f64,
    /// Largest leaf value before the learning rate; 0 sets no limit.
    pub max_delta_step: f64,
    /// Share of the rows that a tree is grown on.
    pub subsample: f64,
    /// Share of the features that a tree may use.
    pub colsample_bytree: f64,
    /// Share of the tree's features that a level may use.
    pub colsample_bylevel: f64,
    /// Share of the level's features that a node may use.
    pub colsample_bynode: f64,
    /// Most bins of a numeric feature, missing values included.
    pub max_bin: usize,
    /// Most bins of a numeric feature whose label changes in more places than `max_bin` has room for. Such a
    /// feature takes two bytes a row.
    pub max_bin_wide: usize,
    /// Whether gradients are rounded to 16 bits, as exact sums on every device need. `false` sums them as they are,
    /// on the CPU and slowly, to see what rounding costs.
    pub use_quantized_grad: bool,
    /// GPUs of this machine that share the rows, from the chosen one on; the trees are the same.
    pub n_gpus: usize,
    /// Memory for a second copy of the bins, by feature, which speeds up splitting; a larger table goes without.
    pub column_bins_mib_max: usize,
    /// Rows that cuts are chosen from; a seeded sample when there are more.
    pub sample_rows_max: usize,
    /// Categorical features with at most this many categories are split one against the rest.
    pub max_cat_to_onehot: usize,
    /// Most categories on the smaller side of a split.
    pub max_cat_threshold: usize,
    /// Weight, in hessians, by which a category's mean gradient is drawn to the node's; and rows that a category needs in
    /// a node to be told apart there.
    pub cat_smooth: f64,
    /// L2 penalty on top of `reg_lambda` where categories split.
    pub cat_l2: f64,
    /// By numeric feature: 1 lets the score only rise with it, -1 only fall.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub monotone_constraints: IndexMap<String, i8>,
    /// Groups of features that may appear together on a path of a tree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interaction_constraints: Vec<Vec<String>>,
    /// Numeric feature that is added to the raw score instead of being learned from, such as the log of an exposure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_margin: Option<String>,
    /// Version or alias of this model whose trees the new ones are added to. Its fitted plan is taken over,
    /// and its objective is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_from: Option<String>,
    /// Quantile of `reg:quantileerror`.
    pub quantile_alpha: f64,
    /// Residual from which `reg:pseudohubererror` is linear, in units of the label.
    pub huber_slope: f64,
    /// Power of `reg:tweedie`, between 1 (Poisson) and 2 (Gamma).
    pub tweedie_variance_power: f64,
    /// Places of a list from the first on that `rank:ndcg` learns to fill; every pair has one of them.
    pub lambdarank_num_pair_per_sample: usize,
    /// Whether `rank:ndcg` evens out gaps of scores within a list, and long lists with short ones.
    pub lambdarank_normalization: bool,
}

impl Default for GbdtConfig {
    fn default() -> Self {
        Self {
            objective: None,
            n_estimators: 1_000,
            early_stopping_rounds: 50,
            eval_metric: None,
            learning_rate: 0.05,
            max_depth: 6,
            max_leaves: 0,
            grow_policy: GrowPolicy::Depthwise,
            min_child_weight: 1.0,
            reg_lambda: 1.0,
            reg_alpha: 0.0,
            gamma: 0.0,
            max_delta_step: 0.0,
            subsample: 0.8,
            colsample_bytree: 1.0,
            colsample_bylevel: 1.0,
            colsample_bynode: 1.0,
            max_bin: 256,
            max_bin_wide: 4_096,
            use_quantized_grad: true,
            n_gpus: 1,
            column_bins_mib_max: 1_024,
            sample_rows_max: 200_000,
            max_cat_to_onehot: 4,
            max_cat_threshold: 64,
            cat_smooth: 10.0,
            cat_l2: 10.0,
            monotone_constraints: IndexMap::new(),
            interaction_constraints: Vec::new(),
            base_margin: None,
            continue_from: None,
            quantile_alpha: 0.5,
            huber_slope: 1.0,
            tweedie_variance_power: 1.5,
            lambdarank_num_pair_per_sample: 32,
            lambdarank_normalization: true,
        }
    }
}

/// Which node is split next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrowPolicy {
    /// All nodes of a level.
    #[default]
    Depthwise,
    /// The node that gains most.
    Lossguide,
}

/// What a setting should be, where it is something else.
pub type Finding = (&'static str, &'static str);

impl GbdtConfig {
    /// Settings that cannot be used, with what is expected of them.
    pub fn findings(&self) -> Vec<Finding> {
        let share = |x: f64| x > 0.0 && x <= 1.0;
        let penalty = |x: f64| x >= 0.0 && x.is_finite();
        let checks: [(bool, &str, &str); 24] = [
            ((1..=64).contains(&self.n_gpus), "n_gpus", "from 1 to 64"),
            (
                self.use_quantized_grad || self.n_gpus == 1,
                "use_quantized_grad",
                "`false` sums on the CPU; leave `n_gpus` out",
            ),
            (
                self.lambdarank_num_pair_per_sample > 0,
                "lambdarank_num_pair_per_sample",
                "at least one place is needed",
            ),
            (self.n_estimators > 0, "n_estimators", "at least one round is needed"),
            (share(self.learning_rate), "learning_rate", "above 0 and at most 1"),
            (
                self.max_depth > 0 || self.max_leaves > 0,
                "max_depth",
                "0 lifts the limit; set `max_leaves` then",
            ),
            (self.max_depth <= 64, "max_depth", "at most 64"),
            (
                self.max_leaves != 1,
                "max_leaves",
                "a tree of one leaf learns nothing; at least 2, or 0 for no limit",
            ),
            (self.max_leaves <= 65_536, "max_leaves", "at most 65,536"),
            (penalty(self.min_child_weight), "min_child_weight", "a number of at least 0"),
            (penalty(self.reg_lambda), "reg_lambda", "a number of at least 0"),
            (penalty(self.reg_alpha), "reg_alpha", "a number of at least 0"),
            (penalty(self.gamma), "gamma", "a number of at least 0"),
            (penalty(self.max_delta_step), "max_delta_step", "a number of at least 0"),
            (share(self.subsample), "subsample", "above 0 and at most 1"),
            (share(self.colsample_bytree), "colsample_bytree", "above 0 and at most 1"),
            (share(self.colsample_bylevel), "colsample_bylevel", "above 0 and at most 1"),
            (share(self.colsample_bynode), "colsample_bynode", "above 0 and at most 1"),
            ((8..=65_536).contains(&self.max_bin), "max_bin", "from 8 to 65,536"),
            (self.max_bin_wide <= 65_536, "max_bin_wide", "at most 65,536"),
            (self.sample_rows_max >= 1_000, "sample_rows_max", "at least 1,000"),
            (self.quantile_alpha > 0.0 && self.quantile_alpha < 1.0, "quantile_alpha", "between 0 and 1"),
            (self.huber_slope > 0.0 && self.huber_slope.is_finite(), "huber_slope", "a number above 0"),
            (
                self.tweedie_variance_power > 1.0 && self.tweedie_variance_power < 2.0,
                "tweedie_variance_power",
                "between 1 and 2",
            ),
        ];
        let mut found: Vec<Finding> =
            checks.iter().filter(|(ok, ..)| !ok).map(|(_, key, want)| (*key, *want)).collect();
        if !penalty(self.cat_smooth) || !penalty(self.cat_l2) {
            found.push(("cat_smooth", "`cat_smooth` and `cat_l2` are numbers of at least 0"));
        }
        if self.monotone_constraints.values().any(|direction| !(-1..=1).contains(direction)) {
            found.push(("monotone_constraints", "1 (rising), -1 (falling) or 0 (free)"));
        }
        found
    }
}

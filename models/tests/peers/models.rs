use cupola_datasets::FeatureBatch;
use cupola_models::Task;
use cupola_models::mlp::{MlpConfig, MlpShape, MlpWeights, OutputScale};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A network with something of everything.
pub struct Model {
    pub name: &'static str,
    pub shape: MlpShape,
    pub weights: MlpWeights,
    pub task: Task,
}

impl Model {
    fn new(name: &'static str, sizes: (usize, &[usize], &[usize]), config: MlpConfig, task: Task) -> Self {
        let (n_numeric, cardinalities, hidden) = sizes;
        let config = MlpConfig { hidden: hidden.to_vec(), ..config };
        let shape = MlpShape {
            n_numeric,
            cardinalities: cardinalities.to_vec(),
            config,
            n_outputs: task.n_outputs(),
        };
        let mut weights = MlpWeights::init(&shape, 42);
        if task == Task::Regression {
            weights.set_output_scale(OutputScale { mean: 12.5, sd: 3.25 });
        }
        Self { name, shape, weights, task }
    }

    /// Rows for it, by seed.
    pub fn rows(&self, n_rows: usize) -> FeatureBatch {
        let mut rng = StdRng::seed_from_u64(7);
        let n_categorical = self.shape.cardinalities.len();
        let numeric = (0..n_rows * self.shape.n_numeric).map(|_| rng.random_range(-3.0..3.0)).collect();
        let code = |i: usize| rng.random_range(0..self.shape.cardinalities[i % n_categorical] as u32);
        let categorical = (0..n_rows * n_categorical).map(code).collect();
        FeatureBatch { n_rows, n_numeric: self.shape.n_numeric, n_categorical, numeric, categorical }
    }
}

/// One network per task, with and without numbers, categories, normalisation and residuals.
pub fn all() -> Vec<Model> {
    let plain = MlpConfig { layer_norm: false, ..MlpConfig::default() };
    let residual = MlpConfig { layer_norm: false, residual: true, ..MlpConfig::default() };
    let full = MlpConfig { residual: true, ..MlpConfig::default() };
    let binary = Task::Binary { classes: ["no".into(), "yes".into()] };
    let three = Task::Multiclass { classes: vec!["a".into(), "b".into(), "c".into()] };
    vec![
        Model::new("binary", (30, &[], &[256, 256]), residual, binary.clone()),
        Model::new("multiclass", (6, &[4, 300], &[32, 32, 32]), full.clone(), three),
        Model::new("regression", (8, &[10], &[24]), plain, Task::Regression),
        Model::new("poisson", (0, &[5, 7], &[16, 16]), full, Task::Poisson),
        Model::new("linear", (3, &[], &[]), MlpConfig::default(), binary),
    ]
}

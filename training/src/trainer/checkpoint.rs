use std::fs;
use std::path::{Path, PathBuf};

use cupola_models::mlp::MlpWeights;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::learner::Learner;
use super::train::Epoch;

/// What a training needs to go on after an epoch, beside its learner.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Course {
    pub history: Vec<Epoch>,
    pub best_loss: Option<f64>,
    pub epochs_without_gain: usize,
}

/// A folder with one sub-folder per finished epoch; the latest whole one counts.
pub(super) struct Checkpoints<'a> {
    dir: &'a Path,
}

const COURSE: &str = "course.json";
const BEST: &str = "best.safetensors";

impl<'a> Checkpoints<'a> {
    pub fn new(dir: &'a Path) -> Self {
        Self { dir }
    }

    /// Keeps the state after an epoch: under a temporary name, then renamed, then the one before goes.
    pub fn save(&self, course: &Course, learner: &dyn Learner, best: &MlpWeights) -> Result<(), TrainError> {
        let epoch = course.history.len();
        let target = self.dir.join(format!("epoch-{epoch}"));
        let temporary = self.dir.join("epoch.tmp");
        let failed = |source| TrainError::Checkpoint { path: target.clone(), source };
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir_all(&temporary).map_err(failed)?;
        learner.save(&temporary).map_err(failed)?;
        fs::write(temporary.join(BEST), best.to_safetensors()?).map_err(failed)?;
        let course = serde_json::to_vec(course).map_err(|error| failed(error.into()))?;
        fs::write(temporary.join(COURSE), course).map_err(failed)?;
        for entry in fs::read_dir(&temporary).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        }
        // A damaged one of the same epoch may be in the way.
        let _ = fs::remove_dir_all(&target);
        fs::rename(&temporary, &target).map_err(failed)?;
        if epoch > 1 {
            let _ = fs::remove_dir_all(self.dir.join(format!("epoch-{}", epoch - 1)));
        }
        Ok(())
    }

    /// Takes the learner back to the latest epoch that was kept whole.
    pub fn resume(&self, learner: &mut dyn Learner) -> Option<(Course, MlpWeights)> {
        let mut epochs: Vec<(usize, PathBuf)> = fs::read_dir(self.dir)
            .ok()?
            .filter_map(Result::ok)
            .filter_map(|entry| {
                Some((entry.file_name().to_str()?.strip_prefix("epoch-")?.parse().ok()?, entry.path()))
            })
            .collect();
        epochs.sort();
        epochs.iter().rev().find_map(|(_, path)| {
            let kept = read(path, learner);
            if kept.is_none() {
                tracing::warn!(checkpoint = %path.display(), "a damaged checkpoint is passed over");
            }
            kept
        })
    }
}

fn read(dir: &Path, learner: &mut dyn Learner) -> Option<(Course, MlpWeights)> {
    let course = serde_json::from_slice(&fs::read(dir.join(COURSE)).ok()?).ok()?;
    let best = MlpWeights::from_safetensors(&fs::read(dir.join(BEST)).ok()?).ok()?;
    learner.load(dir)?;
    Some((course, best))
}

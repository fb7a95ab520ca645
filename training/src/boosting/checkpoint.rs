use std::fs;
use std::path::Path;

use cupola_models::trees::{Forest, ForestShape};
use serde::{Deserialize, Serialize};

use crate::trainer::{Epoch, TrainError};

/// What a training needs to go on, beside its trees.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    pub history: Vec<Epoch>,
    /// Best score so far, smaller is better, and its round.
    pub best: Option<(f64, usize)>,
}

/// One file: a line of JSON, then the trees.
const FILE: &str = "boosting.checkpoint";

/// Keeps the state, whole or not at all.
pub fn save(dir: &Path, course: &Course, forest: &Forest) -> Result<(), TrainError> {
    let path = dir.join(FILE);
    let failed = |source| TrainError::Checkpoint { path: path.clone(), source };
    let mut content = serde_json::to_vec(course).map_err(|error| failed(error.into()))?;
    content.push(b'\n');
    content.extend(forest.to_safetensors()?);
    let temporary = path.with_extension("tmp");
    let write = || {
        fs::write(&temporary, &content)?;
        fs::File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().map_err(failed)
}

/// The state that was kept last, if it is whole.
pub fn load(dir: &Path, shape: &ForestShape) -> Option<(Course, Forest)> {
    let content = fs::read(dir.join(FILE)).ok()?;
    let kept = content.iter().position(|byte| *byte == b'\n').and_then(|end| {
        let course: Course = serde_json::from_slice(&content[..end]).ok()?;
        Some((course, Forest::from_safetensors(shape.clone(), &content[end + 1..]).ok()?))
    });
    if kept.is_none() {
        tracing::warn!(folder = %dir.display(), "a damaged checkpoint is passed over");
    }
    kept
}

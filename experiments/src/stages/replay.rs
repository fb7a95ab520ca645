use std::path::Path;

use cupola_datasets::Lake;
use cupola_datasets::quarantine::{self, Replayed, Tables};

use super::error::RunError;
use super::ingest::Rules;
use super::run::lock;
use super::store::StageStore;
use crate::home::Home;

/// Takes a file of corrected records: validates them with the schema of the latest ingest, and
/// keeps them for the next one. `pipeline` is its name.
pub fn replay(home: &Home, pipeline: &str, file: &Path, now_micros: i64) -> Result<Replayed, RunError> {
    let path = home.stages(pipeline).join(Rules::FILE);
    let missing = || {
        RunError::Settings(format!(
            "there is no ingest of a pipeline {pipeline} in {}; name the pipeline as `name` in its file does, and `cupola run` it first",
            home.root().display()
        ))
    };
    let rules = std::fs::read(&path).map_err(|_| missing())?;
    let rules: Rules = serde_json::from_slice(&rules).map_err(|error| {
        RunError::Data(format!("{} is damaged: {error}; run the pipeline again", path.display()))
    })?;
    StageStore::open(home.stages(pipeline))?;
    let _lock = lock(home, pipeline)?;
    let (lake, tables) = (Lake::open(&home.lake())?, Tables::of(pipeline));
    Ok(quarantine::replay(&lake, &tables, &rules.schema, rules.is_unique, file, now_micros)?)
}

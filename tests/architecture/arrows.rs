//! Who may use whom.

use crate::files::{TextFile, assert_none, repository};
use crate::manifests::Manifest;

/// Crates of the workspace that a crate may use. The root package may use all of them.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("datasets", &[]),
    ("models", &["datasets"]),
    ("training", &["datasets", "models"]),
    ("monitoring", &["datasets", "models"]),
    ("serving", &["datasets", "models", "monitoring"]),
    ("experiments", &["datasets", "models", "training", "monitoring", "serving"]),
];

fn broken_arrows(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for manifest in files.iter().filter_map(Manifest::of).filter(|m| !m.folder.is_empty()) {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == manifest.folder) else {
            broken.push(format!("{}: a crate that the dependency rule does not know", manifest.folder));
            continue;
        };
        for dependency in manifest.dependencies() {
            if let Some(used) = dependency.strip_prefix("cupola-")
                && !allowed.contains(&used)
            {
                broken
                    .push(format!("{}/Cargo.toml: {} must not use {used}", manifest.folder, manifest.folder));
            }
        }
    }
    broken
}

#[test]
fn crates_use_each_other_one_way() {
    let files = repository();
    let n_crates = files.iter().filter_map(Manifest::of).count();
    assert_eq!(n_crates, MAY_USE.len() + 1, "a crate is missing from the rule or from the workspace");
    assert_none(&broken_arrows(&files));
}

#[test]
fn a_wrong_arrow_is_found() {
    let text = "[package]\nname = 'cupola-training'\n[dev-dependencies]\ncupola-serving.workspace = true";
    let broken = broken_arrows(&[TextFile::new("training/Cargo.toml", text)]);
    assert_eq!(broken, ["training/Cargo.toml: training must not use serving"]);
}

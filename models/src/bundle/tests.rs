#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use cupola_datasets::FeatureBatch;

use super::testing::{network, plan, write};
use super::*;
use crate::device::Device;
use crate::mlp::{CpuMlp, MlpWeights};
use crate::predict::{Predictor, Task};

fn written(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let dir = folder.path().join("bundle");
    write(&dir, 1).unwrap();
    dir
}

/// Rewrites a file and all digests over it, as only Cupola could.
fn forge(dir: &Path, file: &str, change: &dyn Fn(&mut serde_json::Value)) {
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let mut content: serde_json::Value = serde_json::from_slice(&read(file)).unwrap();
    change(&mut content);
    std::fs::write(dir.join(file), serde_json::to_vec(&content).unwrap()).unwrap();
    if file != MANIFEST {
        let digest = digest::of_bytes(&read(file));
        return forge(dir, MANIFEST, &|manifest| manifest["digests"][file] = digest.clone().into());
    }
    std::fs::write(dir.join(MANIFEST_DIGEST), format!("{}  {MANIFEST}\n", digest::of_bytes(&read(MANIFEST))))
        .unwrap();
}

#[test]
fn a_loaded_bundle_scores_as_the_model_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/er/bundle");
    let manifest = write(&dir, 1).unwrap();
    let bundle = Bundle::load(&dir, Device::Cpu).unwrap();
    assert_eq!(bundle.manifest, manifest);
    assert_eq!(bundle.plan.fitted(), &plan());
    let (shape, weights) = network(1);
    let rows =
        FeatureBatch { n_rows: 2, n_numeric: 0, n_categorical: 1, numeric: vec![], categorical: vec![2, 4] };
    let task = Task::Binary { classes: ["0".into(), "1".into()] };
    let expected = CpuMlp::new(&shape, &weights, &task).unwrap().predict(&rows).unwrap();
    assert_eq!(bundle.predictor.predict(&rows).unwrap(), expected);
    let weights_read = MlpWeights::from_safetensors(&std::fs::read(dir.join(WEIGHTS)).unwrap()).unwrap();
    assert_eq!(weights_read, weights);
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let manifest = write(&one, 3).unwrap();
    assert_eq!(write(&two, 3).unwrap(), manifest);
    for file in files(&manifest) {
        assert_eq!(std::fs::read(one.join(file)).unwrap(), std::fs::read(two.join(file)).unwrap(), "{file}");
    }
    assert_eq!(manifest.digests.keys().collect::<Vec<_>>(), [PLAN, WEIGHTS, PROFILE, ONNX]);
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_its_file_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = written(&folder);
    let manifest = verify(&dir).unwrap();
    for file in files(&manifest) {
        let whole = std::fs::read(dir.join(file)).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut broken = whole.clone();
            broken[at] ^= 1;
            std::fs::write(dir.join(file), broken).unwrap();
            let error = Bundle::load(&dir, Device::Cpu).unwrap_err();
            // A digest that was changed into another valid one accuses the manifest it guards.
            let accused = |named: &str| named == file || (file == MANIFEST_DIGEST && named == MANIFEST);
            assert!(
                matches!(&error, BundleError::Digest { file, .. } if accused(file)),
                "{file}[{at}]: {error}"
            );
        }
        std::fs::write(dir.join(file), whole).unwrap();
    }
    Bundle::load(&dir, Device::Cpu).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = written(&folder);
    for name in files(&verify(&dir).unwrap()) {
        std::fs::rename(dir.join(name), folder.path().join("away")).unwrap();
        let error = Bundle::load(&dir, Device::Cpu).unwrap_err();
        assert!(matches!(&error, BundleError::Missing { file, .. } if file == name), "{error}");
        std::fs::rename(folder.path().join("away"), dir.join(name)).unwrap();
    }
    let error = Bundle::load(&folder.path().join("nowhere"), Device::Cpu).unwrap_err();
    assert!(matches!(&error, BundleError::Missing { file, .. } if file == MANIFEST), "{error}");
}

#[test]
fn bundles_of_another_format_or_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = written(&folder);
    forge(&dir, MANIFEST, &|manifest| manifest["kind"] = "oracle".into());
    let error = Bundle::load(&dir, Device::Cpu).unwrap_err();
    assert!(matches!(&error, BundleError::Kind { kind, .. } if kind == "oracle"), "{error}");
    forge(&dir, MANIFEST, &|manifest| {
        manifest["format"] = 2.into();
        manifest["something_new"] = true.into();
    });
    let error = Bundle::load(&dir, Device::Cpu).unwrap_err();
    assert!(matches!(error, BundleError::Format { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn parts_of_different_models_are_refused() {
    let change = |file: &str, change: fn(&mut serde_json::Value)| {
        let folder = tempfile::tempdir().unwrap();
        let dir = written(&folder);
        forge(&dir, file, &change);
        Bundle::load(&dir, Device::Cpu).unwrap_err()
    };
    let error = change(PLAN, |plan| plan["categorical"][0]["categories"] = serde_json::json!(["red"]));
    assert!(matches!(error, BundleError::Mismatch { .. }), "{error}");
    let error = change(MANIFEST, |manifest| manifest["signature"]["task"]["kind"] = "multiclass".into());
    assert!(matches!(error, BundleError::Mismatch { .. }), "{error}");
    let error =
        change(MANIFEST, |manifest| manifest["model"]["shape"]["config"]["hidden"] = serde_json::json!([9]));
    assert!(matches!(error, BundleError::Weights(_)), "{error}");
    let error = change(MANIFEST, |manifest| manifest["model"] = serde_json::json!({}));
    assert!(matches!(&error, BundleError::Content { file, .. } if file == MANIFEST), "{error}");
    let error = change(MANIFEST, |manifest| manifest["digests"]["../../etc/passwd"] = "00".into());
    assert!(matches!(&error, BundleError::Content { file, .. } if file == MANIFEST), "{error}");
}

#[test]
fn a_bundle_is_never_overwritten_and_a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = written(&folder);
    assert!(matches!(write(&dir, 2), Err(BundleError::Exists { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(write(&file.join("bundle"), 2), Err(BundleError::Io { .. })));
}

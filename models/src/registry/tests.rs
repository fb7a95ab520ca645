#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::bundle;

struct Setup {
    folder: TempDir,
    registry: LocalRegistry,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = LocalRegistry::with_clock(&folder.path().join("models"), || {
            DateTime::from_timestamp(1_700_000_000, 0).unwrap()
        });
        Self { registry: registry.unwrap(), folder }
    }

    fn bundle(&self, seed: u64) -> std::path::PathBuf {
        let dir = self.folder.path().join(format!("bundle-{seed}"));
        bundle::testing::write(&dir, seed).unwrap();
        dir
    }

    /// A registry with a model of `n` versions.
    fn with_versions(n: u64) -> Self {
        let setup = Self::new();
        for seed in 1..=n {
            setup.registry.register("m", &setup.bundle(seed)).unwrap();
        }
        setup
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("models/m").join(name)
    }
}

#[test]
fn the_local_registry_keeps_the_contract() {
    let setup = Setup::new();
    contract::holds(&setup.registry, "colours", setup.folder.path()).unwrap();
}

#[test]
fn registration_time_comes_from_the_clock() {
    let setup = Setup::with_versions(1);
    assert_eq!(setup.registry.models().unwrap()[0].versions[0].created, "2023-11-14T22:13:20.000Z");
}

#[test]
fn processes_that_register_at_once_get_a_number_each() {
    let setup = Setup::new();
    let bundles: Vec<_> = (1..=8).map(|seed| setup.bundle(seed)).collect();
    let root = setup.folder.path().join("models");
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let register =
            |bundle: &Path| LocalRegistry::open(&root).unwrap().register("m", bundle).unwrap().version;
        let threads: Vec<_> = bundles.iter().map(|bundle| scope.spawn(move || register(bundle))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    let left: Vec<_> =
        std::fs::read_dir(setup.file("versions")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 8, "no temporary folder stays: {left:?}");
}

#[test]
fn aliases_set_at_once_are_all_kept() {
    let setup = Setup::with_versions(1);
    std::thread::scope(|scope| {
        for i in 0..16 {
            let registry = setup.registry.clone();
            scope.spawn(move || registry.set_alias("m", &format!("alias-{i}"), Some(1)).unwrap());
        }
    });
    assert_eq!(setup.registry.models().unwrap()[0].aliases.len(), 16);
    assert_eq!(setup.registry.history("m").unwrap().len(), 16);
}

#[test]
fn rollback_goes_back_step_by_step_and_is_recorded() {
    let setup = Setup::with_versions(3);
    let registry = &setup.registry;
    for version in 1..=3 {
        registry.set_alias("m", "champion", Some(version)).unwrap();
    }
    registry.set_alias("m", "champion", Some(3)).unwrap();
    assert_eq!(registry.rollback("m", "champion").unwrap(), 2);
    assert_eq!(registry.resolve("m", &VersionRef::default()).unwrap().version, 2);
    assert_eq!(registry.rollback("m", "champion").unwrap(), 1);
    let error = registry.rollback("m", "champion").unwrap_err();
    assert!(matches!(error, RegistryError::NoRollback { .. }), "{error}");
    let steps: Vec<_> = registry
        .history("m")
        .unwrap()
        .into_iter()
        .map(|change| (change.from, change.to, change.rollback))
        .collect();
    let (one, two, three) = (Some(1), Some(2), Some(3));
    assert_eq!(
        steps,
        [(None, one, false), (one, two, false), (two, three, false), (three, two, true), (two, one, true)]
    );
    assert!(matches!(registry.rollback("m", "nobody"), Err(RegistryError::NoRollback { .. })));
}

#[test]
fn a_history_cut_off_by_a_crash_goes_on() {
    let setup = Setup::with_versions(2);
    setup.registry.set_alias("m", "champion", Some(1)).unwrap();
    let mut text = std::fs::read(setup.file("history.jsonl")).unwrap();
    text.extend(br#"{"time":"2026-01-01T00:00"#);
    std::fs::write(setup.file("history.jsonl"), text).unwrap();
    assert_eq!(setup.registry.history("m").unwrap().len(), 1);
    setup.registry.set_alias("m", "champion", Some(2)).unwrap();
    let steps: Vec<_> = setup.registry.history("m").unwrap().into_iter().map(|change| change.to).collect();
    assert_eq!(steps, [Some(1), Some(2)]);
}

#[test]
fn damaged_files_are_named() {
    let setup = Setup::with_versions(1);
    setup.registry.set_alias("m", "champion", Some(1)).unwrap();
    for file in ["aliases.json", "versions/1/registration.json"] {
        let whole = std::fs::read(setup.file(file)).unwrap();
        std::fs::write(setup.file(file), b"{\"champion\": ").unwrap();
        let error = setup.registry.models().unwrap_err();
        assert!(matches!(&error, RegistryError::Damaged { path, .. } if path.ends_with(file)), "{error}");
        std::fs::write(setup.file(file), whole).unwrap();
    }
}

#[test]
fn a_damaged_bundle_is_not_registered() {
    let setup = Setup::new();
    let bundle = setup.bundle(1);
    std::fs::write(bundle.join("profile.json"), "{ }").unwrap();
    let error = setup.registry.register("m", &bundle).unwrap_err();
    assert!(matches!(error, RegistryError::Bundle(bundle::BundleError::Digest { .. })), "{error}");
    assert!(setup.registry.models().unwrap().is_empty());
}

#[test]
fn a_registry_that_is_not_there_yet_is_empty_and_a_file_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let registry = LocalRegistry::open(&folder.path().join("none")).unwrap();
    assert_eq!(registry.models().unwrap(), []);
    assert_eq!(registry.revision().unwrap(), registry.revision().unwrap());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(LocalRegistry::open(&file), Err(RegistryError::Io { .. })));
}

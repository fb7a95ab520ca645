use cupola_experiments::journal::system_clock;
use cupola_experiments::mlflow::MlflowRegistry;
use cupola_models::registry::{Registry, RegistryError, VersionRef};

use super::fixtures::bundle;
use super::server::{Server, is_there, shared};

#[test]
fn a_bundle_comes_back_from_the_registry_as_it_was() {
    let Some(server) = shared("a_bundle_comes_back_from_the_registry_as_it_was") else { return };
    let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let registry = MlflowRegistry::new(server.config(), home.path(), system_clock()).unwrap();
    let first = bundle(&work.path().join("1"), "", "first weights");
    let second = bundle(&work.path().join("2"), "", "second weights");
    let before = registry.revision().unwrap();
    assert_eq!(registry.register("round-trip", &first).unwrap().version, 1);
    assert_eq!(registry.register("round-trip", &second).unwrap().version, 2);
    assert_eq!(
        registry.register("round-trip", &second).unwrap().version,
        3,
        "the same bundle may be registered again"
    );
    let registered = registry.revision().unwrap();
    assert_ne!(registered, before);
    assert_eq!(registered, registry.revision().unwrap());

    assert_eq!(registry.set_alias("round-trip", "champion", Some(1)).unwrap(), None);
    assert_ne!(registry.revision().unwrap(), registered);
    assert_eq!(registry.set_alias("round-trip", "champion", Some(2)).unwrap(), Some(1));
    let resolved = registry.resolve("round-trip", &VersionRef::default()).unwrap();
    assert_eq!((resolved.name.as_str(), resolved.version), ("round-trip", 2));
    for file in ["bundle.json", "model.safetensors", "plan/fitted.json"] {
        assert_eq!(
            std::fs::read(resolved.dir.join(file)).unwrap(),
            std::fs::read(second.join(file)).unwrap(),
            "{file}"
        );
    }
    let model = registry.models().unwrap().into_iter().find(|model| model.name == "round-trip").unwrap();
    assert_eq!(model.versions.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(model.aliases["champion"], 2);
    assert_eq!(registry.set_alias("round-trip", "champion", None).unwrap(), Some(2));
    let error = registry.resolve("round-trip", &VersionRef::default()).unwrap_err();
    assert_eq!(error.to_string(), "model round-trip has no version or alias champion; known: 1, 2, 3");
    let error = registry.resolve("nobody", &VersionRef::Number(1)).unwrap_err();
    assert!(
        matches!(&error, RegistryError::UnknownModel { known, .. } if known.contains("round-trip")),
        "{error}"
    );
}

#[test]
fn a_resolved_bundle_is_served_without_the_network_and_repaired_when_damaged() {
    if !is_there("a_resolved_bundle_is_served_without_the_network_and_repaired_when_damaged") {
        return;
    }
    let (folder, home, work) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(folder.path());
    let registry = MlflowRegistry::new(server.config(), home.path(), system_clock()).unwrap();
    registry.register("cached", &bundle(&work.path().join("1"), "", "weights")).unwrap();
    let dir = registry.resolve("cached", &VersionRef::Number(1)).unwrap().dir;

    std::fs::write(dir.join("model.safetensors"), "flipped").unwrap();
    let again = registry.resolve("cached", &VersionRef::Number(1)).unwrap();
    assert_eq!(std::fs::read_to_string(again.dir.join("model.safetensors")).unwrap(), "weights");

    // The store loses the files: what is in the cache is whole and goes on to be served.
    std::fs::remove_dir_all(folder.path().join("artifacts")).unwrap();
    assert_eq!(registry.resolve("cached", &VersionRef::Number(1)).unwrap(), again);
    std::fs::remove_file(dir.join("plan/fitted.json")).unwrap();
    assert!(registry.resolve("cached", &VersionRef::Number(1)).is_err());
}

#[test]
fn a_bundle_that_was_changed_on_the_server_is_refused() {
    if !is_there("a_bundle_that_was_changed_on_the_server_is_refused") {
        return;
    }
    let (folder, home, work) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(folder.path());
    let registry = MlflowRegistry::new(server.config(), home.path(), system_clock()).unwrap();
    registry.register("tampered", &bundle(&work.path().join("1"), "", "weights")).unwrap();
    let mut stack = vec![folder.path().join("artifacts")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.ends_with("model.safetensors") {
            std::fs::write(path, "evil").unwrap();
        }
    }
    let error = registry.resolve("tampered", &VersionRef::Number(1)).unwrap_err().to_string();
    assert!(error.contains("model.safetensors does not match its digest"), "{error}");
    let left: Vec<_> = std::fs::read_dir(home.path().join("cache/bundles")).unwrap().collect();
    assert!(left.is_empty(), "nothing half is left behind: {left:?}");
}

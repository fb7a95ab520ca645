//! What every registry must do. Each implementation's tests run [`holds`] on an empty registry.

use std::path::Path;

use super::{Registry, RegistryError, VersionRef};
use crate::bundle;

/// Panics where the registry breaks the contract; an error is one that should not have come.
///
/// `model` is a name that the registry does not have; `bundles` is a folder to write bundles to.
pub fn holds(registry: &dyn Registry, model: &str, bundles: &Path) -> Result<(), RegistryError> {
    let [first, second] = [1, 2].map(|seed| (bundles.join(format!("bundle-{seed}")), seed));
    for (dir, seed) in [&first, &second] {
        bundle::testing::write(dir, *seed)?;
    }
    unknown_models_are_named(registry, model);
    invalid_names_are_refused(registry, &first.0);
    a_version_is_a_whole_copy(registry, model, &first.0)?;
    aliases_point_where_they_are_set(registry, model, &second.0)?;
    revisions_follow_changes(registry, model, &second.0)
}

fn unknown_models_are_named(registry: &dyn Registry, model: &str) {
    let error = registry.resolve(model, &VersionRef::Number(1));
    assert!(matches!(&error, Err(RegistryError::UnknownModel { name, .. }) if name == model), "{error:?}");
    let error = registry.set_alias(model, "champion", Some(1));
    assert!(matches!(&error, Err(RegistryError::UnknownModel { name, .. }) if name == model), "{error:?}");
}

fn invalid_names_are_refused(registry: &dyn Registry, bundle: &Path) {
    for name in ["", "a/b", "..", "a b"] {
        let error = registry.register(name, bundle);
        assert!(matches!(error, Err(RegistryError::InvalidName { .. })), "{name:?}: {error:?}");
    }
}

fn a_version_is_a_whole_copy(
    registry: &dyn Registry,
    model: &str,
    bundle: &Path,
) -> Result<(), RegistryError> {
    let manifest = bundle::verify(bundle)?;
    let info = registry.register(model, bundle)?;
    assert_eq!((info.name.as_str(), info.version), (model, 1));
    assert_eq!(info.run_id, manifest.provenance.run_id);
    assert!(info.created.ends_with('Z'), "{}: RFC 3339 in UTC", info.created);
    let resolved = registry.resolve(model, &VersionRef::Number(1))?;
    assert_eq!((resolved.name.as_str(), resolved.version), (model, 1));
    assert_eq!(bundle::verify(&resolved.dir)?, manifest);
    let missing = registry.resolve(model, &VersionRef::Number(2));
    assert!(matches!(missing, Err(RegistryError::UnknownVersion { .. })), "{missing:?}");
    let champion = registry.resolve(model, &VersionRef::default());
    assert!(matches!(champion, Err(RegistryError::UnknownVersion { .. })), "nobody set it: {champion:?}");
    Ok(())
}

fn aliases_point_where_they_are_set(
    registry: &dyn Registry,
    model: &str,
    bundle: &Path,
) -> Result<(), RegistryError> {
    let champion = VersionRef::Alias("champion".into());
    assert_eq!(registry.set_alias(model, "champion", Some(1))?, None);
    assert_eq!(registry.register(model, bundle)?.version, 2);
    assert_eq!(registry.resolve(model, &champion)?.version, 1, "registering moves no alias");
    assert_eq!(registry.set_alias(model, "champion", Some(2))?, Some(1));
    let resolved = registry.resolve(model, &champion)?;
    assert_eq!((resolved.version, bundle::verify(&resolved.dir)?), (2, bundle::verify(bundle)?));
    let error = registry.set_alias(model, "champion", Some(99));
    assert!(matches!(error, Err(RegistryError::UnknownVersion { .. })), "{error:?}");
    for alias in ["", "7", "latest", "v7"] {
        let error = registry.set_alias(model, alias, Some(1));
        assert!(matches!(error, Err(RegistryError::InvalidAlias { .. })), "{alias:?}: {error:?}");
    }
    let models = registry.models()?;
    let found = models.iter().find(|found| found.name == model);
    let listed = found
        .map(|found| (found.versions.iter().map(|v| v.version).collect(), found.aliases.get("champion")));
    assert_eq!(listed, Some((vec![1, 2], Some(&2))));
    assert_eq!(registry.set_alias(model, "champion", None)?, Some(2));
    assert!(registry.resolve(model, &champion).is_err(), "a removed alias resolves to nothing");
    Ok(())
}

fn revisions_follow_changes(
    registry: &dyn Registry,
    model: &str,
    bundle: &Path,
) -> Result<(), RegistryError> {
    let mut seen = vec![registry.revision()?];
    assert_eq!(registry.revision()?, seen[0], "nothing changed");
    registry.set_alias(model, "challenger", Some(1))?;
    seen.push(registry.revision()?);
    registry.set_alias(model, "challenger", Some(2))?;
    seen.push(registry.revision()?);
    registry.register(model, bundle)?;
    seen.push(registry.revision()?);
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "each change shows: {seen:?}");
    Ok(())
}

use cupola_datasets::features::FeaturePlan;
use cupola_datasets::lake::ScanOptions;
use cupola_datasets::profile::{DataProfile, WarningKind};
use cupola_datasets::{TableVersion, prepare, profile};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::ingest::Ingested;
use super::observer::Stage;
use super::run::Context;
use super::store::{address, write};

/// Result of the prepare stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The clean table.
    pub clean: TableVersion,
    /// Changes with the content of the clean table.
    pub digest: String,
    /// What it looks like; the reference profile of the bundle.
    pub profile: DataProfile,
    /// The profile as a page.
    pub page: std::path::PathBuf,
}

/// Deduplicates and filters the raw table and profiles what is left.
pub fn run(context: &Context<'_>, ingested: &Ingested) -> Result<(Prepared, bool), RunError> {
    let prepare = &context.pipeline.prepare;
    let settings = (&ingested.schema, &prepare.deduplicate, &prepare.filter);
    let address = address(&(&ingested.raw, &ingested.digest, settings))?;
    let (cleaned, reused) = match context.store.get::<Prepared>(Stage::Prepare, &address) {
        Some(kept) => (kept, true),
        None => (clean(context, ingested, &address)?, false),
    };
    let prepared = seen_by_features(context, ingested, cleaned);
    // The pages of other runs of the same table stay as they are.
    let seen = super::store::address(&prepared.profile)?;
    let page = context.store.folder(Stage::Prepare, &address)?.join(format!("profile-{seen}.html"));
    let prepared = Prepared { page, ..prepared };
    write(&prepared.page, profile::to_html(&prepared.profile).as_bytes())?;
    warn_of_identifiers(context, &prepared.profile);
    Ok((prepared, reused))
}

fn clean(context: &Context<'_>, ingested: &Ingested, address: &str) -> Result<Prepared, RunError> {
    let pipeline = &context.pipeline;
    context.allow(Stage::Prepare)?;
    let table = format!("{}/clean", pipeline.name);
    let clean = prepare::run(
        &context.lake,
        &context.engine,
        &ingested.raw,
        &ingested.schema,
        &pipeline.prepare,
        &table,
    )
    .map_err(RunError::data)?;
    if clean.n_rows == 0 {
        return Err(RunError::Data("no row is left in the clean table; check prepare.filter".into()));
    }
    let mut seen = 0;
    let total = clean.n_rows;
    let mut rows = context.lake.scan(&clean, ScanOptions::default())?.inspect(|batch| {
        seen += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        context.observer.progress(Stage::Prepare, seen, Some(total), "rows", "profiling");
    });
    let profile = DataProfile::compute(&mut rows, &ingested.schema, ingested.schema.label.as_deref())
        .map_err(RunError::data)?;
    let page = context.store.folder(Stage::Prepare, address)?.join("profile.html");
    let result = Prepared { clean, digest: address.to_owned(), profile, page };
    context.store.put(Stage::Prepare, address, &result)?;
    Ok(result)
}

/// Which columns are features may change without a new clean table.
fn seen_by_features(context: &Context<'_>, ingested: &Ingested, prepared: Prepared) -> Prepared {
    let pipeline = &context.pipeline;
    // A plan that does not fit is an error of the features stage; a run may end before it.
    match FeaturePlan::resolve(&ingested.schema, &pipeline.features, &pipeline.prepare) {
        Ok(plan) => {
            let profile = prepared.profile.with_features(|name| plan.input.columns.contains_key(name));
            Prepared { profile, ..prepared }
        }
        Err(_) => prepared,
    }
}

/// Names the identifiers among the features that were chosen automatically.
fn warn_of_identifiers(context: &Context<'_>, profile: &DataProfile) {
    let features = &context.pipeline.features;
    let listed =
        |name| [&features.numeric, &features.categorical].into_iter().flatten().any(|l| l.contains(name));
    let found: Vec<String> = profile
        .warnings
        .iter()
        .filter(|warning| warning.kind == WarningKind::Identifier && !listed(&warning.column))
        .map(|warning| format!("{:?}", warning.column))
        .collect();
    if !found.is_empty() {
        tracing::warn!(
            "features that look like identifiers, with a value of its own in nearly every row, say nothing about \
             other rows; leave them out with `[features] exclude = [{}]`, or name the key in `[schema] key`",
            found.join(", ")
        );
    }
}

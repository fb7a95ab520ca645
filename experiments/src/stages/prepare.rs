use cupola_datasets::lake::ScanOptions;
use cupola_datasets::profile::DataProfile;
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
    let pipeline = &context.pipeline;
    let settings = (&ingested.schema, &pipeline.prepare.deduplicate, &pipeline.prepare.filter);
    let address = address(&(&ingested.raw, &ingested.digest, settings))?;
    if let Some(result) = context.store.get::<Prepared>(Stage::Prepare, &address) {
        return Ok((result, true));
    }
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
    let page = context.store.folder(Stage::Prepare, &address)?.join("profile.html");
    write(&page, profile::to_html(&profile).as_bytes())?;
    let result = Prepared { clean, digest: address.clone(), profile, page };
    context.store.put(Stage::Prepare, &address, &result)?;
    Ok((result, false))
}

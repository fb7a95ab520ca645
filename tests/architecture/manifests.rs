//! Manifests: which crate may use which library, and what each library is for.

use crate::files::{TextFile, assert_none, repository};

/// A crate's manifest.
pub struct Manifest {
    /// Folder of the crate; empty for the root package.
    pub folder: String,
    table: toml::Table,
}

impl Manifest {
    pub fn of(file: &TextFile) -> Option<Self> {
        let folder = file.path.strip_suffix("Cargo.toml")?.trim_end_matches('/').to_string();
        let table: toml::Table = file.text.parse().unwrap();
        table.contains_key("package").then_some(Self { folder, table })
    }

    /// Names in all three dependency tables.
    pub fn dependencies(&self) -> Vec<&str> {
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        let tables = tables.iter().filter_map(|t| self.table.get(*t)?.as_table());
        tables.flat_map(|t| t.keys().map(String::as_str)).collect()
    }
}

/// Heavy libraries and the folders of the crates that may use them.
const LIBRARIES: [(&str, &[&str]); 9] = [
    ("actix-web", &["serving"]),
    ("prometheus", &["serving"]),
    ("datafusion", &["datasets"]),
    ("deltalake-core", &["datasets"]),
    ("burn", &["models", "training"]),
    ("nvml-wrapper", &["experiments"]),
    ("toml_edit", &["experiments"]),
    ("anyhow", &[""]),
    ("clap", &[""]),
];

fn misplaced_libraries(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for manifest in files.iter().filter_map(Manifest::of) {
        for (library, folders) in LIBRARIES {
            if manifest.dependencies().contains(&library) && !folders.contains(&manifest.folder.as_str()) {
                broken.push(format!("{}/Cargo.toml: {library} belongs to {folders:?}", manifest.folder));
            }
        }
    }
    broken
}

/// A workspace dependency is one line that ends with what it is for.
fn uncommented_dependencies(root_manifest: &str) -> Vec<String> {
    let lines = root_manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let ours = |line: &str| line.starts_with("cupola-") || line.starts_with('#') || line.trim().is_empty();
    lines
        .filter(|line| {
            !ours(line) && line.split_once(" # ").is_none_or(|(_, purpose)| purpose.trim().is_empty())
        })
        .map(|line| format!("Cargo.toml: say in a few words what it is for: {line}"))
        .collect()
}

/// Versions and features are chosen once, in the workspace manifest.
fn versions_outside_the_workspace(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for manifest in files.iter().filter_map(Manifest::of) {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = manifest.table.get(table).and_then(|t| t.as_table()).into_iter().flatten();
            for (name, entry) in entries {
                if entry.get("workspace").and_then(|w| w.as_bool()) != Some(true) {
                    broken.push(format!(
                        "{}/Cargo.toml: {name} is not `{name}.workspace = true`",
                        manifest.folder
                    ));
                }
            }
        }
    }
    broken
}

#[test]
fn heavy_libraries_are_used_by_their_crate_only() {
    assert_none(&misplaced_libraries(&repository()));
}

#[test]
fn a_heavy_library_in_another_crate_is_found() {
    let text = "[package]\nname = 'cupola-models'\n[dependencies]\nactix-web.workspace = true";
    assert_eq!(misplaced_libraries(&[TextFile::new("models/Cargo.toml", text)]).len(), 1);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let files = repository();
    let root = files.iter().find(|f| f.path == "Cargo.toml").unwrap();
    assert!(root.text.contains("\n[workspace.dependencies]\n"));
    assert_none(&uncommented_dependencies(&root.text));
}

#[test]
fn a_dependency_without_a_purpose_is_found() {
    let text = "[workspace.dependencies]\n# group\nregex = \"1\"\nurl = \"2\" # locations\n\n[package]\nname = \"x\"";
    let broken = uncommented_dependencies(text);
    assert_eq!(broken, ["Cargo.toml: say in a few words what it is for: regex = \"1\""]);
}

#[test]
fn versions_are_chosen_in_the_workspace_manifest() {
    assert_none(&versions_outside_the_workspace(&repository()));
}

#[test]
fn a_version_in_a_crate_is_found() {
    let text = "[package]\nname = 'cupola-models'\n[dependencies]\nregex = '1'\nurl.workspace = true";
    let broken = versions_outside_the_workspace(&[TextFile::new("models/Cargo.toml", text)]);
    assert_eq!(broken, ["models/Cargo.toml: regex is not `regex.workspace = true`"]);
}

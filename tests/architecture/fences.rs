//! Heavy libraries stay in one room, and conditional compilation in one file per concern.

use crate::files::{TextFile, assert_none, repository};

/// A text in the code and the path prefixes it may appear under.
struct Fence {
    text: &'static str,
    rooms: &'static [&'static str],
}

const FENCES: [Fence; 9] = [
    Fence { text: "actix_", rooms: &["serving/src/http"] },
    Fence { text: "deltalake", rooms: &["datasets/src/lake"] },
    Fence { text: "datafusion", rooms: &["datasets/src/engines", "datasets/src/features"] },
    Fence { text: "2.0/mlflow", rooms: &["experiments/src/mlflow", "experiments/tests", "tests/"] },
    Fence { text: "mlflow.runName", rooms: &["experiments/src/mlflow", "experiments/tests", "tests/"] },
    Fence { text: "mlflow.source.", rooms: &["experiments/src/mlflow", "experiments/tests", "tests/"] },
    Fence { text: "mlflow.log-model", rooms: &["experiments/src/mlflow", "experiments/tests", "tests/"] },
    Fence { text: "cubecl", rooms: &["models/src"] },
    Fence { text: "nvml_wrapper", rooms: &["experiments/src", "models/src/device"] },
];

/// Where the build is chosen: devices, connectors.
const CONDITIONAL: [&str; 2] = ["models/src/device/", "datasets/src/sources/mod.rs"];

fn within(path: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| path.starts_with(room))
}

fn outside_the_fence(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|f| f.is_rust() && !f.path.starts_with("tests/architecture/")) {
        for fence in FENCES.iter().filter(|fence| !within(&file.path, fence.rooms)) {
            for (line, _) in file.code().filter(|(_, code)| code.contains(fence.text)) {
                broken.push(format!("{}:{line}: `{}` belongs to {:?}", file.path, fence.text, fence.rooms));
            }
        }
    }
    broken
}

fn scattered_conditions(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|f| f.is_rust() && !f.path.starts_with("tests/architecture/")) {
        let conditional = |code: &str| code.contains("cfg") && code.contains("feature = ");
        for (line, _) in file.code().filter(|(_, code)| conditional(code)) {
            if !within(&file.path, &CONDITIONAL) {
                broken.push(format!("{}:{line}: `cfg(feature)` belongs to {CONDITIONAL:?}", file.path));
            }
        }
    }
    broken
}

#[test]
fn heavy_libraries_stay_behind_their_fence() {
    assert_none(&outside_the_fence(&repository()));
}

#[test]
fn a_library_outside_its_fence_is_found() {
    for (path, code) in [
        ("serving/src/batcher.rs", "use actix_web::web;"),
        ("datasets/src/prepare/run.rs", "use deltalake_core::DeltaTable;"),
        ("datasets/src/sources/files.rs", "let ctx = datafusion::prelude::SessionContext::new();"),
        ("experiments/src/journal/ship.rs", "let url = \"/api/2.0/mlflow/runs/create\";"),
        ("src/runs.rs", "tags.insert(\"mlflow.runName\", name);"),
        ("training/src/trainer/step.rs", "use cubecl::prelude::*;"),
    ] {
        let broken = outside_the_fence(&[TextFile::new(path, &format!("// why\n{code}\n"))]);
        assert_eq!(broken.len(), 1, "{path}: {broken:?}");
        assert!(broken[0].starts_with(&format!("{path}:2: ")));
    }
    let inside = TextFile::new("serving/src/http/server.rs", "use actix_web::App;");
    let comment = TextFile::new("serving/src/batcher.rs", "/// Knows neither actix_web nor burn.");
    assert_none(&outside_the_fence(&[inside, comment]));
}

#[test]
fn conditional_compilation_lives_in_one_file_per_concern() {
    assert_none(&scattered_conditions(&repository()));
}

#[test]
fn a_scattered_condition_is_found() {
    let file =
        TextFile::new("training/src/trainer/step.rs", "#[cfg(any(test, feature = \"cuda\"))]\nfn f() {}");
    assert_eq!(scattered_conditions(&[file]).len(), 1);
}

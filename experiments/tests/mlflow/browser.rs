use std::path::PathBuf;
use std::process::Command;

use cupola_experiments::mlflow::sync;

use super::fixtures::{finish, read_run, whole_run};
use super::server::shared;

#[test]
fn the_compare_page_of_mlflow_shows_two_runs() {
    let test = "the_compare_page_of_mlflow_shows_two_runs";
    let Some(browser) = chromium() else {
        println!("SKIPPED {test}: no chromium on the path or in CUPOLA_CHROMIUM");
        return;
    };
    let Some(server) = shared(test) else { return };
    let home = tempfile::tempdir().unwrap();
    for (run_id, n_steps) in [("compare-1", 30), ("compare-2", 60)] {
        finish(&whole_run(home.path(), "compare", run_id, n_steps));
    }
    sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap();
    let ids: Vec<String> = ["compare-1", "compare-2"]
        .map(|run_id| read_run(&server.address, run_id)["id"].as_str().unwrap().into())
        .into();
    let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let found = http
        .get(format!("{}/api/2.0/mlflow/experiments/get-by-name?experiment_name=compare", server.address))
        .send()
        .unwrap();
    let found: serde_json::Value = serde_json::from_str(&found.text().unwrap()).unwrap();
    let experiment_id = found["experiment"]["experiment_id"].as_str().unwrap();

    let page = format!(
        "{}/#/compare-runs?runs=[%22{}%22,%22{}%22]&experiments=[%22{experiment_id}%22]",
        server.address, ids[0], ids[1]
    );
    let mut missing = Vec::new();
    // The page is built by scripts; on a busy machine the first look may come too early.
    for _ in 0..4 {
        let dom = dump(&browser, &page);
        let wanted = [
            "name-of-compare-1",
            "name-of-compare-2",
            "test/pr_auc",
            "train/loss",
            "validation/roc_auc",
            "train.lr",
        ];
        missing = wanted.into_iter().filter(|text| !dom.contains(text)).collect();
        if missing.is_empty() {
            return;
        }
    }
    panic!("the page {page} does not show {missing:?}");
}

fn dump(browser: &PathBuf, page: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--window-size=1600,2400", "--virtual-time-budget=30000", "--dump-dom", page])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CUPOLA_CHROMIUM").map(PathBuf::from);
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let known = on_path
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    named.into_iter().chain(known).find(|path| path.is_file())
}

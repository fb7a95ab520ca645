//! Texts that no file of the repository may contain.

use crate::files::{TextFile, assert_none, repository};

/// In two halves, so that this file does not contain them: hosts of package registries (where a package
/// comes from is the installer's setting) and paths of a machine that once built the project.
const FORBIDDEN: [(&str, &str); 11] = [
    ("crates", ".io"),
    ("pypi", ".org"),
    ("npmjs", ".com"),
    ("npmjs", ".org"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
    ("repo.", "maven"),
    ("repo1.", "maven"),
    ("/work", "/main"),
    ("/work", "/wt"),
    ("/tmp/bash", "_jobs"),
];

/// Files that tools write.
const GENERATED: [&str; 1] = ["Cargo.lock"];

fn forbidden_words(files: &[TextFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|f| !GENERATED.contains(&f.path.as_str())) {
        for (i, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            for word in FORBIDDEN.iter().map(|(a, b)| format!("{a}{b}")).filter(|w| line.contains(w)) {
                broken.push(format!("{}:{}: `{word}`", file.path, i + 1));
            }
        }
    }
    broken
}

#[test]
fn no_file_names_a_package_registry_or_a_build_machine() {
    assert_none(&forbidden_words(&repository()));
}

#[test]
fn a_forbidden_word_is_found() {
    let text = format!("first\nsee https://{}{}/x\n", FORBIDDEN[0].0, FORBIDDEN[0].1);
    let broken = forbidden_words(&[TextFile::new("docs/x.md", &text)]);
    assert_eq!(broken.len(), 1);
    assert!(broken[0].starts_with("docs/x.md:2: "));
}

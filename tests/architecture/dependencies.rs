//! Licences and bans of deny.toml, held without cargo-deny.

use std::collections::BTreeSet;
use std::process::Command;

use crate::files::assert_none;

/// A third-party crate of the build.
struct Crate {
    name: String,
    licence: String,
}

fn deny_list(path: [&str; 2]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let entries = table[path[0]][path[1]].as_array().unwrap();
    entries.iter().map(|entry| entry.as_str().unwrap().to_string()).collect()
}

fn third_party_crates() -> Vec<Crate> {
    let arguments =
        ["metadata", "--format-version=1", "--offline", "--filter-platform=x86_64-unknown-linux-gnu"];
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let packages = metadata["packages"].as_array().unwrap().iter().filter(|p| !p["source"].is_null());
    packages.map(|p| Crate { name: text(&p["name"]), licence: text(&p["license"]) }).collect()
}

/// Whether one of the choices of an SPDX expression is allowed whole. `/` is the old spelling of `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    any_of(&mut tokens, allowed)
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut ok = all_of(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        ok |= all_of(tokens, allowed);
    }
    ok
}

fn all_of(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut ok = licence(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        ok &= licence(tokens, allowed);
    }
    ok
}

fn licence(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    if tokens.next_if_eq(&"(").is_some() {
        let ok = any_of(tokens, allowed);
        tokens.next();
        return ok;
    }
    let mut name = tokens.next().unwrap_or("none").to_string();
    if tokens.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", tokens.next().unwrap_or_default());
    }
    allowed.contains(&name)
}

#[test]
fn dependencies_are_licensed_as_deny_toml_allows() {
    let allowed = deny_list(["licenses", "allow"]);
    let crates = third_party_crates();
    assert!(crates.len() > 100, "only {} crates found", crates.len());
    let refused = crates.iter().filter(|c| !is_allowed(&c.licence, &allowed));
    assert_none(&refused.map(|c| format!("{}: licence `{}`", c.name, c.licence)).collect::<Vec<_>>());
}

#[test]
fn banned_crates_are_absent() {
    let banned = deny_list(["bans", "deny"]);
    assert!(banned.contains("openssl-sys"));
    let present = third_party_crates().into_iter().filter(|c| banned.contains(&c.name));
    assert_none(&present.map(|c| c.name).collect::<Vec<_>>());
}

#[test]
fn a_licence_expression_is_read_as_spdx_defines_it() {
    let allowed = BTreeSet::from(["MIT".to_string(), "ISC".to_string()]);
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "ISC AND (GPL-3.0 OR MIT)"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "MIT WITH Other-exception", "", "ISC AND (GPL-3.0 OR LGPL-3.0)"]
    {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

use std::path::Path;
use std::process::Command;

use super::event::Git;

/// Who is running this, by the environment.
pub fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

/// State of the repository that holds `dir`; `None` outside one, or without git.
pub fn git(dir: &Path) -> Option<Git> {
    let commit = ask(dir, &["rev-parse", "HEAD"])?;
    Some(Git {
        commit,
        branch: ask(dir, &["symbolic-ref", "--short", "-q", "HEAD"]),
        dirty: ask(dir, &["status", "--porcelain", "--untracked-files=no"]).is_some(),
        repo_url: ask(dir, &["remote", "get-url", "origin"]).map(|url| without_credentials(&url)),
    })
}

/// First line that git answers, if any.
fn ask(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(arguments)
        // Looking must not fight a commit for the index lock, nor ask for a password.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or("").trim();
    (output.status.success() && !line.is_empty()).then(|| line.into())
}

/// A URL may carry a token, which must not get into a record that others read.
fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed)
            if parsed.has_host() && (parsed.password().is_some() || parsed.scheme().starts_with("http")) =>
        {
            let cleared = parsed.set_username("").and_then(|()| parsed.set_password(None));
            if cleared.is_ok() { parsed.into() } else { String::new() }
        }
        _ => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_remote_url_is_not_recorded() {
        assert_eq!(
            without_credentials("https://me:secret@git.example.org/a.git"),
            "https://git.example.org/a.git"
        );
        assert_eq!(
            without_credentials("https://token@git.example.org/a.git"),
            "https://git.example.org/a.git"
        );
        assert_eq!(without_credentials("git@git.example.org:a.git"), "git@git.example.org:a.git");
    }
}

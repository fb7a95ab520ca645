use super::RegistryError;

const NAME_LENGTH_MAX: usize = 200;

/// Checks a model name: it is a folder, a URL segment and an MLflow name at once.
pub fn check_name(name: &str) -> Result<(), RegistryError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let valid = !name.is_empty()
        && name.len() <= NAME_LENGTH_MAX
        && name.chars().all(allowed)
        && !name.starts_with(['.', '-']);
    if valid { Ok(()) } else { Err(RegistryError::InvalidName { name: name.into() }) }
}

/// Checks an alias: MLflow's rules, so that an alias set here can be set there.
pub fn check_alias(alias: &str) -> Result<(), RegistryError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let lower = alias.to_ascii_lowercase();
    let mistakable = lower == "latest" || is_number(alias) || lower.strip_prefix('v').is_some_and(is_number);
    let valid =
        !alias.is_empty() && alias.len() <= NAME_LENGTH_MAX && alias.chars().all(allowed) && !mistakable;
    if valid { Ok(()) } else { Err(RegistryError::InvalidAlias { alias: alias.into() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_everywhere_pass() {
        for name in ["card-fraud", "A.b_9", "x"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "-x", "a/b", "a b", "ä", "a\\b", &"x".repeat(201)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn aliases_that_look_like_versions_are_refused() {
        for alias in ["champion", "challenger_2", "v", "v2x", "pre-release"] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
        for alias in ["", "7", "007", "latest", "Latest", "v7", "V12", "a.b", "a@b"] {
            assert!(check_alias(alias).is_err(), "{alias}");
        }
    }
}

//! What an MLflow server accepts in names, values and one request.

/// Metrics, parameters and tags of one `runs/log-batch`.
pub(super) const BATCH_ITEMS_MAX: usize = 1000;
/// Parameters of one `runs/log-batch`.
pub(super) const BATCH_PARAMS_MAX: usize = 100;
/// Tags of one `runs/log-batch`.
pub(super) const BATCH_TAGS_MAX: usize = 100;
/// Bytes of one `runs/log-batch`; the server's limit is 1 MB for the whole body.
pub(super) const BATCH_BYTES_MAX: usize = 900_000;

const KEY_CHARS_MAX: usize = 250;
const PARAM_CHARS_MAX: usize = 6000;
const TAG_CHARS_MAX: usize = 8000;
const DIGEST_CHARS_MAX: usize = 36;
const DATASET_NAME_CHARS_MAX: usize = 500;

/// A key of a metric, parameter or tag: other characters become `_`.
pub(super) fn key(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    let key: String = text.chars().take(KEY_CHARS_MAX).map(|c| if allowed(c) { c } else { '_' }).collect();
    // The server reads a key as a path and wants it in its plain form.
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    let plain = parts.iter().map(|part| if part.chars().all(|c| c == '.') { "_" } else { part });
    let joined = plain.collect::<Vec<_>>().join("/");
    if joined.is_empty() { "_".into() } else { joined }
}

/// A parameter's value.
pub(super) fn param(text: &str) -> String {
    truncated(text, PARAM_CHARS_MAX)
}

/// A tag's value.
pub(super) fn tag(text: &str) -> String {
    truncated(text, TAG_CHARS_MAX)
}

/// A dataset's digest.
pub(super) fn digest(text: &str) -> String {
    text.chars().take(DIGEST_CHARS_MAX).collect()
}

/// A dataset's name.
pub(super) fn dataset_name(text: &str) -> String {
    text.chars().take(DATASET_NAME_CHARS_MAX).collect()
}

/// A logged model's name, which may not hold what separates names in an address.
pub(super) fn model_name(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '/' | ':' | '.' | '%' | '"' | '\'') { '_' } else { c }).collect()
}

fn truncated(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.into();
    }
    let mut cut: String = text.chars().take(chars_max - 3).collect();
    cut.push_str("...");
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_a_form_that_the_server_accepts() {
        assert_eq!(key("test/pr_auc"), "test/pr_auc");
        assert_eq!(key("slice/a<b"), "slice/a_b");
        assert_eq!(key("/a//b/../c/"), "a/b/_/c");
        assert_eq!(key(""), "_");
        assert_eq!(key(&"k".repeat(300)).len(), 250);
    }

    #[test]
    fn long_values_are_cut_and_show_it() {
        assert_eq!(param(&"é".repeat(6000)).chars().count(), 6000);
        let cut = param(&"é".repeat(6001));
        assert_eq!(cut.chars().count(), 6000);
        assert!(cut.ends_with("é..."));
        assert_eq!(tag(&"x".repeat(9000)).len(), 8000);
    }
}

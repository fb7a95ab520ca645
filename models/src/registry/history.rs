use serde::{Deserialize, Serialize};

/// One change of an alias, as it is kept in `history.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasChange {
    /// Time of the change, RFC 3339 in UTC.
    pub time: String,
    /// The alias.
    pub alias: String,
    /// Version it pointed at; `None`: it was not there.
    pub from: Option<u64>,
    /// Version it points at from then on; `None`: it was removed.
    pub to: Option<u64>,
    /// Whether the change went back along this history. Such a change is no step of it.
    #[serde(default)]
    pub rollback: bool,
}

/// Where an alias pointed before it came to `current`, by the last step that led there.
pub(super) fn before(changes: &[AliasChange], alias: &str, current: u64) -> Option<u64> {
    changes
        .iter()
        .rfind(|change| !change.rollback && change.alias == alias && change.to == Some(current))
        .and_then(|change| change.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(alias: &str, from: Option<u64>, to: Option<u64>, rollback: bool) -> AliasChange {
        AliasChange { time: String::new(), alias: alias.into(), from, to, rollback }
    }

    #[test]
    fn going_back_twice_goes_two_steps() {
        let mut changes = vec![
            change("champion", None, Some(1), false),
            change("champion", Some(1), Some(2), false),
            change("challenger", Some(7), Some(3), false),
            change("champion", Some(2), Some(3), false),
        ];
        assert_eq!(before(&changes, "champion", 3), Some(2));
        changes.push(change("champion", Some(3), Some(2), true));
        assert_eq!(before(&changes, "champion", 2), Some(1));
        changes.push(change("champion", Some(2), Some(1), true));
        assert_eq!(before(&changes, "champion", 1), None);
        assert_eq!(before(&changes, "champion", 9), None);
    }
}

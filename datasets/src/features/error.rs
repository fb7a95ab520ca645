use crate::lake::LakeError;

/// What can go wrong with a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A name in the configuration is neither a column nor a feature.
    #[error("{place} names {name}, which is no column and no SQL feature{}", did_you_mean(nearest))]
    UnknownName {
        /// Where it is named, such as `features.numeric`.
        place: String,
        /// The name.
        name: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A SQL feature reads a column that does not exist.
    #[error("feature {feature} reads {name}, which is no column{}", did_you_mean(nearest))]
    UnknownColumn {
        /// Feature at fault.
        feature: String,
        /// The name.
        name: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// The label, or the weight, would be a feature.
    #[error(
        "feature {feature} reads {column}, the {role}; that is not known when a row is scored, remove it"
    )]
    Leak {
        /// Feature at fault.
        feature: String,
        /// Column it reads.
        column: String,
        /// `label` or `weight`.
        role: &'static str,
    },
    /// A feature is declared in a way that cannot work.
    #[error("feature {feature}: {reason}")]
    Feature {
        /// Feature at fault.
        feature: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// No feature is left.
    #[error("the plan has no feature; name some in features.numeric or features.categorical")]
    NoFeatures,
    /// There is nothing to learn from.
    #[error("the training part has no rows; check prepare.filter and [split]")]
    NoRows,
    /// Rows do not have a column that the plan reads.
    #[error("column {column}: {reason}")]
    Input {
        /// Column at fault.
        column: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A feature cannot be computed.
    #[error("feature {feature}: {reason}")]
    Evaluate {
        /// Feature at fault.
        feature: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The training rows could not be read.
    #[error(transparent)]
    Rows(#[from] LakeError),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// The known name that is most like `name`, if any is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let far = (name.chars().count() / 3).max(2);
    known.into_iter().map(|k| (distance(k), k)).filter(|(d, _)| *d <= far).min().map(|(_, k)| k.to_owned())
}

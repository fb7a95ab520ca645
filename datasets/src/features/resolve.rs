use indexmap::{IndexMap, IndexSet};

use super::error::nearest;
use super::sql;
use super::{FeaturesConfig, PlanError};
use crate::prepare::{Clip, PrepareConfig};
use crate::schema::{ColumnType, Schema};

/// Which features there are and what they read: the configuration against the schema, before
/// anything is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct FeaturePlan {
    /// Columns that the features read.
    pub input: Schema,
    /// SQL features in use, the automatic ones of timestamps included.
    pub sql: IndexMap<String, String>,
    /// Numeric features, in order. Missing flags are not known yet.
    pub numeric: Vec<FeatureSource>,
    /// Categorical features, in order.
    pub categorical: Vec<FeatureSource>,
}

/// A column or a SQL feature, and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureSource {
    /// Name of the column or SQL feature.
    pub name: String,
    /// Type of its values.
    pub kind: ColumnType,
}

impl FeaturePlan {
    /// Resolves names and types, compiles the SQL, and refuses what cannot work. Reads no data.
    pub fn resolve(
        schema: &Schema,
        features: &FeaturesConfig,
        prepare: &PrepareConfig,
    ) -> Result<Self, PlanError> {
        let scope = Scope::new(schema, features)?;
        scope.check_names(prepare)?;
        let (numeric, categorical) = scope.choose()?;
        for source in numeric.iter().chain(&categorical) {
            scope.check_leak(&source.name)?;
        }
        check_types(&numeric, &categorical)?;
        let mut used = IndexSet::new();
        let mut sql = IndexMap::new();
        for source in numeric.iter().chain(&categorical) {
            match scope.expressions.get(&source.name) {
                Some(expression) => {
                    sql.insert(source.name.clone(), expression.sql.clone());
                    used.extend(expression.columns.iter().cloned());
                }
                None => {
                    used.insert(source.name.clone());
                }
            }
        }
        let columns = schema.columns.iter().filter(|(name, _)| used.contains(*name));
        let input =
            Schema { columns: columns.map(|(n, c)| (n.clone(), c.clone())).collect(), ..Schema::default() };
        Ok(Self { input, sql, numeric, categorical })
    }
}

struct Expression {
    sql: String,
    kind: ColumnType,
    columns: Vec<String>,
    /// Made for a timestamp, not written by the user.
    automatic: bool,
}

struct Scope<'a> {
    schema: &'a Schema,
    features: &'a FeaturesConfig,
    expressions: IndexMap<String, Expression>,
}

impl<'a> Scope<'a> {
    fn new(schema: &'a Schema, features: &'a FeaturesConfig) -> Result<Self, PlanError> {
        let mut declared: Vec<(String, String, bool)> = Vec::new();
        for (column, part) in
            schema.columns.iter().filter(|(_, c)| c.kind == ColumnType::Timestamp).flat_map(time_parts)
        {
            let name = format!("{column}.{part}");
            if !schema.columns.contains_key(&name) && !features.sql.contains_key(&name) {
                let field = if part == "weekday" { "dow" } else { part };
                declared.push((name, format!("date_part('{field}', {})", sql::quoted(column)), true));
            }
        }
        declared.extend(features.sql.iter().map(|(name, sql)| (name.clone(), sql.clone(), false)));
        let mut expressions = IndexMap::new();
        for (name, sql, automatic) in declared {
            if schema.columns.contains_key(&name) {
                let reason = "a column has the same name; give the SQL feature another".into();
                return Err(PlanError::Feature { feature: name, reason });
            }
            let checked = sql::check(&name, &sql, schema)?;
            let (kind, columns) = (checked.kind, checked.columns);
            expressions.insert(name, Expression { sql, kind, columns, automatic });
        }
        Ok(Self { schema, features, expressions })
    }

    /// Every name in the configuration is known.
    fn check_names(&self, prepare: &PrepareConfig) -> Result<(), PlanError> {
        let features = self.features;
        let places = [
            ("features.numeric", features.numeric.iter().flatten().collect::<Vec<_>>()),
            ("features.categorical", features.categorical.iter().flatten().collect()),
            ("features.exclude", features.exclude.iter().collect()),
            ("prepare.impute", prepare.impute.keys().collect()),
            ("prepare.clip", prepare.clip.keys().collect()),
        ];
        for (place, names) in places {
            for name in names {
                self.kind(place, name)?;
            }
        }
        for (name, clip) in &prepare.clip {
            let (Clip::Quantile(limits) | Clip::Value(limits)) = clip;
            let order = matches!(clip, Clip::Quantile(_)) && (limits[0] < 0.0 || limits[1] > 1.0);
            if order || limits[0].is_nan() || limits[1].is_nan() || limits[0] >= limits[1] {
                let reason = format!("clip limits {limits:?} are not ascending, or quantiles outside 0 to 1");
                return Err(PlanError::Feature { feature: name.clone(), reason });
            }
        }
        Ok(())
    }

    fn kind(&self, place: &str, name: &str) -> Result<ColumnType, PlanError> {
        if let Some(column) = self.schema.columns.get(name) {
            return Ok(column.kind);
        }
        if let Some(expression) = self.expressions.get(name) {
            return Ok(expression.kind);
        }
        let known = self.schema.columns.keys().chain(self.expressions.keys()).map(String::as_str);
        Err(PlanError::UnknownName { place: place.into(), name: name.into(), nearest: nearest(name, known) })
    }

    fn choose(&self) -> Result<(Vec<FeatureSource>, Vec<FeatureSource>), PlanError> {
        let features = self.features;
        let (mut numeric, mut categorical) = (Vec::new(), Vec::new());
        for (place, list, chosen) in [
            ("features.numeric", &features.numeric, &mut numeric),
            ("features.categorical", &features.categorical, &mut categorical),
        ] {
            for name in list.iter().flatten() {
                chosen.push(FeatureSource { name: name.clone(), kind: self.kind(place, name)? });
            }
        }
        let listed: IndexSet<String> = numeric.iter().chain(&categorical).map(|s| s.name.clone()).collect();
        if listed.len() < numeric.len() + categorical.len() {
            let mut names: Vec<_> = numeric.iter().chain(&categorical).map(|s| s.name.clone()).collect();
            names.sort();
            let twice = names.windows(2).find(|w| w[0] == w[1]).map(|w| w[0].clone()).unwrap_or_default();
            return Err(PlanError::Feature {
                feature: twice,
                reason: "it is listed twice; remove one".into(),
            });
        }
        for source in self.automatic() {
            let text = source.kind == ColumnType::String;
            let written = self.expressions.get(&source.name).is_some_and(|e| !e.automatic);
            let list = if text { &features.categorical } else { &features.numeric };
            if !listed.contains(&source.name) && (list.is_none() || written) {
                if text { categorical.push(source) } else { numeric.push(source) }
            }
        }
        if numeric.is_empty() && categorical.is_empty() {
            return Err(PlanError::NoFeatures);
        }
        Ok((numeric, categorical))
    }

    /// What the automatic choice considers: columns in the order of the schema, a timestamp as its
    /// parts, then the SQL features.
    fn automatic(&self) -> Vec<FeatureSource> {
        let schema = self.schema;
        let left_out = |name: &String| {
            schema.key.contains(name)
                || schema.label.as_ref() == Some(name)
                || schema.weight.as_ref() == Some(name)
                || schema.group.as_ref() == Some(name)
                || self.features.exclude.contains(name)
        };
        let mut sources = Vec::new();
        for (name, column) in schema.columns.iter().filter(|(name, _)| !left_out(name)) {
            if column.kind != ColumnType::Timestamp {
                sources.push(FeatureSource { name: name.clone(), kind: column.kind });
                continue;
            }
            let parts = time_parts((name, column))
                .into_iter()
                .map(|(column, part)| (format!("{column}.{part}"), part));
            for (part, field) in parts {
                // The training rows of one pipeline span few months of event time.
                let of_event_time = schema.time.as_ref() == Some(name) && field == "month";
                if let Some(expression) = self.expressions.get(&part)
                    && expression.automatic
                    && !of_event_time
                    && !left_out(&part)
                {
                    sources.push(FeatureSource { name: part, kind: expression.kind });
                }
            }
        }
        let written = self.expressions.iter().filter(|(name, e)| !e.automatic && !left_out(name));
        sources.extend(written.map(|(name, e)| FeatureSource { name: name.clone(), kind: e.kind }));
        sources
    }

    fn check_leak(&self, feature: &str) -> Result<(), PlanError> {
        let own = [feature.to_owned()];
        let columns = self.expressions.get(feature).map_or(&own[..], |e| &e.columns);
        for (role, column) in [("label", &self.schema.label), ("weight", &self.schema.weight)] {
            if let Some(column) = column.as_ref().filter(|c| columns.contains(c)) {
                return Err(PlanError::Leak { feature: feature.into(), column: column.clone(), role });
            }
        }
        Ok(())
    }
}

fn time_parts<'b>((column, _): (&'b String, &crate::schema::Column)) -> [(&'b str, &'static str); 3] {
    ["hour", "weekday", "month"].map(|part| (column.as_str(), part))
}

fn check_types(numeric: &[FeatureSource], categorical: &[FeatureSource]) -> Result<(), PlanError> {
    let fail = |source: &FeatureSource, reason: &str| {
        Err(PlanError::Feature { feature: source.name.clone(), reason: reason.into() })
    };
    if let Some(source) = numeric.iter().find(|s| s.kind == ColumnType::String) {
        return fail(
            source,
            "it is text and cannot be numeric; list it in features.categorical or convert it in features.sql",
        );
    }
    if let Some(source) = categorical.iter().find(|s| s.kind == ColumnType::Timestamp) {
        return fail(
            source,
            "a timestamp cannot be categorical; take a part of it in features.sql, such as date_part('dow', ts)",
        );
    }
    let reserved = super::table::RESERVED;
    match numeric.iter().chain(categorical).find(|s| reserved.contains(&s.name.as_str())) {
        Some(source) => fail(
            source,
            "the name is reserved in the feature table; rename the column, or read it through features.sql",
        ),
        None => Ok(()),
    }
}

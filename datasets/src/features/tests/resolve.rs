use super::super::{FeaturePlan, PlanError};
use super::rows::{config, schema};
use crate::prepare::PrepareConfig;

fn names(features: &str) -> (Vec<String>, Vec<String>) {
    let plan = FeaturePlan::resolve(&schema(), &config(features), &PrepareConfig::default()).unwrap();
    let names = |list: &[super::super::FeatureSource]| list.iter().map(|s| s.name.clone()).collect();
    (names(&plan.numeric), names(&plan.categorical))
}

fn refused(features: &str) -> String {
    FeaturePlan::resolve(&schema(), &config(features), &PrepareConfig::default()).unwrap_err().to_string()
}

#[test]
fn without_lists_types_decide_and_key_label_and_weight_are_left_out() {
    let (numeric, categorical) = names("{}");
    assert_eq!(numeric, ["ts.hour", "ts.weekday", "amount", "count", "flag", "constant", "empty"]);
    assert_eq!(categorical, ["city"]);
}

#[test]
fn excluded_columns_are_left_out_and_sql_features_join_by_their_type() {
    let (numeric, categorical) = names(
        r#"{"exclude": ["ts", "count", "constant", "empty"],
            "sql": {"is_night": "date_part('hour', ts) < 6", "initial": "substr(city, 1, 1)", "root": "ln(amount)"}}"#,
    );
    assert_eq!(numeric, ["amount", "flag", "is_night", "root"]);
    assert_eq!(categorical, ["city", "initial"]);
}

#[test]
fn a_list_replaces_the_automatic_choice_of_its_kind() {
    let (numeric, categorical) =
        names(r#"{"numeric": ["amount", "ts.month"], "categorical": ["count", "id"]}"#);
    assert_eq!(numeric, ["amount", "ts.month"]);
    assert_eq!(categorical, ["count", "id"]);
    let (numeric, categorical) = names(r#"{"categorical": ["count"]}"#);
    assert!(numeric.contains(&"flag".to_owned()) && !numeric.contains(&"count".to_owned()));
    assert_eq!(categorical, ["count"]);
}

#[test]
fn the_input_has_only_the_columns_that_are_read_as_they_were_declared() {
    let features = config(
        r#"{"numeric": ["amount"], "categorical": [], "sql": {"late": "date_part('hour', ts) > 20"}}"#,
    );
    let plan = FeaturePlan::resolve(&schema(), &features, &PrepareConfig::default()).unwrap();
    assert_eq!(plan.input.columns.keys().collect::<Vec<_>>(), ["ts", "amount"]);
    assert!(plan.input.columns["ts"].required && !plan.input.columns["amount"].required);
    assert_eq!((plan.input.label, plan.input.time), (None, None));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    assert_eq!(
        refused(r#"{"numeric": ["amuont"]}"#),
        "features.numeric names amuont, which is no column and no SQL feature; did you mean amount?"
    );
    assert_eq!(
        refused(r#"{"sql": {"big": "Amount > 10"}}"#),
        "feature big reads Amount, which is no column; did you mean amount?"
    );
    let unknown = refused(r#"{"sql": {"big": "logg(amount)"}}"#);
    assert!(
        unknown.starts_with("feature big: its SQL cannot be used: ") && unknown.contains("logg"),
        "{unknown}"
    );
    let broken = refused(r#"{"sql": {"big": "amount >"}}"#);
    assert!(broken.starts_with("feature big: its SQL cannot be used: "), "{broken}");
}

#[test]
fn what_is_not_a_function_of_the_row_is_refused() {
    for (sql, part) in [
        ("sum(amount)", "aggregate"),
        ("random()", "random()"),
        ("now() > ts", "now()"),
        ("row_number() over ()", "window"),
        ("(select 1)", ""),
    ] {
        let message = refused(&format!(r#"{{"sql": {{"odd": "{sql}"}}}}"#));
        assert!(message.starts_with("feature odd") && message.contains(part), "{message}");
    }
}

#[test]
fn the_label_and_the_weight_cannot_be_features() {
    let leak =
        FeaturePlan::resolve(&schema(), &config(r#"{"numeric": ["label"]}"#), &PrepareConfig::default())
            .unwrap_err();
    assert!(matches!(leak, PlanError::Leak { role: "label", .. }));
    let message = refused(r#"{"sql": {"cheat": "case when label then amount else 0 end"}}"#);
    assert_eq!(
        message,
        "feature cheat reads label, the label; that is not known when a row is scored, remove it"
    );
    assert!(refused(r#"{"numeric": ["weight"]}"#).contains("the weight"));
}

#[test]
fn types_and_names_that_cannot_work_are_refused() {
    assert!(refused(r#"{"numeric": ["city"]}"#).contains("it is text and cannot be numeric"));
    assert!(refused(r#"{"categorical": ["ts"]}"#).contains("a timestamp cannot be categorical"));
    assert!(refused(r#"{"numeric": ["count"], "categorical": ["count"]}"#).contains("listed twice"));
    assert!(refused(r#"{"sql": {"amount": "amount + 1"}}"#).contains("a column has the same name"));
    assert!(refused(r#"{"sql": {"part": "amount + 1"}}"#).contains("reserved"));
    assert!(refused(r#"{"numeric": [], "categorical": []}"#).contains("no feature"));
}

#[test]
fn prepare_is_checked_too() {
    let prepare = |json: &str| serde_json::from_str::<PrepareConfig>(json).unwrap();
    let refused =
        |json| FeaturePlan::resolve(&schema(), &config("{}"), &prepare(json)).unwrap_err().to_string();
    assert!(refused(r#"{"impute": {"amout": "mean"}}"#).contains("did you mean amount?"));
    assert!(
        refused(r#"{"clip": {"amount": {"quantile": [0.5, 1.5]}}}"#).contains("quantiles outside 0 to 1")
    );
    assert!(refused(r#"{"clip": {"amount": {"value": [5.0, 1.0]}}}"#).contains("not ascending"));
}

/// The known name most like `name`, if one is like it at all. For "did you mean" in messages.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.75;
    let lower = name.trim().to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.trim().to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_misspelt_name_and_no_unrelated_one() {
        let known = ["amount", "customer_id", "is_fraud"];
        assert_eq!(nearest("amuont", known), Some("amount"));
        assert_eq!(nearest("Customer_ID", known), Some("customer_id"));
        assert_eq!(nearest("temperature", known), None);
    }
}

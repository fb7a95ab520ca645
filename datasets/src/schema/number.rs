//! Texts that mean a number or a truth value.

/// A 64-bit integer; `5.0` and `1e3` are integers too, as tools write them beside missing values.
pub(crate) fn int(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => integral(float(text)?),
        Err(_) => None,
    }
}

/// The integer that a float is, where it is one and every integer of its size is a float.
pub(crate) fn integral(value: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= EXACT_MAX).then_some(value as i64)
}

/// A 64-bit float, NaN and infinities included: the caller refuses them by their own name.
pub(crate) fn float(text: &str) -> Option<f64> {
    text.trim_ascii().parse().ok()
}

/// `true`/`false`, `1`/`0`, `yes`/`no`, `t`/`f`, `y`/`n` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["1", "true", "yes", "t", "y", "1.0"];
    const FALSE: [&str; 6] = ["0", "false", "no", "f", "n", "0.0"];
    let text = text.trim_ascii();
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if TRUE.iter().any(is) {
        Some(true)
    } else if FALSE.iter().any(is) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integral_float_is_an_integer_and_nothing_else_is() {
        for (text, value) in
            [("5", Some(5)), ("-5.0", Some(-5)), ("1e3", Some(1_000)), (" 7 ", Some(7)), ("+7", Some(7))]
        {
            assert_eq!(int(text), value, "{text}");
        }
        for text in
            ["5.5", "", "0x10", "1e300", "9223372036854775808", "9007199254740993.0e1", "nan", "1,000"]
        {
            assert_eq!(int(text), None, "{text}");
        }
        assert_eq!(int("9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn truth_has_five_spellings_in_any_case() {
        for text in ["1", "TRUE", "Yes", "t", "Y"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["0", "False", "NO", "F", "n"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "2", "oui", "truee"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }
}

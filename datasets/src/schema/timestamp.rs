//! Texts and numbers that mean an instant. One parser for files and for HTTP.

/// Smallest instant accepted: 0001-01-01T00:00:00Z, in microseconds.
const MICROS_MIN: i64 = -62_135_596_800_000_000;
/// Largest instant accepted: 9999-12-31T23:59:59.999999Z, in microseconds.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

/// Microseconds since 1970-01-01T00:00:00Z.
///
/// Reads RFC 3339, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS[.f]]` with an optional zone (`Z`, `UTC`,
/// `+hh:mm`, `+hhmm`, `+hh`), `/` in place of `-`, and epoch numbers as [`from_number`] does. A
/// text without a zone is UTC. Digits past the microsecond are cut off.
pub(crate) fn from_text(text: &str) -> Option<i64> {
    let bytes = text.trim_ascii().as_bytes();
    match bytes {
        [_, _, _, _, b'-' | b'/', ..] => from_calendar(bytes),
        _ => from_epoch_text(text.trim_ascii()),
    }
}

/// Microseconds from an epoch number. The size tells the unit: below 10^11 seconds, below 10^14
/// milliseconds, below 10^17 microseconds, else nanoseconds.
pub(crate) fn from_number(number: i64) -> Option<i64> {
    let micros = match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(1_000_000)?,
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000)?,
        100_000_000_000_000..100_000_000_000_000_000 => number,
        _ => number.div_euclid(1_000),
    };
    in_range(micros)
}

/// As [`from_number`], with fractions of the unit.
pub(crate) fn from_float(number: f64) -> Option<i64> {
    let scale = match number.abs() {
        x if x < 1e11 => 1e6,
        x if x < 1e14 => 1e3,
        x if x < 1e17 => 1.0,
        x if x < 9e18 => 1e-3,
        _ => return None,
    };
    in_range((number * scale).round() as i64)
}

fn in_range(micros: i64) -> Option<i64> {
    (MICROS_MIN..=MICROS_MAX).contains(&micros).then_some(micros)
}

fn from_epoch_text(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(number) => from_number(number),
        // `inf` and `nan` parse as floats, `1e5` is no instant that anybody writes.
        Err(_) if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-')) => {
            from_float(text.parse().ok()?)
        }
        Err(_) => None,
    }
}

fn from_calendar(bytes: &[u8]) -> Option<i64> {
    let (date, rest) = bytes.split_at_checked(10)?;
    if date[4] != date[7] {
        return None;
    }
    let days = days_from_civil(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
    let mut micros = days * 86_400_000_000;
    if let [b'T' | b't' | b' ', time @ ..] = rest {
        let (of_day, zone) = time_of_day(time)?;
        micros += of_day - zone_micros(zone)?;
    } else if !rest.is_empty() {
        return None;
    }
    in_range(micros)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year < 1 || !(1..=days_in_month).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Microseconds since midnight, and what follows the time.
fn time_of_day(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = bytes else { return None };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let mut micros = (hour * 60 + minute) * 60_000_000;
    let [b':', s1, s2, rest @ ..] = rest else { return Some((micros, rest)) };
    let second = number(&[*s1, *s2])?;
    // 60 is a leap second: the first instant of the next minute.
    if second > 60 {
        return None;
    }
    micros += second * 1_000_000;
    let [b'.' | b',', rest @ ..] = rest else { return Some((micros, rest)) };
    let n_digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if n_digits == 0 {
        return None;
    }
    let mut unit = 100_000;
    for digit in &rest[..n_digits] {
        micros += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    Some((micros, &rest[n_digits..]))
}

/// Offset from UTC in microseconds.
fn zone_micros(bytes: &[u8]) -> Option<i64> {
    let bytes = bytes.trim_ascii_start();
    let (sign, offset) = match bytes {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] | [b'G', b'M', b'T'] => return Some(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = match offset {
        [h1, h2] => (number(&[*h1, *h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_one_instant_gives_the_same_microseconds() {
        // 2018-04-01T00:00:31Z is 1522540831 by `date -u -d ... +%s`.
        for text in [
            "2018-04-01T00:00:31Z",
            "2018-04-01 00:00:31",
            "2018-04-01 00:00:31 UTC",
            "2018/04/01 00:00:31",
            "2018-04-01t00:00:31.000000000z",
            "2018-04-01T02:00:31+02:00",
            "2018-04-01T02:00:31+0200",
            "2018-04-01T02:00:31 +02",
            "2018-03-31T18:30:31-05:30",
            " 2018-04-01T00:00:31Z ",
            "1522540831",
            "1522540831000",
            "1522540831000000",
            "1522540831000000000",
            "1522540831.0",
        ] {
            assert_eq!(from_text(text), Some(1_522_540_831_000_000), "{text}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_microsecond_also_before_1970() {
        assert_eq!(from_text("1970-01-01T00:00:00.1234567Z"), Some(123_456));
        assert_eq!(from_text("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(from_float(1.25), Some(1_250_000));
        assert_eq!(from_text("2024-02-29"), Some(1_709_164_800_000_000));
        assert_eq!(from_text("2016-12-31T23:59:60Z"), from_text("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn texts_that_are_no_instants_are_refused() {
        for text in [
            "",
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-01-32",
            "2023-01/02",
            "2023-01-01T24:00:00",
            "2023-01-01T23:60",
            "2023-01-01T10:00:00+25:00",
            "2023-01-01T10:00:00 CET",
            "2023-01-01x",
            "2023-01-01T10:00:00.",
            "nan",
            "inf",
            "1e9",
            "yesterday",
            "12/31/2023",
            "0000-01-01",
            "99999999999999999999",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(from_float(f64::NAN), None);
        assert_eq!(from_float(f64::INFINITY), None);
    }

    proptest! {
        #[test]
        fn agrees_with_chrono_on_any_instant_in_any_zone(micros in MICROS_MIN + 86_400_000_000..MICROS_MAX - 86_400_000_000, minutes in -1_439i32..1_440) {
            let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let text = DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone).to_rfc3339();
            prop_assert_eq!(from_text(&text), Some(micros), "{}", text);
        }

        #[test]
        fn never_panics(text in "\\PC{0,32}") {
            let _ = from_text(&text);
        }
    }
}

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::HttpRequest;
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Builder;

/// Name of the header that carries a request's id, both ways.
pub const HEADER: &str = "x-request-id";

const LENGTH_MAX: usize = 128;

/// Makes ids for requests that bring none: UUIDs of version 7 (RFC 9562).
pub struct RequestIds {
    random: StdRng,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { random: rand::make_rng() }
    }
}

impl RequestIds {
    /// The id that `request` brings, if it is one, else a new one. Visible ASCII without quotes and
    /// backslashes only, so it can be written into JSON and headers as it is.
    pub fn of(&mut self, request: &HttpRequest) -> String {
        let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        given.filter(|id| is_valid(id)).map_or_else(|| self.make(), String::from)
    }

    fn make(&mut self) -> String {
        let mut random = [0; 10];
        self.random.fill_bytes(&mut random);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = Builder::from_unix_timestamp_millis(since.as_millis() as u64, &random).into_uuid();
        let mut text = [0; 36];
        id.hyphenated().encode_lower(&mut text).to_owned()
    }
}

fn is_valid(id: &str) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\' && b != b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_need_no_escaping_are_taken_over() {
        assert!(is_valid("abc-123_/:.") && is_valid(&"x".repeat(128)));
        for bad in ["", "two words", "a\"b", "a\\b", "é", "a\nb", &"x".repeat(129)] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn made_ids_are_of_version_7_and_differ() {
        let mut ids = RequestIds::default();
        let (a, b) = (ids.make(), ids.make());
        assert_ne!(a, b);
        assert_eq!(uuid::Uuid::parse_str(&a).unwrap().get_version_num(), 7);
    }
}

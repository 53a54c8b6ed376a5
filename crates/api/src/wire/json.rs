//! How answers are rendered: JSON bodies and times. Amounts are in `amount`.

use domain::Timestamp;
use serde::Serialize;

/// A failure of ours, already logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InternalError;

/// Serializes the body of an answer.
pub(crate) fn serialize(body: &impl Serialize) -> Result<String, InternalError> {
    serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer could not be serialized");
        InternalError
    })
}

/// A time in RFC 3339: UTC, six decimals and `Z` (CONTRACT A-34).
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| String::new(), |t| format!("{t:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_decimals() {
        for (micros, text) in [
            (1_770_320_554_000_000, "2026-02-05T19:42:34.000000Z"),
            (1_770_320_554_000_001, "2026-02-05T19:42:34.000001Z"),
            (1_770_320_554_120_000, "2026-02-05T19:42:34.120000Z"),
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp(micros)), text);
        }
    }
}

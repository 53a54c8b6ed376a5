//! What answers are written with: moments, and the body they stand in. Amounts are in `amount`.

use domain::Timestamp;
use serde::Serialize;

/// Something of ours broke; the log says what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InternalError;

/// Writes an answer's body.
pub(crate) fn json(body: &impl Serialize) -> Result<String, InternalError> {
    serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        InternalError
    })
}

/// A moment, UTC, six digits and `Z` (CONTRACT A-34).
pub(crate) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| String::new(), |t| format!("{t:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_six_digits() {
        for (micros, text) in [
            (1_770_320_554_000_000, "2026-02-05T19:42:34.000000Z"),
            (1_770_320_554_000_001, "2026-02-05T19:42:34.000001Z"),
            (1_770_320_554_120_000, "2026-02-05T19:42:34.120000Z"),
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(moment(Timestamp(micros)), text);
        }
    }
}

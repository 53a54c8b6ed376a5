//! Every limit of this dialect alone, each with its reason.

/// Bytes of an offer's identifier: the longest seen are about 100; a session text may be longer.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 2048;

/// `Retry-After` when the operator did not return its offers, in seconds.
pub(super) const OFFERS_RETRY_S: u64 = 5;

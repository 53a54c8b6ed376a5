//! Every limit of this face alone, each with its reason.

/// Bytes of an offer's identifier: the longest seen are about 100; a session text may be longer.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 2048;

/// Seconds after which offers may be asked for again when the operator did not answer.
pub(super) const OFFERS_RETRY_S: u64 = 5;

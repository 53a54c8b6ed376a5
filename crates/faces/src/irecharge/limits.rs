//! Every limit of this face, each with its reason.

/// Bytes of a body: ten times the longest documented one, with a URL of 2 KiB and a session text.
pub(super) const BODY_BYTES_MOST: usize = 64 * 1024;

/// Levels of brackets in a body: the documented ones have one.
pub(super) const DEPTH_MOST: usize = 32;

/// Hops of `X-Forwarded-For` that are looked at: longer chains are made up.
pub(super) const HOPS_MOST: usize = 20;

/// Bytes of an offer's identifier: the longest seen are about 100; a session text may be longer.
pub(super) const IDENTIFIER_BYTES_MOST: usize = 2048;

/// Seconds that a logo may be kept: it changes with a release.
pub(super) const LOGO_FRESH_S: u32 = 7 * 24 * 3600;

/// Seconds after which offers may be asked for again when the operator did not answer.
pub(super) const OFFERS_RETRY_S: u64 = 5;

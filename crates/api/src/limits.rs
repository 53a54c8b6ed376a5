//! Every limit that the faces share, each with its reason.

/// Bytes of a body: ten times the longest documented one, with a URL of 2 KiB and a session text.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Levels of brackets in a body: the documented ones have one or two.
pub(crate) const DEPTH_MAX: usize = 32;

/// Hops of `X-Forwarded-For` that are looked at: longer chains are made up.
pub(crate) const HOPS_MAX: usize = 20;

/// Seconds that a logo may be kept: it changes with a release.
pub(crate) const LOGO_FRESH_S: u32 = 7 * 24 * 3600;

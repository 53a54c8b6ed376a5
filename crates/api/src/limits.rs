//! Every limit that the dialects share, each with its reason.

/// Bytes of a body: ten times the longest documented one, with a URL of 2 KiB and a session text.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Levels of nested brackets in a body: the documented bodies have one or two.
pub(crate) const DEPTH_MAX: usize = 32;

/// Hops of `X-Forwarded-For` that are read: a longer chain is forged.
pub(crate) const HOPS_MAX: usize = 20;

/// Seconds that a client may cache a logo: it changes only with a release.
pub(crate) const LOGO_MAX_AGE_S: u32 = 7 * 24 * 3600;

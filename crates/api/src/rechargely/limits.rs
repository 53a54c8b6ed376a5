//! Every limit of this face alone, each with its reason.

/// Digits of a phone number with its country: at most what E.164 allows.
pub(super) const MOBILE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Characters of a phone number as people write it, with brackets and spaces.
pub(super) const MOBILE_MAX: usize = 32;

/// Fields of `additionalData`: no biller asks for more than five.
pub(super) const ADDITIONAL_MAX: usize = 20;

/// Characters of a name in `additionalData`.
pub(super) const ADDITIONAL_NAME_MAX: usize = 64;

/// Characters of a value in `additionalData`: an address in full.
pub(super) const ADDITIONAL_VALUE_MAX: usize = 256;

/// Characters of an `fcmToken`: Firebase's have about 170, and may grow.
pub(super) const FCM_TOKEN_MAX: usize = 4096;

/// Characters of an e-mail address (RFC 5321, 4.5.3.1.3, without the brackets).
pub(super) const USERNAME_MAX: usize = 254;

/// Bytes of a password that are hashed: more is no password, but work for us.
pub(super) const PASSWORD_BYTES_MAX: usize = 1024;

/// Characters of a one-time code or of a `preAuthToken`: ours are shorter.
pub(super) const CODE_MAX: usize = 256;

/// Characters of a search.
pub(super) const SEARCH_MAX: usize = 64;

/// Lines of a page, unless the caller says otherwise.
pub(super) const PAGE: u32 = 20;

/// Lines of a page at most: what one answer may cost.
pub(super) const PAGE_MAX: u32 = 100;

/// Seconds after which a biller may be asked again when it did not answer.
pub(super) const BILLER_RETRY_S: u64 = 5;

/// Products that a search finds at most: more are no answer to a question.
pub(super) const FOUND_MAX: usize = 50;

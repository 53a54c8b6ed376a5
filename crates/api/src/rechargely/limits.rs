//! Every limit of this dialect alone, each with its reason.

/// Digits of a phone number with its country code: E.164 allows at most 15.
pub(super) const MOBILE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Characters of a phone number as people write it, with brackets and spaces.
pub(super) const MOBILE_CHARS_MAX: usize = 32;

/// Fields of `additionalData`: no biller requires more than five.
pub(super) const ADDITIONAL_FIELDS_MAX: usize = 20;

/// Characters of a name in `additionalData`.
pub(super) const ADDITIONAL_NAME_CHARS_MAX: usize = 64;

/// Characters of a value in `additionalData`: an address in full.
pub(super) const ADDITIONAL_VALUE_CHARS_MAX: usize = 256;

/// Characters of an `fcmToken`: Firebase's have about 170, and may grow.
pub(super) const FCM_TOKEN_CHARS_MAX: usize = 4096;

/// Characters of an e-mail address (RFC 5321, 4.5.3.1.3, without the brackets).
pub(super) const USERNAME_CHARS_MAX: usize = 254;

/// Bytes of a password: hashing a longer one would only cost CPU time.
pub(super) const PASSWORD_BYTES_MAX: usize = 1024;

/// Characters of a one-time code or of a `preAuthToken`: ours are shorter.
pub(super) const CODE_CHARS_MAX: usize = 256;

/// Characters of a search.
pub(super) const SEARCH_CHARS_MAX: usize = 64;

/// Lines of a page by default, as a query says it.
pub(super) const PAGE_LINES: &str = "20";

/// Lines of a page at most: the limit of one answer's cost.
pub(super) const PAGE_LINES_MAX: i64 = 100;

/// `Retry-After` when a biller did not answer, in seconds.
pub(super) const BILLER_RETRY_S: u64 = 5;

/// Products in the result of a search: a longer list helps nobody.
pub(super) const FOUND_PRODUCTS_MAX: usize = 50;

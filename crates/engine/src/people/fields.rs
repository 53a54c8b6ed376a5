//! The fields of a sign-up: address, number, name, password.
//!
//! Invariant: a mail address is stored and compared as [`address`] returns it, everywhere.

use super::password::prepared;
use crate::refusals::{field_error, refuse_if_any, unless};
use domain::FieldError;
use domain::refusal::Invalid;

/// RFC 5321, 4.5.3.1: a path has 256 octets, with its brackets.
const EMAIL_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 100;
/// National numbers, of any country (E.164 has 15 digits at most).
const MOBILE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;
/// NIST SP 800-63B, 5.1.1.2: length counts, the kinds of characters do not.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// The passwords that are guessed first, of eight characters and more.
const COMMONEST: [&str; 23] = [
    "password", "passw0rd", "p@ssword", "p@ssw0rd", "12345678", "87654321", "12341234", "11223344",
    "qwertyui", "qwerty12", "1q2w3e4r", "1qaz2wsx", "abcd1234", "abc12345", "iloveyou", "sunshine",
    "princess", "football", "baseball", "superman", "welcome1", "letmein1", "changeme",
];
/// Longer ones.
const COMMONEST_LONGER: [&str; 14] = [
    "password1",
    "password12",
    "password123",
    "123456789",
    "1234567890",
    "987654321",
    "0987654321",
    "123123123",
    "112233445566",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r5t",
    "asdfghjkl",
    "zxcvbnm123",
];

/// An address as it is stored and compared: without spaces around it, in lower case.
pub(super) fn address(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

/// Refuses a sign-up with every wrong field at once.
pub(super) fn check_sign_up(
    email: &str,
    mobile: &str,
    name: &str,
    password: &str,
) -> Result<(), Invalid> {
    let is_mobile = mobile.bytes().all(|b| b.is_ascii_digit())
        && (mobile.is_empty() || MOBILE_DIGITS.contains(&mobile.len()));
    let is_name = name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    let errors = [
        email_error(email),
        unless(is_mobile, "mobile", "Give the number in national form: 6 to 15 digits."),
        unless(is_name, "name", "Give a name of at most 100 characters."),
        password_error(email, password),
    ];
    refuse_if_any(errors.into_iter().flatten())
}

/// Refuses what may not be the password of an address.
pub(super) fn check_password(email: &str, password: &str) -> Result<(), Invalid> {
    refuse_if_any(password_error(email, password))
}

pub(super) fn email_error(email: &str) -> Option<FieldError> {
    unless(is_address(email), "email", "Give an e-mail address, such as name@example.org.")
}

pub(super) fn password_error(email: &str, password: &str) -> Option<FieldError> {
    let password = prepared(password);
    let lower = password.trim().to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    let message = if !PASSWORD_CHARS.contains(&password.chars().count()) {
        "A password has 8 to 128 characters."
    } else if lower == email || lower == local {
        "A password must not be the e-mail address."
    } else if is_common(&lower) || is_one_character(&lower) {
        "This password is among the first that are guessed; choose another."
    } else {
        return None;
    };
    Some(field_error("password", message))
}

fn is_common(password: &str) -> bool {
    COMMONEST.contains(&password) || COMMONEST_LONGER.contains(&password)
}

fn is_one_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_none_or(|first| chars.all(|c| c == first))
}

/// Whether every mail server accepts this address: RFC 5321 without quotes, literals and UTF-8.
pub(super) fn is_address(email: &str) -> bool {
    let Some((local, host)) = email.split_once('@') else { return false };
    let is_local_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let is_local = !local.is_empty()
        && local.len() <= LOCAL_BYTES_MAX
        && local.bytes().all(is_local_byte)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    email.len() <= EMAIL_BYTES_MAX
        && is_local
        && host.contains('.')
        && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(email: &str, mobile: &str, password: &str) -> Vec<&'static str> {
        match check_sign_up(&address(email), mobile, "A", password) {
            Ok(()) => Vec::new(),
            Err(Invalid { errors }) => errors.iter().map(|e| e.field).collect(),
        }
    }

    #[test]
    fn all_wrong_fields_are_named() {
        for email in [
            "",
            "a",
            "a@b",
            "a@b.",
            "@b.c",
            "a@@b.c",
            "a b@c.de",
            "a@b_c.de",
            "é@b.c",
            "a\n@b.c",
            "<a@b.c>",
            "a..b@c.de",
            ".a@b.c",
            "a@-b.c",
            "a@b.c@d.e",
            "\"a\"@b.c",
        ] {
            assert_eq!(named(email, "", "a fine one"), ["email"], "{email:?}");
        }
        assert_eq!(named(&format!("{}@b.c", "x".repeat(65)), "", "a fine one"), ["email"]);
        for email in [" A@B.co ", "a+b.c@d-e.example.org"] {
            assert_eq!(named(email, "0712345678", "a fine one"), [""; 0], "{email:?}");
        }
        for mobile in ["12345", "+263771234567", "07x2345678", "1234567890123456", "٠٧١٢٣٤٥٦"]
        {
            assert_eq!(named("a@b.co", mobile, "a fine one"), ["mobile"], "{mobile}");
        }
        for password in [
            "",
            "short",
            "1234567",
            "Password",
            "12345678",
            "someone@B.co",
            "aaaaaaaaaa",
            " password ",
            &"x".repeat(129),
        ] {
            assert_eq!(named("someone@b.co", "", password), ["password"], "{password}");
        }
        assert_eq!(named("", "1", ""), ["email", "mobile", "password"]);
        assert_eq!(named("a@b.co", "", &"é1".repeat(64)), [""; 0]);
    }
}

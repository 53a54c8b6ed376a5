//! What may be typed into a sign-up: address, number, name, password.
//!
//! Invariant: an address is compared as [`address`] gives it, everywhere.

use domain::refusal::{FieldError, Refusal};

/// RFC 5321, 4.5.3.1: a path of 256 octets, without its brackets.
const EMAIL_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 100;
/// National numbers, of any country (E.164 has 15 digits at most).
const MOBILE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;
/// NIST SP 800-63B, 5.1.1.2: length counts, the kinds of characters do not.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// What everybody tries first, of eight characters and more.
const COMMONEST: [&str; 40] = [
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "00000000",
    "88888888",
    "87654321",
    "987654321",
    "0987654321",
    "123123123",
    "12341234",
    "11223344",
    "112233445566",
    "qwertyui",
    "qwertyuiop",
    "qwerty123",
    "qwerty12",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "asdfghjkl",
    "zxcvbnm123",
    "abcd1234",
    "abc12345",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "welcome1",
    "letmein1",
    "changeme",
];

/// An address as it is stored and compared: without spaces around it, in small letters.
pub(crate) fn address(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

/// Every complaint about a sign-up at once.
pub(super) fn check_sign_up(
    email: &str,
    mobile: &str,
    name: &str,
    password: &str,
) -> Result<(), Refusal> {
    let mut complaints = Vec::new();
    if !is_address(email) {
        complaints.push(complaint("email", "Give an e-mail address, such as name@example.org."));
    }
    let is_mobile = mobile.bytes().all(|b| b.is_ascii_digit())
        && (mobile.is_empty() || MOBILE_DIGITS.contains(&mobile.len()));
    if !is_mobile {
        complaints.push(complaint("mobile", "Give the number in national form: 6 to 15 digits."));
    }
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        complaints.push(complaint("name", "Give a name of at most 100 characters."));
    }
    complaints.extend(complaint_about_password(email, password));
    refuse_if_any(complaints)
}

/// Whether this may be the password of an address.
pub(super) fn check_password(email: &str, password: &str) -> Result<(), Refusal> {
    refuse_if_any(complaint_about_password(email, password).into_iter().collect())
}

fn refuse_if_any(complaints: Vec<FieldError>) -> Result<(), Refusal> {
    if complaints.is_empty() { Ok(()) } else { Err(Refusal::Invalid(complaints)) }
}

fn complaint(field: &'static str, says: &str) -> FieldError {
    FieldError { field, message: says.to_owned() }
}

fn complaint_about_password(email: &str, password: &str) -> Option<FieldError> {
    let small = password.trim().to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    let says = if !PASSWORD_CHARS.contains(&password.chars().count()) {
        "A password has 8 to 128 characters."
    } else if small == email || small == local {
        "A password must not be the e-mail address."
    } else if COMMONEST.contains(&small.as_str()) || is_one_character(&small) {
        "This password is among the first that are guessed; choose another."
    } else {
        return None;
    };
    Some(complaint("password", says))
}

fn is_one_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_none_or(|first| chars.all(|c| c == first))
}

/// The addresses that mail servers everywhere take: RFC 5321 without quotes, literals and UTF-8.
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
            Err(Refusal::Invalid(complaints)) => complaints.iter().map(|c| c.field).collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_fields_are_all_named() {
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

//! What is taken out of a request before it is kept, and out of what some people see.
//!
//! Not here: what is kept. Invariants: the value of a field that may hold a secret is never kept;
//! a text that cannot be read as JSON may hold one anywhere, so of it only the length is kept.

use serde::de::IgnoredAny;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// A name that has one of these in it is a secret's: letters and digits of it, in small letters.
const IN_NAMES: [&str; 5] = ["password", "passwd", "secret", "token", "authorization"];
/// So is one of exactly these.
const NAMES: [&str; 8] = ["pin", "mpin", "tpin", "otp", "cvv", "cvc", "apikey", "openkey"];
/// A name that ends so is a PIN's: `walletPin`, `customer_pin`.
const PIN_ENDS: [&str; 3] = ["walletpin", "customerpin", "userpin"];
/// Digits in a row that may be somebody's number.
const NUMBER_DIGITS_MIN: usize = 9;
/// Digits that are left at its beginning and at its end.
const LEFT_DIGITS: (usize, usize) = (3, 2);

/// Whether a field of this name may hold a secret.
fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    IN_NAMES.iter().any(|part| plain.contains(part))
        || NAMES.contains(&plain.as_str())
        || PIN_ENDS.iter().any(|end| plain.ends_with(end))
}

/// A JSON text without the values of secret fields; all else stays as it was written. None: it is
/// no JSON.
pub(super) fn without_secrets(text: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        let (before, from) = rest.split_at(quote);
        out.push_str(before);
        let (token, after) = from.split_at(string_end(from));
        out.push_str(token);
        rest = after;
        let trimmed = after.trim_start();
        let Some(value) = trimmed.strip_prefix(':') else { continue };
        let name = serde_json::from_str::<String>(token).unwrap_or_default();
        if !is_secret(&name) {
            continue;
        }
        let value = value.trim_start();
        let (colon, value) = after.split_at(after.len() - value.len());
        out.extend([colon, "\"", MASK, "\""]);
        rest = value.get(value_end(value)..).unwrap_or_default();
    }
    out.push_str(rest);
    Some(out)
}

/// Where a string that begins here ends, behind its quote.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where a value that begins here ends.
fn value_end(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string_end(text.get(at..).unwrap_or_default());
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// A query without the values of secret fields.
pub(super) fn query_without_secrets(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        Some(_) | None => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A text with the middle of long rows of digits taken out: for those who see numbers of people
/// masked.
pub(super) fn with_numbers_masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut row = String::new();
    for next in text.chars().map(Some).chain([None]) {
        match next {
            Some(digit) if digit.is_ascii_digit() => row.push(digit),
            other => {
                out.push_str(&masked(&row));
                row.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// A row of digits as it is shown.
fn masked(row: &str) -> String {
    if row.len() < NUMBER_DIGITS_MIN {
        return row.to_owned();
    }
    let (begin, end) = LEFT_DIGITS;
    let middle = "*".repeat(row.len() - begin - end);
    let part = |range: std::ops::Range<usize>| row.get(range).unwrap_or_default().to_owned();
    format!("{}{middle}{}", part(0..begin), part(row.len() - end..row.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_all_else_stays_as_it_was_written() {
        for (text, kept) in [
            (r#"{"amount": 10.50, "pin":"1234"}"#, r#"{"amount": 10.50, "pin":"***"}"#),
            (r#"{"PIN" : 1234, "b":[1]}"#, r#"{"PIN" : "***", "b":[1]}"#),
            (
                r#"{"accessToken":{"a":"}\"","b":[1]},"x":"\"pin\":1"}"#,
                r#"{"accessToken":"***","x":"\"pin\":1"}"#,
            ),
            (r#"{"tokens":[{"token":"1"}],"n":1}"#, r#"{"tokens":"***","n":1}"#),
            (r#"[{"client_secret":null},{"otp":1}]"#, r#"[{"client_secret":"***"},{"otp":"***"}]"#),
            (r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"***"}"#),
            (r#"{"shipping":"x","opinion":"y"}"#, r#"{"shipping":"x","opinion":"y"}"#),
            ("{}", "{}"),
            ("\"pin\"", "\"pin\""),
        ] {
            assert_eq!(without_secrets(text).as_deref(), Some(kept), "{text}");
        }
        for broken in ["", "{\"pin\":\"1234\"", "pin=1234", "{'pin':1}"] {
            assert_eq!(without_secrets(broken), None, "{broken}");
        }
        assert_eq!(query_without_secrets("a=1&pin=2&api_key=3&x"), "a=1&pin=***&api_key=***&x");
        assert_eq!(query_without_secrets(""), "");
    }

    #[test]
    fn a_number_of_a_person_keeps_its_beginning_and_its_end() {
        let text = r#"{"number":"01712345101","amount":10,"at":"+8801712345101"}"#;
        let masked = r#"{"number":"017******01","amount":10,"at":"+880********01"}"#;
        assert_eq!(with_numbers_masked(text), masked);
        assert_eq!(with_numbers_masked("12345678"), "12345678");
    }
}

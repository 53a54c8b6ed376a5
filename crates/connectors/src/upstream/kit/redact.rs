//! What is kept of a request and a reply for staff: short, and without secrets.
//!
//! Invariant: no secret of the settings, no token of a login and nothing that an end customer could
//! use (a token of electricity, a PIN) is in a kept text; headers are not kept at all.

use super::settings::Secret;

/// Of a request, and of a reply, at most so many characters are kept.
const CHARS_MAX: usize = 4096;
/// Shorter secrets would be found in ordinary words.
const SECRET_CHARS_MIN: usize = 4;
/// In place of what is not kept.
const HIDDEN: &str = "***";

/// Fields of JSON whose values are not kept, in upper and lower case.
const FIELDS: [&str; 12] = [
    "access_token",
    "accessToken",
    "client_secret",
    "password",
    "pin",
    "pinDetail",
    "pinDetails",
    "preAuthToken",
    "refresh_token",
    "token",
    "tokens",
    "voucher",
];

/// Makes texts that may be kept.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Hides these secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Redactor {
        let is_long = |secret: &Secret| secret.reveal().len() >= SECRET_CHARS_MIN;
        Redactor { secrets: secrets.into_iter().filter(is_long).collect() }
    }

    /// The text as it may be kept; `token` is hidden too.
    pub fn kept(&self, text: &str, token: Option<&Secret>) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter().chain(token) {
            let plain = secret.reveal();
            let bare = plain.strip_prefix("Bearer ").unwrap_or(plain);
            for form in [plain.to_owned(), bare.to_owned(), escaped(bare)] {
                if form.len() >= SECRET_CHARS_MIN {
                    text = text.replace(&form, HIDDEN);
                }
            }
        }
        let hidden = without_fields(&text);
        let is_long = hidden.chars().count() > CHARS_MAX;
        let mut kept: String = hidden.chars().take(CHARS_MAX).collect();
        if is_long {
            kept.push('…');
        }
        kept
    }
}

/// As in a query or a form.
fn escaped(text: &str) -> String {
    let mut url = reqwest::Url::parse("http://x/").ok();
    let query = url.as_mut().map(|url| {
        url.query_pairs_mut().append_pair("", text);
        url.query().unwrap_or_default().trim_start_matches('=').to_owned()
    });
    query.unwrap_or_default()
}

/// Replaces the values of [`FIELDS`], also in a text that is cut off.
fn without_fields(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let (before, quoted) = rest.split_at(start);
        out.push_str(before);
        let length = string_length(quoted);
        let (name, after) = quoted.split_at(length);
        out.push_str(name);
        rest = after;
        let is_field =
            FIELDS.iter().any(|field| name.trim_matches('"').eq_ignore_ascii_case(field));
        let gap = after.len() - after.trim_start().len();
        let Some(value) = after.get(gap..).and_then(|rest| rest.strip_prefix(':')) else {
            continue;
        };
        if is_field {
            let value = value.trim_start();
            let skipped = value_length(value);
            let hides = !value.starts_with("null");
            out.push(':');
            out.push_str(if hides { HIDDEN } else { "null" });
            rest = value.get(skipped..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// The length of a JSON string that begins here, with its quotation marks.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a JSON value that begins here.
fn value_length(text: &str) -> usize {
    if text.starts_with('"') {
        return string_length(text);
    }
    let mut depth = 0_u32;
    let mut index = 0;
    while let Some(c) = text.get(index..).and_then(|rest| rest.chars().next()) {
        match c {
            '"' => {
                index += string_length(text.get(index..).unwrap_or_default());
                continue;
            }
            '{' | '[' => depth += 1,
            '}' | ']' if depth <= 1 => return index + usize::from(depth == 1),
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => return index,
            _ => {}
        }
        index += c.len_utf8();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let secrets = ["s3cr&t value", "abc"].map(Secret::new);
        Redactor::new(secrets).kept(text, Some(&Secret::new("Bearer t0ken-1")))
    }

    #[test]
    fn secrets_are_hidden_in_every_form() {
        assert_eq!(kept("key=s3cr&t value&x=abc"), "key=***&x=abc");
        assert_eq!(kept("GET /x?key=s3cr%26t+value"), "GET /x?key=***");
        assert_eq!(kept("Bearer t0ken-1 and t0ken-1"), "*** and ***");
    }

    #[test]
    fn what_a_customer_could_use_is_hidden() {
        for (text, expected) in [
            (r#"{"token":"12345","a":1}"#, r#"{"token":***,"a":1}"#),
            (r#"{"tokens" : [{"token":"1"}], "b":"}"}"#, r#"{"tokens":***, "b":"}"}"#),
            (r#"{"pinDetail":{"code":1,"x":"}\""},"c":2}"#, r#"{"pinDetail":***,"c":2}"#),
            (r#"{"pinDetail":null,"code":"E1"}"#, r#"{"pinDetail":null,"code":"E1"}"#),
            (r#"{"PIN":123}"#, r#"{"PIN":***}"#),
            (r#"{"a":"token","b":"x"}"#, r#"{"a":"token","b":"x"}"#),
            (r#"{"access_token":"abcd"#, r#"{"access_token":***"#),
            ("token", "token"),
            ("\"", "\""),
        ] {
            assert_eq!(kept(text), expected);
        }
    }

    #[test]
    fn a_kept_text_is_short() {
        let kept = kept(&"ä".repeat(10_000));
        assert_eq!(kept.chars().count(), CHARS_MAX + 1);
    }
}

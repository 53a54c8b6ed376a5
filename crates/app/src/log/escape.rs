//! Text from outside, made harmless for a terminal, and for whoever reads a log line by line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character escaped that a terminal might obey or that ends a line: controls
/// (C0, DEL, C1), line and paragraph separators, and what changes the direction of writing. The
/// escapes are JSON's, so that JSON stays the same JSON. Joiners stay: Bengali needs them.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_obeyed(c) => {
                // Writing to a string cannot fail. All of them have four digits.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, expected) in [
            ("plain, ব্যালেন্স, 10 ৳, ক\u{200d}ষ", "plain, ব্যালেন্স, 10 ৳, ক\u{200d}ষ"),
            ("\u{1b}[31mred", "\\u001b[31mred"),
            ("\u{9b}31m", "\\u009b31m"),
            ("a\nb\r\tc\u{85}\u{2028}\u{2029}", "a\\nb\\r\\tc\\u0085\\u2028\\u2029"),
            ("\0\u{7}\u{8}\u{7f}", "\\u0000\\u0007\\u0008\\u007f"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}", "\\u202a\\u202b\\u202c\\u202d\\u202e"),
            ("\u{2066}\u{2067}\u{2068}\u{2069}", "\\u2066\\u2067\\u2068\\u2069"),
            ("\u{200e}\u{200f}\u{61c}", "\\u200e\\u200f\\u061c"),
        ] {
            assert_eq!(escaped(text), expected);
            assert_eq!(escaped(expected), expected, "twice is once");
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "text": "a\u{1b}\u{9b}\u{202e}\n\u{7f}\\n\"" });
        let line = value.to_string();
        let read: serde_json::Value = serde_json::from_str(&escaped(&line)).unwrap();
        assert_eq!(read, value);
        assert!(!escaped(&line).contains(is_obeyed));
    }
}

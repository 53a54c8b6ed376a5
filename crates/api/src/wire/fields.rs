//! What a caller sent, before it means anything: the fields of a JSON object or of a query.
//!
//! Knows that a field may go by several names and complains about contradictions; knows no field
//! and no rule of one. Invariant: a number stays the literal text that was sent.

use crate::limits::DEPTH_MAX;
use domain::refusal::FieldError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What an object is called in complaints.
pub(crate) const OBJECT: &str = "an object";
/// What a truth value is called in complaints.
pub(crate) const BOOLEAN: &str = "true or false";

/// A value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// `null`: counts as not sent.
    Null,
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// A number's literal text.
    Number(&'a str),
    /// Something that no plain field is.
    Other(Odd<'a>),
}

/// A value that is neither text nor number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odd<'a> {
    /// What it is, for people.
    pub what: &'static str,
    /// Its literal text, for who reads such a value after all.
    pub raw: &'a str,
}

/// Two of a kind are one mistake: the complaint is about the kind, not that they differ.
impl PartialEq for Odd<'_> {
    fn eq(&self, other: &Odd<'_>) -> bool {
        self.what == other.what
    }
}

impl Eq for Odd<'_> {}

/// The fields that were sent, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentFields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// The text is no JSON object, or a nest too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject;

/// A field and the other names it goes by.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its first documented name: what complaints call it.
    pub name: &'static str,
    /// Its other documented names.
    pub also: &'static [&'static str],
}

impl<'a> SentFields<'a> {
    /// Reads a JSON object. Fields keep their order and their duplicates.
    pub(crate) fn from_json(text: &'a str) -> Result<SentFields<'a>, NotAnObject> {
        if !is_shallow(text) {
            return Err(NotAnObject);
        }
        serde_json::from_str(text).map_err(|_| NotAnObject)
    }

    /// Takes the pairs of a query; a value of a query is always text.
    pub(crate) fn from_query(pairs: Vec<(String, String)>) -> SentFields<'static> {
        let fields = pairs.into_iter().map(|(n, v)| (n.into(), Value::Text(v.into())));
        SentFields(fields.collect())
    }

    /// These fields and those.
    pub(crate) fn and(mut self, more: SentFields<'a>) -> SentFields<'a> {
        self.0.extend(more.0);
        self
    }

    /// Every field with its value, in the order they were sent: for objects of free names.
    pub(crate) fn pairs<'s>(&'s self) -> impl Iterator<Item = (&'s str, &'s Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Every value that was sent for the field, with the name it was sent by.
    pub(crate) fn all<'s>(
        &'s self,
        field: &'static Field,
    ) -> impl Iterator<Item = (&'static str, &'s Value<'a>)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::Text(_) | Value::Number(_) | Value::Other(_) => {
                field.called(name).map(|name| (name, value))
            }
        })
    }
}

impl Field {
    /// A field of one name.
    pub(crate) const fn new(name: &'static str) -> Field {
        Field { name, also: &[] }
    }

    /// Which of its names this is.
    fn called(&self, name: &str) -> Option<&'static str> {
        if self.name == name {
            return Some(self.name);
        }
        self.also.iter().find(|also| **also == name).copied()
    }
}

/// Whether brackets nest no deeper than [`DEPTH_MAX`]. Raw values are skipped without recursion,
/// so this guards no stack: it keeps the promise of a limit.
fn is_shallow(text: &str) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (_, _) => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for SentFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SentFields<'de>, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = SentFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SentFields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push((name, value_of(raw.get())));
                }
                Ok(SentFields(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn value_of(raw: &str) -> Value<'_> {
    let odd = |what| Value::Other(Odd { what, raw });
    match raw.as_bytes().first() {
        Some(b'"') => text_of(raw),
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => odd(BOOLEAN),
        Some(b'[') => odd("a list"),
        Some(b'{') => odd(OBJECT),
        _ => Value::Number(raw),
    }
}

/// Borrows a string without escapes, which nearly all are; decodes the others.
fn text_of(raw: &str) -> Value<'_> {
    match raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Value::Text(Cow::Borrowed(plain)),
        _ => match serde_json::from_str::<String>(raw) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(_) => Value::Other(Odd { what: "a text with half a character in it", raw }),
        },
    }
}

/// Reads fields and gathers every complaint, so that a caller hears all of them at once.
#[derive(Debug)]
pub(crate) struct Reader<'s, 'a> {
    sent: &'s SentFields<'a>,
    complaints: Vec<FieldError>,
}

/// The complaint about this field is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported;

impl<'s, 'a> Reader<'s, 'a> {
    /// Reads these fields.
    pub(crate) fn new(sent: &'s SentFields<'a>) -> Reader<'s, 'a> {
        Reader { sent, complaints: Vec::new() }
    }

    /// Puts a complaint on record.
    pub(crate) fn report(&mut self, field: &'static str, says: &str) -> Reported {
        self.complaints.push(FieldError { field, says: says.to_owned() });
        Reported
    }

    /// Everything that was wrong.
    pub(crate) fn complaints(self) -> Vec<FieldError> {
        self.complaints
    }

    /// Puts a finished complaint on record.
    pub(crate) fn take(&mut self, complaint: FieldError) -> Reported {
        self.complaints.push(complaint);
        Reported
    }

    /// The field's value, under whichever of its names; a contradiction is a complaint about each
    /// name that takes part in it.
    pub(crate) fn value(
        &mut self,
        field: &'static Field,
    ) -> Result<Option<&'s Value<'a>>, Reported> {
        let sent = self.sent;
        let mut all = sent.all(field);
        let Some((name, first)) = all.next() else { return Ok(None) };
        match all.find(|(_, other)| *other != first) {
            None => Ok(Some(first)),
            Some((other, _)) if other == name => {
                Err(self.report(name, "was sent twice with different values; send it once."))
            }
            Some((other, _)) => {
                let says = format!("{name} and {other} mean the same field but differ; send one.");
                self.report(name, &says);
                Err(self.report(other, &says))
            }
        }
    }

    /// A field that is a string if it is there.
    pub(crate) fn text(&mut self, field: &'static Field) -> Result<Option<&'s str>, Reported> {
        let found = match self.value(field)? {
            None => return Ok(None),
            Some(Value::Text(text)) => return Ok(Some(text)),
            Some(Value::Null) => return Ok(None),
            Some(Value::Number(_)) => "a number",
            Some(Value::Other(odd)) => odd.what,
        };
        Err(self.report(field.name, &format!("must be a string, not {found}.")))
    }

    /// A field that must be there and a string.
    pub(crate) fn required(&mut self, field: &'static Field) -> Result<&'s str, Reported> {
        self.text(field)?.ok_or(()).map_err(|()| self.report(field.name, "is required."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static REFERENCE: Field = Field { name: "reference", also: &["client_reference"] };

    fn read(text: &str) -> Result<Option<String>, Vec<(&'static str, String)>> {
        let sent = SentFields::from_json(text).unwrap();
        let mut reader = Reader::new(&sent);
        let found = reader.text(&REFERENCE).map(|t| t.map(str::to_owned));
        found.map_err(|Reported| {
            reader.complaints().into_iter().map(|c| (c.field, c.says)).collect::<Vec<_>>()
        })
    }

    #[test]
    fn names_and_duplicates() {
        for (text, expected) in [
            (r"{}", None),
            (r#"{"reference":null}"#, None),
            (r#"{"reference":"a"}"#, Some("a")),
            (r#"{"client_reference":"a"}"#, Some("a")),
            (r#"{"reference":"a","client_reference":"a"}"#, Some("a")),
            (r#"{"reference":"a","client_reference":null}"#, Some("a")),
            (r#"{"reference":"a","reference":"a"}"#, Some("a")),
            (r#"{"reference":"a","reference":"\u0061"}"#, Some("a")),
            (r#"{"ref\u0065rence":"a"}"#, Some("a")),
            (r#"{"Reference":"a"}"#, None),
            (r#" { "x" : [1,{"y":"}"}] , "reference" : "a\"b\\" } "#, Some("a\"b\\")),
        ] {
            assert_eq!(read(text), Ok(expected.map(str::to_owned)), "{text}");
        }
        for (text, fields) in [
            (r#"{"reference":"a","client_reference":"b"}"#, vec!["reference", "client_reference"]),
            (r#"{"client_reference":"b","reference":"a"}"#, vec!["client_reference", "reference"]),
            (r#"{"reference":"a","reference":"b"}"#, vec!["reference"]),
            (r#"{"reference":"1","reference":1}"#, vec!["reference"]),
            (r#"{"reference":1}"#, vec!["reference"]),
            (r#"{"reference":true}"#, vec!["reference"]),
            (r#"{"reference":["a"]}"#, vec!["reference"]),
            (r#"{"reference":{"a":1}}"#, vec!["reference"]),
            (r#"{"reference":"\ud800"}"#, vec!["reference"]),
        ] {
            let complaints = read(text).unwrap_err();
            assert_eq!(complaints.iter().map(|c| c.0).collect::<Vec<_>>(), fields, "{text}");
        }
    }

    #[test]
    fn only_an_object_can_be_read() {
        for bad in [
            "",
            " ",
            "null",
            "[]",
            "1",
            "\"a\"",
            "{",
            "{]",
            "{\"a\":}",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":1} x",
            "{\"a\":NaN}",
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"",
            "{\"a\" 1}",
            "{a:1}",
        ] {
            assert_eq!(SentFields::from_json(bad).map(|s| s.0), Err(NotAnObject), "{bad:?}");
        }
    }

    #[test]
    fn depth_is_limited_and_strings_do_not_count() {
        let nest = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(SentFields::from_json(&nest(DEPTH_MAX - 1)).is_ok());
        assert!(SentFields::from_json(&nest(DEPTH_MAX)).is_err());
        assert!(SentFields::from_json(&nest(30_000)).is_err());
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(99), "{".repeat(99));
        assert!(SentFields::from_json(&text).is_ok());
    }

    #[test]
    fn numbers_keep_their_literal_text() {
        let sent = SentFields::from_json(r#"{"amount":10.50,"b":1e309,"c":-0}"#).unwrap();
        let texts: Vec<_> = sent.0.iter().map(|(_, v)| v.clone()).collect();
        assert_eq!(texts, [Value::Number("10.50"), Value::Number("1e309"), Value::Number("-0")]);
    }
}

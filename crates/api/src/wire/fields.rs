//! The fields of a request, a JSON object or a query, read by their declarations.
//!
//! A field may have several names; contradictions between them are errors. No field of a dialect is
//! here, and no rule of one. Invariant: a number stays the literal text that was sent.

use super::form::{Field, Listed, Optional, Required};
use crate::limits::DEPTH_MAX;
use domain::FieldError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How errors call an object.
pub(crate) const OBJECT: &str = "an object";
/// How errors call a boolean.
pub(crate) const BOOLEAN: &str = "true or false";

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// `null`: treated as not sent.
    Null,
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// A number's literal text.
    Number(&'a str),
    /// A boolean, a list, an object, or a string that is not valid Unicode.
    Other(OtherValue<'a>),
}

/// A value that is neither text nor number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherValue<'a> {
    /// What it is, for people.
    pub kind: &'static str,
    /// Its literal text, for the fields that are objects.
    pub raw: &'a str,
}

/// Values of one kind are equal: the error is about the kind, not about their difference.
impl PartialEq for OtherValue<'_> {
    fn eq(&self, other: &OtherValue<'_>) -> bool {
        self.kind == other.kind
    }
}

impl Eq for OtherValue<'_> {}

/// The fields of a request, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawFields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Its headers do not declare plain JSON.
    NotJson,
    /// It is longer than [`BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX).
    TooLong,
    /// It is not a JSON object in UTF-8, or is nested deeper than [`DEPTH_MAX`].
    NotAnObject,
}

impl BodyError {
    /// All of them.
    pub(crate) const ALL: [BodyError; 3] =
        [BodyError::NotAnObject, BodyError::NotJson, BodyError::TooLong];
}

impl<'a> RawFields<'a> {
    /// Parses a JSON object. Fields keep their order and their duplicates.
    pub(crate) fn from_json(text: &'a str) -> Result<RawFields<'a>, BodyError> {
        if !is_shallow(text) {
            return Err(BodyError::NotAnObject);
        }
        serde_json::from_str(text).map_err(|_| BodyError::NotAnObject)
    }

    /// The pairs of a query; a value in a query is always text.
    pub(crate) fn from_query(pairs: Vec<(String, String)>) -> RawFields<'static> {
        let fields = pairs.into_iter().map(|(n, v)| (n.into(), Value::Text(v.into())));
        RawFields(fields.collect())
    }

    /// Appends the fields of another source.
    pub(crate) fn and(mut self, more: RawFields<'a>) -> RawFields<'a> {
        self.0.extend(more.0);
        self
    }

    /// Every field with its value, in the order of sending: for objects with names of any kind.
    pub(crate) fn pairs<'s>(&'s self) -> impl Iterator<Item = (&'s str, &'s Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Every value of the field but `null`, with the name under which it was sent. An empty text
    /// counts as not sent where the field may be left out, or another of its names has a value
    /// (CONTRACT A-38).
    pub(crate) fn all<'s, const IS_REQUIRED: bool>(
        &'s self,
        field: Listed<IS_REQUIRED>,
    ) -> impl Iterator<Item = (&'static str, &'s Value<'a>)> {
        let is_empty = |value: &Value<'_>| matches!(value, Value::Text(text) if text.is_empty());
        let sent = move |(name, value): &'s (Cow<'a, str>, Value<'a>)| {
            let name = field.known_name(name).filter(|_| *value != Value::Null)?;
            Some((name, value))
        };
        let has_value = self.0.iter().filter_map(sent).any(|(_, value)| !is_empty(value));
        let may_be_empty = IS_REQUIRED && !has_value;
        self.0.iter().filter_map(sent).filter(move |(_, value)| may_be_empty || !is_empty(value))
    }
}

/// Whether brackets are nested no deeper than [`DEPTH_MAX`]. Raw values are skipped without
/// recursion, so the stack is safe without this: it enforces the documented limit.
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

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawFields<'de>, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push((name, value_of(raw.get())));
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn value_of(raw: &str) -> Value<'_> {
    let other = |kind| Value::Other(OtherValue { kind, raw });
    match raw.as_bytes().first() {
        Some(b'"') => text_of(raw),
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => other(BOOLEAN),
        Some(b'[') => other("a list"),
        Some(b'{') => other(OBJECT),
        _ => Value::Number(raw),
    }
}

/// Borrows a string without escapes, the usual case; decodes any other.
fn text_of(raw: &str) -> Value<'_> {
    match raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Value::Text(Cow::Borrowed(plain)),
        _ => match serde_json::from_str::<String>(raw) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(_) => Value::Other(OtherValue { kind: "a text with half a character in it", raw }),
        },
    }
}

/// Reads fields and collects every error, so that a client gets all of them in one answer.
#[derive(Debug)]
pub(crate) struct Reader<'s, 'a> {
    fields: &'s RawFields<'a>,
    field_errors: Vec<FieldError>,
    is_any_missing: bool,
}

/// Proof that the [`Reader`] has recorded an error about this field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported;

impl<'s, 'a> Reader<'s, 'a> {
    /// A reader of these fields, without errors so far.
    pub(crate) fn new(fields: &'s RawFields<'a>) -> Reader<'s, 'a> {
        Reader { fields, field_errors: Vec::new(), is_any_missing: false }
    }

    /// Records an error about a field.
    pub(crate) fn report(&mut self, field: &'static str, message: &str) -> Reported {
        self.record(FieldError { field, message: message.to_owned() })
    }

    /// Records that a required field was not sent.
    pub(crate) fn report_missing(&mut self, field: &'static str, message: &str) -> Reported {
        self.is_any_missing = true;
        self.report(field, message)
    }

    /// Whether a required field was not sent.
    pub(crate) fn is_any_missing(&self) -> bool {
        self.is_any_missing
    }

    /// Every recorded error.
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        self.field_errors
    }

    /// Records an error that was found elsewhere.
    pub(crate) fn record(&mut self, field_error: FieldError) -> Reported {
        self.field_errors.push(field_error);
        Reported
    }

    /// The field's value, under any of its names. Values that differ are an error about each name
    /// under which they were sent.
    pub(crate) fn value<const IS_REQUIRED: bool>(
        &mut self,
        field: Listed<IS_REQUIRED>,
    ) -> Result<Option<&'s Value<'a>>, Reported> {
        self.value_named(field, |_, _| false)
    }

    /// As [`Reader::value`]; texts that differ are one value too if they name the same.
    fn value_named<const IS_REQUIRED: bool>(
        &mut self,
        field: Listed<IS_REQUIRED>,
        is_same: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<&'s Value<'a>>, Reported> {
        let fields = self.fields;
        let mut all = fields.all(field);
        let Some((name, first)) = all.next() else { return Ok(None) };
        let differs = |other: &Value<'_>| match (first, other) {
            (Value::Text(one), Value::Text(other)) => one != other && !is_same(one, other),
            (one, other) => one != other,
        };
        match all.find(|(_, other)| differs(other)) {
            None => Ok(Some(first)),
            Some((other, _)) if other == name => {
                Err(self.report(name, "was sent twice with different values; send it once."))
            }
            Some((other, _)) => {
                let message =
                    format!("{name} and {other} mean the same field but differ; send one.");
                self.report(name, &message);
                Err(self.report(other, &message))
            }
        }
    }

    /// A string that may be left out.
    pub(crate) fn text(&mut self, field: Optional) -> Result<Option<&'s str>, Reported> {
        self.string(field)
    }

    /// A string that may be left out; its default then.
    pub(crate) fn or_default(&mut self, field: Optional) -> Result<&'s str, Reported> {
        Ok(self.string(field)?.unwrap_or(field.default))
    }

    /// A string that must be sent.
    pub(crate) fn required(&mut self, field: Required) -> Result<&'s str, Reported> {
        self.required_named(field, |_, _| false)
    }

    /// A boolean that may be left out: false then. As a text too, as a query has it.
    pub(crate) fn boolean(&mut self, field: Optional) -> Result<bool, Reported> {
        let sent = match self.value(field)? {
            None | Some(Value::Null) => return Ok(false),
            Some(Value::Text(text)) => text.as_ref(),
            Some(Value::Other(other)) => other.raw,
            Some(Value::Number(text)) => text,
        };
        let read = match sent {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        read.ok_or_else(|| self.report(field.name, "must be true or false."))
    }

    /// What this value of a field with codes means; the error lists the codes.
    pub(crate) fn code<T>(
        &mut self,
        field: &Field,
        text: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Reported> {
        parse(text).ok_or_else(|| {
            let codes = field.codes().join(", ");
            let (others, last) = codes.rsplit_once(", ").unwrap_or_default();
            self.report(field.name, &format!("must be {others} or {last}."))
        })
    }

    /// A string, if it was sent: for a rule of one's own about a required one that was not.
    pub(crate) fn string<const IS_REQUIRED: bool>(
        &mut self,
        field: Listed<IS_REQUIRED>,
    ) -> Result<Option<&'s str>, Reported> {
        self.string_named(field, |_, _| false)
    }

    /// As [`Reader::required`]; two texts under its names are one if they name the same.
    pub(crate) fn required_named(
        &mut self,
        field: Required,
        is_same: impl Fn(&str, &str) -> bool,
    ) -> Result<&'s str, Reported> {
        let text = self.string_named(field, is_same)?;
        text.ok_or_else(|| self.report_missing(field.name, "is required."))
    }

    /// As [`Reader::string`]; two texts under its names are one if they name the same.
    pub(crate) fn string_named<const IS_REQUIRED: bool>(
        &mut self,
        field: Listed<IS_REQUIRED>,
        is_same: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<&'s str>, Reported> {
        let found = match self.value_named(field, is_same)? {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Text(text)) => return Ok(Some(text)),
            Some(Value::Number(_)) => "a number",
            Some(Value::Other(other)) => other.kind,
        };
        Err(self.report(field.name, &format!("must be a string, not {found}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: Optional =
        Listed(const { &Field::text("reference").aliases(&["client_reference"]) });

    fn read(text: &str) -> Result<Option<String>, Vec<(&'static str, String)>> {
        let fields = RawFields::from_json(text).unwrap();
        let mut reader = Reader::new(&fields);
        let found = reader.text(REFERENCE).map(|t| t.map(str::to_owned));
        found.map_err(|Reported| {
            reader.into_errors().into_iter().map(|c| (c.field, c.message)).collect::<Vec<_>>()
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
            (r#"{"reference":"a","client_reference":""}"#, Some("a")),
            (r#"{"reference":""}"#, None),
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
            let field_errors = read(text).unwrap_err();
            assert_eq!(field_errors.iter().map(|c| c.0).collect::<Vec<_>>(), fields, "{text}");
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
            assert_eq!(
                RawFields::from_json(bad).map(|s| s.0),
                Err(BodyError::NotAnObject),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn depth_is_limited_and_strings_do_not_count() {
        let nest = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(RawFields::from_json(&nest(DEPTH_MAX - 1)).is_ok());
        assert!(RawFields::from_json(&nest(DEPTH_MAX)).is_err());
        assert!(RawFields::from_json(&nest(30_000)).is_err());
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(99), "{".repeat(99));
        assert!(RawFields::from_json(&text).is_ok());
    }

    #[test]
    fn numbers_keep_their_literal_text() {
        let fields = RawFields::from_json(r#"{"amount":10.50,"b":1e309,"c":-0}"#).unwrap();
        let texts: Vec<_> = fields.0.iter().map(|(_, v)| v.clone()).collect();
        assert_eq!(texts, [Value::Number("10.50"), Value::Number("1e309"), Value::Number("-0")]);
    }
}

//! Reads a reply into named values.
//!
//! Not here: what the values mean (`judge.rs`). Invariants: a body that cannot be read whole, or
//! that says one thing twice with different words, has no values at all; a number is the text that
//! arrived; a blank text counts as missing.

use super::file::{ReplyForm, Take};
use regex::Regex;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The values of a reply, by the file's names; what is missing or blank is not there.
pub(super) type Fields = BTreeMap<String, String>;

/// Why a reply has no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) String);

/// Deeper documents are not read.
const DEPTH_MAX: usize = 32;

/// Reads a body. A text is read by `line`, whose named groups are its values.
pub(super) fn fields(
    form: ReplyForm,
    take: &BTreeMap<String, Take>,
    line: Option<&Regex>,
    body: &[u8],
) -> Result<Fields, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable("not UTF-8".to_owned()))?;
    if form == ReplyForm::Text {
        return line_fields(line, text);
    }
    let document = Document::read(form, text)?;
    let mut found = Fields::new();
    for (name, take) in take {
        let value = match take {
            Take::At(place) => document.value(place)?,
            Take::Inside(inside) => match document.value(&inside.at)? {
                Some(text) => Document::read(inside.parse, &text)?.value(&inside.then)?,
                None => None,
            },
        };
        keep(&mut found, name, value);
    }
    Ok(found)
}

fn keep(found: &mut Fields, name: &str, value: Option<String>) {
    if let Some(value) = value.map(|value| value.trim().to_owned()).filter(|v| !v.is_empty()) {
        found.insert(name.to_owned(), value);
    }
}

fn line_fields(line: Option<&Regex>, text: &str) -> Result<Fields, Unreadable> {
    let captures = line.and_then(|line| Some((line, line.captures(text)?)));
    let (line, captures) =
        captures.ok_or_else(|| Unreadable("the text is not of the form of the file".to_owned()))?;
    let mut found = Fields::new();
    for name in line.capture_names().flatten() {
        keep(&mut found, name, captures.name(name).map(|found| found.as_str().to_owned()));
    }
    Ok(found)
}

/// A body that was read whole.
enum Document {
    Json(Json),
    Xml(String),
    Form(Vec<Pair>),
}

struct Pair {
    name: String,
    value: String,
}

impl Document {
    fn read(form: ReplyForm, text: &str) -> Result<Document, Unreadable> {
        match form {
            ReplyForm::Json => {
                let raw: &RawValue = serde_json::from_str(text).map_err(unreadable)?;
                Json::read(raw, DEPTH_MAX).map(Document::Json)
            }
            ReplyForm::Xml => {
                parsed(text)?;
                Ok(Document::Xml(text.to_owned()))
            }
            ReplyForm::Form => {
                let pairs = url::form_urlencoded::parse(text.trim().as_bytes());
                let pair = |(name, value): (std::borrow::Cow<'_, str>, _)| Pair {
                    name: name.into_owned(),
                    value: std::borrow::Cow::<str>::into_owned(value),
                };
                Ok(Document::Form(pairs.map(pair).collect()))
            }
            ReplyForm::Text => Err(Unreadable("a text has no places".to_owned())),
        }
    }

    /// The text at a place; `None`: nothing is there.
    fn value(&self, place: &str) -> Result<Option<String>, Unreadable> {
        match self {
            Document::Json(json) => json.at(place),
            Document::Xml(text) => element(text, place),
            Document::Form(pairs) => {
                let mut values = pairs.iter().filter(|pair| pair.name == place);
                let first = values.next().map(|pair| pair.value.clone());
                match values.all(|pair| Some(&pair.value) == first.as_ref()) {
                    true => Ok(first),
                    false => Err(twice(place)),
                }
            }
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

fn twice(place: &str) -> Unreadable {
    Unreadable(format!("{place} is there twice, with different values"))
}

/// JSON whose numbers are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Json {
    Null,
    /// A text, or a number or `true` as it is written.
    Value(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn read(raw: &RawValue, depth: usize) -> Result<Json, Unreadable> {
        let depth = depth.checked_sub(1).ok_or_else(|| Unreadable("too deep".to_owned()))?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(unreadable)?;
                let mut object = BTreeMap::new();
                for member in members {
                    let value = Json::read(&member.value, depth)?;
                    match object.get(&member.name) {
                        Some(known) if *known != value => return Err(twice(&member.name)),
                        _ => object.insert(member.name, value),
                    };
                }
                Ok(Json::Object(object))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
                let items = items.into_iter().map(|item| Json::read(item, depth));
                items.collect::<Result<_, _>>().map(Json::List)
            }
            Some(b'"') => serde_json::from_str(text).map(Json::Value).map_err(unreadable),
            _ if text == "null" => Ok(Json::Null),
            _ => Ok(Json::Value(text.to_owned())),
        }
    }

    /// The text at a JSON pointer (RFC 6901).
    fn at(&self, pointer: &str) -> Result<Option<String>, Unreadable> {
        let mut json = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match json {
                Json::Object(object) => object.get(&step),
                Json::List(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
                Json::Null | Json::Value(_) => None,
            };
            match next {
                Some(next) => json = next,
                None => return Ok(None),
            }
        }
        match json {
            Json::Null => Ok(None),
            Json::Value(value) => Ok(Some(value.clone())),
            Json::List(_) | Json::Object(_) => {
                Err(Unreadable(format!("{pointer} is not a single value")))
            }
        }
    }
}

/// The members of an object, doubled names included.
struct Members(Vec<Member>);

struct Member {
    name: String,
    value: Box<RawValue>,
}

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key()? {
                    members.push(Member { name, value: map.next_value()? });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The XML of a text. A document type is refused, so there are no entities of its own.
fn parsed(text: &str) -> Result<roxmltree::Document<'_>, Unreadable> {
    roxmltree::Document::parse(text).map_err(unreadable)
}

/// The text of the element at a path: `response/status`.
fn element(text: &str, path: &str) -> Result<Option<String>, Unreadable> {
    let document = parsed(text)?;
    let mut found = vec![document.root()];
    for step in path.split('/') {
        let children = found.iter().flat_map(|node| node.children());
        let is_step = |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == step;
        found = children.filter(|node| node.is_element()).filter(is_step).collect();
    }
    let mut values = Vec::new();
    for node in found {
        if node.children().any(|child| child.is_element()) {
            return Err(Unreadable(format!("{path} is not a single value")));
        }
        let texts = node.children().filter_map(|child| child.text());
        values.push(texts.collect::<String>().trim().to_owned());
    }
    values.dedup();
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(twice(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(form: ReplyForm, place: &str, body: &str) -> Result<Option<String>, Unreadable> {
        let take = BTreeMap::from([("x".to_owned(), Take::At(place.to_owned()))]);
        Ok(fields(form, &take, None, body.as_bytes())?.remove("x"))
    }

    #[test]
    fn a_number_stays_the_text_that_arrived() {
        for number in ["50", "50.00", "12345678901234567890123456", "1e2"] {
            let body = format!(r#"{{"a":{{"b":[0,{number}]}}}}"#);
            assert_eq!(taken(ReplyForm::Json, "/a/b/1", &body), Ok(Some(number.to_owned())));
        }
    }

    #[test]
    fn one_thing_twice_is_unreadable() {
        let json = |body| taken(ReplyForm::Json, "/a", body);
        assert!(json(r#"{"a":1,"a":2}"#).is_err());
        assert!(json(r#"{"b":{"c":1,"c":2},"a":2}"#).is_err(), "anywhere in the document");
        assert_eq!(json(r#"{"a":1,"a":1}"#), Ok(Some("1".to_owned())));
        let xml = |body| taken(ReplyForm::Xml, "r/s", body);
        assert!(xml("<r><s>0</s><s>1</s></r>").is_err());
        assert_eq!(xml("<r><s>0</s><s> 0 </s></r>"), Ok(Some("0".to_owned())));
        assert!(taken(ReplyForm::Form, "s", "s=1&s=2").is_err());
    }

    #[test]
    fn what_is_cut_off_foreign_or_deep_is_unreadable() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        for body in ["", "<html>", r#"{"a":1"#, "\u{0}", deep.as_str()] {
            assert!(taken(ReplyForm::Json, "/a", body).is_err(), "{body:?}");
        }
        let with_entity = "<!DOCTYPE a [<!ENTITY x \"0\">]><r><s>&x;</s></r>";
        for body in ["", "<r><s>", with_entity, "<r><s><t/></s></r>"] {
            assert!(taken(ReplyForm::Xml, "r/s", body).is_err(), "{body:?}");
        }
        assert_eq!(taken(ReplyForm::Json, "/a", r#"{"a":" "}"#), Ok(None), "blank is missing");
        assert_eq!(taken(ReplyForm::Json, "/a/b", r#"{"a":null}"#), Ok(None));
    }
}

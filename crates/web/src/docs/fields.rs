//! Tables of fields and examples of answers, from the schemas of an OpenAPI document.
//!
//! Not here: any field's name. All tables are Markdown.

use super::facts::{Api, Operation};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Objects in objects, at most: our answers have three.
const DEPTH_MAX: usize = 5;
/// Where an enum's example has no word of its own, the one that reads best.
const GOOD_WORDS: [&str; 6] = ["success", "COMPLETED", "auto", "approved", "ACTIVE", "VARIABLE"];

/// The fields of a request's body, or of a query.
pub(super) fn of_request(api: &Api, operation: &Operation<'_>) -> String {
    let mut rows = String::new();
    for place in ["path", "query", "header"] {
        for parameter in operation.parameters(place) {
            let name = parameter["name"].as_str().unwrap_or_default();
            // Said once for the whole API, and not by each operation.
            if place == "header" && name == "X-Channel-Id" {
                continue;
            }
            let is_required = parameter["required"] == true || place == "path";
            let words = parameter["description"].as_str().unwrap_or_default();
            let row = Row { name, schema: &parameter["schema"], is_required, words };
            row.write(api, &mut rows);
        }
    }
    if let Some(body) = operation.body() {
        let schema = api.resolve(body);
        for (name, property) in ordered(schema) {
            let is_required = is_listed(&schema["required"], name);
            let words = property["description"].as_str().unwrap_or_default();
            Row { name, schema: property, is_required, words }.write(api, &mut rows);
        }
    }
    match rows.as_str() {
        "" => String::new(),
        rows => format!("| field | type | required | meaning |\n|---|---|---|---|\n{rows}"),
    }
}

struct Row<'a> {
    name: &'a str,
    schema: &'a Value,
    is_required: bool,
    words: &'a str,
}

impl Row<'_> {
    fn write(&self, api: &Api, rows: &mut String) {
        let required = if self.is_required { "yes" } else { "no" };
        let (kind, words) = (kind(api, self.schema), cell(self.words));
        let _ = writeln!(rows, "| `{}` | {kind} | {required} | {words} |", self.name);
    }
}

/// The fields of an answer, those of inner objects by their whole path.
pub(super) fn of_answer(api: &Api, schema: &Value) -> String {
    let mut rows = String::new();
    add_fields(api, schema, "", &mut rows, 0);
    match rows.as_str() {
        "" => String::new(),
        rows => format!("| field | type | meaning |\n|---|---|---|\n{rows}"),
    }
}

fn add_fields(api: &Api, schema: &Value, prefix: &str, rows: &mut String, depth: usize) {
    let schema = api.resolve(schema);
    if depth > DEPTH_MAX {
        return;
    }
    if schema["type"] == "array" {
        return add_fields(api, &schema["items"], &format!("{prefix}[]."), rows, depth + 1);
    }
    for (name, property) in ordered(schema) {
        let path = format!("{}{name}", prefix.replace(".[]", "[]"));
        let inner = api.resolve(property);
        let words = [property, inner].map(|s| s["description"].as_str().unwrap_or_default());
        let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        let _ = writeln!(rows, "| `{path}` | {} | {} |", kind(api, property), cell(words));
        if inner["type"] == "array" {
            add_fields(api, &inner["items"], &format!("{path}[]."), rows, depth + 1);
        } else if inner["properties"].is_object() {
            add_fields(api, inner, &format!("{path}."), rows, depth + 1);
        }
    }
}

/// The fields of an object: required ones in the document's order, then the others.
pub(super) fn ordered(schema: &Value) -> Vec<(&str, &Value)> {
    let Some(properties) = schema["properties"].as_object() else {
        // A schema that extends others.
        let parts = schema["allOf"].as_array().into_iter().flatten();
        return parts.flat_map(ordered).collect();
    };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let first = required.filter_map(|name| Some((name, properties.get(name)?)));
    let others = properties.iter().filter(|(name, _)| !is_listed(&schema["required"], name));
    first.chain(others.map(|(name, property)| (name.as_str(), property))).collect()
}

fn is_listed(names: &Value, name: &str) -> bool {
    names.as_array().is_some_and(|all| all.iter().any(|one| one == name))
}

/// What a field's values are, in words.
fn kind(api: &Api, schema: &Value) -> String {
    let inner = api.resolve(schema);
    if let Some(values) = inner["enum"].as_array() {
        let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`"));
        return values.collect::<Vec<_>>().join(", ");
    }
    let choices = ["oneOf", "anyOf"].map(|key| inner[key].as_array()).into_iter().flatten();
    let mut kinds: Vec<String> = choices.flatten().map(|choice| kind(api, choice)).collect();
    if kinds.is_empty() {
        let one = std::slice::from_ref(&inner["type"]);
        let all = inner["type"].as_array().map_or(one, Vec::as_slice);
        kinds = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    kinds.retain(|kind| kind != "null");
    kinds.dedup();
    let is_time = inner["format"] == "date-time";
    let text = kinds.join(" or ");
    match text.as_str() {
        "string" if is_time => "time".to_owned(),
        "" => "object".to_owned(),
        _ => text,
    }
}

/// A text that does not end its cell or its row.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// An example of what has this schema.
pub(super) fn example(api: &Api, schema: &Value) -> Value {
    example_at(api, schema, 0)
}

fn example_at(api: &Api, schema: &Value, depth: usize) -> Value {
    let own = &schema["example"];
    if !own.is_null() || depth > DEPTH_MAX {
        return own.clone();
    }
    let inner = api.resolve(schema);
    if !inner["example"].is_null() {
        return inner["example"].clone();
    }
    if let Some(values) = inner["enum"].as_array() {
        let good = values.iter().find(|value| GOOD_WORDS.iter().any(|word| *value == word));
        return good.or(values.first()).cloned().unwrap_or_default();
    }
    if inner["type"] == "array" {
        return Value::Array(vec![example_at(api, &inner["items"], depth + 1)]);
    }
    let fields = ordered(inner).into_iter();
    let fields = fields.map(|(name, field)| (name.to_owned(), example_at(api, field, depth + 1)));
    let filled: Map<String, Value> = fields.filter(|(_, value)| !value.is_null()).collect();
    match filled.is_empty() {
        true => match inner["type"].as_str() {
            Some("boolean") => Value::Bool(false),
            Some("object") => Value::Object(Map::new()),
            _ => Value::Null,
        },
        false => Value::Object(filled),
    }
}

/// JSON in lines, the fields of the answer in its schema's order.
pub(super) fn pretty(api: &Api, schema: &Value, value: &Value) -> String {
    let mut text = String::new();
    write_pretty(api, api.resolve(schema), value, 0, &mut text);
    text
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other values are written as they are")]
fn write_pretty(api: &Api, schema: &Value, value: &Value, depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Value::Object(object) if !object.is_empty() => {
            let known = ordered(schema);
            let mut names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            names.retain(|name| object.contains_key(*name));
            let others = object.keys().map(String::as_str);
            names.extend(others.filter(|name| !known.iter().any(|(known, _)| known == name)));
            text.push_str("{\n");
            for (i, name) in names.iter().enumerate() {
                let property = api.resolve(&schema["properties"][*name]);
                let _ = write!(text, "{pad}\"{name}\": ");
                write_pretty(api, property, &object[*name], depth + 1, text);
                text.push_str(if i + 1 < names.len() { ",\n" } else { "\n" });
            }
            let _ = write!(text, "{end}}}");
        }
        Value::Array(items) if !items.is_empty() => {
            let inner = api.resolve(&schema["items"]);
            text.push_str("[\n");
            for (i, item) in items.iter().enumerate() {
                text.push_str(&pad);
                write_pretty(api, inner, item, depth + 1, text);
                text.push_str(if i + 1 < items.len() { ",\n" } else { "\n" });
            }
            let _ = write!(text, "{end}]");
        }
        plain => {
            let _ = write!(text, "{plain}");
        }
    }
}

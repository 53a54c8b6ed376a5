//! A request as a program in each language. Each needs what the language has itself, but for Rust.

use super::Sample;
use serde_json::Value;
use std::fmt::Write as _;

/// How a language writes an object.
#[derive(Clone, Copy)]
pub(super) struct Notation {
    /// What an object begins and ends with.
    object: [&'static str; 2],
    /// What a list begins and ends with.
    list: [&'static str; 2],
    /// Between a name and its value.
    is: &'static str,
    /// True, false, null.
    words: [&'static str; 3],
    /// An object without fields.
    empty: &'static str,
    /// After the last field.
    ending: &'static str,
    text: fn(&str) -> String,
}

pub(super) const JSON: Notation = Notation {
    object: ["{", "}"],
    list: ["[", "]"],
    is: ": ",
    words: ["true", "false", "null"],
    empty: "{}",
    ending: "",
    text: json_text,
};
const PYTHON: Notation = Notation { words: ["True", "False", "None"], ending: ",", ..JSON };
const JAVASCRIPT: Notation = Notation { ending: ",", ..JSON };
const PHP: Notation = Notation {
    object: ["[", "]"],
    is: " => ",
    empty: "new stdClass()",
    ending: ",",
    text: php_text,
    ..JSON
};

/// A text in double quotes, as JSON, JavaScript, Python and Rust read it.
fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

fn php_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// An object in lines.
pub(super) fn object(
    fields: &[(String, Value)],
    notation: Notation,
    pad: &str,
    step: &str,
) -> String {
    if fields.is_empty() {
        return notation.empty.to_owned();
    }
    let [begin, end] = notation.object;
    let lines = fields.iter().map(|(name, field)| {
        let (name, field) = ((notation.text)(name), value(field, notation));
        format!("{pad}{step}{name}{}{field}", notation.is)
    });
    let lines = lines.collect::<Vec<_>>().join(",\n");
    format!("{begin}\n{lines}{}\n{pad}{end}", notation.ending)
}

/// A value in one line.
fn value(value_: &Value, notation: Notation) -> String {
    let [yes, no, null] = notation.words;
    match value_ {
        Value::Null => null.to_owned(),
        Value::Bool(true) => yes.to_owned(),
        Value::Bool(false) => no.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => (notation.text)(text),
        Value::Array(all) => {
            let [begin, end] = notation.list;
            let all: Vec<_> = all.iter().map(|one| value(one, notation)).collect();
            format!("{begin}{}{end}", all.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => notation.empty.to_owned(),
        Value::Object(fields) => {
            let [begin, end] = notation.object;
            let field = |(name, field): (&String, &Value)| {
                format!("{}{}{}", (notation.text)(name), notation.is, value(field, notation))
            };
            format!("{begin}{}{end}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text in single quotes, as a shell reads it.
fn shell_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

pub(super) fn curl(sample: &Sample) -> String {
    let method =
        if sample.method == "GET" { String::new() } else { format!("-X {} ", sample.method) };
    let mut code = format!("curl {method}{}", shell_text(&sample.url));
    for (name, value) in &sample.headers {
        let _ = write!(code, " \\\n  -H {}", shell_text(&format!("{name}: {value}")));
    }
    if let Some(body) = &sample.body {
        let _ = write!(code, " \\\n  -d {}", shell_text(&object(body, JSON, "", "  ")));
    }
    code
}

pub(super) fn javascript(sample: &Sample) -> String {
    let mut code = format!("const response = await fetch({}, {{\n", json_text(&sample.url));
    if sample.method != "GET" {
        let _ = writeln!(code, "  method: {},", json_text(&sample.method));
    }
    if !sample.headers.is_empty() {
        code.push_str("  headers: {\n");
        for (name, value) in &sample.headers {
            let _ = writeln!(code, "    {}: {},", json_text(name), json_text(value));
        }
        code.push_str("  },\n");
    }
    if let Some(body) = &sample.body {
        let _ = writeln!(code, "  body: JSON.stringify({}),", object(body, JAVASCRIPT, "  ", "  "));
    }
    code + "});\nconsole.log(response.status, await response.json());"
}

pub(super) fn python(sample: &Sample) -> String {
    let import = if sample.body.is_some() { "import json\n" } else { "" };
    let mut code = format!(
        "{import}import urllib.error\nimport urllib.request\n\nrequest = \
         urllib.request.Request(\n    {},\n    method={},\n",
        json_text(&sample.url),
        json_text(&sample.method)
    );
    if !sample.headers.is_empty() {
        code.push_str("    headers={\n");
        for (name, value) in &sample.headers {
            let _ = writeln!(code, "        {}: {},", json_text(name), json_text(value));
        }
        code.push_str("    },\n");
    }
    if let Some(body) = &sample.body {
        let body = object(body, PYTHON, "    ", "    ");
        let _ = writeln!(code, "    data=json.dumps({body}).encode(),");
    }
    code + ")\ntry:\n    with urllib.request.urlopen(request) as response:\n        \
            print(response.status, response.read().decode())\nexcept urllib.error.HTTPError as \
            error:\n    print(error.code, error.read().decode())"
}

pub(super) fn php(sample: &Sample) -> String {
    let mut code = format!(
        "<?php\n$curl = curl_init({});\ncurl_setopt_array($curl, [\n    CURLOPT_RETURNTRANSFER => \
         true,\n    CURLOPT_CUSTOMREQUEST => {},\n",
        php_text(&sample.url),
        php_text(&sample.method)
    );
    if !sample.headers.is_empty() {
        code.push_str("    CURLOPT_HTTPHEADER => [\n");
        for (name, value) in &sample.headers {
            let _ = writeln!(code, "        {},", php_text(&format!("{name}: {value}")));
        }
        code.push_str("    ],\n");
    }
    if let Some(body) = &sample.body {
        let body = object(body, PHP, "    ", "    ");
        let _ = writeln!(code, "    CURLOPT_POSTFIELDS => json_encode({body}),");
    }
    code + "]);\n$body = curl_exec($curl);\necho curl_getinfo($curl, CURLINFO_RESPONSE_CODE), ' ', \
            $body, \"\\n\";"
}

/// With `reqwest` and `serde_json`: the language has no HTTP client itself.
pub(super) fn rust(sample: &Sample) -> String {
    let (uses, json) = match &sample.body {
        Some(body) => {
            let body = object(body, JSON, "        ", "    ");
            ("use serde_json::json;\n\n", format!("        .json(&json!({body}))\n"))
        }
        None => ("", String::new()),
    };
    let mut code = format!(
        "// cargo add reqwest --features blocking,json && cargo add serde_json\n{uses}fn main() -> \
         Result<(), Box<dyn std::error::Error>> {{\n    let response = \
         reqwest::blocking::Client::new()\n        .{}({})\n",
        sample.method.to_lowercase(),
        json_text(&sample.url)
    );
    for (name, value) in &sample.headers {
        // `json` sets it.
        if name != "Content-Type" {
            let (name, value) = (json_text(name), json_text(value));
            let _ = writeln!(code, "        .header({name}, {value})");
        }
    }
    code + &json
        + "        .send()?;\n    println!(\"{} {}\", response.status().as_u16(), \
           response.text()?);\n    Ok(())\n}"
}

//! A sample: one request, shown in five programming languages.
//!
//! Not here: which requests exist (the OpenAPI documents say). Invariant: a sample does the same in
//! every language, with the reader's base URL and keys.

mod languages;

use super::facts::{Api, Facts, Operation};
use super::fields::{self, ordered};
use serde_json::Value;

/// A programming language of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleLanguage {
    Curl,
    JavaScript,
    Python,
    Php,
    Rust,
}

impl SampleLanguage {
    pub(crate) const ALL: [SampleLanguage; 5] = [
        SampleLanguage::Curl,
        SampleLanguage::JavaScript,
        SampleLanguage::Python,
        SampleLanguage::Php,
        SampleLanguage::Rust,
    ];

    /// As an address says it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            SampleLanguage::Curl => "curl",
            SampleLanguage::JavaScript => "javascript",
            SampleLanguage::Python => "python",
            SampleLanguage::Php => "php",
            SampleLanguage::Rust => "rust",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            SampleLanguage::Curl => "curl",
            SampleLanguage::JavaScript => "JavaScript",
            SampleLanguage::Python => "Python",
            SampleLanguage::Php => "PHP",
            SampleLanguage::Rust => "Rust",
        }
    }

    /// The language of this code; curl for any other.
    pub(crate) fn of(code: &str) -> SampleLanguage {
        let mut all = SampleLanguage::ALL.into_iter();
        all.find(|language| language.code() == code).unwrap_or(SampleLanguage::Curl)
    }
}

/// What a request shows for the reader's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) open_key: String,
    pub(crate) secret_key: String,
}

impl Default for Keys {
    fn default() -> Keys {
        let (open, secret) = ("ok_test_YOUR_OPEN_KEY", "sk_test_YOUR_SECRET_KEY");
        Keys { open_key: open.to_owned(), secret_key: secret.to_owned() }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// In upper case.
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The fields of the JSON body, in order; none: there is no body.
    pub(crate) body: Option<Vec<(String, Value)>>,
}

impl Sample {
    /// The example of an operation.
    pub(crate) fn of(facts: &Facts, api: &Api, operation: &Operation<'_>, keys: &Keys) -> Sample {
        let mut path = operation.path.to_owned();
        for (name, value) in examples(api, operation, "path") {
            path = path.replace(&format!("{{{name}}}"), &encoded(&value));
        }
        // What a body says is not said twice.
        let in_query = operation.body().is_none();
        let query = if in_query { examples(api, operation, "query") } else { Vec::new() };
        let body = operation.body().map(|schema| {
            let schema = api.resolve(schema);
            let example = fields::example(api, schema);
            let sent = ordered(schema).into_iter();
            let sent = sent.map(|(name, _)| (name.to_owned(), example[name].clone()));
            sent.filter(|(_, value)| !value.is_null()).collect()
        });
        let url = format!("{}{path}{}", facts.base_url, query_text(&query));
        let sample = Sample { method: operation.method.to_uppercase(), url, headers: vec![], body };
        sample.with_access(operation, keys)
    }

    /// The headers that the operation's security wants.
    fn with_access(mut self, operation: &Operation<'_>, keys: &Keys) -> Sample {
        let wants = |scheme: &str| {
            let all = operation.described["security"].as_array();
            all.is_some_and(|all| all.iter().any(|one| one.get(scheme).is_some()))
        };
        let mut add = |name: &str, value: &str| self.headers.push((name.into(), value.into()));
        if wants("openKey") {
            add("X-Open-Key", &keys.open_key);
            add("X-Authorization", &keys.secret_key);
        }
        if wants("bearerAuth") {
            add("Authorization", "Bearer YOUR_ACCESS_TOKEN");
            add("X-Channel-Id", "WEB");
        }
        if self.body.is_some() {
            add("Content-Type", "application/json");
        }
        self
    }

    /// The request in a language.
    pub(crate) fn in_language(&self, language: SampleLanguage) -> String {
        match language {
            SampleLanguage::Curl => languages::curl(self),
            SampleLanguage::JavaScript => languages::javascript(self),
            SampleLanguage::Python => languages::python(self),
            SampleLanguage::Php => languages::php(self),
            SampleLanguage::Rust => languages::rust(self),
        }
    }

    /// Sets a field of the body; an empty text removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let Some(body) = &mut self.body else { return };
        body.retain(|(known, _)| known != name || !value.is_empty());
        if let Some((_, field)) = body.iter_mut().find(|(known, _)| known == name) {
            *field = Value::from(value);
        }
    }

    /// The body as JSON in lines.
    pub(crate) fn json(&self) -> Option<String> {
        self.body.as_deref().map(|body| languages::object(body, languages::JSON, "", "  "))
    }
}

/// The parameters in a place that have an example, with it.
pub(super) fn examples(api: &Api, operation: &Operation<'_>, place: &str) -> Vec<(String, String)> {
    let pairs = operation.parameters(place).filter_map(|parameter| {
        let own = &parameter["example"];
        let is_own = !own.is_null();
        let of_schema = || fields::example(api, &parameter["schema"]);
        let example = if is_own { own.clone() } else { of_schema() };
        let name = parameter["name"].as_str()?.to_owned();
        (!example.is_null()).then(|| (name, text(&example)))
    });
    pairs.collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `?a=1&b=2`, or nothing.
pub(crate) fn query_text(pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let all = pairs.collect::<Vec<_>>().join("&");
    if all.is_empty() { all } else { format!("?{all}") }
}

/// Percent-encoded: what is not unreserved (RFC 3986, 2.3).
pub(crate) fn encoded(text: &str) -> String {
    let mut safe = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                safe.push(char::from(byte));
            }
            other => safe.push_str(&format!("%{other:02X}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;
    use serde_json::json;

    #[test]
    fn a_request_reads_well_in_every_language() {
        let body = json!({"number": "01712345678", "amount": 10, "is_new": true, "none": null,
            "note": "it's \"5 $\" \\ 100 %", "more": {}, "list": ["a", 1]});
        let names = ["number", "amount", "is_new", "none", "note", "more", "list"];
        let post = Sample {
            method: "POST".to_owned(),
            url: "https://saldo.example/api/buy".to_owned(),
            headers: vec![("X-Open-Key".to_owned(), "ok_test_1".to_owned())],
            body: Some(names.map(|name| (name.to_owned(), body[name].clone())).into()),
        };
        let get = Sample { method: "GET".to_owned(), body: None, ..post.clone() };
        let mut all = String::new();
        for language in SampleLanguage::ALL {
            for sample in [&get, &post] {
                let (name, code) = (language.name(), sample.in_language(language));
                all += &format!("=== {name}, {}\n{code}\n", sample.method);
            }
        }
        expect_file!["samples.txt"].assert_eq(&all);
    }

    #[test]
    fn a_query_is_encoded() {
        let pairs = [("q".to_owned(), "a b&c=ü".to_owned()), ("n".to_owned(), "1".to_owned())];
        assert_eq!(query_text(&pairs), "?q=a%20b%26c%3D%C3%BC&n=1");
        assert_eq!(query_text(&[]), "");
    }
}

//! The guides: prose in Markdown, and between it what the code says of itself.
//!
//! A line `{{operation recharge}}` stands for what is made here: fields, samples, errors, sandbox
//! numbers. The same pieces become a page, and the text that `llms.txt` points to. Invariant: a
//! number, a code or a field's name that the program knows is not written in the prose.

pub(super) mod markdown;

use super::facts::{Api, Facts};
use super::fields;
use super::sample::{Keys, Sample, SampleLanguage};
use domain::purchase::sandbox::SandboxNumber;
use domain::{PlanKind, PlanTerms};
use std::fmt::Write as _;
use std::sync::Arc;

/// A page of prose.
#[derive(Clone, Copy)]
pub(super) struct Guide {
    /// The end of its address, but for the first.
    pub(super) name: &'static str,
    /// The keys of its title, and of what is there in one line.
    pub(super) keys: [&'static str; 2],
    text: &'static str,
    is_wallet: bool,
}

/// Every guide, in the order of the menu.
pub(super) const GUIDES: [Guide; 6] = [
    Guide {
        name: "start",
        keys: ["docs.start", "docs.start-text"],
        text: include_str!("start.md"),
        is_wallet: false,
    },
    Guide {
        name: "irecharge",
        keys: ["docs.irecharge", "docs.irecharge-text"],
        text: include_str!("irecharge.md"),
        is_wallet: false,
    },
    Guide {
        name: "rechargely",
        keys: ["docs.rechargely", "docs.rechargely-text"],
        text: include_str!("rechargely.md"),
        is_wallet: true,
    },
    Guide {
        name: "webhooks",
        keys: ["docs.webhooks", "docs.webhooks-text"],
        text: include_str!("webhooks.md"),
        is_wallet: false,
    },
    Guide {
        name: "errors",
        keys: ["docs.errors", "docs.errors-text"],
        text: include_str!("errors.md"),
        is_wallet: false,
    },
    Guide {
        name: "sandbox",
        keys: ["docs.sandbox", "docs.sandbox-text"],
        text: include_str!("sandbox.md"),
        is_wallet: false,
    },
];

/// Who reads, as far as a page depends on it.
pub(super) struct Reader {
    pub(super) keys: Keys,
    /// On which terms plans are sold.
    pub(super) plans: Arc<Vec<PlanTerms>>,
    pub(super) language: SampleLanguage,
}

/// A piece of a guide.
pub(super) enum Piece {
    /// Prose, a heading, a table.
    Markdown(String),
    /// Code, with its id on the page.
    Code { id: String, language: &'static str, text: String },
    /// Code in the reader's language; the others are one link away.
    InLanguages { id: String, text: String },
    /// The operation can be run from the page.
    Run(String),
}

impl Guide {
    /// Its address: `/docs` for the first.
    pub(super) fn path(self) -> String {
        match self.name {
            "start" => "/docs".to_owned(),
            name => format!("/docs/{name}"),
        }
    }

    /// Its pieces for a reader.
    pub(super) fn pieces(self, facts: &Facts, reader: &Reader) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut prose = String::new();
        let filled = self.text.replace("{{base_url}}", &facts.base_url);
        for line in filled.lines() {
            match line.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
                Some(directive) => {
                    pieces.push(Piece::Markdown(std::mem::take(&mut prose)));
                    let api = if self.is_wallet { &facts.wallet } else { &facts.billing };
                    let guide = self.text;
                    Expansion { facts, api, reader, guide }.add(directive, &mut pieces);
                }
                None => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        pieces.push(Piece::Markdown(prose));
        pieces
    }

    /// The guide as one Markdown text.
    pub(super) fn text(self, facts: &Facts, plans: Arc<Vec<PlanTerms>>) -> String {
        let reader = Reader { keys: Keys::default(), plans, language: SampleLanguage::Curl };
        let mut all = String::new();
        for piece in self.pieces(facts, &reader) {
            match piece {
                Piece::Markdown(text) => all.push_str(&text),
                Piece::Code { language, text, .. } => {
                    let _ = write!(all, "\n```{}\n{text}\n```\n\n", language.to_lowercase());
                }
                Piece::InLanguages { text, .. } => {
                    let _ = write!(all, "\n```sh\n{text}\n```\n\n");
                }
                Piece::Run(_) => {}
            }
        }
        all
    }
}

/// What a directive is expanded with.
#[derive(Clone, Copy)]
struct Expansion<'a> {
    facts: &'a Facts,
    api: &'a Api,
    reader: &'a Reader,
    /// The whole guide.
    guide: &'static str,
}

impl Expansion<'_> {
    /// Adds what the directive stands for; a test finds one that stands for nothing.
    fn add(self, directive: &str, pieces: &mut Vec<Piece>) {
        let (name, argument) = directive.split_once(' ').unwrap_or((directive, ""));
        match (name, argument) {
            ("operation", id) => self.add_operation(id, pieces),
            ("sample", asked) => self.add_sample(asked, pieces),
            ("others", _) => self.add_others(pieces),
            ("errors", "billing") => pieces.push(errors(&self.facts.billing)),
            ("errors", "wallet") => pieces.push(errors(&self.facts.wallet)),
            ("sandbox", _) => pieces.push(sandbox()),
            ("plans", _) => pieces.push(plans(&self.reader.plans)),
            ("events", _) => pieces.push(self.events()),
            ("payloads", _) => self.add_payloads(pieces),
            ("receivers", _) => {
                let text = receiver(self.reader.language).to_owned();
                pieces.push(Piece::InLanguages { id: "receiver".to_owned(), text });
            }
            _ => {}
        }
    }

    /// `recharge number=01712345101 webhook_url=`: the operation, and what its body has instead of
    /// the example's values; nothing for a field that it has not.
    fn add_sample(self, asked: &str, pieces: &mut Vec<Piece>) {
        let (id, changes) = asked.split_once(' ').unwrap_or((asked, ""));
        let Some(operation) = self.api.operation(id) else { return };
        let mut sample = Sample::of(self.facts, self.api, &operation, &self.reader.keys);
        for (name, value) in changes.split(' ').filter_map(|change| change.split_once('=')) {
            sample.set(name, value);
        }
        let text = sample.in_language(self.reader.language);
        pieces.push(Piece::InLanguages { id: format!("sample-{id}"), text });
        if self.api.document["info"]["title"] == self.facts.billing.document["info"]["title"] {
            pieces.push(Piece::Run(id.to_owned()));
        }
    }

    fn add_operation(self, id: &str, pieces: &mut Vec<Piece>) {
        let Some(operation) = self.api.operation(id) else { return };
        let text = |key: &str| operation.described[key].as_str().unwrap_or_default();
        let method = operation.method.to_uppercase();
        let (path, words) = (operation.path, text("description"));
        let mut head = format!("\n### {}\n\n`{method} {path}`\n\n{words}\n\n", text("summary"));
        head.push_str(&fields::of_request(self.api, &operation));
        pieces.push(Piece::Markdown(head));
        let schema = operation.answer();
        if !schema.is_null() {
            self.add_sample(id, pieces);
            pieces.push(Piece::Markdown("\nAnswer, 200:\n".to_owned()));
            let example = fields::example(self.api, schema);
            let text = fields::pretty(self.api, schema, &example);
            pieces.push(Piece::Code { id: format!("answer-{id}"), language: "JSON", text });
        }
        let table = fields::of_answer(self.api, schema);
        pieces.push(Piece::Markdown(format!("{table}\n{}\n", errors_line(operation.described))));
    }

    /// The operations that the guide does not name.
    fn add_others(self, pieces: &mut Vec<Piece>) {
        for operation in self.api.operations() {
            if !self.guide.contains(&format!("{{{{operation {}}}}}", operation.id)) {
                self.add_operation(operation.id, pieces);
            }
        }
    }

    fn events(self) -> Piece {
        let mut rows = "| event | when |\n|---|---|\n".to_owned();
        for (name, described) in self.api.webhooks() {
            let when = described["summary"].as_str().unwrap_or_default();
            let _ = writeln!(rows, "| `{name}` | {when} |");
        }
        Piece::Markdown(rows)
    }

    fn add_payloads(self, pieces: &mut Vec<Piece>) {
        let mut schema = &serde_json::Value::Null;
        for (name, described) in self.api.webhooks() {
            let content = &described["requestBody"]["content"]["application/json"];
            schema = &content["schema"];
            let text = fields::pretty(self.api, schema, &content["example"]);
            pieces.push(Piece::Markdown(format!("\n### {name}\n")));
            let id = format!("payload-{}", name.replace('.', "-"));
            pieces.push(Piece::Code { id, language: "JSON", text });
        }
        let table = fields::of_answer(self.api, schema);
        pieces.push(Piece::Markdown(format!("\n### The fields of a webhook\n\n{table}\n")));
    }
}

/// `Errors: 401 …; 402 …`, as the operation lists them.
fn errors_line(described: &serde_json::Value) -> String {
    let responses = described["responses"].as_object().into_iter().flatten();
    let errors = responses.filter(|(status, _)| *status != "200").map(|(status, response)| {
        format!("{status} {}", response["description"].as_str().unwrap_or_default())
    });
    format!("Errors: {}.", errors.collect::<Vec<_>>().join("; "))
}

fn errors(api: &Api) -> Piece {
    let mut rows = "| status | code | what happened | what to do |\n|---|---|---|---|\n".to_owned();
    for error in &api.errors {
        let [message, advice] = [&error.message, &error.advice].map(|t| t.replace('|', "\\|"));
        let _ = writeln!(rows, "| {} | `{}` | {message} | {advice} |", error.status, error.code);
    }
    Piece::Markdown(rows)
}

fn sandbox() -> Piece {
    let mut rows = "| ends in | what happens |\n|---|---|\n".to_owned();
    for number in SandboxNumber::ALL {
        let _ = writeln!(rows, "| `{}` | {} |", number.digits(), number.words());
    }
    Piece::Markdown(rows)
}

fn plans(plans: &[PlanTerms]) -> Piece {
    let mut rows = "| package | calls a minute | price a month |\n|---|---|---|\n".to_owned();
    for terms in plans {
        let name = match terms.kind {
            PlanKind::Starter => "Starter",
            PlanKind::Business => "Business",
            PlanKind::Enterprise => "Enterprise",
        };
        let calls = match terms.kind.is_agreed() {
            true => "as agreed".to_owned(),
            false => terms.per_minute.to_string(),
        };
        let prices: Vec<String> = terms.prices.iter().map(ToString::to_string).collect();
        let prices = if prices.is_empty() { "as agreed".to_owned() } else { prices.join(", ") };
        let _ = writeln!(rows, "| {name} | {calls} | {prices} |");
    }
    Piece::Markdown(rows)
}

/// The program that receives webhooks; for curl the one that verifies by hand.
const fn receiver(language: SampleLanguage) -> &'static str {
    match language {
        SampleLanguage::Curl => include_str!("../../../../../samples/receivers/shell/verify.sh"),
        SampleLanguage::JavaScript => {
            include_str!("../../../../../samples/receivers/javascript/receiver.mjs")
        }
        SampleLanguage::Python => {
            include_str!("../../../../../samples/receivers/python/receiver.py")
        }
        SampleLanguage::Php => include_str!("../../../../../samples/receivers/php/receiver.php"),
        SampleLanguage::Rust => include_str!("../../../../../samples/receivers/rust/receiver.rs"),
    }
}

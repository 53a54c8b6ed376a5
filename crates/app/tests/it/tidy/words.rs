//! The vocabulary: words that names must not use, each with the word to use, and one type for one
//! name.
//!
//! Only names count (of types, functions, fields, variables, modules), word by word; strings and
//! comments are prose.

use super::{shown, sources};
use std::collections::BTreeMap;

/// A word that no name has, and what it is called instead.
const BANNED: &[(&str, &str)] = &[
    ("actor", "simulated_upstream"),
    ("blind", "optimistic"),
    ("chance", "random"),
    ("coming", "BoxFuture, or what is awaited"),
    ("complain", "report"),
    ("complaint", "field_error"),
    ("complaints", "field_errors, or findings"),
    ("courier", "webhook_sender"),
    ("desk", "staff, or batch_writer"),
    ("dice", "rng"),
    ("door", "audience, or log_in"),
    ("ear", "listener"),
    ("face", "dialect, or api"),
    ("faces", "dialects"),
    ("fate", "action, or outcome"),
    ("folding", "checkpoint"),
    ("founding", "account_setup"),
    ("furnish", "seed"),
    ("haste", "time_divisor"),
    ("hear", "on_update, or apply"),
    ("heard", "updates"),
    ("hearing", "outcome_source"),
    ("heed", "apply, or watch"),
    ("herald", "renderer"),
    ("lane", "client"),
    ("leg", "flight"),
    ("nap", "idle_wait"),
    ("nib", "last_commit"),
    ("owe", "enqueue"),
    ("owed", "pending"),
    ("owes", "enqueues"),
    ("parcel", "webhook_post"),
    ("patience", "timeout"),
    ("pen", "last_commit"),
    ("rooms", "partitions"),
    ("seat", "slot"),
    ("seats", "slots"),
    ("seeing", "reading"),
    ("shelf", "endpoint_cache"),
    ("sight", "backoff"),
    ("story", "history"),
    ("stories", "histories, or sums"),
    ("spot", "context"),
    ("stranger", "anonymous"),
    ("stray", "disagreeing"),
    ("tale", "rendered_event"),
    ("tales", "rendered_events"),
    ("teller", "renderer"),
    ("telling", "sending, or webhook_parts"),
    ("told", "sent, or reported"),
    ("trouble", "health"),
    ("unread", "body_error"),
    ("visitor", "authenticated"),
    ("wish", "purchase_request"),
    ("wishes", "purchase_requests"),
];

/// Names of other crates, which are not ours to choose: serde's trait.
const FOREIGN: [&str; 1] = ["Visitor"];
/// Before the published name of an OpenAPI schema, which clients generate code from.
const SCHEMA_NAME: &str = "#[schema(as = ";

#[test]
fn names_use_the_vocabulary() {
    let mut found = Vec::new();
    for (path, text) in sources("crates") {
        for (number, line) in code(&text).lines().enumerate() {
            if line.trim_start().starts_with(SCHEMA_NAME) {
                continue;
            }
            for name in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
                if FOREIGN.contains(&name) {
                    continue;
                }
                let banned = words_of(name)
                    .into_iter()
                    .find_map(|word| BANNED.iter().find(|(banned, _)| *banned == word));
                if let Some((word, instead)) = banned {
                    let at = format!("{}:{}", shown(&path), number + 1);
                    found.push(format!("{at}: {name:?} has {word:?}; say {instead}"));
                }
                if name.ends_with("_MOST") || name.ends_with("_LEAST") {
                    let at = format!("{}:{}", shown(&path), number + 1);
                    found.push(format!("{at}: {name:?}: a bound ends with _MAX or _MIN"));
                }
            }
        }
    }
    assert!(found.is_empty(), "see docs/glossary.md:\n{}", found.join("\n"));
}

/// Words that are gone from comments and texts too.
const RETIRED: [&str; 7] = ["herald", "courier", "nib", "wish", "complaint", "shelf", "telling"];

#[test]
fn retired_words_are_gone_from_prose() {
    for (path, text) in sources("crates") {
        if shown(&path).ends_with("tidy/words.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let found = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .find(|word| RETIRED.contains(word));
            assert!(found.is_none(), "{}:{}: {found:?}", shown(&path), number + 1);
        }
    }
}

#[test]
fn no_two_public_types_of_a_crate_share_a_name() {
    let mut known: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (path, text) in sources("crates") {
        let shown = shown(&path);
        let Some(crate_name) = shown.split('/').nth(1).map(str::to_owned) else { continue };
        if !shown.contains("/src/") {
            continue;
        }
        for line in code(&text).lines() {
            // A macro's types have their names from its calls.
            if let Some(name) = public_type(line).filter(|name| !name.is_empty()) {
                let key = (crate_name.clone(), name.to_owned());
                known.entry(key).or_default().push(shown.clone());
            }
        }
    }
    let twice: Vec<String> = known
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|((_, name), places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(twice.is_empty(), "give each its own name:\n{}", twice.join("\n"));
}

/// The name of a type that this line makes public in its crate or beyond.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub(crate) ").or_else(|| rest.strip_prefix("pub "))?;
    let mut words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
    match words.next()? {
        "struct" | "enum" | "trait" | "type" | "union" => words.next(),
        _ => None,
    }
}

/// `TooFast_now` has the words `too`, `fast` and `now`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// The text without its strings and comments, line by line: what is left are names and signs.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' | 'b' if !ends_a_name(&out) => raw_string_length(rest),
            '\'' => char_length(rest),
            _ => 0,
        };
        let taken = if skipped == 0 { c.len_utf8() } else { skipped };
        let (head, tail) = rest.split_at(taken);
        match skipped {
            0 => out.push(c),
            // Lines keep their numbers.
            _ => out.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = tail;
    }
    out
}

fn ends_a_name(out: &str) -> bool {
    out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Of `r"…"`, `r#"…"#`, `b"…"` and `br"…"`; 0 of anything else.
fn raw_string_length(text: &str) -> usize {
    let after_b = text.strip_prefix('b').unwrap_or(text);
    let is_raw = after_b.starts_with('r');
    let after_r = after_b.strip_prefix('r').unwrap_or(after_b);
    let body = after_r.trim_start_matches('#');
    let hashes = after_r.len() - body.len();
    if !body.starts_with('"') || (hashes > 0 && !is_raw) {
        return 0;
    }
    let before = text.len() - body.len();
    if !is_raw {
        return before + string_length(body);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    body[1..].find(&end).map_or(text.len(), |at| before + 1 + at + end.len())
}

/// Of a character in quotes; 0 of a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[test]
fn strings_and_comments_are_no_names() {
    let text = "let a = \"wish\"; // wish\n\
                let b = r#\"wish \"quoted\" wish\"#; let c = '\"'; let d = 'x';\n\
                fn f<'wish2>() { b\"wish\" }\n/* wish\nwish */ let e = br\"wish\";";
    let code = code(text);
    assert!(!code.split(|c: char| !c.is_alphanumeric()).any(|word| word == "wish"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(code.contains("let e") && code.contains("wish2"), "{code}");
    assert_eq!(words_of("TooFast_now"), ["too", "fast", "now"]);
    assert_eq!(public_type("    pub(crate) struct Taken(Arc<bool>);"), Some("Taken"));
    assert_eq!(public_type("pub(super) struct Taken;"), None);
}

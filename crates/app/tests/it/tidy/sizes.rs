//! Sizes: of files, folders, lines and argument lists.

use super::words::code;
use super::{root, shown, sources};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Lines of a file in `src`.
const FILE_LINES_MAX: usize = 600;
/// Files of a folder.
const FOLDER_FILES_MAX: usize = 15;
/// Characters of a line.
const COLUMNS_MAX: usize = 100;
/// Folders that grow by their nature: a schema's history, one picture an operator.
const GROWING_FOLDERS: [&str; 2] = ["migrations", "logos"];

#[test]
fn files_have_a_size() {
    let mut long = Vec::new();
    for (path, text) in sources("crates") {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && shown(&path).contains("/src/") {
            long.push(format!("{}: {lines} lines", shown(&path)));
        }
    }
    let long = long.join("\n");
    assert!(long.is_empty(), "part them at their natural joints ({FILE_LINES_MAX} lines):\n{long}");
}

#[test]
fn folders_have_a_size() {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for path in files(&["crates", "docs", "samples", "tools"]) {
        if let Some(folder) = path.parent() {
            *counts.entry(folder.to_owned()).or_default() += 1;
        }
    }
    let full: Vec<String> = counts
        .into_iter()
        .filter(|(folder, count)| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            *count > FOLDER_FILES_MAX && !GROWING_FOLDERS.contains(&name.as_ref())
        })
        .map(|(folder, count)| format!("{}: {count} files", shown(&folder)))
        .collect();
    let full = full.join("\n");
    assert!(full.is_empty(), "group what belongs together ({FOLDER_FILES_MAX} files):\n{full}");
}

#[test]
fn lines_have_a_length() {
    let mut long = Vec::new();
    for path in files(&["crates"]) {
        let is_text = ["rs", "sql", "toml", "pgbench", "css", "js"]
            .iter()
            .any(|ending| path.extension().is_some_and(|e| e == *ending));
        // A migration that exists stays as it is, and so does a database that an old version made.
        // A text of a page is one line of its catalog.
        let shown_path = shown(&path);
        let is_kept = shown_path.contains("/migrations/")
            || shown_path.contains("/words/")
            || shown_path.ends_with("/version1.sql");
        if !is_text || is_kept {
            continue;
        }
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                long.push(format!("{}:{}", shown(&path), number + 1));
            }
        }
    }
    assert!(long.is_empty(), "break these lines ({COLUMNS_MAX} columns):\n{}", long.join("\n"));
}

#[test]
fn arguments_are_not_hidden_in_tuples() {
    let mut found = Vec::new();
    for (path, text) in sources("crates") {
        for signature in signatures(&code(&text)) {
            if has_tuple(&signature) {
                found.push(format!("{}: fn {signature}", shown(&path)));
            }
        }
    }
    let found = found.join("\n");
    assert!(found.is_empty(), "give what belongs together a type of its own:\n{found}");
}

/// Name and parameters of each function.
fn signatures(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("fn ").skip(1) {
        let Some(open) = rest.find('(') else { continue };
        // A type `fn(…)` or a trait's `Fn(…)` has no name before its bracket.
        if !rest.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') {
            continue;
        }
        let mut depth = 0_usize;
        for (at, c) in rest[open..].char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                let text = &rest[..=open + at];
                found.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
                break;
            }
        }
    }
    found
}

/// Whether a parameter is a tuple: by its pattern or by its type.
fn has_tuple(signature: &str) -> bool {
    let Some((_, parameters)) = signature.split_once('(') else { return false };
    let parameters = parameters.trim_end_matches(')').trim_start();
    let mut depth = 0_i32;
    let mut parameter = String::new();
    let mut all = Vec::new();
    for c in parameters.chars() {
        match c {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            all.push(std::mem::take(&mut parameter));
        } else {
            parameter.push(c);
        }
    }
    all.push(parameter);
    all.iter().any(|parameter| {
        let pattern = parameter.trim_start();
        let kind = pattern.split_once(": ").map_or("", |(_, kind)| kind).trim_start_matches('&');
        let is_tuple = kind.starts_with('(')
            && !["()", "(dyn ", "(impl "].iter().any(|no| kind.starts_with(no));
        pattern.starts_with('(') || is_tuple
    })
}

/// Every file below these folders, apart from what is built.
fn files(under: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = under.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

#[test]
fn a_tuple_is_seen() {
    let code = "fn a((x, y): (i64, i64)) {} fn b(whose: (A, B), n: u8) {} \
                fn c(n: (), f: impl Fn((A, B)) -> C) {} \
                fn d(f: &(dyn Fn(A) + B), x: Option<(A, B)>)";
    let seen: Vec<bool> = signatures(code).iter().map(|s| has_tuple(s)).collect();
    assert_eq!(seen, [true, true, false, false]);
}

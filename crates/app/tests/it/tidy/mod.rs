//! Rules that are checked: the invariants of absence, the words, and what a file must look like.
//!
//! `words` has the vocabulary, `sizes` the measures; the rest is here. A rule that fails says what
//! to do.

mod sizes;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A path as the messages name it: from the root of the project.
fn shown(path: &Path) -> String {
    let root = root();
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Every Rust file below a folder, with its text.
fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {under}");
    found
}

fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    section
        .lines()
        .filter_map(|l| l.split(['.', ' ']).next())
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_between_crates_go_one_way() {
    let ours = [
        "domain",
        "fixtures",
        "store",
        "engine",
        "connectors",
        "edge",
        "api",
        "web",
        "bench",
        "app",
    ];
    for (name, allowed) in [
        ("domain", &[][..]),
        ("fixtures", &["domain"]),
        ("store", &["domain"]),
        ("engine", &["domain", "store"]),
        ("connectors", &["domain"]),
        ("edge", &[]),
        ("api", &["domain", "engine"]),
        ("web", &["domain", "engine"]),
        ("bench", &["domain", "store", "engine"]),
    ] {
        let taken: Vec<String> =
            dependencies(name).into_iter().filter(|d| ours.contains(&d.as_str())).collect();
        let surplus: Vec<&String> =
            taken.iter().filter(|d| !allowed.contains(&d.as_str())).collect();
        assert!(
            surplus.is_empty(),
            "{name} depends on {surplus:?}: see the invariants of absence in ARCHITECTURE.md"
        );
    }
    for name in ours {
        assert!(
            !dependencies(name).contains(&"fixtures".to_owned()),
            "{name} ships test values: fixtures is a dev-dependency only"
        );
    }
    for pure in ["serde", "tokio", "rusqlite", "axum"] {
        assert!(
            !dependencies("domain").contains(&pure.to_owned()),
            "domain does no I/O: {pure} belongs elsewhere"
        );
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources("crates") {
        assert!(
            text.starts_with("//!"),
            "{}: open it with //!: what is here, what is not, its invariant",
            path.display()
        );
    }
}

/// Words that must stand in one place only, and where.
#[test]
fn what_belongs_in_one_place_is_there_only() {
    let only = |needle: &str, under: &str, allowed: &[&str], why: &str| {
        for (path, text) in sources(under) {
            let name = path.to_string_lossy().replace('\\', "/");
            let code = text.split("#[cfg(test)]").next().unwrap();
            let is_there =
                code.lines().any(|l| l.contains(needle) && !l.trim_start().starts_with("//"));
            let is_allowed = allowed.iter().any(|a| name.ends_with(a)) || name.contains("/tests");
            assert!(!is_there || is_allowed, "{name} has {needle:?}: {why}");
        }
    };
    let steps = ["settle.rs", "quote.rs", "staff.rs"];
    only("TakeStep", "crates/engine/src", &steps, "a step goes through settle's take_step");
    let permits = ["permits.rs"];
    for write in ["store.write(", "store.write_within(", "store.commit("] {
        only(write, "crates/engine/src", &permits, "the engine commits with a permit");
    }
    only("settle::decide(", "crates/engine/src", &["settle.rs"], "only settle decides a step");
    only("simulator", "crates/engine/src", &[], "the engine knows no upstream by name");
    only("irecharge", "crates/engine/src", &[], "the engine knows no dialect");
    for time in ["SystemTime::now", "Instant::now", "SystemRandom::new"] {
        only(time, "crates", &["app/src/clock.rs"], "time and chance are arguments");
    }
    for sql in ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"] {
        for under in [
            "crates/domain/src",
            "crates/engine/src",
            "crates/edge/src",
            "crates/api/src",
            "crates/web/src",
            "crates/connectors/src",
            "crates/bench/src",
            "crates/app/src",
        ] {
            only(sql, under, &[], "SQL is the store's");
        }
    }
    only("f64", "crates/domain/src", &[], "money never passes through a float");
    only("f64", "crates/store/src", &[], "money never passes through a float");
    only("f64", "crates/engine/src", &[], "money never passes through a float");
    only("[allow(", "crates", &[], "switch a lint off with expect and a reason");
    for unfinished in ["todo!(", "unimplemented!(", "FIXME"] {
        only(
            unfinished,
            "crates",
            &["tests/it/tidy/mod.rs"],
            "finish it, or say in an issue what is missing",
        );
    }
}

#[test]
fn documents_speak_of_files_that_exist() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split(['`', '(', ')', ' ', '\n']) {
            let path = word.split('#').next().unwrap().trim_end_matches([',', '.', ':', ';']);
            let is_path = path.starts_with("crates/") || path.starts_with("docs/");
            if is_path && !path.contains(['*', '…', '<', '{']) {
                assert!(root().join(path).exists(), "{} speaks of {path}", shown(&document));
            }
        }
    }
}

/// The root's documents, and those in `docs` and its folders.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_map_stays_a_map() {
    let words = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let count = words.split_whitespace().count();
    assert!(count <= 1_500, "ARCHITECTURE.md has {count} words: move detail to docs/internals");
}

/// The README's own line must buy a recharge: its keys are the demo's.
#[test]
fn the_readme_has_the_demos_keys() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let demo = fs::read_to_string(root().join("crates/app/src/cmd/demo.rs")).unwrap();
    for line in demo.lines().filter(|l| l.contains("_KEY: &str")) {
        let key = line.split('"').nth(1).unwrap();
        assert!(readme.contains(key), "README.md does not name {key}");
    }
}

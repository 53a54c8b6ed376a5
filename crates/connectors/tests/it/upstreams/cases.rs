//! Each kind's file of cases passes, and a wrong file says what is wrong.

use super::peer::PEERS;
use super::world::settings;
use connectors::upstream::simulator::wire::SERVICES;
use connectors::upstream::{CasesUnusable, UpstreamSettings, UpstreamUnusable, check_cases, kinds};

/// The cases of a kind; they are in `cases/`.
fn file(kind: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/upstreams/cases");
    std::fs::read_to_string(format!("{folder}/{kind}.json")).unwrap()
}

/// A file of the kind `generic` brings its own cases.
fn native_kinds() -> impl Iterator<Item = &'static str> {
    kinds().filter(|kind| *kind != "generic")
}

#[test]
fn every_kind_passes_its_cases() {
    for kind in native_kinds() {
        let report = check_cases(kind, &file(kind), &settings("https://upstream.example")).unwrap();
        assert_eq!(report.failed, [], "{kind}");
        assert!(report.passed >= 20, "{kind} has only {} cases", report.passed);
    }
}

/// What docs/adding.md asks for beside a connector and its cases.
#[test]
fn every_kind_is_tried_with_faults_and_can_be_simulated() {
    for kind in native_kinds() {
        let is_tried = PEERS.iter().any(|peer| peer.kind == kind);
        assert!(is_tried, "{kind}: say in peer.rs what a good one answers");
        let is_simulated = SERVICES.iter().any(|(name, _)| *name == kind);
        assert!(is_simulated, "{kind} cannot be simulated: see simulator/wire/mod.rs");
        let page = format!("{}/../../docs/upstreams/{kind}.md", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&page).exists(), "{kind} has no page: {page}");
    }
}

#[test]
fn a_case_that_fails_is_named() {
    let wrong =
        file("irecharge").replacen("\"outcome\": \"refused\"", "\"outcome\": \"delivered\"", 1);
    let report = check_cases("irecharge", &wrong, &settings("https://upstream.example")).unwrap();
    let [failure] = &report.failed[..] else { panic!("{report:?}") };
    assert_eq!((failure.case.as_str(), failure.found.as_str()), ("ir-06", "refused"));
    assert_eq!(failure.expected, "delivered");
}

#[test]
fn a_file_that_is_none_is_refused() {
    let of = |kind: &str, text: &str| check_cases(kind, text, &settings("https://u.example"));
    assert!(matches!(of("irecharge", "{}"), Err(CasesUnusable::Unreadable(_))));
    let unknown = of("nobody", &file("irecharge")).unwrap_err();
    let CasesUnusable::Unusable(UpstreamUnusable::UnknownKind { known, .. }) = unknown else {
        panic!("{unknown}")
    };
    assert!(known.contains("irecharge"), "{known}");
}

/// The same service, once in Rust and once as a file.
#[test]
fn irecharge_by_file_passes_the_cases_of_the_connector() {
    let own = include_str!("../../../../../docs/upstreams/irecharge.toml");
    let settings =
        UpstreamSettings { file: own.to_owned(), ..settings("https://upstream.example") };
    let report = check_cases("generic", &file("irecharge"), &settings).unwrap();
    assert_eq!(report.failed, []);
    assert!(report.passed > 35, "{}", report.passed);
}

//! Each kind's file of cases passes, and a wrong file says what is wrong.

use super::world::settings;
use connectors::upstream::{CasesUnusable, UpstreamSettings, UpstreamUnusable, check_cases, kinds};

/// The cases of a kind; they are in `cases/`.
fn file(kind: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/upstreams/cases");
    std::fs::read_to_string(format!("{folder}/{kind}.json")).unwrap()
}

#[test]
fn every_kind_passes_its_cases() {
    for kind in ["irecharge", "rechargely", "reloadly"] {
        assert!(kinds().any(|known| known == kind));
        let report = check_cases(kind, &file(kind), &settings("https://upstream.example")).unwrap();
        assert_eq!(report.failed, [], "{kind}");
        assert!(report.passed > 35, "{kind}: {}", report.passed);
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

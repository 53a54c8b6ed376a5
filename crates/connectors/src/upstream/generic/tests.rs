//! Files that load, and files that are refused.

use super::*;

const JSON: &str = include_str!("../../../../../docs/upstreams/panel-json.toml");
const TEXT: &str = include_str!("../../../../../docs/upstreams/panel-text.toml");
const XML: &str = include_str!("../../../../../docs/upstreams/panel-xml.toml");
const IRECHARGE: &str = include_str!("../../../../../docs/upstreams/irecharge.toml");

#[test]
fn the_examples_pass_everything() {
    for text in [JSON, TEXT, XML, IRECHARGE] {
        let checked = check(text).unwrap();
        assert_eq!(checked.report.failed, Vec::<String>::new(), "{}", checked.code);
        assert!(checked.report.passed > 20, "{checked:?}");
    }
}

/// The file with one text in place of another, which must be there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// Why a file is refused, or which of its cases fail.
fn fault_of(text: &str) -> String {
    match check(text) {
        Ok(checked) => checked.report.failed.join("; "),
        Err(reason) => reason,
    }
}

#[test]
fn an_unsafe_file_is_refused() {
    let cases = [
        // A misspelled field would change what a rule means.
        (changed(JSON, "try_elsewhere", "try_elsewere"), "unknown field"),
        (changed(JSON, "https://", "http://"), "https only"),
        (changed(JSON, "hosts    = [\"api", "hosts    = [\"www"), "not in hosts"),
        (
            changed(
                JSON,
                "reference = \"txid\"
",
                "",
            ),
            "foreign reference",
        ),
        (changed(TEXT, "outcome = \"accepted\"", "outcome = \"delivered\""), "cannot decide"),
        (changed(JSON, "grace = \"120s\"", "grace = \"60s\""), "at least 120s"),
        (changed(JSON, "grace = \"120s\"", "grace = \"120s\"\nrepeats = 1"), "two equal"),
        (changed(JSON, "grace = \"120s\"", "grace = \"120s\"\nrepeats = 3"), "two equal"),
        (changed(JSON, "[secrets]", "connect_timeout = \"20s\"\n[secrets]"), "10s at most"),
        (changed(JSON, "outcome = \"accepted\"", "outcome = \"not_found\""), "only an enquiry"),
        (changed(JSON, "{reference}\"\noperator", "{referense}\"\noperator"), "not known"),
        (changed(JSON, "names = [\"key\"]", "names = []"), "not known"),
        (changed(JSON, "[schedule]", "[schedule]\nto_staff = \"1m\""), "between 10m and 7d"),
        (changed(JSON, "[schedule]", "[schedule]\nrecheck = [\"12h\"]"), "whole days"),
        (changed(JSON, "[schedule]", "[schedule]\nrecheck = [\"3d\", \"1d\"]"), "whole days"),
        (changed(JSON, "[balance]", "[balance]\nmin_interval = \"2d\""), "1d at most"),
        (changed(JSON, "[hook]", "[hook]\npath = \"panel\""), "path is a secret"),
        (changed(JSON, "[hook]", "[hook]\npath = \"{secret.hook}\""), "path is a secret"),
        (changed(JSON, "[hook]", "[hook]\nanswer = { status = 404 }"), "2xx"),
        (changed(JSON, "[hook]", "[hook]\nsign = \"md5\""), "unknown field `sign`"),
        (changed(JSON, "/recharge/{reference}", "/recharge/{secret.key}"), "in a path"),
        (changed(JSON, "{attempt|alnum}", "{now|unix}"), "{attempt} once"),
        (changed(JSON, "{attempt|alnum}", "{attempt}{reference}"), "{attempt} once"),
        // Two attempts would have one reference.
        (changed(JSON, "{attempt|alnum}", "{attempt|last9}"), "cannot be read back"),
        (changed(JSON, "{attempt|alnum}", "{attempt|alnum}{now|%H%M}"), "no digit beside"),
        (changed(JSON, "{attempt|alnum}", "{now|%Y|No/Where}{attempt|alnum}"), "{now}"),
        (
            changed(
                JSON,
                "{ status = { eq = \"FAILED\" }, code = { eq = \"LOW_BALANCE\" } }",
                "{ code = { regex = \"LOW\" } }",
            ),
            "anchored at both ends",
        ),
        (
            changed(JSON, "code = { eq = \"LOW_BALANCE\" }", "code = { present = false }"),
            "needs one of",
        ),
        (changed(TEXT, "^(?P<status>", "(?P<status>"), "anchored"),
        (changed(TEXT, "gap     = \"2m\"", "gap     = \"5s\""), "at least 60s"),
        (changed(JSON, "rule  = \"sold\"", ""), "has no case"),
        (changed(JSON, "want  = \"refused\"", "want  = \"delivered\""), "was read as"),
        (changed(JSON, "form    = \"national\"", "form    = \"e164\""), "cannot be written"),
    ];
    for (text, says) in cases {
        let fault = fault_of(&text);
        assert!(fault.contains(says), "{says}: {fault:?}");
    }
}

/// What no case of the file can show: the cases are read, and never sent.
#[test]
fn a_file_that_does_not_say_what_it_sells_or_asks_about_is_refused() {
    let no_reference = changed(JSON, "txid     = \"{reference}\"\n", "");
    let in_sign = changed(
        TEXT,
        "ref  = \"{reference}\"\ntime = \"{time}\"",
        "ref  = \"1\"\ntime = \"{time}\"",
    );
    let cut = changed(JSON, "txid     = \"{reference}\"", "txid     = \"{reference|last9}\"");
    let cases = [
        (no_reference.clone(), "[submit] never sends {reference}"),
        (in_sign, "[submit] never sends {reference}"),
        (cut, "no filter last9"),
        (changed(JSON, "mobile   = \"{recipient}\"\n", ""), "never sends {recipient}"),
        (changed(JSON, "\"{amount|number}\"", "5"), "never sends {amount}"),
        (changed(JSON, "operator = \"{map.operator}\"\n", ""), "never sends {map.operator}"),
        (changed(JSON, "/recharge/{reference}", "/recharge"), "[query] never sends {reference}"),
        (changed(JSON, "by      = \"reference\"", "by      = \"id\""), "[query] never sends {id}"),
    ];
    for (text, says) in cases {
        let fault = fault_of(&text);
        assert!(fault.contains(says), "{says}: {fault:?}");
    }
    // A value of the file's own, or a call that comes before, may carry it.
    let by_value = changed(JSON, "\"{reference}\"\noperator", "\"{order}\"\noperator");
    let by_value = by_value + "\n[values]\norder = \"{reference}\"\n";
    assert_eq!(fault_of(&by_value), "");
}

#[test]
fn a_refusal_that_anything_matches_is_refused() {
    let when = "{ status = { eq = \"FAILED\" }, code = { in = [\"BAD_NUMBER\", \"BAD_AMOUNT\"] } }";
    let with = |code: &str| changed(JSON, when, code);
    for (text, says) in [
        (with("{ code = { regex = '^.*$' } }"), "matches everything"),
        (with("{ code = { regex = '^' } }"), "matches everything"),
        (with("{ code = { regex = '' } }"), "matches everything"),
        (with("{ code = { regex = '^[^~]{0,80}$' } }"), "matches everything"),
        (with("{ code = { regex = '^BAD_NUMBER$|^.*$' } }"), "matches everything"),
        (with("{ status = { eq = \"FAILED\" }, code = { regex = '^.*$' } }"), "matches everything"),
        (with("{ code = { regex = '^[A-Z_]+$' } }"), "any code matches"),
        (with("{ code = { regex = '^[0-9]*$' } }"), "an empty value"),
        (with("{ code = { eq = '' } }"), "an empty value"),
        (with("{ code = { regex = '^[0-9]+$' } }"), "any code matches"),
    ] {
        let fault = fault_of(&text);
        assert!(fault.contains(says), "{says}: {fault:?}");
    }
    assert_eq!(fault_of(&with("{ code = { regex = '^BAD_[A-Z]+$' } }")), "");
}

#[test]
fn headers_that_http_does_not_allow_are_refused() {
    let with = |header: &str| {
        changed(JSON, "headers = { Authorization", &format!("headers = {{ {header}, Authorization"))
    };
    for (header, says) in [
        ("\"Bad Header\" = \"x\"", "no name of a header"),
        ("\"\" = \"x\"", "no name of a header"),
        ("X-Text = \"a\\r\\nHost: evil\"", "HTTP does not allow"),
        ("Host = \"evil.example\"", "leave Host out"),
        ("content-length = \"5\"", "leave content-length out"),
        ("Transfer-Encoding = \"chunked\"", "leave Transfer-Encoding out"),
        ("Connection = \"close\"", "leave Connection out"),
        ("Proxy-Connection = \"x\"", "leave Proxy-Connection out"),
        ("authorization = \"x\"", "there twice"),
    ] {
        let fault = fault_of(&with(header));
        assert!(fault.contains(says), "{says}: {fault:?}");
    }
    assert_eq!(fault_of(&with("X-Client = \"saldo\"")), "");
}

#[test]
fn a_file_has_a_limit() {
    let long = format!("{JSON}\n# {}", "x".repeat(64 * 1024));
    assert!(fault_of(&long).contains("64 KiB"), "{}", fault_of(&long));
}

/// A rule that reads a status too widely is caught by the file's own hostile replies.
#[test]
fn a_rule_that_believes_anything_is_caught() {
    let text = changed(
        TEXT,
        "when    = { status = { eq = \"NOTFOUND\" } }\noutcome = \"not_found\"",
        "when    = { status = { regex = \"^[A-Z]+$\" } }\noutcome = \"not_found\"",
    );
    assert!(fault_of(&text).contains("disagree"), "{}", fault_of(&text));
}

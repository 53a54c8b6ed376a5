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

/// A rule that reads a status too widely is caught by the file's own hostile replies.
#[test]
fn a_rule_that_believes_anything_is_caught() {
    let text = changed(
        TEXT,
        "when    = { status = { eq = \"NOTFOUND\" } }\noutcome = \"not_found\"",
        "when    = { status = { regex = \"^.*$\" } }\noutcome = \"not_found\"",
    );
    assert!(fault_of(&text).contains("disagree"), "{}", fault_of(&text));
}

//! Where a call carries its token: a mark that is replaced when the token is known.
//!
//! Invariant: the token is escaped for where it stands, and the mark is never sent.

use crate::upstream::kit::wire::WireRequest;

/// Stands for the token until there is one. Letters and digits only: no escaping changes it.
pub(super) const TOKEN_PLACE: &str = "SaldoTokenPlace7f3a9c";

/// Puts the token where the mark is.
pub(super) fn put(request: &mut WireRequest, token: &str) {
    for (_, value) in request.headers.iter_mut().chain(&mut request.query) {
        *value = value.replace(TOKEN_PLACE, token);
    }
    let in_path = form_escaped(token);
    request.path = request.path.replace(TOKEN_PLACE, &in_path);
    let Ok(body) = std::str::from_utf8(&request.body) else { return };
    if !body.contains(TOKEN_PLACE) {
        return;
    }
    let kind = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let kind = kind.map_or("", |(_, value)| value.as_str());
    let escaped = match kind {
        kind if kind.contains("json") => json_escaped(token),
        kind if kind.contains("form") => in_path,
        kind if kind.contains("xml") => {
            token.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
        }
        _ => token.to_owned(),
    };
    request.body = body.replace(TOKEN_PLACE, &escaped).into_bytes();
}

fn form_escaped(token: &str) -> String {
    url::form_urlencoded::byte_serialize(token.as_bytes()).collect()
}

fn json_escaped(token: &str) -> String {
    let quoted = serde_json::to_string(token).unwrap_or_default();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_escaped_for_its_place() {
        let token = "a+b\"&<c";
        let mut json = WireRequest::post_json("submit", "/x", &[TOKEN_PLACE])
            .header("authorization", &format!("Bearer {TOKEN_PLACE}"))
            .query("t", TOKEN_PLACE);
        put(&mut json, token);
        assert_eq!(json.headers[1].1, format!("Bearer {token}"));
        assert_eq!(json.query[0].1, token, "the driver escapes the query");
        let body: Vec<String> = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(body, [token]);
        let mut form = WireRequest::get("submit", "/x")
            .header("Content-Type", "application/x-www-form-urlencoded");
        form.body = format!("t={TOKEN_PLACE}").into_bytes();
        put(&mut form, token);
        assert_eq!(form.body, b"t=a%2Bb%22%26%3Cc");
    }
}

//! The landing page: what this server is, the way for each kind of reader, and which environments
//! are simulated.

use crate::parts::{Code, Markup};
use crate::view::View;
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use domain::Environment;

#[derive(Template)]
#[template(path = "docs/landing.html")]
struct Landing<'a> {
    words: Words,
    simulated: &'a str,
    reseller: Markup,
    search: Markup,
    log_in: Markup,
}

/// The current page: since the start, an environment may have got a real upstream.
pub(super) async fn show(view: View) -> Response {
    let words = view.words;
    let [sandbox, live] = Environment::ALL.map(|e| view.site.engine.is_simulated(e));
    let base_url = &view.site.settings.base_url;
    let code = |id: &str, text: &str| Markup::of(&Code::new(words, id, "curl", text));
    let page = Landing {
        words,
        simulated: notice(words, sandbox, live),
        reseller: code(
            "first-balance",
            &format!(
                "curl {base_url}/api/billing/wallet/balance \\\n  \
                 -H 'X-Open-Key: ok_test_YOUR_OPEN_KEY' \\\n  \
                 -H 'X-Authorization: sk_test_YOUR_SECRET_KEY'"
            ),
        ),
        search: code(
            "first-search",
            &format!("curl '{base_url}/api/wallet/v1/public/products/search?query=airtime'"),
        ),
        log_in: code(
            "first-log-in",
            &format!(
                "curl {base_url}/api/wallet/v1/authenticate/customers \\\n  \
                 -H 'Content-Type: application/json' \\\n  \
                 -d '{{\"username\": \"YOUR_EMAIL\", \"password\": \"YOUR_PASSWORD\", \
                 \"fcmToken\": \"\", \"environment\": \"sandbox\"}}'"
            ),
        ),
    };
    view.page(words.t("landing.title"), &page)
}

fn notice(words: Words, sandbox: bool, live: bool) -> &'static str {
    match (sandbox, live) {
        (true, true) => words.t("landing.all-simulated"),
        (false, true) => words.t("landing.live-simulated"),
        (true, false) => words.t("landing.sandbox-simulated"),
        (false, false) => "",
    }
}

//! The landing page: what this server is, its links, and which environments are simulated.
//!
//! Not here: the template's text (`landing.html`). Invariant: every inserted text is escaped.

use domain::Environment;
use engine::Engine;

const TEMPLATE: &str = include_str!("landing.html");

/// The current page: since the start, an environment may have got a real upstream.
pub(super) fn html(engine: &Engine, base_url: &str) -> String {
    let [sandbox, live] = Environment::ALL.map(|e| engine.is_simulated(e));
    render(base_url, notice(sandbox, live))
}

fn render(base_url: &str, notice: &str) -> String {
    TEMPLATE
        .replace("{{base_url}}", &escaped(base_url))
        .replace("{{simulated}}", notice)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
}

const fn notice(sandbox: bool, live: bool) -> &'static str {
    match (sandbox, live) {
        (true, true) => {
            "<p class=\"notice\"><strong>Purchases are simulated.</strong> In the sandbox and in \
             live mode: no phone is charged, and no real money moves.</p>"
        }
        (false, true) => {
            "<p class=\"notice\"><strong>Live purchases are simulated.</strong> No phone is \
             charged, and no real money moves.</p>"
        }
        (true, false) => {
            "<p class=\"notice\"><strong>Sandbox purchases are simulated.</strong> Live purchases \
             are real.</p>"
        }
        (false, false) => "",
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_base_url_and_the_notice() {
        let page = render("https://saldo.example", notice(true, true));
        assert!(page.contains("curl https://saldo.example/api/billing/wallet/balance"));
        assert!(page.contains("curl 'https://saldo.example/api/wallet/v1/public/"));
        assert!(page.contains("Purchases are simulated."));
        assert!(!page.contains("{{"));
        assert!(!render("", notice(false, false)).contains("simulated"));
        assert!(render("\"><script>", "").contains("curl &quot;&gt;&lt;script&gt;/api"));
    }
}

//! `GET /metrics` on an address of its own: what a monitor reads, in Prometheus' text format.
//!
//! Not here: the counting. Invariant: no label has a customer's or a secret's text in it, and there
//! are as many lines as the catalog has operators, at most.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use domain::Kind;
use engine::{Engine, Unrouted};
use http::header::CONTENT_TYPE;
use std::fmt::Write as _;

/// The only path of the metrics' address.
pub(crate) fn router(engine: Engine) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(engine)
}

async fn metrics(State(engine): State<Engine>) -> Response {
    let text = text(&Figures {
        is_store_up: engine.ping().is_ok(),
        is_halted: engine.halt().is_some(),
        unrouted: engine.unrouted(),
    });
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Everything that is told.
struct Figures {
    is_store_up: bool,
    is_halted: bool,
    unrouted: Vec<(Unrouted, u64)>,
}

fn text(figures: &Figures) -> String {
    let mut text = String::new();
    let head = |text: &mut String, name: &str, kind: &str, help: &str| {
        // A String takes everything, here and below.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    };
    let up = "saldo_store_up";
    head(&mut text, up, "gauge", "1 while the store answers and its writer runs.");
    let _ = writeln!(text, "{up} {}", u8::from(figures.is_store_up));
    let halted = "saldo_halted";
    head(&mut text, halted, "gauge", "1 while nothing is sold until `saldo resume`.");
    let _ = writeln!(text, "{halted} {}", u8::from(figures.is_halted));
    let refused = "saldo_no_route_refusals_total";
    let help = "Refused with NO_ROUTE; see `saldo route set`.";
    head(&mut text, refused, "counter", help);
    for (Unrouted { environment, operator, kind }, count) in &figures.unrouted {
        let (environment, kind) = (environment.code(), Kind::code(*kind));
        let operator = label(operator);
        let _ = writeln!(
            text,
            "{refused}{{environment=\"{environment}\",kind=\"{kind}\",operator=\"{operator}\"}} \
             {count}"
        );
    }
    text
}

/// A label's value, as the format wants it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Environment;
    use expect_test::expect;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let unrouted = |environment, operator: &str, kind| Unrouted {
            environment,
            operator: operator.to_owned(),
            kind,
        };
        let figures = Figures {
            is_store_up: true,
            is_halted: false,
            unrouted: vec![
                (unrouted(Environment::Live, "GP", Kind::Recharge), 3),
                (unrouted(Environment::Sandbox, "a\"b\\c\nd", Kind::Bill), 1),
            ],
        };
        expect![[r##"
            # HELP saldo_store_up 1 while the store answers and its writer runs.
            # TYPE saldo_store_up gauge
            saldo_store_up 1
            # HELP saldo_halted 1 while nothing is sold until `saldo resume`.
            # TYPE saldo_halted gauge
            saldo_halted 0
            # HELP saldo_no_route_refusals_total Refused with NO_ROUTE; see `saldo route set`.
            # TYPE saldo_no_route_refusals_total counter
            saldo_no_route_refusals_total{environment="live",kind="recharge",operator="GP"} 3
            saldo_no_route_refusals_total{environment="sandbox",kind="bill",operator="a\"b\\c\nd"} 1
        "##]]
        .assert_eq(&text(&figures));
    }
}

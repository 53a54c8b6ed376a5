//! Panels by file, each played by its own file, over a real socket.

use super::world::{Reply, Server, order, settings};
use connectors::upstream::simulator::SimulatorSettings;
use connectors::upstream::simulator::wire::{ServiceSettings, open_service};
use connectors::upstream::{Secret, UpstreamSettings, open};
use domain::{
    Callback, CallbackAnswer, CallbackRead, Currency, Exchange, Listener, Money, Order, Outcome,
    StatusUpdate, Timestamp, Upstream,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const JSON: &str = include_str!("../../../../../docs/upstreams/panel-json.toml");

/// Keeps what was sent and came back.
#[derive(Default)]
struct Kept(Mutex<Vec<Exchange>>);

impl Listener for Kept {
    fn on_exchange(&self, exchange: Exchange) {
        self.0.lock().unwrap().push(exchange);
    }

    fn on_update(&self, _: StatusUpdate) {}
}

const TEXT: &str = include_str!("../../../../../docs/upstreams/panel-text.toml");

/// The file with one text in place of another, which must be there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn panel(url: &str, file: &str, kept: &Arc<Kept>) -> Arc<dyn Upstream> {
    let mut settings = settings(url);
    for name in ["key", "hook", "user"] {
        settings.secrets.insert(name.to_owned(), Secret::new("panel-key-1"));
    }
    let (file, listener) = (file.to_owned(), kept.clone());
    open("generic", UpstreamSettings { file, listener, ..settings }).unwrap()
}

/// The panel of a file, played by that file.
async fn served(file: &str) -> (Server, Arc<dyn Upstream>, Arc<Kept>) {
    let still = settings("https://unused.example");
    let mut simulator = SimulatorSettings::new(still.clock, still.listener);
    simulator.work_duration = Duration::from_secs(3600);
    let repeat_window = Duration::from_secs(120);
    let file = file.to_owned();
    let service =
        ServiceSettings { simulator, repeat_window, float_units: 100, file: file.clone() };
    let server = Server::simulated(open_service("generic", service).unwrap()).await;
    let kept = Arc::new(Kept::default());
    let upstream = panel(&server.url, &file, &kept);
    (server, upstream, kept)
}

fn taka(number: u32) -> Order {
    Order { amount: Money::new(5_000, Currency::BDT), ..order(number) }
}

async fn submit(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.submit(order).await).code().to_owned()
}

async fn ask(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.enquire(order).await).code().to_owned()
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_read_each_reply_is_kept_with_it() {
    let (_server, upstream, kept) = served(JSON).await;
    assert_eq!(submit(&upstream, &taka(1)).await, "delivered");
    assert_eq!(ask(&upstream, &taka(1)).await, "delivered");
    assert_eq!(ask(&upstream, &taka(2)).await, "not_found");
    // What no rule knows.
    let body = r#"{"status":"MAYBE","txid":"S1042x3"}"#.to_owned();
    let other = Server::start(vec![("POST /recharge", vec![Reply::With(200, body)])]).await;
    let elsewhere = panel(&other.url, JSON, &kept);
    assert_eq!(submit(&elsewhere, &taka(3)).await, "unclear");
    let first_lines: Vec<String> = {
        let kept = kept.0.lock().unwrap();
        kept.iter().map(|one| one.reply.lines().next().unwrap().to_owned()).collect()
    };
    let by = format!("of the file with SHA-256 {}", sha256(JSON));
    let expected = [
        format!("HTTP 200, rule sold {by}"),
        format!("HTTP 200, rule q-sold {by}"),
        format!("HTTP 404, rule q-none {by}"),
        format!("HTTP 200, no rule {by}"),
    ];
    assert_eq!(first_lines, expected);
}

/// Whatever no rule decides: the panel has our reference, or has given one of its own. What it said
/// of the number, the amount or the status is not believed; that it has the order is.
#[tokio::test]
async fn a_panel_that_has_shown_the_order_cannot_say_that_it_never_had_it() {
    let not_found = Reply::With(404, r#"{"code":"NO_SUCH_TXID"}"#.to_owned());
    for (body, theirs) in [
        (r#"{"status":"QUEUED","order_id":9,"txid":"S1042x1"}"#, Some("9")),
        (r#"{"status":"SUCCESS","order_id":9,"txid":"S1042x1","amount":5}"#, Some("9")),
        (r#"{"status":"QUEUED","order_id":9,"txid":"ANOTHER"}"#, None),
        (r#"{"status":"QUEUED","order_id":9}"#, None),
        (r#"{"status":"SUCCESS","order_id":9,"txid":"S1042x1","mob"#, None),
    ] {
        let rules = vec![
            ("POST /recharge", vec![Reply::With(200, body.to_owned())]),
            ("GET /recharge/S1042x1", vec![not_found.clone()]),
        ];
        let server = Server::start(rules).await;
        let upstream = panel(&server.url, JSON, &Arc::default());
        let outcome = Outcome::from(upstream.submit(&taka(1)).await);
        assert_eq!((outcome.code(), outcome.reference()), ("unclear", theirs), "{body}");
        assert_eq!(ask(&upstream, &taka(1)).await, "not_found", "{body}");
        let known = Order { is_acknowledged: true, ..taka(1) };
        assert_eq!(ask(&upstream, &known).await, "unaskable", "{body}");
    }
    // Nothing of it is about an order.
    for body in [r#"{"error":"MAINTENANCE"}"#, "", "<html>/recharge?txid=S1042x1</html>"] {
        let replies = vec![("POST /recharge", vec![Reply::With(200, body.to_owned())])];
        let server = Server::start(replies).await;
        let upstream = panel(&server.url, JSON, &Arc::default());
        assert_eq!(submit(&upstream, &taka(1)).await, "unknown", "{body}");
    }
}

/// Its enquiries go to another host, which is simulated with the rest.
#[tokio::test]
async fn a_panel_with_two_hosts_is_asked_where_it_is_simulated() {
    let (server, upstream, _) = served(TEXT).await;
    assert_eq!(submit(&upstream, &taka(1)).await, "accepted");
    assert_eq!(ask(&upstream, &taka(1)).await, "delivered");
    assert_eq!(server.requests("GET /status").len(), 1);
}

/// What the file says of its calls is a limit before an order is sent.
#[tokio::test]
async fn the_limits_of_a_file_are_places_for_orders() {
    let file = changed(JSON, "max_body = \"64KiB\"", "max_in_flight = 1\nper_minute = 2");
    let (server, upstream, _) = served(&file).await;
    let place = upstream.take_place(taka(1).attempt).unwrap();
    assert_eq!(upstream.has_place().unwrap_err().why, "slots full");
    // An enquiry finds no room, and the order that has the place is sent.
    assert_eq!(ask(&upstream, &taka(2)).await, "unknown");
    assert_eq!(submit(&upstream, &taka(1)).await, "delivered");
    drop(place);
    assert!(upstream.has_place().is_ok());
    drop(upstream.take_place(taka(2).attempt).unwrap());
    assert_eq!(ask(&upstream, &taka(1)).await, "delivered");
    assert_eq!(upstream.has_place().unwrap_err().why, "slots of this minute full");
    assert_eq!(server.requests("/recharge").len(), 2);
}

/// A trial asks about an order that the file can write, whatever our catalog sells.
#[test]
fn a_file_says_which_order_it_could_sell() {
    let upstream = panel("https://panel.example", JSON, &Arc::default());
    let order = upstream.trial_order().unwrap();
    assert_eq!((order.amount, order.operator.as_str()), (taka(1).amount, "AT"));
    assert_eq!(upstream.capabilities().currency, Some(Currency::BDT));
}

/// Some panels want the time in a reference. It is that of the attempt's record, which is stored.
#[tokio::test]
async fn a_time_in_a_reference_is_that_of_the_attempt() {
    let form = "\"{now|%Y%m%d%H%M|Africa/Lagos}{attempt|alnum}\"";
    let file = changed(JSON, "\"{attempt|alnum}\"", form);
    let file = changed(&file, "max      = 20", "max      = 40");
    let file = file.replace("\"txid\":\"S1042x1\"", "\"txid\":\"{reference}\"");
    let (server, upstream, _) = served(&file).await;
    // 2026-01-02 03:04:05 in London, an hour later in Lagos.
    let order = Order { started_at: Timestamp(1_767_323_045_000_000), ..taka(1) };
    assert_eq!(submit(&upstream, &order).await, "delivered");
    let sent = server.requests("POST /recharge").remove(0);
    assert!(sent.contains("\"txid\":\"202601020404S1042x1\""), "{sent}");
    assert_eq!(ask(&upstream, &order).await, "delivered");
    let asked = server.requests("GET /recharge/202601020404S1042x1");
    assert_eq!(asked.len(), 1, "an enquiry writes the same one");
    let body = br#"{"txid":"202601020404S1042x1"}"#;
    let CallbackRead::Genuine { attempt, .. } =
        upstream.read_callback(&Callback::post(Vec::new(), body.to_vec()))
    else {
        panic!("it is ours");
    };
    assert_eq!(attempt, order.attempt);
}

#[test]
fn a_callback_needs_the_secret_path_and_gets_the_answer_of_the_file() {
    let hook = "methods = [\"POST\"]\npath    = \"{secret.hook}\"\n\
                answer  = { status = 200, body = \"OK\" }";
    let file = changed(JSON, "methods = [\"POST\"]", hook);
    let file = changed(&file, "names = [\"key\"]", "names = [\"key\", \"hook\"]");
    let upstream = panel("https://panel.example", &file, &Arc::default());
    let read = |path: &str| {
        let body = br#"{"txid":"S1042x1"}"#.to_vec();
        let path = path.to_owned();
        upstream.read_callback(&Callback { path, ..Callback::post(Vec::new(), body) })
    };
    let CallbackRead::Genuine { attempt, answer, .. } = read("panel-key-1") else {
        panic!("it is the secret");
    };
    assert_eq!(attempt, order(1).attempt);
    assert_eq!(answer, Some(CallbackAnswer { status: 200, body: "OK".to_owned() }));
    for wrong in ["", "panel-key-2", "panel-key-1/x"] {
        assert!(matches!(read(wrong), CallbackRead::Forged { .. }), "{wrong}");
    }
}

#[test]
fn a_file_says_when_staff_look_and_how_often_the_balance_is_asked_for() {
    let file = changed(
        JSON,
        "[schedule]\n",
        "[schedule]\nto_staff = \"3h\"\nrecheck = [\"1d\", \"7d\"]\n",
    );
    let file = changed(&file, "[balance]\n", "[balance]\nmin_interval = \"30m\"\n");
    let file = changed(&file, "grace = \"120s\"", "grace = \"120s\"\ngap = \"90s\"");
    let can = panel("https://panel.example", &file, &Arc::default()).capabilities();
    let minutes = |count: u64| Some(Duration::from_secs(count * 60));
    assert_eq!((can.staff_after, can.balance_gap), (minutes(180), minutes(30)));
    assert_eq!(can.rechecks, [1, 7]);
    assert_eq!(can.not_found_gap, Duration::from_secs(90));
    let usual = panel("https://panel.example", JSON, &Arc::default()).capabilities();
    assert_eq!((usual.staff_after, usual.balance_gap), (None, None));
}

/// A call that buys nothing comes first; what it gives is sent with the sale.
const PREPARE: &str = r#"
[prepare]
method = "POST"
path   = "/quote"
reply  = "json"
take   = { state = "/state", quote = "/quote" }
body   = { json = { mobile = "{recipient}", nonce = "{nonce}" } }

[[prepare.rule]]
name    = "quoted"
http    = [200]
when    = { state = { eq = "OPEN" }, quote = { present = true } }
outcome = "accepted"

[[prepare.rule]]
name    = "closed"
http    = [200]
when    = { state = { eq = "CLOSED" } }
outcome = "refused"
reason  = "the panel is closed"

[[case]]
step  = "prepare"
reply = { status = 200, body = '{"state":"OPEN","quote":"Q-77"}' }
want  = "accepted"
rule  = "quoted"

[[case]]
step  = "prepare"
reply = { status = 200, body = '{"state":"CLOSED"}' }
want  = "refused"
rule  = "closed"
"#;

#[tokio::test]
async fn a_preparation_comes_before_the_sale_and_its_failure_is_a_refusal() {
    let sale = "[submit.body.json]\nquote = \"{prepare.quote}\"\n";
    let file = changed(JSON, "[submit.body.json]\n", sale) + PREPARE;
    let (server, upstream, kept) = served(&file).await;
    assert_eq!(submit(&upstream, &taka(1)).await, "delivered");
    assert!(server.requests("POST /recharge")[0].contains("\"quote\":\"Q-77\""));
    let first = kept.0.lock().unwrap()[0].clone();
    assert_eq!((first.step.as_str(), first.reply.contains("rule quoted")), ("prepare", true));
    for (status, body) in [(200, r#"{"state":"CLOSED"}"#), (500, "oops")] {
        let server = Server::start(vec![("POST /quote", vec![Reply::With(status, body.into())])]);
        let server = server.await;
        let upstream = panel(&server.url, &file, &Arc::default());
        assert_eq!(submit(&upstream, &taka(2)).await, "refused", "{body}: nothing was bought");
    }
}

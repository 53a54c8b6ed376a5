//! What an upstream that takes connections and never answers costs the sales at another one.
//!
//! A measurement, not a test: `make rig-dead` prints the figures. What causes them is tested in
//! `crates/engine/tests/it/upstreams/`.

use super::sales::{add, open_account, text};
use super::tap::Tap;
use crate::support::{Client, Folder, Keys, RECHARGE, Running, Simulated, note};
use http::Method;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(8);
/// Buyers whose only upstream is well.
const AT_ONE: usize = 8;
/// Buyers whose first upstream dies: enough to open its breaker at once.
const AT_BOTH: usize = 24;
/// Each of these buys once in so long, however quick it is served: else the quicker ones would take
/// more of the machine.
const PERIOD: Duration = Duration::from_secs(3);

/// The upstreams.
const CODES: [&str; 2] = ["well", "ailing"];

struct Sales {
    address: String,
    keys: Keys,
    number: AtomicUsize,
    at_one: AtomicUsize,
    /// Of those that may go to both: when they were asked for, and how long that took.
    at_both: Mutex<Vec<(Instant, Duration)>>,
    is_over: AtomicBool,
}

impl Sales {
    async fn buy(&self, operator: &str, prefix: &str, period: Option<Duration>) {
        let mut client = Client::open(&self.address, &self.keys).await;
        while !self.is_over.load(Ordering::Relaxed) {
            let n = self.number.fetch_add(1, Ordering::Relaxed);
            let body = json!({
                "number": format!("{prefix}{:05}678", n % 100_000),
                "amount": 10,
                "operator": operator,
                "reference": format!("D-{n}"),
            });
            let asked = Instant::now();
            let reply = client.try_send(Method::POST, RECHARGE, body.to_string()).await.unwrap();
            assert!(matches!(reply.status(), 200 | 503), "{reply:?}");
            match period {
                None => _ = self.at_one.fetch_add(1, Ordering::Relaxed),
                Some(period) => {
                    self.at_both.lock().unwrap().push((asked, asked.elapsed()));
                    sleep_until(asked + period).await;
                }
            }
        }
    }

    /// Sales a second at the one that is well.
    async fn measured(&self) -> usize {
        let before = self.at_one.load(Ordering::Relaxed);
        sleep(MEASURED).await;
        (self.at_one.load(Ordering::Relaxed) - before)
            / usize::try_from(MEASURED.as_secs()).unwrap()
    }

    /// How long the sales took that were asked for in this time, shortest first.
    fn durations(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let all = self.at_both.lock().unwrap();
        let within = all.iter().filter(|(asked, _)| *asked >= from && *asked < to);
        let mut durations: Vec<_> = within.map(|(_, took)| *took).collect();
        durations.sort_unstable();
        durations
    }
}

fn median(figures: &mut [usize]) -> usize {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// Percent of the sales that took at most so long.
fn percentile(durations: &[Duration], percent: usize) -> Duration {
    durations.get(durations.len() * percent / 100).copied().unwrap_or_default()
}

fn state(folder: &Folder) -> String {
    let shown = folder.saldo_json(&["upstream", "show", "ailing", "--json"]).remove(0);
    shown["state"].as_str().unwrap().to_owned()
}

/// Waits until the upstream that ailed is in this state.
async fn becomes(folder: &Folder, wanted: &str) -> Duration {
    let began = Instant::now();
    while state(folder) != wanted {
        assert!(began.elapsed() < Duration::from_secs(120), "it is not {wanted}");
        sleep(Duration::from_millis(200)).await;
    }
    began.elapsed()
}

/// A seller with two upstreams, and the way to each.
async fn set_up(folder: &Folder) -> (Running, Vec<Tap>, [Simulated; 2]) {
    let panel = Path::new(env!("CARGO_MANIFEST_DIR"));
    let panel = panel.join("../../docs/upstreams/panel-json.toml");
    fs::write(folder.path("secret"), "a-secret\n").unwrap();
    let key = format!("key=@{}", text(&folder.path("secret")));
    let server = folder.serve_with(&["--connectors-to-loopback"]);
    let simulated =
        CODES.map(|_| Simulated::start(&["generic", "--file", text(&panel), "--delay", "20"]));
    let mut taps = Vec::new();
    for (code, simulated) in CODES.into_iter().zip(&simulated) {
        fs::copy(&panel, folder.path(&format!("{code}.toml"))).unwrap();
        let tap = Tap::to(&simulated.address).await;
        let url = format!("http://{}/v1", tap.address);
        add(folder, code, "generic", &url, &["--secret", &key]);
        taps.push(tap);
    }
    for (operator, upstreams) in [("gp", "well"), ("banglalink", "ailing,well")] {
        let route = ["route", "set", "--environment", "live", "--operator", operator];
        folder.saldo_ok(&[&route[..], &["--upstreams", upstreams]].concat());
    }
    (server, taps, simulated)
}

fn start_buyers(sales: &Arc<Sales>) -> JoinSet<()> {
    let mut buyers = JoinSet::new();
    for buyer in 0..AT_ONE + AT_BOTH {
        let sales = sales.clone();
        buyers.spawn(async move {
            match buyer < AT_ONE {
                true => sales.buy("gp", "017", None).await,
                false => sales.buy("banglalink", "019", Some(PERIOD)).await,
            }
        });
    }
    buyers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for some minutes: make rig-dead"]
async fn a_dead_upstream_and_the_sales_at_another() {
    let folder = Folder::new();
    let (server, taps, _simulated) = set_up(&folder).await;
    let sales = Arc::new(Sales {
        address: server.address(),
        keys: open_account(&folder),
        number: AtomicUsize::new(0),
        at_one: AtomicUsize::new(0),
        at_both: Mutex::default(),
        is_over: AtomicBool::new(false),
    });
    let buyers = start_buyers(&sales);
    let ailing = &taps[1];
    let (mut well, mut hanging, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        well.push(sales.measured().await);
        let before = sales.durations(began, Instant::now());
        ailing.silence(true);
        hanging.push(sales.measured().await);
        becomes(&folder, "breaker open").await;
        sleep(PERIOD).await;
        let (began, held) = (Instant::now(), ailing.held());
        open.push(sales.measured().await);
        let after = sales.durations(began, Instant::now());
        note(&format!(
            "round {round}: {} in {MEASURED:?}, {} while it hangs, {} while its breaker is open; \
             of those that may go to both, half took {:?} and 99 in 100 {:?} before, {:?} and \
             {:?} then; {} calls tried it",
            well[round],
            hanging[round],
            open[round],
            percentile(&before, 50),
            percentile(&before, 99),
            percentile(&after, 50),
            percentile(&after, 99),
            ailing.held() - held,
        ));
        ailing.silence(false);
        let took = becomes(&folder, "ready").await;
        note(&format!("its breaker closed {took:?} after it was back"));
    }
    sales.is_over.store(true, Ordering::Relaxed);
    buyers.join_all().await;
    let (well, hanging, open) = (median(&mut well), median(&mut hanging), median(&mut open));
    note(&format!(
        "medians: {well} in {MEASURED:?} while both are well; {hanging} ({} %) while one hangs; \
         {open} ({} %) while its breaker is open",
        100 * hanging / well,
        100 * open / well,
    ));
    server.stop();
    folder.verify();
}

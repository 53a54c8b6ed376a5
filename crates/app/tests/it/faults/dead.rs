//! What an upstream that takes connections and never answers costs the sales at another one.
//!
//! A measurement, not a test: `make rig-dead` prints the figures. What causes them is tested in
//! `crates/engine/tests/it/upstreams/`.

use super::sales::{add, open_account, text};
use super::tap::Tap;
use crate::support::{Client, Folder, Keys, RECHARGE, Simulated, note};
use http::Method;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(8);
/// Buyers whose only upstream is well.
const AT_ONE: usize = 8;
/// Buyers whose first upstream dies: enough to open its breaker at once.
const AT_BOTH: usize = 24;
/// Between two sales of one of these, so that they leave the machine to the others.
const PAUSE: Duration = Duration::from_millis(200);

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
    async fn buy(&self, operator: &str, prefix: &str, pause: Option<Duration>) {
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
            match pause {
                None => _ = self.at_one.fetch_add(1, Ordering::Relaxed),
                Some(pause) => {
                    self.at_both.lock().unwrap().push((asked, asked.elapsed()));
                    sleep(pause).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for some minutes: make rig-dead"]
async fn a_dead_upstream_and_the_sales_at_another() {
    let folder = Folder::new();
    let panel = Path::new(env!("CARGO_MANIFEST_DIR"));
    let panel = panel.join("../../docs/upstreams/panel-json.toml");
    fs::write(folder.path("secret"), "a-secret\n").unwrap();
    let key = format!("key=@{}", text(&folder.path("secret")));
    let server = folder.serve_with(&["--connectors-to-loopback"]);
    let simulated = ["well", "ailing"]
        .map(|_| Simulated::start(&["generic", "--file", text(&panel), "--delay", "20"]));
    let mut taps = Vec::new();
    for (code, simulated) in ["well", "ailing"].into_iter().zip(&simulated) {
        fs::copy(&panel, folder.path(&format!("{code}.toml"))).unwrap();
        let tap = Tap::to(&simulated.address).await;
        add(&folder, code, "generic", &format!("http://{}/v1", tap.address), &["--secret", &key]);
        taps.push(tap);
    }
    for (operator, upstreams) in [("gp", "well"), ("banglalink", "ailing,well")] {
        let route = ["route", "set", "--environment", "live", "--operator", operator];
        folder.saldo_ok(&[&route[..], &["--upstreams", upstreams]].concat());
    }
    let sales = Arc::new(Sales {
        address: server.address(),
        keys: open_account(&folder),
        number: AtomicUsize::new(0),
        at_one: AtomicUsize::new(0),
        at_both: Mutex::default(),
        is_over: AtomicBool::new(false),
    });
    let mut buyers = tokio::task::JoinSet::new();
    for buyer in 0..AT_ONE + AT_BOTH {
        let sales = sales.clone();
        buyers.spawn(async move {
            match buyer < AT_ONE {
                true => sales.buy("gp", "017", None).await,
                false => sales.buy("banglalink", "019", Some(PAUSE)).await,
            }
        });
    }
    let ailing = &taps[1];
    let (mut well, mut hanging, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        well.push(sales.measured().await);
        let before = sales.durations(began, Instant::now());
        ailing.silence(true);
        hanging.push(sales.measured().await);
        let died = Instant::now();
        while state(&folder) != "breaker open" {
            assert!(died.elapsed() < Duration::from_secs(90), "the breaker stays closed");
            sleep(Duration::from_millis(200)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let (began, held) = (Instant::now(), ailing.held());
        open.push(sales.measured().await);
        let after = sales.durations(began, Instant::now());
        note(&format!(
            "round {round}: {} a second, {} while it hangs, {} while its breaker is open; of those \
             that may go to both, half took {:?} and 99 in 100 {:?} before, {:?} and {:?} then; {} \
             calls tried it",
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
        let back = Instant::now();
        while state(&folder) != "ready" {
            assert!(back.elapsed() < Duration::from_secs(120), "the breaker stays open");
            sleep(Duration::from_millis(200)).await;
        }
        note(&format!("its breaker closed {:?} after it was back", back.elapsed()));
    }
    sales.is_over.store(true, Ordering::Relaxed);
    buyers.join_all().await;
    let (well, hanging, open) = (median(&mut well), median(&mut hanging), median(&mut open));
    note(&format!(
        "medians: {well} a second while both are well; {hanging} ({} %) while one hangs; {open} \
         ({} %) while its breaker is open",
        100 * hanging / well,
        100 * open / well,
    ));
    server.stop();
    folder.verify();
}

//! Sales at two upstreams that lose one in five answers, by a seller that is killed meanwhile.
//!
//! `saldo serve`, `saldo simulate reloadly` and `saldo simulate generic` are processes of their
//! own. The oracle is what they wrote down of whom they credited, and what left on the wire. All
//! waits for an upstream are divided by one number. `make rig-sales` sells ten times as much.

use super::tap::Tap;
use crate::http_client::Lost;
use crate::postgres;
use crate::support::{Client, Folder, Keys, RECHARGE, Rng, Running, Simulated, minor, note};
use connectors::upstream::simulator::{Record, Script, read_truth};
use http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const SALES: usize = 2_000;
/// In the second run of the tests: each start takes longer there.
const SALES_ON_POSTGRESQL: usize = 400;
const KILLS: usize = 10;
const CLIENTS: usize = 16;
/// Every wait for an upstream is divided by this.
const TIME_DIVISOR: u32 = 20;
/// Of a hundred requests so many are lost, and of the replies to the others again.
const LOST_PERCENT: &str = "10";
/// A machine that does other things too.
const SLACK: Duration = Duration::from_secs(10);
/// What was lost is found within this after the upstream answers again.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// The longer grace, the time between two answers "not found", and as long for the two enquiries as
/// there is between them at most.
const NOT_FOUND_WITHIN: Duration = Duration::from_secs(180 + 60 + 2 * 20);
/// On PostgreSQL, a call of a process that was killed may be in flight for so long, as far as the
/// next one knows; this is not divided.
const FOREIGN_CALL: Duration = Duration::from_secs(25);
/// What each float has at the start, in whole taka.
const FLOAT: i64 = 1_000_000;
/// Last digits of numbers with a course of their own; the others are delivered. Once in forty each.
const ENDINGS: [&str; 7] = ["101", "102", "103", "104", "106", "107", "109"];
const UPSTREAMS: [&str; 2] = ["reloadly", "panel"];
/// So many people settle at once what was refused.
const STAFF: usize = 4;
const LIST: [&str; 5] = ["purchase", "list", "--limit", "9999999", "--json"];
/// Whatever is neither delivered nor failed; nothing here is quoted, rejected or refunded.
const OPEN_STATES: [&str; 4] = ["held", "sent", "in_doubt", "with_staff"];

/// A business that was set up by commands, and its two upstreams.
struct Shop {
    folder: Folder,
    keys: Keys,
    taps: [Tap; 2],
    /// None while they start anew.
    simulated: Option<[Simulated; 2]>,
    seed: String,
}

impl Shop {
    async fn open(rng: &mut Rng) -> (Shop, Running) {
        let folder = Folder::new();
        let config =
            format!("connectors_to_loopback = true\nupstream_time_divisor = {TIME_DIVISOR}\n");
        fs::write(folder.path("rig.toml"), config).unwrap();
        fs::write(folder.path("reloadly.toml"), "currency = \"BDT\"\n").unwrap();
        let panel = Path::new(env!("CARGO_MANIFEST_DIR"));
        let panel = panel.join("../../docs/upstreams/panel-json.toml");
        fs::copy(panel, folder.path("panel.toml")).unwrap();
        fs::write(folder.path("secret"), "a-secret\n").unwrap();
        let seed = (rng.next() % 1_000_000).to_string();
        let simulated = simulate(&folder, &seed, LOST_PERCENT);
        let taps = [Tap::to(&simulated[0].address).await, Tap::to(&simulated[1].address).await];
        let server = serve(&folder);
        let keys = open_account(&folder);
        let secret = |name: &str| format!("{name}=@{}", text(&folder.path("secret")));
        let (id, other, key) = (secret("client_id"), secret("client_secret"), secret("key"));
        let urls =
            [format!("http://{}", taps[0].address), format!("http://{}/v1", taps[1].address)];
        add(&folder, "reloadly", "reloadly", &urls[0], &["--secret", &id, "--secret", &other]);
        add(&folder, "panel", "generic", &urls[1], &["--secret", &key]);
        folder.saldo_ok(&["upstream", "map", "reloadly", "GP=632", "BL=634"]);
        for (operator, upstreams) in [("gp", "reloadly,panel"), ("banglalink", "panel,reloadly")] {
            let route = ["route", "set", "--environment", "live", "--operator", operator];
            folder.saldo_ok(&[&route[..], &["--upstreams", upstreams]].concat());
        }
        for code in UPSTREAMS {
            let amount = FLOAT.to_string();
            let fund = ["upstream", "fund", code, "--amount", &amount, "--reference", code];
            folder.saldo_ok(&[&fund[..], &["--by", "Rahima"]].concat());
        }
        (Shop { folder, keys, taps, simulated: Some(simulated), seed }, server)
    }

    /// As staff: the panel's first refusals are shown to them, and they look into its own list.
    /// What it has not refused stays open: it may still be delivered.
    fn confirm_refusals(&self, open: &[Value]) {
        let mut listed: HashMap<i64, Vec<Record>> = HashMap::new();
        for record in self.truth(1) {
            listed.entry(record.attempt.purchase.0).or_default().push(record);
        }
        let is_refused = |purchase: &i64| {
            let mut records = listed.get(purchase).into_iter().flatten();
            records.all(|r| matches!(r.script, Script::RefuseNumber | Script::WorkThenRefuse))
        };
        let at_panel = |p: &&Value| p["state"] == "with_staff" && p["upstream"] == "panel";
        let refused = open.iter().filter(at_panel).map(|p| p["id"].as_i64().unwrap());
        let refused: Vec<i64> = refused.filter(is_refused).collect();
        // Each command is a process of its own: several people at once.
        std::thread::scope(|scope| {
            for some in refused.chunks(refused.len().div_ceil(STAFF).max(1)) {
                scope.spawn(|| some.iter().for_each(|purchase| self.settle_refused(*purchase)));
            }
        });
    }

    fn settle_refused(&self, purchase: i64) {
        let id = purchase.to_string();
        let settle = ["purchase", "settle", &id, "--not-delivered", "--by", "Mina"];
        let evidence = ["--evidence", "not on the panel's list"];
        if !self.folder.saldo(&[&settle[..], &evidence].concat()).status.success() {
            // An enquiry was faster: it went to the next upstream, or has ended.
            let now = self.folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0);
            assert_ne!(now["state"], "with_staff", "staff cannot settle {now}");
        }
    }

    /// The upstreams lose nothing from now on.
    fn heal(&mut self) {
        // The former ones end first: what they took after the new ones have read their file would
        // be unknown to these.
        self.simulated = None;
        let simulated = simulate(&self.folder, &self.seed, "0");
        for (tap, simulated) in self.taps.iter().zip(&simulated) {
            tap.leads_to(&simulated.address);
        }
        self.simulated = Some(simulated);
    }

    fn truth(&self, upstream: usize) -> Vec<Record> {
        let file = self.folder.path(&format!("{}.truth", UPSTREAMS[upstream]));
        if file.exists() { read_truth(&file).unwrap() } else { Vec::new() }
    }

    fn purchases(&self) -> Vec<Value> {
        self.folder.saldo_json(&LIST)
    }

    fn open_purchases(&self) -> Vec<Value> {
        let states = OPEN_STATES.map(|state| ["--state", state]);
        self.folder.saldo_json(&[&LIST[..], states.as_flattened()].concat())
    }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn simulate(folder: &Folder, seed: &str, lost_percent: &str) -> [Simulated; 2] {
    [("reloadly", "reloadly"), ("generic", "panel")].map(|(kind, code)| {
        let file = folder.path(&format!("{code}.toml"));
        let truth = folder.path(&format!("{code}.truth"));
        let float = FLOAT.to_string();
        let lost = ["--lose-requests", lost_percent, "--lose-replies", lost_percent];
        let own = [kind, "--file", text(&file), "--truth", text(&truth), "--seed", seed];
        Simulated::start(&[&own[..], &lost, &["--float", &float]].concat())
    })
}

fn serve(folder: &Folder) -> Running {
    folder.serve_with(&["--config", text(&folder.path("rig.toml"))])
}

pub(super) fn open_account(folder: &Folder) -> Keys {
    let plan = ["--plan", "enterprise", "--per-minute", "100000000"];
    let opened = folder.saldo_ok(&[&["account", "open", "--name", "Shop"], &plan[..]].concat());
    let account = String::from_utf8(opened.stdout).unwrap().trim().to_owned();
    let of = ["--account", &account, "--environment", "live"];
    let keys = folder.saldo_json(&[&["key", "make"], &of[..]].concat()).remove(0);
    let paid = ["--amount", "99999999", "--reference", "IN-1", "--by", "Rahima"];
    folder.saldo_ok(&[&["wallet", "deposit"], &of[..], &paid].concat());
    serde_json::from_value(keys).unwrap()
}

pub(super) fn add(folder: &Folder, code: &str, kind: &str, url: &str, secrets: &[&str]) {
    let file = folder.path(&format!("{code}.toml"));
    let add = ["upstream", "add", "--code", code, "--kind", kind, "--environment", "live"];
    let settings = ["--url", url, "--file", text(&file), "--by", "Rahima"];
    folder.saldo_ok(&[&add[..], &settings, secrets].concat());
}

/// What the buyers share.
struct Market {
    address: RwLock<String>,
    /// More than before a restart: the address is a new one.
    lives: AtomicUsize,
    sold: AtomicUsize,
    is_killed: AtomicBool,
    /// How often both upstreams were passed over.
    unavailable: AtomicUsize,
}

/// The last status that was answered, by reference.
type Statuses = HashMap<String, String>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_on_the_way_is_neither_refunded_without_evidence_nor_sold_twice() {
    let mut rng = Rng::new("sales");
    let usual = if postgres::is_chosen() { SALES_ON_POSTGRESQL } else { SALES };
    let sales = std::env::var("SALDO_TEST_SALES").map_or(usual, |text| text.parse().unwrap());
    let (mut shop, mut server) = Shop::open(&mut rng).await;
    let began = Instant::now();
    let market = Arc::new(Market {
        address: RwLock::new(server.address()),
        lives: AtomicUsize::new(0),
        sold: AtomicUsize::new(0),
        is_killed: AtomicBool::new(false),
        unavailable: AtomicUsize::new(0),
    });
    let mut buyers = JoinSet::new();
    for buyer in 0..CLIENTS {
        let (market, keys, rng) = (market.clone(), shop.keys.clone(), rng.fork());
        buyers.spawn(async move { market.buy(&keys, buyer, sales, rng).await });
    }
    for kill in 1..=KILLS {
        while market.sold.load(Ordering::SeqCst) < kill * sales / (KILLS + 1) {
            sleep(Duration::from_millis(5)).await;
        }
        market.is_killed.store(true, Ordering::SeqCst);
        server.kill();
        server = serve(&shop.folder);
        *market.address.write().unwrap() = server.address();
        market.lives.fetch_add(1, Ordering::SeqCst);
        market.is_killed.store(false, Ordering::SeqCst);
    }
    let statuses: Statuses = buyers.join_all().await.into_iter().flatten().collect();
    let open = shop.open_purchases().len();
    let unavailable = market.unavailable.load(Ordering::Relaxed);
    let took = began.elapsed();
    note(&format!("{sales} sold after {took:?}, {unavailable} times not; {open} are open"));

    // Nothing is answered for a while; then everything is.
    shop.taps.iter().for_each(|tap| tap.silence(true));
    shop.heal();
    sleep(Duration::from_secs(2)).await;
    shop.taps.iter().for_each(|tap| tap.silence(false));
    resolved(&shop, Instant::now(), &server).await;
    let floats = UPSTREAMS
        .map(|code| shop.folder.saldo_json(&["upstream", "balance", code, "--json"]).remove(0));
    let purchases = shop.purchases();
    server.stop();
    shop.folder.verify();
    compare(&shop, &purchases, &statuses, sales);
    for (upstream, float) in floats.iter().enumerate() {
        let credited = shop.truth(upstream).into_iter().filter(|record| record.credited);
        let charged: i64 = credited.map(|record| record.amount.minor()).sum();
        let left = FLOAT * 100 - charged;
        assert_eq!((minor(&float["ours"]), minor(&float["theirs"])), (left, left), "{float}");
        assert_eq!(float["difference"], json!("0.00"), "{float}");
    }
    note(&format!("all of it took {:?}", began.elapsed()));
}

impl Market {
    /// Sends every reference of this buyer until it is answered.
    async fn buy(&self, keys: &Keys, buyer: usize, sales: usize, mut rng: Rng) -> Statuses {
        let mut statuses = Statuses::new();
        let mut client = None;
        for n in (buyer..sales).step_by(CLIENTS) {
            let reference = format!("S-{n}");
            let ending = if rng.below(40) < ENDINGS.len() { rng.pick(&ENDINGS) } else { "678" };
            let (operator, prefix) = [("gp", "017"), ("banglalink", "019")][rng.below(2)];
            let body = json!({
                "number": format!("{prefix}{n:05}{ending}"),
                "amount": 10 + rng.below(40),
                "operator": operator,
                "reference": reference,
            });
            loop {
                let life = self.lives.load(Ordering::SeqCst);
                if let Some(status) = self.try_to_buy(&mut client, keys, &body.to_string()).await {
                    if let Some(status) = status {
                        statuses.insert(reference, status);
                    }
                    break;
                }
                let is_lost = client.is_none();
                while is_lost
                    && self.lives.load(Ordering::SeqCst) == life
                    && self.is_killed.load(Ordering::SeqCst)
                {
                    sleep(Duration::from_millis(10)).await;
                }
                sleep(Duration::from_millis(20)).await;
            }
            self.sold.fetch_add(1, Ordering::SeqCst);
        }
        statuses
    }

    /// The status that is answered; none in it: it was bought before, and that answer was lost.
    /// `None`: it is to be sent again.
    async fn try_to_buy(
        &self,
        kept: &mut Option<Client>,
        keys: &Keys,
        body: &str,
    ) -> Option<Option<String>> {
        if kept.is_none() {
            let address = self.address.read().unwrap().clone();
            *kept = Client::try_open(&address, keys).await.ok();
        }
        let client = kept.as_mut()?;
        let sent = client.try_send(Method::POST, RECHARGE, body.to_owned());
        let reply = match timeout(Duration::from_secs(60), sent).await.unwrap() {
            Ok(reply) => reply,
            Err(Lost::Unanswered(_) | Lost::CutOff(_) | Lost::NotConnected(_)) => {
                *kept = None;
                return None;
            }
        };
        let answer = reply.json();
        match reply.status() {
            200 => Some(Some(answer["billing"]["status"].as_str().unwrap().to_owned())),
            422 if answer["code"] == "DUPLICATE_REFERENCE" => Some(None),
            503 => {
                self.unavailable.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(200)).await;
                None
            }
            other => panic!("{other}: {reply:?}: {body}"),
        }
    }
}

/// Waits until every purchase is final. What an upstream has is known soon after it answers again;
/// what it never got, within its grace and two enquiries.
async fn resolved(shop: &Shop, back: Instant, server: &Running) {
    let foreign = if postgres::is_chosen() { FOREIGN_CALL } else { Duration::ZERO };
    // What was delivered by then; second attempts follow.
    let known: HashSet<i64> = (0..UPSTREAMS.len())
        .flat_map(|upstream| shop.truth(upstream))
        .filter(|record| record.credited)
        .map(|record| record.attempt.purchase.0)
        .collect();
    let mut is_found = false;
    // The time of our own staff is not the program's.
    let mut with_staff = Duration::ZERO;
    loop {
        let passed = back.elapsed() - with_staff;
        let open = shop.open_purchases();
        let is_known = |purchase: &&Value| known.contains(&purchase["id"].as_i64().unwrap());
        let found = open.iter().filter(is_known).count();
        if found == 0 && !is_found {
            is_found = true;
            note(&format!("what was delivered is found {passed:?} after they answer again"));
        }
        if open.is_empty() {
            let staff = format!("not counting {with_staff:?} of staff");
            note(&format!("nothing is open {passed:?} after they answer again, {staff}"));
            return;
        }
        let late = || {
            let one = open.iter().find(is_known).unwrap_or(&open[0])["id"].to_string();
            let shown = shop.folder.saldo_ok(&["purchase", "show", &one, "--json"]).stdout;
            let shown = String::from_utf8(shown).unwrap();
            format!("{} open after {passed:?}: {shown}: {}", open.len(), server.log())
        };
        assert!(
            found == 0 || passed < FOUND_WITHIN / TIME_DIVISOR + SLACK,
            "{found} of {}",
            late()
        );
        // Twice: what one upstream never got may go to the other.
        let never_got = (NOT_FOUND_WITHIN / TIME_DIVISOR + foreign) * 2 + SLACK;
        assert!(passed < never_got, "{}", late());
        let staff_began = Instant::now();
        shop.confirm_refusals(&open);
        with_staff += staff_began.elapsed();
        sleep(Duration::from_secs(1)).await;
    }
}

/// The books, the answers and the upstreams' own records agree.
fn compare(shop: &Shop, purchases: &[Value], statuses: &Statuses, sales: usize) {
    let mut credited: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (upstream, code) in UPSTREAMS.iter().enumerate() {
        for record in shop.truth(upstream) {
            assert_eq!(record.repeats, 0, "{} was taken twice by {code}", record.attempt);
            if record.credited {
                credited.entry(record.attempt.purchase.0).or_default().push(*code);
            }
        }
        let submits = shop.taps[upstream].submits();
        let twice = submits.iter().find(|(_, times)| **times > 1);
        assert_eq!(twice, None, "submitted twice to {code}");
        note(&format!("{} orders went to {code}", submits.len()));
    }
    let mut states: HashMap<&str, &str> = HashMap::new();
    for purchase in purchases {
        let (id, state) = (purchase["id"].as_i64().unwrap(), purchase["state"].as_str().unwrap());
        let by = credited.remove(&id).unwrap_or_default();
        assert!(["delivered", "failed"].contains(&state), "{purchase}");
        let due = usize::from(state == "delivered");
        assert_eq!(by.len(), due, "credited by {by:?}: {purchase}");
        let before = states.insert(purchase["reference"].as_str().unwrap(), state);
        assert!(before.is_none(), "charged twice: {purchase}");
    }
    assert_eq!(states.len(), sales);
    assert!(credited.is_empty(), "credited, and not in the books: {credited:?}");
    let delivered = states.values().filter(|state| **state == "delivered").count();
    note(&format!("{delivered} of {sales} were delivered, {} acknowledged", statuses.len()));
    assert!(delivered > sales / 2, "{delivered}");
    for (reference, status) in statuses {
        let state = states[reference.as_str()];
        match status.as_str() {
            "success" => assert_eq!(state, "delivered", "{reference} was {status}"),
            "failed" => assert_eq!(state, "failed", "{reference} was {status}"),
            "processing" => {}
            other => panic!("{reference} was answered with {other}"),
        }
    }
}

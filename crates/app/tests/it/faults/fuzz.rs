//! Ten thousand generated bodies: no 5xx, no lost connection, the documented error body, and money
//! moves only for a purchase that was answered with 200.

use crate::support::{
    BANKING, Client, Folder, Keys, OFFER, RECHARGE, Reply, Rng, STATUS, Server, UNLIMITED, minor,
    note,
};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

const BODIES: usize = 10_000;
const CLIENTS: usize = 16;
const START: i64 = 500_000_000;

/// Routes that take a body, and routes that ignore one.
const ROUTES: [(Method, &str); 10] = [
    (Method::POST, RECHARGE),
    (Method::POST, OFFER),
    (Method::POST, BANKING),
    (Method::POST, STATUS),
    (Method::GET, STATUS),
    (Method::GET, "/api/billing/recharge/offers"),
    (Method::GET, "/api/billing/operators"),
    (Method::GET, "/api/billing/wallet/balance"),
    (Method::GET, "/api/billing/balance"),
    (Method::POST, "/api/billing/nowhere"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_generated_bodies_are_answered_as_documented() {
    let mut rng = Rng::new("fuzz");
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED, ["--balance", "5000000"]].concat());
    let mut tasks = JoinSet::new();
    for task in 0..CLIENTS {
        let fuzzer = Fuzzer {
            address: server.address.clone(),
            keys: server.credentials.merchant.sandbox.clone(),
            client: server.sandbox().await,
            rng: rng.fork(),
            task,
            bought: Vec::new(),
        };
        tasks.spawn(fuzzer.run(BODIES / CLIENTS));
    }
    let bought: Vec<Value> = tasks.join_all().await.into_iter().flatten().collect();
    note(&format!("{BODIES} bodies, of which {} bought something", bought.len()));
    assert!(bought.len() > BODIES / 100, "some mutations stay valid");
    let balance = expected_balance(&folder, &server, &bought).await;
    assert_eq!(server.sandbox().await.balance().await, balance);
    server.stop();
    folder.verify();
}

/// What the wallet holds if only the purchases that were answered with 200 moved money.
async fn expected_balance(folder: &Folder, server: &Server, bought: &[Value]) -> i64 {
    let mut client = server.sandbox().await;
    let list = ["purchase", "list", "--state", "awaiting", "--limit", "10000", "--json"];
    let awaiting = block_in_place(|| folder.saldo_json(&list));
    let mut balance = START;
    for billing in bought {
        let id = &billing["transactionId"];
        let started = Instant::now();
        let data = loop {
            let reply = client.get(&format!("{STATUS}?transaction_id={id}")).await;
            assert_eq!(reply.status(), 200, "{billing}: {reply:?}");
            let data = reply.json()["data"].take();
            // One that staff do not decide is pending for a moment: until it goes to its next
            // upstream.
            let is_pending = data["status"] == "pending";
            let is_open = match is_pending {
                true => awaiting.iter().all(|purchase| purchase["id"] != *id),
                false => data["status"] == "processing",
            };
            if !is_open {
                break data;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{data}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if data["status"] == "success" || data["status"] == "pending" {
            balance -= minor(&data["amount"]) + minor(&data["fee"]);
        }
    }
    balance
}

struct Fuzzer {
    address: String,
    keys: Keys,
    client: Client,
    rng: Rng,
    task: usize,
    bought: Vec<Value>,
}

impl Fuzzer {
    async fn run(mut self, many: usize) -> Vec<Value> {
        for n in 0..many {
            let (method, route) = ROUTES[self.rng.below(ROUTES.len())].clone();
            let body = self.body(n);
            let mut target = route.to_owned();
            if method == Method::GET && self.rng.below(2) == 0 {
                target = format!("{route}?{}", self.query());
            }
            let shown = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
            let reply = self
                .client
                .send(method.clone(), &target, body)
                .await
                .unwrap_or_else(|lost| panic!("{method} {target}: {lost}: {shown}"));
            self.check(&method, route, &reply, &shown);
            if reply.header("connection") == Some("close") {
                self.client = Client::open(&self.address, &self.keys).await;
            }
        }
        self.bought
    }

    fn check(&mut self, method: &Method, route: &str, reply: &Reply, shown: &str) {
        let is_purchase = [RECHARGE, OFFER, BANKING].contains(&route);
        match reply.status() {
            200 if is_purchase => self.bought.push(reply.json()["billing"].take()),
            200 => drop(reply.json()),
            400 | 402 | 404 | 409 | 422 => reply.assert_error_body(),
            // From the edge: the body or the target is too long.
            413 | 414 => reply.assert_error_body(),
            other => panic!("{other} on {method} {route} for {shown}: {reply:?}"),
        }
    }

    fn body(&mut self, n: usize) -> Vec<u8> {
        match self.rng.below(10) {
            0 => (0..self.rng.below(400)).map(|_| self.byte()).collect(),
            1 => self.value(0).to_string().into_bytes(),
            2 => self.nested().into_bytes(),
            3 => {
                let mut text = self.valid(n).to_string().into_bytes();
                text.truncate(self.rng.below(text.len()));
                text
            }
            4 => {
                let mut text = self.valid(n).to_string().into_bytes();
                for _ in 0..=self.rng.below(4) {
                    let place = self.rng.below(text.len());
                    text[place] = self.byte();
                }
                text
            }
            5 => self.raw_amount(n).into_bytes(),
            _ => self.mutated(n).to_string().into_bytes(),
        }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.rng.below(256)).unwrap()
    }

    /// A valid body of any kind.
    fn valid(&mut self, n: usize) -> Value {
        let reference = format!("F-{}-{n}", self.task);
        let ends = self.rng.pick(&["101", "102", "107", "109", "110", "105", "678"]);
        let number = format!("017123{:02}{ends}", self.rng.below(100));
        match self.rng.below(4) {
            0 => json!({
                "operator": "airtel", "number": number, "amount": "698", "reference": reference,
                "ticketId": "243753368.243753368.243753368.1746120780000.507401.67335-1570h_",
            }),
            1 => json!({
                "operator": "bkash", "number": number, "amount": 100, "reference": reference,
                "type": "cash_in", "account_type": "personal",
            }),
            2 => json!({"reference": reference}),
            _ => json!({
                "operator": "gp", "number": number, "amount": 20, "reference": reference,
                "service_type": "prepaid", "webhook_url": "https://example.com/hook",
            }),
        }
    }

    /// A valid body with one to three fields changed, duplicated under an alias, removed or added.
    fn mutated(&mut self, n: usize) -> Value {
        const NAMES: [&str; 16] = [
            "operator",
            "number",
            "amount",
            "reference",
            "client_reference",
            "service_type",
            "webhook_url",
            "transaction_id",
            "transactionId",
            "offerId",
            "tran_id",
            "campaignId",
            "type",
            "account_type",
            "operator_code",
            "ticketId",
        ];
        let mut body = self.valid(n);
        for _ in 0..=self.rng.below(3) {
            let name = self.rng.pick(&NAMES);
            if self.rng.below(5) == 0 {
                body.as_object_mut().unwrap().remove(name);
            } else {
                body[name] = self.value(3);
            }
        }
        body
    }

    /// Amounts as raw text: serde would not write many of these JSON numbers.
    fn raw_amount(&mut self, n: usize) -> String {
        let amount = self.rng.pick(&[
            "1e2",
            "1E400",
            "-1",
            "-0",
            "0",
            "0.0",
            "0.001",
            "9007199254740993",
            "1e-400",
            "0.1000000000000000055",
            "999999999.99",
            "9999999999",
            "01",
            "+1",
            ".5",
            "5.",
            "NaN",
            "Infinity",
            "0x10",
            "\"১০\"",
            "\" 10\"",
            "\"10 \"",
            "\"1e2\"",
            "\"\"",
            "\"-5\"",
            "[10]",
            "{}",
            "null",
            "true",
            "10.555",
            "\"10.00\"",
            "10.0",
            "100000000000000000000000000000000000000000000000000000000000000000000",
        ]);
        let reference = format!("\"reference\":\"FA-{}-{n}\"", self.task);
        format!(r#"{{"operator":"gp","number":"01712345101","amount":{amount},{reference}}}"#)
    }

    fn nested(&mut self) -> String {
        let depth = 1 + self.rng.below(2_000);
        let (open, close) = self.rng.pick(&[("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")]);
        let end = if self.rng.below(2) == 0 { close.repeat(depth) } else { String::new() };
        format!("{}1{end}", open.repeat(depth))
    }

    /// Any JSON.
    fn value(&mut self, depth: usize) -> Value {
        match self.rng.below(if depth > 3 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.rng.below(2) == 0),
            2 => json!(self.rng.next().cast_signed()),
            3 => json!(f64::from_bits(self.rng.next())),
            4 | 5 => json!(self.text()),
            6 => (0..self.rng.below(5)).map(|_| self.value(depth + 1)).collect(),
            _ => Value::Object(
                (0..self.rng.below(5)).map(|_| (self.text(), self.value(depth + 1))).collect(),
            ),
        }
    }

    fn text(&mut self) -> String {
        let odd = self.rng.pick(&[
            "",
            " ",
            "\0",
            "gp",
            "GP",
            "rb",
            "01712345678",
            "+8801712345678",
            "০১৭১২৩৪৫৬৭৮",
            "'; DROP TABLE purchases; --",
            "%s%n",
            "../../etc/passwd",
            "\u{202e}abc",
            "😀",
            "\r\n",
            "http://127.0.0.1/",
            "https://example.com/",
            "javascript:alert(1)",
            "null",
            "1e9",
            "{{7*7}}",
            "\u{feff}",
            "ﬁ",
            "A\u{301}",
            "__proto__",
            "prepaid",
            "PREPAID",
            "1",
            "-1",
        ]);
        match self.rng.below(12) {
            0 => odd.repeat(1 + self.rng.below(300)),
            1 => (0..self.rng.below(20)).map(|_| char::from(self.byte())).collect(),
            _ => odd.to_owned(),
        }
    }

    /// A query string of percent-encoded odd values; some encodings are invalid.
    fn query(&mut self) -> String {
        let mut query = String::new();
        for _ in 0..=self.rng.below(4) {
            query += self.rng.pick(&[
                "reference=",
                "transaction_id=",
                "number=",
                "operator=",
                "country=",
                "service=",
                "search=",
                "q=",
                "&&",
                "=",
                "client_reference=",
                "x[]=",
                "transactionId=",
            ]);
            match self.rng.below(4) {
                0 => {
                    query += self.rng.pick(&["%", "%zz", "%00", "%ff%fe", "+", "%0d%0a", "%25%32"])
                }
                _ => {
                    for byte in self.text().bytes().take(400) {
                        query += &format!("%{byte:02x}");
                    }
                }
            }
            query += "&";
        }
        query
    }
}

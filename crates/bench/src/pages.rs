//! `saldo bench-pages`: how long the dashboard's lists take over a long history.
//!
//! One merchant gets the history; each list is asked for with each of its filters, many times in
//! turn. Times are those of a client on this machine, so the server took less.

use crate::fill;
use crate::http_client::Connection;
use crate::postgres::Postgres;
use crate::report::print_line;
use crate::servers::{Demo, ScratchDir, Server};
use crate::{Host, StoreKind, print_progress};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use domain::Clock;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What PERFORMANCE.md grants a list over a million purchases.
const LIST_MAX: Duration = Duration::from_millis(50);

/// Measure the dashboard's lists over a long history.
#[derive(clap::Args, Debug)]
pub struct PagesArgs {
    /// How many purchases the history has.
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    purchases: u64,
    /// Which stores to measure; PostgreSQL is started from the installed programs.
    #[arg(long, value_name = "STORE,…", value_delimiter = ',', default_value = "sqlite,postgres")]
    stores: Vec<StoreKind>,
    /// How many times each page is asked for; the medians count.
    #[arg(long, value_name = "N", default_value_t = 21,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Where the measured servers keep their data while they run.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    scratch_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A page that was measured.
struct Measured {
    name: &'static str,
    path: String,
    times: Vec<Duration>,
    bytes: usize,
}

/// `saldo bench-pages`: measures, and prints a line for each page. The exit code says whether every
/// page was answered; how fast is not judged.
pub fn run(args: &PagesArgs, host: &Host) -> Result<ExitCode> {
    let scratch = ScratchDir::new(&args.scratch_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for store in &args.stores {
        let folder = scratch.path().join(store.name());
        // Held until the server has ended.
        let mut postgres = None;
        let url = match store {
            StoreKind::Sqlite => None,
            StoreKind::Postgres => {
                let started = postgres.insert(Postgres::start(&scratch.path().join("postgres"))?);
                Some(started.database("pages")?)
            }
        };
        let demo = Demo::new(folder, url, 0);
        drop(demo.start()?);
        let name = format!("{}, {} purchases", store.name(), args.purchases);
        print_progress(&format!("filling: {name}"));
        let clock = &*host.clock;
        fill::fill(&demo.installation(), args.purchases, None, clock, |_| ())?;
        if let Some(postgres) = &postgres {
            postgres.settle("pages")?;
        }
        let server = demo.start()?;
        let pages = runtime.block_on(measure(&demo, &server, args.rounds, clock))?;
        for page in &pages {
            print_line(&line(page, &name, args.json));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(page: &Measured, name: &str, is_json: bool) -> String {
    let mut times = page.times.clone();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let (median, high) = (at(50), at(95));
    if is_json {
        return json!({
            "books": name, "page": page.name, "path": page.path, "median_us": median.as_micros(),
            "p95_us": high.as_micros(), "bytes": page.bytes,
        })
        .to_string();
    }
    let ms =
        |time: Duration| format!("{}.{:02}", time.as_millis(), time.subsec_micros() / 10 % 100);
    let mark = if median > LIST_MAX { "  OVER 50 ms" } else { "" };
    format!(
        "{name:30} {:34} median {:>7} ms, p95 {:>7} ms, {:6} bytes{mark}",
        page.name,
        ms(median),
        ms(high),
        page.bytes
    )
}

/// A browser that is logged in.
struct Browser {
    connection: Connection,
    cookies: String,
}

/// Asks for each page in turn, as often as `rounds` says, after once that does not count.
async fn measure(
    demo: &Demo,
    server: &Server,
    rounds: u16,
    clock: &dyn Clock,
) -> Result<Vec<Measured>> {
    let mut browser = log_in(demo, server).await?;
    let mut pages = pages(&mut browser).await?;
    for round in 0..=rounds {
        for page in &mut pages {
            let began = clock.monotonic();
            let html = browser.get(&page.path).await?;
            let took = clock.monotonic() - began;
            page.bytes = html.len();
            if round > 0 {
                page.times.push(took);
            }
        }
    }
    Ok(pages)
}

/// Each list with each filter that it offers. What is looked for is taken from the history itself.
async fn pages(browser: &mut Browser) -> Result<Vec<Measured>> {
    let list = "/dashboard/sandbox/transactions";
    let first = browser.get(list).await?;
    let older = between(&first, "before=", "\"").context("the list has no second page")?;
    let (before, _) = older.split_once('&').unwrap_or((older, ""));
    let number: u64 = before.parse().context("the second page begins at no id")?;
    // Numbers have gaps: one that was sold, from the middle of the history.
    let page = browser.get(&format!("{list}?before={}", number / 2)).await?;
    let middle = between(&page, &format!("{list}/"), "\"").context("nothing was sold")?.to_owned();
    let number: u64 = middle.parse().context("a purchase without a number")?;
    let purchase = browser.get(&format!("{list}/{middle}")).await?;
    let reference = purchase.split("B").find_map(reference_at).context("it has no reference")?;
    let recipient = fill::recipient(number);
    let day = |html: &str| between(html, "datetime=\"", "T").map(str::to_owned);
    let day = day(&purchase).context("it has no day")?;
    let pages = [
        ("the latest", list.to_owned()),
        ("older ones", format!("{list}?before={middle}")),
        ("delivered", format!("{list}?state=success")),
        ("failed", format!("{list}?state=failed")),
        ("processing", format!("{list}?state=processing")),
        ("pending", format!("{list}?state=pending")),
        ("reversed", format!("{list}?state=reversed")),
        ("an operator", format!("{list}?operator=RB")),
        ("an operator without sales", format!("{list}?operator=SK")),
        ("a kind", format!("{list}?kind=recharge")),
        ("a kind without sales", format!("{list}?kind=offer")),
        ("a number", format!("{list}?number={recipient}")),
        ("a number that never bought", format!("{list}?number=01799999999")),
        ("a reference", format!("{list}?reference={reference}")),
        ("a day", format!("{list}?from={day}&to={day}T23:59")),
        ("failed of an operator in a day", {
            format!("{list}?state=failed&operator=GP&from={day}&to={day}T23:59")
        }),
        ("search: a reference", format!("/dashboard/sandbox/search?q={reference}")),
        ("search: an id", format!("/dashboard/sandbox/search?q={middle}")),
        ("search: a number", format!("/dashboard/sandbox/search?q={recipient}")),
        ("search: nothing", "/dashboard/sandbox/search?q=nothing-like-it".to_owned()),
        ("one purchase", format!("{list}/{middle}")),
        ("statement", "/dashboard/sandbox/statement".to_owned()),
        ("commission", "/dashboard/sandbox/commission".to_owned()),
        ("webhooks", "/dashboard/sandbox/webhooks".to_owned()),
        ("activity", "/dashboard/sandbox/activity".to_owned()),
        ("overview", "/dashboard/sandbox".to_owned()),
    ];
    let measured = |(name, path)| Measured { name, path, times: Vec::new(), bytes: 0 };
    Ok(pages.into_iter().map(measured).collect())
}

/// The reference of a filled purchase, if the text after a `B` is one.
fn reference_at(rest: &str) -> Option<String> {
    let end = rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-')?;
    let (text, _) = rest.split_at_checked(end)?;
    let (scattered, id) = text.split_once('-')?;
    let is_one = scattered.len() == 16 && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    is_one.then(|| format!("B{text}"))
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found)
}

async fn log_in(demo: &Demo, server: &Server) -> Result<Browser> {
    let connection = Connection::open(&server.address).await?;
    let mut browser = Browser { connection, cookies: String::new() };
    let form = browser.get("/dashboard/log-in").await?;
    let token = between(&form, "name=\"csrf\" value=\"", "\"").context("the form has no token")?;
    let login = demo.merchant_login()?;
    let fields =
        [("csrf", token), ("email", login.email.as_str()), ("password", login.password.as_str())];
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    let body = body.extend_pairs(fields).finish();
    let request = browser
        .request(Method::POST, "/dashboard/log-in")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Full::new(Bytes::from(body)))?;
    let answer = browser.send(request).await?;
    ensure!(answer.0 == StatusCode::SEE_OTHER, "the demo's merchant is not let in: {}", answer.0);
    Ok(browser)
}

impl Browser {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header(header::COOKIE, &self.cookies)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, String)> {
        let answer = self.connection.send(request).await?;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let pair = set.to_str()?.split(';').next().unwrap_or_default();
            let (name, _) = pair.split_once('=').context("a cookie without a value")?;
            let others: Vec<&str> = self
                .cookies
                .split("; ")
                .filter(|kept| !kept.is_empty() && !kept.starts_with(&format!("{name}=")))
                .chain([pair])
                .collect();
            self.cookies = others.join("; ");
        }
        Ok((answer.status, String::from_utf8(answer.body.into())?))
    }

    /// A page; a search that has one hit leads on to it, which counts as its answer.
    async fn get(&mut self, path: &str) -> Result<String> {
        let request = self.request(Method::GET, path).body(Full::default())?;
        let (status, html) = self.send(request).await?;
        let is_answered = status == StatusCode::OK || status == StatusCode::SEE_OTHER;
        ensure!(is_answered, "{path} was answered with {status}");
        Ok(html)
    }
}

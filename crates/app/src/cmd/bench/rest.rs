//! What a demo costs that nobody uses: until its first answer, and in memory; and what one durable
//! commit of its store takes, alone.

use super::cpu;
use super::drive::Run;
use super::servers::{Demo, Server};
use crate::config::{Config, Flags};
use crate::wiring::{self, refused};
use anyhow::Context as _;
use domain::account::{AccountId, Role};
use domain::ledger::journal::Reason;
use domain::{Currency, Environment, Money};
use engine::{BookingNote, Engine};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::Instant;

/// Until memory is looked at.
const AT_REST: Duration = Duration::from_secs(2);
/// A server that has not answered by then never will.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One start of a demo that has run before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    pub(super) first_answer_us: u64,
    pub(super) memory_kib: u64,
}

/// Starts it, asks at once, looks at its memory once it rests, and stops it.
pub(super) fn measure(demo: &Demo) -> anyhow::Result<Rest> {
    let began = Instant::now();
    let server = demo.start()?;
    ask(&server, began).context("the demo does not answer")?;
    let first_answer_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    std::thread::sleep(AT_REST);
    Ok(Rest { first_answer_us, memory_kib: cpu::memory_kib(server.id())? })
}

fn ask(server: &Server, began: Instant) -> anyhow::Result<()> {
    let mut connection = TcpStream::connect(&server.address)?;
    connection.set_read_timeout(Some(ANSWER_WITHIN.saturating_sub(began.elapsed())))?;
    write!(connection, "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address)?;
    let mut answer = [0; 12];
    connection.read_exact(&mut answer)?;
    anyhow::ensure!(&answer[9..] == b"200", "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// A store that is written to without a server: one caller, one small change at a time.
pub(super) struct Commits {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    merchant: AccountId,
    count: u64,
}

impl Commits {
    /// On a demo's data, while no server is.
    pub(super) fn open(demo: &Demo) -> anyhow::Result<Commits> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting a thread to commit from")?;
        let flags = Flags {
            data_dir: Some(demo.data_dir()),
            database_url: Some(demo.database_url().to_owned()),
            ..Flags::default()
        };
        let config = Config::load(&flags, None)?;
        let guard = runtime.enter();
        let engine = wiring::open(&config)?;
        drop(guard);
        let accounts = engine.accounts()?;
        let merchant = accounts.iter().find(|account| account.role == Role::Merchant);
        let merchant = merchant.context("the demo has no merchant")?.id;
        Ok(Commits { runtime, engine, merchant, count: 0 })
    }

    /// One deposit after the other: a reference, a journal, two balances, and one commit each.
    pub(super) fn measure(&mut self, duration: Duration) -> anyhow::Result<Run> {
        let began = Instant::now();
        let mut latencies_us = Vec::new();
        while began.elapsed() < duration {
            self.count += 1;
            let reference = format!("COMMIT-{}", self.count);
            let paper = BookingNote { reference: &reference, by: "bench", note: "" };
            let place = (self.merchant, Environment::Sandbox);
            let sent = Instant::now();
            let amount = Money::new(1, Currency::BDT);
            let funded = self.engine.fund(Reason::Deposit, place, amount, paper);
            self.runtime.block_on(funded).map_err(refused)?;
            latencies_us.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        Ok(Run::of(latencies_us, began.elapsed()))
    }
}

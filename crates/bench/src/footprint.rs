//! The footprint of a demo that nobody uses: the time from its start to its first answer, and its
//! memory; and, as the floor of every latency, the time of one durable commit of its store.

use crate::load::Run;
use crate::servers::{Demo, Server};
use crate::{Host, cpu};
use anyhow::{Context as _, anyhow};
use domain::{AccountId, Clock, Currency, Environment, Money, Reason, Role};
use engine::{Booking, Engine};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Between the first answer and the measurement of memory.
const IDLE_FOR: Duration = Duration::from_secs(2);
/// A server that has not answered by then has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// One start of a demo that has run before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Footprint {
    pub(crate) first_answer_us: u64,
    pub(crate) memory_kib: u64,
}

/// Starts the demo, asks it at once, measures its memory after a pause, and stops it.
pub(crate) fn measure(demo: &Demo, clock: &dyn Clock) -> anyhow::Result<Footprint> {
    let began = clock.monotonic();
    let server = demo.start()?;
    let timeout = ANSWER_TIMEOUT.saturating_sub(clock.monotonic() - began);
    ask(&server, timeout).context("the demo does not answer")?;
    let first_answer = clock.monotonic() - began;
    let first_answer_us = u64::try_from(first_answer.as_micros()).unwrap_or(u64::MAX);
    std::thread::sleep(IDLE_FOR);
    Ok(Footprint { first_answer_us, memory_kib: cpu::memory_kib(server.id())? })
}

fn ask(server: &Server, timeout: Duration) -> anyhow::Result<()> {
    let mut connection = TcpStream::connect(&server.address)?;
    connection.set_read_timeout(Some(timeout))?;
    write!(connection, "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address)?;
    let mut answer = [0; 12];
    connection.read_exact(&mut answer)?;
    anyhow::ensure!(&answer[9..] == b"200", "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// A store that is written to without a server: one caller, one small change at a time.
pub(crate) struct Commits {
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    engine: Engine,
    merchant: AccountId,
    /// Deposits so far.
    count: u64,
}

impl Commits {
    /// Opens the store of a demo that has no server.
    pub(crate) fn open(demo: &Demo, host: &Host) -> anyhow::Result<Commits> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context("starting a thread to commit from")?;
        let guard = runtime.enter();
        let engine = (host.open_engine)(&demo.installation())?;
        drop(guard);
        let accounts = engine.accounts()?;
        let merchant = accounts.iter().find(|account| account.role == Role::Merchant);
        let merchant = merchant.context("the demo has no merchant")?.id;
        Ok(Commits { runtime, clock: host.clock.clone(), engine, merchant, count: 0 })
    }

    /// Books one deposit after the other: a reference, a journal, two balances and one commit each.
    pub(crate) fn measure(&mut self, duration: Duration) -> anyhow::Result<Run> {
        let began = self.clock.monotonic();
        let mut latencies_us = Vec::new();
        let mut now = began;
        while now - began < duration {
            self.count += 1;
            let reference = format!("COMMIT-{}", self.count);
            let booking = Booking {
                reason: Reason::Deposit,
                account: self.merchant,
                environment: Environment::Sandbox,
                amount: Money::new(1, Currency::BDT),
                rail: "manual",
                reference: &reference,
                note: "",
            };
            let permit = self.engine.permit_machine("bench");
            let permit = permit.map_err(|refusal| anyhow!("no permit: {refusal:?}"))?;
            let sent = self.clock.monotonic();
            let funded = self.engine.fund(permit, booking);
            let funded = self.runtime.block_on(funded);
            funded.map_err(|refusal| anyhow!("the deposit is refused: {refusal:?}"))?;
            now = self.clock.monotonic();
            latencies_us.push(u32::try_from((now - sent).as_micros()).unwrap_or(u32::MAX));
        }
        Ok(Run::of(latencies_us, self.clock.monotonic() - began))
    }
}

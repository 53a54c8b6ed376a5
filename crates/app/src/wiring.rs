//! Opens what an installation consists of (store, upstreams, mail, pushes, webhooks) as one engine.

use crate::catalog;
use crate::clock::{MachineClock, MachineRandom};
use crate::config::Config;
use crate::secrets::MasterKey;
use crate::{mail, push, webhook_sender};
use anyhow::{Context as _, anyhow};
use connectors::upstream::simulator::{Simulator, SimulatorSettings};
use domain::Clock;
use domain::catalog::Catalog;
use domain::refusal::Refusal;
use domain::upstream::{Listener, Upstream, UpstreamCode};
use engine::{Engine, Parts};
use std::sync::Arc;
use store::{OpenError, Store};

/// Where the simulator notes what it did: its own truth, which the ledger never reads.
pub(crate) const TRUTH_FILE: &str = "simulator-truth.jsonl";
/// The simulator's names: two upstreams, so that the second can stand in for the first.
const SIMULATED: [&str; 2] = ["simulator-a", "simulator-b"];

/// Opens the engine on the data folder with all its parts; no workers run yet.
pub(crate) fn open(config: &Config) -> anyhow::Result<Engine> {
    let data_dir = &config.data_dir;
    let store = match config.database_url.0.as_str() {
        "" => Store::open(data_dir)?,
        url => Store::connect_node(url, data_dir)?,
    };
    let master = MasterKey::of(data_dir)?;
    let vault = master.vault();
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let mut parts = Parts::new(store, clock.clone(), Arc::new(MachineRandom::new()), vault);
    parts.mailer = Some(mail::mailer(config, clock.clone())?);
    parts.push = push::parts(config, clock.clone())?;
    parts.webhooks = Some(webhook_sender::parts(config, clock.clone())?);
    parts.upstreams = simulated_upstreams(config, &master, clock, parts.listener())?;
    Engine::open(parts).context("the store cannot be read")
}

/// The simulator's upstreams, on the file that they share.
fn simulated_upstreams(
    config: &Config,
    master: &MasterKey,
    clock: Arc<dyn Clock>,
    listener: Arc<dyn Listener>,
) -> anyhow::Result<Vec<Arc<dyn Upstream>>> {
    let mut settings = SimulatorSettings::new(clock, listener);
    let truth_file = match config.simulator_file.as_os_str().is_empty() {
        true => config.data_dir.join(TRUTH_FILE),
        false => config.simulator_file.clone(),
    };
    settings.truth_file = Some(truth_file.clone());
    settings.callback_secret = Some(master.simulator_secret());
    let simulator = Simulator::open(settings)
        .with_context(|| format!("the simulator's {}", truth_file.display()))?;
    let upstream = |(position, code)| simulator.upstream(UpstreamCode::new(code), position);
    Ok((0..).zip(SIMULATED).map(upstream).collect())
}

/// Makes what every installation has, if it is not there: the house account and the catalog.
pub(crate) async fn seed(engine: &Engine) -> anyhow::Result<()> {
    anyhow::ensure!(
        engine.has_right_master_key().await?,
        "master.key in the data folder is not the one that this data was sealed with; put the right one back from a backup"
    );
    engine.open_house("House").await.map_err(refused)?;
    engine.give_missing_secrets().await.map_err(refused)?;
    // A country at a time: what the company has changed in one stays as it is.
    for mut catalog in [catalog::bangladesh()?, catalog::zimbabwe()?] {
        let known = engine.catalog();
        let is_known = |code: &String| known.countries.iter().any(|c| c.code == *code);
        if !catalog.countries.iter().any(|country| is_known(&country.code)) {
            leave_taken_out(&mut catalog, &known);
            engine.set_catalog(catalog).await.map_err(refused)?;
        }
    }
    Ok(())
}

/// A country that comes with a new version takes nobody's place: where the company uses an id or a
/// code for something of its own, ours stays out.
fn leave_taken_out(catalog: &mut Catalog, known: &Catalog) {
    let (operators, routes) = (catalog.operators.len(), catalog.routes.len());
    catalog
        .operators
        .retain(|new| !known.operators.iter().any(|old| old.id == new.id || old.code == new.code));
    catalog.routes.retain(|new| !known.routes.iter().any(|old| old.id == new.id));
    catalog.prices.retain(|new| !known.prices.iter().any(|old| old.id == new.id));
    let left_out = operators + routes - catalog.operators.len() - catalog.routes.len();
    if left_out > 0 {
        tracing::warn!(left_out, "parts of a new country's catalog stay out: their ids are taken");
    }
}

/// Whether another process holds the folder.
pub(crate) fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<OpenError>(), Some(OpenError::Locked(_)))
}

/// A refusal in words, for the command line.
pub(crate) fn refused(refusal: Refusal) -> anyhow::Error {
    let words = match &refusal {
        Refusal::Invalid(complaints) => complaints
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect::<Vec<_>>()
            .join(" "),
        Refusal::NotPossible { because } => {
            format!("Not possible, and nothing was changed. {because}")
        }
        Refusal::ReferenceKnown(_) => {
            "This reference is booked already; nothing was booked again.".to_owned()
        }
        Refusal::InsufficientBalance { available } => {
            format!("The wallet holds only {available}; nothing was booked.")
        }
        Refusal::NoWallet => "The account has no such wallet; nothing was booked.".to_owned(),
        Refusal::PurchaseUnknown => "There is nothing of this number.".to_owned(),
        Refusal::KeysInvalid => "There is no such key.".to_owned(),
        Refusal::Halted { .. } => {
            "Nothing is sold until `saldo resume`; nothing was changed.".to_owned()
        }
        Refusal::Unavailable { .. } => {
            "The store could not do it; the log says why. Nothing was changed.".to_owned()
        }
        Refusal::Uncertain => {
            "The store failed while it wrote: look whether it is there before you do it again."
                .to_owned()
        }
        Refusal::LogInFailed => "There is no such login.".to_owned(),
        Refusal::KeysMissing
        | Refusal::TokenInvalid
        | Refusal::CodeInvalid
        | Refusal::ProductUnknown
        | Refusal::BillUnknown
        | Refusal::BillUnavailable { .. }
        | Refusal::QuoteExpired
        | Refusal::AddressNotAllowed
        | Refusal::AccountInactive
        | Refusal::NoSubscription
        | Refusal::TooFast { .. }
        | Refusal::ReferenceMissing
        | Refusal::OfferUnknown
        | Refusal::OfferAmount { .. }
        | Refusal::OffersUnavailable { .. }
        | Refusal::IdempotencyMismatch
        | Refusal::IdempotencyRunning
        | Refusal::IdentifiersDisagree => format!("Refused: {}.", refusal.code()),
    };
    anyhow!(words)
}

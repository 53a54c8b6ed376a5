//! Opens the parts of an installation (store, upstreams, mail, pushes, webhooks) as one engine, and
//! puts the built-in catalogs into a new one.
//!
//! Not here: serving (`server.rs`).

use crate::catalog;
use crate::clock::{MachineClock, MachineRandom};
use crate::cmd::demo::CREDENTIALS_FILE;
use crate::cmd::moment;
use crate::config::Config;
use crate::files;
use crate::outbound::connectors::Connectors;
use crate::outbound::{mail, push, webhook_sender};
use crate::secrets::MasterKey;
use anyhow::{Context as _, anyhow, ensure};
use connectors::upstream::simulator::{Simulator, SimulatorSettings};
use domain::refusal::{InsufficientBalance, Invalid, NotPossible, PaymentKnown, StaffRefused};
use domain::{
    Catalog, Clock, Environment, Listener, Permitted, Refused as _, Upstream, UpstreamCode,
};
use engine::{Engine, Parts, Permit};
use std::sync::Arc;
use store::{OpenError, Store};

/// The file in which the simulator records what it did. The ledger never reads it.
pub(crate) const TRUTH_FILE: &str = "simulator-truth.jsonl";
/// Two simulated upstreams, so that the second can replace the first.
const SIMULATED: [&str; 2] = ["simulator-a", "simulator-b"];

/// Opens the engine on the data folder with all its parts; does not start its workers.
pub(crate) fn open(config: &Config) -> anyhow::Result<Engine> {
    let is_demo = config.data_dir.join(CREDENTIALS_FILE).exists();
    open_to_serve(config, &Serving { is_clock_accepted: false, is_demo })
}

/// How an engine serves.
pub(crate) struct Serving {
    /// The operator says that the clock is right.
    pub(crate) is_clock_accepted: bool,
    /// Live orders may go to the simulators.
    pub(crate) is_demo: bool,
}

/// As [`open`], for a process that serves.
pub(crate) fn open_to_serve(config: &Config, serving: &Serving) -> anyhow::Result<Engine> {
    let data_dir = &config.data_dir;
    let store = match config.database_url.0.as_str() {
        "" => Store::open(data_dir)?,
        url => Store::connect_node(url, data_dir)?,
    };
    files::close_to_others(data_dir)?;
    if files::is_writable_by_others(data_dir) {
        let folder = data_dir.display();
        tracing::warn!(
            %folder,
            "other users may write into the data folder, and so replace its files; close it: \
             chmod 700"
        );
    }
    let known = store.master_key().context("the store cannot be read")?;
    let master = MasterKey::of(data_dir, known.is_some())?;
    let vault = master.vault();
    ensure!(known.is_none_or(|known| known == vault.master_key_tag()), WRONG_MASTER_KEY);
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let mut parts = Parts::new(store, clock.clone(), Arc::new(MachineRandom::new()), vault);
    parts.follows_server_clock = true;
    parts.is_clock_accepted = serving.is_clock_accepted;
    parts.simulates_live = serving.is_demo;
    parts.mailer = Some(mail::mailer(config, clock.clone())?);
    parts.push = push::parts(config, clock.clone())?;
    parts.webhooks = Some(webhook_sender::parts(config, clock.clone())?);
    let connectors = Connectors::new(config, clock.clone(), parts.listener())?;
    parts.connectors = Some(Arc::new(connectors));
    parts.upstreams = simulated_upstreams(config, &master, clock, parts.listener())?;
    Engine::open(parts).context("the store cannot be read")
}

/// The simulated upstreams; they share one file.
fn simulated_upstreams(
    config: &Config,
    master: &MasterKey,
    clock: Arc<dyn Clock>,
    listener: Arc<dyn Listener>,
) -> anyhow::Result<Vec<Arc<dyn Upstream>>> {
    let mut settings = SimulatorSettings::new(clock, listener);
    let has_own_file = config.simulator_file.as_os_str().is_empty();
    // Each node of a database remembers its own orders alone.
    settings.knows_other_nodes = has_own_file && !config.database_url.0.is_empty();
    let truth_file = match has_own_file {
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

/// The live routes that lead to a simulator, by number: `101, 102`.
pub(crate) fn simulated_live_routes(engine: &Engine) -> String {
    let is_simulated = |code: &UpstreamCode| SIMULATED.contains(&code.as_str());
    let catalog = engine.catalog();
    let live = catalog.routes.iter().filter(|route| route.environment == Environment::Live);
    let simulated = live.filter(|route| route.upstreams.iter().any(is_simulated));
    simulated.map(|route| route.id.to_string()).collect::<Vec<_>>().join(", ")
}

/// What is sealed with another key could not be opened again.
pub(crate) const WRONG_MASTER_KEY: &str = "master.key in the data folder is not the one that this \
    data was sealed with; put the right one back from a backup";
/// Who does what every start does, in the record of acts.
const START: &str = "start";

/// Creates what every installation has, if it is missing: the house account and the built-in
/// catalogs.
pub(crate) async fn seed_catalog(engine: &Engine) -> anyhow::Result<()> {
    ensure!(engine.has_right_master_key(machine(engine, START)?).await?, WRONG_MASTER_KEY);
    engine.open_house(machine(engine, START)?, "House").await.map_err(refused)?;
    engine.give_missing_secrets(machine(engine, START)?).await.map_err(refused)?;
    // Country by country: a country that is there may have been changed, and stays as it is.
    for mut catalog in [catalog::bangladesh()?, catalog::zimbabwe()?] {
        let known = engine.catalog();
        let is_known = |code: &String| known.countries.iter().any(|c| c.code == *code);
        if !catalog.countries.iter().any(|country| is_known(&country.code)) {
            remove_conflicts(&mut catalog, &known);
            engine.set_catalog(machine(engine, START)?, catalog).await.map_err(refused)?;
        }
    }
    Ok(())
}

/// Removes the rows of a new country whose id or code the installation uses already.
fn remove_conflicts(catalog: &mut Catalog, known: &Catalog) {
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

/// Whether another process has locked the data folder.
pub(crate) fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<OpenError>(), Some(OpenError::Locked(_)))
}

/// The permit of somebody on the command line, with the name that they gave, if any.
pub(crate) fn machine<A: Permitted>(engine: &Engine, by: &str) -> anyhow::Result<Permit<A>> {
    engine.permit_machine(by).map_err(refused)
}

/// A refusal as an error of the command line.
pub(crate) fn refused(refusal: impl Into<StaffRefused>) -> anyhow::Error {
    let text = match refusal.into() {
        StaffRefused::Invalid(Invalid { errors }) => {
            let texts = errors.iter().map(|error| format!("{}: {}", error.field, error.message));
            return anyhow!(texts.collect::<Vec<_>>().join(" "));
        }
        StaffRefused::NotPossible(NotPossible { because }) => {
            return anyhow!("Not possible, and nothing was changed. {because}");
        }
        StaffRefused::PaymentKnown(PaymentKnown { account, at }) => {
            return anyhow!(
                "A payment with this reference is booked already, for account {account} on {}; \
                 nothing was booked again.",
                moment(at)
            );
        }
        StaffRefused::InsufficientBalance(InsufficientBalance { available }) => {
            return anyhow!("The wallet holds only {available}; nothing was booked.");
        }
        StaffRefused::NoWallet(_) => "The account has no such wallet; nothing was booked.",
        StaffRefused::PurchaseUnknown(_) => "There is nothing of this number.",
        StaffRefused::KeysInvalid(_) => "There is no such key.",
        StaffRefused::Unavailable(_) => {
            "The store could not do it; the log says why. Nothing was changed."
        }
        StaffRefused::Uncertain(_) => {
            "The store failed while it wrote: look whether it is there before you do it again."
        }
        StaffRefused::LogInFailed(_) => "There is no such login.",
        StaffRefused::TooFast(busy) => return anyhow!("Refused: {}.", busy.code()),
    };
    anyhow!(text)
}

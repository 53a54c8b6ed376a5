//! The upstreams that this engine can call: built in, or set up by staff and read from the store.
//!
//! The map is swapped as a whole when the stored rows change, on every node, as the catalog is. A
//! connector whose settings did not change is kept, with its connections. Invariant: a removed
//! upstream gets no orders, and can still be asked about those that it has.

mod alert;
mod asking;
mod choice;
mod float;
mod health;
mod manage;
mod trial;

pub(crate) use asking::Asking;
pub(crate) use choice::Choosing;
pub use float::{FloatAnswer, FloatView};
pub(crate) use health::CallEnd;
pub use manage::{NewUpstream, UpstreamChange, UpstreamView};
pub use trial::TriedUpstream;

use crate::{Engine, Vault};
use arc_swap::ArcSwap;
use domain::ids::IdMap;
use domain::{Environment, Timestamp, Upstream, UpstreamCode};
use health::Health;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{StoredUpstream, UpstreamMaps};

/// The purpose that secrets of upstreams are sealed for.
const SEALED_FOR: &str = "upstream secrets";

/// Makes connectors. The engine knows no kind by name.
pub trait ConnectorFactory: Send + Sync {
    /// The connector of a kind with these settings; opens no connection. The error is for people:
    /// no such kind, a setting that is wrong, a secret that is missing.
    fn open(&self, settings: UpstreamSettings) -> Result<Arc<dyn Upstream>, String>;

    /// What is refused when it is set, besides what [`ConnectorFactory::open`] refuses: a secret or
    /// a name that a connector of this kind never uses. What is stored already still opens. The
    /// error is for people.
    fn check(&self, settings: &UpstreamSettings) -> Result<(), String>;
}

/// What a connector is made of.
#[derive(Clone)]
pub struct UpstreamSettings {
    /// Its name, which routes use.
    pub code: UpstreamCode,
    /// Which connector: `reloadly`.
    pub kind: String,
    /// Whose orders it may get.
    pub environment: Environment,
    /// Where it is called.
    pub url: String,
    /// The hosts that may be called.
    pub hosts: Vec<String>,
    /// The connector's own settings, as TOML.
    pub own: String,
    /// Our names and theirs.
    pub maps: UpstreamMaps,
    /// Its secrets by name, in clear.
    pub secrets: BTreeMap<String, String>,
}

/// Shows no secret.
impl std::fmt::Debug for UpstreamSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let UpstreamSettings { code, kind, environment, url, .. } = self;
        write!(f, "UpstreamSettings({code} {kind} {} {url})", environment.code())
    }
}

/// The upstreams that are part of the program.
pub(crate) struct BuiltIn {
    pub(crate) upstreams: Vec<Arc<dyn Upstream>>,
    /// Live orders may go to those that are simulated.
    pub(crate) simulate_live: bool,
}

/// The upstreams of one engine.
pub(crate) struct Registry {
    built_in: BuiltIn,
    factory: Option<Arc<dyn ConnectorFactory>>,
    current: ArcSwap<IdMap<UpstreamCode, Arc<Connected>>>,
    /// What was spent and is not stored yet.
    spending: Mutex<float::Spending>,
}

/// One upstream of the map.
pub(crate) struct Connected {
    /// None: it cannot be made with the settings that are stored.
    connector: Option<Arc<dyn Upstream>>,
    /// As it is stored; none: it is built in.
    row: Option<StoredUpstream>,
    /// Live orders may go to it although it is simulated.
    simulates_live: bool,
    /// Kept while this engine runs, whatever is changed in the row.
    health: Arc<Health>,
    /// As long.
    asking: Arc<Asking>,
}

impl Connected {
    /// Whether it may get orders of this environment at all.
    fn fits(&self, environment: Environment) -> bool {
        match (&self.row, &self.connector) {
            (Some(row), Some(_)) => row.environment == environment && row.removed_at.is_none(),
            // The sandbox gets simulated upstreams only (RELIABILITY P10), whatever a route says.
            (None, Some(connector)) => match environment {
                Environment::Sandbox => connector.capabilities().is_simulated,
                Environment::Live => self.simulates_live || !connector.capabilities().is_simulated,
            },
            (_, None) => false,
        }
    }

    /// Whether it may be asked about orders of this environment.
    fn may_answer(&self, environment: Environment) -> bool {
        match &self.row {
            Some(row) => row.environment == environment,
            None => self.fits(environment),
        }
    }

    /// Whether this connector was made of the same settings as those of the row.
    fn is_made_of(&self, row: &StoredUpstream) -> bool {
        let Some(known) = self.row.as_ref().filter(|_| self.connector.is_some()) else {
            return false;
        };
        (&known.kind, known.environment, &known.url, &known.hosts)
            == (&row.kind, row.environment, &row.url, &row.hosts)
            && (&known.settings, &known.maps, &known.secrets)
                == (&row.settings, &row.maps, &row.secrets)
    }
}

/// An upstream whose orders are asked about again, so many days after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rechecked {
    pub(crate) code: UpstreamCode,
    pub(crate) days: u32,
}

impl Registry {
    pub(crate) fn new(built_in: BuiltIn, factory: Option<Arc<dyn ConnectorFactory>>) -> Registry {
        let (current, spending) = (ArcSwap::default(), Mutex::default());
        Registry { built_in, factory, current, spending }
    }

    /// Swaps in what is stored.
    pub(crate) fn load(&self, rows: Vec<StoredUpstream>, vault: &Vault) {
        let before = self.current.load();
        // One that was removed and added again is another one.
        let kept = |code: &UpstreamCode, row: Option<&StoredUpstream>| {
            let added_at = |row: Option<&StoredUpstream>| row.map(|row| row.created_at);
            match before.get(code).filter(|one| added_at(one.row.as_ref()) == added_at(row)) {
                Some(known) => (known.health.clone(), known.asking.clone()),
                None => (Arc::default(), Arc::default()),
            }
        };
        let mut map = IdMap::default();
        for row in rows {
            let code = row.code.clone();
            let connector = match before.get(&code) {
                Some(known) if known.is_made_of(&row) => known.connector.clone(),
                Some(_) | None => self.connect(&row, vault),
            };
            let (health, asking) = kept(&code, Some(&row));
            let (row, simulates_live) = (Some(row), false);
            let connected = Connected { connector, row, simulates_live, health, asking };
            map.insert(code, Arc::new(connected));
        }
        for built_in in &self.built_in.upstreams {
            let code = built_in.code().clone();
            let connector = Some(built_in.clone());
            let (health, asking) = kept(&code, None);
            let (row, simulates_live) = (None, self.built_in.simulate_live);
            let connected = Connected { connector, row, simulates_live, health, asking };
            map.insert(code, Arc::new(connected));
        }
        self.current.store(Arc::new(map));
    }

    fn connect(&self, row: &StoredUpstream, vault: &Vault) -> Option<Arc<dyn Upstream>> {
        let made = opened(vault, row).and_then(|secrets| self.make(settings_of(row, secrets)));
        made.inspect_err(|reason| {
            tracing::error!(upstream = %row.code, reason, "an upstream cannot be called");
        })
        .ok()
    }

    fn make(&self, settings: UpstreamSettings) -> Result<Arc<dyn Upstream>, String> {
        let factory = self.factory.as_ref().ok_or("This program has no connectors.")?;
        factory.open(settings)
    }

    /// As [`Registry::make`], of settings that staff give.
    fn check(&self, settings: UpstreamSettings) -> Result<Arc<dyn Upstream>, String> {
        let factory = self.factory.as_ref().ok_or("This program has no connectors.")?;
        factory.check(&settings)?;
        factory.open(settings)
    }

    pub(crate) fn get(&self, code: &UpstreamCode) -> Option<Arc<Connected>> {
        self.current.load().get(code).cloned()
    }

    /// Those that staff have set up, removed ones too.
    fn set_up(&self) -> Vec<Arc<Connected>> {
        self.current.load().values().filter(|c| c.row.is_some()).cloned().collect()
    }

    fn is_built_in(&self, code: &UpstreamCode) -> bool {
        self.built_in.upstreams.iter().any(|upstream| upstream.code() == code)
    }
}

fn settings_of(row: &StoredUpstream, secrets: BTreeMap<String, String>) -> UpstreamSettings {
    UpstreamSettings {
        code: row.code.clone(),
        kind: row.kind.clone(),
        environment: row.environment,
        url: row.url.clone(),
        hosts: row.hosts.clone(),
        own: row.settings.clone(),
        maps: row.maps.clone(),
        secrets,
    }
}

/// The secrets of an upstream in clear.
fn opened(vault: &Vault, row: &StoredUpstream) -> Result<BTreeMap<String, String>, String> {
    let opened = vault.open(SEALED_FOR, row.code.as_str(), &row.secrets);
    let text = opened.map_err(|_| "Its secrets were sealed with another master key.")?;
    serde_json::from_slice(&text).map_err(|_| "Its secrets cannot be read.".to_owned())
}

impl Engine {
    /// An upstream that may get orders of this environment, paused or not.
    pub(crate) fn upstream_in(
        &self,
        environment: Environment,
        code: &UpstreamCode,
    ) -> Option<Arc<dyn Upstream>> {
        let connected = self.inner.upstreams.get(code)?;
        connected.fits(environment).then(|| connected.connector.clone()).flatten()
    }

    /// Why no route of this environment may lead to an upstream, for people; none: it may.
    pub(crate) fn unfit_for_a_route(
        &self,
        environment: Environment,
        code: &UpstreamCode,
    ) -> Option<String> {
        let connected = self.inner.upstreams.get(code);
        if connected.as_ref().is_some_and(|connected| connected.fits(environment)) {
            return None;
        }
        let is_removed = |row: &StoredUpstream| row.removed_at.is_some();
        Some(match connected.as_deref() {
            Some(Connected { row: Some(row), .. }) if is_removed(row) => {
                format!("the upstream {code} was removed")
            }
            Some(Connected { row: Some(row), connector: None, .. })
                if row.environment == environment =>
            {
                format!("the upstream {code} cannot be called with its settings")
            }
            Some(Connected { row: None, .. }) if environment == Environment::Live => {
                format!("{code} is simulated and delivers nothing: no live route leads to it")
            }
            Some(_) | None => {
                let environment = environment.code();
                format!("there is no upstream {code} for the {environment} environment")
            }
        })
    }

    /// An upstream that can be asked about orders of this environment, removed or not.
    pub(crate) fn upstream_to_ask(
        &self,
        environment: Environment,
        code: &UpstreamCode,
    ) -> Option<Arc<dyn Upstream>> {
        let connected = self.inner.upstreams.get(code)?;
        connected.may_answer(environment).then(|| connected.connector.clone()).flatten()
    }

    /// The upstreams whose orders are asked about again after they have ended, and how many days
    /// after their day; removed ones too.
    pub(crate) fn rechecked_upstreams(&self) -> Vec<Rechecked> {
        let mut all = Vec::new();
        for connected in self.inner.upstreams.set_up() {
            let (Some(row), Some(connector)) = (&connected.row, &connected.connector) else {
                continue;
            };
            let days = connector.capabilities().rechecks;
            all.extend(days.iter().map(|days| Rechecked { code: row.code.clone(), days: *days }));
        }
        all.sort();
        all
    }

    /// An upstream, whatever environment it may be used in.
    pub(crate) fn upstream(&self, code: &UpstreamCode) -> Option<Arc<dyn Upstream>> {
        self.inner.upstreams.get(code)?.connector.clone()
    }

    /// The enquiries of an upstream; none for what is built in, which is simulated and never hangs.
    pub(crate) fn asking_at(&self, code: &UpstreamCode) -> Option<Arc<Asking>> {
        let connected = self.inner.upstreams.get(code)?;
        connected.row.is_some().then(|| connected.asking.clone())
    }

    /// Since when the account at an upstream is the one that is asked; earlier attempts were made
    /// with another one, so "not found" says nothing about them.
    pub(crate) fn account_since(&self, code: &UpstreamCode) -> Option<Timestamp> {
        self.inner.upstreams.get(code)?.row.as_ref().map(|row| row.account_since)
    }
}

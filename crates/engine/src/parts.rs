//! What an engine is made of: its store, its clock, and everything that it calls.
//!
//! Not here: which connectors there are. Invariant: an engine has all its parts before it does
//! anything; none is added later.

use crate::upstreams::ConnectorFactory;
use crate::webhooks::WebhookRenderer;
use crate::worker::PushRenderer;
use crate::{Vault, limits};
use domain::{
    Clock, Exchange, Listener, Mailer, Pusher, Random, StatusUpdate, Upstream, WebhookSender,
};
use std::sync::Arc;
use store::Store;
use tokio::sync::mpsc;

/// The parts of one engine.
pub struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) vault: Vault,
    /// The upstreams that are built in, each with a code of its own.
    pub upstreams: Vec<Arc<dyn Upstream>>,
    /// Everything is play, as in a demo: live orders may go to a simulator. Elsewhere none does,
    /// whatever a route says: it would be charged, and nothing delivered.
    pub simulates_live: bool,
    /// Makes connectors to the upstreams that staff set up; without it there are none.
    pub connectors: Option<Arc<dyn ConnectorFactory>>,
    /// Sends mails; without it mails are dropped with a warning.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// Sends pushes; without it none is sent.
    pub push: Option<PushParts>,
    /// Sends webhooks; without it no webhook is written.
    pub webhooks: Option<WebhookParts>,
    /// The database server's clock counts, not this machine's, where there is a database server.
    pub follows_server_clock: bool,
    /// The operator says that the clock is right, however far it is from what is stored.
    pub is_clock_accepted: bool,
    pub(crate) updates: mpsc::Receiver<StatusUpdate>,
    pub(crate) exchanges: mpsc::Receiver<Exchange>,
    listener: Arc<ChannelListener>,
}

/// The push service, and what renders its texts.
pub struct PushParts {
    /// Sends a push to one device.
    pub pusher: Arc<dyn Pusher>,
    /// Renders what a device shows.
    pub renderer: Arc<dyn PushRenderer>,
}

/// What webhooks are rendered and sent with.
pub struct WebhookParts {
    /// Posts a webhook to its address.
    pub sender: Arc<dyn WebhookSender>,
    /// Renders the bodies.
    pub renderer: Arc<dyn WebhookRenderer>,
    /// Webhooks may go to this machine: for tests and demos.
    pub allow_loopback: bool,
    /// Waits between tries are divided by this; more than 1 in tests only.
    pub time_divisor: u32,
}

impl Parts {
    /// Parts without anything to call: no upstream, no mail, no pushes, no webhooks.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        vault: Vault,
    ) -> Parts {
        let (update_sender, updates) = mpsc::channel(limits::UPDATES_WAITING);
        let (exchange_sender, exchanges) = mpsc::channel(limits::EXCHANGES_WAITING);
        Parts {
            store,
            clock,
            random,
            vault,
            upstreams: Vec::new(),
            simulates_live: false,
            connectors: None,
            mailer: None,
            push: None,
            webhooks: None,
            follows_server_clock: false,
            is_clock_accepted: false,
            updates,
            exchanges,
            listener: Arc::new(ChannelListener {
                updates: update_sender,
                exchanges: exchange_sender,
            }),
        }
    }

    /// The listener that queues unasked messages of upstreams for the engine made of these parts.
    pub fn listener(&self) -> Arc<dyn Listener> {
        self.listener.clone()
    }
}

/// Queues status updates and exchanges for the engine's workers.
struct ChannelListener {
    updates: mpsc::Sender<StatusUpdate>,
    exchanges: mpsc::Sender<Exchange>,
}

impl Listener for ChannelListener {
    fn on_exchange(&self, exchange: Exchange) {
        if let Err(error) = self.exchanges.try_send(exchange) {
            tracing::debug!(%error, "an exchange with an upstream is not kept");
        }
    }

    fn on_update(&self, update: StatusUpdate) {
        if let Err(error) = self.updates.try_send(update) {
            tracing::error!(%error, "an upstream's message was dropped: too many wait");
        }
    }
}

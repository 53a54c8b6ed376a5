//! What every page needs to know of its deployment.

use crate::docs::facts::{ApiDocument, Facts};
use axum::Router;
use axum::http::Uri;
use axum::http::request::Parts;
use engine::Engine;
use std::net::IpAddr;
use std::sync::Arc;

/// What the pages need to know about their deployment.
pub struct Settings {
    /// The public base URL, without a slash at the end: `https://saldo.example`.
    pub base_url: String,
    /// Whether the server is stopping: a stream ends then.
    pub is_stopping: Box<dyn Fn() -> bool + Send + Sync>,
    /// The client's address of a request (proxies already resolved).
    pub client_address: Box<dyn Fn(&Parts) -> IpAddr + Send + Sync>,
    /// Who may sign up.
    pub sign_up: SignUp,
    /// Whether staff do nothing before they have a second factor.
    pub staff_need_factor: bool,
    /// The latest mails, newest first, where everybody may read them: in a demo.
    pub mails: Option<Box<dyn Fn() -> Vec<ShownMail> + Send + Sync>>,
    /// The billing API and the wallet API, as they describe themselves.
    pub documents: [ApiDocument; 2],
    /// The APIs themselves, for requests that are run from a page.
    pub api: Router,
}

/// Who may sign up as a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Everybody; the sandbox works at once.
    Open,
    /// Nobody by themselves.
    ByInvitation,
    /// Everybody; even the sandbox waits for staff.
    ByApproval,
}

/// A mail, as a demo shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownMail {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// The engine and the settings, for handlers.
#[derive(Clone)]
pub(crate) struct Site(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    pub(crate) facts: Facts,
}

impl std::ops::Deref for Site {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How a page may keep a cookie: by how it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// By https: `__Host-NAME; Secure`.
    Https,
    /// By http on a loopback address.
    Loopback,
    /// By http elsewhere: nobody can log in.
    Unsafe,
}

impl Site {
    pub(crate) fn new(engine: Engine, settings: Settings) -> Site {
        let facts = Facts::new(settings.base_url.clone(), &settings.documents);
        Site(Arc::new(Inner { engine, settings, facts }))
    }

    /// How a request with this Host came; its text is a browser's, which cannot be led to lie.
    pub(crate) fn served(&self, host: &str) -> Served {
        if self.settings.base_url.starts_with("https://") {
            return Served::Https;
        }
        let uri = format!("http://{host}").parse::<Uri>().ok();
        let name = uri.as_ref().and_then(Uri::host).unwrap_or("").trim_matches(['[', ']']);
        let is_loopback =
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if is_loopback { Served::Loopback } else { Served::Unsafe }
    }
}

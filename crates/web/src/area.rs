//! The routes of the pages: the only caller of axum's `route()`.
//!
//! Invariant: a route has an act, and is behind the guard that asks for it; all are recorded, so
//! that a test can walk them as every role. A route in an environment exists in those environments
//! that its act knows.

use crate::guard::{self, Guarded};
use crate::site::Site;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use domain::acts::rule;
use domain::{Act, Environment};

/// Whose pages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaKind {
    /// For everybody; whoever is logged in on the dashboard is known here too.
    Public,
    /// For merchants, below `/dashboard`.
    Dashboard,
    /// For staff, below `/admin`.
    Admin,
}

impl AreaKind {
    /// What the area's addresses begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            AreaKind::Public => "",
            AreaKind::Dashboard => "/dashboard",
            AreaKind::Admin => "/admin",
        }
    }
}

/// A route as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRoute {
    /// Whose page it is.
    pub area: AreaKind,
    /// GET or POST.
    pub method: Method,
    /// The whole path, with its placeholders.
    pub path: String,
    /// What whoever asks for it must be allowed to do.
    pub act: Act,
    /// The environment that it is in, if it is in one.
    pub environment: Option<Environment>,
}

/// Collects the routes of one area.
pub(crate) struct Area {
    kind: AreaKind,
    site: Site,
    router: Router<Site>,
    routes: Vec<PageRoute>,
}

impl Area {
    pub(crate) fn new(kind: AreaKind, site: &Site) -> Area {
        Area { kind, site: site.clone(), router: Router::new(), routes: Vec::new() }
    }

    /// A page outside the environments: `/dashboard/people`.
    pub(crate) fn get<H: Handler<T, Site>, T: 'static>(
        &mut self,
        path: &str,
        act: Act,
        handler: H,
    ) {
        self.add(Method::GET, path, act, get(handler), None);
    }

    /// A form's target outside the environments.
    pub(crate) fn post<H: Handler<T, Site>, T: 'static>(
        &mut self,
        path: &str,
        act: Act,
        handler: H,
    ) {
        self.add(Method::POST, path, act, post(handler), None);
    }

    /// A page in each environment that the act knows: `/dashboard/sandbox/keys`,
    /// `/dashboard/live/keys`. Its handler finds the environment in its view.
    pub(crate) fn get_in<H: Handler<T, Site>, T: 'static>(
        &mut self,
        path: &str,
        act: Act,
        handler: H,
    ) {
        for environment in rule(act).environments {
            self.add(Method::GET, path, act, get(handler.clone()), Some(*environment));
        }
    }

    /// A form's target in each environment that the act knows.
    pub(crate) fn post_in<H: Handler<T, Site>, T: 'static>(
        &mut self,
        path: &str,
        act: Act,
        handler: H,
    ) {
        for environment in rule(act).environments {
            self.add(Method::POST, path, act, post(handler.clone()), Some(*environment));
        }
    }

    /// The router, and what is in it.
    pub(crate) fn finish(self) -> (Router<Site>, Vec<PageRoute>) {
        (self.router, self.routes)
    }

    fn add(
        &mut self,
        method: Method,
        path: &str,
        act: Act,
        handler: MethodRouter<Site>,
        environment: Option<Environment>,
    ) {
        let (kind, prefix) = (self.kind, self.kind.prefix());
        let place = environment.map_or(String::new(), |e| format!("/{}", e.code()));
        let path = match format!("{prefix}{place}{path}") {
            root if root.is_empty() => "/".to_owned(),
            path => path,
        };
        let guarded = Guarded { site: self.site.clone(), area: kind, act, environment };
        let handler = handler.layer(from_fn_with_state(guarded, guard::guard));
        self.router = std::mem::take(&mut self.router).route(&path, handler);
        self.routes.push(PageRoute { area: kind, method, path, act, environment });
    }
}

//! The web pages for people: documents, the merchants' dashboard, the staff's pages.
//!
//! A page is a file that renders and a template beside it; `area` makes its route, `guard` lets
//! people in, `frame` goes around it. Not here: the public APIs (`api`), SQL, business rules.
//! Invariants: no page loads anything from another host; no route without an act.

mod admin;
mod area;
mod dashboard;
mod docs;
mod files;
mod frame;
mod guard;
mod parts;
mod people;
mod site;
mod view;
mod words;

pub use area::{AreaKind, PageRoute};
pub use docs::facts::{ApiDocument, ListedError};
pub use site::{Settings, ShownMail, SignUp};

use area::Area;
use axum::{Extension, Router};
use engine::Engine;
use site::Site;
use std::sync::Arc;

/// Adds an area's pages.
type Pages = fn(&mut Area);

/// The routes of all pages, and the list of them.
pub fn router(engine: Engine, settings: Settings) -> (Router, Vec<PageRoute>) {
    let site = Site::new(engine, settings);
    let areas: [(AreaKind, Pages); 3] = [
        (AreaKind::Public, docs::pages),
        (AreaKind::Dashboard, dashboard::pages),
        (AreaKind::Admin, admin::pages),
    ];
    let (mut router, mut routes) = (Router::new(), Vec::new());
    for (kind, pages) in areas {
        let mut area = Area::new(kind, &site);
        pages(&mut area);
        let (of_area, listed) = area.finish();
        router = router.merge(of_area);
        routes.extend(listed);
    }
    let router = router.with_state(site);
    let pages = people::Pages(Arc::new(router.clone()));
    (router.layer(Extension(pages)), routes)
}

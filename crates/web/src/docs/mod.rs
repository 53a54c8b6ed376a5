//! What everybody may read: the landing page, the documents, the offer explorer, the reference, the
//! files of pages.
//!
//! Invariant: these pages show nobody's data, except the reader's own sandbox.

pub(crate) mod facts;
mod fields;
mod guide;
mod landing;
mod llms;
mod mails;
mod offers;
mod postman;
mod reference;
mod run;
mod sample;

use crate::area::Area;
use crate::files;
use crate::frame::{self, MenuItem};
use crate::parts::{Code, CodeTab, Markup};
use crate::view::{Known, Problem, View};
use crate::words::Words;
use askama::Template;
use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse as _, Response};
use domain::{Act, Environment};
use guide::markdown::{self, Heading};
use guide::{GUIDES, Guide, Piece, Reader};
pub(crate) use run::{Answered, Call, call};
use sample::{Keys, SampleLanguage};
use serde::Deserialize;

pub(crate) fn pages(area: &mut Area) {
    area.get("/", Act::SeePublic, landing::show);
    area.get("/docs", Act::SeePublic, start);
    area.get("/docs/", Act::SeePublic, start);
    area.get("/docs.md", Act::SeePublic, start_text);
    area.get("/docs/offers", Act::SeePublic, offers::show);
    area.get("/docs/run", Act::SeePublic, run::show);
    area.post("/docs/run", Act::BuyInSandbox, run::run);
    area.get("/docs/reference", Act::SeePublic, reference::show);
    area.get("/docs/scalar.js", Act::SeePublic, reference::bundle);
    area.get("/docs/saldo.postman_collection.json", Act::SeePublic, postman);
    area.get("/docs/{name}", Act::SeePublic, named);
    area.get("/llms.txt", Act::SeePublic, llms);
    area.get("/files/{name}", Act::SeePublic, files::serve);
    area.get("/preferences", Act::SeePublic, frame::prefer);
    area.get("/demo/mails", Act::SeePublic, mails::show);
    #[cfg(debug_assertions)]
    area.get("/parts", Act::SeePublic, crate::parts::page::show);
}

/// The menu of the public pages.
pub(crate) fn menu(view: &Known) -> Vec<MenuItem> {
    let words = view.words;
    let is_elsewhere = ["/docs/offers", "/docs/reference"].contains(&&*view.path);
    let documents = MenuItem::new(view, "/docs".to_owned(), words.t("docs.menu"));
    let mut menu = vec![
        MenuItem { is_current: documents.is_current && !is_elsewhere, ..documents },
        MenuItem::new(view, "/docs/offers".to_owned(), words.t("docs.offers")),
        MenuItem::new(view, "/docs/reference".to_owned(), words.t("docs.reference")),
    ];
    if view.session.is_some() {
        menu.push(MenuItem::new(view, "/dashboard".to_owned(), words.t("docs.dashboard")));
    }
    menu
}

/// What the address of a guide asks for.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    lang: String,
}

async fn start(view: View, Query(asked): Query<Asked>) -> Response {
    page(&view, GUIDES[0], &asked)
}

async fn start_text(view: View) -> Response {
    guide_text(&view, GUIDES[0])
}

/// A guide as a page, or with `.md` as text.
async fn named(
    view: View,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (stem, is_text) = match name.strip_suffix(".md") {
        Some(stem) => (stem, true),
        None => (name.as_str(), false),
    };
    let mut others = GUIDES[1..].iter();
    let guide = *others.find(|guide| guide.name == stem).ok_or(Problem::NotFound)?;
    Ok(match is_text {
        true => guide_text(&view, guide),
        false => page(&view, guide, &asked),
    })
}

fn guide_text(view: &View, guide: Guide) -> Response {
    let plans = view.site.engine.plan_terms();
    text("text/markdown; charset=utf-8", guide.text(&view.site.facts, plans))
}

async fn llms(view: View) -> Response {
    text("text/plain; charset=utf-8", llms::list(&view.site.facts))
}

async fn postman(view: View) -> Response {
    text("application/json", postman::collection(&view.site.facts))
}

/// A text that everybody may keep for an hour.
fn text(kind: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

#[derive(Template)]
#[template(path = "docs/guide.html")]
struct GuidePage<'a> {
    words: Words,
    menu: Markup,
    title: &'a str,
    is_translated: bool,
    markdown: String,
    headings: Vec<Heading>,
    body: Markup,
}

fn page(view: &View, guide: Guide, asked: &Asked) -> Response {
    let language = SampleLanguage::of(&asked.lang);
    let reader = Reader { keys: keys_of(view), plans: view.site.engine.plan_terms(), language };
    let (mut body, mut headings) = (String::new(), Vec::new());
    for piece in guide.pieces(&view.site.facts, &reader) {
        match piece {
            Piece::Markdown(text) => {
                let (html, more) = markdown::render(&text);
                body.push_str(&html.0);
                headings.extend(more);
            }
            Piece::Code { id, language, text } => {
                body.push_str(&Markup::of(&Code::new(view.words, &id, language, &text)).0);
            }
            Piece::InLanguages { id, text } => {
                let code = Code::new(view.words, &id, language.name(), &text);
                let path = guide.path();
                let href = |one: SampleLanguage| format!("{path}?lang={}#{id}", one.code());
                body.push_str(&Markup::of(&Code { tabs: tabs(language, href), ..code }).0);
            }
            Piece::Run(operation) => {
                let run = RunLink { words: view.words, operation: &operation };
                body.push_str(&Markup::of(&run).0);
            }
        }
    }
    let title = view.words.t(guide.keys[0]);
    let page = GuidePage {
        words: view.words,
        menu: menu_of(view, guide.name),
        title,
        is_translated: view.words.language == crate::words::Language::English,
        markdown: format!("{}.md", guide.path()),
        headings,
        body: Markup(body),
    };
    view.page(title, &page)
}

/// The way from a sample to where it can be run.
#[derive(Template)]
#[template(
    source = "<p><a class=\"button\" href=\"/docs/run?operation={{ operation }}\">\
              {{ words.t(\"run.open\") }}</a></p>",
    ext = "html"
)]
struct RunLink<'a> {
    words: Words,
    operation: &'a str,
}

/// A tab for each language of the samples.
fn tabs(current: SampleLanguage, href: impl Fn(SampleLanguage) -> String) -> Vec<CodeTab> {
    let tab = |language: SampleLanguage| CodeTab {
        label: language.name().to_owned(),
        href: href(language),
        is_current: language == current,
    };
    SampleLanguage::ALL.into_iter().map(tab).collect()
}

/// The keys in the samples: the open key of the reader's sandbox. Its secret was shown once, when
/// it was made, and is not kept.
fn keys_of(view: &View) -> Keys {
    let keys = Keys::default();
    let Some(session) = &view.session else { return keys };
    if !crate::dashboard::may_manage_keys(session) {
        return keys;
    }
    let engine = &view.site.engine;
    let pairs = engine.sandbox_pairs(session.account).unwrap_or_default();
    if let Some((_, pair)) = pairs.into_iter().next() {
        return Keys { open_key: pair.open, secret_key: pair.secret };
    }
    // A pair from before its secret was kept.
    let all = engine.keys_of(session.account).unwrap_or_default();
    let now = engine.now();
    let mut usable = all
        .into_iter()
        .filter(|key| key.environment == Environment::Sandbox && key.is_valid_at(now));
    match usable.next() {
        Some(key) => Keys { open_key: key.open_key, ..keys },
        None => keys,
    }
}

struct Entry {
    href: String,
    label: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "docs/menu.html")]
struct DocsMenu {
    words: Words,
    entries: Vec<Entry>,
}

/// The menu beside every document; `current` is the end of a page's address.
fn menu_of(view: &View, current: &str) -> Markup {
    let words = view.words;
    let guides = GUIDES.map(|guide| (guide.name, guide.path(), words.t(guide.keys[0])));
    let others = [
        ("offers", "/docs/offers".to_owned(), words.t("docs.offers")),
        ("run", "/docs/run".to_owned(), words.t("docs.run")),
        ("reference", "/docs/reference".to_owned(), words.t("docs.reference")),
    ];
    let entries = guides.into_iter().chain(others).map(|(name, href, label)| Entry {
        href,
        label: label.to_owned(),
        is_current: name == current,
    });
    Markup::of(&DocsMenu { words, entries: entries.collect() })
}

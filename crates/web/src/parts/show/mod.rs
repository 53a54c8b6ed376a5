//! Parts that show something: badge, tile, code, copy, secret, empty; chart and timeline beside.

pub(crate) mod chart;
pub(crate) mod timeline;

use super::parts;
use crate::words::Words;
use askama::Template;
use domain::State;

/// What a badge says by its colour too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Ok,
    Info,
    Wait,
    Doubt,
    Bad,
    Off,
    Back,
}

impl Tone {
    /// For the page of all parts.
    #[cfg(debug_assertions)]
    pub(crate) const ALL: [Tone; 7] =
        [Tone::Ok, Tone::Info, Tone::Wait, Tone::Doubt, Tone::Bad, Tone::Off, Tone::Back];

    const fn class(self) -> &'static str {
        match self {
            Tone::Ok => "ok",
            Tone::Info => "info",
            Tone::Wait => "wait",
            Tone::Doubt => "doubt",
            Tone::Bad => "bad",
            Tone::Off => "off",
            Tone::Back => "back",
        }
    }
}

/// A dot and a word.
#[derive(Clone, Debug, Template)]
#[template(source = "<span class=\"badge {{ tone.class() }}\">{{ word }}</span>", ext = "html")]
pub(crate) struct Badge {
    tone: Tone,
    word: String,
}

impl Badge {
    pub(crate) fn new(tone: Tone, word: &str) -> Badge {
        Badge { tone, word: word.to_owned() }
    }

    /// A purchase's state as a merchant reads it (UI.md 4.4).
    pub(crate) fn of_state(words: Words, state: State) -> Badge {
        let (tone, word) = match state {
            State::Quoted => (Tone::Off, words.t("state.quoted")),
            State::Awaiting => (Tone::Wait, words.t("state.awaiting")),
            State::Held => (Tone::Info, words.t("state.held")),
            State::Sent => (Tone::Info, words.t("state.sent")),
            State::InDoubt | State::WithStaff => (Tone::Doubt, words.t("state.in-doubt")),
            State::Delivered => (Tone::Ok, words.t("state.delivered")),
            State::Failed => (Tone::Bad, words.t("state.failed")),
            State::Rejected => (Tone::Off, words.t("state.rejected")),
            State::Refunded => (Tone::Back, words.t("state.refunded")),
        };
        Badge::new(tone, word)
    }
}

/// A number with its label and context.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<div class=\"tile\"><p class=\"label\">{{ label }}</p>\
              <p class=\"value\">{{ value }}</p>\
              {% if !context.is_empty() %}<p class=\"soft\">{{ context }}</p>{% endif %}\
              {% if !href.is_empty() %}<p><a href=\"{{ href }}\">{{ link }}</a></p>\
              {% endif %}</div>",
    ext = "html"
)]
pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) context: String,
    pub(crate) href: String,
    pub(crate) link: String,
}

/// One language's tab of a code part.
#[derive(Clone, Debug)]
pub(crate) struct CodeTab {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) is_current: bool,
}

/// Code with its language and *Copy* above it; tabs are links.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/show/code.html")]
pub(crate) struct Code {
    pub(crate) words: Words,
    /// Of its own on the page.
    pub(crate) id: String,
    /// `curl`, `JSON`, `Python`.
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) tabs: Vec<CodeTab>,
}

impl Code {
    pub(crate) fn new(words: Words, id: &str, language: &str, text: &str) -> Code {
        Code {
            words,
            id: id.to_owned(),
            language: language.to_owned(),
            text: text.to_owned(),
            tabs: Vec::new(),
        }
    }
}

/// A button that copies the text of an element; without script there is none.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<button type=\"button\" class=\"copy\" data-copy=\"{{ of }}\" \
              data-copied=\"{{ words.t(\"part.copied\") }}\" hidden>\
              {{ words.t(\"part.copy\") }}<span class=\"hidden\"> {{ what }}</span></button>",
    ext = "html"
)]
pub(crate) struct Copy {
    words: Words,
    of: String,
    what: String,
}

impl Copy {
    /// `of` is the id of the element, `what` how people call it.
    pub(crate) fn new(words: Words, of: &str, what: &str) -> Copy {
        Copy { words, of: of.to_owned(), what: what.to_owned() }
    }
}

/// A key or a secret with its *Copy*. A masked one shows its end only.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<span class=\"secret\"><code id=\"{{ id }}\">{{ shown }}</code>{{ copy }}</span>",
    ext = "html"
)]
pub(crate) struct Secret {
    id: String,
    shown: String,
    copy: super::Markup,
}

impl Secret {
    pub(crate) fn shown(words: Words, id: &str, what: &str, text: &str) -> Secret {
        let copy = super::Markup::of(&Copy::new(words, id, what));
        Secret { id: id.to_owned(), shown: text.to_owned(), copy }
    }

    pub(crate) fn masked(id: &str, tail: &str) -> Secret {
        let copy = super::Markup::default();
        Secret { id: id.to_owned(), shown: format!("••••••••{tail}"), copy }
    }
}

/// Why there is nothing, and the one act that changes it.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<div class=\"empty\">{% if !why.is_empty() %}<p>{{ why }}</p>{% endif %}\
              {% if !href.is_empty() %}\
              <p><a class=\"button\" href=\"{{ href }}\">{{ label }}</a></p>\
              {% endif %}</div>",
    ext = "html"
)]
pub(crate) struct Empty {
    why: String,
    href: String,
    label: String,
}

impl Empty {
    pub(crate) fn new(why: &str) -> Empty {
        Empty { why: why.to_owned(), href: String::new(), label: String::new() }
    }

    /// The act alone.
    pub(crate) fn act(href: &str, label: &str) -> Empty {
        Empty::new("").with(href, label)
    }

    pub(crate) fn with(self, href: &str, label: &str) -> Empty {
        Empty { href: href.to_owned(), label: label.to_owned(), ..self }
    }
}

parts!(Badge, Tile, Code, Copy, Secret, Empty);

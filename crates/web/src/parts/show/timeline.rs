//! A list of what happened, each with its time; technical detail folded away.

use crate::parts::{Markup, Tone, parts};
use askama::Template;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// As [`crate::parts::time_tag`] renders it.
    pub(crate) at: Markup,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    /// For who wants to know; may be empty.
    pub(crate) detail: String,
}

/// What happened, in its order.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<ol class=\"timeline\">{% for moment in moments %}\
              <li class=\"{{ moment.class() }}\"><span class=\"at\">{{ moment.at }}</span>\
              <div><p>{{ moment.text }}</p>{% if !moment.detail.is_empty() %}\
              <details><summary>{{ detail }}</summary><pre tabindex=\"0\">{{ moment.detail }}</pre>\
              </details>{% endif %}</div></li>{% endfor %}</ol>",
    ext = "html"
)]
pub(crate) struct Timeline {
    /// How the folded part is called.
    pub(crate) detail: String,
    pub(crate) moments: Vec<Moment>,
}

impl Moment {
    fn class(&self) -> &'static str {
        self.tone.class()
    }
}

parts!(Timeline);

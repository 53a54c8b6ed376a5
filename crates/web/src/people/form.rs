//! A page that is one form: the way in, step by step.

use crate::parts::{Button, ErrorSummary, Field, Markup};
use crate::view::View;
use askama::Template;
use axum::response::Response;
use domain::FieldError;

struct Hidden {
    name: &'static str,
    value: String,
}

struct Link {
    href: String,
    label: String,
}

/// A page with one form in a card.
#[derive(Template)]
#[template(path = "people/form.html")]
pub(crate) struct FormPage {
    title: String,
    intro: Vec<String>,
    summary: ErrorSummary,
    /// Between the words and the form.
    above: Markup,
    action: String,
    csrf: String,
    hidden: Vec<Hidden>,
    fields: Vec<Markup>,
    button: Button,
    links: Vec<Link>,
}

impl FormPage {
    pub(crate) fn new(view: &View, title: &str, action: &str, button: &str) -> FormPage {
        FormPage {
            title: title.to_owned(),
            intro: Vec::new(),
            summary: ErrorSummary::default(),
            above: Markup::default(),
            action: action.to_owned(),
            csrf: view.csrf.clone(),
            hidden: Vec::new(),
            fields: Vec::new(),
            button: Button::main(view.words, button),
            links: Vec::new(),
        }
    }

    pub(crate) fn intro(mut self, text: &str) -> FormPage {
        self.intro.push(text.to_owned());
        self
    }

    pub(crate) fn above(mut self, markup: Markup) -> FormPage {
        self.above = markup;
        self
    }

    pub(crate) fn hidden(mut self, name: &'static str, value: &str) -> FormPage {
        self.hidden.push(Hidden { name, value: value.to_owned() });
        self
    }

    pub(crate) fn field(mut self, field: &impl Template) -> FormPage {
        self.fields.push(Markup::of(field));
        self
    }

    pub(crate) fn link(mut self, href: &str, label: &str) -> FormPage {
        self.links.push(Link { href: href.to_owned(), label: label.to_owned() });
        self
    }

    pub(crate) fn summary(mut self, summary: ErrorSummary) -> FormPage {
        self.summary = summary;
        self
    }

    /// The page; 422 if it has errors.
    pub(crate) fn show(self, view: &View) -> Response {
        let title = self.title.clone();
        match self.summary.is_empty() {
            true => view.page(&title, &self),
            false => view.wrong(&title, &self),
        }
    }
}

/// What is wrong with a form: fields, or the form itself.
#[derive(Default)]
pub(crate) struct Wrong {
    pub(crate) fields: Vec<FieldError>,
    /// A word's key; empty: nothing.
    pub(crate) whole: &'static str,
}

impl Wrong {
    pub(crate) fn whole(key: &'static str) -> Wrong {
        Wrong { whole: key, ..Wrong::default() }
    }

    pub(crate) fn fields(fields: Vec<FieldError>) -> Wrong {
        Wrong { fields, ..Wrong::default() }
    }

    /// The field with what is wrong with it, in the reader's words.
    pub(crate) fn mark(&self, view: &View, field: Field) -> Field {
        match self.fields.iter().find(|error| error.field == field.name) {
            Some(_) => {
                let text = text_of(view, field.name);
                field.error(text)
            }
            None => field,
        }
    }

    pub(crate) fn summary(&self, view: &View, fields: &[&Field]) -> ErrorSummary {
        match self.whole {
            "" if self.fields.is_empty() => ErrorSummary::default(),
            "" => {
                let summary = ErrorSummary::of(view.words, fields);
                // A choice from a list has no field of its own here.
                let is_said = !summary.is_empty();
                let other = || ErrorSummary::whole(view.words, view.words.t("wrong.other"));
                if is_said { summary } else { other() }
            }
            key => ErrorSummary::whole(view.words, view.words.t(key)),
        }
    }
}

fn text_of(view: &View, field: &str) -> &'static str {
    let words = view.words;
    match field {
        "email" => words.t("wrong.email"),
        "password" => words.t("wrong.password"),
        "business" => words.t("wrong.business"),
        "code" => words.t("wrong.code"),
        "number" => words.t("wrong.number"),
        "amount" => words.t("wrong.amount"),
        _ => words.t("wrong.other"),
    }
}

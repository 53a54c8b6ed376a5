//! Parts of forms: field, select, button, summary of errors, filters.
//!
//! Invariant: what was typed stays, except a password; an error is said at its field and at the top
//! in the same words.

use super::parts;
use crate::words::Words;
use askama::Template;

/// A field with its label.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/form/field.html")]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) hint: String,
    /// What is in it.
    pub(crate) value: String,
    /// What is wrong with it; empty: nothing.
    pub(crate) error: String,
    /// `text`, `email`, `password`, `tel`, `search`, `url`; never `number`.
    pub(crate) kind: &'static str,
    pub(crate) autocomplete: &'static str,
    pub(crate) inputmode: &'static str,
    pub(crate) is_required: bool,
    pub(crate) is_focused: bool,
    /// Several lines.
    pub(crate) is_long: bool,
}

impl Field {
    pub(crate) fn new(name: &'static str, label: &str) -> Field {
        Field { name, label: label.to_owned(), kind: "text", is_required: true, ..Field::default() }
    }

    pub(crate) fn email(name: &'static str, label: &str) -> Field {
        Field {
            kind: "email",
            autocomplete: "username",
            inputmode: "email",
            ..Field::new(name, label)
        }
    }

    /// `autocomplete` is `current-password` or `new-password`.
    pub(crate) fn password(name: &'static str, label: &str, autocomplete: &'static str) -> Field {
        Field { kind: "password", autocomplete, ..Field::new(name, label) }
    }

    /// A code of a second factor or of a mail.
    pub(crate) fn code(name: &'static str, label: &str) -> Field {
        Field { autocomplete: "one-time-code", ..Field::new(name, label) }
    }

    pub(crate) fn hint(mut self, hint: &str) -> Field {
        hint.clone_into(&mut self.hint);
        self
    }

    pub(crate) fn value(mut self, value: &str) -> Field {
        value.clone_into(&mut self.value);
        self
    }

    pub(crate) fn error(mut self, error: &str) -> Field {
        error.clone_into(&mut self.error);
        self
    }

    pub(crate) fn inputmode(mut self, mode: &'static str) -> Field {
        self.inputmode = mode;
        self
    }

    pub(crate) fn autocomplete(mut self, autocomplete: &'static str) -> Field {
        self.autocomplete = autocomplete;
        self
    }

    pub(crate) fn optional(mut self) -> Field {
        self.is_required = false;
        self
    }

    pub(crate) fn focused(mut self) -> Field {
        self.is_focused = true;
        self
    }

    pub(crate) fn long(mut self) -> Field {
        self.is_long = true;
        self
    }
}

/// An entry of a select.
#[derive(Clone, Debug)]
pub(crate) struct SelectOption {
    pub(crate) value: String,
    pub(crate) label: String,
}

impl SelectOption {
    pub(crate) fn new(value: &str, label: &str) -> SelectOption {
        SelectOption { value: value.to_owned(), label: label.to_owned() }
    }
}

/// A choice from a list.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/form/select.html")]
pub(crate) struct Select {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) options: Vec<SelectOption>,
    pub(crate) chosen: String,
    pub(crate) error: String,
}

/// A button that sends its form.
#[derive(Clone, Debug, Template)]
#[template(
    source = "<button class=\"{{ class }}\" data-sending=\"{{ sending }}\">{{ label }}</button>",
    ext = "html"
)]
pub(crate) struct Button {
    label: String,
    sending: String,
    class: &'static str,
}

impl Button {
    /// The page's one main act.
    pub(crate) fn main(words: Words, label: &str) -> Button {
        let sending = words.t("form.sending").to_owned();
        let label = label.to_owned();
        Button { label, sending, class: "button main" }
    }

    /// Any other act.
    pub(crate) fn other(words: Words, label: &str) -> Button {
        Button { class: "button", ..Button::main(words, label) }
    }

    /// An act that takes something away.
    pub(crate) fn danger(words: Words, label: &str) -> Button {
        Button { class: "button danger", ..Button::main(words, label) }
    }
}

/// All errors of a form, at the top, focused; each links to its field.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/form/summary.html")]
pub(crate) struct ErrorSummary {
    title: String,
    /// The field's name (empty: the form itself) and the words.
    errors: Vec<FormError>,
}

#[derive(Clone, Debug)]
struct FormError {
    field: String,
    text: String,
}

impl ErrorSummary {
    /// Of the fields that have an error, in their order.
    pub(crate) fn of(words: Words, fields: &[&Field]) -> ErrorSummary {
        let wrong = fields.iter().filter(|field| !field.error.is_empty());
        let errors = wrong
            .map(|field| FormError { field: field.name.to_owned(), text: field.error.clone() })
            .collect();
        ErrorSummary::with(words, errors)
    }

    /// Of the form as a whole.
    pub(crate) fn whole(words: Words, text: &str) -> ErrorSummary {
        let error = FormError { field: String::new(), text: text.to_owned() };
        ErrorSummary::with(words, vec![error])
    }

    fn with(words: Words, errors: Vec<FormError>) -> ErrorSummary {
        let count = u64::try_from(errors.len()).unwrap_or(u64::MAX);
        ErrorSummary { title: words.count("error.count", count), errors }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

/// A filter that is set: what it says, and the address without it.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) label: String,
    pub(crate) without: String,
}

/// The filters of a list: a GET form, and a chip for each that is set.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/form/filters.html")]
pub(crate) struct Filters {
    pub(crate) words: Words,
    pub(crate) action: String,
    pub(crate) selects: Vec<Select>,
    pub(crate) fields: Vec<Field>,
    pub(crate) set: Vec<Filter>,
}

parts!(Field, Select, Button, ErrorSummary, Filters);

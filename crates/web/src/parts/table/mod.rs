//! A table: a caption with its zone, columns that can be sorted, rows whose first cell links, and
//! *Older*, *Newer*. On a phone a row is a card.

use super::{Markup, parts};
use crate::words::Words;
use askama::Template;

/// A column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    pub(crate) label: String,
    pub(crate) is_number: bool,
    /// Of long texts: the whole width of a card on a phone.
    pub(crate) is_wide: bool,
    /// Where the table is sorted by it; empty: it cannot be.
    pub(crate) sort: String,
    /// `ascending`, `descending`, or empty.
    pub(crate) sorted: &'static str,
}

impl Column {
    pub(crate) fn new(label: &str) -> Column {
        Column { label: label.to_owned(), ..Column::default() }
    }

    /// Of long texts.
    pub(crate) fn wide(label: &str) -> Column {
        Column { is_wide: true, ..Column::new(label) }
    }

    /// Right-aligned, with figures of one width.
    pub(crate) fn number(label: &str) -> Column {
        Column { is_number: true, ..Column::new(label) }
    }
}

/// A cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// An id, a key: in the code's letters.
    Code(String),
    Link {
        href: String,
        text: String,
    },
    /// A badge, a time, a form.
    Part(Markup),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    pub(crate) fn link(href: impl Into<String>, text: impl Into<String>) -> Cell {
        Cell::Link { href: href.into(), text: text.into() }
    }

    pub(crate) fn part(part: &impl Template) -> Cell {
        Cell::Part(Markup::of(part))
    }
}

/// A row: a cell for each column.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

/// A table.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/table/table.html")]
pub(crate) struct Table {
    pub(crate) words: Words,
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// Instead of rows, when there are none.
    pub(crate) empty: Markup,
    /// Addresses of the neighbours; empty: there are none.
    pub(crate) newer: String,
    pub(crate) older: String,
}

impl Table {
    pub(crate) fn new(words: Words, caption: &str, columns: Vec<Column>) -> Table {
        Table {
            words,
            caption: caption.to_owned(),
            columns,
            rows: Vec::new(),
            empty: Markup::default(),
            newer: String::new(),
            older: String::new(),
        }
    }

    pub(crate) fn rows(mut self, rows: Vec<Row>) -> Table {
        self.rows = rows;
        self
    }

    pub(crate) fn empty(mut self, empty: &impl Template) -> Table {
        self.empty = Markup::of(empty);
        self
    }

    fn class(&self, at: usize) -> Option<&'static str> {
        let column = self.columns.get(at)?;
        column.is_number.then_some("number").or(column.is_wide.then_some("wide"))
    }

    fn label(&self, at: usize) -> &str {
        self.columns.get(at).map_or("", |column| &column.label)
    }
}

parts!(Table);

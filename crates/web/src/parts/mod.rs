//! The parts of pages: each a struct with a template of its own.
//!
//! A part is markup where it stands in a template (`{{ badge }}`); all else is escaped. Invariant:
//! money, times and numbers are formatted here and nowhere else.

pub(crate) mod form;
pub(crate) mod format;
#[cfg(debug_assertions)]
pub(crate) mod page;
pub(crate) mod show;
pub(crate) mod table;

pub(crate) use form::{Button, ErrorSummary, Field, Filter, Filters, Select, SelectOption};
pub(crate) use format::{Zone, money, number, time_tag};
pub(crate) use show::chart::{Chart, Series};
pub(crate) use show::timeline::{Moment, Timeline};
pub(crate) use show::{Badge, Code, CodeTab, Empty, Secret, Tile, Tone};
pub(crate) use table::{Cell, Column, Row, Table};

use askama::Template;
use std::fmt::{Display, Formatter};

/// HTML that is rendered already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Markup(pub(crate) String);

impl Markup {
    /// What a part or a page's body renders to. A template can fail only if its text cannot be
    /// formatted; then there is none, and the log says so.
    pub(crate) fn of(template: &impl Template) -> Markup {
        match template.render() {
            Ok(html) => Markup(html),
            Err(error) => {
                tracing::error!(target: "counted", code = %error, "a part could not be rendered");
                Markup::default()
            }
        }
    }
}

impl Display for Markup {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::FastWritable for Markup {
    fn write_into(
        &self,
        dest: &mut dyn std::fmt::Write,
        _: &dyn askama::Values,
    ) -> askama::Result<()> {
        dest.write_str(&self.0)?;
        Ok(())
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Makes parts markup where they stand in a template.
macro_rules! parts {
    ($($name:ident),+ $(,)?) => {
        $(impl askama::filters::HtmlSafe for $name {})+
    };
}
pub(crate) use parts;

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn templates(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                templates(&path, found);
            } else if path.extension().is_some_and(|e| e == "html" || e == "rs") {
                let name = path.to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    /// No page of ours has an inline script or style, or a text that is not escaped; and only
    /// `area.rs` makes routes.
    #[test]
    fn templates_have_nothing_inline_and_escape_everything() {
        let mut all = Vec::new();
        templates(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        assert!(all.len() > 20);
        for (name, text) in all {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for bad in
                [" style=\"", "<style", "onclick=", "onsubmit=", "onload=", "<script>", "|safe"]
            {
                assert!(!text.contains(bad), "{name} has {bad:?}");
            }
            let is_area = name.ends_with("/area.rs");
            assert!(is_area || !text.contains(".route("), "{name}: routes are made in area.rs");
        }
    }
}

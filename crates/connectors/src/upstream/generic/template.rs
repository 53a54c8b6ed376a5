//! Texts with places for values: `{amount|number}`.
//!
//! Not here: which values there are (`request.rs`). Invariants: a place whose value is missing
//! stops the call before anything is sent; a value is escaped for where it stands.

use domain::Timestamp;
use jiff::tz::TimeZone;

/// A text, read once when the file is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(Placeholder),
}

/// One `{name|filter|…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placeholder {
    pub(super) name: String,
    arguments: Vec<String>,
}

/// Why a text has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// A place has no value in this order.
    #[error("{0} has no value in this order")]
    Missing(String),
    /// A value cannot be written where it stands.
    #[error("{0} cannot be written there")]
    Unwritable(String),
    /// The text itself is wrong.
    #[error("{0}")]
    Malformed(String),
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeContext {
    /// As it is: a form's or a query's value, which its writer escapes; a message to sign.
    Plain,
    /// One segment of a path.
    Path,
    /// A header's value: visible ASCII.
    Header,
    /// Between tags.
    Xml,
    /// A text of one line.
    Line,
}

/// What the places of a text stand for.
pub(super) trait Values {
    /// The value of a name; `None`: this order has none.
    fn value(&self, name: &str) -> Option<String>;
    /// When the call is written.
    fn now(&self) -> Timestamp;
    /// When the attempt went on record; none for a call without an order.
    fn started_at(&self) -> Option<Timestamp>;
}

/// What `|…` does to a value.
fn filtered(value: String, filter: &str) -> Result<String, Unfit> {
    let last = |count: usize| {
        let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
        digits[digits.len().saturating_sub(count)..].iter().collect::<String>()
    };
    match filter {
        // S1042-1 becomes S1042x1: still one attempt, one text.
        "alnum" => {
            Ok(value.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { 'x' }).collect())
        }
        "upper" => Ok(value.to_ascii_uppercase()),
        "lower" => Ok(value.to_ascii_lowercase()),
        "last9" => Ok(last(9)),
        "last10" => Ok(last(10)),
        "number" => match is_number(&value) {
            true => Ok(value),
            false => Err(Unfit::Unwritable(format!("{value:?} as a number"))),
        },
        other => Err(Unfit::Malformed(format!("there is no filter {other:?}"))),
    }
}

/// Whether a text is a JSON number without sign and exponent.
pub(super) fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// The filters that a file may name; for the loader.
const FILTERS: [&str; 6] = ["alnum", "upper", "lower", "last9", "last10", "number"];

impl Template {
    /// Reads a text. `{{` and `}}` are braces.
    pub(super) fn parse(text: &str) -> Result<Template, Unfit> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            if rest[at + 1..].starts_with(brace) {
                literal.push_str(brace);
                rest = &rest[at + 2..];
                continue;
            }
            let end = rest[at..].find('}').filter(|_| brace == "{");
            let Some(end) = end else {
                return Err(Unfit::Malformed(format!("a brace stands alone in {text:?}")));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Placeholder(Placeholder::parse(&rest[at + 1..at + end])?));
            rest = &rest[at + end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template { parts })
    }

    /// The places, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(place) => Some(place),
            Part::Literal(_) => None,
        })
    }

    /// What stands between the places.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Placeholder(_) => None,
        })
    }

    /// Whether a place of this name is written without its beginning.
    pub(super) fn shortens(&self, name: &str) -> bool {
        let is_cut = |filter: &String| matches!(filter.as_str(), "last9" | "last10");
        self.places().any(|place| place.name == name && place.arguments.iter().any(is_cut))
    }

    /// A regex for what the text writes; a place is a group, named as [`Template::place_name`]
    /// reads.
    pub(super) fn pattern(&self) -> String {
        let mut seen = Vec::new();
        let mut pattern = String::from("^");
        for part in &self.parts {
            match part {
                Part::Literal(text) => pattern.push_str(&regex::escape(text)),
                Part::Placeholder(place) if seen.contains(&&place.name) => pattern.push_str(".*"),
                Part::Placeholder(place) => {
                    seen.push(&place.name);
                    pattern.push_str(&format!("(?P<{}>.*)", place.name.replace('.', "__")));
                }
            }
        }
        pattern + "$"
    }

    /// The place's name of a group's.
    pub(super) fn place_name(group: &str) -> String {
        group.replace("__", ".")
    }

    /// A regex for what the text writes with these values at whatever time; none if a value is
    /// missing.
    pub(super) fn pattern_at_any_time(&self, values: &dyn Values) -> Option<String> {
        let mut pattern = String::from("^");
        for part in &self.parts {
            match part {
                Part::Literal(text) => pattern.push_str(&regex::escape(text)),
                Part::Placeholder(place) if place.is_moment() => pattern.push_str(".+"),
                Part::Placeholder(place) => {
                    pattern.push_str(&regex::escape(&place.render(values).ok()?))
                }
            }
        }
        Some(pattern + "$")
    }

    /// Whether the whole text is one place with the filter `number`.
    pub(super) fn is_bare_number(&self) -> bool {
        matches!(&self.parts[..], [Part::Placeholder(place)]
            if place.arguments.last().is_some_and(|filter| filter == "number"))
    }

    /// The text with its values.
    pub(super) fn render(
        &self,
        values: &dyn Values,
        context: EscapeContext,
    ) -> Result<String, Unfit> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(place) => {
                    text.push_str(&escaped(place.render(values)?, place, context)?)
                }
            }
        }
        Ok(text)
    }
}

impl Placeholder {
    fn parse(text: &str) -> Result<Placeholder, Unfit> {
        let mut pieces = text.split('|').map(str::to_owned);
        let name = pieces.next().unwrap_or_default();
        let arguments: Vec<String> = pieces.collect();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(Unfit::Malformed(format!("{{{text}}} is not a place for a value")));
        }
        let place = Placeholder { name, arguments };
        if place.is_moment() {
            // Written once, so that a wrong form or zone is found when the file is loaded.
            place.moment(Timestamp(0))?;
            return Ok(place);
        }
        match place.arguments.iter().find(|f| !FILTERS.contains(&f.as_str())) {
            Some(filter) => Err(Unfit::Malformed(format!("there is no filter {filter:?}"))),
            None => Ok(place),
        }
    }

    /// Whether it stands for a time.
    pub(super) fn is_moment(&self) -> bool {
        matches!(self.name.as_str(), "now" | "started")
    }

    fn render(&self, values: &dyn Values) -> Result<String, Unfit> {
        if self.is_moment() {
            let at = if self.name == "now" { Some(values.now()) } else { values.started_at() };
            return self.moment(at.ok_or_else(|| Unfit::Missing(self.name.clone()))?);
        }
        let value = values.value(&self.name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Unfit::Missing(self.name.clone()))?;
        self.arguments.iter().try_fold(value, |value, filter| filtered(value, filter))
    }

    /// `{now|unix}`, `{now|unix_ms}`, `{now|%Y%m%d|Asia/Dhaka}`.
    fn moment(&self, at: Timestamp) -> Result<String, Unfit> {
        let name = &self.name;
        let malformed =
            |text: &dyn std::fmt::Display| Unfit::Malformed(format!("{{{name}}}: {text}"));
        let form = self.arguments.first().map_or("", String::as_str);
        match form {
            "unix" => return Ok((at.0 / 1_000_000).to_string()),
            "unix_ms" => return Ok((at.0 / 1_000).to_string()),
            "" => return Err(malformed(&"a form is missing, for example unix or %Y%m%d")),
            _ => {}
        }
        let zone = match self.arguments.get(1) {
            Some(name) => TimeZone::get(name).map_err(|error| malformed(&error))?,
            None => TimeZone::UTC,
        };
        let moment = jiff::Timestamp::from_microsecond(at.0).map_err(|error| malformed(&error))?;
        jiff::fmt::strtime::format(form, &moment.to_zoned(zone)).map_err(|error| malformed(&error))
    }
}

/// A value as it is written in its context.
fn escaped(value: String, place: &Placeholder, context: EscapeContext) -> Result<String, Unfit> {
    let unwritable = || Unfit::Unwritable(place.name.clone());
    match context {
        EscapeContext::Plain => Ok(value),
        EscapeContext::Path => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let is_dots = value.chars().all(|c| c == '.');
            (value.chars().all(is_plain) && !is_dots).then_some(value).ok_or_else(unwritable)
        }
        EscapeContext::Header => {
            let is_visible = |b: u8| (0x20..0x7f).contains(&b);
            value.bytes().all(is_visible).then_some(value).ok_or_else(unwritable)
        }
        EscapeContext::Line => {
            let has_control = value.chars().any(char::is_control);
            (!has_control).then_some(value).ok_or_else(unwritable)
        }
        EscapeContext::Xml => {
            if value.chars().any(char::is_control) {
                return Err(unwritable());
            }
            let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            Ok(text.replace('"', "&quot;").replace('\'', "&apos;"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Values for One {
        fn value(&self, name: &str) -> Option<String> {
            match name {
                "attempt" => Some("S1042-1".to_owned()),
                "amount" => Some("10.50".to_owned()),
                "note" => Some("a<b>&\"c'\r\n".to_owned()),
                "name" => Some("a<b>&".to_owned()),
                "up" => Some("..".to_owned()),
                _ => None,
            }
        }

        fn now(&self) -> Timestamp {
            // 2026-11-29T20:05:00Z
            Timestamp(1_795_982_700_000_000)
        }

        fn started_at(&self) -> Option<Timestamp> {
            Some(Timestamp(1_795_982_640_000_000))
        }
    }

    fn rendered(text: &str, context: EscapeContext) -> Result<String, Unfit> {
        Template::parse(text)?.render(&One, context)
    }

    #[test]
    fn values_stand_in_their_places() {
        let plain = |text| rendered(text, EscapeContext::Plain);
        assert_eq!(plain("x-{attempt|alnum|lower}-y").as_deref(), Ok("x-s1042x1-y"));
        assert_eq!(plain("{{{amount}}}").as_deref(), Ok("{10.50}"));
        assert_eq!(plain("{now|%Y-%m-%d %H:%M|Asia/Dhaka}").as_deref(), Ok("2026-11-30 02:05"));
        assert_eq!(plain("{now|unix_ms}").as_deref(), Ok("1795982700000"));
        assert_eq!(plain("{started|%H:%M}").as_deref(), Ok("20:04"));
        assert_eq!(
            rendered("<a>{name}</a>", EscapeContext::Xml).as_deref(),
            Ok("<a>a&lt;b&gt;&amp;</a>")
        );
    }

    #[test]
    fn what_has_no_value_or_does_not_fit_stops() {
        assert_eq!(rendered("{id}", EscapeContext::Plain), Err(Unfit::Missing("id".to_owned())));
        for (text, context) in [
            ("{note}", EscapeContext::Header),
            ("{note}", EscapeContext::Line),
            ("{note}", EscapeContext::Xml),
            ("{name}", EscapeContext::Path),
            ("{up}", EscapeContext::Path),
            ("{attempt|number}", EscapeContext::Plain),
        ] {
            let error = rendered(text, context);
            assert!(matches!(error, Err(Unfit::Unwritable(_))), "{text} {context:?} {error:?}");
        }
        for wrong in ["{", "}", "{a b}", "{}", "{now}", "{now|%Y|No/Where}", "{started}"] {
            assert!(matches!(Template::parse(wrong), Err(Unfit::Malformed(_))), "{wrong}");
        }
        let filter = Unfit::Malformed("there is no filter \"round\"".to_owned());
        assert_eq!(Template::parse("{amount|round}"), Err(filter));
    }

    #[test]
    fn a_number_has_one_form() {
        for (text, is) in
            [("0", true), ("10.50", true), ("01", false), ("1e5", false), ("-1", false)]
        {
            assert_eq!(is_number(text), is, "{text}");
        }
    }
}

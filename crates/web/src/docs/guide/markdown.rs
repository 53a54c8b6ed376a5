//! Markdown as HTML: headings with ids, tables that scroll by themselves.
//!
//! Invariant: HTML in the text is shown as text.

use crate::parts::Markup;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A heading of the second level: what a page's contents list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// The HTML of a text, and its headings.
pub(crate) fn render(text: &str) -> (Markup, Vec<Heading>) {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let headings = add_ids(&mut events);
    // What was HTML in the text is text before ours is added.
    let framed = name_cells(events.into_iter().flat_map(framed).collect());
    let mut page = String::new();
    html::push_html(&mut page, framed.into_iter());
    (Markup(page), headings)
}

/// Each cell of a table with the name of its column: on a phone, a row is shown as a card.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other Markdown stays as it is")]
fn name_cells(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let mut names: Vec<String> = Vec::new();
    let (mut is_head, mut column) = (false, 0);
    let named = events.into_iter().map(|event| {
        match &event {
            Event::Start(Tag::TableHead) => (is_head, names) = (true, Vec::new()),
            Event::End(TagEnd::TableHead) => is_head = false,
            Event::Start(Tag::TableRow) => column = 0,
            Event::Start(Tag::TableCell) if is_head => names.push(String::new()),
            Event::Text(text) | Event::Code(text) if is_head => {
                if let Some(name) = names.last_mut() {
                    name.push_str(text);
                }
            }
            _ => {}
        }
        match event {
            Event::Start(Tag::TableCell) if !is_head => {
                let name = names.get(column).map_or("", String::as_str);
                column += 1;
                let name = name.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
                Event::Html(format!("<td data-label=\"{name}\">").into())
            }
            Event::End(TagEnd::TableCell) if !is_head => Event::Html("</td>".into()),
            other => other,
        }
    });
    named.collect()
}

/// What an event becomes: a table gets a box that scrolls, HTML becomes text.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other Markdown stays as it is")]
fn framed(event: Event<'_>) -> Vec<Event<'_>> {
    let html = |text: &'static str| Event::Html(CowStr::Borrowed(text));
    match event {
        Event::Start(Tag::Table(columns)) => {
            vec![
                html("<div class=\"table scroll\" tabindex=\"0\">"),
                Event::Start(Tag::Table(columns)),
            ]
        }
        Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), html("</div>")],
        // A block that scrolls can be reached by keyboard.
        Event::Start(Tag::CodeBlock(_)) => vec![html("<pre tabindex=\"0\"><code>")],
        Event::End(TagEnd::CodeBlock) => vec![html("</code></pre>")],
        Event::Html(text) | Event::InlineHtml(text) => vec![Event::Text(text)],
        other => vec![other],
    }
}

/// Gives each heading an id made of its text.
fn add_ids(events: &mut [Event<'_>]) -> Vec<Heading> {
    let mut headings = Vec::new();
    for at in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = &events[at] else { continue };
        let level = *level;
        let inside = events[at + 1..].iter();
        let text: String = inside
            .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
            .filter_map(|event| {
                let (Event::Text(text) | Event::Code(text)) = event else { return None };
                Some(text.as_ref())
            })
            .collect();
        let id = slug(&text);
        if let Event::Start(Tag::Heading { id: slot, .. }) = &mut events[at] {
            *slot = Some(id.clone().into());
        }
        if level == HeadingLevel::H2 {
            headings.push(Heading { id, text });
        }
    }
    headings
}

/// `Keys and environments` → `keys-and-environments`.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_ids_and_tables_scroll() {
        let (Markup(page), headings) =
            render("## Keys, and more\n\n| a | b |\n|---|---|\n| 1 | `x|y` <b> |\n");
        assert!(page.starts_with("<h2 id=\"keys-and-more\">Keys, and more</h2>"), "{page}");
        assert!(page.contains("<div class=\"table scroll\" tabindex=\"0\"><table>"), "{page}");
        assert!(page.contains("<th>b</th>") && page.contains("<td data-label=\"b\">"), "{page}");
        assert_eq!(
            headings,
            [Heading { id: "keys-and-more".into(), text: "Keys, and more".into() }]
        );
    }

    #[test]
    fn html_is_text() {
        let (Markup(page), _) = render("<script>alert(1)</script>\n\nA <b>word</b>\n");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    }
}

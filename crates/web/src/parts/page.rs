//! `/parts`: every part in all its states, in debug builds only.

use crate::parts::{
    Badge, Button, Cell, Chart, Code, CodeTab, Column, Empty, ErrorSummary, Field, Filter, Filters,
    Moment, Row, Secret, Select, SelectOption, Series, Table, Tile, Timeline, Tone, Zone, format,
    money, number, time_tag,
};
use crate::view::View;
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use domain::{Currency, Money, State, Timestamp};

#[derive(Template)]
#[template(path = "parts/page.html")]
struct Parts {
    badges: Vec<Badge>,
    tiles: Vec<Tile>,
    summary: ErrorSummary,
    fields: Vec<Field>,
    select: Select,
    buttons: Vec<Button>,
    filters: Filters,
    table: Table,
    none: Table,
    code: Code,
    secret: Secret,
    masked: Secret,
    timeline: Timeline,
    chart: Chart,
}

pub(crate) async fn show(view: View) -> Response {
    let words = view.words;
    let now = view.site.engine.now();
    let page = Parts {
        badges: badges(words),
        tiles: tiles(words),
        summary: ErrorSummary::of(words, &fields().iter().collect::<Vec<_>>()),
        fields: fields(),
        select: select(),
        buttons: vec![
            Button::main(words, "Buy"),
            Button::other(words, "Look"),
            Button::danger(words, "Revoke"),
        ],
        filters: Filters {
            words,
            action: "/parts".to_owned(),
            selects: vec![select()],
            fields: vec![Field::new("from", "From").optional().inputmode("numeric")],
            set: vec![Filter { label: "State: Success".to_owned(), without: "/parts".to_owned() }],
        },
        table: table(words, now),
        none: Table::new(words, "Purchases", vec![Column::new("Reference")])
            .empty(&Empty::new("No purchase fits this filter.").with("/parts", "Clear the filter")),
        code: Code {
            tabs: vec![
                CodeTab { label: "curl".to_owned(), href: "#".to_owned(), is_current: true },
                CodeTab { label: "Python".to_owned(), href: "#".to_owned(), is_current: false },
            ],
            ..Code::new(words, "sample", "curl", "curl https://saldo.example/api/billing/offers")
        },
        secret: Secret::shown(words, "key", "open key", "ok_test_SaldoDemoSaldoDemoSaldoD"),
        masked: Secret::masked("masked", "wVsO"),
        timeline: timeline(words, now),
        chart: Chart {
            words,
            sentence: "Purchases a day: between 3 and 21.".to_owned(),
            labels: (1..=7).map(|day| format!("{day} Nov")).collect(),
            series: vec![
                Series { name: "Success".to_owned(), values: vec![3, 8, 5, 13, 21, 9, 12] },
                Series { name: "Failed".to_owned(), values: vec![0, 1, 0, 2, 3, 1, 1] },
            ],
            shown: number,
        },
    };
    match view.query.as_str() {
        "part" => view.part(&page.table),
        "wrong" => view.wrong("Parts", &page),
        _ => view.page("Parts", &page),
    }
}

fn badges(words: Words) -> Vec<Badge> {
    let mut all: Vec<Badge> =
        State::ALL.into_iter().map(|state| Badge::of_state(words, state)).collect();
    all.extend(Tone::ALL.map(|tone| Badge::new(tone, "Tone")));
    all
}

fn tiles(words: Words) -> Vec<Tile> {
    let taka = Money::new(123_456_750, Currency::BDT);
    let tile = |label: &str, value: String| Tile {
        label: label.to_owned(),
        value,
        context: "since yesterday".to_owned(),
        href: "/parts".to_owned(),
        link: "Statement".to_owned(),
    };
    vec![tile("Available", money(words, taka)), tile("Purchases", number(words, 1_234_567))]
}

fn fields() -> Vec<Field> {
    vec![
        Field::email("email", "E-mail").hint("Where we write to.").value("a@example.org"),
        Field::password("password", "Password", "new-password"),
        Field::code("code", "Code").error("Six digits, for example 123456.").inputmode("numeric"),
        Field::new("note", "Note").optional().long().value(&format::latin_digits("১২৩")),
        Field::new("amount", "Amount").autocomplete("off"),
    ]
}

fn select() -> Select {
    Select {
        name: "state",
        label: "State".to_owned(),
        options: vec![SelectOption::new("", "All"), SelectOption::new("ok", "Success")],
        chosen: "ok".to_owned(),
        error: String::new(),
    }
}

fn table(words: Words, now: Timestamp) -> Table {
    let columns = vec![
        Column { sort: "?sort=reference".to_owned(), ..Column::new("Reference") },
        Column::new("State"),
        Column { sorted: "descending", ..Column::new("Time") },
        Column::new("Key"),
        Column::number("Amount"),
    ];
    let row = Row(vec![
        Cell::link("/parts", "FIRST-1"),
        Cell::part(&Badge::of_state(words, State::Delivered)),
        Cell::Part(time_tag(words, now, Zone::DHAKA)),
        Cell::Code("ok_test_Saldo".to_owned()),
        Cell::text(money(words, Money::new(1_050, Currency::BDT))),
    ]);
    let caption = format!("3 purchases, {}", Zone::HARARE.name);
    let mut table = Table::new(words, &caption, columns).rows(vec![row.clone(), row.clone(), row]);
    table.older = "?before=3".to_owned();
    table.newer = "?after=1".to_owned();
    table
}

fn timeline(words: Words, now: Timestamp) -> Timeline {
    let moment = |tone: Tone, text: &str, detail: &str| Moment {
        at: time_tag(words, now, Zone::DHAKA),
        tone,
        text: text.to_owned(),
        detail: detail.to_owned(),
    };
    Timeline {
        detail: "Detail".to_owned(),
        moments: vec![
            moment(Tone::Info, "Money held: ৳10.50", ""),
            moment(Tone::Doubt, "The answer was lost", "HTTP 504 after 20 s"),
            moment(Tone::Ok, "Delivered", ""),
        ],
    }
}

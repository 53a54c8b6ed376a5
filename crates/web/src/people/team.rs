//! The people of an account: roles, invitations.

use super::form::Wrong;
use crate::parts::{
    Badge, Button, Cell, Column, Empty, ErrorSummary, Field, Markup, Row, Select, SelectOption,
    Table, Tone, Zone, time_tag,
};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::response::Response;
use domain::refusal::StaffRefused;
use domain::{Holder, Role, UserId, act};
use engine::{Invitation, Invite, UserView};
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct InviteFields {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
}

#[derive(Default, Deserialize)]
pub(super) struct RoleField {
    #[serde(default)]
    role: String,
}

#[derive(Template)]
#[template(path = "people/team.html")]
struct Team<'a> {
    words: Words,
    summary: ErrorSummary,
    csrf: &'a str,
    base: String,
    people: Table,
    email: Field,
    role: Select,
    button: Button,
    invitations: Table,
}

#[derive(Template)]
#[template(path = "people/team_row.html")]
struct TeamRow<'a> {
    words: Words,
    csrf: &'a str,
    base: String,
    id: UserId,
    email: &'a str,
    role: &'a str,
    is_active: bool,
    roles: Vec<SelectOption>,
    save: Button,
    switch: Button,
}

#[derive(Template)]
#[template(
    source = "<form method=\"post\" action=\"{{ base }}/withdraw\"><input type=\"hidden\" \
              name=\"csrf\" value=\"{{ csrf }}\"><input type=\"hidden\" name=\"email\" \
              value=\"{{ email }}\">{{ button }}</form>",
    ext = "html"
)]
struct Withdraw<'a> {
    base: String,
    csrf: &'a str,
    email: &'a str,
    button: Button,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    page(&view, &session, &InviteFields::default(), &Wrong::default())
}

pub(super) async fn invite(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManagePeople>,
    Form(fields): Form<InviteFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let page_url = format!("{}{}", view.site.settings.base_url, view.at("/join"));
    let invite = Invite { email: &fields.email, role: &fields.role, page: &page_url };
    match view.site.engine.invite(permit, &caller, invite).await {
        Ok(()) => Ok(done(&view.at("/people"), "invited")),
        Err(refused) => page(&view, &session, &fields, &wrong_of(refused)?),
    }
}

pub(super) async fn withdraw(
    view: View,
    Allowed(permit): Allowed<act::ManagePeople>,
    Form(fields): Form<InviteFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    view.site.engine.withdraw_invitation(permit, &caller, &fields.email).await?;
    Ok(done(&view.at("/people"), "withdrawn"))
}

pub(super) async fn set_role(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManagePeople>,
    Path(id): Path<i64>,
    Form(fields): Form<RoleField>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    match view.site.engine.set_role(permit, &caller, UserId(id), &fields.role).await {
        Ok(()) => Ok(done(&view.at("/people"), "role-set")),
        Err(refused) => page(&view, &session, &InviteFields::default(), &wrong_of(refused)?),
    }
}

pub(super) async fn disable(
    view: View,
    session: Session,
    allowed: Allowed<act::ManagePeople>,
    id: Path<i64>,
) -> Result<Response, Problem> {
    set_active(view, session, allowed, id, false).await
}

pub(super) async fn enable(
    view: View,
    session: Session,
    allowed: Allowed<act::ManagePeople>,
    id: Path<i64>,
) -> Result<Response, Problem> {
    set_active(view, session, allowed, id, true).await
}

async fn set_active(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManagePeople>,
    Path(id): Path<i64>,
    is_active: bool,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    match engine.set_colleague_active(permit, &caller, UserId(id), is_active).await {
        Ok(()) => Ok(done(&view.at("/people"), if is_active { "enabled" } else { "disabled" })),
        Err(refused) => page(&view, &session, &InviteFields::default(), &wrong_of(refused)?),
    }
}

fn wrong_of(refused: StaffRefused) -> Result<Wrong, Problem> {
    match refused {
        StaffRefused::Invalid(wrong) => Ok(Wrong::fields(wrong.errors)),
        StaffRefused::NotPossible(_) => Ok(Wrong::whole("team.not-possible")),
        StaffRefused::TooFast(wait) => Err(Problem::TooMany { retry_after_s: wait.retry_after_s }),
        StaffRefused::Unavailable(_) | StaffRefused::Uncertain(_) => Err(Problem::Unavailable),
        StaffRefused::PurchaseUnknown(_)
        | StaffRefused::LogInFailed(_)
        | StaffRefused::PaymentKnown(_)
        | StaffRefused::InsufficientBalance(_)
        | StaffRefused::NoWallet(_)
        | StaffRefused::KeysInvalid(_) => Err(Problem::NotFound),
    }
}

/// A role as people read it.
fn role_name(words: Words, role: &str) -> &str {
    match role {
        "owner" => words.t("role.owner"),
        "developer" => words.t("role.developer"),
        "finance" => words.t("role.finance"),
        "support" => words.t("role.support"),
        "operator" => words.t("role.operator"),
        "approver" => words.t("role.approver"),
        "security" => words.t("role.security"),
        other => other,
    }
}

fn roles(view: &View) -> Vec<SelectOption> {
    let account = match view.area {
        crate::AreaKind::Admin => Role::House,
        crate::AreaKind::Dashboard | crate::AreaKind::Public => Role::Merchant,
    };
    let roles = Holder::roles_of(account).iter().rev();
    roles.map(|role| SelectOption::new(role, role_name(view.words, role))).collect()
}

fn page(
    view: &View,
    session: &Session,
    fields: &InviteFields,
    wrong: &Wrong,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    let email = Field { autocomplete: "off", ..Field::email("email", words.t("log-in.email")) };
    let email = wrong.mark(view, email.value(&fields.email));
    let page = Team {
        words,
        summary: wrong.summary(view, &[&email]),
        csrf: &view.csrf,
        base: view.at("/people"),
        people: people(view, session, &engine.people_of(&caller)?),
        email,
        role: Select {
            name: "role",
            label: words.t("team.role").to_owned(),
            options: roles(view),
            chosen: fields.role.clone(),
            error: String::new(),
        },
        button: Button::main(words, words.t("team.invite-button")),
        invitations: invitations(view, &engine.invitations(&caller)?, view.own_zone()?),
    };
    let title = words.t("team.title");
    Ok(if page.summary.is_empty() { view.page(title, &page) } else { view.wrong(title, &page) })
}

fn people(view: &View, session: &Session, people: &[UserView]) -> Table {
    let words = view.words;
    let columns = vec![
        Column::wide(words.t("log-in.email")),
        Column::new(words.t("team.role")),
        Column::new(words.t("team.state")),
        Column::new(words.t("team.change")),
    ];
    let row = |user: &UserView| {
        let badge = match user.is_active {
            true => Badge::new(Tone::Ok, words.t("team.active")),
            false => Badge::new(Tone::Off, words.t("team.off")),
        };
        let switch = match user.is_active {
            true => Button::danger(words, words.t("team.disable")),
            false => Button::other(words, words.t("team.enable")),
        };
        let change = match user.id == session.user {
            true => Cell::text(words.t("team.you")),
            false => Cell::Part(Markup::of(&TeamRow {
                words,
                csrf: &view.csrf,
                base: view.at("/people"),
                id: user.id,
                email: &user.email,
                role: &user.role,
                is_active: user.is_active,
                roles: roles(view),
                save: Button::other(words, words.t("team.save")),
                switch,
            })),
        };
        Row(vec![
            Cell::text(user.email.clone()),
            Cell::text(role_name(words, &user.role)),
            Cell::part(&badge),
            change,
        ])
    };
    let count = u64::try_from(people.len()).unwrap_or(0);
    Table::new(words, &words.count("team.people", count), columns)
        .rows(people.iter().map(row).collect())
}

fn invitations(view: &View, waiting: &[Invitation], zone: Zone) -> Table {
    let words = view.words;
    let columns = vec![
        Column::wide(words.t("log-in.email")),
        Column::new(words.t("team.role")),
        Column::new(words.t("team.until")),
        Column::new(words.t("team.change")),
    ];
    let row = |one: &Invitation| {
        let button = Button::danger(words, words.t("team.withdraw"));
        let withdraw =
            Withdraw { base: view.at("/people"), csrf: &view.csrf, email: &one.email, button };
        Row(vec![
            Cell::text(one.email.clone()),
            Cell::text(role_name(words, &one.role)),
            Cell::Part(time_tag(words, one.expires_at, zone)),
            Cell::part(&withdraw),
        ])
    };
    let caption = words.with("team.invitations", &[("zone", &zone.name)]);
    Table::new(words, &caption, columns)
        .rows(waiting.iter().map(row).collect())
        .empty(&Empty::new(words.t("team.no-invitations")))
}

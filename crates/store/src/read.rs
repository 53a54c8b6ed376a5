//! From stored words to domain values, shared by the queries of several tables.
//!
//! Invariant: a word that this program does not write is reported as corruption, never guessed at.

use crate::backend::{Columns, FromRow, Row, columns, from_row, stored_as};
use crate::catalog::FieldRow;
use crate::fault::{Fault, Result};
use domain::ids::KeyId;
use domain::{
    Account, AccountId, Act, AllowList, AmountRange, BillFormat, Category, Country, Currency,
    Decider, Details, DuplicatePolicy, Environment, Field, Key, KeyScope, KeyScopes, Kind, Money,
    Numbering, OfferForm, Operator, Part, Plan, PlanKind, PriceComponent, PriceRule, Pricing,
    Product, Purchase, PurchaseKey, ReceiptLine, ReferenceScope, Role, Route, Service, ServiceType,
    State, Subscription, SuccessEvent, Timestamp, UpstreamCode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn parse<T>(what: &str, text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
    read(text).ok_or_else(|| Fault::corrupt(format!("{what} {text:?}")))
}

fn parse_opt<T>(
    what: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>> {
    text.map(|text| parse(what, text, read)).transpose()
}

pub(crate) fn environment(text: &str) -> Result<Environment> {
    parse("environment", text, Environment::from_code)
}

pub(crate) fn currency(text: &str) -> Result<Currency> {
    parse("currency", text, Currency::from_code)
}

pub(crate) fn state(text: &str) -> Result<State> {
    parse("state", text, State::from_code)
}

/// How a column is read that has one of a type's codes.
macro_rules! words {
    ($($type:ident $what:literal),+ $(,)?) => {
        $crate::backend::stored_as! { text, opt_text:
            $($type, code => $crate::read::parse($what, code, $type::from_code);)+
        }
    };
}
pub(crate) use words;

words!(
    Act "act",
    Currency "currency",
    Environment "environment",
    Kind "kind",
    OfferForm "offer form",
    PlanKind "plan",
    PriceComponent "charge",
    State "state",
    SuccessEvent "success event",
);

stored_as! { text, opt_text:
    BillFormat, text => parse("bill format", text, BillFormat::new);
    Service, slug => parse("service", slug, Service::from_slug);
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Fault::corrupt(format!("JSON {json:?}: {error}")))
}

/// A column that has JSON.
pub(crate) fn json<T: DeserializeOwned>(columns: &mut Columns<'_>) -> Result<T> {
    from_json(columns.next(|row, column| row.text(column))?)
}

/// The other way round: what a column has that [`json`] reads.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Fault::corrupt(error.to_string()))
}

fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp)
}

/// Columns of [`purchase`], in its order.
macro_rules! purchase_columns {
    () => {
        "id, account_id, environment, space, reference, key_id, kind, operator, recipient, \
         service_type, currency, amount, fee, commission, available_after, details, webhook_url, \
         state, version, attempts, upstream, text, decider, opened_at, updated_at, delivered_at, \
         product"
    };
}
pub(crate) use purchase_columns;

/// Selects purchases for [`purchase`]; `$rest` follows the table's name.
macro_rules! select_purchases {
    ($rest:literal) => {
        concat!("SELECT ", purchase_columns!(), " FROM purchases ", $rest)
    };
}
pub(crate) use select_purchases;

pub(crate) fn purchase(row: &dyn Row) -> Result<Purchase> {
    let currency = currency(row.text(10)?)?;
    let money = |column| Ok::<Money, Fault>(Money::new(row.int(column)?, currency));
    let details: Details = match row.text(15)? {
        "{}" => Details::new(),
        json => serde_json::from_str(json)
            .map_err(|error| Fault::corrupt(format!("details: {error}")))?,
    };
    Ok(Purchase {
        key: purchase_key(row)?,
        scope: parse("space", row.text(3)?, ReferenceScope::from_code)?,
        reference: row.text(4)?.to_owned(),
        api_key: row.opt_int(5)?.map(KeyId),
        kind: parse("kind", row.text(6)?, Kind::from_code)?,
        operator: row.text(7)?.to_owned(),
        product: row.opt_text(26)?.map(str::to_owned),
        recipient: row.text(8)?.to_owned(),
        service_type: parse("service type", row.text(9)?, ServiceType::from_code)?,
        amount: money(11)?,
        fee: money(12)?,
        commission: money(13)?,
        available_after: money(14)?,
        details,
        webhook_url: row.opt_text(16)?.map(str::to_owned),
        state: state(row.text(17)?)?,
        version: row.u32(18)?,
        attempts: row.u32(19)?,
        upstream: row.opt_text(20)?.map(UpstreamCode::new),
        text: row.opt_text(21)?.map(str::to_owned),
        decider: parse_opt("decider", row.opt_text(22)?, Decider::from_code)?,
        opened_at: Timestamp(row.int(23)?),
        updated_at: Timestamp(row.int(24)?),
        delivered_at: time(row.opt_int(25)?),
    })
}

/// The first three columns: the purchase's id, account and environment.
pub(crate) fn purchase_key(row: &dyn Row) -> Result<PurchaseKey> {
    from_row(row)
}

/// id, role, name, is_active, plan, per_minute, subscribed_until, opened_at, approved_at,
/// duplicates
pub(crate) fn account(row: &dyn Row) -> Result<Account> {
    let per_minute = row.u32(5)?;
    let plan = parse_opt("plan", row.opt_text(4)?, PlanKind::from_code)?;
    let plan = plan.map(|kind| Plan::new(kind, per_minute));
    let subscription = plan.zip(time(row.opt_int(6)?)).map(|(plan, until)| Subscription {
        plan,
        until,
        since: until,
    });
    // From before months were counted from the first day: they are counted from the end.
    let since = time(row.opt_int(9)?);
    let subscription = subscription.map(|s| Subscription { since: since.unwrap_or(s.until), ..s });
    Ok(Account {
        id: AccountId(row.int(0)?),
        role: parse("role", row.text(1)?, Role::from_code)?,
        name: row.text(2)?.to_owned(),
        is_active: row.bool(3)?,
        subscription,
        opened_at: Timestamp(row.int(7)?),
        approved_at: time(row.opt_int(8)?),
        duplicates: parse("duplicates", row.text(10)?, DuplicatePolicy::from_code)?,
    })
}

columns! {
    Key: id, account, environment, open_key, secret_digest, secret_tail, allow_list by allow_list,
    revoked_at, scopes by scopes, expires_at, made_by
}

fn allow_list(columns: &mut Columns<'_>) -> Result<AllowList> {
    let lines: Vec<String> = json(columns)?;
    AllowList::parse(lines.iter().map(String::as_str))
        .map_err(|bad| Fault::corrupt(format!("range {}", bad.0)))
}

/// A JSON list of codes; none: all.
fn scopes(columns: &mut Columns<'_>) -> Result<KeyScopes> {
    let stored = columns.next(|row, column| row.opt_text(column))?;
    let Some(json) = stored else { return Ok(KeyScopes::ALL) };
    let read = |code: &String| {
        KeyScope::from_code(code).ok_or_else(|| Fault::corrupt(format!("the scope {code}")))
    };
    let codes: Vec<String> = from_json(json)?;
    let scopes = codes.iter().map(read).collect::<Result<Vec<_>>>()?;
    match scopes.is_empty() {
        true => Err(Fault::corrupt("a key pair without scopes")),
        false => Ok(KeyScopes::of(scopes)),
    }
}

columns!(Country: code, name, currency, numbering);
columns!(Numbering: calling_code, trunk, length, begins);

/// The least and the most, each with its currency.
impl FromRow for Option<AmountRange> {
    fn read(columns: &mut Columns<'_>) -> Result<Option<AmountRange>> {
        let (min, max): (Option<Money>, Option<Money>) = FromRow::read(columns)?;
        Ok(min.zip(max).map(|(min, max)| AmountRange { min, max }))
    }
}

columns! {
    Operator: id, code, aliases by json, name, country, service, logo, prefixes by json, prepaid,
    postpaid, offers, is_active
}

columns!(Category: id, name, description, logo);

columns! {
    Product: id, name, title, description, ref_name, operator, category, kind, price, bill,
    fields by fields, checks_bill, receipt by receipt, logo, is_active
}

/// The price, or its limits, each amount with its currency.
impl FromRow for Pricing {
    fn read(columns: &mut Columns<'_>) -> Result<Pricing> {
        match FromRow::read(columns)? {
            (Some(price), None) => Ok(Pricing::Fixed(price)),
            (None, Some(limits)) => Ok(Pricing::Range(limits)),
            (Some(_), Some(_)) | (None, None) => Err(Fault::corrupt("a product's price")),
        }
    }
}

fn receipt(columns: &mut Columns<'_>) -> Result<Vec<ReceiptLine>> {
    let line = |(label, part): (String, String)| {
        Ok(ReceiptLine { label, part: parse("part", &part, Part::from_code)? })
    };
    json::<Vec<_>>(columns)?.into_iter().map(line).collect()
}

fn fields(columns: &mut Columns<'_>) -> Result<Vec<Field>> {
    json::<Vec<FieldRow>>(columns)?.into_iter().map(field).collect()
}

fn field(row: FieldRow) -> Result<Field> {
    let format = row.format.map(|text| parse("bill format", &text, BillFormat::new)).transpose()?;
    let FieldRow { name, label, is_required, length_max, format: _ } = row;
    Ok(Field { name, label, is_required, format, length_max })
}

columns! {
    PriceRule: id, component, account, plan, operator, kind, from, until, flat, share_ppm, min, max
}
columns! {
    Route: id, environment, operator, kind, recipient_ends, upstreams by upstreams, needs_approval,
    product, account
}

fn upstreams(columns: &mut Columns<'_>) -> Result<Vec<UpstreamCode>> {
    let codes: Vec<String> = json(columns)?;
    Ok(codes.iter().map(|code| UpstreamCode::new(code)).collect())
}

//! From stored words to domain values, shared by the queries of several tables.
//!
//! Invariant: a word that this program does not write is reported as corruption, never guessed at.

use crate::backend::Row;
use crate::catalog::FieldRow;
use crate::fault::{Fault, Result};
use domain::ids::KeyId;
use domain::{
    Account, AccountId, AllowList, AmountRange, BillFormat, Category, CategoryId, Country,
    Currency, Decider, Details, DuplicatePolicy, Environment, Field, Key, KeyScope, KeyScopes,
    Kind, Money, Numbering, OfferForm, Operator, Part, Plan, PlanKind, PriceComponent, PriceRule,
    Pricing, Product, ProductId, Purchase, PurchaseId, PurchaseKey, ReceiptLine, ReferenceScope,
    Role, Route, Service, ServiceType, State, Subscription, Timestamp, UpstreamCode,
};

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

pub(crate) fn list(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| Fault::corrupt(format!("list {json:?}: {error}")))
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
    Ok(PurchaseKey {
        id: PurchaseId(row.int(0)?),
        account: AccountId(row.int(1)?),
        environment: environment(row.text(2)?)?,
    })
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

/// id, account_id, environment, open_key, secret_digest, secret_tail, allow_list, revoked_at
pub(crate) fn key(row: &dyn Row) -> Result<Key> {
    let lines = list(row.text(6)?)?;
    let allow_list = AllowList::parse(lines.iter().map(String::as_str))
        .map_err(|bad| Fault::corrupt(format!("range {}", bad.0)))?;
    Ok(Key {
        id: KeyId(row.int(0)?),
        account: AccountId(row.int(1)?),
        environment: environment(row.text(2)?)?,
        open_key: row.text(3)?.to_owned(),
        secret_digest: row.bytes(4)?.try_into().map_err(|_| Fault::corrupt("a secret's digest"))?,
        secret_tail: row.text(5)?.to_owned(),
        allow_list,
        revoked_at: time(row.opt_int(7)?),
        scopes: scopes(row.opt_text(8)?)?,
        expires_at: time(row.opt_int(9)?),
        made_by: row.opt_text(10)?.map(str::to_owned),
    })
}

/// A JSON list of codes; none: all.
fn scopes(stored: Option<&str>) -> Result<KeyScopes> {
    let Some(json) = stored else { return Ok(KeyScopes::ALL) };
    let read = |code: &String| {
        KeyScope::from_code(code).ok_or_else(|| Fault::corrupt(format!("the scope {code}")))
    };
    let scopes = list(json)?.iter().map(read).collect::<Result<Vec<_>>>()?;
    match scopes.is_empty() {
        true => Err(Fault::corrupt("a key pair without scopes")),
        false => Ok(KeyScopes::of(scopes)),
    }
}

/// code, name, currency, calling_code, trunk, length, begins
pub(crate) fn country(row: &dyn Row) -> Result<Country> {
    Ok(Country {
        code: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        currency: currency(row.text(2)?)?,
        numbering: Numbering {
            calling_code: row.text(3)?.to_owned(),
            trunk: row.text(4)?.to_owned(),
            length: usize::try_from(row.int(5)?)
                .map_err(|_| Fault::corrupt("a number's length"))?,
            begins: row.text(6)?.to_owned(),
        },
    })
}

/// The operator's columns, then its country's currency.
pub(crate) fn operator(row: &dyn Row) -> Result<Operator> {
    let currency = currency(row.text(14)?)?;
    let limits = |least, most| -> Result<Option<AmountRange>> {
        let pair = row.opt_int(least)?.zip(row.opt_int(most)?);
        Ok(pair.map(|(least, most)| AmountRange {
            min: Money::new(least, currency),
            max: Money::new(most, currency),
        }))
    };
    Ok(Operator {
        id: row.int(0)?,
        code: row.text(1)?.to_owned(),
        aliases: list(row.text(2)?)?,
        name: row.text(3)?.to_owned(),
        country: row.text(4)?.to_owned(),
        service: parse("service", row.text(5)?, Service::from_slug)?,
        logo: row.text(6)?.to_owned(),
        prefixes: list(row.text(7)?)?,
        prepaid: limits(8, 9)?,
        postpaid: limits(10, 11)?,
        offers: parse_opt("offer form", row.opt_text(12)?, OfferForm::from_code)?,
        is_active: row.bool(13)?,
    })
}

/// id, name, description, logo
pub(crate) fn category(row: &dyn Row) -> Result<Category> {
    Ok(Category {
        id: CategoryId(row.int(0)?),
        name: row.text(1)?.to_owned(),
        description: row.text(2)?.to_owned(),
        logo: row.text(3)?.to_owned(),
    })
}

/// id, name, title, description, ref_name, operator, category_id, kind, currency, price, least,
/// most, bill_format, fields, checks_bill, receipt, logo, is_active
pub(crate) fn product(row: &dyn Row) -> Result<Product> {
    let currency = currency(row.text(8)?)?;
    let money = |minor| Money::new(minor, currency);
    let price = match (row.opt_int(9)?, row.opt_int(10)?.zip(row.opt_int(11)?)) {
        (Some(price), None) => Pricing::Fixed(money(price)),
        (None, Some((least, most))) => {
            Pricing::Range(AmountRange { min: money(least), max: money(most) })
        }
        (Some(_), Some(_)) | (None, None) => return Err(Fault::corrupt("a product's price")),
    };
    let json = |what: &str, error: serde_json::Error| Fault::corrupt(format!("{what}: {error}"));
    let fields: Vec<FieldRow> =
        serde_json::from_str(row.text(13)?).map_err(|error| json("fields", error))?;
    let receipt: Vec<(String, String)> =
        serde_json::from_str(row.text(15)?).map_err(|error| json("a receipt", error))?;
    let line = |(label, part): (String, String)| {
        let part = parse("part", &part, Part::from_code)?;
        Ok::<_, Fault>(ReceiptLine { label, part })
    };
    Ok(Product {
        id: ProductId(row.int(0)?),
        name: row.text(1)?.to_owned(),
        title: row.text(2)?.to_owned(),
        description: row.text(3)?.to_owned(),
        ref_name: row.text(4)?.to_owned(),
        operator: row.text(5)?.to_owned(),
        category: CategoryId(row.int(6)?),
        kind: parse("kind", row.text(7)?, Kind::from_code)?,
        price,
        bill: parse("bill format", row.text(12)?, BillFormat::new)?,
        fields: fields.into_iter().map(field).collect::<Result<_, _>>()?,
        checks_bill: row.bool(14)?,
        receipt: receipt.into_iter().map(line).collect::<Result<_, _>>()?,
        logo: row.text(16)?.to_owned(),
        is_active: row.bool(17)?,
    })
}

fn field(row: FieldRow) -> Result<Field> {
    let format = row.format.map(|text| parse("bill format", &text, BillFormat::new)).transpose()?;
    let FieldRow { name, label, is_required, length_max, format: _ } = row;
    Ok(Field { name, label, is_required, format, length_max })
}

/// id, charge, account_id, plan, operator, kind, from_at, until_at, currency, flat, share_ppm,
/// least, most
pub(crate) fn price(row: &dyn Row) -> Result<PriceRule> {
    let currency = currency(row.text(8)?)?;
    let money = |minor| Money::new(minor, currency);
    Ok(PriceRule {
        id: row.int(0)?,
        component: parse("charge", row.text(1)?, PriceComponent::from_code)?,
        account: row.opt_int(2)?.map(AccountId),
        plan: row.opt_text(3)?.map(str::to_owned),
        operator: row.opt_text(4)?.map(str::to_owned),
        kind: parse_opt("kind", row.opt_text(5)?, Kind::from_code)?,
        from: time(row.opt_int(6)?),
        until: time(row.opt_int(7)?),
        flat: money(row.int(9)?),
        share_ppm: row.int(10)?,
        min: row.opt_int(11)?.map(money),
        max: row.opt_int(12)?.map(money),
    })
}

/// id, environment, operator, kind, recipient_ends, upstreams, needs_approval
pub(crate) fn route(row: &dyn Row) -> Result<Route> {
    Ok(Route {
        id: row.int(0)?,
        environment: environment(row.text(1)?)?,
        operator: row.opt_text(2)?.map(str::to_owned),
        kind: parse_opt("kind", row.opt_text(3)?, Kind::from_code)?,
        recipient_ends: row.opt_text(4)?.map(str::to_owned),
        upstreams: list(row.text(5)?)?.iter().map(|code| UpstreamCode::new(code)).collect(),
        needs_approval: row.bool(6)?,
        product: row.opt_text(7)?.map(str::to_owned),
        account: row.opt_int(8)?.map(AccountId),
    })
}

//! The lists that we add to the document (CONTRACT A-43): their queries and their answers.
//!
//! Invariant: every field of a parsed query is valid, and an error names every invalid field.

use super::request::InvalidFields;
use super::response::Transaction;
use super::status::{PurchaseStatus, RechargeType, status};
use crate::wire::amount::Amount;
use crate::wire::fields::{RawFields, Reader, Reported};
use crate::wire::form::{Field, Kind, Optional, form};
use crate::wire::json::rfc3339;
use domain::purchase::is_reference;
use domain::{Catalog, Currency, Money, PriceRule, Service, State, Timestamp};
use engine::{AccountPrice, Page, PurchaseFilter, StatementLine};
use utoipa::ToSchema;

/// Lines of a page: 50 unless the caller says so, 100 at most, the limit of one answer's cost.
const LINES: &str = "50";
const LINES_MAX: i64 = 100;
/// What a filter by status may say; `approved` is the document's other word for success and never
/// answered (CONTRACT A-12).
const STATUSES: [(&str, PurchaseStatus); 7] = [
    ("pending", PurchaseStatus::Pending),
    ("processing", PurchaseStatus::Processing),
    ("success", PurchaseStatus::Success),
    ("approved", PurchaseStatus::Success),
    ("failed", PurchaseStatus::Failed),
    ("rejected", PurchaseStatus::Rejected),
    ("reversed", PurchaseStatus::Reversed),
];
const STATUS: Kind =
    Kind::Codes(|| STATUSES.map(|(code, _)| code).into(), "How a purchase stands.");
const LIMIT: Field = Field::of(Kind::Integer { min: 1, max: LINES_MAX }, "limit")
    .says("At most so many: 1 to 100, 50 unless you say so.")
    .default(LINES)
    .example(LINES);
const AFTER: Field = Field::of(Kind::Integer { min: 0, max: (1 << 53) - 1 }, "after")
    .says("The `next` of the page before this one.");
const CURRENCY: Field =
    Field::text("currency").says("ISO 4217 code of another wallet of the account.").example("BDT");

form! {
    /// Which transactions.
    TransactionsQuery {
        /// Only those that stand like this; `approved` is `success`.
        status: Optional = Field::of(STATUS, "status").example("success"),
        /// Operator code or name, in any case.
        operator: Optional = Field::text("operator")
            .aliases(&["operator_code", "operator_short"]).example("gp"),
        /// The customer's mobile number.
        number: Optional = Field::text("number").example("01712345678"),
        /// Your reference.
        reference: Optional = Field::text("reference")
            .aliases(&["client_reference", "clientReference"]).example("BILL-20260204-0001"),
        /// Accepted at this time or later: RFC 3339, or a date in UTC.
        from: Optional = Field::text("from").example("2026-02-01T00:00:00Z"),
        /// Accepted before this time: RFC 3339, or a date in UTC.
        to: Optional = Field::text("to").example("2026-03-01"),
        after: Optional = AFTER,
        limit: Optional = LIMIT,
    }

    /// Which wallet, and which page.
    MovementsQuery {
        currency: Optional = CURRENCY,
        after: Optional = AFTER,
        limit: Optional = LIMIT,
    }
}

/// Parses the query of `GET transactions`.
pub(crate) fn transactions(
    fields: &RawFields<'_>,
    catalog: &Catalog,
) -> Result<(PurchaseFilter, Page), InvalidFields> {
    let form = TransactionsQuery::FIELDS;
    parse(fields, |reader| {
        let states = reader.text(form.status).and_then(|code| match code {
            None => Ok(Vec::new()),
            Some(code) => reader.code(&form.status, code, states_of),
        });
        let is_same = |one: &str, other: &str| {
            let named = |name: &str| {
                catalog.operator_once_sold(&SERVICES, name.trim()).map(|operator| operator.id)
            };
            named(one).is_some_and(|id| named(other) == Some(id))
        };
        let operator = reader.string_named(form.operator, is_same).and_then(|name| {
            name.map(|name| operator(reader, &form.operator, name, catalog)).transpose()
        });
        let recipient = reader.text(form.number).and_then(|text| {
            text.map(|text| recipient(reader, &form.number, text, catalog)).transpose()
        });
        let reference = reader.text(form.reference).and_then(|text| match text {
            Some(text) if !is_reference(text) => {
                Err(reader.report(form.reference.name, "is not a reference."))
            }
            text => Ok(text.map(str::to_owned)),
        });
        let since = time(reader, form.from);
        let until = time(reader, form.to);
        let page = page(reader, form.after, form.limit);
        let (states, operator, recipient) = (states?, operator?, recipient?);
        let (reference, since, until) = (reference?, since?, until?);
        let kind = None;
        let filter = PurchaseFilter { states, operator, kind, recipient, reference, since, until };
        Ok((filter, page?))
    })
}

/// Parses the query of `GET wallet/statement` and of `GET commission`; a currency that was not sent
/// is `default`.
pub(crate) fn movements(
    fields: &RawFields<'_>,
    default: Currency,
) -> Result<(Currency, Page), InvalidFields> {
    let form = MovementsQuery::FIELDS;
    parse(fields, |reader| {
        let currency = reader.text(form.currency).and_then(|code| match code {
            None => Ok(default),
            Some(code) => Currency::from_code(code).ok_or_else(|| {
                reader.report(form.currency.name, "must be an ISO 4217 code, like BDT.")
            }),
        });
        let page = page(reader, form.after, form.limit);
        Ok((currency?, page?))
    })
}

/// The states that a status stands for.
fn states_of(code: &str) -> Option<Vec<State>> {
    let (_, wanted) = STATUSES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(code))?;
    Some(State::ALL.into_iter().filter(|state| status(*state) == wanted).collect())
}

/// What this dialect sells.
const SERVICES: [Service; 2] = [Service::MobileRecharge, Service::MobileBanking];

fn operator(
    reader: &mut Reader<'_, '_>,
    field: &Field,
    name: &str,
    catalog: &Catalog,
) -> Result<String, Reported> {
    catalog
        .operator_once_sold(&SERVICES, name.trim())
        .map(|operator| operator.code.clone())
        .ok_or_else(|| reader.report(field.name, "names no operator; see GET operators."))
}

fn recipient(
    reader: &mut Reader<'_, '_>,
    field: &Field,
    text: &str,
    catalog: &Catalog,
) -> Result<String, Reported> {
    let national = catalog.countries.iter().find_map(|c| c.numbering.national(text).ok());
    let message = "must be a mobile number, for example 01712345678.";
    national.ok_or_else(|| reader.report(field.name, message))
}

fn time(reader: &mut Reader<'_, '_>, field: Optional) -> Result<Option<Timestamp>, Reported> {
    let Some(text) = reader.text(field)? else { return Ok(None) };
    let day = || {
        let date: jiff::civil::Date = text.parse().ok()?;
        date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let at = text.parse::<jiff::Timestamp>().ok().or_else(day);
    let message = "must be a time such as 2026-02-01T00:00:00Z, or a date such as 2026-02-01.";
    let at = at.ok_or_else(|| reader.report(field.name, message))?;
    Ok(Some(Timestamp(at.as_microsecond())))
}

fn page(reader: &mut Reader<'_, '_>, after: Optional, limit: Optional) -> Result<Page, Reported> {
    let before = reader.text(after).and_then(|text| {
        let message = "must be a next of ours.";
        text.map(|text| number(reader, &after, text, message)).transpose()
    });
    let message = format!("must be 1 to {LINES_MAX}.");
    let lines = reader.or_default(limit).and_then(|text| number(reader, &limit, text, &message));
    Ok(Page { before: before?, limit: lines? })
}

/// A whole number in the field's limits.
fn number<T: TryFrom<i64>>(
    reader: &mut Reader<'_, '_>,
    field: &Field,
    text: &str,
    message: &str,
) -> Result<T, Reported> {
    let is_digits = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_digits && field.has(*number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| reader.report(field.name, message))
}

/// Runs `read`, which reads every field before it returns an error.
fn parse<T>(
    fields: &RawFields<'_>,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Result<T, Reported>,
) -> Result<T, InvalidFields> {
    let mut reader = Reader::new(fields);
    read(&mut reader).map_err(|Reported| InvalidFields {
        is_reference_missing: false,
        field_errors: reader.into_errors(),
    })
}

/// A page of purchases, latest first.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct TransactionsAnswer<'a> {
    /// Always true.
    #[schema(example = true)]
    pub success: bool,
    /// The purchases, each as the status check shows it.
    pub data: Vec<Transaction<'a>>,
    /// Send it as `after` for the next page; null: this is the last one.
    #[schema(example = 21)]
    pub next: Option<i64>,
}

/// A page of what changed a balance, latest first.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct MovementsAnswer {
    /// Always true.
    #[schema(example = true)]
    pub success: bool,
    /// The balance now, a string with exactly the currency's decimals.
    #[schema(example = "6989.50")]
    pub balance: String,
    /// ISO 4217.
    #[schema(example = "BDT")]
    pub currency: &'static str,
    /// The movements.
    pub data: Vec<Movement>,
    /// Send it as `after` for the next page; null: this is the last one.
    #[schema(example = 41)]
    pub next: Option<i64>,
}

/// A change of a balance.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Movement {
    /// Its place in the ledger.
    #[schema(example = 42)]
    id: i64,
    /// What it was: `hold` (set aside for a purchase), `settle` (a purchase was delivered),
    /// `release` (given back by one that was not delivered), `refund` (given back by one that was
    /// taken back), `deposit`, `withdraw`, `commission` (paid out to the wallet), `plan` (months of
    /// a plan that were bought).
    #[serde(rename = "type")]
    #[schema(example = "hold")]
    kind: &'static str,
    /// By how much the balance changed; negative where money left it.
    #[schema(value_type = f64, example = -10.5)]
    change: Amount,
    /// The balance after it.
    #[schema(value_type = f64, example = 6989.5)]
    balance: Amount,
    /// The purchase that it belongs to; null: to none.
    #[schema(example = 21)]
    transaction_id: Option<i64>,
    /// When; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    at: String,
}

impl Movement {
    /// The line as it is answered.
    pub(crate) fn of(line: &StatementLine) -> Movement {
        Movement {
            id: line.journal.0,
            kind: line.reason.code(),
            change: Amount(line.change),
            balance: Amount(line.available_after),
            transaction_id: line.purchase.map(|id| id.number().0),
            at: rfc3339(line.at),
        }
    }
}

/// What your account pays and earns now.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct PricesAnswer<'a> {
    /// Always true.
    #[schema(example = true)]
    pub success: bool,
    /// One for each operator and kind of purchase.
    pub data: Vec<ListedPrice<'a>>,
}

/// What you pay and earn for one kind of purchase from one operator.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ListedPrice<'a> {
    /// Upper case.
    #[schema(example = "GP")]
    operator: &'a str,
    /// For people.
    #[schema(example = "Grameenphone")]
    operator_name: &'a str,
    /// `normal`, `offer` or `banking`.
    #[serde(rename = "type")]
    #[schema(example = "normal")]
    kind: RechargeType,
    /// What you pay on top of the amount; null: nothing.
    fee: Option<ListedRule>,
    /// What you earn at delivery; null: nothing.
    commission: Option<ListedRule>,
}

/// A part of a price: the fixed part and the share together, within the bounds.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct ListedRule {
    /// The fixed part.
    #[schema(value_type = f64, example = 0.5)]
    flat: Amount,
    /// The part of the amount, in per cent, a string.
    #[schema(example = "0.5")]
    percent: String,
    /// At least this much; null: no bound.
    #[schema(value_type = Option<f64>, example = 0.5)]
    min: Option<Amount>,
    /// At most this much; null: no bound.
    #[schema(value_type = Option<f64>, example = 20)]
    max: Option<Amount>,
    /// ISO 4217.
    #[schema(example = "BDT")]
    currency: &'static str,
}

impl<'a> ListedPrice<'a> {
    /// The price as it is answered.
    pub(crate) fn of(price: &'a AccountPrice) -> ListedPrice<'a> {
        ListedPrice {
            operator: &price.operator.code,
            operator_name: &price.operator.name,
            kind: match price.kind {
                domain::Kind::Recharge => RechargeType::Normal,
                domain::Kind::Offer => RechargeType::Offer,
                domain::Kind::Banking => RechargeType::Banking,
                domain::Kind::Bundle => RechargeType::Bundle,
                domain::Kind::Bill => RechargeType::Bill,
            },
            fee: price.fee.as_ref().map(ListedRule::of),
            commission: price.commission.as_ref().map(ListedRule::of),
        }
    }
}

impl ListedRule {
    fn of(rule: &PriceRule) -> ListedRule {
        ListedRule {
            flat: Amount(rule.flat),
            percent: percent(rule.share_ppm),
            min: rule.min.map(Amount),
            max: rule.max.map(Amount),
            currency: Money::currency(rule.flat).code(),
        }
    }
}

/// Millionths in per cent, in shortest form: 5,000 is `0.5`.
fn percent(ppm: i64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_cent_in_shortest_form() {
        for (ppm, text) in
            [(0, "0"), (5_000, "0.5"), (15_000, "1.5"), (1, "0.0001"), (1_000_000, "100")]
        {
            assert_eq!(percent(ppm), text);
        }
    }

    #[test]
    fn every_wrong_field_of_a_query_is_named() {
        let sent = r#"{"status":"done","operator":"xx","number":"12","reference":" a",
            "from":"yesterday","to":"2026-13-01","after":"-1","limit":"101"}"#;
        let fields = RawFields::from_json(sent).unwrap();
        let invalid = transactions(&fields, &fixtures::catalog()).unwrap_err();
        let named: Vec<&str> = invalid.field_errors.iter().map(|e| e.field).collect();
        let all = ["status", "operator", "number", "reference", "from", "to", "after", "limit"];
        assert_eq!(named, all);
    }

    #[test]
    fn approved_is_read_as_success() {
        for sent in ["success", "approved", "Approved"] {
            let query = RawFields::from_query(vec![("status".to_owned(), sent.to_owned())]);
            let filter = transactions(&query, &fixtures::catalog()).map(|(filter, _)| filter);
            assert_eq!(filter.map(|filter| filter.states), Ok(vec![State::Delivered]), "{sent}");
        }
    }

    /// Its purchases are found by its code and its aliases, as long as it has a name.
    #[test]
    fn an_operator_that_was_switched_off_is_found() {
        let mut catalog = fixtures::catalog();
        let gp = catalog.operators.iter_mut().find(|o| o.code == "GP").unwrap();
        gp.is_active = false;
        gp.aliases = vec!["grameenphone".to_owned()];
        for sent in ["gp", "GP", "Grameenphone"] {
            let query = RawFields::from_query(vec![("operator".to_owned(), sent.to_owned())]);
            let filter = transactions(&query, &catalog).map(|(filter, _)| filter.operator);
            assert_eq!(filter, Ok(Some("GP".to_owned())), "{sent}");
        }
    }

    #[test]
    fn two_names_of_one_operator_are_one() {
        let mut catalog = fixtures::catalog();
        let gp = catalog.operators.iter_mut().find(|o| o.code == "GP").unwrap();
        gp.aliases = vec!["grameenphone".to_owned()];
        for (one, other, is_same) in
            [("gp", "GP", true), ("gp", "GrameenPhone ", true), ("gp", "TT", false)]
        {
            let pairs = [("operator", one), ("operator_code", other)];
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let query = RawFields::from_query(pairs.to_vec());
            let filter = transactions(&query, &catalog).map(|(filter, _)| filter.operator);
            assert_eq!(filter == Ok(Some("GP".to_owned())), is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_query_becomes_a_filter() {
        let sent = r#"{"status":"processing","operator":"gp","number":"+8801712345678",
            "from":"2026-02-01","to":"2026-02-01T06:00:00+06:00","after":"77"}"#;
        let fields = RawFields::from_json(sent).unwrap();
        let (filter, page) = transactions(&fields, &fixtures::catalog()).unwrap();
        assert_eq!(filter.states, [State::Sent, State::InDoubt, State::WithStaff]);
        assert_eq!(filter.operator.as_deref(), Some("GP"));
        assert_eq!(filter.recipient.as_deref(), Some("01712345678"));
        let midnight = Some(Timestamp(1_769_904_000_000_000));
        assert_eq!((filter.since, filter.until), (midnight, midnight));
        assert_eq!((page.before, page.limit), (Some(77), 50));
    }
}

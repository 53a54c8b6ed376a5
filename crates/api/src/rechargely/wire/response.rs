//! The answers of the rechargely document, rendered from purchases and the catalog.
//!
//! Every field is named here, the documented ones first and in the document's order, so no other
//! field can leak. Invariant: amounts are rendered from integer minor units.

use super::ids;
use super::status::{Status, StatusText, status_text};
use crate::extract::describe;
use crate::logos;
use crate::wire::amount::Amount;
use crate::wire::json::rfc3339;
use domain::purchase::{CUSTOMER_ADDRESS, CUSTOMER_NAME};
use domain::{AmountRange, BillFormat, Catalog, Field, Money, Pricing, Product, Purchase, Token};
use utoipa::ToSchema;
use utoipa::openapi::Schema;

/// The answer to a log-in.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct LoggedIn<'a> {
    /// Send it as `Authorization: Bearer …`. Expires after one hour.
    #[schema(example = "eyJhbGciOiJIUzI1NiIs...")]
    pub access_token: &'a str,
    /// Added to the document: `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Added: seconds until it expires.
    #[schema(example = 3600)]
    pub expires_in: u64,
}

/// The answer where there is nothing to tell but that it is done.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct Done {
    /// For people: what happened, and what to do next.
    #[schema(example = "The password is changed. Log in again.")]
    pub message: &'static str,
}

/// A category of the list.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct ListedCategory<'a> {
    /// Its string.
    #[schema(example = "cat_001")]
    pub id: String,
    /// For people.
    #[schema(example = "Airtime")]
    pub category: &'a str,
    /// For people.
    #[schema(example = "Mobile airtime top-ups")]
    pub description: &'a str,
    /// A drawing; public.
    #[schema(example = "https://saldo.example/operator_logo/airtime.png")]
    pub logo: String,
}

/// A product of a list.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ListedProduct<'a> {
    /// Its string. Send it or `productId` as `productId`.
    #[schema(example = "prod_001")]
    pub id: String,
    /// For programs.
    #[schema(example = "econet_airtime")]
    pub name: &'a str,
    /// For people.
    #[schema(example = "Econet Airtime")]
    pub description: &'a str,
    /// What products of one brand share: `products/providers/{name}` takes it.
    #[schema(example = "econet")]
    pub ref_name: &'a str,
    /// What `billReference` looks like: `X` is one digit.
    #[schema(example = "07XXXXXXXX")]
    pub bill_format: &'a str,
    /// The name of its category.
    #[schema(example = "Airtime")]
    pub category: &'a str,
    /// `ACTIVE` or `INACTIVE`; only active ones can be bought.
    pub status: Availability,
    /// Who delivers it.
    #[schema(example = "Econet Wireless")]
    pub biller_name: &'a str,
    /// ISO 4217: what it is paid in.
    #[schema(example = "USD")]
    pub currency: &'static str,
    /// What it costs; 0 if `pricingType` is `VARIABLE`.
    #[schema(value_type = f64, example = 0)]
    pub product_price: Amount,
    /// For people.
    #[schema(example = "Econet Airtime")]
    pub product_name: &'a str,
    /// The biller's code.
    #[schema(example = "ECONET")]
    pub provider_code: &'a str,
    #[doc = " `FIXED`: send `productPrice`. `VARIABLE`: send what you like within `minAmount`, \
             `maxAmount`."]
    pub pricing_type: PricingType,
    /// A drawing; public.
    #[schema(example = "https://saldo.example/operator_logo/econet.png")]
    pub product_logo_url: String,
    /// The least that one payment may be.
    #[schema(value_type = f64, example = 0.5)]
    pub min_amount: Amount,
    /// The most that one payment may be.
    #[schema(value_type = f64, example = 500)]
    pub max_amount: Amount,
    /// Added to the document: its number, fit for `productId`.
    #[schema(example = 1)]
    pub product_id: i64,
    /// Added to the document: what `additionalData` may or must hold.
    pub fields: Vec<ListedField<'a>>,
}

impl<'a> ListedProduct<'a> {
    /// The product's entry in a list.
    pub(crate) fn of(
        product: &'a Product,
        catalog: &'a Catalog,
        base_url: &str,
    ) -> ListedProduct<'a> {
        let operator = catalog.operator_by_code(&product.operator);
        let is_sold = product.is_active && operator.is_none_or(|operator| operator.is_active);
        let (pricing_type, price, limits) = match product.price {
            Pricing::Fixed(price) => {
                (PricingType::Fixed, price, AmountRange { min: price, max: price })
            }
            Pricing::Range(limits) => {
                (PricingType::Variable, Money::zero(limits.min.currency()), limits)
            }
        };
        ListedProduct {
            id: ids::product(product.id.0),
            name: &product.name,
            description: &product.description,
            ref_name: &product.ref_name,
            bill_format: product.bill.as_str(),
            category: catalog.category(product.category).map_or("", |category| &category.name),
            status: if is_sold { Availability::Active } else { Availability::Inactive },
            biller_name: operator.map_or(&product.operator, |operator| &operator.name),
            currency: product.price.currency().code(),
            product_price: Amount(price),
            product_name: &product.title,
            provider_code: &product.operator,
            pricing_type,
            product_logo_url: logos::url(base_url, &product.logo),
            min_amount: Amount(limits.min),
            max_amount: Amount(limits.max),
            product_id: product.id.0,
            fields: product.fields.iter().map(ListedField::of).collect(),
        }
    }
}

impl<'a> ListedField<'a> {
    fn of(field: &'a Field) -> ListedField<'a> {
        ListedField {
            name: &field.name,
            label: &field.label,
            required: field.is_required,
            format: field.format.as_ref().map(BillFormat::as_str),
            max_length: field.length_max,
        }
    }
}

/// Whether a product can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum Availability {
    /// It can.
    Active,
    /// Not now.
    Inactive,
}

/// Who chooses the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum PricingType {
    /// The catalog.
    Fixed,
    /// The customer.
    Variable,
}

/// Something that a product asks for in `additionalData`.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ListedField<'a> {
    /// How `additionalData` calls it.
    #[schema(example = "studentName")]
    pub name: &'a str,
    /// How people call it.
    #[schema(example = "Student's name")]
    pub label: &'a str,
    /// Whether it must be there.
    #[schema(example = true)]
    pub required: bool,
    /// What it looks like, `X` being one digit; null: anything.
    #[schema(example = "XXXXXX")]
    pub format: Option<&'a str>,
    /// At most so many characters.
    #[schema(example = 64)]
    pub max_length: usize,
}

/// A provider of the list.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ListedProvider<'a> {
    /// For people.
    #[schema(example = "Econet Wireless")]
    pub provider_name: &'a str,
}

/// The answer to a pre-auth: a price that holds until it expires. Nothing is charged.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PreAuthAnswer<'a> {
    /// `200`.
    #[schema(schema_with = response_codes)]
    response_code: &'static str,
    /// For people.
    #[schema(example = "Payment initiated successfully")]
    response_message: &'static str,
    /// Send it to `auth` with the same `requestId`: it is good for one charge.
    #[schema(example = "preauth_abc123")]
    pre_auth_token: &'a str,
    /// Yours.
    #[schema(example = "string")]
    request_id: &'a str,
    /// `PENDING`.
    status: Status,
    /// Added to the document: what the end customer gets.
    #[schema(value_type = f64, example = 10)]
    amount: Amount,
    /// Added: what is charged on top.
    #[schema(value_type = f64, example = 0.25)]
    fee: Amount,
    /// Added: amount and fee, which `auth` charges.
    #[schema(value_type = f64, example = 10.25)]
    total: Amount,
    /// Added: ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Added: until when it can be authorized; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:57:34.000000Z")]
    expires_at: String,
    /// Added, where the biller was asked: whom the bill reference belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    customer: Option<BillCustomer<'a>>,
    /// Added: what it means for the money, and what to do next.
    #[schema(example = "Nothing is charged yet. Authorize the payment before it expires.")]
    message: &'static str,
}

fn response_codes() -> Schema {
    describe::one_of(["200", "202", "422", "409"])
}

/// Whom the biller knows by a bill reference.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct BillCustomer<'a> {
    /// As the biller writes it.
    #[schema(example = "T. MOYO")]
    pub name: &'a str,
    /// As the biller writes it; null where it says none.
    #[schema(example = "12 Samora Machel Ave, Harare")]
    pub address: Option<&'a str>,
}

impl<'a> PreAuthAnswer<'a> {
    /// The answer about a new quote.
    pub(crate) fn of(quote: &'a Purchase, token: &'a str) -> PreAuthAnswer<'a> {
        let detail = |name: &str| quote.details.get(name).map(String::as_str);
        let customer = detail(CUSTOMER_NAME)
            .map(|name| BillCustomer { name, address: detail(CUSTOMER_ADDRESS) });
        let StatusText { status, response_code, response_message, message } =
            status_text(quote.state);
        PreAuthAnswer {
            response_code,
            response_message,
            pre_auth_token: token,
            request_id: &quote.reference,
            status,
            amount: Amount(quote.amount),
            fee: Amount(quote.fee),
            // The engine quotes only a price whose sum fits.
            total: Amount(quote.total().unwrap_or(quote.amount)),
            currency: quote.amount.currency().code(),
            expires_at: rfc3339(quote.opened_at.after(domain::purchase::settle::QUOTE_VALID_FOR)),
            customer,
            message,
        }
    }
}

/// The answer to an auth: the payment as it stands.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct AuthAnswer<'a> {
    /// `200` done, `202` in progress, `422` failed, `409` cancelled. Always a string.
    #[schema(schema_with = response_codes)]
    response_code: &'static str,
    /// For people.
    #[schema(example = "Payment authorized successfully")]
    response_message: &'static str,
    /// Ours, unique.
    #[schema(example = "TXN-2026-00001234")]
    transaction_reference: String,
    /// How it stands. `PENDING` and `PROCESSING` are not final: ask again, do not pay again.
    status: Status,
    /// Yours.
    #[schema(example = "string")]
    request_id: &'a str,
    /// Added to the document: what the end customer gets.
    #[schema(value_type = f64, example = 10)]
    amount: Amount,
    /// Added: what is charged on top.
    #[schema(value_type = f64, example = 0.25)]
    fee: Amount,
    /// Added: ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Added: electricity's tokens, to be entered in this order; else empty.
    tokens: Vec<MeterToken<'a>>,
    /// Added: what a receipt says, line by line; empty until it is delivered.
    receipt: Vec<ReceiptLine>,
    /// Added: what it means for the money, and what to do next.
    #[schema(example = "It was delivered. Amount and fee are charged.")]
    message: &'static str,
}

/// A token that a meter is fed with.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
#[schema(as = ToldToken)]
pub(in super::super) struct MeterToken<'a> {
    /// 20 digits.
    #[schema(example = "12345678901234567890")]
    pub token: &'a str,
    /// Units it carries, as the operator writes them; null for a key change.
    #[schema(example = "45.7")]
    pub units: Option<&'a str>,
    /// `KEY_CHANGE` or `CREDIT`.
    #[schema(example = "CREDIT")]
    pub kind: &'static str,
}

impl<'a> MeterToken<'a> {
    /// The token as a slip has it.
    pub(crate) fn of(token: &'a Token) -> MeterToken<'a> {
        let (units, kind) = (token.units.as_deref(), token.kind.code());
        MeterToken { token: token.digits(), units, kind }
    }
}

/// A line of a receipt.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
#[schema(as = ToldLine)]
pub(in super::super) struct ReceiptLine {
    /// For people.
    #[schema(example = "Meter")]
    pub label: String,
    /// For people.
    #[schema(example = "41234567890")]
    pub value: String,
}

/// What an answer shows of a delivery; empty if nothing was delivered.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct DeliveryView<'a> {
    /// In the order in which the meter needs them.
    pub tokens: Vec<MeterToken<'a>>,
    /// The lines of the receipt.
    pub receipt: Vec<ReceiptLine>,
}

impl<'a> AuthAnswer<'a> {
    /// The answer about a payment in its current state.
    pub(crate) fn of(purchase: &'a Purchase, delivery: DeliveryView<'a>) -> AuthAnswer<'a> {
        let StatusText { status, response_code, response_message, message } =
            status_text(purchase.state);
        AuthAnswer {
            response_code,
            response_message,
            transaction_reference: ids::reference(purchase.key.id, purchase.opened_at),
            status,
            request_id: &purchase.reference,
            amount: Amount(purchase.amount),
            fee: Amount(purchase.fee),
            currency: purchase.amount.currency().code(),
            tokens: delivery.tokens,
            receipt: delivery.receipt,
            message,
        }
    }
}

/// A payment as it stands; added to the document.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Transaction<'a> {
    /// As `auth` answered, or would answer now.
    #[serde(flatten)]
    answer: AuthAnswer<'a>,
    /// Its id: what `before` takes.
    #[schema(example = 1234)]
    id: i64,
    /// The product, if it is still in the catalog.
    product: Option<BoughtProduct<'a>>,
    /// As the biller writes it.
    #[schema(example = "0771234567")]
    bill_reference: &'a str,
    /// When it was initiated; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    created_at: String,
    /// When it last changed; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    updated_at: String,
    /// When it was delivered; UTC; null until then.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    completed_at: Option<String>,
}

/// What was bought.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct BoughtProduct<'a> {
    /// Its string.
    #[schema(example = "prod_001")]
    pub id: String,
    /// Its number.
    #[schema(example = 1)]
    pub product_id: i64,
    /// For people.
    #[schema(example = "Econet Airtime")]
    pub product_name: &'a str,
}

impl<'a> Transaction<'a> {
    /// The payment in its current state.
    pub(crate) fn of(
        purchase: &'a Purchase,
        product: Option<BoughtProduct<'a>>,
        delivery: DeliveryView<'a>,
    ) -> Transaction<'a> {
        Transaction {
            answer: AuthAnswer::of(purchase, delivery),
            id: purchase.key.id.number().0,
            product,
            bill_reference: &purchase.recipient,
            created_at: rfc3339(purchase.opened_at),
            updated_at: rfc3339(purchase.updated_at),
            completed_at: purchase.delivered_at.map(rfc3339),
        }
    }
}

/// A page of payments, newest first; added to the document.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Transactions<'a> {
    /// The page.
    pub transactions: Vec<Transaction<'a>>,
    /// Send it as `before` for the next page; null: this is the last one.
    #[schema(example = 1234)]
    pub next_before: Option<i64>,
}

/// A wallet; added to the document.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(as = ToldWallet)]
pub(in super::super) struct WalletBalance {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: &'static str,
    /// What can be spent.
    #[schema(value_type = f64, example = 120.5)]
    pub balance: Amount,
}

/// A page of a wallet's movements, newest first; added to the document.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Statement {
    /// The page.
    pub entries: Vec<StatementLine>,
    /// Send it as `before` for the next page; null: this is the last one.
    #[schema(example = 41)]
    pub next_before: Option<i64>,
}

/// A movement of a wallet.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct StatementLine {
    /// Its place in the ledger: what `before` takes.
    #[schema(example = 42)]
    pub id: i64,
    /// What it was: `hold` (set aside for a payment), `release` (given back by one that was not
    /// delivered), `refund` (given back by one that was taken back), `deposit`, `withdraw`.
    #[serde(rename = "type")]
    #[schema(example = "hold")]
    pub kind: &'static str,
    /// By how much the balance changed; negative where money left the wallet.
    #[schema(value_type = f64, example = -10.25)]
    pub change: Amount,
    /// What could be spent after it.
    #[schema(value_type = f64, example = 110.25)]
    pub balance: Amount,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: &'static str,
    /// The payment it belongs to, if to one: its `transactionReference`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "TXN-2026-00001234")]
    pub reference: Option<String>,
    /// The same payment's `requestId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "R-20260204-0001")]
    pub request_id: Option<String>,
    /// When; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    pub at: String,
}

#[cfg(test)]
mod tests;

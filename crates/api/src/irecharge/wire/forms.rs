//! The bodies and queries of requests, as the OpenAPI document describes them.
//!
//! These types only describe: `request` reads the fields itself, to keep the literal text of
//! amounts and to report every invalid field at once. A test checks that both have the same names.

#![expect(dead_code, reason = "read by utoipa's derives, not by us")]

use utoipa::{IntoParams, ToSchema};

/// A recharge of an amount that the customer chose.
#[derive(ToSchema)]
#[schema(example = json!({"number": "01712345678", "amount": 10, "operator": "gp",
    "service_type": "prepaid", "webhook_url": "https://your-domain.com/webhooks/recharge",
    "reference": "BILL-026401"}))]
pub(in super::super) struct RechargeRequest {
    /// Operator code or name, in any case: gp, rb, at, bl, tt, sk. Also accepted as
    /// `operator_code`, `operator_short`.
    #[schema(example = "gp")]
    operator: String,
    /// The customer's mobile number. `+8801…`, `8801…`, `01…` and `1…` are one number; spaces,
    /// hyphens and brackets are ignored. It need not match the operator: numbers are portable.
    #[schema(example = "01712345678")]
    number: String,
    /// How much, as a number or a string: at most 9 digits and 2 decimals, more than 0, no sign,
    /// exponent or space, within the operator's limits.
    #[schema(value_type = AmountSent, example = 10)]
    amount: (),
    /// `prepaid` (default) or `postpaid`.
    #[schema(required = false, example = "prepaid")]
    service_type: ServiceTypeSent,
    /// Yours, unique for ever per account and environment: 1 to 128 printable ASCII characters, no
    /// space at either end. Also accepted as `client_reference`, `clientReference`.
    #[schema(min_length = 1, max_length = 128, example = "BILL-026401")]
    reference: String,
    /// Where this purchase's events go instead of the key's address: an absolute URL, `https` in
    /// live mode. Also accepted as `recharge_webhook_url`.
    #[schema(required = false, max_length = 2048)]
    #[schema(example = "https://your-domain.com/webhooks/recharge")]
    webhook_url: String,
}

/// A JSON number or a string of one.
#[derive(ToSchema)]
#[schema(as = Amount)]
#[serde(untagged)]
pub(in super::super) enum AmountSent {
    /// As a number.
    Number(f64),
    /// As a string.
    Text(String),
}

/// Whether the customer pays before or after use.
#[derive(ToSchema)]
#[schema(as = ServiceType)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum ServiceTypeSent {
    /// Before.
    Prepaid,
    /// After.
    Postpaid,
}

/// An offer, as `GET recharge/offers` listed it. Send `operator`, `number`, `amount` and the
/// identifiers that the offer has.
#[derive(ToSchema)]
#[schema(example = json!({"operator": "banglalink", "number": "01912345678", "offerId": "OFF32071",
    "amount": "549", "tranId": "4891011729527520112", "reference": "BILL-20260204-0003"}))]
pub(in super::super) struct OfferRequest {
    /// The offer's `operator`. Also accepted as `operator_code`, `operator_short`.
    #[schema(example = "banglalink")]
    operator: String,
    /// The offer's `number`.
    #[schema(example = "01912345678")]
    number: String,
    /// The offer's `amount`, as a number or a string; another one is refused.
    #[schema(value_type = AmountSent, example = "549")]
    amount: (),
    /// As for a recharge. Also accepted as `client_reference`, `clientReference`.
    #[schema(min_length = 1, max_length = 128, example = "BILL-20260204-0003")]
    reference: String,
    /// Robi and Airtel: required.
    #[serde(rename = "ticketId")]
    #[schema(required = false)]
    ticket_id: String,
    /// Grameenphone and Banglalink: required. Also accepted as `offer_id`.
    #[serde(rename = "offerId")]
    #[schema(required = false, example = "OFF32071")]
    offer_id: String,
    /// Grameenphone; filled in from the offers shown if it is left out. Also `campaign_id`.
    #[serde(rename = "campaignId")]
    #[schema(required = false)]
    campaign_id: String,
    /// Grameenphone; filled in from the offers shown if it is left out. Also `session_context`.
    #[serde(rename = "sessionContext")]
    #[schema(required = false)]
    session_context: String,
    /// Grameenphone, where the offer has one. Also `opt_in_keyword`.
    #[serde(rename = "optInKeyword")]
    #[schema(required = false)]
    opt_in_keyword: String,
    /// Banglalink; filled in from the offers shown if it is left out. Also `tran_id`.
    #[serde(rename = "tranId")]
    #[schema(required = false, example = "4891011729527520112")]
    tran_id: String,
    /// As for a recharge. Also accepted as `recharge_webhook_url`.
    #[schema(required = false, max_length = 2048)]
    webhook_url: String,
}

/// A payment by mobile banking.
#[derive(ToSchema)]
#[schema(example = json!({"operator": "bkash", "number": "01712345678", "amount": 500,
    "type": "send_money", "account_type": "personal", "reference": "BANK-0001"}))]
pub(in super::super) struct BankingRequest {
    /// A code or name of the service `mobile-banking`, in any case. Also accepted as
    /// `operator_code`, `operator_short`.
    #[schema(example = "bkash")]
    operator: String,
    /// The mobile number that the account goes by.
    #[schema(example = "01712345678")]
    number: String,
    /// How much, as for a recharge.
    #[schema(value_type = AmountSent, example = 500)]
    amount: (),
    /// What is to be done.
    #[serde(rename = "type")]
    way: BankingType,
    /// Whose account it is: `personal` (default) or `agent`.
    #[schema(required = false)]
    account_type: AccountType,
    /// As for a recharge. Also accepted as `client_reference`, `clientReference`.
    #[schema(min_length = 1, max_length = 128, example = "BANK-0001")]
    reference: String,
    /// As for a recharge. Also accepted as `recharge_webhook_url`.
    #[schema(required = false, max_length = 2048)]
    webhook_url: String,
}

/// Ways of paying by mobile banking.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum BankingType {
    /// Money into the account.
    CashIn,
    /// Money out of the account.
    CashOut,
    /// From account to account.
    SendMoney,
    /// To a merchant.
    Payment,
}

/// Kinds of mobile-banking accounts.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum AccountType {
    /// A person's.
    Personal,
    /// An agent's.
    Agent,
}

/// Names a purchase, by one identifier or by several that agree.
#[derive(ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(example = json!({"transaction_id": 1}))]
pub(in super::super) struct StatusRequest {
    /// Your reference. Also accepted as `client_reference`, `clientReference`.
    #[schema(required = false, example = "BILL-20260204-0001")]
    #[param(required = false, example = "BILL-20260204-0001")]
    reference: String,
    /// The id that the purchase's answer gave, as a number or a string of digits. Also accepted as
    /// `transactionId`.
    #[schema(required = false, example = 1)]
    #[param(required = false)]
    transaction_id: i64,
}

/// Which operators.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct OperatorsQuery {
    /// Country by name or code, in any case.
    #[param(required = false, example = "bd")]
    country: String,
    /// Service by slug or name: `mobile-recharge`, `mobile-banking`.
    #[param(required = false, example = "mobile-recharge")]
    service: String,
    /// Part of an operator's name, code or alias, in any case. Also accepted as `q`.
    #[param(required = false, example = "robi")]
    search: String,
}

/// Whose offers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct OffersQuery {
    /// The customer's mobile number.
    #[param(example = "01937395849")]
    number: String,
    /// gp, robi/rb, airtel/at, banglalink/bl. Also accepted as `operator_code`, `operator_short`.
    #[param(example = "banglalink")]
    operator: String,
}

/// Which wallet.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct BalanceQuery {
    /// Added to the document: ISO 4217 code of another wallet of the account.
    #[param(required = false, example = "BDT")]
    currency: String,
}

//! The fields of requests and the requests that list them: for parsing, and for the OpenAPI
//! document.
//!
//! Not here: the rules that a schema cannot say.

use crate::wire::form::{Field, Kind, Optional, Required, form};
use domain::ServiceType;

pub(super) const OPERATOR: Field =
    Field::text("operator").aliases(&["operator_code", "operator_short"]);
const NUMBER: Field = Field::text("number").example("01712345678");
pub(super) const AMOUNT: Field = Field::of(Kind::Fitting(AMOUNT_SENT), "amount").named("Amount");
const AMOUNT_SENT: &str = r#"{"description": "A JSON number or a string of one.", "oneOf": [
    {"type": "number", "format": "double", "description": "As a number."},
    {"type": "string", "description": "As a string."}]}"#;
const REFERENCE: Field = Field::text("reference")
    .aliases(&["client_reference", "clientReference"])
    .length(1, 128)
    .says("As for a recharge.");
const SERVICE_TYPES: Kind = Kind::Codes(
    || ServiceType::ALL.map(ServiceType::code).into(),
    "Whether the customer pays before or after use.",
);
pub(super) const SERVICE_TYPE: Field =
    Field::of(SERVICE_TYPES, "service_type").named("ServiceType");
pub(super) const WEBHOOK_URL: Field = Field::text("webhook_url")
    .aliases(&["recharge_webhook_url"])
    .length(0, 2048)
    .says("As for a recharge.");
/// Added to the document (CONTRACT A-42).
const ALLOW_DUPLICATE: Field = Field::of(
    Kind::Fitting(r#"{"type": "boolean", "description": "true or false."}"#),
    "allow_duplicate",
)
.named("AllowDuplicate")
.says("Added to the document: sell it although it looks like the sale of a moment ago.");
const ID: Kind = Kind::Integer { min: 0, max: i64::MAX };
/// The types of mobile banking (CONTRACT A-16).
const TYPES: Kind = Kind::Codes(
    || vec!["cash_in", "cash_out", "send_money", "payment"],
    "Ways of paying by mobile banking.",
);
const ACCOUNT_TYPES: Kind =
    Kind::Codes(|| vec!["personal", "agent"], "Kinds of mobile-banking accounts.");

form! {
    /// A recharge of an amount that the customer chose.
    RechargeRequest {
        /// Operator code or name, in any case: gp, rb, at, bl, tt, sk.
        operator: Required = OPERATOR.example("gp"),
        /// The customer's mobile number. `+8801…`, `008801…`, `8801…`, `01…` and `1…` are
        /// one number, in Latin or Bangla digits; spaces, hyphens and brackets are ignored. It need
        /// not match the operator: numbers are portable.
        number: Required = NUMBER,
        /// How much, as a number or a string: at most 9 digits and 2 decimals, more than 0, no
        /// sign, exponent or space, within the operator's limits.
        amount: Required = AMOUNT.example("10"),
        /// `prepaid` (default) or `postpaid`.
        service_type: Optional = SERVICE_TYPE.default("prepaid").example("prepaid"),
        /// Yours, unique for ever per account and environment: 1 to 128 printable ASCII characters,
        /// no space at either end.
        reference: Required = REFERENCE.example("BILL-026401"),
        /// Where this purchase's events go instead of the key's address: an absolute URL, `https`
        /// in live mode.
        webhook_url: Optional = WEBHOOK_URL.example("https://your-domain.com/webhooks/recharge"),
        allow_duplicate: Optional = ALLOW_DUPLICATE,
    }

    /// An offer, as `GET recharge/offers` listed it. Send `operator`, `number`, `amount` and the
    /// identifiers that the offer has.
    OfferRequest {
        /// The offer's `operator`.
        operator: Required = OPERATOR.example("banglalink"),
        /// The offer's `number`.
        number: Required = NUMBER.example("01912345678"),
        /// The offer's `amount`, as a number or a string; another one is refused.
        amount: Required = AMOUNT.example("\"549\""),
        reference: Required = REFERENCE.example("BILL-20260204-0003"),
        /// Robi and Airtel: required.
        ticket_id: Optional = Field::text("ticketId"),
        /// Grameenphone and Banglalink: required.
        offer_id: Optional = Field::text("offerId").aliases(&["offer_id"]).example("OFF32071"),
        /// Grameenphone; filled in from the offers shown if it is left out.
        campaign_id: Optional = Field::text("campaignId").aliases(&["campaign_id"]),
        /// Grameenphone; filled in from the offers shown if it is left out.
        session_context: Optional = Field::text("sessionContext").aliases(&["session_context"]),
        /// Grameenphone, where the offer has one.
        opt_in_keyword: Optional = Field::text("optInKeyword").aliases(&["opt_in_keyword"]),
        /// Banglalink; filled in from the offers shown if it is left out.
        tran_id: Optional = Field::text("tranId").aliases(&["tran_id"])
            .example("4891011729527520112"),
        webhook_url: Optional = WEBHOOK_URL,
        allow_duplicate: Optional = ALLOW_DUPLICATE,
    }

    /// A payment by mobile banking.
    BankingRequest {
        /// A code or name of the service `mobile-banking`, in any case.
        operator: Required = OPERATOR.example("bkash"),
        /// The mobile number that the account goes by.
        number: Required = NUMBER,
        /// How much, as for a recharge.
        amount: Required = AMOUNT.example("500"),
        /// What is to be done.
        way: Required = Field::of(TYPES, "type").named("BankingType").example("send_money"),
        /// Whose account it is: `personal` (default) or `agent`.
        account_type: Optional = Field::of(ACCOUNT_TYPES, "account_type").named("AccountType")
            .default("personal").example("personal"),
        reference: Required = REFERENCE.example("BANK-0001"),
        webhook_url: Optional = WEBHOOK_URL,
        allow_duplicate: Optional = ALLOW_DUPLICATE,
    }

    /// Names a purchase, by one identifier or by several that agree.
    StatusRequest = r#"{"transaction_id":1}"# {
        /// Your reference.
        reference: Optional = REFERENCE.example("BILL-20260204-0001"),
        /// The id that the purchase's answer gave, as a number or a string of digits.
        transaction_id: Optional = Field::of(ID, "transaction_id").aliases(&["transactionId"]),
    }

    /// Which operators.
    OperatorsQuery {
        /// Country by name or code, in any case.
        country: Optional = Field::text("country").example("bd"),
        /// Service by slug or name: `mobile-recharge`, `mobile-banking`.
        service: Optional = Field::text("service").example("mobile-recharge"),
        /// Part of an operator's name, code or alias, in any case.
        search: Optional = Field::text("search").aliases(&["q"]).example("robi"),
    }

    /// Whose offers.
    OffersQuery {
        /// The customer's mobile number.
        number: Required = NUMBER.example("01937395849"),
        /// gp, robi/rb, airtel/at, banglalink/bl.
        operator: Required = OPERATOR.example("banglalink"),
    }

    /// Which wallet.
    BalanceQuery {
        /// Added to the document: ISO 4217 code of another wallet of the account.
        currency: Optional = Field::text("currency").example("BDT"),
    }
}

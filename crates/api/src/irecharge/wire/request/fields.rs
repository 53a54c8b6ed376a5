//! The fields of requests and the requests that list them: for parsing, and for the OpenAPI
//! document.
//!
//! Not here: the rules that a schema cannot say.

use crate::wire::form::{Field, Kind, NamedSchema, Optional, Required, Values, form};
use domain::ServiceType;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

pub(super) const OPERATOR: Field =
    Field::text("operator").aliases(&["operator_code", "operator_short"]);
const NUMBER: Field = Field::text("number");
pub(super) const AMOUNT: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "Amount",
        description: "A JSON number or a string of one.",
        values: Values::AnyOf(|| {
            let number = ObjectBuilder::new().schema_type(Type::Number);
            let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
            let text = ObjectBuilder::new().schema_type(Type::String);
            [(number, "As a number."), (text, "As a string.")]
                .map(|(schema, text)| schema.description(Some(text)))
                .into()
        }),
    }),
    "amount",
);
const REFERENCE: Field = Field::text("reference")
    .aliases(&["client_reference", "clientReference"])
    .length(1, 128)
    .says("As for a recharge.");
pub(super) const SERVICE_TYPE: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "ServiceType",
        description: "Whether the customer pays before or after use.",
        values: Values::Codes(|| ServiceType::ALL.map(ServiceType::code).into()),
    }),
    "service_type",
);
pub(super) const WEBHOOK_URL: Field = Field::text("webhook_url")
    .aliases(&["recharge_webhook_url"])
    .length(0, 2048)
    .says("As for a recharge.");

/// The types of mobile banking (CONTRACT A-16).
const TYPE: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "BankingType",
        description: "Ways of paying by mobile banking.",
        values: Values::Codes(|| vec!["cash_in", "cash_out", "send_money", "payment"]),
    }),
    "type",
);
const ACCOUNT_TYPE: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "AccountType",
        description: "Kinds of mobile-banking accounts.",
        values: Values::Codes(|| vec!["personal", "agent"]),
    }),
    "account_type",
);

form! { RechargeRequest: "A recharge of an amount that the customer chose." {
    operator: Required = OPERATOR.example("gp")
        .says("Operator code or name, in any case: gp, rb, at, bl, tt, sk."),
    number: Required = NUMBER.example("01712345678").says(
        "The customer's mobile number. `+8801…`, `8801…`, `01…` and `1…` are one number; spaces, \
         hyphens and brackets are ignored. It need not match the operator: numbers are portable."),
    amount: Required = AMOUNT.example("10").says(
        "How much, as a number or a string: at most 9 digits and 2 decimals, more than 0, no sign, \
         exponent or space, within the operator's limits."),
    service_type: Optional = SERVICE_TYPE.default("prepaid").example("prepaid")
        .says("`prepaid` (default) or `postpaid`."),
    reference: Required = REFERENCE.example("BILL-026401").says(
        "Yours, unique for ever per account and environment: 1 to 128 printable ASCII characters, \
         no space at either end."),
    webhook_url: Optional = WEBHOOK_URL.example("https://your-domain.com/webhooks/recharge").says(
        "Where this purchase's events go instead of the key's address: an absolute URL, `https` \
         in live mode."),
} }

form! { OfferRequest: "An offer, as `GET recharge/offers` listed it. Send `operator`, `number`, \
    `amount` and the identifiers that the offer has." {
    operator: Required = OPERATOR.says("The offer's `operator`.").example("banglalink"),
    number: Required = NUMBER.says("The offer's `number`.").example("01912345678"),
    amount: Required = AMOUNT.example("\"549\"")
        .says("The offer's `amount`, as a number or a string; another one is refused."),
    reference: Required = REFERENCE.example("BILL-20260204-0003"),
    ticket_id: Optional = Field::text("ticketId").says("Robi and Airtel: required."),
    offer_id: Optional = Field::text("offerId").aliases(&["offer_id"]).example("OFF32071")
        .says("Grameenphone and Banglalink: required."),
    campaign_id: Optional = Field::text("campaignId").aliases(&["campaign_id"])
        .says("Grameenphone; filled in from the offers shown if it is left out."),
    session_context: Optional = Field::text("sessionContext").aliases(&["session_context"])
        .says("Grameenphone; filled in from the offers shown if it is left out."),
    opt_in_keyword: Optional = Field::text("optInKeyword").aliases(&["opt_in_keyword"])
        .says("Grameenphone, where the offer has one."),
    tran_id: Optional = Field::text("tranId").aliases(&["tran_id"])
        .example("4891011729527520112")
        .says("Banglalink; filled in from the offers shown if it is left out."),
    webhook_url: Optional = WEBHOOK_URL,
} }

form! { BankingRequest: "A payment by mobile banking." {
    operator: Required = OPERATOR.example("bkash")
        .says("A code or name of the service `mobile-banking`, in any case."),
    number: Required = NUMBER.example("01712345678")
        .says("The mobile number that the account goes by."),
    amount: Required = AMOUNT.example("500").says("How much, as for a recharge."),
    way: Required = TYPE.example("send_money").says("What is to be done."),
    account_type: Optional = ACCOUNT_TYPE.default("personal").example("personal")
        .says("Whose account it is: `personal` (default) or `agent`."),
    reference: Required = REFERENCE.example("BANK-0001"),
    webhook_url: Optional = WEBHOOK_URL,
} }

form! { StatusRequest: "Names a purchase, by one identifier or by several that agree."
    example r#"{"transaction_id":1}"# {
    reference: Optional = REFERENCE.says("Your reference.").example("BILL-20260204-0001"),
    transaction_id: Optional =
        Field::of(Kind::Integer { min: 0, max: i64::MAX }, "transaction_id")
        .aliases(&["transactionId"])
        .says("The id that the purchase's answer gave, as a number or a string of digits."),
} }

form! { OperatorsQuery: "Which operators." {
    country: Optional = Field::text("country").example("bd")
        .says("Country by name or code, in any case."),
    service: Optional = Field::text("service").example("mobile-recharge")
        .says("Service by slug or name: `mobile-recharge`, `mobile-banking`."),
    search: Optional = Field::text("search").aliases(&["q"]).example("robi")
        .says("Part of an operator's name, code or alias, in any case."),
} }

form! { OffersQuery: "Whose offers." {
    number: Required = NUMBER.says("The customer's mobile number.").example("01937395849"),
    operator: Required = OPERATOR.example("banglalink")
        .says("gp, robi/rb, airtel/at, banglalink/bl."),
} }

form! { BalanceQuery: "Which wallet." {
    currency: Optional = Field::text("currency").example("BDT")
        .says("Added to the document: ISO 4217 code of another wallet of the account."),
} }

/// What every request for a purchase lists. The operator is not here: it is read first.
pub(super) struct Common {
    pub(super) number: Required,
    pub(super) amount: Required,
    pub(super) reference: Required,
    pub(super) webhook_url: Optional,
}

/// The [`Common`] fields of a request.
macro_rules! common {
    ($form:ident) => {
        Common {
            number: $form.number,
            amount: $form.amount,
            reference: $form.reference,
            webhook_url: $form.webhook_url,
        }
    };
}
pub(super) use common;

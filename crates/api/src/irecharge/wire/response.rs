//! The answers of the irecharge document, rendered from purchases and the catalog.
//!
//! Every field is named here, so no other field can leak. Invariant: amounts are rendered from
//! integer minor units.

use super::status::{
    DecisionAction, DecisionMode, PurchaseStatus, RechargeType, ServiceKind, is_success, status,
};
use crate::logos;
use crate::wire::amount::Amount;
use crate::wire::json::rfc3339;
use domain::{
    Catalog, Country, Decider, Details, Kind, Money, Offer, Operator, Purchase, Service, State,
};
use std::borrow::Cow;
use utoipa::ToSchema;

/// `billing.offerId` of every offer of Robi and Airtel (CONTRACT A-33).
const TICKET_OFFER: &str = "__EL_RECHARGE_OFFER__";

/// The wallet's balance.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct Balance {
    /// Available money, a string with exactly the currency's decimals.
    #[schema(example = "7000.00")]
    pub balance: String,
    /// ISO 4217.
    #[schema(example = "BDT")]
    pub currency: &'static str,
}

/// An operator of the list.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct ListedOperator<'a> {
    /// Its number; also the order of the list.
    #[schema(example = 1)]
    id: i64,
    /// Its country's English name.
    #[schema(example = "Bangladesh")]
    country: &'a str,
    /// Its service's name.
    #[schema(example = "Mobile Recharge")]
    service: &'static str,
    /// Send this as `operator`, in any case.
    #[schema(example = "GP")]
    operator_code: &'a str,
    /// For people.
    #[schema(example = "Grameenphone")]
    operator_name: &'a str,
    /// A drawing; public.
    #[schema(example = "https://saldo.example/operator_logo/grameenphone.png")]
    logo: String,
}

impl<'a> ListedOperator<'a> {
    /// The operator's entry in the list.
    pub(crate) fn of(
        operator: &'a Operator,
        country: Option<&'a Country>,
        base_url: &str,
    ) -> ListedOperator<'a> {
        ListedOperator {
            id: operator.id,
            country: country.map_or(&operator.country, |c| &c.name),
            service: Service::name(operator.service),
            operator_code: &operator.code,
            operator_name: &operator.name,
            logo: logos::url(base_url, &operator.logo),
        }
    }
}

/// The answer to a purchase.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct PurchaseAnswer<'a> {
    /// True for success, processing and pending; false for failed, rejected and reversed.
    /// `billing.status` is the truth.
    #[schema(example = true)]
    success: bool,
    /// For people.
    #[schema(example = "Recharge processed successfully")]
    message: Cow<'a, str>,
    /// Upstream details; offers of Robi and Airtel only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider: Option<Provider<'a>>,
    /// What was booked.
    billing: Billing<'a>,
}

/// Upstream details, rebuilt from what is known here.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Provider<'a> {
    /// Whether the upstream delivered.
    success: bool,
    /// Its confirmation, without any balance.
    #[schema(example = "Recharge 68 Tk to 1614031175 is successful. Transaction number is \
                   R260423.2309.36014f.")]
    message: Cow<'a, str>,
    /// USIM flags; always false here.
    usim_active_status: UsimActiveStatus,
    /// Same as `success`.
    is_successful: bool,
    /// Whether the upstream's final word is known.
    is_result: bool,
}

#[derive(Debug, Default, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UsimActiveStatus {
    active: bool,
    is_replaceable: bool,
    usim_eligibility: bool,
}

/// What was booked.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Billing<'a> {
    /// Your reference.
    #[schema(example = "BILL-026401")]
    reference: &'a str,
    /// How it stands. `pending` and `processing` are not final.
    status: PurchaseStatus,
    /// What was bought.
    recharge_type: RechargeType,
    /// The customer's number in national form.
    #[schema(example = "01712345678")]
    number: &'a str,
    /// What the customer gets.
    #[schema(value_type = f64, example = 10)]
    amount: Amount,
    /// What you pay on top.
    #[schema(value_type = f64, example = 0.5)]
    fee: Amount,
    /// What you earn at delivery; accrues to a commission balance of its own. 0 once it has failed,
    /// was rejected or was reversed.
    #[schema(value_type = f64, example = 1.5)]
    commission: Amount,
    /// What can be spent after the step that this answer tells of: after amount and fee were held,
    /// or after they came back.
    #[schema(value_type = f64, example = 6989.5)]
    remaining_balance: Amount,
    /// Added to the document: the id that the status check takes. A small number; older purchases
    /// may have one of 15 digits.
    #[schema(example = 21)]
    transaction_id: i64,
    /// Offers only: `__EL_RECHARGE_OFFER__` for Robi and Airtel, else the id that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "OFF32071")]
    offer_id: Option<&'a str>,
    /// Added to the document, only in the answer to a purchase: the reference of an earlier one for
    /// the same number, operator and amount within two minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "BILL-026400")]
    possible_duplicate_of: Option<&'a str>,
}

impl<'a> PurchaseAnswer<'a> {
    /// The answer about a purchase in its current state.
    pub(crate) fn of(purchase: &'a Purchase) -> PurchaseAnswer<'a> {
        let is_ticket = purchase.kind == Kind::Offer && purchase.details.contains_key("ticketId");
        let message = message(purchase);
        PurchaseAnswer {
            success: is_success(purchase.state),
            provider: is_ticket.then(|| Provider::of(purchase.state, message.clone())),
            message,
            billing: Billing::of(purchase),
        }
    }

    /// The answer with the reference of an earlier purchase that looks the same.
    pub(crate) fn possibly_again(self, duplicate_of: Option<&'a str>) -> PurchaseAnswer<'a> {
        let billing = Billing { possible_duplicate_of: duplicate_of, ..self.billing };
        PurchaseAnswer { billing, ..self }
    }
}

impl<'a> Provider<'a> {
    fn of(state: State, message: Cow<'a, str>) -> Provider<'a> {
        let success = state == State::Delivered;
        Provider {
            success,
            message,
            usim_active_status: UsimActiveStatus::default(),
            is_successful: success,
            is_result: state.is_final(),
        }
    }
}

impl<'a> Billing<'a> {
    /// What was booked for a purchase.
    pub(crate) fn of(purchase: &'a Purchase) -> Billing<'a> {
        let (recharge_type, offer_id) = match purchase.kind {
            Kind::Recharge => (RechargeType::Normal, None),
            Kind::Offer => (RechargeType::Offer, offer_id(&purchase.details)),
            Kind::Banking => (RechargeType::Banking, None),
            // Bought in another dialect; the document defines no word for them.
            Kind::Bundle => (RechargeType::Bundle, None),
            Kind::Bill => (RechargeType::Bill, None),
        };
        Billing {
            reference: &purchase.reference,
            status: status(purchase.state),
            recharge_type,
            number: &purchase.recipient,
            amount: Amount(purchase.amount),
            fee: Amount(purchase.fee),
            commission: Amount(commission(purchase)),
            remaining_balance: Amount(purchase.available_after),
            transaction_id: purchase.key.id.number().0,
            offer_id,
            possible_duplicate_of: None,
        }
    }
}

/// What a purchase earns, or would at delivery: nothing once it has failed (CONTRACT A-18).
fn commission(purchase: &Purchase) -> Money {
    match is_success(purchase.state) {
        true => purchase.commission,
        false => Money::zero(purchase.commission.currency()),
    }
}

fn offer_id(details: &Details) -> Option<&str> {
    match details.contains_key("ticketId") {
        true => Some(TICKET_OFFER),
        false => details.get("offerId").map(String::as_str),
    }
}

/// The message about a purchase: the upstream's text if an offer was delivered, else ours.
fn message(purchase: &Purchase) -> Cow<'_, str> {
    let text = purchase.text.as_deref().filter(|t| !t.is_empty());
    if let (State::Delivered, Kind::Offer, Some(text)) = (purchase.state, purchase.kind, text) {
        return Cow::Borrowed(text);
    }
    let subject = match purchase.kind {
        Kind::Recharge => "Recharge",
        Kind::Offer => "Offer purchase",
        Kind::Banking => "Banking request",
        Kind::Bundle => "Bundle purchase",
        Kind::Bill => "Bill payment",
    };
    let predicate = match purchase.state {
        State::Delivered => "processed successfully",
        State::Quoted | State::Held => {
            "is accepted and waits to be sent; amount and fee are held. Check its status later"
        }
        State::Awaiting => {
            "is accepted and waits for a decision; amount and fee are held. Check its status later"
        }
        State::Sent => {
            "is being processed; amount and fee are held. Check its status later and do not send \
             it again"
        }
        State::InDoubt | State::WithStaff => {
            "was sent, but is not yet confirmed by the operator; amount and fee are held. Check \
             its status later and do not send it again"
        }
        State::Failed => "failed; nothing was delivered, and amount and fee are back in the wallet",
        State::Rejected => "was rejected before it was sent; amount and fee are back in the wallet",
        State::Refunded => {
            "was delivered and then taken back by the operator; amount and fee are back in the \
             wallet"
        }
    };
    Cow::Owned(format!("{subject} {predicate}"))
}

/// The answer to a status check.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct StatusAnswer<'a> {
    /// Always true: the purchase was found. `data.status` tells how it stands.
    #[schema(example = true)]
    success: bool,
    /// For people.
    #[schema(example = "Transaction status fetched successfully.")]
    message: &'static str,
    /// The purchase.
    data: Transaction<'a>,
}

/// A purchase as it stands.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Transaction<'a> {
    /// Its id.
    #[schema(example = 21)]
    transaction_id: i64,
    /// Your reference.
    #[schema(example = "BILL-20260204-0001")]
    reference: &'a str,
    /// How it stands. `pending` and `processing` are not final.
    status: PurchaseStatus,
    /// True for success, failed, rejected and reversed. A success may still be reversed.
    #[schema(example = true)]
    is_final: bool,
    /// What the customer gets.
    #[schema(value_type = f64, example = 10)]
    amount: Amount,
    /// What you pay on top.
    #[schema(value_type = f64, example = 0.5)]
    fee: Amount,
    /// What you earn at delivery; 0 once it has failed, was rejected or was reversed.
    #[schema(value_type = f64, example = 1.5)]
    commission: Amount,
    /// The request it came from.
    service: ServiceSummary<'a>,
    /// Who delivers.
    operator: OperatorSummary<'a>,
    /// Who decided, and how.
    decision: Decision,
    /// Added to the document, only while the outcome is unknown: `awaiting_upstream_confirmation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "awaiting_upstream_confirmation")]
    detail: Option<&'static str>,
    /// When it was accepted; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    created_at: String,
    /// When it last changed; UTC.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    updated_at: String,
    /// When it was delivered; UTC; null until then.
    #[schema(format = DateTime, example = "2026-02-05T19:42:34.000000Z")]
    approved_at: Option<String>,
}

#[derive(Debug, serde::Serialize, ToSchema)]
struct ServiceSummary<'a> {
    /// `recharge` (offers too) or `banking`.
    #[serde(rename = "type")]
    kind: ServiceKind,
    /// As `data.status`.
    status: PurchaseStatus,
    /// The customer's number in national form.
    #[schema(example = "01712345678")]
    number: &'a str,
}

#[derive(Debug, serde::Serialize, ToSchema)]
struct OperatorSummary<'a> {
    /// Upper case.
    #[schema(example = "GP")]
    code: &'a str,
    /// For people.
    #[schema(example = "Grameenphone")]
    name: &'a str,
}

#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Decision {
    /// Null while undecided.
    pub(super) mode: Option<DecisionMode>,
    /// Added to the document. Null while undecided.
    pub(super) action: Option<DecisionAction>,
}

impl<'a> StatusAnswer<'a> {
    /// The answer about a purchase in its current state.
    pub(crate) fn of(purchase: &'a Purchase, catalog: &'a Catalog) -> StatusAnswer<'a> {
        let data = Transaction::of(purchase, catalog);
        let message = "Transaction status fetched successfully.";
        StatusAnswer { success: true, message, data }
    }
}

impl<'a> Transaction<'a> {
    /// The purchase in its current state.
    pub(crate) fn of(purchase: &'a Purchase, catalog: &'a Catalog) -> Transaction<'a> {
        let status = status(purchase.state);
        let kind = match purchase.kind {
            Kind::Recharge | Kind::Offer => ServiceKind::Recharge,
            Kind::Banking => ServiceKind::Banking,
            Kind::Bundle | Kind::Bill => ServiceKind::Bill,
        };
        let operator = catalog.operator_by_code(&purchase.operator);
        Transaction {
            transaction_id: purchase.key.id.number().0,
            reference: &purchase.reference,
            status,
            is_final: purchase.state.is_final(),
            amount: Amount(purchase.amount),
            fee: Amount(purchase.fee),
            commission: Amount(commission(purchase)),
            service: ServiceSummary { kind, status, number: &purchase.recipient },
            operator: OperatorSummary {
                code: &purchase.operator,
                name: operator.map_or(&purchase.operator, |o| &o.name),
            },
            decision: Decision::of(purchase),
            detail: detail(purchase.state),
            created_at: rfc3339(purchase.opened_at),
            updated_at: rfc3339(purchase.updated_at),
            approved_at: purchase.delivered_at.map(rfc3339),
        }
    }
}

impl Decision {
    pub(super) fn of(purchase: &Purchase) -> Decision {
        let action = match purchase.state {
            State::Quoted
            | State::Awaiting
            | State::Held
            | State::Sent
            | State::InDoubt
            | State::WithStaff => return Decision { mode: None, action: None },
            State::Delivered => DecisionAction::Approved,
            State::Failed | State::Rejected => DecisionAction::Rejected,
            State::Refunded => DecisionAction::Reversed,
        };
        let mode = match purchase.decider {
            Some(Decider::Auto) | None => DecisionMode::Auto,
            Some(Decider::Staff) => DecisionMode::Admin,
        };
        Decision { mode: Some(mode), action: Some(action) }
    }
}

/// The field `detail`: present while the outcome is unknown (CONTRACT A-13).
const fn detail(state: State) -> Option<&'static str> {
    match state {
        State::InDoubt | State::WithStaff => Some("awaiting_upstream_confirmation"),
        State::Quoted
        | State::Awaiting
        | State::Held
        | State::Sent
        | State::Delivered
        | State::Failed
        | State::Rejected
        | State::Refunded => None,
    }
}

/// The offers for a number.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(in super::super) struct OffersAnswer<'a> {
    /// Always true.
    #[schema(example = true)]
    success: bool,
    /// For people.
    #[schema(example = "Offers fetched successfully.")]
    message: &'static str,
    /// The operator as it was sent.
    #[schema(example = "banglalink")]
    operator: &'a str,
    /// The number in national form.
    #[schema(example = "01937395849")]
    number: &'a str,
    /// What the operator quotes now; may be empty.
    offers: Vec<ListedOffer<'a>>,
}

/// An offer. Send back the identifiers it has.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedOffer<'a> {
    /// For display: the identifier that names it.
    #[schema(example = "OFF32071")]
    id: &'a str,
    /// Send as `amount`.
    #[schema(value_type = f64, example = 549)]
    amount: Amount,
    /// In English.
    #[schema(example = "35 GB and 700 minutes, 30 days")]
    title: &'a str,
    /// In Bangla.
    #[schema(example = "৩৫ জিবি ও ৭০০ মিনিট, ৩০ দিন")]
    title_bn: &'a str,
    /// As the operator says it.
    #[schema(example = "30 Days")]
    validity: &'a str,
    /// `INTERNET`, `MINUTES`, `COMBO` or `TALKTIME`.
    #[schema(example = "COMBO")]
    category: &'a str,
    /// Only there, and true, where the operator highlights it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = true)]
    highlighted: Option<bool>,
    /// What you earn by it.
    #[schema(value_type = f64, example = 8.24)]
    commission: Amount,
    /// Send as `operator`.
    #[schema(example = "banglalink")]
    operator: &'a str,
    /// Send as `number`.
    #[schema(example = "01937395849")]
    number: &'a str,
    /// Grameenphone, Banglalink.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "OFF32071")]
    offer_id: Option<&'a str>,
    /// Robi, Airtel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ticket_id: Option<&'a str>,
    /// Grameenphone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    campaign_id: Option<&'a str>,
    /// Grameenphone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session_context: Option<&'a str>,
    /// Some of Grameenphone's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    opt_in_keyword: Option<&'a str>,
    /// Banglalink.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "4891011729527520112")]
    tran_id: Option<&'a str>,
}

impl<'a> OffersAnswer<'a> {
    /// The offers, each with its commission.
    pub(crate) fn of(
        operator: &'a str,
        number: &'a str,
        offers: &'a [(Offer, Money)],
    ) -> OffersAnswer<'a> {
        let listed = offers.iter().map(|(offer, commission)| {
            let identifier = |name| offer.identifiers.get(name).map(String::as_str);
            ListedOffer {
                id: identifier("ticketId").or_else(|| identifier("offerId")).unwrap_or_default(),
                amount: Amount(offer.amount),
                title: &offer.title,
                title_bn: &offer.title_local,
                validity: &offer.validity,
                category: &offer.category,
                highlighted: offer.is_highlighted.then_some(true),
                commission: Amount(*commission),
                operator,
                number,
                offer_id: identifier("offerId"),
                ticket_id: identifier("ticketId"),
                campaign_id: identifier("campaignId"),
                session_context: identifier("sessionContext"),
                opt_in_keyword: identifier("optInKeyword"),
                tran_id: identifier("tranId"),
            }
        });
        let message = "Offers fetched successfully.";
        OffersAnswer { success: true, message, operator, number, offers: listed.collect() }
    }
}

#[cfg(test)]
mod tests;

//! The routes: each parses its request, calls the engine and renders the answer.
//!
//! Their doc comments and attributes are the texts of the OpenAPI document.

use super::ApiState;
use super::authenticate::{Authenticated, Buyer, Subscribed};
use super::idempotency;
use super::refusals::ApiError;
use super::wire::request::{self, InvalidFields, RawPurchase};
use super::wire::response;
use crate::extract::answer::Answer;
use crate::extract::body;
use crate::extract::work::record_recipient;
use crate::wire::fields::RawFields;
use crate::wire::json::InternalError;
use axum::extract::Request;
use axum::response::Response;
use domain::refusal::PurchaseUnknown;
use domain::{
    AddressPolicy, Catalog, Country, Details, KeyScope, OfferForm, Operator, Purchase,
    ReferenceScope, Service,
};
use engine::{Caller, PurchaseOutcome, PurchaseRequest, Replay};
use http::Uri;

/// Check balance
///
/// Available money of the account's wallet in the environment of the keys. `balance` is the same
/// endpoint under a shorter path.
#[utoipa::path(
    get, path = "/wallet/balance", tag = "Wallet", operation_id = "wallet_balance",
    params(request::BalanceQuery),
    responses((status = 200, description = "The balance.", body = response::Balance)),
)]
pub(super) async fn balance(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let currency = request::currency(&body::query(&uri), &api.engine.catalog())?;
        let balance = api.engine.balance(caller, currency).await?.exact();
        let answer = response::Balance { balance, currency: currency.code() };
        Ok(Answer::ok(&answer)?)
    };
    authenticated.respond(KeyScope::Money, "balance", work).await
}

/// Check balance (short path)
///
/// The same as `wallet/balance`.
#[utoipa::path(
    get, path = "/balance", tag = "Wallet", operation_id = "balance",
    params(request::BalanceQuery),
    responses((status = 200, description = "The balance.", body = response::Balance)),
)]
pub(super) async fn short_balance(authenticated: Authenticated, uri: Uri) -> Response {
    balance(authenticated, uri).await
}

/// List operators
///
/// All operators that this account can buy from here, by id: active ones of mobile recharge and
/// mobile banking, in countries whose currency it has a wallet in. Filters narrow them; no match is
/// an empty list.
#[utoipa::path(
    get, path = "/operators", tag = "Operators", operation_id = "operators",
    params(request::OperatorsQuery),
    responses((status = 200, description = "The operators.", body = Vec<response::ListedOperator>)),
)]
pub(super) async fn operators(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let filter = request::filter(&body::query(&uri))?;
        let catalog = api.engine.catalog();
        let wallets = api.engine.balances(caller).await?;
        let listed = catalog.operators.iter().filter_map(|operator| {
            let country = catalog.country_of(operator);
            let is_paid_in = |c: &Country| wallets.iter().any(|w| w.currency() == c.currency);
            let can_buy = is_sold_here(operator.service) && country.is_some_and(is_paid_in);
            let listed = || response::ListedOperator::of(operator, country, &api.settings.base_url);
            (can_buy && filter.passes(operator, country)).then(listed)
        });
        Ok(Answer::ok(&listed.collect::<Vec<_>>())?)
    };
    authenticated.respond(KeyScope::Read, "operators", work).await
}

/// Normal recharge
///
/// Holds amount and fee, sends the recharge and waits up to 25 seconds for the operator's word. Not
/// every 200 is a success: read `billing.status`. While it is `pending` or `processing`, check the
/// status; do not send it again under another reference.
#[utoipa::path(
    post, path = "/service-requests/recharge/normal", tag = "Purchases", operation_id = "recharge",
    request_body = request::RechargeRequest,
    responses((status = 200, description = "A purchase exists.", body = response::PurchaseAnswer)),
)]
pub(super) async fn recharge(Buyer(authenticated): Buyer, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let recharge = parse(api, *caller, request, request::recharge).await?;
        buy(api, recharge).await
    };
    authenticated.respond(KeyScope::Buy, "recharge", work).await
}

/// Mobile banking
///
/// Accepted like a recharge. Its first status is `pending` where staff decide on it: everywhere,
/// unless an upstream is set up to deliver it.
#[utoipa::path(
    post, path = "/service-requests/banking", tag = "Purchases", operation_id = "banking",
    request_body = request::BankingRequest,
    responses((status = 200, description = "A purchase exists.", body = response::PurchaseAnswer)),
)]
pub(super) async fn banking(Buyer(authenticated): Buyer, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let banking = parse(api, *caller, request, request::banking).await?;
        buy(api, banking).await
    };
    authenticated.respond(KeyScope::Buy, "banking", work).await
}

/// List offers
///
/// What the operator quotes for this number now. Each offer carries the fields that its purchase
/// wants to hear again.
#[utoipa::path(
    get, path = "/recharge/offers", tag = "Offers", operation_id = "offers",
    params(request::OffersQuery),
    responses((status = 200, description = "The offers.", body = response::OffersAnswer)),
)]
pub(super) async fn offers(Subscribed(authenticated): Subscribed, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let catalog = api.engine.catalog();
        let request::OffersRequest { operator, sent_operator, recipient } =
            request::offers(&body::query(&uri), &catalog)?;
        record_recipient(&recipient);
        let offers = api.engine.offers(caller, operator, &recipient).await?;
        let answer = response::OffersAnswer::of(&sent_operator, &recipient, &offers);
        Ok(Answer::ok(&answer)?)
    };
    authenticated.respond(KeyScope::Read, "offers", work).await
}

/// Buy an offer
///
/// As a normal recharge, for an offer of `GET recharge/offers` at exactly its amount.
#[utoipa::path(
    post, path = "/recharge/offers/purchase", tag = "Offers", operation_id = "buy_offer",
    request_body = request::OfferRequest,
    responses((status = 200, description = "A purchase exists.", body = response::PurchaseAnswer)),
)]
pub(super) async fn buy_offer(Buyer(authenticated): Buyer, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let catalog = api.engine.catalog();
        let (parts, text) = body::read(request).await?;
        let (mut offer, operator) = {
            let fields = &RawFields::from_json(&text)?;
            let idempotency = idempotency::key(&parts);
            let webhooks = webhooks(api, caller);
            let catalog = &catalog;
            request::offer(RawPurchase { fields, catalog, caller: *caller, webhooks, idempotency })?
        };
        record_recipient(&offer.recipient);
        match quoted_details(api, &offer, operator).await {
            Ok(details) => offer.details = details,
            Err(error) => {
                // A repeated request is answered with the first purchase, even if the offer is gone
                // by now. Its reference is used up, so nothing is bought again.
                let engine = &api.engine;
                let first = engine.purchase_by_reference(caller, offer.scope, &offer.reference);
                if first.await.is_err() {
                    return Err(error);
                }
            }
        }
        buy(api, offer).await
    };
    authenticated.respond(KeyScope::Buy, "buy_offer", work).await
}

/// Check a status
///
/// By `reference` (recommended) or `transaction_id`. An identifier of another account answers like
/// one that does not exist.
#[utoipa::path(
    get, path = "/transactions/status/check", tag = "Status", operation_id = "check_status",
    params(request::StatusRequest),
    responses((status = 200, description = "The purchase as it stands.",
        body = response::StatusAnswer)),
)]
pub(super) async fn check_status(authenticated: Authenticated, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    authenticated.respond(KeyScope::Read, "check_status", status(api, *caller, request)).await
}

/// Check a status (POST)
///
/// The same, with the identifiers in a JSON body; they may stand in the query as well.
#[utoipa::path(
    post, path = "/transactions/status/check", tag = "Status", operation_id = "post_check_status",
    params(request::StatusRequest),
    request_body = request::StatusRequest,
    responses((status = 200, description = "The purchase as it stands.",
        body = response::StatusAnswer)),
)]
pub(super) async fn post_check_status(authenticated: Authenticated, request: Request) -> Response {
    check_status(authenticated, request).await
}

/// Bills are paid by product, and this dialect has no products.
pub(super) const fn is_sold_here(service: Service) -> bool {
    match service {
        Service::MobileRecharge | Service::MobileBanking => true,
        Service::BillPayment => false,
    }
}

fn webhooks(api: &ApiState, caller: &Caller) -> AddressPolicy {
    let allow_loopback = api.settings.webhooks_to_loopback;
    AddressPolicy { environment: caller.environment, allow_loopback }
}

/// Reads the body of a purchase and parses it.
async fn parse(
    api: &ApiState,
    caller: Caller,
    request: Request,
    parse: impl FnOnce(RawPurchase<'_, '_>) -> Result<PurchaseRequest, InvalidFields>,
) -> Result<PurchaseRequest, ApiError> {
    let (parts, text) = body::read(request).await?;
    let idempotency = idempotency::key(&parts);
    let fields = &RawFields::from_json(&text)?;
    let catalog = &api.engine.catalog();
    let webhooks = webhooks(api, &caller);
    let parsed = parse(RawPurchase { fields, catalog, caller, webhooks, idempotency })?;
    record_recipient(&parsed.recipient);
    Ok(parsed)
}

/// Buys. If the request has an idempotency key, the answer is stored for replays (CONTRACT A-09).
async fn buy(api: &ApiState, request: PurchaseRequest) -> Result<Answer, ApiError> {
    let permit = api.engine.permit(&request.caller)?;
    match api.engine.purchase(permit, request).await? {
        PurchaseOutcome::Bought { purchase, possible_duplicate_of, key } => {
            let answer = bought(&purchase, possible_duplicate_of.as_deref())?;
            if let Some(key) = key {
                let first = Replay { status: answer.status.as_u16(), body: answer.body.clone() };
                api.engine.remember(key, first).await;
            }
            Ok(answer)
        }
        PurchaseOutcome::Repeated { replay: Some(first), purchase: _ } => Ok(Answer::replay(first)),
        PurchaseOutcome::Repeated { replay: None, purchase } => {
            Ok(Answer { is_replay: true, ..bought(&purchase, None)? })
        }
    }
}

fn bought(purchase: &Purchase, duplicate_of: Option<&str>) -> Result<Answer, InternalError> {
    Answer::ok(&response::PurchaseAnswer::of(purchase).possibly_again(duplicate_of))
}

/// Every identifier that the operator requires for the requested offer, at the offer's price.
async fn quoted_details(
    api: &ApiState,
    request: &PurchaseRequest,
    operator: &Operator,
) -> Result<Details, ApiError> {
    let PurchaseRequest { caller, recipient, details, amount, .. } = request;
    let offer = api.engine.offer(caller, operator, recipient, details, *amount).await?;
    let required = operator.offers.map_or(&[][..], OfferForm::required);
    match required.iter().find(|name| !offer.identifiers.contains_key(**name)) {
        None => Ok(offer.identifiers),
        Some(name) => {
            Err(InvalidFields::one(name, "is required by the operator for this offer.").into())
        }
    }
}

async fn status(api: &ApiState, caller: Caller, request: Request) -> Result<Answer, ApiError> {
    let uri = request.uri().clone();
    let text = body::read_optional(request).await?.unwrap_or_default();
    let lookup = {
        let fields =
            if text.is_empty() { RawFields::default() } else { RawFields::from_json(&text)? };
        request::lookup(&fields.and(body::query(&uri)))?
    };
    let engine = &api.engine;
    let by_reference = match &lookup.reference {
        Some(text) => {
            Some(engine.purchase_by_reference(&caller, ReferenceScope::Irecharge, text).await?)
        }
        None => None,
    };
    let by_id = match lookup.id {
        Some(id) => Some(engine.purchase_by_id(&caller, id).await?),
        None => None,
    };
    let found = match (by_reference, by_id) {
        (Some(one), Some(other)) if one.key != other.key => {
            return Err(ApiError::identifiers_disagree());
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => return Err(PurchaseUnknown.into()),
    };
    let catalog: &Catalog = &engine.catalog();
    Ok(Answer::ok(&response::StatusAnswer::of(&found, catalog))?)
}

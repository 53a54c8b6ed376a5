//! Paying: a price that holds, the charge, and how a payment stands.
//!
//! Invariant: pre-auth finds the product before it judges a field, and moves no money; only auth
//! does, once.

use super::super::ApiState;
use super::super::authenticate::Authenticated;
use super::super::refusals::ApiError;
use super::super::wire::request::Sold;
use super::super::wire::{forms, ids, request, response, status};
use super::{fields, paged, told};
use crate::extract::body;
use crate::extract::work::note_recipient;
use crate::wire::fields::SentFields;
use crate::wire::json::moment;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::catalog::kind::ServiceType;
use domain::catalog::product::{Beside, Product, ProductId};
use domain::purchase::{CUSTOMER_MOBILE, ReferenceScope};
use domain::{Catalog, Purchase, Refusal, State as Standing};
use engine::{Caller, DeliveryDetails, Page, PurchaseRequest};
use http::Uri;

/// Which references these payments have.
const SPACE: ReferenceScope = ReferenceScope::Rechargely;
/// In front of the secret that accepts a quote.
const TOKEN_PREFIX: &str = "preauth_";

/// Initiate payment (pre-auth)
///
/// Fixes the price for 15 minutes and, where the biller can be asked, finds out whom the bill
/// reference belongs to. Charges nothing and holds nothing. The same request again answers the same
/// `preAuthToken` while the price holds. Also served under `/v1/transactions/…` behind the base.
#[utoipa::path(
    post, path = "/transactions/bill-payment/pre-auth", tag = "Payments", operation_id = "pre_auth",
    request_body = forms::PreAuthRequest,
    responses((status = 200, description = "A price that holds.", body = response::PreAuthAnswer)),
)]
pub(in super::super) async fn pre_auth(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    request: Request,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        let (_, text) = body::read(request).await?;
        let catalog = api.engine.catalog();
        let purchase_request = purchase_request(&catalog, caller, &SentFields::from_json(&text)?)?;
        note_recipient(&purchase_request.recipient);
        let quote = api.engine.quote(purchase_request).await?;
        let token = format!("{TOKEN_PREFIX}{}", quote.acceptance);
        told(&response::PreAuthAnswer::of(&quote.purchase, &token))
    };
    authenticated.serve(&api, "pre_auth", work).await
}

/// Authorize payment
///
/// Charges amount and fee, sends the payment and waits up to 20 seconds for the outcome. Not every
/// 200 is a delivery: read `status`. Sent again it answers the payment as it stands, never a second
/// charge. Also served under `/v1/transactions/…` behind the base.
#[utoipa::path(
    post, path = "/transactions/bill-payment/auth", tag = "Payments", operation_id = "auth",
    request_body = forms::AuthRequest,
    responses((status = 200, description = "The payment as it stands.", body = response::AuthAnswer)),
)]
pub(in super::super) async fn auth(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    request: Request,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        let asked = fields(request, request::auth).await?;
        let secret = asked.pre_auth_token.strip_prefix(TOKEN_PREFIX);
        let secret = secret.ok_or(Refusal::PurchaseUnknown)?;
        let payment = api.engine.accept(&caller, SPACE, &asked.request_id, secret).await?;
        note_recipient(&payment.recipient);
        let delivery = api.engine.delivery(&payment).await?;
        let kept = kept(&payment, &delivery, &api.engine.catalog());
        told(&response::AuthAnswer::of(&payment, kept))
    };
    authenticated.serve(&api, "auth", work).await
}

/// List payments
///
/// Added to the document. Your payments, newest first, a page at a time.
#[utoipa::path(
    get, path = "/transactions", tag = "Payments", operation_id = "payments",
    params(forms::TransactionsQuery),
    responses((status = 200, description = "A page of payments.", body = response::Transactions)),
)]
pub(in super::super) async fn payments(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    uri: Uri,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        let (request::Page { limit, before }, status) = request::listing(&body::query(&uri))?;
        let states = status.map(status::Status::states).unwrap_or_default();
        let page = Page { before, limit: limit + 1 };
        let found = api.engine.purchases_of(&caller, SPACE, &states, page).await?;
        let (found, next_before) = paged(found, limit, |payment| payment.key.id.0);
        let deliveries = api.engine.deliveries(&found).await?;
        let catalog = api.engine.catalog();
        let each = found.iter().zip(&deliveries);
        let transactions = each.map(|(payment, kept)| transaction(payment, kept, &catalog));
        told(&response::Transactions { transactions: transactions.collect(), next_before })
    };
    authenticated.serve(&api, "payments", work).await
}

/// Payment status
///
/// Added to the document. A payment as it stands, by your `requestId`. Another customer's answers
/// like one that does not exist.
#[utoipa::path(
    get, path = "/transactions/{requestId}", tag = "Payments", operation_id = "payment",
    params(("requestId" = String, Path, description = "Yours.", min_length = 1, max_length = 128,
        pattern = "^[!-~]([ -~]{0,126}[!-~])?$", example = "R-20260204-0001")),
    responses((status = 200, description = "The payment as it stands.", body = response::Transaction)),
)]
pub(in super::super) async fn payment(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    request_id: Result<Path<String>, PathRejection>,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        let Path(request_id) = request_id.map_err(|_| Refusal::PurchaseUnknown)?;
        let payment = api.engine.purchase_by_reference(&caller, SPACE, &request_id).await?;
        let delivery = api.engine.delivery(&payment).await?;
        told(&transaction(&payment, &delivery, &api.engine.catalog()))
    };
    authenticated.serve(&api, "payment", work).await
}

/// Resend
///
/// Added to the document. Tokens and receipt of a delivered payment once more, without a charge;
/// the customer's devices are told again.
#[utoipa::path(
    post, path = "/transactions/{requestId}/resend", tag = "Payments", operation_id = "resend",
    params(("requestId" = String, Path, description = "Yours.", min_length = 1, max_length = 128,
        pattern = "^[!-~]([ -~]{0,126}[!-~])?$", example = "R-20260204-0001")),
    responses((status = 200, description = "The payment as it stands.", body = response::Transaction)),
)]
pub(in super::super) async fn resend(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    request_id: Result<Path<String>, PathRejection>,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        let Path(request_id) = request_id.map_err(|_| Refusal::PurchaseUnknown)?;
        let (payment, delivery) = api.engine.delivery_again(&caller, SPACE, &request_id).await?;
        note_recipient(&payment.recipient);
        told(&transaction(&payment, &delivery, &api.engine.catalog()))
    };
    authenticated.serve(&api, "resend", work).await
}

/// What is to be quoted: the product first, then every field at once.
fn purchase_request(
    catalog: &Catalog,
    caller: Caller,
    sent: &SentFields<'_>,
) -> Result<PurchaseRequest, ApiError> {
    let sold = match request::product_named(sent) {
        Some(number) => Some(sold(catalog, number).ok_or(Refusal::ProductUnknown)?),
        None => None,
    };
    let asked = request::pre_auth(sent, sold)?;
    // Without a product the fields were refused.
    let Sold { product, .. } = sold.ok_or(Refusal::ProductUnknown)?;
    let mut details = asked.details;
    details.insert(CUSTOMER_MOBILE.to_owned(), asked.customer_mobile);
    Ok(PurchaseRequest {
        caller,
        scope: SPACE,
        kind: product.kind,
        operator: product.operator.clone(),
        product: Some(product.name.clone()),
        recipient: asked.bill_reference,
        service_type: ServiceType::Prepaid,
        amount: asked.amount,
        reference: asked.request_id,
        details,
        webhook_url: None,
        digest: Some(asked.digest),
        idempotency: None,
    })
}

fn sold(catalog: &Catalog, number: i64) -> Option<Sold<'_>> {
    let product = catalog.product(ProductId(number))?;
    let operator = catalog.operator_by_code(&product.operator)?;
    let numbering = &catalog.country_of(operator)?.numbering;
    let is_inactive = !product.is_active || !operator.is_active;
    Some(Sold { product, numbering, is_inactive })
}

fn product_of<'c>(payment: &Purchase, catalog: &'c Catalog) -> Option<&'c Product> {
    payment.product.as_deref().and_then(|name| catalog.product_by_name(name))
}

fn transaction<'a>(
    payment: &'a Purchase,
    delivery: &'a DeliveryDetails,
    catalog: &'a Catalog,
) -> response::Transaction<'a> {
    let product = product_of(payment, catalog).map(|product| response::BoughtProduct {
        id: ids::product(product.id.0),
        product_id: product.id.0,
        product_name: &product.title,
    });
    response::Transaction::of(payment, product, kept(payment, delivery, catalog))
}

/// Tokens and receipt of a payment that is delivered; of any other, nothing.
fn kept<'a>(
    payment: &Purchase,
    delivery: &'a DeliveryDetails,
    catalog: &Catalog,
) -> response::Kept<'a> {
    if payment.state != Standing::Delivered {
        return response::Kept::default();
    }
    let operator = catalog.operator_by_code(&payment.operator);
    let time = payment.delivered_at.map(moment);
    let slip = delivery.slip.as_ref();
    let beside = Beside {
        operator: operator.map_or(payment.operator.as_str(), |operator| operator.name.as_str()),
        time: time.as_deref(),
        reference: delivery.reference.as_deref(),
        slip,
    };
    let lines = product_of(payment, catalog).map(|product| product.receipt(payment, &beside));
    let line = |(label, value)| response::ToldLine { label, value };
    response::Kept {
        tokens: slip
            .map_or(&[][..], |slip| slip.tokens())
            .iter()
            .map(response::ToldToken::of)
            .collect(),
        receipt: lines.unwrap_or_default().into_iter().map(line).collect(),
    }
}

//! The routes that we add to the document (CONTRACT A-43): lists of purchases, of movements of
//! money, of prices.
//!
//! Their doc comments and attributes are the texts of the OpenAPI document.

use super::authenticate::Authenticated;
use super::routes::is_sold_here;
use super::wire::lists::{self as wire, ListedPrice, Movement};
use super::wire::{request, response};
use crate::extract::answer::Answer;
use crate::extract::body;
use crate::wire::json::InternalError;
use axum::response::Response;
use domain::{Currency, KeyScope, Money};
use engine::{Balance, Page, StatementLine};
use http::Uri;

/// List transactions
///
/// Added to the document. The account's purchases in the environment of the keys, latest first.
/// Filters narrow them; no match is an empty list. A page with the oldest match has `next` null.
#[utoipa::path(
    get, path = "/transactions", tag = "Lists", operation_id = "transactions",
    params(wire::TransactionsQuery),
    responses((status = 200, description = "A page of purchases.",
        body = wire::TransactionsAnswer)),
)]
pub(super) async fn transactions(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let catalog = api.engine.catalog();
        let (filter, page) = wire::transactions(&body::query(&uri), &catalog)?;
        let listed = api.engine.list_purchases(caller, filter, one_more(page)).await?;
        let (listed, next) = paged(listed, page, |purchase| purchase.key.id.number().0);
        let data = listed.iter().map(|p| response::Transaction::of(p, &catalog)).collect();
        Ok(Answer::ok(&wire::TransactionsAnswer { success: true, data, next })?)
    };
    authenticated.respond(KeyScope::Read, "transactions", work).await
}

/// Statement
///
/// Added to the document. What changed the available money of one wallet, latest first. What was
/// archived is not listed.
#[utoipa::path(
    get, path = "/wallet/statement", tag = "Lists", operation_id = "statement",
    params(wire::MovementsQuery),
    responses((status = 200, description = "A page of movements.", body = wire::MovementsAnswer)),
)]
pub(super) async fn statement(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let (currency, page) = movements(&authenticated, &uri)?;
        let balance = api.engine.balance(caller, currency).await?;
        let lines =
            api.engine.statement(caller, currency, Balance::Available, one_more(page)).await?;
        Ok(moved(balance, lines, page)?)
    };
    authenticated.respond(KeyScope::Money, "statement", work).await
}

/// Commission
///
/// Added to the document. The commission that the account has earned in one currency and not been
/// paid out, with what changed it, latest first.
#[utoipa::path(
    get, path = "/commission", tag = "Lists", operation_id = "commission",
    params(wire::MovementsQuery),
    responses((status = 200, description = "A page of movements.", body = wire::MovementsAnswer)),
)]
pub(super) async fn commission(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let (currency, page) = movements(&authenticated, &uri)?;
        let balance = api.engine.wallet(caller, currency).await?.commission;
        let lines =
            api.engine.statement(caller, currency, Balance::Commission, one_more(page)).await?;
        Ok(moved(balance, lines, page)?)
    };
    authenticated.respond(KeyScope::Money, "commission", work).await
}

/// Prices
///
/// Added to the document. What the account pays and earns now, by operator and kind of purchase. A
/// purchase keeps the price that it had when it was accepted.
#[utoipa::path(
    get, path = "/prices", tag = "Lists", operation_id = "prices",
    responses((status = 200, description = "The prices.", body = wire::PricesAnswer)),
)]
pub(super) async fn prices(authenticated: Authenticated) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let prices = api.engine.prices(caller, is_sold_here).await?;
        let data = prices.iter().map(ListedPrice::of).collect();
        Ok(Answer::ok(&wire::PricesAnswer { success: true, data })?)
    };
    authenticated.respond(KeyScope::Read, "prices", work).await
}

fn movements(
    authenticated: &Authenticated,
    uri: &Uri,
) -> Result<(Currency, Page), request::InvalidFields> {
    let default = request::default_currency(&authenticated.api.engine.catalog());
    wire::movements(&body::query(uri), default)
}

/// The page with one line more: whether there is one says whether the page is the last.
const fn one_more(page: Page) -> Page {
    Page { limit: page.limit + 1, ..page }
}

/// The lines of a page, and what names the next one.
fn paged<T>(mut list: Vec<T>, page: Page, id: impl FnOnce(&T) -> i64) -> (Vec<T>, Option<i64>) {
    let lines_max = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let is_last = list.len() <= lines_max;
    list.truncate(lines_max);
    let next = list.last().filter(|_| !is_last).map(id);
    (list, next)
}

fn moved(balance: Money, lines: Vec<StatementLine>, page: Page) -> Result<Answer, InternalError> {
    let (lines, next) = paged(lines, page, |line| line.journal.0);
    let (currency, balance) = (balance.currency().code(), balance.exact());
    let data = lines.iter().map(Movement::of).collect();
    let answer = wire::MovementsAnswer { success: true, balance, currency, data, next };
    Answer::ok(&answer)
}

//! Balances and statements. Both are added to the document.

use super::super::authenticate::Authenticated;
use super::super::wire::{ids, request, response};
use super::{ok, paged};
use crate::extract::body;
use crate::wire::amount::Amount;
use crate::wire::json::rfc3339;
use axum::response::Response;
use domain::refusal::FindRefused;
use domain::{Money, PurchaseId};
use engine::{Balance, Caller, Engine, Page, StatementLine};
use http::Uri;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Balances
///
/// Added to the document. What each wallet can spend, by currency; or one of them.
#[utoipa::path(
    get, path = "/wallet/balance", tag = "Wallet", operation_id = "balances",
    params(request::BalanceQuery),
    responses((status = 200, description = "The wallets.", body = Vec<response::WalletBalance>)),
)]
pub(crate) async fn balances(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let balances = match request::balance(&body::query(&uri))? {
            Some(currency) => vec![api.engine.balance(caller, currency).await?],
            None => api.engine.balances(caller).await?,
        };
        let wallet = |balance: Money| response::WalletBalance {
            currency: balance.currency().code(),
            balance: Amount(balance),
        };
        ok(&balances.into_iter().map(wallet).collect::<Vec<_>>())
    };
    authenticated.respond("balances", work).await
}

/// Statement
///
/// Added to the document. What changed the balance of one wallet, newest first.
#[utoipa::path(
    get, path = "/wallet/statement", tag = "Wallet", operation_id = "statement",
    params(request::StatementQuery),
    responses((status = 200, description = "A page of movements.", body = response::Statement)),
)]
pub(crate) async fn statement(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let (currency, request::Page { limit, before }) = request::statement(&body::query(&uri))?;
        let page = Page { before, limit: limit + 1 };
        let lines = api.engine.statement(caller, currency, Balance::Available, page).await?;
        let (lines, next_before) = paged(lines, limit, |line| line.journal.0);
        let references = references(&api.engine, caller, &lines).await?;
        let entries = lines.into_iter().map(|line| statement_line(&line, &references)).collect();
        ok(&response::Statement { entries, next_before })
    };
    authenticated.respond("statement", work).await
}

/// The `transactionReference` and the `requestId` of each payment.
type References = BTreeMap<PurchaseId, (String, String)>;

/// The references of every payment on a page.
async fn references(
    engine: &Engine,
    caller: &Caller,
    lines: &[StatementLine],
) -> Result<References, FindRefused> {
    let mut references = References::new();
    for id in lines.iter().filter_map(|line| line.purchase) {
        if let Entry::Vacant(entry) = references.entry(id) {
            let payment = engine.purchase_by_id(caller, id.number()).await?;
            entry.insert((ids::reference(id, payment.opened_at), payment.reference));
        }
    }
    Ok(references)
}

fn statement_line(line: &StatementLine, references: &References) -> response::StatementLine {
    let StatementLine { journal, reason, purchase, change, available_after, at } = line;
    let (reference, request_id) = purchase.and_then(|id| references.get(&id).cloned()).unzip();
    response::StatementLine {
        id: journal.0,
        kind: reason.code(),
        change: Amount(*change),
        balance: Amount(*available_after),
        currency: change.currency().code(),
        reference,
        request_id,
        at: rfc3339(*at),
    }
}

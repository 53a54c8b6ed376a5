//! The list as CSV: what the filter lets through, streamed page by page.
//!
//! Times are ISO 8601 in the account's zone, amounts plain text with a point. Invariant: no cell
//! can be taken for a formula by a spreadsheet.

use super::super::common;
use super::filter::Asked;
use crate::parts::Zone;
use crate::view::{Problem, Session, View};
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use domain::{Purchase, PurchaseId, Timestamp};
use engine::{Caller, Page, PurchaseFilter};
use std::convert::Infallible;

/// Purchases that are read and sent at once.
const AT_ONCE: u32 = 500;
const HEAD: &str = "time,reference,transaction_id,state,kind,operator,number,amount,fee,\
                    commission,currency\r\n";

/// Where the export stands.
struct Export {
    view: View,
    caller: Caller,
    filter: PurchaseFilter,
    zone: Zone,
    /// The last purchase that was sent.
    before: Option<PurchaseId>,
    is_begun: bool,
    is_done: bool,
}

pub(super) async fn csv(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let catalog = view.site.engine.catalog();
    let filter = asked.filter(&catalog, zone).map_err(|_| Problem::Unreadable)?;
    let name = format!("attachment; filename=\"transactions-{}.csv\"", caller.environment.code());
    let (before, is_begun, is_done) = (None, false, false);
    let export = Export { view, caller, filter, zone, before, is_begun, is_done };
    let body = Body::from_stream(futures_util::stream::unfold(export, next));
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, name),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// The next lines. If the store fails, the export ends with a line that says so.
async fn next(mut export: Export) -> Option<(Result<Bytes, Infallible>, Export)> {
    if export.is_done {
        return None;
    }
    let mut text = String::new();
    if !export.is_begun {
        export.is_begun = true;
        text.push_str(HEAD);
    }
    let before = export.before.map(|id| id.number().0);
    let page = Page { before, limit: AT_ONCE };
    let read = export.view.site.engine.list_purchases(&export.caller, export.filter.clone(), page);
    match read.await {
        Ok(mut purchases) => {
            // Whatever the store answers, the export comes to an end.
            purchases.retain(|p| export.before.is_none_or(|before| p.key.id < before));
            purchases.iter().for_each(|purchase| add_line(&mut text, purchase, export.zone));
            export.before = purchases.last().map(|purchase| purchase.key.id).or(export.before);
            export.is_done = u32::try_from(purchases.len()).is_ok_and(|count| count < AT_ONCE);
        }
        Err(_) => {
            text.push_str("the export is not complete: the server could not read on\r\n");
            export.is_done = true;
        }
    }
    Some((Ok(Bytes::from(text)), export))
}

fn add_line(text: &mut String, purchase: &Purchase, zone: Zone) {
    let cells: [&str; 11] = [
        &iso(purchase.opened_at, zone),
        &purchase.reference,
        &purchase.key.id.to_string(),
        purchase.state.code(),
        purchase.kind.code(),
        &purchase.operator,
        &purchase.recipient,
        &purchase.amount.exact(),
        &purchase.fee.exact(),
        &purchase.commission.exact(),
        purchase.amount.currency().code(),
    ];
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// A cell by RFC 4180; what a spreadsheet would take for a formula gets an apostrophe.
pub(crate) fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn iso(at: Timestamp, zone: Zone) -> String {
    let Ok(moment) = jiff::Timestamp::from_microsecond(at.0) else { return String::new() };
    moment.display_with_offset(zone.offset()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_quotes_are_doubled() {
        for (text, expected) in [
            ("B-1", "B-1"),
            ("=1+1", "'=1+1"),
            ("+880", "'+880"),
            ("-5", "'-5"),
            ("@x", "'@x"),
            ("a,b", "\"a,b\""),
            ("=\"x\"", "\"'=\"\"x\"\"\""),
        ] {
            assert_eq!(cell(text), expected);
        }
        let at = Timestamp(1_795_961_100_000_000);
        assert_eq!(iso(at, Zone::DHAKA), "2026-11-29T20:05:00+06:00");
    }
}

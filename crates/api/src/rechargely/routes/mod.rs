//! The routes: each reads, calls the engine, tells. What they say of themselves is the OpenAPI
//! document. One file per tag of it.

pub(super) mod payments;
pub(super) mod people;
pub(super) mod products;
pub(super) mod wallet;

use super::refusals::ApiError;
use super::wire::request::InvalidFields;
use crate::extract::answer::Answer;
use crate::extract::body;
use crate::wire::fields::SentFields;
use crate::wire::json::json;
use axum::extract::Request;

/// Reads a body's fields.
async fn fields<T>(
    request: Request,
    read: impl FnOnce(&SentFields<'_>) -> Result<T, InvalidFields>,
) -> Result<T, ApiError> {
    let (_, text) = body::read(request).await?;
    Ok(read(&SentFields::from_json(&text)?)?)
}

/// Yes, and this.
fn told(body: &impl serde::Serialize) -> Result<Answer, ApiError> {
    Ok(Answer::ok(json(body)?))
}

/// A list longer than its page, cut down to it; with what the next page is asked for by.
fn paged<T>(mut list: Vec<T>, limit: u32, place: impl FnOnce(&T) -> i64) -> (Vec<T>, Option<i64>) {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = list.len() <= most;
    list.truncate(most);
    let next = list.last().filter(|_| !is_last).map(place);
    (list, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_says_so() {
        for (list, limit, expected) in [
            (vec![], 2, (vec![], None)),
            (vec![9, 8], 2, (vec![9, 8], None)),
            (vec![9, 8, 7], 2, (vec![9, 8], Some(8))),
        ] {
            assert_eq!(paged(list, limit, |n| *n), expected);
        }
    }
}

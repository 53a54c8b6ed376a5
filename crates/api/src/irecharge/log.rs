//! Notes each request and its answer for the account's own log.
//!
//! Invariants: a request is noted once its keys were right, so nobody fills somebody else's log;
//! the answer is what it would be without the log. A request of which the log keeps nothing costs
//! no copy of its bodies.

use super::ApiState;
use super::refusals::{self, ApiError};
use crate::extract::address;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use engine::{NotedBody, RequestNote, RequestOwner};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Answers that are longer are not noted: they would have to be held a second time.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// Routes whose requests are noted. A service of its own: axum's `from_fn` boxes each request's
/// route and answer once more, on the way of every purchase.
#[derive(Clone)]
pub(super) struct Noted<R> {
    api: ApiState,
    routes: R,
}

/// Notes the requests of the routes that it is put around.
#[derive(Clone)]
pub(super) struct Note(pub ApiState);

impl<R> Layer<R> for Note {
    type Service = Noted<R>;

    fn layer(&self, routes: R) -> Noted<R> {
        Noted { api: self.0.clone(), routes }
    }
}

impl<R> Service<Request> for Noted<R>
where
    R: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    R::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready is taken, as tower asks for.
        let ready = self.routes.clone();
        let routes = std::mem::replace(&mut self.routes, ready);
        note(self.api.clone(), request, routes).map(Ok).boxed()
    }
}

async fn note<R>(api: ApiState, request: Request, mut routes: R) -> Response
where
    R: Service<Request, Response = Response, Error = Infallible>,
{
    let start = api.engine.begin_request();
    let (parts, body) = request.into_parts();
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let from = address::of_client(&parts, &api.settings);
    // The whole of it is here: the edge reads each body, within its limit, before any route.
    let Ok(sent) = to_bytes(body, usize::MAX).await else {
        return refusals::answer(&ApiError::internal()).into_response();
    };
    let request = Request::from_parts(parts, Body::from(sent.clone()));
    let Ok(mut response) = routes.call(request).await;
    let Some(owner) = response.extensions().get::<RequestOwner>().copied() else {
        return response;
    };
    let named = api.engine.name_request(owner, start);
    response.extensions_mut().insert(named.name);
    if !named.is_kept {
        return response;
    }
    let (parts, body) = response.into_parts();
    let (body, answered) = match body.size_hint().exact() {
        Some(length) if length <= ANSWER_BYTES_MAX => {
            let limit = usize::try_from(length).unwrap_or(usize::MAX);
            let Ok(bytes) = to_bytes(body, limit).await else {
                return refusals::answer(&ApiError::internal()).into_response();
            };
            let answered = NotedBody::of(&bytes);
            (Body::from(bytes), answered)
        }
        length => {
            let length = length.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
            (body, NotedBody { bytes: Vec::new(), length })
        }
    };
    let note = RequestNote {
        from,
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        status: parts.status.as_u16(),
        sent: NotedBody::of(&sent),
        answered,
    };
    api.engine.note_request(named, note);
    Response::from_parts(parts, body)
}

//! Attempts at upstreams: outcomes, doubt, the next route, status updates and callbacks.

mod callbacks;
mod doubt;
mod outcomes;
mod routes;
mod updates;

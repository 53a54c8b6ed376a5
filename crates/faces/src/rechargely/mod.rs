//! The rechargely face: the API that customers call with a login, under `/api/wallet/v1`.
//!
//! Written to the document in the seed, literally; `openapi` lists what it leaves open as *Known
//! quirks*. Invariant: a token is checked before a field is read, and only an authorised quote
//! moves money.

mod headers;
mod limits;
mod openapi;
mod refusals;
mod wire;

/// Where the API lives.
const BASE: &str = "/api/wallet/v1";

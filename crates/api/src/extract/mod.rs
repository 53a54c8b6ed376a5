//! What every dialect does around a handler: client address, request body, answer headers, and
//! their description in the OpenAPI documents.
//!
//! Not here: framing and connections (`edge`), authentication (the engine), the texts of a dialect.

pub(crate) mod address;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod describe;
pub(crate) mod error;
pub(crate) mod work;

//! What each face does at its door: whose address calls, what body came, what an answer carries,
//! and what the documents say of all that.
//!
//! Not here: framing and connections (`edge`), who may come in (the engine), any dialect's words.

pub(crate) mod address;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod describe;
pub(crate) mod work;

//! Push services: each implements [`domain::push::Pusher`] for one of them.
//!
//! Not here: the text of a push, and how often a failed one is retried (the engine decides).

pub mod fcm;

//! The ways in: each face parses, calls the engine, renders. No SQL, no rules, no state.
//!
//! A face is one folder and one line here. `edge` is the edge of HTTP that all faces share.

pub mod edge;

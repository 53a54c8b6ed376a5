//! The pages over HTTP: getting in, and who may see what.
//!
//! `browser` is a client with cookies that fills in forms; pages in a real browser are in
//! `crate::browser`.

pub mod browser;
mod buying;
mod dashboard;
mod demo;
pub mod getting_in;
mod keys;
mod leaks;
mod merchants;
mod money;
mod person;
mod plans;
mod requests;
pub mod rights;
mod run;

//! The pages over HTTP: getting in, and who may see what.
//!
//! `browser` is a client with cookies that fills in forms; pages in a real browser are in
//! `chromium`.

mod browser;
mod dashboard;
mod demo;
mod getting_in;
mod merchants;
mod person;
mod rights;
mod run;

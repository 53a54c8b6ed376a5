//! Parses bodies and queries: the field rules of the rechargely document.
//!
//! Does not depend on the engine; the rules that depend on a product are in `payment`. Invariant:
//! every field of a parsed request is valid, and an error names every invalid field.

mod payment;

pub(in super::super) use payment::{ProductRules, pre_auth, product_named};

use super::super::limits::{
    CODE_CHARS_MAX, FCM_TOKEN_CHARS_MAX, PAGE_LINES, PAGE_LINES_MAX, PASSWORD_BYTES_MAX,
    SEARCH_CHARS_MAX, USERNAME_CHARS_MAX,
};
use super::ids;
use super::status::Status;
use crate::wire::fields::{Field, RawFields, Reader, Reported};
use domain::purchase::is_reference;
use domain::{Currency, Environment, FieldError};

pub(crate) static PRODUCT_ID: Field = Field::new("productId");
static REQUEST_ID: Field = Field::new("requestId");
static PRE_AUTH_TOKEN: Field = Field::new("preAuthToken");
static USERNAME: Field = Field::new("username");
static PASSWORD: Field = Field::new("password");
static FCM_TOKEN: Field = Field::new("fcmToken");
/// Added to the document.
static ENVIRONMENT: Field = Field::new("environment");
/// Added to the document, whose log-in calls it `username`.
static EMAIL: Field = Field { name: "email", aliases: &["username"] };
/// Added to the document, whose payments call it `customerMobile`.
static MOBILE: Field = Field { name: "mobile", aliases: &["customerMobile"] };
static NAME: Field = Field::new("name");
static CODE: Field = Field::new("code");
static CURRENT_PASSWORD: Field = Field::new("currentPassword");
static NEW_PASSWORD: Field = Field::new("newPassword");
static QUERY: Field = Field::new("query");
static CURRENCY: Field = Field::new("currency");
static LIMIT: Field = Field::new("limit");
/// The largest integer that every client can represent, 2^53 - 1. Our ids are not larger
/// (CONTRACT A-21).
const NUMBER_MAX: i64 = 9_007_199_254_740_991;

static BEFORE: Field = Field::new("before");
static STATUS: Field = Field::new("status");

/// The errors of a request's fields: one or more about each invalid field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct InvalidFields(pub Vec<FieldError>);

/// The body of `POST transactions/bill-payment/auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Auth {
    /// The token of the pre-auth, unverified.
    pub pre_auth_token: String,
    /// The customer's own reference.
    pub request_id: String,
}

/// The body of `POST authenticate/customers`.
#[derive(Clone)]
pub(in super::super) struct LogIn {
    /// The login's e-mail address, unverified.
    pub username: String,
    /// The password, unverified.
    pub password: String,
    /// The device's push token; empty: no pushes.
    pub fcm_token: String,
    /// The environment of the session; live by default.
    pub environment: Environment,
}

/// The body of `POST register`. The engine validates the values, and its errors use the same names
/// of fields.
#[derive(Clone)]
pub(in super::super) struct Registration {
    /// The future login's e-mail address.
    pub email: String,
    /// The future login's password.
    pub password: String,
    /// The customer's name; empty if it was not sent.
    pub name: String,
    /// The mobile number without separators; empty if it was not sent.
    pub mobile: String,
}

/// The body of `POST register/confirm`.
#[derive(Clone)]
pub(in super::super) struct Confirmation {
    /// The e-mail address of the registration.
    pub email: String,
    /// The one-time code of the mail, unverified.
    pub code: String,
    /// The password of the registration: the code is valid only together with it.
    pub password: String,
}

/// The body of `POST password/change`.
#[derive(Clone)]
pub(in super::super) struct PasswordChange {
    /// The password that is replaced, unverified.
    pub current: String,
    /// The new password.
    pub new: String,
}

/// The body of `POST password/reset`.
#[derive(Clone)]
pub(in super::super) struct PasswordReset {
    /// The login's e-mail address.
    pub email: String,
    /// The one-time code of the mail, unverified.
    pub code: String,
    /// The new password.
    pub new: String,
}

/// A page of a list whose newest line comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Page {
    /// Lines at most.
    pub limit: u32,
    /// Only lines older than this id.
    pub before: Option<i64>,
}

/// Parses the body of `POST transactions/bill-payment/auth`.
pub(crate) fn auth(fields: &RawFields<'_>) -> Result<Auth, InvalidFields> {
    parse(fields, |reader| {
        let pre_auth_token = required_line(reader, &PRE_AUTH_TOKEN, CODE_CHARS_MAX);
        let request_id = request_id(reader);
        Ok(Auth { pre_auth_token: pre_auth_token?, request_id: request_id? })
    })
}

/// Parses the body of `POST authenticate/customers`.
pub(crate) fn log_in(fields: &RawFields<'_>) -> Result<LogIn, InvalidFields> {
    parse(fields, |reader| {
        let username = required_line(reader, &USERNAME, USERNAME_CHARS_MAX);
        let password = password(reader, &PASSWORD);
        let fcm_token = fcm_token(reader);
        let environment = environment(reader)?;
        Ok(LogIn { username: username?, password: password?, fcm_token: fcm_token?, environment })
    })
}

/// Parses the body of `POST register`.
pub(crate) fn registration(fields: &RawFields<'_>) -> Result<Registration, InvalidFields> {
    parse(fields, |reader| {
        let email = required_line(reader, &EMAIL, USERNAME_CHARS_MAX);
        let password = password(reader, &PASSWORD);
        let name = reader.text(&NAME).map(|name| name.unwrap_or_default().to_owned());
        let mobile = reader.text(&MOBILE)?;
        let mobile = without_separators(mobile.unwrap_or_default());
        Ok(Registration { email: email?, password: password?, name: name?, mobile })
    })
}

/// Parses the body of `POST register/confirm`.
pub(crate) fn confirmation(fields: &RawFields<'_>) -> Result<Confirmation, InvalidFields> {
    parse(fields, |reader| {
        let email = required_line(reader, &EMAIL, USERNAME_CHARS_MAX);
        let code = required_line(reader, &CODE, CODE_CHARS_MAX);
        let password = password(reader, &PASSWORD);
        Ok(Confirmation { email: email?, code: code?, password: password? })
    })
}

/// Parses the body of `POST password/forgot`: the login's e-mail address.
pub(crate) fn forgotten_password(fields: &RawFields<'_>) -> Result<String, InvalidFields> {
    parse(fields, |reader| required_line(reader, &EMAIL, USERNAME_CHARS_MAX))
}

/// Parses the body of `POST password/change`.
pub(crate) fn password_change(fields: &RawFields<'_>) -> Result<PasswordChange, InvalidFields> {
    parse(fields, |reader| {
        let current = password(reader, &CURRENT_PASSWORD);
        let new = password(reader, &NEW_PASSWORD);
        Ok(PasswordChange { current: current?, new: new? })
    })
}

/// Parses the body of `POST password/reset`.
pub(crate) fn password_reset(fields: &RawFields<'_>) -> Result<PasswordReset, InvalidFields> {
    parse(fields, |reader| {
        let email = required_line(reader, &EMAIL, USERNAME_CHARS_MAX);
        let code = required_line(reader, &CODE, CODE_CHARS_MAX);
        let new = password(reader, &NEW_PASSWORD);
        Ok(PasswordReset { email: email?, code: code?, new: new? })
    })
}

/// Parses the query of `GET public/products/search`: the text that is searched.
pub(crate) fn search(fields: &RawFields<'_>) -> Result<String, InvalidFields> {
    parse(fields, |reader| Ok(required_line(reader, &QUERY, SEARCH_CHARS_MAX)?.trim().to_owned()))
}

/// Parses the query of `GET transactions`: the page and a filter by status.
pub(crate) fn payments(fields: &RawFields<'_>) -> Result<(Page, Option<Status>), InvalidFields> {
    parse(fields, |reader| {
        let page = page(reader);
        let status = status(reader);
        Ok((page?, status?))
    })
}

/// Parses the query of `GET wallet/balance`: one currency; `None` for all.
pub(crate) fn balance(fields: &RawFields<'_>) -> Result<Option<Currency>, InvalidFields> {
    parse(fields, currency)
}

/// Parses the query of `GET wallet/statement`: the wallet's currency and the page.
pub(crate) fn statement(fields: &RawFields<'_>) -> Result<(Currency, Page), InvalidFields> {
    parse(fields, |reader| {
        let currency = currency(reader)
            .and_then(|c| c.ok_or_else(|| reader.report(CURRENCY.name, "is required.")));
        let page = page(reader);
        Ok((currency?, page?))
    })
}

/// Runs `read`, which reads every field before it returns an error.
fn parse<T>(
    fields: &RawFields<'_>,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Result<T, Reported>,
) -> Result<T, InvalidFields> {
    let mut reader = Reader::new(fields);
    read(&mut reader).map_err(|Reported| InvalidFields(reader.into_errors()))
}

/// A required text of one line that is not blank.
fn required_line(
    reader: &mut Reader<'_, '_>,
    field: &'static Field,
    chars_max: usize,
) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let is_line = !text.trim().is_empty()
        && text.chars().nth(chars_max).is_none()
        && !text.chars().any(char::is_control);
    let message = format!("must be 1 to {chars_max} characters, without control characters.");
    is_line.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &message))
}

/// A required password: its length is the only rule here.
fn password(reader: &mut Reader<'_, '_>, field: &'static Field) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let fits = (1..=PASSWORD_BYTES_MAX).contains(&text.len());
    let message = format!("must be 1 to {PASSWORD_BYTES_MAX} bytes long.");
    fits.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &message))
}

fn request_id(reader: &mut Reader<'_, '_>) -> Result<String, Reported> {
    let text = reader.required(&REQUEST_ID)?;
    let message = "must be 1 to 128 printable ASCII characters without a space at either end.";
    let is_reference = is_reference(text);
    is_reference.then(|| text.to_owned()).ok_or_else(|| reader.report(REQUEST_ID.name, message))
}

/// A phone number without the separators between its digits.
fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect()
}

fn fcm_token(reader: &mut Reader<'_, '_>) -> Result<String, Reported> {
    let text = reader.required(&FCM_TOKEN)?;
    let is_short = text.chars().nth(FCM_TOKEN_CHARS_MAX).is_none();
    let message =
        format!("must be at most {FCM_TOKEN_CHARS_MAX} characters long; empty is allowed.");
    is_short.then(|| text.to_owned()).ok_or_else(|| reader.report(FCM_TOKEN.name, &message))
}

fn environment(reader: &mut Reader<'_, '_>) -> Result<Environment, Reported> {
    let Some(code) = reader.text(&ENVIRONMENT)? else { return Ok(Environment::Live) };
    let environment = Environment::ALL.into_iter().find(|e| e.code() == code);
    environment.ok_or_else(|| reader.report(ENVIRONMENT.name, "must be live or sandbox."))
}

fn status(reader: &mut Reader<'_, '_>) -> Result<Option<Status>, Reported> {
    let Some(name) = reader.text(&STATUS)? else { return Ok(None) };
    let message = "must be PENDING, PROCESSING, COMPLETED, FAILED or CANCELLED.";
    Status::parse(name).map(Some).ok_or_else(|| reader.report(STATUS.name, message))
}

fn currency(reader: &mut Reader<'_, '_>) -> Result<Option<Currency>, Reported> {
    let Some(code) = reader.text(&CURRENCY)? else { return Ok(None) };
    let currency = Currency::from_code(&code.to_ascii_uppercase());
    let message = "must be an ISO 4217 code, like USD.";
    currency.map(Some).ok_or_else(|| reader.report(CURRENCY.name, message))
}

fn page(reader: &mut Reader<'_, '_>) -> Result<Page, Reported> {
    let limit = number(reader, &LIMIT).and_then(|limit| match limit {
        None => Ok(PAGE_LINES),
        Some(limit) => {
            let message = format!("must be 1 to {PAGE_LINES_MAX}.");
            let limit = u32::try_from(limit).ok().filter(|l| (1..=PAGE_LINES_MAX).contains(l));
            limit.ok_or_else(|| reader.report(LIMIT.name, &message))
        }
    });
    let before = number(reader, &BEFORE).and_then(|before| match before {
        Some(before) if before > NUMBER_MAX => {
            Err(reader.report(BEFORE.name, "must be a nextBefore of ours."))
        }
        before => Ok(before),
    });
    Ok(Page { limit: limit?, before: before? })
}

fn number(reader: &mut Reader<'_, '_>, field: &'static Field) -> Result<Option<i64>, Reported> {
    let Some(text) = reader.text(field)? else { return Ok(None) };
    let number = ids::parse_number(text);
    number.map(Some).ok_or_else(|| reader.report(field.name, "must be a whole number."))
}

#[cfg(test)]
mod tests;

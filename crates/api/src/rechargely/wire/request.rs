//! Parses bodies and queries: the field rules of the rechargely document.
//!
//! Does not depend on the engine; the rules that depend on a product are in `payment`. Invariant:
//! every field of a parsed request is valid, and an error names every invalid field.

mod fields;
mod payment;

pub(in super::super) use fields::{
    AuthRequest, BalanceQuery, ConfirmRequest, LogInRequest, PasswordChangeRequest,
    PasswordForgotRequest, PasswordResetRequest, PreAuthRequest, RegisterRequest, SearchQuery,
    StatementQuery, TransactionsQuery,
};
pub(in super::super) use payment::{ProductRules, pre_auth, product_named};

use super::super::limits::PAGE_LINES_MAX;
use super::ids;
use super::status::Status;
use crate::wire::fields::{RawFields, Reader, Reported};
use crate::wire::form::{Field, Optional, Required};
use domain::purchase::is_reference;
use domain::{Currency, Environment, FieldError};

/// The errors of a request's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct InvalidFields {
    /// A required field was not sent: this has a status of its own (CONTRACT B-05a).
    pub is_any_missing: bool,
    /// One error or more about each invalid field.
    pub field_errors: Vec<FieldError>,
}

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
        let form = AuthRequest::FIELDS;
        let pre_auth_token = required_line(reader, form.pre_auth_token);
        let request_id = request_id(reader, form.request_id);
        Ok(Auth { pre_auth_token: pre_auth_token?, request_id: request_id? })
    })
}

/// Parses the body of `POST authenticate/customers`.
pub(crate) fn log_in(fields: &RawFields<'_>) -> Result<LogIn, InvalidFields> {
    parse(fields, |reader| {
        let form = LogInRequest::FIELDS;
        let username = required_line(reader, form.username);
        let password = password(reader, form.password);
        let fcm_token = fcm_token(reader, form.fcm_token);
        let code = reader.or_default(form.environment)?;
        let environment = reader.code(&form.environment, code, Environment::from_code)?;
        Ok(LogIn { username: username?, password: password?, fcm_token: fcm_token?, environment })
    })
}

/// Parses the body of `POST register`.
pub(crate) fn registration(fields: &RawFields<'_>) -> Result<Registration, InvalidFields> {
    parse(fields, |reader| {
        let form = RegisterRequest::FIELDS;
        let email = required_line(reader, form.email);
        let password = password(reader, form.password);
        let name = reader.text(form.name).map(|name| name.unwrap_or_default().to_owned());
        let mobile = reader.text(form.mobile)?;
        let mobile = without_separators(mobile.unwrap_or_default());
        Ok(Registration { email: email?, password: password?, name: name?, mobile })
    })
}

/// Parses the body of `POST register/confirm`.
pub(crate) fn confirmation(fields: &RawFields<'_>) -> Result<Confirmation, InvalidFields> {
    parse(fields, |reader| {
        let form = ConfirmRequest::FIELDS;
        let email = required_line(reader, form.email);
        let code = required_line(reader, form.code);
        let password = password(reader, form.password);
        Ok(Confirmation { email: email?, code: code?, password: password? })
    })
}

/// Parses the body of `POST password/forgot`: the login's e-mail address.
pub(crate) fn forgotten_password(fields: &RawFields<'_>) -> Result<String, InvalidFields> {
    parse(fields, |reader| required_line(reader, PasswordForgotRequest::FIELDS.email))
}

/// Parses the body of `POST password/change`.
pub(crate) fn password_change(fields: &RawFields<'_>) -> Result<PasswordChange, InvalidFields> {
    parse(fields, |reader| {
        let form = PasswordChangeRequest::FIELDS;
        let current = password(reader, form.current_password);
        let new = password(reader, form.new_password);
        Ok(PasswordChange { current: current?, new: new? })
    })
}

/// Parses the body of `POST password/reset`.
pub(crate) fn password_reset(fields: &RawFields<'_>) -> Result<PasswordReset, InvalidFields> {
    parse(fields, |reader| {
        let form = PasswordResetRequest::FIELDS;
        let email = required_line(reader, form.email);
        let code = required_line(reader, form.code);
        let new = password(reader, form.new_password);
        Ok(PasswordReset { email: email?, code: code?, new: new? })
    })
}

/// Parses the query of `GET public/products/search`: the text that is searched.
pub(crate) fn search(fields: &RawFields<'_>) -> Result<String, InvalidFields> {
    let query = SearchQuery::FIELDS.query;
    parse(fields, |reader| Ok(required_line(reader, query)?.trim().to_owned()))
}

/// Parses the query of `GET transactions`: the page and a filter by status.
pub(crate) fn payments(fields: &RawFields<'_>) -> Result<(Page, Option<Status>), InvalidFields> {
    parse(fields, |reader| {
        let form = TransactionsQuery::FIELDS;
        let page = page(reader, form.limit, form.before);
        let status = reader.text(form.status).and_then(|name| {
            name.map(|name| reader.code(&form.status, name, Status::parse)).transpose()
        });
        Ok((page?, status?))
    })
}

/// Parses the query of `GET wallet/balance`: one currency; `None` for all.
pub(crate) fn balance(fields: &RawFields<'_>) -> Result<Option<Currency>, InvalidFields> {
    parse(fields, |reader| {
        let field = BalanceQuery::FIELDS.currency;
        reader.text(field)?.map(|code| currency(reader, &field, code)).transpose()
    })
}

/// Parses the query of `GET wallet/statement`: the wallet's currency and the page.
pub(crate) fn statement(fields: &RawFields<'_>) -> Result<(Currency, Page), InvalidFields> {
    parse(fields, |reader| {
        let form = StatementQuery::FIELDS;
        let currency =
            reader.required(form.currency).and_then(|code| currency(reader, &form.currency, code));
        let page = page(reader, form.limit, form.before);
        Ok((currency?, page?))
    })
}

/// Runs `read`, which reads every field before it returns an error.
fn parse<T>(
    fields: &RawFields<'_>,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Result<T, Reported>,
) -> Result<T, InvalidFields> {
    let mut reader = Reader::new(fields);
    read(&mut reader).map_err(|Reported| InvalidFields {
        is_any_missing: reader.is_any_missing(),
        field_errors: reader.into_errors(),
    })
}

/// A required text of one line that is not blank.
fn required_line(reader: &mut Reader<'_, '_>, field: Required) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let chars_max = field.length_max;
    let is_line = !text.trim().is_empty()
        && text.chars().nth(chars_max).is_none()
        && !text.chars().any(char::is_control);
    let message = format!("must be 1 to {chars_max} characters, without control characters.");
    is_line.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &message))
}

/// A required password: its length in bytes is the only rule here.
fn password(reader: &mut Reader<'_, '_>, field: Required) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let bytes_max = field.length_max;
    let fits = (1..=bytes_max).contains(&text.len());
    let message = format!("must be 1 to {bytes_max} bytes long.");
    fits.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &message))
}

fn request_id(reader: &mut Reader<'_, '_>, field: Required) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let message = "must be 1 to 128 printable ASCII characters without a space at either end.";
    is_reference(text).then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, message))
}

/// A phone number without the separators between its digits.
fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect()
}

fn fcm_token(reader: &mut Reader<'_, '_>, field: Required) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let chars_max = field.length_max;
    let is_short = text.chars().nth(chars_max).is_none();
    let message = format!("must be at most {chars_max} characters long; empty is allowed.");
    is_short.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &message))
}

fn currency(reader: &mut Reader<'_, '_>, field: &Field, code: &str) -> Result<Currency, Reported> {
    let currency = Currency::from_code(&code.to_ascii_uppercase());
    let message = "must be an ISO 4217 code, like USD.";
    currency.ok_or_else(|| reader.report(field.name, message))
}

fn page(reader: &mut Reader<'_, '_>, limit: Optional, before: Optional) -> Result<Page, Reported> {
    let message = format!("must be 1 to {PAGE_LINES_MAX}.");
    let lines = reader.or_default(limit).and_then(|text| number(reader, &limit, text, &message));
    let message = "must be a nextBefore of ours.";
    let id = reader.text(before);
    let id = id.and_then(|t| t.map(|text| number(reader, &before, text, message)).transpose());
    Ok(Page { limit: lines?, before: id? })
}

/// A whole number in the field's limits.
fn number<T: TryFrom<i64>>(
    reader: &mut Reader<'_, '_>,
    field: &Field,
    text: &str,
    out_of_limits: &str,
) -> Result<T, Reported> {
    let number = ids::parse_number(text);
    let number = number.ok_or_else(|| reader.report(field.name, "must be a whole number."))?;
    let in_limits = T::try_from(number).ok().filter(|_| field.has(number));
    in_limits.ok_or_else(|| reader.report(field.name, out_of_limits))
}

#[cfg(test)]
mod tests;

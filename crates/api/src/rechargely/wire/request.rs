//! From what was sent to what is asked for: every field rule of the rechargely document.
//!
//! Needs no engine; what depends on a product is in `payment`. Invariant: what leaves here is
//! valid, and a refusal names every field that is wrong.

mod payment;

pub(in super::super) use payment::{Sold, pre_auth, product_named};

use super::super::limits::{
    CODE_MAX, FCM_TOKEN_MAX, PAGE, PAGE_MAX, PASSWORD_BYTES_MAX, SEARCH_MAX, USERNAME_MAX,
};
use super::ids;
use super::status::Status;
use crate::wire::fields::{Field, Reader, Reported, SentFields};
use domain::purchase::is_reference;
use domain::refusal::FieldError;
use domain::{Currency, Environment};

pub(in super::super) static PRODUCT_ID: Field = Field::new("productId");
static REQUEST_ID: Field = Field::new("requestId");
static PRE_AUTH_TOKEN: Field = Field::new("preAuthToken");
static USERNAME: Field = Field::new("username");
static PASSWORD: Field = Field::new("password");
static FCM_TOKEN: Field = Field::new("fcmToken");
/// Added to the document.
static ENVIRONMENT: Field = Field::new("environment");
/// Added to the document, whose log-in calls it `username`.
static EMAIL: Field = Field { name: "email", also: &["username"] };
/// Added to the document, whose payments call it `customerMobile`.
static MOBILE: Field = Field { name: "mobile", also: &["customerMobile"] };
static NAME: Field = Field::new("name");
static CODE: Field = Field::new("code");
static CURRENT_PASSWORD: Field = Field::new("currentPassword");
static NEW_PASSWORD: Field = Field::new("newPassword");
static QUERY: Field = Field::new("query");
static CURRENCY: Field = Field::new("currency");
static LIMIT: Field = Field::new("limit");
/// The largest number that every client can read, 2^53 - 1: no id of ours is larger (CONTRACT A-21).
const NUMBER_MAX: i64 = 9_007_199_254_740_991;

static BEFORE: Field = Field::new("before");
static STATUS: Field = Field::new("status");

/// Each wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct InvalidFields(pub Vec<FieldError>);

/// A payment to be authorised (`POST transactions/bill-payment/auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Auth {
    /// As it was sent.
    pub pre_auth_token: String,
    /// The customer's own reference.
    pub request_id: String,
}

/// Somebody who wants to log in (`POST authenticate/customers`).
#[derive(Clone)]
pub(in super::super) struct LogIn {
    /// As it was sent.
    pub username: String,
    /// As it was sent.
    pub password: String,
    /// Where pushes go; empty for nowhere.
    pub fcm_token: String,
    /// Where to: live unless it says otherwise.
    pub environment: Environment,
}

/// Somebody who wants an account (`POST register`); whether address, number and password will do
/// is the engine's to say, which calls the fields by the same names.
#[derive(Clone)]
pub(in super::super) struct Registration {
    /// As it was sent.
    pub email: String,
    /// As it was sent.
    pub password: String,
    /// As it was sent; empty if it was not.
    pub name: String,
    /// Without what people put between the digits; empty if it was not sent.
    pub mobile: String,
}

/// A one-time code that came by mail (`POST register/confirm`).
#[derive(Clone)]
pub(in super::super) struct Confirmation {
    /// Whose.
    pub email: String,
    /// As it was sent.
    pub code: String,
    /// The password of the registration, as it was sent: a code is good beside it only.
    pub password: String,
}

/// A new password for an old one (`POST password/change`).
#[derive(Clone)]
pub(in super::super) struct PasswordChange {
    /// The old one.
    pub current: String,
    /// The new one.
    pub new: String,
}

/// A new password for a one-time code (`POST password/reset`).
#[derive(Clone)]
pub(in super::super) struct PasswordReset {
    /// Whose.
    pub email: String,
    /// As it was sent.
    pub code: String,
    /// The new one.
    pub new: String,
}

/// A page of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Page {
    /// At most so many lines.
    pub limit: u32,
    /// Only what is older than this.
    pub before: Option<i64>,
}

/// Reads the body of `POST transactions/bill-payment/auth`.
pub(in super::super) fn auth(sent: &SentFields<'_>) -> Result<Auth, InvalidFields> {
    let mut reader = Reader::new(sent);
    let pre_auth_token = line(&mut reader, &PRE_AUTH_TOKEN, CODE_MAX);
    let request_id = request_id(&mut reader);
    let whole =
        || Ok::<_, Reported>(Auth { pre_auth_token: pre_auth_token?, request_id: request_id? });
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST authenticate/customers`.
pub(in super::super) fn log_in(sent: &SentFields<'_>) -> Result<LogIn, InvalidFields> {
    let mut reader = Reader::new(sent);
    let username = line(&mut reader, &USERNAME, USERNAME_MAX);
    let password = password(&mut reader, &PASSWORD);
    let fcm_token = reader.required(&FCM_TOKEN).and_then(|text| {
        let is_short = text.chars().nth(FCM_TOKEN_MAX).is_none();
        let says = format!("must be at most {FCM_TOKEN_MAX} characters long; empty is allowed.");
        is_short.then(|| text.to_owned()).ok_or_else(|| reader.report(FCM_TOKEN.name, &says))
    });
    let environment = environment(&mut reader);
    let whole = || {
        Ok::<_, Reported>(LogIn {
            username: username?,
            password: password?,
            fcm_token: fcm_token?,
            environment: environment?,
        })
    };
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST register`.
pub(in super::super) fn registration(sent: &SentFields<'_>) -> Result<Registration, InvalidFields> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MAX);
    let password = password(&mut reader, &PASSWORD);
    let name = reader.text(&NAME).map(|name| name.unwrap_or_default().to_owned());
    let mobile = reader.text(&MOBILE).map(|mobile| compact(mobile.unwrap_or_default()));
    let whole = || {
        Ok::<_, Reported>(Registration {
            email: email?,
            password: password?,
            name: name?,
            mobile: mobile?,
        })
    };
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST register/confirm`.
pub(in super::super) fn confirmation(sent: &SentFields<'_>) -> Result<Confirmation, InvalidFields> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MAX);
    let code = line(&mut reader, &CODE, CODE_MAX);
    let password = password(&mut reader, &PASSWORD);
    let whole =
        || Ok::<_, Reported>(Confirmation { email: email?, code: code?, password: password? });
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST password/forgot`: whose password is forgotten.
pub(in super::super) fn forgotten(sent: &SentFields<'_>) -> Result<String, InvalidFields> {
    let mut reader = Reader::new(sent);
    line(&mut reader, &EMAIL, USERNAME_MAX).map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST password/change`.
pub(in super::super) fn password_change(
    sent: &SentFields<'_>,
) -> Result<PasswordChange, InvalidFields> {
    let mut reader = Reader::new(sent);
    let current = password(&mut reader, &CURRENT_PASSWORD);
    let new = password(&mut reader, &NEW_PASSWORD);
    let whole = || Ok::<_, Reported>(PasswordChange { current: current?, new: new? });
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the body of `POST password/reset`.
pub(in super::super) fn password_reset(
    sent: &SentFields<'_>,
) -> Result<PasswordReset, InvalidFields> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MAX);
    let code = line(&mut reader, &CODE, CODE_MAX);
    let new = password(&mut reader, &NEW_PASSWORD);
    let whole = || Ok::<_, Reported>(PasswordReset { email: email?, code: code?, new: new? });
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the query of `GET public/products/search`: what is looked for.
pub(in super::super) fn search(sent: &SentFields<'_>) -> Result<String, InvalidFields> {
    let mut reader = Reader::new(sent);
    let query = line(&mut reader, &QUERY, SEARCH_MAX);
    query.map(|q| q.trim().to_owned()).map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the query of `GET transactions`: which page, and of which status.
pub(in super::super) fn listing(
    sent: &SentFields<'_>,
) -> Result<(Page, Option<Status>), InvalidFields> {
    let mut reader = Reader::new(sent);
    let page = page(&mut reader);
    let status = reader.text(&STATUS).and_then(|text| {
        let Some(text) = text else { return Ok(None) };
        let says = "must be PENDING, PROCESSING, COMPLETED, FAILED or CANCELLED.";
        let status = Status::from_word(text).ok_or(());
        status.map(Some).map_err(|()| reader.report(STATUS.name, says))
    });
    let whole = || Ok::<_, Reported>((page?, status?));
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the query of `GET wallet/balance`: one currency, or all.
pub(in super::super) fn balance(sent: &SentFields<'_>) -> Result<Option<Currency>, InvalidFields> {
    let mut reader = Reader::new(sent);
    currency(&mut reader).map_err(|Reported| InvalidFields::of(reader))
}

/// Reads the query of `GET wallet/statement`: which wallet, and which page of it.
pub(in super::super) fn statement(
    sent: &SentFields<'_>,
) -> Result<(Currency, Page), InvalidFields> {
    let mut reader = Reader::new(sent);
    let currency = currency(&mut reader)
        .and_then(|c| c.ok_or_else(|| reader.report(CURRENCY.name, "is required.")));
    let page = page(&mut reader);
    let whole = || Ok::<_, Reported>((currency?, page?));
    whole().map_err(|Reported| InvalidFields::of(reader))
}

impl InvalidFields {
    fn of(reader: Reader<'_, '_>) -> InvalidFields {
        InvalidFields(reader.complaints())
    }
}

/// A text of one line that must be there and not blank.
fn line(
    reader: &mut Reader<'_, '_>,
    field: &'static Field,
    most: usize,
) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let is_line = !text.trim().is_empty()
        && text.chars().nth(most).is_none()
        && !text.chars().any(char::is_control);
    let says = format!("must be 1 to {most} characters, without control characters.");
    is_line.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &says))
}

/// A password: nothing is said of it but its length.
fn password(reader: &mut Reader<'_, '_>, field: &'static Field) -> Result<String, Reported> {
    let text = reader.required(field)?;
    let fits = (1..=PASSWORD_BYTES_MAX).contains(&text.len());
    let says = format!("must be 1 to {PASSWORD_BYTES_MAX} bytes long.");
    fits.then(|| text.to_owned()).ok_or_else(|| reader.report(field.name, &says))
}

fn request_id(reader: &mut Reader<'_, '_>) -> Result<String, Reported> {
    let text = reader.required(&REQUEST_ID)?;
    let says = "must be 1 to 128 printable ASCII characters without a space at either end.";
    let is_reference = is_reference(text);
    is_reference.then(|| text.to_owned()).ok_or_else(|| reader.report(REQUEST_ID.name, says))
}

/// A phone number without what people put between its digits.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect()
}

fn environment(reader: &mut Reader<'_, '_>) -> Result<Environment, Reported> {
    let Some(word) = reader.text(&ENVIRONMENT)? else { return Ok(Environment::Live) };
    let environment = Environment::ALL.into_iter().find(|e| e.code() == word);
    environment.ok_or_else(|| reader.report(ENVIRONMENT.name, "must be live or sandbox."))
}

fn currency(reader: &mut Reader<'_, '_>) -> Result<Option<Currency>, Reported> {
    let Some(code) = reader.text(&CURRENCY)? else { return Ok(None) };
    let currency = Currency::from_code(&code.to_ascii_uppercase());
    let says = "must be an ISO 4217 code, like USD.";
    currency.map(Some).ok_or_else(|| reader.report(CURRENCY.name, says))
}

fn page(reader: &mut Reader<'_, '_>) -> Result<Page, Reported> {
    let limit = number(reader, &LIMIT).and_then(|limit| match limit {
        None => Ok(PAGE),
        Some(limit) => {
            let says = format!("must be 1 to {PAGE_MAX}.");
            let limit = u32::try_from(limit).ok().filter(|l| (1..=PAGE_MAX).contains(l));
            limit.ok_or_else(|| reader.report(LIMIT.name, &says))
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
    let number = ids::number(text);
    number.map(Some).ok_or_else(|| reader.report(field.name, "must be a whole number."))
}

#[cfg(test)]
mod tests;

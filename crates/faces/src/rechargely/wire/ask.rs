//! From what was sent to what is asked for: every field rule of the rechargely document.
//!
//! Needs no catalog and no engine: what depends on a product (its currency, its limits, its bill
//! format) is checked when the product is known. Invariant: what leaves here is valid in form, and
//! a refusal names every field that is wrong.

use super::super::limits::{
    ADDITIONAL_MOST, ADDITIONAL_NAME_MOST, ADDITIONAL_VALUE_MOST, BILL_REFERENCE_MOST, CODE_MOST,
    FCM_TOKEN_MOST, MOBILE_DIGITS, MOBILE_MOST, PAGE, PAGE_MOST, PASSWORD_BYTES_MOST, SEARCH_MOST,
    USERNAME_MOST,
};
use super::ids;
use super::status::Status;
use crate::wire::amount;
use crate::wire::sent::{BOOLEAN, Field, OBJECT, Reader, Sent, Told, Value};
use domain::purchase::{Details, is_reference};
use domain::refusal::Complaint;
use domain::{Currency, Money};
use ring::digest;

pub(in super::super) static AMOUNT: Field = Field::new("amount");
pub(in super::super) static PRODUCT_ID: Field = Field::new("productId");
pub(in super::super) static REQUEST_ID: Field = Field::new("requestId");
pub(in super::super) static BILL_REFERENCE: Field = Field::new("billReference");
pub(in super::super) static CUSTOMER_MOBILE: Field = Field::new("customerMobile");
pub(in super::super) static ADDITIONAL_DATA: Field = Field::new("additionalData");
pub(in super::super) static PRE_AUTH_TOKEN: Field = Field::new("preAuthToken");
pub(in super::super) static USERNAME: Field = Field::new("username");
pub(in super::super) static PASSWORD: Field = Field::new("password");
pub(in super::super) static FCM_TOKEN: Field = Field::new("fcmToken");
/// Added to the document, whose log-in calls it `username`.
pub(in super::super) static EMAIL: Field = Field { name: "email", also: &["username"] };
/// Added to the document, whose payments call it `customerMobile`.
pub(in super::super) static MOBILE: Field = Field { name: "mobile", also: &["customerMobile"] };
pub(in super::super) static NAME: Field = Field::new("name");
pub(in super::super) static CODE: Field = Field::new("code");
pub(in super::super) static CURRENT_PASSWORD: Field = Field::new("currentPassword");
pub(in super::super) static NEW_PASSWORD: Field = Field::new("newPassword");
static QUERY: Field = Field::new("query");
static CURRENCY: Field = Field::new("currency");
static LIMIT: Field = Field::new("limit");
static BEFORE: Field = Field::new("before");
static STATUS: Field = Field::new("status");

/// Each wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Wrong(pub Vec<Complaint>);

/// A payment to be quoted (`POST transactions/bill-payment/pre-auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct PreAuth {
    /// The amount's literal text: an amount in form, its currency not known yet.
    pub amount: String,
    /// The product's number; there may be no such product.
    pub product: i64,
    /// The customer's own reference.
    pub request_id: String,
    /// As it was sent; the product knows its format.
    pub bill_reference: String,
    /// Digits, with the plus if one was sent.
    pub customer_mobile: String,
    /// What else was sent, as texts.
    pub additional: Details,
}

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

/// Reads the body of `POST transactions/bill-payment/pre-auth`.
pub(in super::super) fn pre_auth(sent: &Sent<'_>) -> Result<PreAuth, Wrong> {
    let mut reader = Reader::new(sent);
    let amount = amount_text(&mut reader);
    let product = product(&mut reader);
    let request_id = request_id(&mut reader);
    let bill_reference = line(&mut reader, &BILL_REFERENCE, BILL_REFERENCE_MOST);
    let customer_mobile = mobile(&mut reader);
    let additional = additional(&mut reader, sent);
    let whole = || {
        Ok::<_, Told>(PreAuth {
            amount: amount?,
            product: product?,
            request_id: request_id?,
            bill_reference: bill_reference?,
            customer_mobile: customer_mobile?,
            additional: additional?,
        })
    };
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST transactions/bill-payment/auth`.
pub(in super::super) fn auth(sent: &Sent<'_>) -> Result<Auth, Wrong> {
    let mut reader = Reader::new(sent);
    let pre_auth_token = line(&mut reader, &PRE_AUTH_TOKEN, CODE_MOST);
    let request_id = request_id(&mut reader);
    let whole = || Ok::<_, Told>(Auth { pre_auth_token: pre_auth_token?, request_id: request_id? });
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST authenticate/customers`.
pub(in super::super) fn log_in(sent: &Sent<'_>) -> Result<LogIn, Wrong> {
    let mut reader = Reader::new(sent);
    let username = line(&mut reader, &USERNAME, USERNAME_MOST);
    let password = password(&mut reader, &PASSWORD);
    let fcm_token = reader.required(&FCM_TOKEN).and_then(|text| {
        let is_short = text.chars().nth(FCM_TOKEN_MOST).is_none();
        let says = format!("must be at most {FCM_TOKEN_MOST} characters long; empty is allowed.");
        is_short.then(|| text.to_owned()).ok_or_else(|| reader.complain(FCM_TOKEN.name, &says))
    });
    let whole =
        || Ok::<_, Told>(LogIn { username: username?, password: password?, fcm_token: fcm_token? });
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST register`.
pub(in super::super) fn registration(sent: &Sent<'_>) -> Result<Registration, Wrong> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MOST);
    let password = password(&mut reader, &PASSWORD);
    let name = reader.text(&NAME).map(|name| name.unwrap_or_default().to_owned());
    let mobile = reader.text(&MOBILE).map(|mobile| compact(mobile.unwrap_or_default()));
    let whole = || {
        Ok::<_, Told>(Registration {
            email: email?,
            password: password?,
            name: name?,
            mobile: mobile?,
        })
    };
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST register/confirm`.
pub(in super::super) fn confirmation(sent: &Sent<'_>) -> Result<Confirmation, Wrong> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MOST);
    let code = line(&mut reader, &CODE, CODE_MOST);
    let whole = || Ok::<_, Told>(Confirmation { email: email?, code: code? });
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST password/forgot`: whose password is forgotten.
pub(in super::super) fn forgotten(sent: &Sent<'_>) -> Result<String, Wrong> {
    let mut reader = Reader::new(sent);
    line(&mut reader, &EMAIL, USERNAME_MOST).map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST password/change`.
pub(in super::super) fn password_change(sent: &Sent<'_>) -> Result<PasswordChange, Wrong> {
    let mut reader = Reader::new(sent);
    let current = password(&mut reader, &CURRENT_PASSWORD);
    let new = password(&mut reader, &NEW_PASSWORD);
    let whole = || Ok::<_, Told>(PasswordChange { current: current?, new: new? });
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the body of `POST password/reset`.
pub(in super::super) fn password_reset(sent: &Sent<'_>) -> Result<PasswordReset, Wrong> {
    let mut reader = Reader::new(sent);
    let email = line(&mut reader, &EMAIL, USERNAME_MOST);
    let code = line(&mut reader, &CODE, CODE_MOST);
    let new = password(&mut reader, &NEW_PASSWORD);
    let whole = || Ok::<_, Told>(PasswordReset { email: email?, code: code?, new: new? });
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the query of `GET public/products/search`: what is looked for.
pub(in super::super) fn search(sent: &Sent<'_>) -> Result<String, Wrong> {
    let mut reader = Reader::new(sent);
    let query = line(&mut reader, &QUERY, SEARCH_MOST);
    query.map(|q| q.trim().to_owned()).map_err(|Told| Wrong::of(reader))
}

/// Reads the query of `GET transactions`: which page, and of which status.
pub(in super::super) fn listing(sent: &Sent<'_>) -> Result<(Page, Option<Status>), Wrong> {
    let mut reader = Reader::new(sent);
    let page = page(&mut reader);
    let status = reader.text(&STATUS).and_then(|text| {
        let Some(text) = text else { return Ok(None) };
        let says = "must be PENDING, PROCESSING, COMPLETED, FAILED or CANCELLED.";
        let status = Status::from_word(text).ok_or(());
        status.map(Some).map_err(|()| reader.complain(STATUS.name, says))
    });
    let whole = || Ok::<_, Told>((page?, status?));
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads the query of `GET wallet/balance`: one currency, or all.
pub(in super::super) fn balance(sent: &Sent<'_>) -> Result<Option<Currency>, Wrong> {
    let mut reader = Reader::new(sent);
    currency(&mut reader).map_err(|Told| Wrong::of(reader))
}

/// Reads the query of `GET wallet/statement`: which wallet, and which page of it.
pub(in super::super) fn statement(sent: &Sent<'_>) -> Result<(Currency, Page), Wrong> {
    let mut reader = Reader::new(sent);
    let currency = currency(&mut reader)
        .and_then(|c| c.ok_or_else(|| reader.complain(CURRENCY.name, "is required.")));
    let page = page(&mut reader);
    let whole = || Ok::<_, Told>((currency?, page?));
    whole().map_err(|Told| Wrong::of(reader))
}

/// Reads an amount once its currency is known.
pub(in super::super) fn money(text: &str, currency: Currency) -> Result<Money, Wrong> {
    amount::read(text, currency).map_err(|says| Wrong::one(&AMOUNT, says))
}

impl PreAuth {
    /// SHA-256 of what this means once the product is known: the same payment written otherwise
    /// (`10` and `"10.00"`) has the same one. `bill_reference` is as the product reads it.
    pub(in super::super) fn digest(&self, amount: Money, bill_reference: &str) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        // Each part with its length in front: no two meanings run together into one text.
        let mut add = |part: &[u8]| {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        };
        add(&amount.minor().to_be_bytes());
        add(amount.currency().code().as_bytes());
        add(&self.product.to_be_bytes());
        add(bill_reference.as_bytes());
        add(self.customer_mobile.as_bytes());
        for (name, value) in &self.additional {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes
    }
}

impl Wrong {
    /// One wrong field.
    pub(in super::super) fn one(field: &'static Field, says: &str) -> Wrong {
        Wrong(vec![Complaint { field: field.name, says: says.to_owned() }])
    }

    fn of(reader: Reader<'_, '_>) -> Wrong {
        Wrong(reader.complaints())
    }
}

/// A text of one line that must be there and not blank.
fn line(reader: &mut Reader<'_, '_>, field: &'static Field, most: usize) -> Result<String, Told> {
    let text = reader.required(field)?;
    let is_line = !text.trim().is_empty()
        && text.chars().nth(most).is_none()
        && !text.chars().any(char::is_control);
    let says = format!("must be 1 to {most} characters, without control characters.");
    is_line.then(|| text.to_owned()).ok_or_else(|| reader.complain(field.name, &says))
}

/// A password: nothing is said of it but its length.
fn password(reader: &mut Reader<'_, '_>, field: &'static Field) -> Result<String, Told> {
    let text = reader.required(field)?;
    let fits = (1..=PASSWORD_BYTES_MOST).contains(&text.len());
    let says = format!("must be 1 to {PASSWORD_BYTES_MOST} bytes long.");
    fits.then(|| text.to_owned()).ok_or_else(|| reader.complain(field.name, &says))
}

/// An amount whose currency is not known yet: its form is checked, its text kept.
fn amount_text(reader: &mut Reader<'_, '_>) -> Result<String, Told> {
    let says = match reader.value(&AMOUNT)? {
        None | Some(Value::Null) => "is required.",
        Some(Value::Other(_)) => "must be a number, or a string of one.",
        Some(Value::Text(text)) => match in_form(text) {
            Ok(text) => return Ok(text),
            Err(says) => says,
        },
        Some(Value::Number(text)) => match in_form(text) {
            Ok(text) => return Ok(text),
            Err(says) => says,
        },
    };
    Err(reader.complain(AMOUNT.name, says))
}

/// Two decimals are the most that the form allows, and the dollar has them.
fn in_form(text: &str) -> Result<String, &'static str> {
    amount::read(text, Currency::USD).map(|_| text.to_owned())
}

/// CONTRACT B-04: a number, a string of digits, or `prod_…`.
fn product(reader: &mut Reader<'_, '_>) -> Result<i64, Told> {
    let number = match reader.value(&PRODUCT_ID)? {
        None | Some(Value::Null) => return Err(reader.complain(PRODUCT_ID.name, "is required.")),
        Some(Value::Text(text)) => ids::read_product(text),
        Some(Value::Number(text)) => ids::number(text),
        Some(Value::Other(_)) => None,
    };
    let says = "must be the productId (1) or the id (\"prod_001\") of a product.";
    number.ok_or_else(|| reader.complain(PRODUCT_ID.name, says))
}

fn request_id(reader: &mut Reader<'_, '_>) -> Result<String, Told> {
    let text = reader.required(&REQUEST_ID)?;
    let says = "must be 1 to 128 printable ASCII characters without a space at either end.";
    let is_reference = is_reference(text);
    is_reference.then(|| text.to_owned()).ok_or_else(|| reader.complain(REQUEST_ID.name, says))
}

/// A phone number of any country: what people put between the digits is left out.
fn mobile(reader: &mut Reader<'_, '_>) -> Result<String, Told> {
    let text = reader.required(&CUSTOMER_MOBILE)?;
    let plain = compact(text);
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let is_number = text.len() <= MOBILE_MOST
        && MOBILE_DIGITS.contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit());
    let says = "must be a mobile number, for example 0771234567.";
    is_number.then_some(plain).ok_or_else(|| reader.complain(CUSTOMER_MOBILE.name, says))
}

/// A phone number without what people put between its digits.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect()
}

/// `additionalData`: an object of plain values, each kept as a text.
fn additional(reader: &mut Reader<'_, '_>, sent: &Sent<'_>) -> Result<Details, Told> {
    let mut found: Option<Details> = None;
    for (name, value) in sent.all(&ADDITIONAL_DATA) {
        let read = match value {
            Value::Other(odd) if odd.what == OBJECT => flat(odd.raw),
            Value::Null | Value::Text(_) | Value::Number(_) | Value::Other(_) => {
                Err("must be an object; send {} if there is nothing to say.".to_owned())
            }
        };
        match read {
            Err(says) => return Err(reader.complain(name, &says)),
            Ok(details) if found.as_ref().is_some_and(|first| *first != details) => {
                let says = "was sent twice with different values; send it once.";
                return Err(reader.complain(name, says));
            }
            Ok(details) => found = Some(details),
        }
    }
    let says = "is required; send {} if there is nothing to say.";
    found.ok_or_else(|| reader.complain(ADDITIONAL_DATA.name, says))
}

/// The fields of an object without objects in it; or what is wrong with it, for people.
fn flat(raw: &str) -> Result<Details, String> {
    let unreadable = |_| "must be a readable object.".to_owned();
    let sent = Sent::from_json(raw).map_err(unreadable)?;
    let mut details = Details::new();
    for (name, value) in sent.pairs() {
        let is_name = !name.is_empty()
            && name.chars().nth(ADDITIONAL_NAME_MOST).is_none()
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(format!("has a name that is not 1 to {ADDITIONAL_NAME_MOST} characters."));
        }
        let text = match value {
            Value::Null => continue,
            Value::Text(text) => text.as_ref(),
            Value::Number(text) => text,
            Value::Other(odd) if odd.what == BOOLEAN => odd.raw,
            Value::Other(odd) => {
                return Err(format!("has {} in {name}; send plain values only.", odd.what));
            }
        };
        let is_short = text.chars().nth(ADDITIONAL_VALUE_MOST).is_none();
        if !is_short || text.chars().any(char::is_control) {
            return Err(format!(
                "has more than {ADDITIONAL_VALUE_MOST} characters, or a control character, in {name}."
            ));
        }
        let before = details.insert(name.to_owned(), text.to_owned());
        if before.is_some_and(|before| before != text) {
            return Err(format!("has {name} twice with different values; send it once."));
        }
        if details.len() > ADDITIONAL_MOST {
            return Err(format!("has more than {ADDITIONAL_MOST} fields."));
        }
    }
    Ok(details)
}

fn currency(reader: &mut Reader<'_, '_>) -> Result<Option<Currency>, Told> {
    let Some(code) = reader.text(&CURRENCY)? else { return Ok(None) };
    let currency = Currency::from_code(&code.to_ascii_uppercase());
    let says = "must be an ISO 4217 code, like USD.";
    currency.map(Some).ok_or_else(|| reader.complain(CURRENCY.name, says))
}

fn page(reader: &mut Reader<'_, '_>) -> Result<Page, Told> {
    let limit = number(reader, &LIMIT).and_then(|limit| match limit {
        None => Ok(PAGE),
        Some(limit) => {
            let says = format!("must be 1 to {PAGE_MOST}.");
            let limit = u32::try_from(limit).ok().filter(|l| (1..=PAGE_MOST).contains(l));
            limit.ok_or_else(|| reader.complain(LIMIT.name, &says))
        }
    });
    let before = number(reader, &BEFORE);
    Ok(Page { limit: limit?, before: before? })
}

fn number(reader: &mut Reader<'_, '_>, field: &'static Field) -> Result<Option<i64>, Told> {
    let Some(text) = reader.text(field)? else { return Ok(None) };
    let number = ids::number(text);
    number.map(Some).ok_or_else(|| reader.complain(field.name, "must be a whole number."))
}

#[cfg(test)]
mod tests;

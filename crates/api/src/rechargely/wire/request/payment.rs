//! Parses a payment to be quoted, by the rules of its product.
//!
//! The product is found first, because it defines the rules of the other fields. Invariant: a
//! parsed payment has the product's currency, a valid amount, its bill format and its fields.

use super::super::super::limits::{
    ADDITIONAL_FIELDS_MAX, ADDITIONAL_NAME_CHARS_MAX, ADDITIONAL_VALUE_CHARS_MAX, MOBILE_DIGITS,
};
use super::super::ids;
use super::{InvalidFields, PreAuthRequest, parse, request_id, required_line, without_separators};
use crate::wire::amount;
use crate::wire::fields::{BOOLEAN, OBJECT, RawFields, Reader, Reported, Value};
use domain::{Currency, Details, Money, Numbering, Pricing, Product, WrongAmount};
use ring::digest;

const FORM: PreAuthRequest = PreAuthRequest::FIELDS;

/// A product with what the rules of the fields depend on.
#[derive(Clone, Copy, Debug)]
pub(in super::super::super) struct ProductRules<'a> {
    /// The product that is paid for.
    pub product: &'a Product,
    /// The mobile numbers of its country.
    pub numbering: &'a Numbering,
    /// Whether it is listed but cannot be bought now.
    pub is_inactive: bool,
}

/// The body of `POST transactions/bill-payment/pre-auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super::super) struct PreAuth {
    /// In the product's currency, valid by its price or range.
    pub amount: Money,
    /// The customer's own reference.
    pub request_id: String,
    /// In the product's bill format.
    pub bill_reference: String,
    /// In the national form of the product's country, or a plus and digits.
    pub customer_mobile: String,
    /// The product's own fields.
    pub details: Details,
    /// SHA-256 of the parsed values: the same payment in another notation (`10`, `"10.00"`) has the
    /// same digest.
    pub digest: [u8; 32],
}

/// The number of the product in a body; `None` if it is missing or invalid.
pub(crate) fn product_named(fields: &RawFields<'_>) -> Option<i64> {
    product_number(&mut Reader::new(fields)).ok()
}

/// Parses the body of `POST transactions/bill-payment/pre-auth`. Without a product the fields are
/// checked by the rules of all products, and the product is reported.
pub(crate) fn pre_auth(
    fields: &RawFields<'_>,
    rules: Option<ProductRules<'_>>,
) -> Result<PreAuth, InvalidFields> {
    parse(fields, |reader| {
        let amount = amount(reader, rules);
        let product = product(reader, rules);
        let request_id = request_id(reader, FORM.request_id);
        let bill_reference = bill_reference(reader, rules);
        let customer_mobile = mobile(reader, rules);
        // All other fields are read, so an error may end the parsing here.
        let additional = additional(reader, fields)?;
        let details = details(reader, &additional, rules)?;
        let (amount, customer_mobile) = (amount?, customer_mobile?);
        let bill_reference = bill_reference?;
        let meaning = Meaning { amount, product: product?, additional: &additional };
        Ok(PreAuth {
            amount,
            request_id: request_id?,
            digest: meaning.digest(&bill_reference, &customer_mobile),
            bill_reference,
            customer_mobile,
            details,
        })
    })
}

/// The parsed values that make two payments the same, without the texts.
struct Meaning<'a> {
    amount: Money,
    product: i64,
    additional: &'a Details,
}

impl Meaning<'_> {
    fn digest(&self, bill_reference: &str, customer_mobile: &str) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        // Each part follows its length, so that different parts never give the same input.
        let mut add = |part: &[u8]| {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        };
        add(&self.amount.minor().to_be_bytes());
        add(self.amount.currency().code().as_bytes());
        add(&self.product.to_be_bytes());
        add(bill_reference.as_bytes());
        add(customer_mobile.as_bytes());
        for (name, value) in self.additional {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes
    }
}

/// The product's number: a number, a string of digits, or `prod_…` (CONTRACT B-04).
fn product_number(reader: &mut Reader<'_, '_>) -> Result<i64, Reported> {
    let number = match reader.value(FORM.product_id)? {
        None | Some(Value::Null) => {
            return Err(reader.report_missing(FORM.product_id.name, "is required."));
        }
        Some(Value::Text(text)) => ids::parse_product(text),
        Some(Value::Number(text)) => ids::parse_number(text),
        Some(Value::Other(_)) => None,
    };
    let message = "must be the productId (1) or the id (\"prod_001\") of a product.";
    number.ok_or_else(|| reader.report(FORM.product_id.name, message))
}

fn product(reader: &mut Reader<'_, '_>, rules: Option<ProductRules<'_>>) -> Result<i64, Reported> {
    let number = product_number(reader)?;
    match rules {
        Some(ProductRules { is_inactive: true, .. }) => {
            let message = "names a product that is not sold now (INACTIVE); choose another one.";
            Err(reader.report(FORM.product_id.name, message))
        }
        Some(ProductRules { product, .. }) if product.id.0 == number => Ok(number),
        Some(_) | None => Err(reader.report(FORM.product_id.name, "names no product.")),
    }
}

/// The amount, in the currency of the product and valid by its price.
fn amount(reader: &mut Reader<'_, '_>, rules: Option<ProductRules<'_>>) -> Result<Money, Reported> {
    // Without a product: two decimals, the most that any amount may have. The dollar has two.
    let currency = rules.map_or(Currency::USD, |rules| rules.product.price.currency());
    let amount = amount::read(reader, FORM.amount, currency)?;
    let Some(rules) = rules else { return Ok(amount) };
    rules.product.price.check(amount).map(|()| amount).map_err(|error| {
        let message = match (error, rules.product.price) {
            (WrongAmount::Costs(price), _) => format!("must be exactly {price}: the price."),
            (WrongAmount::Below(_) | WrongAmount::Above(_), Pricing::Range(limits)) => {
                format!("must be {} to {}.", limits.min, limits.max)
            }
            (WrongAmount::Below(least), Pricing::Fixed(_)) => format!("must be at least {least}."),
            (WrongAmount::Above(most), Pricing::Fixed(_)) => format!("must be at most {most}."),
        };
        reader.report(FORM.amount.name, &message)
    })
}

fn bill_reference(
    reader: &mut Reader<'_, '_>,
    rules: Option<ProductRules<'_>>,
) -> Result<String, Reported> {
    let text = required_line(reader, FORM.bill_reference)?;
    let Some(ProductRules { product, numbering, .. }) = rules else { return Ok(text) };
    product.bill_reference(&text, numbering).ok_or_else(|| {
        let format = product.bill.as_str();
        let message =
            format!("must look like {format}, X being a digit: the product's billFormat.");
        reader.report(FORM.bill_reference.name, &message)
    })
}

/// A mobile number of the product's country in any usual notation, or of another country with its
/// plus.
fn mobile(
    reader: &mut Reader<'_, '_>,
    rules: Option<ProductRules<'_>>,
) -> Result<String, Reported> {
    let text = reader.required(FORM.customer_mobile)?;
    if let Some(national) = rules.and_then(|rules| rules.numbering.national(text).ok()) {
        return Ok(national);
    }
    let plain = without_separators(text);
    let is_number = |digits: &str| {
        text.len() <= FORM.customer_mobile.length_max
            && MOBILE_DIGITS.contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let digits = match rules {
        Some(_) => plain.strip_prefix('+'),
        None => Some(plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let message = "must be a mobile number: 0771234567, or in international form with a plus.";
    let is_valid = digits.is_some_and(is_number);
    is_valid.then_some(plain).ok_or_else(|| reader.report(FORM.customer_mobile.name, message))
}

/// `additionalData`: an object of plain values, each kept as text.
fn additional(reader: &mut Reader<'_, '_>, fields: &RawFields<'_>) -> Result<Details, Reported> {
    let mut found: Option<Details> = None;
    for (name, value) in fields.all(FORM.additional_data) {
        let parsed = match value {
            Value::Other(other) if other.kind == OBJECT => flat_object(other.raw),
            Value::Null | Value::Text(_) | Value::Number(_) | Value::Other(_) => {
                Err("must be an object; send {} if there is nothing to say.".to_owned())
            }
        };
        match parsed {
            Err(message) => return Err(reader.report(name, &message)),
            Ok(details) if found.as_ref().is_some_and(|first| *first != details) => {
                let message = "was sent twice with different values; send it once.";
                return Err(reader.report(name, message));
            }
            Ok(details) => found = Some(details),
        }
    }
    let message = "is required; send {} if there is nothing to say.";
    found.ok_or_else(|| reader.report_missing(FORM.additional_data.name, message))
}

/// The product's own fields of `additionalData`; any other is ignored.
fn details(
    reader: &mut Reader<'_, '_>,
    additional: &Details,
    rules: Option<ProductRules<'_>>,
) -> Result<Details, Reported> {
    let Some(rules) = rules else { return Ok(Details::new()) };
    rules.product.read_fields(additional).map_err(|errors| {
        for (name, message) in errors {
            reader.report(FORM.additional_data.name, &format!("{name} {message}"));
        }
        Reported
    })
}

/// The fields of an object of plain values. The error is a text for people.
fn flat_object(raw: &str) -> Result<Details, String> {
    let unreadable = |_| "must be a readable object.".to_owned();
    let fields = RawFields::from_json(raw).map_err(unreadable)?;
    let mut details = Details::new();
    for (name, value) in fields.pairs() {
        let is_name = !name.is_empty()
            && name.chars().nth(ADDITIONAL_NAME_CHARS_MAX).is_none()
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(format!(
                "has a name that is not 1 to {ADDITIONAL_NAME_CHARS_MAX} characters."
            ));
        }
        let text = match value {
            Value::Null => continue,
            Value::Text(text) => text.as_ref(),
            Value::Number(text) => text,
            Value::Other(other) if other.kind == BOOLEAN => other.raw,
            Value::Other(other) => {
                return Err(format!("has {} in {name}; send plain values only.", other.kind));
            }
        };
        let is_short = text.chars().nth(ADDITIONAL_VALUE_CHARS_MAX).is_none();
        if !is_short || text.chars().any(char::is_control) {
            return Err(format!(
                "has more than {ADDITIONAL_VALUE_CHARS_MAX} characters, or a control character, in \
                 {name}."
            ));
        }
        let before = details.insert(name.to_owned(), text.to_owned());
        if before.is_some_and(|before| before != text) {
            return Err(format!("has {name} twice with different values; send it once."));
        }
        if details.len() > ADDITIONAL_FIELDS_MAX {
            return Err(format!("has more than {ADDITIONAL_FIELDS_MAX} fields."));
        }
    }
    Ok(details)
}

#[cfg(test)]
mod tests;

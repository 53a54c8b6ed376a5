//! A payment to be quoted: read against the product that it names.
//!
//! The product is found first, because a field's rules are the product's. Invariant: what leaves
//! here buys that product: its currency, its price, its bill format and its fields are kept.

use super::super::super::limits::{
    ADDITIONAL_MAX, ADDITIONAL_NAME_MAX, ADDITIONAL_VALUE_MAX, MOBILE_DIGITS, MOBILE_MAX,
};
use super::super::ids;
use super::{InvalidFields, PRODUCT_ID, compact, line, request_id};
use crate::wire::amount;
use crate::wire::fields::{BOOLEAN, Field, OBJECT, Reader, Reported, SentFields, Value};
use domain::catalog::number::Numbering;
use domain::catalog::product::{BILL_REFERENCE_MAX, Pricing, Product, WrongAmount};
use domain::purchase::{CUSTOMER_MOBILE, Details};
use domain::{Currency, Money};
use ring::digest;

static AMOUNT: Field = Field::new("amount");
static BILL_REFERENCE: Field = Field::new("billReference");
static MOBILE: Field = Field::new(CUSTOMER_MOBILE);
static ADDITIONAL_DATA: Field = Field::new("additionalData");

/// What the product that is paid for says about the fields.
#[derive(Clone, Copy, Debug)]
pub(in super::super::super) struct Sold<'a> {
    /// It.
    pub product: &'a Product,
    /// How its country writes mobile numbers.
    pub numbering: &'a Numbering,
    /// Listed, but not sold now.
    pub is_inactive: bool,
}

/// A payment to be quoted (`POST transactions/bill-payment/pre-auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super::super) struct PreAuth {
    /// In the product's currency, at its price.
    pub amount: Money,
    /// The customer's own reference.
    pub request_id: String,
    /// As the product's format writes it.
    pub bill_reference: String,
    /// In the national form of the product's country, else digits behind a plus.
    pub customer_mobile: String,
    /// What the product asks for of all that was sent.
    pub details: Details,
    /// SHA-256 of what all this means: the same payment written otherwise (`10` and `"10.00"`) has
    /// the same one.
    pub digest: [u8; 32],
}

/// The product that a body names; `None` if it names none that could be one.
pub(in super::super::super) fn product_named(sent: &SentFields<'_>) -> Option<i64> {
    number_of_product(&mut Reader::new(sent)).ok()
}

/// Reads the body of `POST transactions/bill-payment/pre-auth`; without a product every field is
/// held to what all products have in common, and the product is missed.
pub(in super::super::super) fn pre_auth(
    sent: &SentFields<'_>,
    sold: Option<Sold<'_>>,
) -> Result<PreAuth, InvalidFields> {
    let mut reader = Reader::new(sent);
    let amount = amount(&mut reader, sold);
    let product = product(&mut reader, sold);
    let request_id = request_id(&mut reader);
    let bill_reference = bill_reference(&mut reader, sold);
    let customer_mobile = mobile(&mut reader, sold);
    let additional = additional(&mut reader, sent);
    let details = match &additional {
        Ok(additional) => details(&mut reader, additional, sold),
        Err(Reported) => Err(Reported),
    };
    let whole = || {
        let (amount, customer_mobile) = (amount?, customer_mobile?);
        let bill_reference = bill_reference?;
        let means = Means { amount, product: product?, additional: &additional? };
        Ok::<_, Reported>(PreAuth {
            amount,
            request_id: request_id?,
            digest: means.digest(&bill_reference, &customer_mobile),
            bill_reference,
            customer_mobile,
            details: details?,
        })
    };
    whole().map_err(|Reported| InvalidFields::of(reader))
}

/// Part of what a payment means.
struct Means<'a> {
    amount: Money,
    product: i64,
    additional: &'a Details,
}

impl Means<'_> {
    fn digest(&self, bill_reference: &str, customer_mobile: &str) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        // Each part with its length in front: no two meanings run together into one text.
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

/// CONTRACT B-04: a number, a string of digits, or `prod_…`.
fn number_of_product(reader: &mut Reader<'_, '_>) -> Result<i64, Reported> {
    let number = match reader.value(&PRODUCT_ID)? {
        None | Some(Value::Null) => return Err(reader.report(PRODUCT_ID.name, "is required.")),
        Some(Value::Text(text)) => ids::read_product(text),
        Some(Value::Number(text)) => ids::number(text),
        Some(Value::Other(_)) => None,
    };
    let says = "must be the productId (1) or the id (\"prod_001\") of a product.";
    number.ok_or_else(|| reader.report(PRODUCT_ID.name, says))
}

fn product(reader: &mut Reader<'_, '_>, sold: Option<Sold<'_>>) -> Result<i64, Reported> {
    let number = number_of_product(reader)?;
    match sold {
        Some(Sold { is_inactive: true, .. }) => {
            let says = "names a product that is not sold now (INACTIVE); choose another one.";
            Err(reader.report(PRODUCT_ID.name, says))
        }
        Some(Sold { product, .. }) if product.id.0 == number => Ok(number),
        Some(_) | None => Err(reader.report(PRODUCT_ID.name, "names no product.")),
    }
}

/// The literal text of the amount, in the currency of the product and at its price.
fn amount(reader: &mut Reader<'_, '_>, sold: Option<Sold<'_>>) -> Result<Money, Reported> {
    // Two decimals are the most that the form allows, and the dollar has them.
    let currency = sold.map_or(Currency::USD, |sold| sold.product.price.currency());
    let read = match reader.value(&AMOUNT)? {
        None | Some(Value::Null) => Err("is required."),
        Some(Value::Other(_)) => Err("must be a number, or a string of one."),
        Some(Value::Text(text)) => amount::read(text, currency),
        Some(Value::Number(text)) => amount::read(text, currency),
    };
    let amount = read.map_err(|says| reader.report(AMOUNT.name, says))?;
    let Some(sold) = sold else { return Ok(amount) };
    sold.product.price.check(amount).map(|()| amount).map_err(|wrong| {
        let says = match (wrong, sold.product.price) {
            (WrongAmount::Costs(price), _) => format!("must be exactly {price}: the price."),
            (WrongAmount::Below(_) | WrongAmount::Above(_), Pricing::Range(limits)) => {
                format!("must be {} to {}.", limits.least, limits.most)
            }
            (WrongAmount::Below(least), Pricing::Fixed(_)) => format!("must be at least {least}."),
            (WrongAmount::Above(most), Pricing::Fixed(_)) => format!("must be at most {most}."),
        };
        reader.report(AMOUNT.name, &says)
    })
}

fn bill_reference(reader: &mut Reader<'_, '_>, sold: Option<Sold<'_>>) -> Result<String, Reported> {
    let text = line(reader, &BILL_REFERENCE, BILL_REFERENCE_MAX)?;
    let Some(Sold { product, numbering, .. }) = sold else { return Ok(text) };
    product.bill_reference(&text, numbering).ok_or_else(|| {
        let format = product.bill.as_str();
        let says = format!("must look like {format}, X being a digit: the product's billFormat.");
        reader.report(BILL_REFERENCE.name, &says)
    })
}

/// A number of the product's country, in any usual way of writing; or one of another country, with
/// its plus.
fn mobile(reader: &mut Reader<'_, '_>, sold: Option<Sold<'_>>) -> Result<String, Reported> {
    let text = reader.required(&MOBILE)?;
    if let Some(national) = sold.and_then(|sold| sold.numbering.national(text).ok()) {
        return Ok(national);
    }
    let plain = compact(text);
    let is_number = |digits: &str| {
        text.len() <= MOBILE_MAX
            && MOBILE_DIGITS.contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let digits = match sold {
        Some(_) => plain.strip_prefix('+'),
        None => Some(plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let says = "must be a mobile number: 0771234567, or in international form with a plus.";
    let is_one = digits.is_some_and(is_number);
    is_one.then_some(plain).ok_or_else(|| reader.report(MOBILE.name, says))
}

/// `additionalData`: an object of plain values, each kept as a text.
fn additional(reader: &mut Reader<'_, '_>, sent: &SentFields<'_>) -> Result<Details, Reported> {
    let mut found: Option<Details> = None;
    for (name, value) in sent.all(&ADDITIONAL_DATA) {
        let read = match value {
            Value::Other(odd) if odd.what == OBJECT => flat(odd.raw),
            Value::Null | Value::Text(_) | Value::Number(_) | Value::Other(_) => {
                Err("must be an object; send {} if there is nothing to say.".to_owned())
            }
        };
        match read {
            Err(says) => return Err(reader.report(name, &says)),
            Ok(details) if found.as_ref().is_some_and(|first| *first != details) => {
                let says = "was sent twice with different values; send it once.";
                return Err(reader.report(name, says));
            }
            Ok(details) => found = Some(details),
        }
    }
    let says = "is required; send {} if there is nothing to say.";
    found.ok_or_else(|| reader.report(ADDITIONAL_DATA.name, says))
}

/// The product's own fields out of `additionalData`; whatever else is in there is ignored.
fn details(
    reader: &mut Reader<'_, '_>,
    additional: &Details,
    sold: Option<Sold<'_>>,
) -> Result<Details, Reported> {
    let Some(sold) = sold else { return Ok(Details::new()) };
    sold.product.read_fields(additional).map_err(|wrong| {
        for (name, says) in wrong {
            reader.report(ADDITIONAL_DATA.name, &format!("{name} {says}"));
        }
        Reported
    })
}

/// The fields of an object without objects in it; or what is wrong with it, for people.
fn flat(raw: &str) -> Result<Details, String> {
    let unreadable = |_| "must be a readable object.".to_owned();
    let sent = SentFields::from_json(raw).map_err(unreadable)?;
    let mut details = Details::new();
    for (name, value) in sent.pairs() {
        let is_name = !name.is_empty()
            && name.chars().nth(ADDITIONAL_NAME_MAX).is_none()
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(format!("has a name that is not 1 to {ADDITIONAL_NAME_MAX} characters."));
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
        let is_short = text.chars().nth(ADDITIONAL_VALUE_MAX).is_none();
        if !is_short || text.chars().any(char::is_control) {
            return Err(format!(
                "has more than {ADDITIONAL_VALUE_MAX} characters, or a control character, in {name}."
            ));
        }
        let before = details.insert(name.to_owned(), text.to_owned());
        if before.is_some_and(|before| before != text) {
            return Err(format!("has {name} twice with different values; send it once."));
        }
        if details.len() > ADDITIONAL_MAX {
            return Err(format!("has more than {ADDITIONAL_MAX} fields."));
        }
    }
    Ok(details)
}

#[cfg(test)]
mod tests;

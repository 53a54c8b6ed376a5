//! Products and their categories: bill formats, further fields, receipts.
//!
//! A biller is data of the catalog; no code knows one. Not here: offers (quoted for one number at
//! one moment), fees (rules of `pricing`), how the catalog is stored.

use crate::catalog::AmountRange;
use crate::catalog::kind::Kind;
use crate::catalog::number::Numbering;
use crate::money::{Currency, Money};
use crate::purchase::slip::{Slip, Token, TokenKind};
use crate::purchase::{CUSTOMER_NAME, Details, Purchase};

/// Identifies a category; the catalog's author chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub i64);

/// Identifies a product; the catalog's author chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(pub i64);

/// A family of products: `Airtime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Lists are sorted by it.
    pub id: CategoryId,
    /// For people; unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// The file name of its logo.
    pub logo: String,
}

/// Something that can be bought from an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Lists are sorted by it.
    pub id: ProductId,
    /// For programs, unique: `econet_airtime`.
    pub name: String,
    /// For people: `Econet Airtime`.
    pub title: String,
    /// For people, one sentence.
    pub description: String,
    /// The same for all products of one brand: `econet`.
    pub ref_name: String,
    /// The code of the operator that delivers it.
    pub operator: String,
    /// The category that it belongs to.
    pub category: CategoryId,
    /// The kind of its purchases; fees and routes depend on it.
    pub kind: Kind,
    /// Its price and currency.
    pub price: Pricing,
    /// The format of its bill references.
    pub bill: BillFormat,
    /// Further fields of a request.
    pub fields: Vec<Field>,
    /// Whether an enquiry must find the bill reference before a quote.
    pub checks_bill: bool,
    /// The lines of its receipt.
    pub receipt: Vec<ReceiptLine>,
    /// The file name of its logo.
    pub logo: String,
    /// An inactive product is listed as inactive, and not sold.
    pub is_active: bool,
}

/// The price of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// One price.
    Fixed(Money),
    /// The customer chooses an amount in this range.
    Range(AmountRange),
}

/// Why an amount does not buy a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongAmount {
    /// The price is exactly this.
    Costs(Money),
    /// Less than this minimum.
    Below(Money),
    /// More than this maximum.
    Above(Money),
}

impl Pricing {
    /// The currency of every purchase of the product.
    pub const fn currency(&self) -> Currency {
        match self {
            Pricing::Fixed(price) => price.currency(),
            Pricing::Range(range) => range.min.currency(),
        }
    }

    /// Whether an amount, in the product's currency, buys the product.
    pub fn check(&self, amount: Money) -> Result<(), WrongAmount> {
        match self {
            Pricing::Fixed(price) if amount != *price => Err(WrongAmount::Costs(*price)),
            Pricing::Fixed(_) => Ok(()),
            Pricing::Range(range) => range.check(amount, WrongAmount::Below, WrongAmount::Above),
        }
    }
}

/// The format of a bill reference: `X` is one digit, any other character is itself
/// (CONTRACT B-23). `07XXXXXXXX` is a mobile number, eleven `X` a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillFormat(String);

/// The longest bill reference, in bytes.
pub const BILL_REFERENCE_MAX: usize = 64;

impl BillFormat {
    /// Parses a format: printable ASCII without spaces, at least one `X`.
    pub fn new(text: &str) -> Option<BillFormat> {
        let is_sound = (1..=BILL_REFERENCE_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
            && text.contains('X');
        is_sound.then(|| BillFormat(text.to_owned()))
    }

    /// The format as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference in the format's form: without spaces, without hyphens unless the format has
    /// one, in upper case. `None`: it does not fit.
    pub fn read(&self, text: &str) -> Option<String> {
        if text.len() > 2 * BILL_REFERENCE_MAX {
            return None;
        }
        let is_gap = |c: char| c == ' ' || (c == '-' && !self.0.contains('-'));
        let plain: String = text.chars().filter(|c| !is_gap(*c)).collect();
        let fits = plain.len() == self.0.len()
            && self.0.bytes().zip(plain.bytes()).all(|(form, sent)| match form {
                b'X' => sent.is_ascii_digit(),
                other => sent.eq_ignore_ascii_case(&other),
            });
        fits.then(|| plain.to_ascii_uppercase())
    }
}

/// A field of a request beside the bill reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// For programs: `studentName`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Whether a request without it is refused.
    pub is_required: bool,
    /// The format of its text, if it has one.
    pub format: Option<BillFormat>,
    /// The most characters.
    pub length_max: usize,
}

impl Field {
    /// The field's text to store; `None` if it is missing and not required.
    fn read(&self, text: &str) -> Result<Option<String>, String> {
        if text.is_empty() {
            let is_missing = self.is_required;
            return if is_missing { Err("is required.".to_owned()) } else { Ok(None) };
        }
        if text.chars().count() > self.length_max {
            return Err(format!("must be at most {} characters.", self.length_max));
        }
        if text.chars().any(char::is_control) {
            return Err("must be one line of text.".to_owned());
        }
        match &self.format {
            None => Ok(Some(text.to_owned())),
            Some(format) => match format.read(text) {
                Some(text) => Ok(Some(text)),
                None => Err(format!("must look like {}, X being a digit.", format.as_str())),
            },
        }
    }
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptLine {
    /// For people.
    pub label: String,
    /// Its text; the line is omitted if the purchase does not have this part.
    pub part: Part,
}

/// The part of a purchase that a receipt's line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bill reference.
    Bill,
    /// The name of the operator's customer with that reference.
    Customer,
    /// The operator's name.
    Operator,
    /// The product's title.
    Product,
    /// What the end customer gets.
    Amount,
    /// Our fee, if it is not zero.
    Fee,
    /// Amount and fee.
    Total,
    /// The tokens in the order of entry, one line each.
    Tokens,
    /// Units of energy.
    Units,
    /// The tariff of the units.
    Tariff,
    /// Energy, taxes, levies and arrears, one line each with its own label.
    Charges,
    /// The operator's own reference of the order.
    OperatorReference,
    /// The time of delivery.
    Time,
    /// A field of the product, by its name.
    Field(String),
}

/// What a receipt needs beside the purchase itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiptContext<'a> {
    /// The operator's name.
    pub operator: &'a str,
    /// The time of delivery, formatted.
    pub time: Option<&'a str>,
    /// The operator's own reference of the order.
    pub reference: Option<&'a str>,
    /// The slip of the delivery.
    pub slip: Option<&'a Slip>,
}

impl Part {
    /// As stored: `bill`, `field studentName`.
    pub fn code(&self) -> String {
        let word = match self {
            Part::Bill => "bill",
            Part::Customer => "customer",
            Part::Operator => "operator",
            Part::Product => "product",
            Part::Amount => "amount",
            Part::Fee => "fee",
            Part::Total => "total",
            Part::Tokens => "tokens",
            Part::Units => "units",
            Part::Tariff => "tariff",
            Part::Charges => "charges",
            Part::OperatorReference => "operator_reference",
            Part::Time => "time",
            Part::Field(name) => return format!("field {name}"),
        };
        word.to_owned()
    }

    /// Reads [`Part::code`].
    pub fn from_code(code: &str) -> Option<Part> {
        if let Some(name) = code.strip_prefix("field ") {
            return Some(Part::Field(name.to_owned()));
        }
        [
            Part::Bill,
            Part::Customer,
            Part::Operator,
            Part::Product,
            Part::Amount,
            Part::Fee,
            Part::Total,
            Part::Tokens,
            Part::Units,
            Part::Tariff,
            Part::Charges,
            Part::OperatorReference,
            Part::Time,
        ]
        .into_iter()
        .find(|part| part.code() == code)
    }
}

impl Product {
    /// The product's fields among those of a request; others are dropped. The error has each
    /// invalid field and what is wrong with it.
    pub fn read_fields(&self, sent: &Details) -> Result<Details, Vec<(String, String)>> {
        let mut read = Details::new();
        let mut wrong = Vec::new();
        for field in &self.fields {
            let text = sent.get(&field.name).map_or("", |text| text.trim());
            match field.read(text) {
                Ok(Some(text)) => drop(read.insert(field.name.clone(), text)),
                Ok(None) => {}
                Err(message) => wrong.push((field.name.clone(), message)),
            }
        }
        if wrong.is_empty() { Ok(read) } else { Err(wrong) }
    }

    /// The lines of a purchase's receipt: label and text.
    pub fn receipt(
        &self,
        purchase: &Purchase,
        context: &ReceiptContext<'_>,
    ) -> Vec<(String, String)> {
        let slip = context.slip;
        let detail = |name: &str| purchase.details.get(name).cloned();
        let mut lines = Vec::new();
        for ReceiptLine { label, part } in &self.receipt {
            let text = match part {
                Part::Bill => Some(purchase.recipient.clone()),
                Part::Customer => detail(CUSTOMER_NAME),
                Part::Operator => Some(context.operator.to_owned()),
                Part::Product => Some(self.title.clone()),
                Part::Amount => Some(purchase.amount.to_string()),
                Part::Fee => purchase.fee.is_positive().then(|| purchase.fee.to_string()),
                Part::Total => purchase.total().map(|total| total.to_string()),
                Part::Units => slip.and_then(|slip| slip.units.clone()),
                Part::Tariff => slip.and_then(|slip| slip.tariff.clone()),
                Part::OperatorReference => context.reference.map(str::to_owned),
                Part::Time => context.time.map(str::to_owned),
                Part::Field(name) => detail(name),
                Part::Tokens => {
                    lines.extend(slip.into_iter().flat_map(|slip| token_lines(label, slip)));
                    None
                }
                Part::Charges => {
                    let charges = slip.map_or(&[][..], |slip| &slip.charges);
                    lines.extend(charges.iter().map(|c| (c.label.clone(), c.amount.to_string())));
                    None
                }
            };
            lines.extend(text.map(|text| (label.clone(), text)));
        }
        lines
    }

    /// The bill reference in the operator's form; a mobile number may have any usual spelling.
    /// `None`: it does not fit the product's format.
    pub fn bill_reference(&self, text: &str, numbering: &Numbering) -> Option<String> {
        let is_number = match self.kind {
            Kind::Recharge | Kind::Bundle | Kind::Offer | Kind::Banking => true,
            Kind::Bill => false,
        };
        match is_number {
            true => self.bill.read(&numbering.national(text).ok()?),
            false => self.bill.read(text),
        }
    }
}

/// A line for each token, in the order in which they are entered. The label is the product's word
/// with the kind before it, and a number where there are several of a kind: `Key change token 1`,
/// `Credit token`.
fn token_lines(label: &str, slip: &Slip) -> Vec<(String, String)> {
    let tokens = slip.tokens();
    let word = label.to_lowercase();
    let line = |(index, token): (usize, &Token)| {
        let of_kind = |tokens: &[Token]| tokens.iter().filter(|t| t.kind == token.kind).count();
        let kind = match token.kind {
            TokenKind::KeyChange => "Key change",
            TokenKind::Credit => "Credit",
        };
        let number = match of_kind(tokens) {
            1 => String::new(),
            _ => format!(" {}", of_kind(&tokens[..=index])),
        };
        (format!("{kind} {word}{number}"), token.grouped())
    };
    tokens.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(text: &str) -> BillFormat {
        BillFormat::new(text).unwrap()
    }

    #[test]
    fn a_reference_fits_its_format_or_is_refused() {
        for (form, sent, read) in [
            ("07XXXXXXXX", "0771234567", Some("0771234567")),
            ("07XXXXXXXX", "077 123-4567", Some("0771234567")),
            ("07XXXXXXXX", "0871234567", None),
            ("07XXXXXXXX", "07712345678", None),
            ("XXXXXXXXXXX", "41234567890", Some("41234567890")),
            ("XXXXXXXXXXX", "4123456789a", None),
            ("XXXXXXXXXXX", "4123456789٠", None),
            ("XXXXXXXXXXX", "", None),
            ("NYXXXXXX", "ny123456", Some("NY123456")),
            ("NYXXXXXX", "NX123456", None),
            ("XX-XX", "12-34", Some("12-34")),
            ("XX-XX", "1234", None),
            ("X", "1\n", None),
            ("X", "\u{0}", None),
        ] {
            assert_eq!(format(form).read(sent).as_deref(), read, "{form} {sent:?}");
        }
        for bad in ["", "07", "X X", "Xé", "X\n", &"X".repeat(65)] {
            assert_eq!(BillFormat::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_amounts_of_the_price_are_accepted() {
        let usd = |minor| Money::new(minor, Currency::USD);
        let fixed = Pricing::Fixed(usd(500));
        assert_eq!(fixed.check(usd(500)), Ok(()));
        assert_eq!(fixed.check(usd(501)), Err(WrongAmount::Costs(usd(500))));
        let range = Pricing::Range(AmountRange { min: usd(50), max: usd(50_000) });
        for (minor, expected) in [
            (49, Err(WrongAmount::Below(usd(50)))),
            (50, Ok(())),
            (50_000, Ok(())),
            (50_001, Err(WrongAmount::Above(usd(50_000)))),
        ] {
            assert_eq!(range.check(usd(minor)), expected, "{minor}");
        }
        assert_eq!((fixed.currency(), range.currency()), (Currency::USD, Currency::USD));
    }

    #[test]
    fn each_token_says_its_kind() {
        let token = |digit: &str, kind| Token::new(&digit.repeat(20), None, kind).unwrap();
        let [one, two] = ["1", "2"].map(|digit| token(digit, TokenKind::KeyChange));
        let slip = Slip::of_tokens(vec![one, two, token("3", TokenKind::Credit)]);
        let labels: Vec<String> =
            token_lines("Token", &slip).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["Key change token 1", "Key change token 2", "Credit token"]);
    }

    #[test]
    fn reading_a_parts_code_reverses_writing() {
        for code in ["bill", "charges", "operator_reference", "field studentName"] {
            assert_eq!(Part::from_code(code).unwrap().code(), code);
        }
        assert_eq!(Part::from_code("nothing"), None);
    }

    proptest! {
        /// Reading is idempotent, and no text panics.
        #[test]
        fn reading_is_idempotent(
            form in "[0-9A-Z]{0,6}X[X0-9]{0,9}",
            sent in "[0-9A-Za-z \\-]{0,20}|\\PC{0,12}",
        ) {
            let form = format(&form);
            if let Some(read) = form.read(&sent) {
                prop_assert_eq!(form.read(&read), Some(read.clone()));
                prop_assert_eq!(read.len(), form.as_str().len());
            }
        }
    }
}

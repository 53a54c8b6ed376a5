//! What can be bought by name: categories, products, what their bill references look like, what
//! else they ask for and what their receipts say. A biller is data: nothing here knows one.
//!
//! Not here: offers (quoted for one number at one moment), the price of a purchase (fees are
//! rules), where the catalog is stored.

use crate::catalog::Limits;
use crate::catalog::kind::Kind;
use crate::catalog::number::Numbering;
use crate::money::{Currency, Money};
use crate::purchase::slip::Slip;
use crate::purchase::{CUSTOMER_NAME, Details, Purchase};

/// Names a category; chosen in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub i64);

/// Names a product; chosen in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(pub i64);

/// A family of products: `Airtime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Which; also the order in lists.
    pub id: CategoryId,
    /// For people; unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// The file name of its drawing.
    pub logo: String,
}

/// Something that can be bought from an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Which; also the order in lists.
    pub id: ProductId,
    /// For programs, unique: `econet_airtime`.
    pub name: String,
    /// For people: `Econet Airtime`.
    pub title: String,
    /// For people, in a sentence.
    pub description: String,
    /// What products of one brand share: `econet`.
    pub ref_name: String,
    /// Who delivers it: an operator's code.
    pub operator: String,
    /// Its family.
    pub category: CategoryId,
    /// What kind of purchase it makes; fees and routes depend on it.
    pub kind: Kind,
    /// What it costs, and in what.
    pub price: Pricing,
    /// What the bill reference looks like.
    pub bill: BillFormat,
    /// What else is asked for.
    pub fields: Vec<Field>,
    /// Whether the operator must know the bill reference before anything is quoted.
    pub checks_bill: bool,
    /// What its receipt says, line by line.
    pub receipt: Vec<ReceiptLine>,
    /// The file name of its drawing.
    pub logo: String,
    /// Switched off: listed as inactive, not sold.
    pub is_active: bool,
}

/// What a product costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// Always this.
    Fixed(Money),
    /// What the customer chooses within these.
    Range(Limits),
}

/// Why an amount does not buy a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongAmount {
    /// It costs exactly this.
    Costs(Money),
    /// Less than the least.
    Below(Money),
    /// More than the most.
    Above(Money),
}

impl Pricing {
    /// In what it is paid.
    pub const fn currency(&self) -> Currency {
        match self {
            Pricing::Fixed(price) => price.currency(),
            Pricing::Range(limits) => limits.least.currency(),
        }
    }

    /// Whether an amount (of the product's currency) buys it.
    pub fn check(&self, amount: Money) -> Result<(), WrongAmount> {
        match self {
            Pricing::Fixed(price) if amount != *price => Err(WrongAmount::Costs(*price)),
            Pricing::Fixed(_) => Ok(()),
            Pricing::Range(limits) if amount.minor() < limits.least.minor() => {
                Err(WrongAmount::Below(limits.least))
            }
            Pricing::Range(limits) if amount.minor() > limits.most.minor() => {
                Err(WrongAmount::Above(limits.most))
            }
            Pricing::Range(_) => Ok(()),
        }
    }
}

/// What a bill reference looks like: `X` is one digit, anything else stands for itself
/// (CONTRACT B-23). `07XXXXXXXX` is a mobile number, eleven `X` a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillFormat(String);

/// The longest bill reference.
pub const BILL_REFERENCE_MAX: usize = 64;

impl BillFormat {
    /// Reads a format: printable ASCII without spaces, at least one `X`.
    pub fn new(text: &str) -> Option<BillFormat> {
        let is_sound = (1..=BILL_REFERENCE_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
            && text.contains('X');
        is_sound.then(|| BillFormat(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference as the format writes it; spaces and hyphens that people put in between are
    /// left out where the format has none. `None`: it does not fit.
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

/// Something else that a product asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// How programs call it: `studentName`.
    pub name: String,
    /// How people call it.
    pub label: String,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it looks like, if that is known.
    pub format: Option<BillFormat>,
    /// At most so many characters.
    pub length_most: usize,
}

impl Field {
    /// The field's text as it is kept; `None` when there is none and none is needed.
    fn read(&self, text: &str) -> Result<Option<String>, String> {
        if text.is_empty() {
            let is_missing = self.is_required;
            return if is_missing { Err("is required.".to_owned()) } else { Ok(None) };
        }
        if text.chars().count() > self.length_most {
            return Err(format!("must be at most {} characters.", self.length_most));
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

/// One line of a receipt: how it is called, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptLine {
    /// For people.
    pub label: String,
    /// What stands there; a part that the purchase does not have leaves the line out.
    pub part: Part,
}

/// What a line of a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bill reference.
    Bill,
    /// Whom the operator knows by it.
    Customer,
    /// Who delivers.
    Operator,
    /// What was bought.
    Product,
    /// What the end customer gets.
    Amount,
    /// Our fee.
    Fee,
    /// Amount and fee.
    Total,
    /// The tokens, in the order in which they are entered: a line each.
    Tokens,
    /// Units of energy.
    Units,
    /// The tariff they are charged by.
    Tariff,
    /// Energy, taxes, levies and arrears: a line each, by their own names.
    Charges,
    /// The operator's own number for it.
    OperatorReference,
    /// When it was delivered.
    Time,
    /// A field of the product, by its name.
    Field(String),
}

/// What a receipt needs to know beside the purchase itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// The operator's name.
    pub operator: &'a str,
    /// When it was delivered, in words.
    pub time: Option<&'a str>,
    /// The operator's own number for it.
    pub reference: Option<&'a str>,
    /// What the end customer keeps.
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
    /// What was sent beside the bill reference, cut down to what the product asks for. Refuses what
    /// is missing or of the wrong form, each field with what is wrong with it.
    pub fn read_fields(&self, sent: &Details) -> Result<Details, Vec<(String, String)>> {
        let mut read = Details::new();
        let mut wrong = Vec::new();
        for field in &self.fields {
            let text = sent.get(&field.name).map_or("", |text| text.trim());
            match field.read(text) {
                Ok(Some(text)) => drop(read.insert(field.name.clone(), text)),
                Ok(None) => {}
                Err(says) => wrong.push((field.name.clone(), says)),
            }
        }
        if wrong.is_empty() { Ok(read) } else { Err(wrong) }
    }

    /// The lines of a purchase's receipt: label and text. What it does not have leaves its line out.
    pub fn receipt(&self, purchase: &Purchase, beside: &Beside<'_>) -> Vec<(String, String)> {
        let slip = beside.slip;
        let detail = |name: &str| purchase.details.get(name).cloned();
        let mut lines = Vec::new();
        for ReceiptLine { label, part } in &self.receipt {
            let text = match part {
                Part::Bill => Some(purchase.recipient.clone()),
                Part::Customer => detail(CUSTOMER_NAME),
                Part::Operator => Some(beside.operator.to_owned()),
                Part::Product => Some(self.title.clone()),
                Part::Amount => Some(purchase.amount.to_string()),
                Part::Fee => purchase.fee.is_positive().then(|| purchase.fee.to_string()),
                Part::Total => purchase.total().map(|total| total.to_string()),
                Part::Units => slip.and_then(|slip| slip.units.clone()),
                Part::Tariff => slip.and_then(|slip| slip.tariff.clone()),
                Part::OperatorReference => beside.reference.map(str::to_owned),
                Part::Time => beside.time.map(str::to_owned),
                Part::Field(name) => detail(name),
                Part::Tokens => {
                    let tokens = slip.map_or(&[][..], Slip::tokens);
                    lines.extend(tokens.iter().map(|token| (label.clone(), token.grouped())));
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

    /// The bill reference as the operator writes it; a mobile number may be written in any usual
    /// way. `None`: it does not fit the product's format.
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
    fn a_price_is_kept() {
        let usd = |minor| Money::new(minor, Currency::USD);
        let fixed = Pricing::Fixed(usd(500));
        assert_eq!(fixed.check(usd(500)), Ok(()));
        assert_eq!(fixed.check(usd(501)), Err(WrongAmount::Costs(usd(500))));
        let range = Pricing::Range(Limits { least: usd(50), most: usd(50_000) });
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
    fn a_part_reads_back() {
        for code in ["bill", "charges", "operator_reference", "field studentName"] {
            assert_eq!(Part::from_code(code).unwrap().code(), code);
        }
        assert_eq!(Part::from_code("nothing"), None);
    }

    proptest! {
        /// What was read is read again as itself, and no text panics.
        #[test]
        fn reading_settles(form in "[0-9A-Z]{0,6}X[X0-9]{0,9}", sent in "[0-9A-Za-z \\-]{0,20}|\\PC{0,12}") {
            let form = format(&form);
            if let Some(read) = form.read(&sent) {
                prop_assert_eq!(form.read(&read), Some(read.clone()));
                prop_assert_eq!(read.len(), form.as_str().len());
            }
        }
    }
}

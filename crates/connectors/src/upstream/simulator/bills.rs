//! The simulator's bills: customers by reference, and the slips of electricity purchases.
//!
//! All results are functions of the attempt, the reference and the amount, so repeated enquiries
//! get the same slip. The fourth digit from the end selects the case: 2 is two tokens, 3 is a key
//! change and a credit (three tokens), 4 is arrears, which are deducted first.

use super::random::random;
use super::truth_log::Record;
use domain::{
    BillAnswer, BillCustomer, BillEnquiry, Charge, Currency, Money, Slip, Token, TokenKind,
};

/// The operator that sells electricity as tokens.
const TOKEN_OPERATOR: &str = "ZETDC";
/// The levy for rural electrification: 6 % on top of the price, so 6/106 of the payment.
const LEVY_PPM: i64 = 56_604;
/// The part of a payment that is deducted while there are arrears.
const ARREARS_PPM: i64 = 200_000;

const NAMES: [&str; 8] = [
    "T. Moyo",
    "R. Ncube",
    "S. Dube",
    "N. Sibanda",
    "P. Chikwava",
    "F. Banda",
    "L. Mutasa",
    "M. Phiri",
];
const STREETS: [&str; 4] = [
    "12 Samora Machel Ave, Harare",
    "7 Fife St, Bulawayo",
    "31 Main St, Gweru",
    "5 Robert St, Mutare",
];

/// The customer of a bill reference. A reference of only zeros is unknown.
pub(super) fn look_up(enquiry: &BillEnquiry) -> BillAnswer {
    let reference = enquiry.recipient.as_str();
    if reference.bytes().filter(u8::is_ascii_digit).all(|digit| digit == b'0') {
        return BillAnswer::Unknown;
    }
    let choose = |what: &[u8], of: u64| random(0, &[what, reference.as_bytes()]) % of;
    let pick = |what: &[u8], from: &[&str]| {
        let index = usize::try_from(choose(what, from.len() as u64)).unwrap_or(0);
        from.get(index).copied().unwrap_or_default().to_owned()
    };
    let amount_due = has_arrears(reference).then(|| Money::new(4_550, enquiry.amount.currency()));
    BillAnswer::Known(BillCustomer {
        name: pick(b"name", &NAMES),
        address: Some(pick(b"street", &STREETS)),
        amount_due,
    })
}

/// The slip of a delivered order. Only token electricity has one.
pub(super) fn slip(record: &Record) -> Option<Slip> {
    if record.operator != TOKEN_OPERATOR {
        return None;
    }
    let paid = record.amount;
    let arrears_ppm = if has_arrears(&record.recipient) { ARREARS_PPM } else { 0 };
    let arrears = paid.share(arrears_ppm)?;
    let levied = paid.minus(arrears)?;
    let levy = levied.share(LEVY_PPM)?;
    let energy = levied.minus(levy)?;
    let tenths = energy.minor() * 10 / price_of_unit_minor(paid.currency());
    let (whole, half) = (in_units(tenths), tenths / 2);
    let token = |n: u8, units: Option<String>, kind| {
        let part = |half: u8| random_of(record, &[n, half]) % 10_000_000_000;
        Token::new(&format!("{:010}{:010}", part(0), part(1)), units, kind)
    };
    let tokens = match case_digit(&record.recipient) {
        b'2' => vec![
            token(1, Some(in_units(half)), TokenKind::Credit)?,
            token(2, Some(in_units(tenths - half)), TokenKind::Credit)?,
        ],
        b'3' => vec![
            token(1, None, TokenKind::KeyChange)?,
            token(2, None, TokenKind::KeyChange)?,
            token(3, Some(whole.clone()), TokenKind::Credit)?,
        ],
        _ => vec![token(1, Some(whole.clone()), TokenKind::Credit)?],
    };
    let mut slip = Slip::of_tokens(tokens);
    slip.units = Some(whole);
    slip.tariff = Some("Domestic prepaid".to_owned());
    let parts = [("Energy", energy), ("RE levy (6%)", levy), ("Arrears recovered (20%)", arrears)];
    let charged = parts.into_iter().filter(|(_, amount)| amount.is_positive());
    let charges = charged.map(|(label, amount)| Charge { label: label.to_owned(), amount });
    slip.charges = charges.collect();
    Some(slip)
}

/// The simulated price of a kWh: 0.13 USD, 3.50 ZWG.
fn price_of_unit_minor(currency: Currency) -> i64 {
    if currency == Currency::USD { 13 } else { 350 }
}

fn in_units(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn case_digit(reference: &str) -> u8 {
    let bytes = reference.as_bytes();
    bytes.len().checked_sub(4).and_then(|i| bytes.get(i)).copied().unwrap_or(b'0')
}

fn has_arrears(reference: &str) -> bool {
    case_digit(reference) == b'4'
}

fn random_of(record: &Record, what: &[u8]) -> u64 {
    random(record.attempt.purchase.0.cast_unsigned(), &[b"token", what])
}

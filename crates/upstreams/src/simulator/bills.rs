//! What the simulator knows of bills: whom a reference belongs to, and the slips of electricity.
//!
//! Everything follows from the digits of the reference and the amount, so that the same purchase
//! has the same slip whenever it is asked for. The digit before the last three chooses: 2 two
//! tokens, 3 a key change and a credit (three tokens), 4 arrears that are taken first.

use super::chance::draw;
use super::truth::Record;
use domain::money::{Currency, Money};
use domain::purchase::slip::{Charge, Slip, Token, TokenKind};
use domain::upstream::{BillAnswer, BillCustomer, BillEnquiry};

/// Who sells electricity by tokens.
const SELLS_TOKENS: &str = "ZETDC";
/// Levied on electricity for rural electrification: 6 % on top, so 6/106 of what is paid.
const LEVY_PPM: i64 = 56_604;
/// What is taken of a payment while there are arrears.
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

/// Whom a bill reference belongs to. A reference of zeros only is nobody's.
pub(super) fn look_up(enquiry: &BillEnquiry) -> BillAnswer {
    let reference = enquiry.recipient.as_str();
    if reference.bytes().filter(u8::is_ascii_digit).all(|digit| digit == b'0') {
        return BillAnswer::Unknown;
    }
    let chosen = |what: &[u8], of: u64| draw(0, &[what, reference.as_bytes()]) % of;
    let pick = |what: &[u8], from: &[&str]| {
        let index = usize::try_from(chosen(what, from.len() as u64)).unwrap_or(0);
        from.get(index).copied().unwrap_or_default().to_owned()
    };
    let owed = has_arrears(reference).then(|| Money::new(4_550, enquiry.amount.currency()));
    BillAnswer::Known(BillCustomer {
        name: pick(b"name", &NAMES),
        address: Some(pick(b"street", &STREETS)),
        owed,
    })
}

/// The slip of a delivered order, if its operator gives one.
pub(super) fn slip(record: &Record) -> Option<Slip> {
    if record.operator != SELLS_TOKENS {
        return None;
    }
    let paid = record.amount;
    let zero = Money::zero(paid.currency());
    let arrears = match has_arrears(&record.recipient) {
        true => paid.share(ARREARS_PPM)?,
        false => zero,
    };
    let levied = paid.minus(arrears)?;
    let levy = levied.share(LEVY_PPM)?;
    let energy = levied.minus(levy)?;
    let tenths = energy.minor() * 10 / price_of_unit_minor(paid.currency());
    let (whole, half) = (in_units(tenths), tenths / 2);
    let token = |n: u8, units: Option<String>, kind| {
        let part = |half: u8| draw_of(record, &[n, half]) % 10_000_000_000;
        Token::new(&format!("{:010}{:010}", part(0), part(1)), units, kind)
    };
    let tokens = match choosing_digit(&record.recipient) {
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
    let charge = |label: &str, amount| Charge { label: label.to_owned(), amount };
    let mut slip = Slip::of_tokens(tokens);
    slip.units = Some(whole);
    slip.tariff = Some("Domestic prepaid".to_owned());
    slip.charges = [
        charge("Energy", energy),
        charge("RE levy (6%)", levy),
        charge("Arrears recovered (20%)", arrears),
    ]
    .into_iter()
    .filter(|charge| charge.amount.is_positive())
    .collect();
    Some(slip)
}

/// Play prices of a unit: 13 cents of a dollar, 3.50 ZWG.
fn price_of_unit_minor(currency: Currency) -> i64 {
    if currency == Currency::USD { 13 } else { 350 }
}

fn in_units(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn choosing_digit(reference: &str) -> u8 {
    let bytes = reference.as_bytes();
    bytes.len().checked_sub(4).and_then(|i| bytes.get(i)).copied().unwrap_or(b'0')
}

fn has_arrears(reference: &str) -> bool {
    choosing_digit(reference) == b'4'
}

fn draw_of(record: &Record, what: &[u8]) -> u64 {
    draw(record.attempt.purchase.0.cast_unsigned(), &[b"token", what])
}

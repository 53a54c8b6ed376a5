//! The offers that the simulator quotes: data in `offers/*.toml`, another choice for each number.
//!
//! Invariant: the same number is quoted the same offers, so that what was shown can be bought.
//! Offers marked `everyone` are quoted for every number: the seed document's samples buy them.

use super::random::draw;
use domain::money::{Currency, Money};
use domain::purchase::Details;
use domain::upstream::{NoOffers, Offer, OfferEnquiry};
use serde::Deserialize;
use std::io;

const FILES: [(&str, &str); 4] = [
    ("GP", include_str!("offers/gp.toml")),
    ("RB", include_str!("offers/robi.toml")),
    ("AT", include_str!("offers/airtel.toml")),
    ("BL", include_str!("offers/banglalink.toml")),
];

/// Of a hundred numbers, so many are quoted an offer that is not for everyone.
const QUOTED_OF_HUNDRED: u64 = 65;

/// In an identifier, stands for a text that each number has of its own.
const SESSION: &str = "{session}";

/// All offers, by the operator's code.
pub(super) struct Offers(Vec<(&'static str, Vec<Row>)>);

struct Row {
    offer: Offer,
    is_for_everyone: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    offer: Vec<SheetRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SheetRow {
    title: String,
    title_local: String,
    amount: String,
    validity: String,
    category: String,
    #[serde(default)]
    highlighted: bool,
    #[serde(default)]
    everyone: bool,
    identifiers: Details,
}

impl Offers {
    /// Reads the files, which are part of the program.
    pub(super) fn load() -> io::Result<Offers> {
        let rows = |text| -> io::Result<Vec<Row>> {
            let sheet: Sheet = toml::from_str(text).map_err(io::Error::other)?;
            sheet.offer.into_iter().map(SheetRow::parse).collect()
        };
        let files = FILES.iter().map(|(code, text)| Ok((*code, rows(text)?)));
        files.collect::<io::Result<_>>().map(Offers)
    }

    /// What the operator quotes for the number.
    pub(super) fn quote(&self, enquiry: &OfferEnquiry) -> Result<Vec<Offer>, NoOffers> {
        let Some((_, rows)) = self.0.iter().find(|(code, _)| *code == enquiry.operator) else {
            let reason = format!("{} quotes no offers.", enquiry.operator);
            return Err(NoOffers { reason });
        };
        let number = enquiry.recipient.as_bytes();
        let session = format!("{:016x}", draw(0, &[b"session", number]));
        let is_quoted = |row: &Row| {
            let title = row.offer.title.as_bytes();
            row.is_for_everyone || draw(0, &[number, title]) % 100 < QUOTED_OF_HUNDRED
        };
        Ok(rows.iter().filter(|r| is_quoted(r)).map(|r| in_session(&r.offer, &session)).collect())
    }
}

fn in_session(offer: &Offer, session: &str) -> Offer {
    let mut offer = offer.clone();
    for value in offer.identifiers.values_mut() {
        if value.contains(SESSION) {
            *value = value.replace(SESSION, session);
        }
    }
    offer
}

impl SheetRow {
    fn parse(self) -> io::Result<Row> {
        let amount = Money::parse(&self.amount, Currency::BDT)
            .map_err(|e| io::Error::other(format!("the amount of {}: {e:?}", self.title)))?;
        let offer = Offer {
            amount,
            title: self.title,
            title_local: self.title_local,
            validity: self.validity,
            category: self.category,
            is_highlighted: self.highlighted,
            identifiers: self.identifiers,
        };
        Ok(Row { offer, is_for_everyone: self.everyone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::account::Environment;
    use domain::catalog::OfferForm;
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    static OFFERS: LazyLock<Offers> = LazyLock::new(|| Offers::load().unwrap());

    fn quote(operator: &str, recipient: &str) -> Result<Vec<Offer>, NoOffers> {
        OFFERS.quote(&OfferEnquiry {
            environment: Environment::Sandbox,
            operator: operator.into(),
            recipient: recipient.into(),
        })
    }

    fn has(operator: &str, recipient: &str, amount: i64, id: (&str, &str)) -> bool {
        quote(operator, recipient).unwrap().iter().any(|o| {
            o.amount == Money::new(amount, Currency::BDT)
                && o.identifiers.get(id.0).is_some_and(|v| v == id.1)
        })
    }

    #[test]
    fn every_sheet_is_complete() {
        for (code, rows) in &OFFERS.0 {
            let form = match *code {
                "GP" => OfferForm::Campaign,
                "BL" => OfferForm::OfferAndTran,
                _ => OfferForm::Ticket,
            };
            assert!((8..=14).contains(&rows.len()), "{code}: {}", rows.len());
            assert!(rows.iter().any(|r| r.offer.is_highlighted), "{code}");
            assert!(rows.iter().any(|r| r.is_for_everyone), "{code}");
            let mut names = BTreeSet::new();
            for Row { offer, .. } in rows {
                for name in form.required() {
                    assert!(
                        offer.identifiers.contains_key(*name),
                        "{code} {}: {name}",
                        offer.title
                    );
                }
                assert!(
                    ["INTERNET", "MINUTES", "COMBO", "TALKTIME"].contains(&offer.category.as_str()),
                    "{code} {}",
                    offer.title
                );
                assert!(!offer.title_local.is_ascii() && !offer.validity.is_empty());
                assert!(
                    names.insert(offer.identifiers[form.required()[0]].clone()),
                    "{code}: twice"
                );
                assert!(names.insert(offer.title.clone()), "{code}: {} twice", offer.title);
            }
        }
    }

    #[test]
    fn what_the_samples_buy_is_quoted_for_every_number() {
        let ticket = "243753368.243753368.243753368.1746120780000.507401.67335-1570h_";
        for n in 0..500 {
            let number = format!("016{n:08}");
            assert!(has("AT", &number, 69_800, ("ticketId", ticket)), "{number}");
            assert!(has("BL", &number, 54_900, ("offerId", "OFF32071")), "{number}");
            assert!(has("BL", &number, 54_900, ("tranId", "4891011729527520112")), "{number}");
            for operator in ["AT", "RB"] {
                let offers = quote(operator, &number).unwrap();
                assert!(offers.iter().any(|o| o.amount.minor() == 6_800), "{operator} {number}");
            }
        }
    }

    #[test]
    fn numbers_differ_and_each_is_quoted_the_same_again() {
        for operator in ["GP", "RB", "AT", "BL"] {
            let quotes: Vec<_> =
                (0..50).map(|n| quote(operator, &format!("017000000{n:02}")).unwrap()).collect();
            assert!(quotes.iter().all(|q| q.len() >= 2));
            assert!(quotes.iter().any(|q| q.len() != quotes[0].len()), "{operator}");
            assert_eq!(quotes[7], quote(operator, "01700000007").unwrap());
        }
        let session =
            |number| quote("GP", number).unwrap()[0].identifiers["sessionContext"].clone();
        assert_ne!(session("01700000001"), session("01700000002"));
        assert!(!session("01700000001").contains(SESSION));
    }

    #[test]
    fn who_has_no_offers_says_so() {
        for operator in ["TT", "SK", "BK", "gp", ""] {
            assert!(quote(operator, "01500000001").is_err(), "{operator}");
        }
    }
}

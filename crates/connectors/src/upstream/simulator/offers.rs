//! The offers that the simulator quotes. The data is in `offers/*.toml`; each number gets a subset.
//!
//! Invariant: a number always gets the same offers, so a quoted offer can be bought. Offers marked
//! `everyone` are quoted for every number: the samples of the seed document buy them.

use super::random::random;
use domain::{Currency, Details, Money, NoOffers, Offer, OfferEnquiry};
use serde::Deserialize;
use std::io;

const FILES: [(&str, &str); 4] = [
    ("GP", include_str!("offers/gp.toml")),
    ("RB", include_str!("offers/robi.toml")),
    ("AT", include_str!("offers/airtel.toml")),
    ("BL", include_str!("offers/banglalink.toml")),
];

/// How many numbers get an offer that is not marked `everyone`.
const QUOTED_PERCENT: u64 = 65;

/// A placeholder in identifiers; replaced by a text that is unique to each number.
const SESSION: &str = "{session}";

/// All offers, by the operator's code.
pub(super) struct Offers(Vec<(&'static str, Vec<SimulatedOffer>)>);

struct SimulatedOffer {
    offer: Offer,
    is_for_everyone: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferFile {
    offer: Vec<OfferEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferEntry {
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
    /// Parses the files that are compiled into the program.
    pub(super) fn load() -> io::Result<Offers> {
        let parse = |text| -> io::Result<Vec<SimulatedOffer>> {
            let file: OfferFile = toml::from_str(text).map_err(io::Error::other)?;
            file.offer.into_iter().map(OfferEntry::parse).collect()
        };
        let files = FILES.iter().map(|(code, text)| Ok((*code, parse(text)?)));
        files.collect::<io::Result<_>>().map(Offers)
    }

    /// The offers of an operator for one number.
    pub(super) fn quote(&self, enquiry: &OfferEnquiry) -> Result<Vec<Offer>, NoOffers> {
        let Some((_, offers)) = self.0.iter().find(|(code, _)| *code == enquiry.operator) else {
            let reason = format!("{} quotes no offers.", enquiry.operator);
            return Err(NoOffers { reason });
        };
        let number = enquiry.recipient.as_bytes();
        let session = format!("{:016x}", random(0, &[b"session", number]));
        let is_quoted = |simulated: &SimulatedOffer| {
            let title = simulated.offer.title.as_bytes();
            simulated.is_for_everyone || random(0, &[number, title]) % 100 < QUOTED_PERCENT
        };
        let quoted = offers.iter().filter(|simulated| is_quoted(simulated));
        Ok(quoted.map(|simulated| with_session(&simulated.offer, &session)).collect())
    }
}

fn with_session(offer: &Offer, session: &str) -> Offer {
    let mut offer = offer.clone();
    for value in offer.identifiers.values_mut() {
        if value.contains(SESSION) {
            *value = value.replace(SESSION, session);
        }
    }
    offer
}

impl OfferEntry {
    fn parse(self) -> io::Result<SimulatedOffer> {
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
        Ok(SimulatedOffer { offer, is_for_everyone: self.everyone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Environment, OfferForm};
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

    fn has(operator: &str, recipient: &str, amount: i64, name: &str, value: &str) -> bool {
        quote(operator, recipient).unwrap().iter().any(|o| {
            o.amount == Money::new(amount, Currency::BDT)
                && o.identifiers.get(name).is_some_and(|v| v == value)
        })
    }

    #[test]
    fn every_offer_file_is_complete() {
        for (code, offers) in &OFFERS.0 {
            let form = match *code {
                "GP" => OfferForm::Campaign,
                "BL" => OfferForm::OfferAndTran,
                _ => OfferForm::Ticket,
            };
            assert!((8..=14).contains(&offers.len()), "{code}: {}", offers.len());
            assert!(offers.iter().any(|r| r.offer.is_highlighted), "{code}");
            assert!(offers.iter().any(|r| r.is_for_everyone), "{code}");
            let mut unique = BTreeSet::new();
            for SimulatedOffer { offer, .. } in offers {
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
                    unique.insert(offer.identifiers[form.required()[0]].clone()),
                    "{code}: twice"
                );
                assert!(unique.insert(offer.title.clone()), "{code}: {} twice", offer.title);
            }
        }
    }

    #[test]
    fn every_number_is_quoted_the_offers_of_the_samples() {
        let ticket = "243753368.243753368.243753368.1746120780000.507401.67335-1570h_";
        for n in 0..500 {
            let number = format!("016{n:08}");
            assert!(has("AT", &number, 69_800, "ticketId", ticket), "{number}");
            assert!(has("BL", &number, 54_900, "offerId", "OFF32071"), "{number}");
            assert!(has("BL", &number, 54_900, "tranId", "4891011729527520112"), "{number}");
            for operator in ["AT", "RB"] {
                let offers = quote(operator, &number).unwrap();
                assert!(offers.iter().any(|o| o.amount.minor() == 6_800), "{operator} {number}");
            }
        }
    }

    #[test]
    fn offers_differ_by_number_and_are_reproducible() {
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
    fn an_operator_without_offers_is_an_error() {
        for operator in ["TT", "SK", "BK", "gp", ""] {
            assert!(quote(operator, "01500000001").is_err(), "{operator}");
        }
    }
}

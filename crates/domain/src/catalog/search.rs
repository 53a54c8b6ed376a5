//! Finding products by what somebody typed: ranked, and forgiving of typing errors.
//!
//! Here: how well a query fits a product. Not here: who may search, how often, and how the list is
//! shown. Invariants: each word of the query fits a word of everything that is found; the same
//! catalog and query give the same list; what one query costs is bounded by its own limits.

use std::cmp::Reverse;

use crate::catalog::Catalog;
use crate::catalog::product::Product;

/// So many characters of a query are read; a title is shorter, and anybody may ask.
pub const QUERY_LENGTH_MAX: usize = 64;

/// So many words of a query are read; each one is held against every word of the catalog.
pub const QUERY_WORDS_MAX: usize = 8;

/// The products that fit the query, best first, at most so many; equally good ones by id. A query
/// without a letter or digit finds nothing. What is not sold is not found.
pub fn search<'c>(catalog: &'c Catalog, query: &str, most: usize) -> Vec<&'c Product> {
    let query: String = query.chars().take(QUERY_LENGTH_MAX).collect();
    let asked: Vec<Asked> =
        words(&query).into_iter().take(QUERY_WORDS_MAX).map(Asked::new).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(usize, &Product)> = catalog
        .products
        .iter()
        .filter(|product| is_sold(catalog, product))
        .filter_map(|product| Some((fit(&asked, &written(catalog, product))?, product)))
        .collect();
    found.sort_by_key(|(fit, product)| (Reverse(*fit), product.id));
    found.into_iter().take(most).map(|(_, product)| product).collect()
}

/// A word of the query.
struct Asked {
    word: String,
    trigrams: Vec<Trigram>,
}

/// Where a word stands; a better place comes first.
#[derive(Clone, Copy)]
enum Place {
    Title,
    Operator,
    Name,
    Category,
    Description,
}

const PLACES: usize = 5;

type Trigram = [char; 3];

// How close two words are, in millionths; one that is only alike is always below a prefix.
const EXACT_PPM: usize = 3_000_000;
const PREFIX_PPM: usize = 2_000_000;

/// Words are alike above this share of common trigrams. One letter dropped from four leaves 444,444
/// at least, two neighbours swapped in six 428,571. Below are names that must not be taken for each
/// other: Telecel and TelOne (400,000), NetOne and TelOne (285,714).
const ALIKE_ABOVE_PPM: usize = 420_000;

impl Asked {
    fn new(word: String) -> Asked {
        Asked { trigrams: trigrams(&word), word }
    }

    /// How close a word of the catalog is, if it is close at all.
    fn closeness_ppm(&self, word: &str) -> Option<usize> {
        if word == self.word {
            return Some(EXACT_PPM);
        }
        if word.starts_with(&self.word) {
            return Some(PREFIX_PPM);
        }
        // 5000 is no typing error for 500.
        if self.word.starts_with(char::is_numeric) {
            return None;
        }
        Some(alike_ppm(&self.trigrams, &trigrams(word))).filter(|ppm| *ppm > ALIKE_ABOVE_PPM)
    }
}

fn is_sold(catalog: &Catalog, product: &Product) -> bool {
    let operator = catalog.operator_by_code(&product.operator);
    product.is_active && operator.is_none_or(|operator| operator.is_active)
}

/// How well all words of a query fit; `None` if one of them does not.
fn fit(asked: &[Asked], written: &[(Place, String)]) -> Option<usize> {
    let best = |asked: &Asked| {
        let fits = written.iter().filter_map(|(place, word)| {
            let closeness_ppm = asked.closeness_ppm(word)?;
            // Where it stands decides only between words that are as close.
            Some(closeness_ppm * PLACES - place.rank())
        });
        fits.max()
    };
    asked.iter().map(best).sum()
}

/// Every word that a product is found by.
fn written(catalog: &Catalog, product: &Product) -> Vec<(Place, String)> {
    let mut texts = vec![
        (Place::Title, product.title.as_str()),
        (Place::Name, &product.name),
        (Place::Name, &product.ref_name),
        (Place::Description, &product.description),
    ];
    if let Some(operator) = catalog.operator_by_code(&product.operator) {
        texts.push((Place::Operator, &operator.name));
        texts.push((Place::Operator, &operator.code));
        texts.extend(operator.aliases.iter().map(|alias| (Place::Operator, alias.as_str())));
    }
    if let Some(category) = catalog.category(product.category) {
        texts.push((Place::Category, &category.name));
    }
    let each = |(place, text): (Place, &str)| words(text).into_iter().map(move |w| (place, w));
    texts.into_iter().flat_map(each).collect()
}

impl Place {
    const fn rank(self) -> usize {
        match self {
            Place::Title => 0,
            Place::Operator => 1,
            Place::Name => 2,
            Place::Category => 3,
            Place::Description => 4,
        }
    }
}

/// The words of a text in lower case: runs of letters and runs of digits, so that `1GB` and `1 GB`
/// are the same.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.to_lowercase().chars() {
        let is_kept = c.is_alphanumeric();
        let goes_on =
            is_kept && word.chars().last().is_some_and(|l| l.is_numeric() == c.is_numeric());
        if !goes_on && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if is_kept {
            word.push(c);
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// A word's trigrams; two spaces before and one behind make its beginning count most.
fn trigrams(word: &str) -> Vec<Trigram> {
    let padded: Vec<char> = "  ".chars().chain(word.chars()).chain(" ".chars()).collect();
    padded.windows(3).filter_map(|three| three.try_into().ok()).collect()
}

/// What two words have in common, by the measure of Sørensen and Dice.
fn alike_ppm(one: &[Trigram], other: &[Trigram]) -> usize {
    let mut left = other.to_vec();
    let mut common = 0;
    for trigram in one {
        if let Some(at) = left.iter().position(|t| t == trigram) {
            left.swap_remove(at);
            common += 1;
        }
    }
    2_000_000 * common / (one.len() + other.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::kind::Kind;
    use crate::catalog::product::{BillFormat, Category, CategoryId, Pricing, ProductId};
    use crate::catalog::{Operator, Service};
    use crate::money::{Currency, Money};
    use proptest::prelude::*;

    fn operator(id: i64, code: &str, aliases: &[&str], name: &str) -> Operator {
        Operator {
            id,
            code: code.into(),
            aliases: aliases.iter().map(|a| (*a).into()).collect(),
            name: name.into(),
            country: "ZW".into(),
            service: Service::BillPayment,
            logo: String::new(),
            prefixes: Vec::new(),
            prepaid: None,
            postpaid: None,
            offers: None,
            is_active: true,
        }
    }

    fn product(id: i64, name: &str, title: &str, operator: &str, category: i64) -> Product {
        Product {
            id: ProductId(id),
            name: name.into(),
            title: title.into(),
            description: String::new(),
            ref_name: operator.to_lowercase(),
            operator: operator.into(),
            category: CategoryId(category),
            kind: Kind::Bill,
            price: Pricing::Fixed(Money::new(100, Currency::USD)),
            bill: BillFormat::new("XXXX").unwrap(),
            fields: Vec::new(),
            checks_bill: false,
            receipt: Vec::new(),
            logo: String::new(),
            is_active: true,
        }
    }

    fn catalog() -> Catalog {
        let category = |(id, name): (i64, &str)| Category {
            id: CategoryId(id),
            name: name.into(),
            description: String::new(),
            logo: String::new(),
        };
        let about =
            |product, description: &str| Product { description: description.into(), ..product };
        Catalog {
            operators: vec![
                operator(201, "ECONET", &[], "Econet Wireless"),
                operator(202, "NETONE", &[], "NetOne"),
                operator(203, "TELECEL", &[], "Telecel Zimbabwe"),
                operator(211, "ZETDC", &["zesa"], "ZETDC"),
                operator(212, "TELONE", &[], "TelOne"),
                operator(213, "NYARADZO", &[], "Nyaradzo"),
                operator(216, "DSTV", &["multichoice"], "DStv"),
                Operator { is_active: false, ..operator(299, "GONE", &[], "Gone") },
            ],
            categories: [(1, "Airtime"), (2, "Data Bundles"), (3, "Electricity")]
                .map(category)
                .into(),
            // Not in the order of ids: the list's order is the search's own.
            products: vec![
                product(2, "netone_airtime", "NetOne Airtime", "NETONE", 1),
                product(1, "econet_airtime", "Econet Airtime", "ECONET", 1),
                product(4, "econet_airtime_zwg", "Econet Airtime (ZWG)", "ECONET", 1),
                product(11, "econet_data_500mb", "Econet Data 500MB", "ECONET", 2),
                product(14, "netone_data_1gb", "NetOne Data 1GB", "NETONE", 2),
                about(
                    product(21, "zetdc_prepaid", "ZETDC Prepaid Electricity", "ZETDC", 3),
                    "Tokens",
                ),
                product(31, "telone_internet", "TelOne Internet", "TELONE", 4),
                about(product(41, "nyaradzo", "Nyaradzo Policy", "NYARADZO", 5), "No airtime here"),
                product(61, "dstv", "DStv Subscription", "DSTV", 7),
                Product {
                    is_active: false,
                    ..product(90, "off", "Airtime Switched Off", "ECONET", 1)
                },
                product(91, "gone", "Airtime of Nobody", "GONE", 1),
            ],
            ..Catalog::default()
        }
    }

    fn ids(catalog: &Catalog, query: &str) -> Vec<i64> {
        search(catalog, query, 20).into_iter().map(|p| p.id.0).collect()
    }

    #[test]
    fn what_is_typed_finds_what_is_meant() {
        for (query, found) in [
            // exact, in any case, the title before the description; then by id
            ("airtime", &[1, 2, 4, 41][..]),
            ("AIRTIME", &[1, 2, 4, 41]),
            ("econet_airtime", &[1, 4]),
            ("econet airtime", &[1, 4]),
            ("wireless airtime", &[1, 4]),
            ("zwg", &[4]),
            // an alias and a code
            ("zesa", &[21]),
            ("dstv", &[61]),
            ("multichoice", &[61]),
            // the beginning of a word; digits and letters apart
            ("elec", &[21]),
            ("net", &[2, 14]),
            ("netone data", &[14]),
            ("data 1 gb", &[14]),
            ("data 5", &[11]),
            ("data 500 mb", &[11]),
            // typing errors
            ("econt", &[1, 4, 11]),
            ("electrcity", &[21]),
            ("nyarazdo", &[41]),
            ("ntone dta", &[14]),
            ("ecnoet airtmie", &[1, 4]),
            ("telecel", &[]),
            ("netoen data", &[14]),
            ("telonee", &[31]),
            // every word must fit
            ("econet electricity", &[]),
            ("dstv dstv dstv", &[61]),
            // 5000 is not 500, whatever their digits have in common
            ("data 5000", &[]),
            ("qqqq", &[]),
            ("", &[]),
            (" _-%'\"\0", &[]),
            ("switched", &[]),
            ("nobody", &[]),
        ] {
            assert_eq!(ids(&catalog(), query), found, "{query:?}");
        }
    }

    #[test]
    fn a_query_is_read_up_to_its_limits_and_a_list_is_cut() {
        let catalog = catalog();
        let padded = format!("dstv{}qqqq", " ".repeat(QUERY_LENGTH_MAX));
        assert_eq!(ids(&catalog, &padded), [61]);
        let wordy = format!("{}qqqq", "dstv ".repeat(QUERY_WORDS_MAX));
        assert_eq!(ids(&catalog, &wordy), [61]);
        assert_eq!(search(&catalog, "airtime", 2).len(), 2);
        assert!(search(&catalog, "airtime", 0).is_empty());
        assert!(search(&Catalog::default(), "airtime", 20).is_empty());
    }

    #[test]
    fn alike_is_what_a_slip_of_the_finger_leaves() {
        for (one, other, ppm) in [
            ("econet", "econt", 615_384),
            ("econet", "econte", 571_428),
            ("econet", "ecnoet", 428_571),
            ("data", "dta", 444_444),
            ("telecel", "telone", 400_000),
            ("netone", "telone", 285_714),
            ("nyaradzo", "nyarazdo", 555_555),
            ("data", "data", 1_000_000),
            ("a", "b", 0),
        ] {
            assert_eq!(alike_ppm(&trigrams(one), &trigrams(other)), ppm, "{one} {other}");
            assert_eq!(alike_ppm(&trigrams(other), &trigrams(one)), ppm, "{other} {one}");
        }
    }

    proptest! {
        /// No query panics, and none finds more than it may.
        #[test]
        fn any_query_is_answered(query in "\\PC{0,80}|[a-z0-9 ]{0,80}|[\\x00-\\x7f]{0,20}", most in 0..5_usize) {
            prop_assert!(search(&catalog(), &query, most).len() <= most);
        }

        /// A product is found by its title, in any case, and by its title's first word with one
        /// letter dropped or two neighbours swapped.
        #[test]
        fn a_product_is_found_by_its_title(at in 0..9_usize, slip in 0..5_usize) {
            let catalog = catalog();
            let product = &catalog.products[at];
            let is_found = |query: &str| ids(&catalog, query).contains(&product.id.0);
            prop_assert!(is_found(&product.title), "{}", product.title);
            prop_assert!(is_found(&product.title.to_uppercase()), "{}", product.title);
            let first: Vec<char> = product.title.split(' ').next().unwrap().chars().collect();
            if first.len() >= 6 {
                let (mut dropped, mut swapped) = (first.clone(), first.clone());
                dropped.remove(slip);
                swapped.swap(slip, slip + 1);
                for slipped in [dropped, swapped] {
                    let slipped: String = slipped.into_iter().collect();
                    prop_assert!(is_found(&slipped), "{slipped}");
                }
            }
        }
    }
}

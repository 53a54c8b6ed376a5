//! Product search: ranked by similarity, tolerant of typing errors.
//!
//! Here: how well a product matches a query. Not here: access, rate limits, the form of the answer.
//! Invariants: every word of the query matches a word of each product found; the same catalog and
//! query give the same list; the cost of one query is bounded by its own limits.

use std::cmp::Reverse;

use crate::catalog::Catalog;
use crate::catalog::product::Product;

/// The characters of a query that are read: titles are shorter, and the search is public.
pub const QUERY_LENGTH_MAX: usize = 64;

/// The words of a query that are read: each is compared with every word of the catalog.
pub const QUERY_WORDS_MAX: usize = 8;

/// At most `limit` products that match the query, the best match first, equal ones by id. A query
/// without a letter or digit finds nothing. Products that are not sold are not found.
pub fn search<'c>(catalog: &'c Catalog, query: &str, limit: usize) -> Vec<&'c Product> {
    let query: String = query.chars().take(QUERY_LENGTH_MAX).collect();
    let query: Vec<QueryWord> =
        words(&query).into_iter().take(QUERY_WORDS_MAX).map(QueryWord::new).collect();
    if query.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(usize, &Product)> = catalog
        .products
        .iter()
        .filter(|product| is_sold(catalog, product))
        .filter_map(|product| Some((score(&query, &product_words(catalog, product))?, product)))
        .collect();
    found.sort_by_key(|(score, product)| (Reverse(*score), product.id));
    found.into_iter().take(limit).map(|(_, product)| product).collect()
}

/// A word of the query.
struct QueryWord {
    word: String,
    trigrams: Vec<Trigram>,
}

/// The text of a product that a word is from; the more important text comes first.
#[derive(Clone, Copy)]
enum SearchField {
    Title,
    Operator,
    Name,
    Category,
    Description,
}

const SEARCH_FIELDS: usize = 5;

type Trigram = [char; 3];

// The similarity of two words, in millionths; similar trigrams are always below a prefix.
const EXACT_PPM: usize = 3_000_000;
const PREFIX_PPM: usize = 2_000_000;

/// Words match above this share of common trigrams. One letter dropped from four leaves at least
/// 444,444, two neighbours swapped in six 428,571. Names that must not match each other are below:
/// Telecel and TelOne (400,000), NetOne and TelOne (285,714).
const SIMILAR_ABOVE_PPM: usize = 420_000;

impl QueryWord {
    fn new(word: String) -> QueryWord {
        QueryWord { trigrams: trigrams(&word), word }
    }

    /// The similarity of a product's word, if it matches.
    fn similarity_ppm(&self, word: &str) -> Option<usize> {
        if word == self.word {
            return Some(EXACT_PPM);
        }
        if word.starts_with(&self.word) {
            return Some(PREFIX_PPM);
        }
        // 5000 is not a typing error for 500.
        if self.word.starts_with(char::is_numeric) {
            return None;
        }
        Some(similar_ppm(&self.trigrams, &trigrams(word))).filter(|ppm| *ppm > SIMILAR_ABOVE_PPM)
    }
}

fn is_sold(catalog: &Catalog, product: &Product) -> bool {
    let operator = catalog.operator_by_code(&product.operator);
    product.is_active && operator.is_none_or(|operator| operator.is_active)
}

/// How well all words of a query match a product; `None` if one of them does not.
fn score(query: &[QueryWord], product_words: &[(SearchField, String)]) -> Option<usize> {
    let best = |query_word: &QueryWord| {
        let scores = product_words.iter().filter_map(|(field, word)| {
            let similarity_ppm = query_word.similarity_ppm(word)?;
            // The field decides only between equally similar words.
            Some(similarity_ppm * SEARCH_FIELDS - *field as usize)
        });
        scores.max()
    };
    query.iter().map(best).sum()
}

/// Every word by which a product is found.
fn product_words(catalog: &Catalog, product: &Product) -> Vec<(SearchField, String)> {
    let mut texts = vec![
        (SearchField::Title, product.title.as_str()),
        (SearchField::Name, &product.name),
        (SearchField::Name, &product.ref_name),
        (SearchField::Description, &product.description),
    ];
    if let Some(operator) = catalog.operator_by_code(&product.operator) {
        texts.push((SearchField::Operator, &operator.name));
        texts.push((SearchField::Operator, &operator.code));
        texts.extend(operator.aliases.iter().map(|alias| (SearchField::Operator, alias.as_str())));
    }
    if let Some(category) = catalog.category(product.category) {
        texts.push((SearchField::Category, &category.name));
    }
    let each =
        |(field, text): (SearchField, &str)| words(text).into_iter().map(move |w| (field, w));
    texts.into_iter().flat_map(each).collect()
}

/// The words of a text in lower case: runs of letters and runs of digits, so that `1GB` equals
/// `1 GB`.
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

/// A word's trigrams; two spaces before and one after give its beginning the most weight.
fn trigrams(word: &str) -> Vec<Trigram> {
    let padded: Vec<char> = "  ".chars().chain(word.chars()).chain(" ".chars()).collect();
    padded.windows(3).filter_map(|three| three.try_into().ok()).collect()
}

/// The Sørensen–Dice coefficient of two words' trigrams.
fn similar_ppm(one: &[Trigram], other: &[Trigram]) -> usize {
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
            // Not in the order of ids: the search sorts.
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
    fn queries_find_the_intended_products() {
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
            // the beginning of a word; digits and letters as separate words
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
            // every word must match
            ("econet electricity", &[]),
            ("dstv dstv dstv", &[61]),
            // 5000 does not match 500, although they share digits
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
    fn a_query_is_read_up_to_its_limits_and_a_list_is_truncated() {
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
    fn typing_errors_stay_similar() {
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
            assert_eq!(similar_ppm(&trigrams(one), &trigrams(other)), ppm, "{one} {other}");
            assert_eq!(similar_ppm(&trigrams(other), &trigrams(one)), ppm, "{other} {one}");
        }
    }

    proptest! {
        /// No query panics, and none finds more products than its limit.
        #[test]
        fn any_query_is_answered(
            query in "\\PC{0,80}|[a-z0-9 ]{0,80}|[\\x00-\\x7f]{0,20}",
            limit in 0..5_usize,
        ) {
            prop_assert!(search(&catalog(), &query, limit).len() <= limit);
        }

        /// A product is found by its title, in any case, and by its title's first word with one
        /// letter dropped or two neighbours swapped.
        #[test]
        fn a_product_is_found_by_its_title(at in 0..9_usize, letter in 0..5_usize) {
            let catalog = catalog();
            let product = &catalog.products[at];
            let is_found = |query: &str| ids(&catalog, query).contains(&product.id.0);
            prop_assert!(is_found(&product.title), "{}", product.title);
            prop_assert!(is_found(&product.title.to_uppercase()), "{}", product.title);
            let first: Vec<char> = product.title.split(' ').next().unwrap().chars().collect();
            if first.len() >= 6 {
                let (mut dropped, mut swapped) = (first.clone(), first.clone());
                dropped.remove(letter);
                swapped.swap(letter, letter + 1);
                for mistyped in [dropped, swapped] {
                    let mistyped: String = mistyped.into_iter().collect();
                    prop_assert!(is_found(&mistyped), "{mistyped}");
                }
            }
        }
    }
}

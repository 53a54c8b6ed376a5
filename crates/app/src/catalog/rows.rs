//! The rows of a catalog file, field by field as the TOML has them.
//!
//! Not here: what makes a row valid (`mod.rs`). A field that no row has is an error.

use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CatalogFile {
    pub(super) country: Vec<CountryRow>,
    pub(super) operator: Vec<OperatorRow>,
    pub(super) category: Vec<CategoryRow>,
    pub(super) product: Vec<ProductRow>,
    pub(super) price: Vec<PriceRow>,
    pub(super) route: Vec<RouteRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountryRow {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) currency: String,
    pub(super) numbering: NumberingRow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberingRow {
    pub(super) calling_code: String,
    pub(super) trunk: String,
    pub(super) length: usize,
    pub(super) begins: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorRow {
    pub(super) id: i64,
    pub(super) code: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) name: String,
    pub(super) country: String,
    pub(super) service: String,
    pub(super) logo: String,
    #[serde(default)]
    pub(super) prefixes: Vec<String>,
    pub(super) prepaid: Option<LimitsRow>,
    pub(super) postpaid: Option<LimitsRow>,
    pub(super) offers: Option<String>,
    pub(super) is_active: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsRow {
    pub(super) least: String,
    pub(super) most: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CategoryRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) logo: String,
}

/// Either `price`, or `least` and `most`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) ref_name: String,
    pub(super) operator: String,
    pub(super) category: String,
    pub(super) kind: String,
    pub(super) currency: String,
    pub(super) price: Option<String>,
    pub(super) least: Option<String>,
    pub(super) most: Option<String>,
    pub(super) bill_format: String,
    #[serde(default)]
    pub(super) fields: Vec<FieldRow>,
    #[serde(default)]
    pub(super) checks_bill: bool,
    #[serde(default)]
    pub(super) receipt: Vec<(String, String)>,
    pub(super) logo: String,
    pub(super) is_active: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldRow {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) required: bool,
    pub(super) format: Option<String>,
    pub(super) length_most: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceRow {
    pub(super) id: i64,
    pub(super) charge: String,
    pub(super) plan: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) currency: String,
    pub(super) flat: Option<String>,
    #[serde(default)]
    pub(super) share_ppm: i64,
    pub(super) least: Option<String>,
    pub(super) most: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteRow {
    pub(super) id: i64,
    pub(super) environment: String,
    pub(super) operator: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) recipient_ends: Option<String>,
    pub(super) upstreams: Vec<String>,
    #[serde(default)]
    pub(super) needs_approval: bool,
}

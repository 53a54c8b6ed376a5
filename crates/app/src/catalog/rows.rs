//! The rows of a catalog file, field by field as the TOML has them.
//!
//! Not here: what makes a row valid (`mod.rs`). A field that no row has is an error.

use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CatalogFile {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) country: Vec<CountryRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) operator: Vec<OperatorRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) category: Vec<CategoryRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) product: Vec<ProductRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) price: Vec<PriceRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) route: Vec<RouteRow>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountryRow {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) currency: String,
    pub(super) numbering: NumberingRow,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberingRow {
    pub(super) calling_code: String,
    pub(super) trunk: String,
    pub(super) length: usize,
    pub(super) begins: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorRow {
    pub(super) id: i64,
    pub(super) code: String,
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<String>,
    pub(super) name: String,
    pub(super) country: String,
    pub(super) service: String,
    pub(super) logo: String,
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) prefixes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prepaid: Option<LimitsRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postpaid: Option<LimitsRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offers: Option<String>,
    pub(super) is_active: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsRow {
    pub(super) least: String,
    pub(super) most: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CategoryRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) logo: String,
}

/// Either `price`, or `least` and `most`.
#[derive(Deserialize, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) least: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) most: Option<String>,
    pub(super) bill_format: String,
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<FieldRow>,
    #[serde(default)]
    pub(super) checks_bill: bool,
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) receipt: Vec<(String, String)>,
    pub(super) logo: String,
    pub(super) is_active: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldRow {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length_most: Option<usize>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceRow {
    pub(super) id: i64,
    pub(super) charge: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flat: Option<String>,
    #[serde(default)]
    pub(super) share_ppm: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) least: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) most: Option<String>,
    /// For this account only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<i64>,
    /// RFC 3339, as the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteRow {
    pub(super) id: i64,
    pub(super) environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recipient_ends: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) product: Option<String>,
    /// For this account only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<i64>,
    /// None: staff deliver by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) upstreams: Vec<String>,
    #[serde(default)]
    pub(super) needs_approval: bool,
}

//! The catalog: rows in, rows out.
//!
//! It is read whole, because it is used whole. A change notifies the other nodes, which read it
//! again.

use crate::backend::{Sql, Value, all, first, from_row, values};
use crate::fault::{Fault, Result};
use crate::read::to_json;
use domain::{
    AmountRange, Catalog, Category, Country, Field, OfferForm, Operator, PriceRule, Pricing,
    Product, Route, UpstreamCode,
};
use serde::{Deserialize, Serialize};

/// Everything that prices and routes a purchase.
pub(crate) fn whole(sql: &mut dyn Sql) -> Result<Catalog> {
    Ok(Catalog {
        countries: all(
            sql,
            "SELECT code, name, currency, calling_code, trunk, length, begins
             FROM countries ORDER BY code",
            &[],
            from_row,
        )?,
        operators: all(
            sql,
            "SELECT o.id, o.code, o.aliases, o.name, o.country, o.service, o.logo, o.prefixes,
                 c.currency, o.prepaid_least, c.currency, o.prepaid_most, c.currency,
                 o.postpaid_least, c.currency, o.postpaid_most, o.offers, o.is_active
             FROM operators o JOIN countries c ON c.code = o.country ORDER BY o.id",
            &[],
            from_row,
        )?,
        categories: all(
            sql,
            "SELECT id, name, description, logo FROM categories ORDER BY id",
            &[],
            from_row,
        )?,
        products: all(
            sql,
            "SELECT id, name, title, description, ref_name, operator, category_id, kind, currency,
                 price, currency, least, currency, most, bill_format, fields, checks_bill, receipt,
                 logo, is_active
             FROM products ORDER BY id",
            &[],
            from_row,
        )?,
        prices: all(
            sql,
            "SELECT id, charge, account_id, plan, operator, kind, from_at, until_at, currency, flat,
                 share_ppm, currency, least, currency, most FROM prices ORDER BY id",
            &[],
            from_row,
        )?,
        routes: all(
            sql,
            "SELECT id, environment, operator, kind, recipient_ends, upstreams, needs_approval,
                 product, account_id
             FROM routes ORDER BY id",
            &[],
            from_row,
        )?,
    })
}

/// Notifies every node that something of a topic has changed.
pub(crate) fn notify_nodes(sql: &mut dyn Sql, topic: &str) -> Result<()> {
    sql.run("UPDATE news SET revision = revision + 1 WHERE topic = $1", &values![topic])
}

/// How often the catalog, or an upstream, was changed.
pub(crate) fn revision(sql: &mut dyn Sql) -> Result<i64> {
    first(sql, "SELECT revision FROM news WHERE topic = 'catalog'", &[], |row| row.int(0))?
        .ok_or_else(|| Fault::corrupt("the catalog's revision is gone"))
}

/// Notifies every node that the catalog has changed, if it has this revision. False: it has
/// another one.
pub(crate) fn revise(sql: &mut dyn Sql, seen: i64) -> Result<bool> {
    let revised = sql.execute(
        "UPDATE news SET revision = revision + 1 WHERE topic = 'catalog' AND revision = $1",
        &values![seen],
    )?;
    Ok(revised == 1)
}

/// Inserts a country, or replaces it.
pub(crate) fn set_country(sql: &mut dyn Sql, c: &Country) -> Result<()> {
    let length =
        i64::try_from(c.numbering.length).map_err(|_| Fault::corrupt("a number's length"))?;
    sql.run(
        "INSERT INTO countries (code, name, currency, calling_code, trunk, length, begins)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (code) DO UPDATE SET name = excluded.name, currency = excluded.currency,
             calling_code = excluded.calling_code, trunk = excluded.trunk, length = excluded.length,
             begins = excluded.begins",
        &values![
            &c.code,
            &c.name,
            c.currency,
            &c.numbering.calling_code,
            &c.numbering.trunk,
            length,
            &c.numbering.begins
        ],
    )
}

/// Inserts an operator, or replaces it.
pub(crate) fn set_operator(sql: &mut dyn Sql, o: &Operator) -> Result<()> {
    let (aliases, prefixes) = (to_json(&o.aliases)?, to_json(&o.prefixes)?);
    let least = |limits: Option<AmountRange>| Value::from(limits.map(|l| l.min.minor()));
    let most = |limits: Option<AmountRange>| Value::from(limits.map(|l| l.max.minor()));
    sql.run(
        "INSERT INTO operators (id, code, aliases, name, country, service, logo, prefixes,
             prepaid_least, prepaid_most, postpaid_least, postpaid_most, offers, is_active)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (id) DO UPDATE SET code = excluded.code, aliases = excluded.aliases,
             name = excluded.name, country = excluded.country, service = excluded.service,
             logo = excluded.logo, prefixes = excluded.prefixes,
             prepaid_least = excluded.prepaid_least, prepaid_most = excluded.prepaid_most,
             postpaid_least = excluded.postpaid_least, postpaid_most = excluded.postpaid_most,
             offers = excluded.offers, is_active = excluded.is_active",
        &values![
            o.id,
            &o.code,
            &aliases,
            &o.name,
            &o.country,
            o.service.slug(),
            &o.logo,
            &prefixes,
            least(o.prepaid),
            most(o.prepaid),
            least(o.postpaid),
            most(o.postpaid),
            o.offers.map(OfferForm::code),
            o.is_active
        ],
    )
}

/// Inserts a category of products, or replaces it.
pub(crate) fn set_category(sql: &mut dyn Sql, c: &Category) -> Result<()> {
    sql.run(
        "INSERT INTO categories (id, name, description, logo) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
             logo = excluded.logo",
        &values![c.id, &c.name, &c.description, &c.logo],
    )
}

/// A field that a product requires, in its stored form (JSON).
#[derive(Serialize, Deserialize)]
pub(crate) struct FieldRow {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) is_required: bool,
    pub(crate) format: Option<String>,
    #[serde(rename = "length_most")]
    pub(crate) length_max: usize,
}

/// Inserts a product, or replaces it.
pub(crate) fn set_product(sql: &mut dyn Sql, p: &Product) -> Result<()> {
    let field = |f: &Field| FieldRow {
        name: f.name.clone(),
        label: f.label.clone(),
        is_required: f.is_required,
        format: f.format.as_ref().map(|format| format.as_str().to_owned()),
        length_max: f.length_max,
    };
    let fields: Vec<FieldRow> = p.fields.iter().map(field).collect();
    let fields = to_json(&fields)?;
    let receipt: Vec<(&str, String)> =
        p.receipt.iter().map(|line| (line.label.as_str(), line.part.code())).collect();
    let receipt = to_json(&receipt)?;
    let (price, limits) = match p.price {
        Pricing::Fixed(price) => (Some(price), None),
        Pricing::Range(limits) => (None, Some(limits)),
    };
    sql.run(
        "INSERT INTO products (id, name, title, description, ref_name, operator, category_id, kind,
             currency, price, least, most, bill_format, fields, checks_bill, receipt, logo,
             is_active)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, title = excluded.title,
             description = excluded.description, ref_name = excluded.ref_name,
             operator = excluded.operator, category_id = excluded.category_id, kind = excluded.kind,
             currency = excluded.currency, price = excluded.price, least = excluded.least,
             most = excluded.most, bill_format = excluded.bill_format, fields = excluded.fields,
             checks_bill = excluded.checks_bill, receipt = excluded.receipt, logo = excluded.logo,
             is_active = excluded.is_active",
        &values![
            p.id,
            &p.name,
            &p.title,
            &p.description,
            &p.ref_name,
            &p.operator,
            p.category,
            p.kind,
            p.price.currency(),
            price.map(|m| m.minor()),
            limits.map(|l| l.min.minor()),
            limits.map(|l| l.max.minor()),
            p.bill.as_str(),
            &fields,
            p.checks_bill,
            &receipt,
            &p.logo,
            p.is_active
        ],
    )
}

/// Inserts a price rule, or replaces it.
pub(crate) fn set_price(sql: &mut dyn Sql, p: &PriceRule) -> Result<()> {
    sql.run(
        "INSERT INTO prices (id, charge, account_id, plan, operator, kind, from_at, until_at,
             currency, flat, share_ppm, least, most)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO UPDATE SET charge = excluded.charge, account_id = excluded.account_id,
             plan = excluded.plan, operator = excluded.operator, kind = excluded.kind,
             from_at = excluded.from_at, until_at = excluded.until_at, currency = excluded.currency,
             flat = excluded.flat, share_ppm = excluded.share_ppm, least = excluded.least,
             most = excluded.most",
        &values![
            p.id,
            p.component.code(),
            p.account,
            &p.plan,
            &p.operator,
            p.kind,
            p.from,
            p.until,
            p.flat.currency(),
            p.flat.minor(),
            p.share_ppm,
            p.min.map(|m| m.minor()),
            p.max.map(|m| m.minor())
        ],
    )
}

/// Inserts a route, or replaces it.
pub(crate) fn set_route(sql: &mut dyn Sql, r: &Route) -> Result<()> {
    let upstreams: Vec<&str> = r.upstreams.iter().map(UpstreamCode::as_str).collect();
    let upstreams = to_json(&upstreams)?;
    sql.run(
        "INSERT INTO routes (id, environment, operator, kind, recipient_ends, upstreams,
             needs_approval, product, account_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET environment = excluded.environment,
             operator = excluded.operator, kind = excluded.kind,
             recipient_ends = excluded.recipient_ends, upstreams = excluded.upstreams,
             needs_approval = excluded.needs_approval, product = excluded.product,
             account_id = excluded.account_id",
        &values![
            r.id,
            r.environment,
            &r.operator,
            r.kind,
            &r.recipient_ends,
            &upstreams,
            r.needs_approval,
            &r.product,
            r.account
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Databases of earlier versions hold this text.
    #[test]
    fn the_stored_form_of_a_field_stays() {
        let stored = r#"{"name":"n","label":"l","is_required":true,"format":null,"length_most":8}"#;
        let row: FieldRow = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), stored);
    }
}

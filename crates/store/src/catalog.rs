//! The catalog: rows in, rows out.
//!
//! It is read whole, because it is used whole. A change notifies the other nodes, which read it
//! again.

use crate::backend::{Sql, Value, all};
use crate::fault::Fault;
use crate::read;
use domain::{
    AmountRange, Catalog, Category, Country, Field, OfferForm, Operator, PriceRule, Pricing,
    Product, Route, UpstreamCode,
};
use serde::{Deserialize, Serialize};

/// Everything that prices and routes a purchase.
pub(crate) fn whole(sql: &mut dyn Sql) -> Result<Catalog, Fault> {
    Ok(Catalog {
        countries: all(
            sql,
            "SELECT code, name, currency, calling_code, trunk, length, begins
             FROM countries ORDER BY code",
            &[],
            read::country,
        )?,
        operators: all(
            sql,
            "SELECT o.id, o.code, o.aliases, o.name, o.country, o.service, o.logo, o.prefixes,
                 o.prepaid_least, o.prepaid_most, o.postpaid_least, o.postpaid_most, o.offers,
                 o.is_active, c.currency
             FROM operators o JOIN countries c ON c.code = o.country ORDER BY o.id",
            &[],
            read::operator,
        )?,
        categories: all(
            sql,
            "SELECT id, name, description, logo FROM categories ORDER BY id",
            &[],
            read::category,
        )?,
        products: all(
            sql,
            "SELECT id, name, title, description, ref_name, operator, category_id, kind, currency,
                 price, least, most, bill_format, fields, checks_bill, receipt, logo, is_active
             FROM products ORDER BY id",
            &[],
            read::product,
        )?,
        prices: all(
            sql,
            "SELECT id, charge, account_id, plan, operator, kind, from_at, until_at, currency, flat,
                 share_ppm, least, most
             FROM prices ORDER BY id",
            &[],
            read::price,
        )?,
        routes: all(
            sql,
            "SELECT id, environment, operator, kind, recipient_ends, upstreams, needs_approval
             FROM routes ORDER BY id",
            &[],
            read::route,
        )?,
    })
}

/// Notifies every node that something of a topic has changed.
pub(crate) fn notify_nodes(sql: &mut dyn Sql, topic: &str) -> Result<(), Fault> {
    sql.execute("UPDATE news SET revision = revision + 1 WHERE topic = $1", &[topic.into()])
        .map(drop)
}

fn json(list: &[impl AsRef<str>]) -> Result<String, Fault> {
    let list: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&list).map_err(|error| Fault::corrupt(error.to_string()))
}

/// Inserts a country, or replaces it.
pub(crate) fn set_country(sql: &mut dyn Sql, c: &Country) -> Result<(), Fault> {
    let length =
        i64::try_from(c.numbering.length).map_err(|_| Fault::corrupt("a number's length"))?;
    sql.execute(
        "INSERT INTO countries (code, name, currency, calling_code, trunk, length, begins)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (code) DO UPDATE SET name = excluded.name, currency = excluded.currency,
             calling_code = excluded.calling_code, trunk = excluded.trunk, length = excluded.length,
             begins = excluded.begins",
        &[
            (&c.code).into(),
            (&c.name).into(),
            c.currency.code().into(),
            (&c.numbering.calling_code).into(),
            (&c.numbering.trunk).into(),
            length.into(),
            (&c.numbering.begins).into(),
        ],
    )?;
    Ok(())
}

/// Inserts an operator, or replaces it.
pub(crate) fn set_operator(sql: &mut dyn Sql, o: &Operator) -> Result<(), Fault> {
    let (aliases, prefixes) = (json(&o.aliases)?, json(&o.prefixes)?);
    let least = |limits: Option<AmountRange>| Value::from(limits.map(|l| l.min.minor()));
    let most = |limits: Option<AmountRange>| Value::from(limits.map(|l| l.max.minor()));
    sql.execute(
        "INSERT INTO operators (id, code, aliases, name, country, service, logo, prefixes,
             prepaid_least, prepaid_most, postpaid_least, postpaid_most, offers, is_active)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (id) DO UPDATE SET code = excluded.code, aliases = excluded.aliases,
             name = excluded.name, country = excluded.country, service = excluded.service,
             logo = excluded.logo, prefixes = excluded.prefixes,
             prepaid_least = excluded.prepaid_least, prepaid_most = excluded.prepaid_most,
             postpaid_least = excluded.postpaid_least, postpaid_most = excluded.postpaid_most,
             offers = excluded.offers, is_active = excluded.is_active",
        &[
            o.id.into(),
            (&o.code).into(),
            aliases.as_str().into(),
            (&o.name).into(),
            (&o.country).into(),
            o.service.slug().into(),
            (&o.logo).into(),
            prefixes.as_str().into(),
            least(o.prepaid),
            most(o.prepaid),
            least(o.postpaid),
            most(o.postpaid),
            o.offers.map(OfferForm::code).into(),
            o.is_active.into(),
        ],
    )?;
    Ok(())
}

/// Inserts a category of products, or replaces it.
pub(crate) fn set_category(sql: &mut dyn Sql, c: &Category) -> Result<(), Fault> {
    sql.execute(
        "INSERT INTO categories (id, name, description, logo) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
             logo = excluded.logo",
        &[c.id.0.into(), (&c.name).into(), (&c.description).into(), (&c.logo).into()],
    )?;
    Ok(())
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
pub(crate) fn set_product(sql: &mut dyn Sql, p: &Product) -> Result<(), Fault> {
    let broken = |error: serde_json::Error| Fault::corrupt(error.to_string());
    let field = |f: &Field| FieldRow {
        name: f.name.clone(),
        label: f.label.clone(),
        is_required: f.is_required,
        format: f.format.as_ref().map(|format| format.as_str().to_owned()),
        length_max: f.length_max,
    };
    let fields: Vec<FieldRow> = p.fields.iter().map(field).collect();
    let fields = serde_json::to_string(&fields).map_err(broken)?;
    let receipt: Vec<(&str, String)> =
        p.receipt.iter().map(|line| (line.label.as_str(), line.part.code())).collect();
    let receipt = serde_json::to_string(&receipt).map_err(broken)?;
    let (price, limits) = match p.price {
        Pricing::Fixed(price) => (Some(price), None),
        Pricing::Range(limits) => (None, Some(limits)),
    };
    sql.execute(
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
        &[
            p.id.0.into(),
            (&p.name).into(),
            (&p.title).into(),
            (&p.description).into(),
            (&p.ref_name).into(),
            (&p.operator).into(),
            p.category.0.into(),
            p.kind.code().into(),
            p.price.currency().code().into(),
            price.map(|m| m.minor()).into(),
            limits.map(|l| l.min.minor()).into(),
            limits.map(|l| l.max.minor()).into(),
            p.bill.as_str().into(),
            fields.as_str().into(),
            p.checks_bill.into(),
            receipt.as_str().into(),
            (&p.logo).into(),
            p.is_active.into(),
        ],
    )?;
    Ok(())
}

/// Inserts a price rule, or replaces it.
pub(crate) fn set_price(sql: &mut dyn Sql, p: &PriceRule) -> Result<(), Fault> {
    sql.execute(
        "INSERT INTO prices (id, charge, account_id, plan, operator, kind, from_at, until_at,
             currency, flat, share_ppm, least, most)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO UPDATE SET charge = excluded.charge, account_id = excluded.account_id,
             plan = excluded.plan, operator = excluded.operator, kind = excluded.kind,
             from_at = excluded.from_at, until_at = excluded.until_at, currency = excluded.currency,
             flat = excluded.flat, share_ppm = excluded.share_ppm, least = excluded.least,
             most = excluded.most",
        &[
            p.id.into(),
            p.component.code().into(),
            p.account.map(|a| a.0).into(),
            p.plan.as_ref().into(),
            p.operator.as_ref().into(),
            p.kind.map(|k| k.code()).into(),
            p.from.map(|t| t.0).into(),
            p.until.map(|t| t.0).into(),
            p.flat.currency().code().into(),
            p.flat.minor().into(),
            p.share_ppm.into(),
            p.min.map(|m| m.minor()).into(),
            p.max.map(|m| m.minor()).into(),
        ],
    )?;
    Ok(())
}

/// Inserts a route, or replaces it.
pub(crate) fn set_route(sql: &mut dyn Sql, r: &Route) -> Result<(), Fault> {
    let upstreams: Vec<&str> = r.upstreams.iter().map(UpstreamCode::as_str).collect();
    let upstreams = json(&upstreams)?;
    sql.execute(
        "INSERT INTO routes (id, environment, operator, kind, recipient_ends, upstreams,
             needs_approval)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET environment = excluded.environment,
             operator = excluded.operator, kind = excluded.kind,
             recipient_ends = excluded.recipient_ends, upstreams = excluded.upstreams,
             needs_approval = excluded.needs_approval",
        &[
            r.id.into(),
            r.environment.code().into(),
            r.operator.as_ref().into(),
            r.kind.map(|k| k.code()).into(),
            r.recipient_ends.as_ref().into(),
            upstreams.as_str().into(),
            r.needs_approval.into(),
        ],
    )?;
    Ok(())
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

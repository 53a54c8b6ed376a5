//! A catalog as a file: what `read` reads.

use super::rows::{
    CatalogFile, CategoryRow, CountryRow, FieldRow, LimitsRow, NumberingRow, OperatorRow, PriceRow,
    ProductRow, RouteRow,
};
use crate::cmd::moment;
use domain::{AmountRange, Catalog, Category, Field, Kind, Money, OfferForm, Operator, PriceRule};
use domain::{Pricing, Product, Route, UpstreamCode};

/// The whole catalog as TOML, sorted as it is stored.
pub(crate) fn write(catalog: &Catalog) -> anyhow::Result<String> {
    let category_of = |product: &Product| {
        let found = catalog.categories.iter().find(|category| category.id == product.category);
        found.map(|category| category.name.clone()).unwrap_or_default()
    };
    let file = CatalogFile {
        country: catalog.countries.iter().map(country).collect(),
        operator: catalog.operators.iter().map(operator).collect(),
        category: catalog.categories.iter().map(category).collect(),
        product: catalog.products.iter().map(|one| product(one, category_of(one))).collect(),
        price: catalog.prices.iter().map(price).collect(),
        route: catalog.routes.iter().map(route).collect(),
    };
    Ok(toml::to_string(&file)?)
}

fn country(country: &domain::Country) -> CountryRow {
    let numbering = &country.numbering;
    CountryRow {
        code: country.code.clone(),
        name: country.name.clone(),
        currency: country.currency.code().to_owned(),
        numbering: NumberingRow {
            calling_code: numbering.calling_code.clone(),
            trunk: numbering.trunk.clone(),
            length: numbering.length,
            begins: numbering.begins.clone(),
        },
    }
}

fn operator(operator: &Operator) -> OperatorRow {
    let limits =
        |range: AmountRange| LimitsRow { least: range.min.exact(), most: range.max.exact() };
    OperatorRow {
        id: operator.id,
        code: operator.code.clone(),
        aliases: operator.aliases.clone(),
        name: operator.name.clone(),
        country: operator.country.clone(),
        service: operator.service.slug().to_owned(),
        logo: operator.logo.clone(),
        prefixes: operator.prefixes.clone(),
        prepaid: operator.prepaid.map(limits),
        postpaid: operator.postpaid.map(limits),
        offers: operator.offers.map(|form| OfferForm::code(form).to_owned()),
        is_active: operator.is_active,
    }
}

fn category(category: &Category) -> CategoryRow {
    let Category { id, name, description, logo } = category.clone();
    CategoryRow { id: id.0, name, description, logo }
}

fn product(product: &Product, category: String) -> ProductRow {
    let (price, range) = match product.price {
        Pricing::Fixed(price) => (Some(price.exact()), None),
        Pricing::Range(range) => (None, Some(range)),
    };
    let receipt = product.receipt.iter().map(|line| (line.label.clone(), line.part.code()));
    ProductRow {
        id: product.id.0,
        name: product.name.clone(),
        title: product.title.clone(),
        description: product.description.clone(),
        ref_name: product.ref_name.clone(),
        operator: product.operator.clone(),
        category,
        kind: product.kind.code().to_owned(),
        currency: product.price.currency().code().to_owned(),
        price,
        least: range.map(|range| range.min.exact()),
        most: range.map(|range| range.max.exact()),
        bill_format: product.bill.as_str().to_owned(),
        fields: product.fields.iter().map(field).collect(),
        checks_bill: product.checks_bill,
        receipt: receipt.collect(),
        logo: product.logo.clone(),
        is_active: product.is_active,
    }
}

fn field(field: &Field) -> FieldRow {
    FieldRow {
        name: field.name.clone(),
        label: field.label.clone(),
        required: field.is_required,
        format: field.format.as_ref().map(|format| format.as_str().to_owned()),
        length_most: Some(field.length_max),
    }
}

fn price(rule: &PriceRule) -> PriceRow {
    PriceRow {
        id: rule.id,
        charge: rule.component.code().to_owned(),
        plan: rule.plan.clone(),
        operator: rule.operator.clone(),
        kind: rule.kind.map(|kind| Kind::code(kind).to_owned()),
        currency: rule.flat.currency().code().to_owned(),
        flat: (rule.flat.minor() != 0).then(|| rule.flat.exact()),
        share_ppm: rule.share_ppm,
        least: rule.min.map(Money::exact),
        most: rule.max.map(Money::exact),
        account: rule.account.map(|account| account.0),
        from: rule.from.map(moment),
        until: rule.until.map(moment),
    }
}

fn route(route: &Route) -> RouteRow {
    RouteRow {
        id: route.id,
        environment: route.environment.code().to_owned(),
        operator: route.operator.clone(),
        kind: route.kind.map(|kind| Kind::code(kind).to_owned()),
        recipient_ends: route.recipient_ends.clone(),
        product: route.product.clone(),
        account: route.account.map(|account| account.0),
        upstreams: route.upstreams.iter().map(UpstreamCode::to_string).collect(),
        needs_approval: route.needs_approval,
    }
}

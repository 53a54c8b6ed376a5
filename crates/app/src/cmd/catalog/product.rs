//! `saldo product`: what is bought by name.

use super::operator::limits;
use super::{ByArgs, MadeRows, next_id, set_rows};
use crate::cmd::{Caller, currency, kind};
use crate::output::Output;
use anyhow::{Context as _, Result, bail};
use domain::{
    BillFormat, Catalog, Category, CategoryId, Currency, Kind, Money, Pricing, Product, ProductId,
};
use serde_json::{Value, json};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum ProductVerb {
    /// Make a product, or change what is given here of one.
    Set(Box<ProductArgs>),
    /// List all, those that are off too.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show one.
    Show {
        /// Its name.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sell and list it no longer; `set NAME` sells it again.
    Off {
        /// Its name.
        name: String,
        #[command(flatten)]
        by: ByArgs,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ProductArgs {
    /// Its name. A new one is made.
    name: String,
    /// Whose: an operator's code or another name.
    #[arg(long)]
    operator: Option<String>,
    /// Its category, by name; a new one is made.
    #[arg(long)]
    category: Option<String>,
    /// bundle or bill, as a rule; of a new one only.
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// The currency of its price.
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
    /// Its price, if it is fixed.
    #[arg(long, conflicts_with = "amounts")]
    price: Option<String>,
    /// Its least and most amount, if the customer chooses: 1-500
    #[arg(long, value_name = "MIN-MAX")]
    amounts: Option<String>,
    /// For people.
    #[arg(long)]
    title: Option<String>,
    /// For people.
    #[arg(long)]
    description: Option<String>,
    /// The name under which the operator is looked up.
    #[arg(long)]
    ref_name: Option<String>,
    /// What its bill reference looks like: X is a digit.
    #[arg(long)]
    bill_format: Option<String>,
    /// The operator must know the bill reference before anything is quoted.
    #[arg(long)]
    checks_bill: Option<bool>,
    /// The file name of its logo.
    #[arg(long)]
    logo: Option<String>,
    #[command(flatten)]
    by: ByArgs,
}

pub(crate) async fn run(on: &Caller<'_>, verb: ProductVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    let catalog = engine.catalog();
    match verb {
        ProductVerb::Set(args) => {
            let make = |catalog: &Catalog| {
                Ok(MadeRows { rows: rows((*args).clone(), catalog)?, shown: args.name.clone() })
            };
            let name = set_rows(engine, &args.by.by, make).await?;
            output.say(format!("{name} is set; it is sold where a route leads."));
        }
        ProductVerb::List { json } => {
            for product in &catalog.products {
                output.row(json, value(product), line(product));
            }
        }
        ProductVerb::Show { name, json } => {
            let product = found(&catalog, &name)?;
            output.row(json, value(product), line(product));
        }
        ProductVerb::Off { name, by } => {
            let make = |catalog: &Catalog| {
                let product = Product { is_active: false, ..found(catalog, &name)?.clone() };
                let rows = Catalog { products: vec![product], ..Catalog::default() };
                Ok(MadeRows { rows, shown: () })
            };
            set_rows(engine, &by.by, make).await?;
            output.say(format!("{name} is sold no longer."));
        }
    }
    Ok(0)
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Product> {
    catalog.products.iter().find(|product| product.name.eq_ignore_ascii_case(name))
}

fn found<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Product> {
    find(catalog, name).with_context(|| format!("There is no product {name:?}."))
}

/// The product, and its category if that is new.
fn rows(args: ProductArgs, catalog: &Catalog) -> Result<Catalog> {
    let mut rows = Catalog::default();
    let mut product = match find(catalog, &args.name) {
        Some(known) => {
            if args.kind.is_some_and(|kind| kind != known.kind) {
                bail!("The kind of {:?} stays {}.", known.name, known.kind.code());
            }
            known.clone()
        }
        None => new(&args, catalog)?,
    };
    product.is_active = true;
    if let Some(name) = &args.operator {
        let operator = catalog.operators.iter().find(|operator| operator.is_called(name));
        product.operator =
            operator.with_context(|| format!("There is no operator {name}."))?.code.clone();
    }
    if let Some(name) = &args.category {
        product.category = category(name, catalog, &mut rows);
    }
    let currency = args.currency.unwrap_or(product.price.currency());
    if let Some(text) = &args.price {
        let price = Money::parse(text, currency).ok();
        let price =
            price.with_context(|| format!("{text:?} is no price in {}.", currency.code()))?;
        product.price = Pricing::Fixed(price);
    } else if let Some(text) = &args.amounts {
        let range = limits(text, currency)?.context("--amounts are two: 1-500.")?;
        product.price = Pricing::Range(range);
    } else if args.currency.is_some_and(|currency| currency != product.price.currency()) {
        bail!("Another currency needs its --price or --amounts.");
    }
    if let Some(text) = &args.bill_format {
        let format = BillFormat::new(text);
        product.bill = format.with_context(|| format!("{text:?} is no form of a reference."))?;
    }
    product.title = args.title.unwrap_or(product.title);
    product.description = args.description.unwrap_or(product.description);
    product.ref_name = args.ref_name.unwrap_or(product.ref_name);
    product.checks_bill = args.checks_bill.unwrap_or(product.checks_bill);
    product.logo = args.logo.unwrap_or(product.logo);
    rows.products.push(product);
    Ok(rows)
}

fn new(args: &ProductArgs, catalog: &Catalog) -> Result<Product> {
    let (Some(operator), Some(_), Some(kind), Some(currency)) =
        (&args.operator, &args.category, args.kind, args.currency)
    else {
        bail!(
            "{:?} is new: give --operator, --category, --kind, --currency and a price.",
            args.name
        );
    };
    if args.price.is_none() && args.amounts.is_none() {
        bail!("{:?} is new: give --price, or --amounts.", args.name);
    }
    let Some(bill) = args.bill_format.as_deref() else {
        bail!("{:?} is new: give --bill-format, what its reference looks like.", args.name);
    };
    Ok(Product {
        id: ProductId(next_id(catalog.products.iter().map(|product| product.id.0))),
        name: args.name.clone(),
        title: args.name.clone(),
        description: args.name.clone(),
        ref_name: operator.clone(),
        operator: operator.clone(),
        category: CategoryId(0),
        kind,
        price: Pricing::Fixed(Money::zero(currency)),
        bill: BillFormat::new(bill).with_context(|| format!("{bill:?} is no form."))?,
        fields: Vec::new(),
        checks_bill: false,
        receipt: Vec::new(),
        logo: format!("{}.svg", operator.to_lowercase()),
        is_active: true,
    })
}

fn category(name: &str, catalog: &Catalog, rows: &mut Catalog) -> CategoryId {
    let known = catalog.categories.iter().find(|one| one.name.eq_ignore_ascii_case(name));
    known.map_or_else(
        || {
            let id = CategoryId(next_id(catalog.categories.iter().map(|one| one.id.0)));
            let (name, description, logo) = (name.to_owned(), name.to_owned(), String::new());
            rows.categories.push(Category { id, name, description, logo });
            id
        },
        |known| known.id,
    )
}

fn price(product: &Product) -> String {
    match product.price {
        Pricing::Fixed(price) => price.exact(),
        Pricing::Range(range) => format!("{}-{}", range.min.exact(), range.max.exact()),
    }
}

fn value(product: &Product) -> Value {
    json!({
        "id": product.id.0,
        "name": product.name,
        "operator": product.operator,
        "kind": product.kind.code(),
        "title": product.title,
        "description": product.description,
        "currency": product.price.currency().code(),
        "price": price(product),
        "bill_format": product.bill.as_str(),
        "checks_bill": product.checks_bill,
        "is_active": product.is_active,
    })
}

fn line(product: &Product) -> String {
    format!(
        "{}  {} of {}, {} {}{}",
        product.name,
        product.kind.code(),
        product.operator,
        price(product),
        product.price.currency().code(),
        if product.is_active { "" } else { ", off" },
    )
}

//! `saldo route`: which upstreams get which purchases.

use super::{ByArgs, MadeRows, change, next_id, operator, set_rows};
use crate::cmd::{Caller, environment, kind};
use crate::output::Output;
use anyhow::{Context as _, Result};
use domain::{AccountId, Catalog, Environment, Kind, Route, UpstreamCode};
use engine::CatalogChange;
use serde_json::{Value, json};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum RouteVerb {
    /// Make a route, or replace the one with the same conditions.
    Set(RouteArgs),
    /// List all routes.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show one.
    Show {
        /// Its number.
        id: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove one: the next purchase takes another route, or is refused.
    Off {
        /// Its number.
        id: i64,
        #[command(flatten)]
        by: ByArgs,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RouteArgs {
    /// sandbox or live.
    #[arg(long, value_parser = environment)]
    environment: Environment,
    /// For this operator only, by its code or another name.
    #[arg(long)]
    operator: Option<String>,
    /// For this kind only: recharge, offer, banking, bundle, bill.
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// For this product only, by its name.
    #[arg(long)]
    product: Option<String>,
    /// For this account only.
    #[arg(long)]
    account: Option<i64>,
    /// For recipients that end like this only.
    #[arg(long, value_name = "DIGITS")]
    recipient_ends: Option<String>,
    /// In this order, the next one after a definite failure: a,b.
    #[arg(long, value_delimiter = ',')]
    upstreams: Vec<String>,
    /// Staff approve before anything is sent.
    #[arg(long)]
    needs_approval: bool,
    #[command(flatten)]
    by: ByArgs,
}

pub(crate) async fn run(on: &Caller<'_>, verb: RouteVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    let catalog = engine.catalog();
    match verb {
        RouteVerb::Set(args) => {
            let make = |catalog: &Catalog| {
                let route = route(args.clone(), catalog)?;
                let shown = route.id;
                let rows = Catalog { routes: vec![route], ..Catalog::default() };
                Ok(MadeRows { rows, shown })
            };
            let id = set_rows(engine, &args.by.by, make).await?;
            output.say(format!("Route {id} is set; the next purchase uses it."));
        }
        RouteVerb::List { json } => {
            for route in &catalog.routes {
                output.row(json, value(route), line(route));
            }
        }
        RouteVerb::Show { id, json } => {
            let route = catalog.routes.iter().find(|route| route.id == id);
            let route = route.with_context(|| format!("There is no route {id}."))?;
            output.row(json, value(route), line(route));
        }
        RouteVerb::Off { id, by } => {
            let removed = CatalogChange { removed_routes: vec![id], ..CatalogChange::default() };
            change(engine, &by.by, removed).await?;
            output.say(format!("Route {id} is removed."));
        }
    }
    Ok(0)
}

fn route(args: RouteArgs, catalog: &Catalog) -> Result<Route> {
    let operator = operator::code_of(catalog, args.operator.as_deref())?;
    let mut route = Route {
        id: next_id(catalog.routes.iter().map(|route| route.id)),
        environment: args.environment,
        operator,
        kind: args.kind,
        product: args.product,
        account: args.account.map(AccountId),
        recipient_ends: args.recipient_ends,
        upstreams: args.upstreams.iter().map(|code| UpstreamCode::new(code.trim())).collect(),
        needs_approval: args.needs_approval,
    };
    let known = catalog.routes.iter().find(|known| known.has_conditions_of(&route));
    route.id = known.map_or(route.id, |known| known.id);
    Ok(route)
}

fn value(route: &Route) -> Value {
    json!({
        "id": route.id,
        "environment": route.environment.code(),
        "operator": route.operator,
        "kind": route.kind.map(Kind::code),
        "product": route.product,
        "account": route.account.map(|account| account.0),
        "recipient_ends": route.recipient_ends,
        "upstreams": route.upstreams.iter().map(UpstreamCode::as_str).collect::<Vec<_>>(),
        "needs_approval": route.needs_approval,
    })
}

fn line(route: &Route) -> String {
    let mut conditions = vec![route.environment.code().to_owned()];
    let named = [
        ("operator", route.operator.clone()),
        ("kind", route.kind.map(|kind| kind.code().to_owned())),
        ("product", route.product.clone()),
        ("account", route.account.map(|account| account.to_string())),
        ("recipients ending in", route.recipient_ends.clone()),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    conditions.extend(named);
    let upstreams: Vec<&str> = route.upstreams.iter().map(UpstreamCode::as_str).collect();
    let to = if upstreams.is_empty() { "staff".to_owned() } else { upstreams.join(", then ") };
    let approval = if route.needs_approval { ", after approval" } else { "" };
    format!("{}  {}: {to}{approval}", route.id, conditions.join(", "))
}

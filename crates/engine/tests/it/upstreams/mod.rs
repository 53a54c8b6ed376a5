//! Upstreams that staff set up: the registry, the choice among a route's upstreams, floats.

mod choice;
mod enquiries;
mod floats;
mod rechecks;
mod registry;
mod shown;

use crate::world::*;
use domain::{Catalog, Environment, Route};
use engine::{NewUpstream, UpstreamChange};

/// The numbers that are routed to `x`, or to `x` and then `b`.
const TO_X: &str = "01712345674";
const TO_X_B: &str = "01712345675";

fn new(code: &str) -> NewUpstream {
    NewUpstream {
        code: code.to_owned(),
        kind: "scripted".to_owned(),
        environment: Environment::Live,
        settings: UpstreamChange {
            url: Some("https://api.example.com/v1".to_owned()),
            secrets: [("key".to_owned(), "very-secret".to_owned())].into(),
            ..UpstreamChange::default()
        },
    }
}

/// A world with the upstream `x`, and routes to it.
async fn world_with_x() -> World {
    let world = world().await;
    world.engine.add_upstream(new("x")).await.unwrap();
    route_to_x(&world).await;
    world
}

/// The numbers of `x` go to `b`.
async fn route_away(world: &World) {
    let to = |id, digit: &str| Route {
        recipient_ends: Some(digit.to_owned()),
        ..fixtures::route(id, &["b"])
    };
    let routes = vec![to(20, "4"), to(21, "5")];
    world.engine.set_catalog(Catalog { routes, ..Catalog::default() }).await.unwrap();
}

async fn route_to_x(world: &World) {
    let to = |id, digit: &str, upstreams: &[&str]| Route {
        recipient_ends: Some(digit.to_owned()),
        ..fixtures::route(id, upstreams)
    };
    let routes = vec![to(20, "4", &["x"]), to(21, "5", &["x", "b"])];
    world.engine.set_catalog(Catalog { routes, ..Catalog::default() }).await.unwrap();
}

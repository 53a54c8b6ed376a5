//! Crashes, outages, races and hostile input: no acknowledged purchase is lost or charged twice.
//!
//! The module names are used by the filters in `.config/nextest.toml`.

mod buyers;
mod cut_off;
mod database_proxy;
mod dead;
mod fail_over;
mod fuzz;
mod kills;
mod nodes;
mod on_postgres;
mod oracle;
mod races;
mod sales;
mod tap;

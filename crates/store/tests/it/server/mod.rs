//! PostgreSQL: opening, several nodes, lost connections, a fail-over, the growth of a history.

mod concurrency;
mod durability;
mod fail_over;
mod growth;
mod lost_commits;
mod nodes;
mod opening;
mod proxy;
mod refusals;

//! Clocks that jump, clients and processes that end, decisions at once, answers that get lost.

mod clock;
mod crash;
mod jumps;
mod races;
mod soak;
mod store_away;

//! Clocks that jump, clients and processes that end, decisions at once, answers that get lost.

mod clock;
mod crash;
mod races;
mod soak;

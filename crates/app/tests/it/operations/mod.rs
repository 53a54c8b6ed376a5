//! Operation of Saldo: the command line, backups, archives, logs, commands of staff.
//!
//! The module names are used by the filters in `.config/nextest.toml`.

#[cfg(feature = "bench")]
mod archive;
mod backup;
#[cfg(feature = "bench")]
mod bench;
mod clocks;
mod command_line;
mod control;
mod currencies;
mod first_sale;
mod folders;
mod logs;
mod restored;
mod setup;
mod staff;
mod unwritable_log;
mod users;

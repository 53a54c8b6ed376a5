//! SQLite in a data folder: opening, copies, refusals of the database itself, a full disk.

mod backup;
mod disk_full;
mod flips;
mod opening;
mod refusals;

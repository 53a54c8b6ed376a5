//! A running installation: its workers, its archive, a halt, deposits by staff.

mod acts;
mod archive;
mod commission;
mod find;
mod halt;
mod plans;
mod workers;

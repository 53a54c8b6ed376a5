//! A running installation: its workers, its archive, a halt, deposits by staff.

mod archive;
mod halt;
mod workers;

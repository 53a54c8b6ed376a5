//! The lock that one node holds as long as it works with a database.
//!
//! A session's advisory lock on a connection of its own: it goes with the node, however that ends.
//! Not here: what several nodes on one database would need.

use super::link::{Line, Server};
use crate::fault::{Fault, OpenError};

/// Held by one node. Spells "node".
const NODE_LOCK: i64 = 0x6e6f_6465;

/// The lock, as long as its connection lasts.
pub(crate) struct NodeLock {
    line: Line,
}

impl NodeLock {
    /// Takes it; refuses if another node has it.
    pub(crate) fn take(server: &Server) -> Result<NodeLock, OpenError> {
        let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
        let line = server.connect().map_err(broken)?;
        let taken = format!("SELECT pg_try_advisory_lock({NODE_LOCK})::int::int8");
        match line.number(&taken).map_err(broken)? {
            1 => Ok(NodeLock { line }),
            _ => Err(OpenError::InUse(server.name().to_owned())),
        }
    }

    /// Whether its connection has ended, and the lock with it.
    pub(crate) fn is_lost(&self) -> bool {
        self.line.client.is_closed()
    }
}

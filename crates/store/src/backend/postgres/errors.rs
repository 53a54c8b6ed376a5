//! What the server's errors mean: for the caller, for the connection, and for a Tx.

use crate::fault::Fault;
use std::fmt::Write as _;
use tokio_postgres::Error;

/// The fault that a failed statement is for its caller.
pub(super) fn fault(error: &Error) -> Fault {
    let Some(reply) = error.as_db_error() else { return Fault::Unavailable(text_of(error)) };
    let text = reply.message().to_owned();
    match reply.code().code() {
        "53100" => Fault::DiskFull(text),
        // Raised by the schema's `refuse_count`.
        "SC001" => Fault::Corrupt(text),
        code if is_transient(code) => Fault::Unavailable(text),
        _ => Fault::Database(text),
    }
}

/// Codes of errors after which a retry may succeed soon: a server that is starting, stopping or no
/// longer the primary, too many connections, a deadlock, a lock timeout.
const TRANSIENT: [&str; 10] =
    ["25006", "25P03", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "57P05"];

/// Whether a retry may succeed soon; class 08 is a lost connection.
fn is_transient(code: &str) -> bool {
    code.starts_with("08") || TRANSIENT.contains(&code)
}

/// Whether the connection can still be used after this error: the server has answered, and it is
/// still the primary.
pub(super) fn keeps_connection(error: &Error) -> bool {
    let code = error.as_db_error().map(|reply| reply.code().code());
    code.is_some_and(|code| !is_transient(code) || matches!(code, "40001" | "40P01" | "55P03"))
}

/// Whether the run of the Tx was taken over: the schema's `refuse_count` raises this code when the
/// writer's row is gone.
pub(super) fn is_fenced(error: &Error) -> bool {
    error.as_db_error().is_some_and(|reply| reply.code().code() == "SF001")
}

/// Whether this reply to COMMIT proves that nothing was committed.
pub(super) fn is_certain(error: &Error) -> bool {
    let code = error.as_db_error().map(|reply| reply.code().code());
    code.is_some_and(|code| matches!(&code[..2], "23" | "25" | "40" | "53" | "P0"))
}

/// A refused connection, with the server's reason: the operator needs it.
pub(super) fn refused(error: &Error) -> Fault {
    Fault::Unavailable(text_of(error))
}

/// A statement that the server does not answer.
pub(super) fn silent() -> Fault {
    Fault::Unavailable("it does not answer".into())
}

/// The server's message, or the error with all its causes.
pub(super) fn text_of(error: &Error) -> String {
    if let Some(reply) = error.as_db_error() {
        return reply.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

//! A mail, and whoever carries it.
//!
//! Not here: SMTP, files, queues. Invariant: a mail carries secrets (one-time codes), so it has no
//! `Debug` that shows its text.

use crate::upstream::BoxFuture;

/// A mail to one person, in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To which address.
    pub to: String,
    /// About what.
    pub subject: String,
    /// The words; may hold a one-time code.
    pub text: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Carries mails.
pub trait Mailer: Send + Sync {
    /// Hands a mail over; an error says why it could not be, without the mail's text. It is not
    /// tried again: whoever waits for a code asks for another.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), String>>;
}

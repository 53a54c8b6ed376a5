//! A mail, and the trait of what sends it.
//!
//! Not here: SMTP, files, queues. Invariant: a mail contains secrets (one-time codes), so its
//! `Debug` shows neither text nor recipient.

use crate::upstream::BoxFuture;

/// A mail to one person, in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipient's address.
    pub to: String,
    /// The subject line; contains no secret.
    pub subject: String,
    /// The body; may contain a one-time code.
    pub text: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Sends mails.
pub trait Mailer: Send + Sync {
    /// Sends a mail. The error gives the reason, without the mail's text. There is no retry: a
    /// user who gets no code requests a new one.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), String>>;
}

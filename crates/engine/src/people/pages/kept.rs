//! A form that waits for a fresh password or code: sealed, in the page that asks for it.
//!
//! Invariants: it opens for the session that it was sent with only, within five minutes; nothing
//! of it is stored.

use crate::{Engine, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::refusal::Unavailable;
use domain::{SessionId, Timestamp};

/// The purpose under which forms are sealed.
const SEALED: &str = "kept form";

/// A form as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptForm {
    /// Where to, with its query.
    pub path: String,
    /// Its `Content-Type`.
    pub content_type: String,
    /// What was typed.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for KeptForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptForm({}, {} bytes)", self.path, self.body.len())
    }
}

impl Engine {
    /// A form, sealed for a session.
    pub fn keep_form(&self, session: SessionId, form: &KeptForm) -> Result<String, Unavailable> {
        let KeptForm { path, content_type, body } = form;
        let head = format!("{}\n{path}\n{content_type}\n", self.now().0);
        let text = [head.as_bytes(), body].concat();
        Ok(URL_SAFE_NO_PAD.encode(self.sealed(SEALED, &row(session), &text)?))
    }

    /// The form of a sealed text; none if it is another session's, too old, or none of ours.
    pub fn kept_form(&self, session: SessionId, sealed: &str) -> Option<KeptForm> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let text = self.inner.vault.open(SEALED, &row(session), &sealed).ok()?;
        let mut parts = text.splitn(4, |byte| *byte == b'\n');
        let mut line = || String::from_utf8(parts.next()?.to_vec()).ok();
        let (at, path, content_type) = (line()?, line()?, line()?);
        let body = parts.next()?.to_vec();
        let kept_at = Timestamp(at.parse().ok()?);
        let is_fresh = self.now().since(kept_at) <= limits::FORM_KEPT;
        is_fresh.then_some(KeptForm { path, content_type, body })
    }
}

fn row(session: SessionId) -> String {
    format!("session {session}")
}

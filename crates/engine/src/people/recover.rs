//! A new password: by the current one, or by a code in a mail.
//!
//! Invariant: the commit that sets a password ends every session that was opened with the old one,
//! the caller's own too.

use super::code::CodePurpose;
use super::pages::letters::Letters;
use super::password::{PasswordCheck, QueueShare};
use super::{email_digest, fields};
use crate::access::Changed;
use crate::refusals::ensure;
use crate::{Caller, Engine, Permit};
use domain::refusal::{
    CodeInvalid, LogInFailed, PasswordRefused, ResetRefused, StoreRefused, TokenInvalid,
};
use domain::{Mail, act};
use serde_json::json;
use std::net::IpAddr;
use store::{CodeDone, ResetPassword, SetPassword, User};

impl Engine {
    /// Sets a new password by the current one. Refuses a wrong current one (`LogInFailed`; it
    /// counts as a failed log-in), and a new one that is too easy (field `password`).
    pub async fn change_password(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), PasswordRefused> {
        let id = self.session_of_caller(caller)?.session.user;
        let holder = self.or_unavailable(self.inner.store.user(id))?;
        let user = holder.ok_or(TokenInvalid)?.user;
        fields::check_password(&user.email, new)?;
        self.check_password_of(&user, current, from).await?;
        let password_hash = self.hashed(new).await?;
        let (was, at) = (user.password_hash, self.now());
        let set = SetPassword { user: user.id, was, password_hash, at };
        let is = json!({ "password": "changed", "sessions": "ended" });
        let is_set = self.change_login(&permit, user.id, set, json!(null), is).await?;
        // Else the password was changed while it was verified.
        ensure(is_set, LogInFailed)?;
        self.send_mail(password_changed(user.email));
        Ok(())
    }

    /// Refuses what is not the login's password (`LogInFailed`); it counts as a failed log-in.
    pub(super) async fn check_password_of(
        &self,
        user: &User,
        password: &str,
        from: IpAddr,
    ) -> Result<(), PasswordRefused> {
        let guess = self.begin_guess(&user.email, from, None)?;
        let hasher = &self.inner.people.hasher;
        let check = hasher.verify(QueueShare::Known, password, Some(&user.password_hash)).await?;
        if check == PasswordCheck::Wrong {
            guess.failed(self.monotonic());
            return Err(LogInFailed.into());
        }
        Ok(())
    }

    /// Mails a code to set a new password with, if the address is a login's. The answer is the same
    /// if it is not, or if too many mails were requested.
    pub async fn forgot_password(
        &self,
        permit: Permit<act::EnterBySecret>,
        email: &str,
        from: IpAddr,
    ) -> Result<(), StoreRefused> {
        let email = fields::address(email);
        if !fields::is_address(&email) || self.may_request_mail(&email, from).is_err() {
            return Ok(());
        }
        let known = self.user_of(&email)?;
        let code = self.fresh_code()?;
        // For an unknown address too: the code is sent to nobody, and the work is the same.
        self.offer_code(&permit, CodePurpose::Reset, &email, &code, None).await?;
        if let Some(holder) = known {
            self.send_mail(Letters::of(&holder.user.language).reset(email, &code));
        }
        Ok(())
    }

    /// Sets a new password by a mailed code, and lifts the lock of its address: the owner of the
    /// mailbox need not wait because others guessed. Refuses a new password that is too easy (field
    /// `password`); a code that is wrong, used, not among the newest three, too old, tried five
    /// times from this site or fifty times in all (`CodeInvalid`); and many tries of codes
    /// (`TooFast`).
    pub async fn reset_password(
        &self,
        permit: Permit<act::EnterBySecret>,
        email: &str,
        code: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), ResetRefused> {
        let typed = self.typed(CodePurpose::Reset, email, code);
        fields::check_password(&typed.email, new)?;
        let guess = self.begin_code(email, from)?.ok_or(CodeInvalid)?;
        let password_hash = self.hashed(new).await?;
        let email = typed.email.clone();
        let after = json!({ "email": email, "password": "changed", "sessions": "ended" });
        let changed = Changed::made("login by a mailed code", after);
        let reset = ResetPassword { typed, password_hash };
        let reset = self.recorded(&permit, reset, [changed], |done| *done == CodeDone::Written);
        let written = self.commit(&permit, reset).await;
        // Whose sessions it ended only the commit knows. After a fault it may be written.
        if !matches!(written, Ok(CodeDone::CodeWrong | CodeDone::EmailMoved)) {
            self.inner.people.session_ends.end_all();
        }
        if self.or_unavailable(written)? != CodeDone::Written {
            guess.failed(self.monotonic());
            return Err(CodeInvalid.into());
        }
        self.inner.people.lockout.lift(email_digest(&email), from);
        self.send_mail(password_changed(email));
        Ok(())
    }
}

fn password_changed(to: String) -> Mail {
    let text = "Your password was changed, and every device was logged out.\n\
                If it was not you, have it reset now, and tell us.\n";
    Mail { to, subject: "Your password was changed".to_owned(), text: text.to_owned() }
}

//! A new password: by the old one, or by a code in a mail.
//!
//! Invariant: whoever sets a password ends every session that was opened with the old one, their
//! own too, in the same commit.

use super::code::For;
use super::password::PasswordCheck;
use super::{counted, fields};
use crate::{Caller, Engine};
use domain::account::Role;
use domain::mail::Mail;
use domain::refusal::Refusal;
use std::net::IpAddr;
use store::{PeopleChange, PeopleDone};

impl Engine {
    /// Sets a new password by the current one. Refuses a wrong current one (`LogInFailed`, and it
    /// counts as a failed log-in), and a new one that is too easy (`password`).
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), Refusal> {
        let id = self.session_of_caller(caller)?.session.user;
        let holder = self.inner.store.user(id).map_err(|fault| self.unavailable(&fault))?;
        let user = holder.ok_or(Refusal::TokenInvalid)?.user;
        fields::check_password(&user.email, new)?;
        let ticket = self.may_guess(&user.email, from, None)?;
        let verdict = self.inner.people.hasher.verify(current, Some(&user.password_hash)).await?;
        if verdict == PasswordCheck::Wrong {
            ticket.failed(self.monotonic());
            return Err(Refusal::LogInFailed);
        }
        drop(ticket);
        let password_hash = self.hashed(new).await?.0;
        let (was, at) = (user.password_hash, self.now());
        let change = PeopleChange::SetPassword { user: user.id, was, password_hash, at };
        match self.change_people(change).await? {
            PeopleDone::Written => {
                self.post(changed(user.email));
                Ok(())
            }
            // Somebody else was faster: what was verified is not the password any more.
            PeopleDone::Moved | PeopleDone::CodeWrong | PeopleDone::EmailMoved => {
                Err(Refusal::LogInFailed)
            }
        }
    }

    /// Mails a code to set a new password with, if the address is a customer's login. The answer
    /// is the same if it is not, or if it was asked for too often.
    pub async fn forgot_password(&self, email: &str, from: IpAddr) -> Result<(), Refusal> {
        let email = fields::address(email);
        if !fields::is_address(&email) {
            return Ok(());
        }
        if self.may_ask_for_mail(&email, from).is_err() {
            return Ok(());
        }
        let is_customer = self.user_of(&email)?.is_some_and(|h| h.account.role == Role::Customer);
        let code = self.fresh_code()?;
        // For an unknown address too: nobody is told this code, and the work is the same.
        self.offer_code(For::Reset, &email, &code, None).await?;
        if is_customer {
            self.post(reset_with(email, &code));
        }
        Ok(())
    }

    /// Sets a new password by a mailed code, and lifts the lock of its address: whoever reads its
    /// mail need not wait for what others guessed. Refuses a new one that is too easy (`password`),
    /// a code that is wrong, used, not among the newest three, too old, tried five times from here
    /// or fifty in all (`CodeInvalid`), and whoever tries many (`TooFast`).
    pub async fn reset_password(
        &self,
        email: &str,
        code: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), Refusal> {
        let typed = self.typed(For::Reset, email, code);
        fields::check_password(&typed.email, new)?;
        let ticket = self.may_type_code(email, from)?;
        let password_hash = self.hashed(new).await?.0;
        let email = typed.email.clone();
        match self.change_people(PeopleChange::Reset { typed, password_hash }).await? {
            PeopleDone::Written => {
                self.inner.people.lockout.lift(counted(&email), from);
                self.post(changed(email));
                Ok(())
            }
            PeopleDone::CodeWrong | PeopleDone::EmailMoved | PeopleDone::Moved => {
                ticket.failed(self.monotonic());
                Err(Refusal::CodeInvalid)
            }
        }
    }
}

fn reset_with(to: String, code: &str) -> Mail {
    let text = format!(
        "Somebody, we hope you, wants a new password for this address.\n\nYour code: {code}\n\n\
         Type it where you asked for it, within 30 minutes.\n\
         If it was not you, do nothing: your password stays.\n"
    );
    Mail { to, subject: "Your code for a new password".to_owned(), text }
}

fn changed(to: String) -> Mail {
    let text = "Your password was changed, and every device was logged out.\n\
                If it was not you, have it reset now, and tell us.\n";
    Mail { to, subject: "Your password was changed".to_owned(), text: text.to_owned() }
}

//! Sign-up: a form, a code by mail, an account.
//!
//! Invariant: who signs up learns nothing of whether the address is somebody's: the same answer,
//! the same work, one mail either way. Only the mail differs, and only its reader sees it.

use super::code::For;
use super::lockout::{NoTry, Ticket};
use super::{counted, fields, too_fast};
use crate::{Engine, limits};
use domain::account::AccountId;
use domain::ids::UserId;
use domain::mail::Mail;
use domain::money::Currency;
use domain::refusal::Refusal;
use std::net::IpAddr;
use std::time::Duration;
use store::{Code, EnteredCode, PendingSignUp, PeopleChange, PeopleDone};

/// A form that was filled in.
#[derive(Clone, Copy)]
pub struct SignUp<'a> {
    /// What the login will be.
    pub email: &'a str,
    /// The mobile number in national form, digits only; may be empty.
    pub mobile: &'a str,
    /// The password that was chosen.
    pub password: &'a str,
    /// How the person is called; empty: by the address.
    pub name: &'a str,
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

impl Engine {
    /// Takes a sign-up and mails a code; of an address the newest three sign-ups wait, each for its
    /// own. To an address that has a login already, a mail that says so. The answer is the same.
    /// Refuses wrong fields (`email`, `mobile`, `name`, `password`), and `TooFast` an address of mail
    /// or network that asks often.
    pub async fn sign_up(&self, form: SignUp<'_>) -> Result<(), Refusal> {
        let email = fields::address(form.email);
        let name = form.name.trim();
        fields::check_sign_up(&email, form.mobile, name, form.password)?;
        self.may_ask_for_mail(&email, form.from).map_err(too_fast)?;
        let is_known = self.user_of(&email)?.is_some();
        let password_hash = self.hashed(form.password).await?.0;
        let code = self.fresh_code()?;
        let name = if name.is_empty() { &email } else { name }.to_owned();
        let mobile = (!form.mobile.is_empty()).then(|| form.mobile.to_owned());
        let pending = Some(PendingSignUp { name, mobile, password_hash });
        // For a known address too: nobody is told this code, and the work is the same.
        self.offer_code(For::SignUp(form.password), &email, &code, pending).await?;
        self.post(if is_known {
            known_already(email)
        } else {
            confirm_with(email, form.mobile, &code)
        });
        Ok(())
    }

    /// Opens the account that a code waits with, a wallet in each currency and environment, and
    /// its login, in one commit. Refuses a code that is wrong, used, not among the newest three,
    /// older than half an hour, tried five times from here or fifty in all, or of a sign-up with
    /// another password (`CodeInvalid`); `TooFast` whoever tries many.
    pub async fn confirm_sign_up(
        &self,
        email: &str,
        code: &str,
        password: &str,
        currencies: &[Currency],
        from: IpAddr,
    ) -> Result<(), Refusal> {
        let ticket = self.may_type_code(email, from)?;
        let sign_up = store::SignUp {
            typed: self.typed(For::SignUp(password), email, code),
            account: AccountId(self.next_id()),
            user: UserId(self.next_id()),
            currencies: currencies.to_vec(),
        };
        match self.change_people(PeopleChange::SignUp(Box::new(sign_up))).await? {
            PeopleDone::Written => Ok(()),
            PeopleDone::CodeWrong | PeopleDone::EmailMoved | PeopleDone::Moved => {
                ticket.failed(self.monotonic());
                Err(Refusal::CodeInvalid)
            }
        }
    }

    /// Whether a mail with a code may be asked for, else how long to wait. A new code has new tries
    /// for whoever asked for it.
    pub(super) fn may_ask_for_mail(&self, email: &str, from: IpAddr) -> Result<(), Duration> {
        let (people, email) = (&self.inner.people, counted(email));
        people.mails.admit(email, from, self.monotonic())?;
        people.lockout.forget_codes(email, from);
        Ok(())
    }

    /// A ticket for one code, which whoever typed five wrong ones here has not.
    pub(super) fn may_type_code(&self, email: &str, from: IpAddr) -> Result<Ticket<'_>, Refusal> {
        let email = counted(&fields::address(email));
        let ticket = self.inner.people.lockout.begin_code(email, from, self.monotonic());
        ticket.map_err(|no| match no {
            NoTry::Spent => Refusal::CodeInvalid,
            NoTry::Wait(wait) => too_fast(wait),
        })
    }

    pub(super) fn typed(&self, purpose: For<'_>, email: &str, code: &str) -> EnteredCode {
        let email = fields::address(email);
        let digest = self.digest_of_code(purpose, &email, code);
        EnteredCode { email, digest, at: self.now() }
    }

    pub(super) async fn offer_code(
        &self,
        purpose: For<'_>,
        email: &str,
        code: &str,
        pending: Option<PendingSignUp>,
    ) -> Result<(), Refusal> {
        let made_at = self.now();
        let code = Code {
            email: email.to_owned(),
            digest: self.digest_of_code(purpose, email, code),
            pending,
            made_at,
            expires_at: made_at.after(limits::CODE_LIFE),
        };
        self.change_people(PeopleChange::OfferCode(Box::new(code))).await?;
        Ok(())
    }
}

fn confirm_with(to: String, mobile: &str, code: &str) -> Mail {
    // Who did not ask for it can tell by the number whose sign-up this is.
    let ends = mobile.get(mobile.len().saturating_sub(3)..).unwrap_or_default();
    let whose = match ends {
        "" => String::new(),
        ends => format!(" with a mobile number ending in {ends}"),
    };
    let text = format!(
        "Somebody, we hope you, signs up with this address{whose}.\n\nYour code: {code}\n\n\
         Type it where you signed up, within 30 minutes.\n\
         If it was not you, do nothing: without the code no account is opened.\n"
    );
    Mail { to, subject: "Your code to sign up".to_owned(), text }
}

fn known_already(to: String) -> Mail {
    let text = "Somebody, perhaps you, wants to sign up with this address. You have an account \
                already: log in, or have your password reset if you forgot it.\n\
                If it was not you, do nothing: nothing was changed.\n";
    Mail { to, subject: "You have an account already".to_owned(), text: text.to_owned() }
}

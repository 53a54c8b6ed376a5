//! Sign-up: a form, a code by mail, an account.
//!
//! Invariant: a sign-up does not show whether the address has a login already: the same answer, the
//! same work, one mail either way. Only the mail differs, and only its reader sees it.

use super::code::CodePurpose;
use super::lockout::{CodeRefused, Guess};
use super::{email_digest, fields, too_fast};
use crate::access::Changed;
use crate::{Engine, Permit, limits};
use domain::refusal::{CodeInvalid, ConfirmRefused, SignUpRefused, StoreRefused, TooFast};
use domain::{Currency, Mail, act};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use store::{Code, CodeDone, EnteredCode, OfferCode, PendingSignUp};

/// The form of a sign-up.
#[derive(Clone, Copy)]
pub struct SignUpForm<'a> {
    /// The login's mail address.
    pub email: &'a str,
    /// The mobile number in national form, digits only; may be empty.
    pub mobile: &'a str,
    /// The password for the login.
    pub password: &'a str,
    /// The person's name; if empty, the address is used.
    pub name: &'a str,
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

/// The code of a sign-up, as it was typed.
#[derive(Clone, Copy)]
pub struct Confirmation<'a> {
    /// The address that the code was mailed to.
    pub email: &'a str,
    /// The code.
    pub code: &'a str,
    /// The password of the sign-up.
    pub password: &'a str,
    /// The currencies of the wallets that open.
    pub currencies: &'a [Currency],
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

impl Engine {
    /// Stores a sign-up and mails its code. The newest three sign-ups of an address wait, each with
    /// a code of its own. An address that has a login already gets a mail that says so; the answer
    /// is the same. Refuses wrong fields (`email`, `mobile`, `name`, `password`), and too many
    /// mails to one address or from one network (`TooFast`).
    pub async fn sign_up(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: SignUpForm<'_>,
    ) -> Result<(), SignUpRefused> {
        let email = fields::address(form.email);
        let name = form.name.trim();
        fields::check_sign_up(&email, form.mobile, name, form.password)?;
        self.may_request_mail(&email, form.from).map_err(too_fast)?;
        let is_known = self.user_of(&email)?.is_some();
        let password_hash = self.hashed(form.password).await?;
        let code = self.fresh_code()?;
        let name = if name.is_empty() { &email } else { name }.to_owned();
        let mobile = (!form.mobile.is_empty()).then(|| form.mobile.to_owned());
        let pending = Some(PendingSignUp { name, mobile, password_hash });
        // For a known address too: the code is sent to nobody, and the work is the same.
        self.offer_code(&permit, CodePurpose::SignUp(form.password), &email, &code, pending)
            .await?;
        self.send_mail(match is_known {
            true => known_mail(email),
            false => confirmation_mail(email, form.mobile, &code),
        });
        Ok(())
    }

    /// Opens the account of the sign-up with this code, a wallet in each currency and environment,
    /// and its login, in one commit. Refuses a code that is wrong, used, not among the newest
    /// three, older than half an hour, tried five times from this site or fifty times in all, or of
    /// a sign-up with another password (`CodeInvalid`); and many tries of codes (`TooFast`).
    pub async fn confirm_sign_up(
        &self,
        permit: Permit<act::EnterBySecret>,
        confirmation: Confirmation<'_>,
    ) -> Result<(), ConfirmRefused> {
        let Confirmation { email, code, password, currencies, from } = confirmation;
        let guess = self.begin_code(email, from)?.ok_or(CodeInvalid)?;
        let sign_up = store::SignUp {
            typed: self.typed(CodePurpose::SignUp(password), email, code),
            account: self.or_unavailable(self.next_account().await)?,
            user: self.or_unavailable(self.next_user().await)?,
            currencies: currencies.to_vec(),
        };
        let after = json!({ "login": sign_up.user.0, "email": sign_up.typed.email });
        let changed = Changed::made(format_args!("account {}", sign_up.account), after);
        let sign_up = self.recorded(&permit, sign_up, [changed], |done| *done == CodeDone::Written);
        if self.or_unavailable(self.commit(&permit, sign_up).await)? != CodeDone::Written {
            guess.failed(self.monotonic());
            return Err(CodeInvalid.into());
        }
        Ok(())
    }

    /// Whether a mail with a code may be requested; an error says how long to wait. The site that
    /// requests a new code may try codes as often again.
    pub(super) fn may_request_mail(&self, email: &str, from: IpAddr) -> Result<(), Duration> {
        let (people, email) = (&self.inner.people, email_digest(email));
        people.mails.admit(email, from, self.monotonic())?;
        people.lockout.forget_codes(email, from);
        Ok(())
    }

    /// Begins a try of a code; none: five from this site were wrong, so no code is right here.
    pub(super) fn begin_code(
        &self,
        email: &str,
        from: IpAddr,
    ) -> Result<Option<Guess<'_>>, TooFast> {
        let email = email_digest(&fields::address(email));
        match self.inner.people.lockout.begin_code(email, from, self.monotonic()) {
            Ok(guess) => Ok(Some(guess)),
            Err(CodeRefused::UsedUp) => Ok(None),
            Err(CodeRefused::Wait(wait)) => Err(too_fast(wait)),
        }
    }

    pub(super) fn typed(&self, purpose: CodePurpose<'_>, email: &str, code: &str) -> EnteredCode {
        let email = fields::address(email);
        let digest = self.tag_of_code(purpose, &email, code);
        EnteredCode { email, digest, at: self.now() }
    }

    pub(super) async fn offer_code(
        &self,
        permit: &Permit<act::EnterBySecret>,
        purpose: CodePurpose<'_>,
        email: &str,
        code: &str,
        pending: Option<PendingSignUp>,
    ) -> Result<(), StoreRefused> {
        let made_at = self.now();
        let code = Code {
            email: email.to_owned(),
            digest: self.tag_of_code(purpose, email, code),
            pending,
            made_at,
            expires_at: made_at.after(limits::CODE_LIFE),
        };
        self.or_unavailable(self.commit(permit, OfferCode(code)).await)
    }
}

fn confirmation_mail(to: String, mobile: &str, code: &str) -> Mail {
    // The end of the number shows the reader whether it is their own sign-up.
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

fn known_mail(to: String) -> Mail {
    let text = "Somebody, perhaps you, wants to sign up with this address. You have an account \
                already: log in, or have your password reset if you forgot it.\n\
                If it was not you, do nothing: nothing was changed.\n";
    Mail { to, subject: "You have an account already".to_owned(), text: text.to_owned() }
}

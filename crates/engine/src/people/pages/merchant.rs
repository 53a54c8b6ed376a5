//! Sign-up of merchants, the confirmation of their address, and their approval by staff.
//!
//! Invariants: the sandbox works at once, with play money; nothing is sold for real money before
//! staff approved the account, and they cannot before its owner's address is confirmed. The answer
//! to a sign-up does not show whether the address has a login: it opens a sandbox either way.

use super::letters::Letters;
use super::person::{PersonCookie, PersonLogIn};
use crate::access::Changed;
use crate::accounts::{KeyTerms, new_account};
use crate::people::{blank_user, fields, too_fast};
use crate::refusals::{blank, ensure, field_error, invalid, not_possible, refuse_if_any};
use crate::{Caller, Engine, Permit, limits};
use domain::account::HOUSE;
use domain::refusal::{
    CodeInvalid, ConfirmRefused, PurchaseUnknown, SignUpRefused, StaffRefused, StoreRefused,
    Unavailable,
};
use domain::{
    Account, AccountId, Environment, FieldError, Journal, Money, PaymentKey, Plan, Rail, Reason,
    Role, Subscription, Timestamp, act,
};
use serde_json::json;
use std::net::IpAddr;
use store::{
    Audience, ConfirmEmail, MailCode, MailCodePurpose, OfferMailCode, OpenMerchant, Posting,
    Setting, User,
};

/// The longest name of a business.
const NAME_CHARS: usize = 100;
/// The rail on which play money comes.
const PLAY_RAIL: &str = "play";

/// The form of a merchant's sign-up.
#[derive(Clone, Copy)]
pub struct MerchantForm<'a> {
    /// The business's name.
    pub business: &'a str,
    /// Its first login, and from where.
    pub log_in: PersonLogIn<'a>,
    /// The code of the country whose currency its wallets are in.
    pub country: &'a str,
    /// The language of its pages and mails: `en`, `bn`.
    pub language: &'a str,
    /// Whether the account waits for staff before even the sandbox works.
    pub is_waiting: bool,
}

impl Engine {
    /// Opens a merchant's account with its first login, a sandbox key pair and play money, mails a
    /// code to confirm the address, and logs in. An address that has a login gets a mail that says
    /// so, and its sign-up a sandbox that is lost with the session. Refuses wrong fields
    /// (`business`, `email`, `password`, `country`) and too many mails (`TooFast`). No cookie: the
    /// account waits for staff.
    pub async fn sign_up_merchant(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: MerchantForm<'_>,
    ) -> Result<Option<PersonCookie>, SignUpRefused> {
        let PersonLogIn { password, from, .. } = form.log_in;
        let email = fields::address(form.log_in.email);
        let catalog = self.catalog();
        let country = catalog.countries.iter().find(|country| country.code == form.country);
        let errors = [
            name_error(form.business),
            fields::email_error(&email),
            fields::password_error(&email, password),
            country.is_none().then(|| field_error("country", "Choose a country of the list.")),
        ];
        refuse_if_any(errors.into_iter().flatten())?;
        let country = country.ok_or_else(|| invalid("country", "Choose a country of the list."))?;
        self.may_request_mail(&email, from).map_err(too_fast)?;
        let password_hash = self.hashed(password).await?;
        let (code, now) = (self.fresh_code()?, self.now());
        let account = merchant(self.or_unavailable(self.next_account().await)?, &form, now);
        let user = User {
            account: account.id,
            email: email.clone(),
            role: "owner".to_owned(),
            password_hash,
            language: form.language.to_owned(),
            ..blank_user(self.or_unavailable(self.next_user().await)?, now)
        };
        let mut settings: Vec<Setting> = Environment::ALL
            .map(|environment| Setting::Wallet(account.id, environment, country.currency))
            .into();
        let pair = self.fresh_pair(Environment::Sandbox)?;
        let (_, key, _) = self
            .new_key(account.id, Environment::Sandbox, &pair, KeyTerms::default())
            .await
            .map_err(|_| Unavailable { retry_after_s: 5 })?;
        settings.extend(key);
        let confirm = self.mail_code(
            MailCodePurpose::Confirm,
            Joining { account: account.id, email: &email, role: "owner" },
            &code,
        );
        let after = json!({ "name": account.name, "login": user.id.0, "by": "sign-up" });
        let changed = Changed::made(format_args!("account {}", account.id), after);
        let opened =
            OpenMerchant { account: account.clone(), user: user.clone(), settings, code: confirm };
        let is_known = self.or_unavailable(self.commit_act(&permit, opened, changed).await)?;
        self.inner.webhooks.endpoint_cache.forget();
        let letters = Letters::of(form.language);
        self.send_mail(match is_known {
            true => letters.known(email),
            false => letters.confirm(email, &account.name, &code),
        });
        let play_money = Money::new(limits::PLAY_MONEY_MINOR, country.currency);
        self.book_play_money(&permit, account.id, play_money, now).await?;
        if form.is_waiting {
            return Ok(None);
        }
        let log_in = PersonLogIn { audience: Audience::Dashboard, ..form.log_in };
        let cookie = self.open_person_session(&permit, user, log_in, None).await;
        Ok(Some(cookie.map_err(|_| Unavailable { retry_after_s: 5 })?))
    }

    async fn book_play_money(
        &self,
        permit: &Permit<act::EnterBySecret>,
        account: AccountId,
        amount: Money,
        at: Timestamp,
    ) -> Result<(), StoreRefused> {
        let environment = Environment::Sandbox;
        let Some(journal) = Journal::funding(Reason::Deposit, account, environment, amount) else {
            return Ok(());
        };
        // Both are well formed.
        let payment = Rail::parse(PLAY_RAIL)
            .and_then(|rail| PaymentKey::new(environment, rail, &format!("SANDBOX-{account}")));
        let Some(payment) = payment else { return Ok(()) };
        let note = "play money to start with".to_owned();
        let posting = Posting { journal, account, payment, note, at };
        // The wallet is new and the reference its own, so nothing refuses it.
        let _ = self.or_unavailable(self.write(permit, posting, None).await)?;
        Ok(())
    }

    /// Confirms the caller's address by the mailed code. Refuses a wrong, used or old code
    /// (`CodeInvalid`) and too many tries (`TooFast`).
    pub async fn confirm_email(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        code: &str,
        from: IpAddr,
    ) -> Result<(), ConfirmRefused> {
        let user = self.own_user(caller)?.ok_or(CodeInvalid)?;
        let guess = self.begin_code(&user.email, from)?.ok_or(CodeInvalid)?;
        let digest = self.mail_digest(MailCodePurpose::Confirm, &user.email, code);
        let was = json!({ "confirmed": user.confirmed_at.is_some() });
        let is = json!({ "confirmed": true });
        let confirm = ConfirmEmail { user: user.id, digest, at: self.now() };
        if !self.change_login(&permit, user.id, confirm, was, is).await? {
            guess.failed(self.monotonic());
            return Err(CodeInvalid.into());
        }
        Ok(())
    }

    /// Mails the code anew. Refuses too many mails (`TooFast`).
    pub async fn send_confirmation(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        from: IpAddr,
    ) -> Result<(), SignUpRefused> {
        let Some(user) = self.own_user(caller)? else { return Ok(()) };
        if user.confirmed_at.is_some() || user.email.contains(' ') {
            return Ok(());
        }
        self.may_request_mail(&user.email, from).map_err(too_fast)?;
        let code = self.fresh_code()?;
        let account = self.account(user.account)?.map_or(String::new(), |account| account.name);
        let joining = Joining { account: user.account, email: &user.email, role: &user.role };
        let offer = OfferMailCode(self.mail_code(MailCodePurpose::Confirm, joining, &code));
        self.or_unavailable(self.commit(&permit, offer).await)?;
        self.send_mail(Letters::of(&user.language).confirm(user.email, &account, &code));
        Ok(())
    }

    /// Lets an account sell for real money, with what was checked as text. Refuses (`NotPossible`)
    /// the house, and an account whose owner has not confirmed the address; `Invalid` without a
    /// name or evidence. What waited for staff is activated.
    pub async fn approve_account(
        &self,
        permit: Permit<act::ManageAccounts>,
        id: AccountId,
        evidence: &str,
    ) -> Result<Account, StaffRefused> {
        let by = permit.by("Say who approves it.")?.to_owned();
        refuse_if_any(blank("evidence", evidence, "Say what was checked."))?;
        ensure(id != HOUSE, not_possible("This account is the house itself."))?;
        let owners = self.or_unavailable(self.inner.store.users_of(id))?;
        let is_confirmed = owners.iter().all(|user| user.confirmed_at.is_some());
        let account = self.account(id)?.ok_or(PurchaseUnknown)?;
        let because = "Its owner has not confirmed the e-mail address yet.";
        ensure(account.approved_at.is_some() || is_confirmed, not_possible(because))?;
        let (now, evidence) = (self.now(), evidence.trim().to_owned());
        let approve = |account: &mut Account| {
            account.approved_at = Some(now);
            account.is_active = true;
        };
        let note = json!({ "by": by, "evidence": evidence });
        let approved = self.change_account_noting(permit, id, note, approve).await?;
        for user in owners.into_iter().filter(|user| user.role == "owner") {
            self.send_mail(Letters::of(&user.language).approved(user.email, &approved.name));
        }
        Ok(approved)
    }

    /// The login of a caller on the pages.
    pub(in crate::people) fn own_user(
        &self,
        caller: &Caller,
    ) -> Result<Option<User>, StoreRefused> {
        let Some(person) = caller.person else { return Ok(None) };
        let holder = self.or_unavailable(self.inner.store.user(person.user))?;
        Ok(holder.map(|holder| holder.user).filter(|user| user.account == caller.account))
    }

    /// A code of a mail as it is stored.
    pub(in crate::people) fn mail_code(
        &self,
        purpose: MailCodePurpose,
        joining: Joining<'_>,
        code: &str,
    ) -> MailCode {
        let made_at = self.now();
        let life = match purpose {
            MailCodePurpose::Confirm | MailCodePurpose::Join => limits::MAIL_CODE_LIFE,
            MailCodePurpose::FirstOwner => limits::CODE_LIFE,
        };
        MailCode {
            digest: self.mail_digest(purpose, joining.email, code),
            purpose,
            email: joining.email.to_owned(),
            account: joining.account,
            role: joining.role.to_owned(),
            made_at,
            expires_at: made_at.after(life),
        }
    }

    pub(in crate::people) fn mail_digest(
        &self,
        purpose: MailCodePurpose,
        email: &str,
        code: &str,
    ) -> [u8; 32] {
        let code = crate::people::code::normalised(code);
        let input = format!("{}\n{email}\n{code}", purpose.code());
        self.inner.vault.tag("mail code", input.as_bytes())
    }
}

/// For whom a code of a mail is.
#[derive(Clone, Copy)]
pub(in crate::people) struct Joining<'a> {
    pub(in crate::people) account: AccountId,
    pub(in crate::people) email: &'a str,
    pub(in crate::people) role: &'a str,
}

/// A merchant as it signs up: active unless staff decide first, and not approved.
fn merchant(id: AccountId, form: &MerchantForm<'_>, now: Timestamp) -> Account {
    Account {
        is_active: !form.is_waiting,
        subscription: Some(Subscription {
            // Its calls a minute are read from the terms.
            plan: Plan::STARTER,
            until: now.after(limits::FIRST_PLAN),
            since: now,
        }),
        approved_at: None,
        ..new_account(id, Role::Merchant, form.business.trim(), now)
    }
}

fn name_error(name: &str) -> Option<FieldError> {
    let name = name.trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_CHARS
        && !name.chars().any(char::is_control);
    (!is_name).then(|| field_error("business", "Give the name of your business."))
}

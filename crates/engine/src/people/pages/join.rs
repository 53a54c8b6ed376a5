//! The people of an account: invitations, roles, sessions; and the first owner of the staff.
//!
//! Invariants: somebody joins by a code that was mailed to the address, once, with the role that
//! the code says; nobody changes their own role, so an account keeps an owner; whose role changes
//! is logged out.

use super::letters::Letters;
use super::merchant::Joining;
use super::person::{PersonCookie, PersonLogIn};
use crate::access::Changed;
use crate::people::manage::no_owner_left;
use crate::people::{blank_user, fields};
use crate::refusals::{ensure, field_error, invalid, not_possible, refuse_if_any};
use crate::{Caller, Engine, Permit, UserView, limits};
use domain::account::HOUSE;
use domain::refusal::{
    AccountInactive, CodeInvalid, LogInFailed, LogInRefused, PurchaseUnknown, ResetRefused,
    StaffRefused, StoreRefused,
};
use domain::{Holder, SessionId, Timestamp, UserId, act};
use serde_json::json;
use store::{
    JoinAccount, JoinDone, ListedSession, MailCodePurpose, OfferMailCode, SetActive, SetRole, User,
    WithdrawMailCode,
};

/// Somebody who is to be invited.
#[derive(Clone, Copy)]
pub struct Invite<'a> {
    /// Where to write to.
    pub email: &'a str,
    /// The role that they get.
    pub role: &'a str,
    /// The page where they join, without its query.
    pub page: &'a str,
}

/// An invitation that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// To whom.
    pub email: String,
    /// The role that they get.
    pub role: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The form of somebody who joins.
#[derive(Clone, Copy)]
pub struct JoinForm<'a> {
    /// Where, who and from where: the address is the one that the code was mailed to, except the
    /// first owner's; the password is the new login's.
    pub log_in: PersonLogIn<'a>,
    /// The code.
    pub code: &'a str,
    /// Whether the code is the first owner's, which was printed.
    pub is_first_owner: bool,
    /// The person's name; may be empty.
    pub name: &'a str,
    /// The language of its pages and mails.
    pub language: &'a str,
}

impl Engine {
    /// The people of the caller's account, oldest first.
    pub fn people_of(&self, caller: &Caller) -> Result<Vec<UserView>, StoreRefused> {
        let users = self.or_unavailable(self.inner.store.users_of(caller.account))?;
        Ok(users.into_iter().map(UserView::from).collect())
    }

    /// The invitations of the caller's account that wait.
    pub fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>, StoreRefused> {
        let codes = self.inner.store.invitations(caller.account, self.now());
        let invitation = |code: store::MailCode| Invitation {
            email: code.email,
            role: code.role,
            expires_at: code.expires_at,
        };
        Ok(self.or_unavailable(codes)?.into_iter().map(invitation).collect())
    }

    /// Mails an invitation to the caller's account. An address that has a login already gets none,
    /// and the answer is the same. Refuses wrong fields (`email`, `role`), and too many waiting
    /// invitations (`NotPossible`).
    pub async fn invite(
        &self,
        permit: Permit<act::ManagePeople>,
        caller: &Caller,
        invite: Invite<'_>,
    ) -> Result<(), StaffRefused> {
        let email = fields::address(invite.email);
        let account = self.account(caller.account)?.ok_or(PurchaseUnknown)?;
        let is_role = Holder::roles_of(account.role).contains(&invite.role);
        let errors = [
            fields::email_error(&email),
            (!is_role).then(|| field_error("role", "Choose a role of the list.")),
        ];
        refuse_if_any(errors.into_iter().flatten())?;
        let waiting = self.inner.store.invitations(caller.account, self.now());
        let has_room = self.or_unavailable(waiting)?.len() < limits::INVITATIONS_MAX;
        ensure(has_room, not_possible("Too many invitations wait; withdraw one first."))?;
        let code = self.fresh_code()?;
        let joining = Joining { account: account.id, email: &email, role: invite.role };
        let offer = OfferMailCode(self.mail_code(MailCodePurpose::Join, joining, &code));
        let after = json!({ "invited": email, "role": invite.role });
        let changed = Changed::made(format_args!("account {}", account.id), after);
        self.or_unavailable(self.commit_act(&permit, offer, changed).await)?;
        let language = match self.own_user(caller)? {
            Some(user) => user.language,
            None => "en".to_owned(),
        };
        if self.user_of(&email)?.is_none() {
            let link = format!("{}?email={}&code={code}", invite.page, escaped(&email));
            self.send_mail(Letters::of(&language).invite(email, &account.name, &link));
        }
        Ok(())
    }

    /// Takes an invitation of the caller's account back.
    pub async fn withdraw_invitation(
        &self,
        permit: Permit<act::ManagePeople>,
        caller: &Caller,
        email: &str,
    ) -> Result<(), StoreRefused> {
        let email = fields::address(email);
        let (account, before) = (caller.account, json!({ "invited": email }));
        let changed = Changed::new(format_args!("account {account}"), before, json!(null));
        let withdraw = WithdrawMailCode { account, email, at: self.now() };
        self.or_unavailable(self.commit_act(&permit, withdraw, changed).await)
    }

    /// Makes a login by a mailed code and logs it in. Refuses wrong fields (`email`, `password`), a
    /// wrong, used or old code, or one for another address (`CodeInvalid`), and many tries
    /// (`TooFast`).
    pub async fn join(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: JoinForm<'_>,
    ) -> Result<PersonCookie, ResetRefused> {
        let PersonLogIn { password, from, .. } = form.log_in;
        let email = fields::address(form.log_in.email);
        let errors = [fields::email_error(&email), fields::password_error(&email, password)];
        refuse_if_any(errors.into_iter().flatten())?;
        let guess = self.begin_code(&email, from)?.ok_or(CodeInvalid)?;
        let digest = match form.is_first_owner {
            true => self.mail_digest(MailCodePurpose::FirstOwner, "", form.code),
            false => self.mail_digest(MailCodePurpose::Join, &email, form.code),
        };
        let password_hash = self.hashed(password).await?;
        let name = form.name.trim();
        let now = self.now();
        // Account and role are the code's.
        let user = User {
            email: email.clone(),
            name: (!name.is_empty()).then(|| name.chars().take(100).collect()),
            password_hash,
            confirmed_at: Some(now),
            language: form.language.to_owned(),
            ..blank_user(self.or_unavailable(self.next_user().await)?, now)
        };
        let after = json!({ "email": email, "joined": true });
        let changed = Changed::made(format_args!("login {}", user.id), after);
        let join = JoinAccount { digest, user: user.clone() };
        let join = self.recorded(&permit, join, [changed], |done| *done == JoinDone::Written);
        match self.or_unavailable(self.commit(&permit, join).await)? {
            JoinDone::Written => {}
            JoinDone::CodeWrong | JoinDone::EmailTaken => {
                guess.failed(self.monotonic());
                return Err(CodeInvalid.into());
            }
        }
        let holder = self.user_of(&email)?.ok_or(CodeInvalid)?;
        let cookie = self.open_person_session(&permit, holder.user, form.log_in, None).await;
        cookie.map_err(|why| match why {
            LogInRefused::Unavailable(unavailable) => unavailable.into(),
            LogInRefused::Uncertain(uncertain) => uncertain.into(),
            LogInRefused::TooFast(wait) => wait.into(),
            LogInRefused::Invalid(_)
            | LogInRefused::LogInFailed(LogInFailed)
            | LogInRefused::AccountInactive(AccountInactive) => CodeInvalid.into(),
        })
    }

    /// A code for the first owner of the staff, if there is none yet; it is valid once, for half an
    /// hour, and voids the one before.
    pub async fn first_owner_code(
        &self,
        permit: Permit<act::Maintain>,
    ) -> Result<Option<String>, StoreRefused> {
        let staff = self.or_unavailable(self.inner.store.users_of(HOUSE))?;
        if staff.iter().any(|user| user.is_active && user.role == "owner") {
            return Ok(None);
        }
        let code = self.fresh_code()?;
        let joining = Joining { account: HOUSE, email: "", role: "owner" };
        let offer = OfferMailCode(self.mail_code(MailCodePurpose::FirstOwner, joining, &code));
        self.or_unavailable(self.commit(&permit, offer).await)?;
        Ok(Some(code))
    }

    /// Gives somebody of the caller's account another role; their sessions end. Refuses a role that
    /// the account has not (`Invalid`), the caller's own (`NotPossible`), and somebody of another
    /// account (`PurchaseUnknown`).
    pub async fn set_role(
        &self,
        permit: Permit<act::ManagePeople>,
        caller: &Caller,
        user: UserId,
        role: &str,
    ) -> Result<(), StaffRefused> {
        let user = self.colleague(caller, user)?;
        let account = self.account(caller.account)?.ok_or(PurchaseUnknown)?;
        let is_role = Holder::roles_of(account.role).contains(&role);
        ensure(is_role, invalid("role", "Choose a role of the list."))?;
        let (was, is) = (json!({ "role": user.role }), json!({ "role": role }));
        let set = SetRole { user: user.id, role: role.to_owned(), at: self.now() };
        Ok(ensure(self.change_login(&permit, user.id, set, was, is).await?, no_owner_left())?)
    }

    /// Lets somebody of the caller's account in, or keeps them out; their sessions end. Refuses the
    /// caller (`NotPossible`), and somebody of another account (`PurchaseUnknown`).
    pub async fn set_colleague_active(
        &self,
        permit: Permit<act::ManagePeople>,
        caller: &Caller,
        user: UserId,
        is_active: bool,
    ) -> Result<(), StaffRefused> {
        let user = self.colleague(caller, user)?;
        let (was, is) = (json!({ "active": user.is_active }), json!({ "active": is_active }));
        let set = SetActive { user: user.id, is_active, at: self.now() };
        Ok(ensure(self.change_login(&permit, user.id, set, was, is).await?, no_owner_left())?)
    }

    /// Somebody else of the caller's account.
    fn colleague(&self, caller: &Caller, user: UserId) -> Result<User, StaffRefused> {
        let is_another = caller.person.is_none_or(|person| person.user != user);
        ensure(is_another, not_possible("Nobody changes their own role."))?;
        let holder = self.or_unavailable(self.inner.store.user(user))?;
        let user = holder.map(|holder| holder.user);
        Ok(user.filter(|user| user.account == caller.account).ok_or(PurchaseUnknown)?)
    }

    /// The open sessions of the caller's login, newest first.
    pub fn own_sessions(&self, caller: &Caller) -> Result<Vec<ListedSession>, StoreRefused> {
        let Some(person) = caller.person else { return Ok(Vec::new()) };
        self.or_unavailable(self.inner.store.open_sessions(person.user, self.now()))
    }

    /// Ends a session of the caller's login; one of somebody else stays as it is.
    pub async fn end_own_session(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        session: SessionId,
    ) -> Result<(), StoreRefused> {
        let Some(person) = caller.person else { return Ok(()) };
        self.end_session(&permit, person.user, Some(session)).await
    }
}

/// An address as a part of a query.
fn escaped(email: &str) -> String {
    let mut text = String::with_capacity(email.len());
    for byte in email.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'@' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

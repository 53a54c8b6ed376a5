//! Logins as staff manage them, and the devices that pushes go to.
//!
//! Not here: who may manage them (the dialect's). Invariant: a disabled login has no session.

use super::{blank_user, device_row, fields};
use crate::access::Changed;
use crate::refusals::{ensure, field_error, not_possible, refuse_if_any, unless};
use crate::vault::Unreadable;
use crate::{Engine, Permit};
use domain::refusal::{BusyRefused, LogInFailed, NotPossible, PurchaseUnknown, StaffRefused};
use domain::{AccountId, DeviceId, FieldError, Holder, Role, Timestamp, UserId, act};
use serde_json::json;
use store::{Fault, GivePassword, SetActive, SetAll, SetRole, Setting, User};

/// Of a password that is made for somebody: 119 random bits.
const PASSWORD_CHARS: usize = 20;

/// A login, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// The login's id.
    pub id: UserId,
    /// The account that it acts for.
    pub account: AccountId,
    /// The address that it logs in with.
    pub email: String,
    /// The mobile number, in national form.
    pub mobile: Option<String>,
    /// The person's name.
    pub name: Option<String>,
    /// What it may do in its account.
    pub role: String,
    /// A login that is not active cannot log in.
    pub is_active: bool,
    /// When the login was made.
    pub created_at: Timestamp,
}

/// A device that gets pushes.
#[derive(Clone)]
pub struct PushDevice {
    /// The device's id.
    pub id: DeviceId,
    /// The login that it belongs to.
    pub user: UserId,
    /// The address of its pushes: a secret of the device.
    pub push_token: String,
}

impl Engine {
    /// Every login, oldest first.
    pub fn users(&self) -> Result<Vec<UserView>, Fault> {
        Ok(self.inner.store.users()?.into_iter().map(UserView::from).collect())
    }

    /// Makes a login of an account, with a password that is in the answer and nowhere else. Refuses
    /// an account that does not exist, a role that its logins cannot have, what is no address, and
    /// an address that has a login.
    pub async fn make_user(
        &self,
        permit: Permit<act::ManagePeople>,
        account: AccountId,
        email: &str,
        role: &str,
    ) -> Result<(UserId, String), StaffRefused> {
        let email = fields::address(email);
        let holder = self.account(account)?.ok_or(PurchaseUnknown)?;
        let is_address = fields::is_address(&email);
        let errors = [
            unless(is_address, "email", "Give an address, such as name@example.org."),
            role_error(holder.role, role),
        ];
        refuse_if_any(errors.into_iter().flatten())?;
        let _lock = self.inner.settings_lock.lock().await;
        let is_new = self.user_of(&email)?.is_none();
        ensure(is_new, not_possible("This address has a login already."))?;
        let password = self.random_text(PASSWORD_CHARS)?;
        let (user, changed) = self.new_user(account, &email, role, &password).await?;
        let (id, set) = (user.id, SetAll(vec![Setting::User(user)]));
        self.or_unavailable(self.commit_act(&permit, set, changed).await)?;
        Ok((id, password))
    }

    /// A login that is made for somebody, with the record of it; not stored yet.
    pub(crate) async fn new_user(
        &self,
        account: AccountId,
        email: &str,
        role: &str,
        password: &str,
    ) -> Result<(User, Changed), BusyRefused> {
        let password_hash = self.hashed(password).await?;
        let id = self.or_unavailable(self.next_user().await)?;
        let (email, at) = (fields::address(email), self.now());
        let after = json!({ "account": account.0, "email": email, "role": role });
        let changed = Changed::made(format_args!("login {id}"), after);
        let user = User {
            account,
            email,
            role: role.to_owned(),
            password_hash,
            confirmed_at: Some(at),
            language: "en".to_owned(),
            ..blank_user(id, at)
        };
        Ok((user, changed))
    }

    /// Gives a login another role; its sessions end. Refuses a role that logins of its account
    /// cannot have, and to leave an account without an active owner.
    pub async fn set_user_role(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
        role: &str,
    ) -> Result<(), StaffRefused> {
        let UserView { id: user, account, role: was, .. } = self.user_named(email)?;
        let holder = self.account(account)?.ok_or(PurchaseUnknown)?;
        refuse_if_any(role_error(holder.role, role))?;
        let (was, is) = (json!({ "role": was }), json!({ "role": role }));
        let set = SetRole { user, role: role.to_owned(), at: self.now() };
        Ok(ensure(self.change_login(&permit, user, set, was, is).await?, no_owner_left())?)
    }

    /// Gives a login a new password, which is in the answer and nowhere else; its sessions end.
    pub async fn give_password(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
    ) -> Result<String, StaffRefused> {
        let user = self.user_named(email)?.id;
        let password = self.random_text(PASSWORD_CHARS)?;
        let password_hash = self.hashed(&password).await?;
        let is = json!({ "password": "changed", "sessions": "ended" });
        let set = GivePassword { user, password_hash, at: self.now() };
        ensure(self.change_login(&permit, user, set, json!(null), is).await?, LogInFailed)?;
        Ok(password)
    }

    /// Enables or disables a login; either way its sessions end. `LogInFailed` if there is none.
    /// Refuses to leave a business, or the house, without an active owner.
    pub async fn set_user_active(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
        is_active: bool,
    ) -> Result<(), StaffRefused> {
        let UserView { id: user, is_active: was_active, .. } = self.user_named(email)?;
        let (was, is) = (json!({ "active": was_active }), json!({ "active": is_active }));
        let set = SetActive { user, is_active, at: self.now() };
        Ok(ensure(self.change_login(&permit, user, set, was, is).await?, no_owner_left())?)
    }

    /// Ends every session of a login. `LogInFailed` if there is no such login.
    pub async fn log_user_out(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
    ) -> Result<(), StaffRefused> {
        let user = self.user_named(email)?.id;
        Ok(self.end_session(&permit, user, None).await?)
    }

    /// The devices of an account that get pushes. One whose token cannot be read any more (another
    /// master key) is left out, with a warning.
    pub fn devices_of(&self, account: AccountId) -> Result<Vec<PushDevice>, Fault> {
        let devices = self.inner.store.devices_of(account)?.into_iter();
        let read = devices.filter_map(|device| match self.push_token(&device) {
            Ok(push_token) => Some(PushDevice { id: device.id, user: device.user, push_token }),
            Err(Unreadable) => {
                tracing::warn!(device = %device.id, "a device's push token cannot be read");
                None
            }
        });
        Ok(read.collect())
    }

    fn push_token(&self, device: &store::Device) -> Result<String, Unreadable> {
        let row = device_row(device.user, &device.mark);
        let text = self.inner.vault.open("push token", &row, &device.sealed)?;
        String::from_utf8(text).map_err(|_| Unreadable)
    }

    fn user_named(&self, email: &str) -> Result<UserView, StaffRefused> {
        let holder = self.user_of(&fields::address(email))?;
        Ok(holder.map(|h| h.user.into()).ok_or(LogInFailed)?)
    }
}

impl From<User> for UserView {
    fn from(user: User) -> UserView {
        let User { id, account, email, mobile, name, role, is_active, created_at, .. } = user;
        UserView { id, account, email, mobile, name, role, is_active, created_at }
    }
}

/// Why the last active owner of an account stays what it is.
pub(crate) fn no_owner_left() -> NotPossible {
    not_possible("An account keeps an owner: make another one first.")
}

/// Wrong, unless logins of such an account can have the role.
fn role_error(account: Role, role: &str) -> Option<FieldError> {
    let known = Holder::roles_of(account);
    let message = format!("A role is one of: {}.", known.join(", "));
    (!known.contains(&role)).then(|| field_error("role", &message))
}

//! Logins as staff manage them, and the devices that pushes go to.
//!
//! Not here: who may manage them (the dialect's). Invariant: a disabled login has no session.

use super::{device_row, fields};
use crate::access::Changed;
use crate::vault::Unreadable;
use crate::{Engine, Permit};
use domain::refusal::{LogInFailed, StaffRefused};
use domain::{AccountId, DeviceId, Timestamp, UserId, act};
use serde_json::json;
use store::{Fault, LogOut, LoginDone, SetActive};

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

    /// Enables or disables a login; either way its sessions end. `LogInFailed` if there is none.
    pub async fn set_user_active(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
        is_active: bool,
    ) -> Result<(), StaffRefused> {
        let UserView { id: user, is_active: was_active, .. } = self.user_named(email)?;
        let (before, after) = (json!({ "active": was_active }), json!({ "active": is_active }));
        let changed = Changed::new(format_args!("login {user}"), before, after);
        let set = SetActive { user, is_active, at: self.now() };
        let set = self.recorded(&permit, set, [changed], |done| *done == LoginDone::Written);
        match self.end_sessions(&permit, user, set).await? {
            LoginDone::Written => Ok(()),
            LoginDone::Moved => Err(LogInFailed.into()),
        }
    }

    /// Ends every session of a login. `LogInFailed` if there is no such login.
    pub async fn log_user_out(
        &self,
        permit: Permit<act::ManagePeople>,
        email: &str,
    ) -> Result<(), StaffRefused> {
        let user = self.user_named(email)?.id;
        let after = json!({ "sessions": "ended" });
        let changed = Changed::new(format_args!("login {user}"), json!(null), after);
        let end = LogOut { user, session: None, at: self.now() };
        let end = self.recorded(&permit, end, [changed], |()| true);
        Ok(self.end_sessions(&permit, user, end).await?)
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

impl From<store::User> for UserView {
    fn from(user: store::User) -> UserView {
        let store::User { id, account, email, mobile, name, role, is_active, created_at, .. } =
            user;
        UserView { id, account, email, mobile, name, role, is_active, created_at }
    }
}

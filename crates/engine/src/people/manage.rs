//! What staff do with logins, and what those who push need to know of devices.
//!
//! Not here: who may (a face's matter). Invariant: a login that is switched off has no session.

use super::{fields, seal_of};
use crate::Engine;
use crate::vault::Unreadable;
use domain::account::AccountId;
use domain::clock::Timestamp;
use domain::ids::{DeviceId, UserId};
use domain::refusal::Refusal;
use store::{Fault, PeopleChange};

/// A login, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Which.
    pub id: UserId,
    /// Of which account.
    pub account: AccountId,
    /// What it logs in with.
    pub email: String,
    /// Its mobile number, in national form.
    pub mobile: Option<String>,
    /// How the person is called.
    pub name: Option<String>,
    /// What it may do in its account.
    pub role: String,
    /// Whether it may come in.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A device that wants to be told things.
#[derive(Clone)]
pub struct PushDevice {
    /// Which.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// Where a push goes: a secret of the device's.
    pub push_token: String,
}

impl Engine {
    /// Every login, oldest first.
    pub fn users(&self) -> Result<Vec<User>, Fault> {
        Ok(self.inner.store.users()?.into_iter().map(User::from).collect())
    }

    /// Lets a login in, or keeps it out; either way its sessions end. `LogInFailed`: there is none.
    pub async fn set_user_active(&self, email: &str, is_active: bool) -> Result<(), Refusal> {
        let user = self.user_named(email)?;
        self.change_people(PeopleChange::SetActive { user, is_active, at: self.now() }).await?;
        Ok(())
    }

    /// Ends every session of a login. `LogInFailed`: there is none.
    pub async fn log_user_out(&self, email: &str) -> Result<(), Refusal> {
        let user = self.user_named(email)?;
        self.change_people(PeopleChange::LogOut { user, session: None, at: self.now() }).await?;
        Ok(())
    }

    /// The devices of an account that want to be told things; one whose token cannot be read any
    /// more (another master key) is left out, with a warning.
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

    /// Forgets a device: its push token is not one any more.
    pub async fn forget_device(&self, device: DeviceId) -> Result<(), Refusal> {
        self.change_people(PeopleChange::ForgetDevice(device)).await?;
        Ok(())
    }

    fn push_token(&self, device: &store::Device) -> Result<String, Unreadable> {
        let place = seal_of(device.user, &device.mark);
        let text = self.inner.vault.open("push token", &place, &device.sealed)?;
        String::from_utf8(text).map_err(|_| Unreadable)
    }

    fn user_named(&self, email: &str) -> Result<UserId, Refusal> {
        let holder = self.user_of(&fields::address(email))?;
        holder.map(|h| h.user.id).ok_or(Refusal::LogInFailed)
    }
}

impl From<store::User> for User {
    fn from(user: store::User) -> User {
        let store::User { id, account, email, mobile, name, role, is_active, created_at, .. } =
            user;
        User { id, account, email, mobile, name, role, is_active, created_at }
    }
}

//! People on the pages: merchants and staff.
//!
//! `person` has log-in and cookies, `merchant` sign-ups, `factor` second factors, `join` people who
//! are invited, `letters` the mails. Not here: the consumers' logins, who use tokens.

mod factor;
mod join;
mod kept;
pub(super) mod letters;
mod merchant;
mod person;

pub use factor::{FactorOffer, LogInStep};
pub use join::{Invitation, Invite, JoinForm};
pub use kept::KeptForm;
pub use merchant::MerchantForm;
pub use person::{PersonCookie, PersonLogIn, PersonSession};

//! Getting in, for merchants and staff alike: log-in, second factor, password, people.
//!
//! Invariant: the answers do not show whether an address has a login.

pub(crate) mod form;
mod join;
mod log_in;
mod prove;
mod reset;
mod security;
mod team;

use crate::area::Area;
use domain::Act;

pub(crate) use log_in::{device, log_in_form};
pub(crate) use prove::{Pages, ask};

/// The pages that both areas have.
pub(crate) fn pages(area: &mut Area) {
    area.get("/log-in", Act::SeePublic, log_in::show);
    area.post("/log-in", Act::EnterBySecret, log_in::enter);
    area.get("/log-in/code", Act::SeePublic, log_in::show_code);
    area.post("/log-in/code", Act::EnterBySecret, log_in::enter_code);
    area.get("/reset", Act::SeePublic, reset::show);
    area.post("/reset", Act::EnterBySecret, reset::ask);
    area.post("/reset/code", Act::EnterBySecret, reset::set);
    area.get("/join", Act::SeePublic, join::show);
    area.post("/join", Act::EnterBySecret, join::enter);
    area.post("/log-out", Act::ManageOwnLogin, log_in::leave);
    area.get("/prove", Act::ManageOwnLogin, prove::show);
    area.post("/prove", Act::ManageOwnLogin, prove::enter);
    area.get("/security", Act::ManageOwnLogin, security::show);
    area.post("/security/password", Act::ManageOwnLogin, security::set_password);
    area.post("/security/factor", Act::ManageOwnLogin, security::add_factor);
    area.get("/security/factor", Act::ManageOwnLogin, security::show_factor);
    area.get("/security/factor.svg", Act::ManageOwnLogin, security::picture);
    area.post("/security/factor/code", Act::ManageOwnLogin, security::confirm_factor);
    area.post("/security/factor/remove", Act::ManageOwnLogin, security::remove_factor);
    area.post("/security/sessions/{id}/end", Act::ManageOwnLogin, security::end_session);
    area.get("/people", Act::ManagePeople, team::show);
    area.post("/people/invite", Act::ManagePeople, team::invite);
    area.post("/people/withdraw", Act::ManagePeople, team::withdraw);
    area.post("/people/{id}/role", Act::ManagePeople, team::set_role);
    area.post("/people/{id}/disable", Act::ManagePeople, team::disable);
    area.post("/people/{id}/enable", Act::ManagePeople, team::enable);
}

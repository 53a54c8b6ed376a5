//! The staff's pages.

mod home;

use crate::area::Area;
use crate::frame::MenuItem;
use crate::people;
use crate::view::Known;
use domain::Act;

pub(crate) fn pages(area: &mut Area) {
    people::pages(area);
    area.get("", Act::ManageOwnLogin, home::show);
}

/// The menu; nobody has one before the log-in.
pub(crate) fn menu(view: &Known) -> Vec<MenuItem> {
    if view.session.is_none() {
        return Vec::new();
    }
    let words = view.words;
    let people = MenuItem::new(view, "/admin/people".to_owned(), words.t("team.title"));
    let home = MenuItem {
        href: "/admin".to_owned(),
        label: words.t("admin.home").to_owned(),
        is_current: view.path == "/admin",
    };
    vec![home, people]
}

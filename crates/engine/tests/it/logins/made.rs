//! Logins that staff make: their roles, their passwords.

use super::*;
use crate::world::*;
use domain::act;
use domain::refusal::{LogInFailed, LogInRefused, Refused as _};
use engine::{Audience, LogInStep, PersonLogIn};

const RAHIM: &str = "rahim@shop.example";

async fn log_in(world: &World, email: &str, password: &str) -> Result<LogInStep, LogInRefused> {
    let permit = world.engine.0.permit_anybody::<act::EnterBySecret>().unwrap();
    let (audience, agent, from) = (Audience::Dashboard, "tests", at(1));
    world
        .engine
        .0
        .log_in_person(permit, PersonLogIn { audience, email, password, agent, device: "", from })
        .await
}

#[tokio::test]
async fn a_merchants_first_login_opens_the_dashboard() {
    let world = world().await;
    let merchant = world.merchant;
    let (_, password) =
        world.engine.make_user(merchant, " Rahim@Shop.example", "owner").await.unwrap();
    assert_eq!(password.len(), 20);
    log_in(&world, RAHIM, &password).await.unwrap();
    let user = world.engine.users().unwrap().into_iter().find(|u| u.email == RAHIM).unwrap();
    assert_eq!((user.account, user.role.as_str()), (merchant, "owner"));

    // A new password ends the old one.
    let new = world.engine.give_password(RAHIM).await.unwrap();
    assert_ne!(new, password);
    assert_eq!(log_in(&world, RAHIM, &password).await.unwrap_err(), LogInFailed.into());
    log_in(&world, RAHIM, &new).await.unwrap();

    // The last owner stays one, until there is another.
    let alone = world.engine.set_user_role(RAHIM, "developer").await.unwrap_err();
    assert_eq!(alone.code(), "NOT_POSSIBLE");
    world.engine.make_user(merchant, "karim@shop.example", "owner").await.unwrap();
    world.engine.set_user_role(RAHIM, "developer").await.unwrap();
    let user = world.engine.users().unwrap().into_iter().find(|u| u.email == RAHIM).unwrap();
    assert_eq!(user.role, "developer");
    world.engine.set_user_role(RAHIM, "finance").await.unwrap();
    assert_eq!(world.engine.acts(Some(&format!("login {}", user.id)), 9).unwrap().len(), 4);
}

#[tokio::test]
async fn a_login_that_cannot_be_is_not_made() {
    let world = world().await;
    let made = |account, email, role| world.engine.make_user(account, email, role);
    made(world.merchant, RAHIM, "owner").await.unwrap();
    for (account, email, role, code) in [
        (world.merchant, "RAHIM@shop.example", "owner", "NOT_POSSIBLE"),
        (world.merchant, "x@shop.example", "operator", "VALIDATION_ERROR"),
        (AccountId(1), "x@house.example", "developer", "VALIDATION_ERROR"),
        (world.merchant, "no address", "owner", "VALIDATION_ERROR"),
        (AccountId(99), "x@shop.example", "owner", "TRANSACTION_NOT_FOUND"),
    ] {
        let refused = made(account, email, role).await.unwrap_err();
        assert_eq!(refused.code(), code, "{email} {role}");
    }
    assert!(world.engine.set_user_role(RAHIM, "approver").await.is_err());
    assert_eq!(
        world.engine.give_password("x@shop.example").await.unwrap_err().code(),
        "LOGIN_FAILED"
    );
}

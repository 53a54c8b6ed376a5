//! Logins: log-in, registration, passwords.
//!
//! Invariant: no value of a request is logged here, and no answer shows whether an address has a
//! login.

use super::super::authenticate::{Anonymous, Authenticated};
use super::super::refusals::ApiError;
use super::super::wire::{request, response};
use super::{ok, parse_body};
use crate::extract::answer::Answer;
use axum::extract::Request;
use axum::response::Response;
use domain::Catalog;
use engine::{Confirmation, LogInForm, SignUpForm};

/// The engine's names of fields, and their names in the body of a log-in.
const LOG_IN_NAMES: [(&str, &str); 2] = [("email", "username"), ("push_token", "fcmToken")];
/// The engine's names of fields, and their names in a body with a new password.
const NEW_PASSWORD_NAMES: [(&str, &str); 1] = [("password", "newPassword")];

/// Authenticate customer
///
/// Takes the customer's e-mail address and password and answers an access token for one hour.
/// `fcmToken` is where pushes about payments go; empty for nowhere.
#[utoipa::path(
    post, path = "/authenticate/customers", tag = "Log-in", operation_id = "authenticate",
    request_body = request::LogInRequest,
    responses((status = 200, description = "Logged in.", body = response::LoggedIn)),
)]
pub(crate) async fn authenticate(anonymous: Anonymous, request: Request) -> Response {
    let Anonymous { api, from, .. } = &anonymous;
    let work = async {
        let request::LogIn { username, password, fcm_token, environment } =
            parse_body(request, request::log_in).await?;
        let log_in = LogInForm {
            email: &username,
            password: &password,
            push_token: &fcm_token,
            environment,
            from: *from,
        };
        let token = api.engine.log_in(api.engine.permit_anybody()?, log_in).await;
        let token = token.map_err(|refused| ApiError::from(refused).renamed(&LOG_IN_NAMES))?;
        ok(&response::LoggedIn {
            access_token: &token.text,
            token_type: "Bearer",
            expires_in: token.expires_in_s,
        })
    };
    anonymous.respond("authenticate", work).await
}

/// Register
///
/// Added to the document. Mails a code to the address; the account is opened when it is
/// confirmed with it. The answer is the same whether or not the address has a login already.
#[utoipa::path(
    post, path = "/register", tag = "Log-in", operation_id = "register",
    request_body = request::RegisterRequest,
    responses((status = 200, description = "A mail is under way.", body = response::Done)),
)]
pub(crate) async fn register(anonymous: Anonymous, request: Request) -> Response {
    let Anonymous { api, from, .. } = &anonymous;
    let work = async {
        let registration = parse_body(request, request::registration).await?;
        let request::Registration { email, password, name, mobile } = &registration;
        let mobile = &national(&api.engine.catalog(), mobile);
        let form = SignUpForm { email, mobile, password, name, from: *from };
        api.engine.sign_up(api.engine.permit_anybody()?, form).await?;
        done("A code is on its way to this address. Confirm the registration with it.")
    };
    anonymous.respond("register", work).await
}

/// Confirm a registration
///
/// Added to the document. Opens the account, with a wallet in each currency that something is sold
/// in.
#[utoipa::path(
    post, path = "/register/confirm", tag = "Log-in", operation_id = "confirm_registration",
    request_body = request::ConfirmRequest,
    responses((status = 200, description = "The account is open.", body = response::Done)),
)]
pub(crate) async fn confirm_registration(anonymous: Anonymous, request: Request) -> Response {
    let Anonymous { api, from, .. } = &anonymous;
    let work = async {
        let request::Confirmation { email, code, password } =
            parse_body(request, request::confirmation).await?;
        let currencies = api.engine.catalog().currencies();
        let permit = api.engine.permit_anybody()?;
        let confirmation = Confirmation {
            email: &email,
            code: &code,
            password: &password,
            currencies: &currencies,
            from: *from,
        };
        api.engine.confirm_sign_up(permit, confirmation).await?;
        done("The account is open. Log in.")
    };
    anonymous.respond("confirm_registration", work).await
}

/// Forgot a password
///
/// Added to the document. Mails a code to set a new password with. The answer is the same whether
/// or not the address has a login.
#[utoipa::path(
    post, path = "/password/forgot", tag = "Log-in", operation_id = "forgot_password",
    request_body = request::PasswordForgotRequest,
    responses((status = 200, description = "A mail is under way, if there is such a login.",
        body = response::Done)),
)]
pub(crate) async fn forgot_password(anonymous: Anonymous, request: Request) -> Response {
    let Anonymous { api, from, .. } = &anonymous;
    let work = async {
        let email = parse_body(request, request::forgotten_password).await?;
        api.engine.forgot_password(api.engine.permit_anybody()?, &email, *from).await?;
        done("If this address has a login, a code is on its way to it. Set a new password with it.")
    };
    anonymous.respond("forgot_password", work).await
}

/// Reset a password
///
/// Added to the document. Sets a new password by the mailed code and ends every session.
#[utoipa::path(
    post, path = "/password/reset", tag = "Log-in", operation_id = "reset_password",
    request_body = request::PasswordResetRequest,
    responses((status = 200, description = "The password is set.", body = response::Done)),
)]
pub(crate) async fn reset_password(anonymous: Anonymous, request: Request) -> Response {
    let Anonymous { api, from, .. } = &anonymous;
    let work = async {
        let request::PasswordReset { email, code, new } =
            parse_body(request, request::password_reset).await?;
        let permit = api.engine.permit_anybody()?;
        let reset = api.engine.reset_password(permit, &email, &code, &new, *from).await;
        reset.map_err(|refused| ApiError::from(refused).renamed(&NEW_PASSWORD_NAMES))?;
        done("The password is changed and every device is logged out. Log in again.")
    };
    anonymous.respond("reset_password", work).await
}

/// Change the password
///
/// Added to the document. Sets a new password by the old one and ends every session, this one too.
#[utoipa::path(
    post, path = "/password/change", tag = "Log-in", operation_id = "change_password",
    request_body = request::PasswordChangeRequest,
    responses((status = 200, description = "The password is set.", body = response::Done)),
)]
pub(crate) async fn change_password(authenticated: Authenticated, request: Request) -> Response {
    let Authenticated { api, caller, from, .. } = &authenticated;
    let work = async {
        let request::PasswordChange { current, new } =
            parse_body(request, request::password_change).await?;
        let permit = api.engine.permit(caller)?;
        let change = api.engine.change_password(permit, caller, &current, &new, *from).await;
        change.map_err(|refused| ApiError::from(refused).renamed(&NEW_PASSWORD_NAMES))?;
        done("The password is changed and every device is logged out. Log in again.")
    };
    authenticated.respond("change_password", work).await
}

/// Log out
///
/// Added to the document. Ends the session of this access token at once; other sessions stay.
#[utoipa::path(
    post, path = "/authenticate/logout", tag = "Log-in", operation_id = "log_out",
    responses((status = 200, description = "The access token is void.", body = response::Done)),
)]
pub(crate) async fn log_out(authenticated: Authenticated) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        api.engine.log_out(api.engine.permit(caller)?, caller).await?;
        done("You are logged out.")
    };
    authenticated.respond("log_out", work).await
}

fn done(message: &'static str) -> Result<Answer, ApiError> {
    ok(&response::Done { message })
}

/// A mobile number in national form (CONTRACT B-22a); as it was sent if it is of no country here.
fn national(catalog: &Catalog, mobile: &str) -> String {
    let countries = &catalog.countries;
    let read = countries.iter().find_map(|country| country.numbering.national(mobile).ok());
    read.unwrap_or_else(|| mobile.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::refusals::answer;
    use super::*;
    use domain::FieldError;
    use domain::refusal::{CodeInvalid, Invalid};

    /// CONTRACT B-22a, for the number of a registration.
    #[test]
    fn a_number_is_registered_in_national_form() {
        let catalog = fixtures::catalog();
        let example = catalog.countries[0].numbering.example();
        let abroad = catalog.countries[0].numbering.international(&example).unwrap();
        for sent in [&example, &abroad, &abroad.replace('+', ""), &abroad.replace('+', "00")] {
            assert_eq!(national(&catalog, sent), example, "{sent}");
        }
        for other in ["", "12345", "+499912345678"] {
            assert_eq!(national(&catalog, other), other);
        }
    }

    #[test]
    fn field_errors_name_the_bodys_own_fields() {
        let error = |fields: &[&'static str]| {
            let error = |field: &&'static str| FieldError { field, message: "x".into() };
            ApiError::from(Invalid { errors: fields.iter().map(error).collect() })
        };
        let check = |sent: ApiError, names, expected: ApiError| {
            assert_eq!(answer(&sent.renamed(names)), answer(&expected));
        };
        let named = error(&["fcmToken", "username", "other"]);
        check(error(&["push_token", "email", "other"]), &LOG_IN_NAMES[..], named);
        check(error(&["password"]), &NEW_PASSWORD_NAMES, error(&["newPassword"]));
        check(CodeInvalid.into(), &LOG_IN_NAMES, CodeInvalid.into());
    }
}

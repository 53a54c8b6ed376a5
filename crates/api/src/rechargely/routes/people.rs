//! Who customers are: log-in, sign-up, passwords.
//!
//! Invariant: nothing that is read here is logged, and no answer tells whether an address is known.

use super::super::ApiState;
use super::super::authenticate::{Anonymous, Authenticated};
use super::super::refusals::ApiError;
use super::super::wire::{forms, request, response};
use super::{fields, told};
use axum::extract::{Request, State};
use axum::response::Response;
use domain::refusal::{FieldError, Refusal};
use engine::{LogInForm, SignUpForm};

/// What the engine calls fields, and what a log-in's body calls them.
const OF_LOG_IN: [(&str, &str); 2] = [("email", "username"), ("push_token", "fcmToken")];
/// What the engine calls fields, and what a new password's body calls them.
const OF_NEW_PASSWORD: [(&str, &str); 1] = [("password", "newPassword")];

/// Authenticate customer
///
/// Takes the customer's e-mail address and password and answers an access token for one hour.
/// `fcmToken` is where pushes about payments go; empty for nowhere.
#[utoipa::path(
    post, path = "/authenticate/customers", tag = "Log-in", operation_id = "authenticate",
    request_body = forms::LogInRequest,
    responses((status = 200, description = "Logged in.", body = response::LoggedIn)),
)]
pub(in super::super) async fn authenticate(
    State(api): State<ApiState>,
    anonymous: Anonymous,
    request: Request,
) -> Response {
    let from = anonymous.from;
    let work = async {
        let asked = fields(request, request::log_in).await?;
        let request::LogIn { username, password, fcm_token, environment } = &asked;
        let log_in = LogInForm {
            email: username,
            password,
            push_token: fcm_token,
            environment: *environment,
            from,
        };
        let token = api.engine.log_in(log_in).await;
        let token = token.map_err(|refusal| renamed(refusal, &OF_LOG_IN))?;
        told(&response::LoggedIn {
            access_token: &token.text,
            token_type: "Bearer",
            expires_in: token.expires_in_s,
        })
    };
    anonymous.serve(&api, "authenticate", work).await
}

/// Register
///
/// Added to the document. Mails a code to the address; the account is opened when it is
/// confirmed with it. The answer is the same whether or not the address has a login already.
#[utoipa::path(
    post, path = "/register", tag = "Log-in", operation_id = "register",
    request_body = forms::RegisterRequest,
    responses((status = 200, description = "A mail is under way.", body = response::Done)),
)]
pub(in super::super) async fn register(
    State(api): State<ApiState>,
    anonymous: Anonymous,
    request: Request,
) -> Response {
    let from = anonymous.from;
    let work = async {
        let asked = fields(request, request::registration).await?;
        let request::Registration { email, password, name, mobile } = &asked;
        api.engine.sign_up(SignUpForm { email, mobile, password, name, from }).await?;
        done("A code is on its way to this address. Confirm the registration with it.")
    };
    anonymous.serve(&api, "register", work).await
}

/// Confirm a registration
///
/// Added to the document. Opens the account, with a wallet in each currency that something is sold
/// in.
#[utoipa::path(
    post, path = "/register/confirm", tag = "Log-in", operation_id = "confirm_registration",
    request_body = forms::ConfirmRequest,
    responses((status = 200, description = "The account is open.", body = response::Done)),
)]
pub(in super::super) async fn confirm_registration(
    State(api): State<ApiState>,
    anonymous: Anonymous,
    request: Request,
) -> Response {
    let from = anonymous.from;
    let work = async {
        let request::Confirmation { email, code, password } =
            fields(request, request::confirmation).await?;
        let currencies = api.engine.catalog().currencies();
        api.engine.confirm_sign_up(&email, &code, &password, &currencies, from).await?;
        done("The account is open. Log in.")
    };
    anonymous.serve(&api, "confirm_registration", work).await
}

/// Forgot a password
///
/// Added to the document. Mails a code to set a new password with. The answer is the same whether
/// or not the address has a login.
#[utoipa::path(
    post, path = "/password/forgot", tag = "Log-in", operation_id = "forgot_password",
    request_body = forms::PasswordForgotRequest,
    responses((status = 200, description = "A mail is under way, if there is such a login.", body = response::Done)),
)]
pub(in super::super) async fn forgot_password(
    State(api): State<ApiState>,
    anonymous: Anonymous,
    request: Request,
) -> Response {
    let from = anonymous.from;
    let work = async {
        let email = fields(request, request::forgotten).await?;
        api.engine.forgot_password(&email, from).await?;
        done("If this address has a login, a code is on its way to it. Set a new password with it.")
    };
    anonymous.serve(&api, "forgot_password", work).await
}

/// Reset a password
///
/// Added to the document. Sets a new password by the mailed code and ends every session.
#[utoipa::path(
    post, path = "/password/reset", tag = "Log-in", operation_id = "reset_password",
    request_body = forms::PasswordResetRequest,
    responses((status = 200, description = "The password is set.", body = response::Done)),
)]
pub(in super::super) async fn reset_password(
    State(api): State<ApiState>,
    anonymous: Anonymous,
    request: Request,
) -> Response {
    let from = anonymous.from;
    let work = async {
        let request::PasswordReset { email, code, new } =
            fields(request, request::password_reset).await?;
        let reset = api.engine.reset_password(&email, &code, &new, from).await;
        reset.map_err(|refusal| renamed(refusal, &OF_NEW_PASSWORD))?;
        done("The password is changed and every device is logged out. Log in again.")
    };
    anonymous.serve(&api, "reset_password", work).await
}

/// Change the password
///
/// Added to the document. Sets a new password by the old one and ends every session, this one too.
#[utoipa::path(
    post, path = "/password/change", tag = "Log-in", operation_id = "change_password",
    request_body = forms::PasswordChangeRequest,
    responses((status = 200, description = "The password is set.", body = response::Done)),
)]
pub(in super::super) async fn change_password(
    State(api): State<ApiState>,
    authenticated: Authenticated,
    request: Request,
) -> Response {
    let (caller, from) = (authenticated.caller, authenticated.from);
    let work = async {
        let request::PasswordChange { current, new } =
            fields(request, request::password_change).await?;
        let change = api.engine.change_password(&caller, &current, &new, from).await;
        change.map_err(|refusal| renamed(refusal, &OF_NEW_PASSWORD))?;
        done("The password is changed and every device is logged out. Log in again.")
    };
    authenticated.serve(&api, "change_password", work).await
}

/// Log out
///
/// Added to the document. Ends the session of this access token at once; other sessions stay.
#[utoipa::path(
    post, path = "/authenticate/logout", tag = "Log-in", operation_id = "log_out",
    responses((status = 200, description = "The access token is void.", body = response::Done)),
)]
pub(in super::super) async fn log_out(
    State(api): State<ApiState>,
    authenticated: Authenticated,
) -> Response {
    let caller = authenticated.caller;
    let work = async {
        api.engine.log_out(&caller).await?;
        done("You are logged out.")
    };
    authenticated.serve(&api, "log_out", work).await
}

fn done(message: &'static str) -> Result<crate::extract::answer::Answer, ApiError> {
    told(&response::Done { message })
}

/// The refusal with its fields called as the body calls them.
fn renamed(refusal: Refusal, names: &[(&str, &'static str)]) -> Refusal {
    let Refusal::Invalid(complaints) = refusal else { return refusal };
    let named = |complaint: FieldError| {
        let wire = names.iter().find(|(ours, _)| *ours == complaint.field);
        FieldError { field: wire.map_or(complaint.field, |(_, wire)| *wire), ..complaint }
    };
    Refusal::Invalid(complaints.into_iter().map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_about_the_bodys_own_fields() {
        let refusal = |fields: &[&'static str]| {
            let complaint = |field: &&'static str| FieldError { field, says: "x".into() };
            Refusal::Invalid(fields.iter().map(complaint).collect())
        };
        let read = renamed(refusal(&["push_token", "email", "other"]), &OF_LOG_IN);
        assert_eq!(read, refusal(&["fcmToken", "username", "other"]));
        assert_eq!(renamed(refusal(&["password"]), &OF_NEW_PASSWORD), refusal(&["newPassword"]));
        assert_eq!(renamed(Refusal::CodeInvalid, &OF_LOG_IN), Refusal::CodeInvalid);
    }
}

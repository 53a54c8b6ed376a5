//! Sign-up of a merchant: three fields, and a country that is chosen already.

use crate::SignUp;
use crate::parts::{Field, Select, SelectOption};
use crate::people::form::{FormPage, Wrong};
use crate::people::{device, log_in_form};
use crate::view::{Allowed, Problem, View, go, keep};
use axum::extract::Form;
use axum::response::Response;
use domain::act;
use domain::refusal::SignUpRefused;
use engine::MerchantForm;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct SignUpFields {
    #[serde(default)]
    business: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    country: String,
}

pub(super) async fn show(view: View) -> Response {
    page(&view, &SignUpFields::default(), &Wrong::default())
}

pub(super) async fn enter(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<SignUpFields>,
) -> Result<Response, Problem> {
    let rule = view.site.settings.sign_up;
    if rule == SignUp::ByInvitation {
        return Err(Problem::NotAllowed);
    }
    if !view.is_safe {
        return Ok(page(&view, &fields, &Wrong::whole("log-in.unsafe")));
    }
    let (device, keep_device) = device(&view)?;
    let first = view.site.engine.catalog().countries.first().map(|country| country.code.clone());
    let country = match fields.country.as_str() {
        "" => first.unwrap_or_default(),
        code => code.to_owned(),
    };
    let form = MerchantForm {
        business: &fields.business,
        log_in: log_in_form(&view, &fields.email, &fields.password, &device),
        country: &country,
        language: view.words.language.code(),
        is_waiting: rule == SignUp::ByApproval,
    };
    match view.site.engine.sign_up_merchant(permit, form).await {
        Ok(Some(cookie)) => {
            let response = keep(go("/dashboard/sandbox/first"), &view.cookie.set("", &cookie.0));
            Ok(keep(response, &keep_device))
        }
        Ok(None) => Ok(waits(&view)),
        Err(SignUpRefused::Invalid(wrong)) => {
            Ok(page(&view, &fields, &Wrong::fields(wrong.errors)))
        }
        Err(SignUpRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(SignUpRefused::Unavailable(_) | SignUpRefused::Uncertain(_)) => {
            Err(Problem::Unavailable)
        }
    }
}

fn waits(view: &View) -> Response {
    let words = view.words;
    let action = view.at("/log-in");
    FormPage::new(view, words.t("sign-up.waits"), &action, words.t("log-in.button"))
        .intro(words.t("sign-up.waits-text"))
        .field(&Field::email("email", words.t("log-in.email")))
        .field(&Field::password("password", words.t("log-in.password"), "current-password"))
        .show(view)
}

fn page(view: &View, fields: &SignUpFields, wrong: &Wrong) -> Response {
    let words = view.words;
    let catalog = view.site.engine.catalog();
    let business = Field::new("business", words.t("sign-up.business"))
        .value(&fields.business)
        .autocomplete("organization");
    let email = Field::email("email", words.t("log-in.email")).value(&fields.email);
    let password = Field::password("password", words.t("log-in.password"), "new-password")
        .hint(words.t("sign-up.password-hint"));
    let is_fresh = wrong.fields.is_empty() && wrong.whole.is_empty();
    let business = if is_fresh { business.focused() } else { business };
    let [business, email, password] =
        [business, email, password].map(|field| wrong.mark(view, field));
    let options = catalog.countries.iter();
    let country = Select {
        name: "country",
        label: words.t("sign-up.country").to_owned(),
        options: options.map(|c| SelectOption::new(&c.code, &c.name)).collect(),
        chosen: fields.country.clone(),
        error: String::new(),
    };
    let text = match view.site.settings.sign_up {
        SignUp::Open => words.t("sign-up.text"),
        SignUp::ByInvitation => words.t("sign-up.invitation"),
        SignUp::ByApproval => words.t("sign-up.approval"),
    };
    let action = view.at("/sign-up");
    FormPage::new(view, words.t("sign-up.title"), &action, words.t("sign-up.button"))
        .intro(text)
        .summary(wrong.summary(view, &[&business, &email, &password]))
        .field(&business)
        .field(&email)
        .field(&password)
        .field(&country)
        .link("/dashboard/log-in", words.t("sign-up.log-in"))
        .show(view)
}

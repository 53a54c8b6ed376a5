//! Who may do what: one table of acts and holders.
//!
//! An act is something that a person, a program or the installation itself does. Its rule names who
//! may do it, and how. Not here: who asks (the engine finds out, and alone makes a permit). A new
//! act does not compile until it has a rule.

use crate::account::{Environment, Role};

/// Something that changes or shows what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Read what is for everybody: the documents, the forms to get in.
    SeePublic,
    /// Read purchases, webhooks and the log of requests.
    SeePurchases,
    /// Buy in the sandbox, and run samples.
    BuyInSandbox,
    /// Buy with real money: one, in bulk, or on a schedule.
    BuyLive,
    /// Make key pairs and change who may use them.
    ManageKeys,
    /// Revoke a key pair.
    RevokeKeys,
    /// Make, change and remove endpoints of webhooks, and their secrets.
    ManageEndpoints,
    /// Send webhooks and pushes once more.
    ReplayWebhooks,
    /// Read statements.
    SeeMoney,
    /// Report that a delivery was not received.
    ReportPurchase,
    /// Ask for a deposit, or to be paid out.
    RequestMoney,
    /// Buy months of a plan from the live wallet.
    BuyPlan,
    /// Invite people, give roles, disable logins.
    ManagePeople,
    /// Change one's own password, end one's own sessions.
    ManageOwnLogin,
    /// Sign up, log in, have a password reset.
    EnterBySecret,
    /// Let a purchase go out that waits for staff, or call it off.
    DecideApproval,
    /// Settle a doubt with evidence, or close a case.
    SettleDoubt,
    /// Reverse a delivered purchase.
    ReversePurchase,
    /// Book money in or out of a wallet.
    BookMoney,
    /// Change products, prices and routes.
    SetCatalog,
    /// Change the credentials of upstreams.
    SetCredentials,
    /// Check what somebody else has decided about money, prices or credentials.
    CheckDecision,
    /// Open accounts, change their plan.
    ManageAccounts,
    /// Stop at once: halt the installation, freeze an account, pause an upstream.
    Freeze,
    /// Undo what was stopped.
    Unfreeze,
    /// Read the record of acts.
    SeeAudit,
    /// See the pages of an account as its owner sees them.
    ViewAs,
    /// Keep the installation: its master key, missing secrets, the archive.
    Maintain,
    /// What workers do by themselves: submit, enquire, settle, send.
    Work,
}

/// Who may hold the permit for an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The owner of a merchant's account.
    Owner,
    /// A developer of a merchant.
    Developer,
    /// Somebody of a merchant who looks after the money.
    Finance,
    /// Staff who help customers.
    StaffSupport,
    /// Staff who make decisions about purchases.
    StaffOperator,
    /// Staff who check decisions of others.
    StaffApprover,
    /// Staff who look after the money.
    StaffFinance,
    /// Staff who look after logins and rights.
    StaffSecurity,
    /// Staff who give roles; neither maker nor checker.
    StaffOwner,
    /// A program with a key pair.
    ApiKey,
    /// A consumer with a session.
    Customer,
    /// The account that an account belongs to.
    ParentAccount,
    /// Somebody on the command line of the machine.
    Machine,
    /// A worker of this installation.
    Worker,
    /// Anybody: what counts is the secret that comes with the act.
    Anybody,
}

impl Holder {
    /// What a login may do, by the role of its account and the login's own: `owner`, `developer`,
    /// `finance` of a merchant, `support`, `operator`, `approver`, `finance`, `security`, `owner`
    /// of the house, `owner` of a customer. None: nothing.
    pub fn of_login(account: Role, login: &str) -> Option<Holder> {
        match (account, login) {
            (Role::House, "support") => Some(Holder::StaffSupport),
            (Role::House, "operator") => Some(Holder::StaffOperator),
            (Role::House, "approver") => Some(Holder::StaffApprover),
            (Role::House, "finance") => Some(Holder::StaffFinance),
            (Role::House, "security") => Some(Holder::StaffSecurity),
            (Role::House, "owner") => Some(Holder::StaffOwner),
            (Role::Merchant, "owner") => Some(Holder::Owner),
            (Role::Merchant, "developer") => Some(Holder::Developer),
            (Role::Merchant, "finance") => Some(Holder::Finance),
            (Role::Customer, "owner") => Some(Holder::Customer),
            (Role::House | Role::Merchant | Role::Customer, _) => None,
        }
    }

    /// The roles that a login of such an account can have.
    pub const fn roles_of(account: Role) -> &'static [&'static str] {
        match account {
            Role::House => &["owner", "support", "operator", "approver", "finance", "security"],
            Role::Merchant => &["owner", "developer", "finance"],
            Role::Customer => &["owner"],
        }
    }
}

/// How a holder may do an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Not at all.
    No,
    /// Whenever it likes.
    Yes,
    /// It reads, with numbers of people masked.
    Masked,
    /// After it has shown its second factor again.
    StepUp,
    /// It makes the decision, somebody else checks it, both after their second factor.
    TwoPeople,
}

/// The rule of an act: who may do it, and how. Who is not named may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whenever they like.
    pub yes: &'static [Holder],
    /// They read, with numbers of people masked.
    pub masked: &'static [Holder],
    /// After a second factor.
    pub step_up: &'static [Holder],
    /// With a second person.
    pub two_people: &'static [Holder],
    /// In these environments.
    pub environments: &'static [Environment],
}

/// The rule of an act (UI.md 6.3).
#[rustfmt::skip]
pub const fn rule(act: Act) -> Rule {
    use Holder::*;
    let rule = Rule {
        yes: &[], masked: &[], step_up: &[], two_people: &[], environments: &Environment::ALL,
    };
    match act {
        Act::SeePurchases => Rule {
            yes: &[Owner, Developer, Finance, StaffOperator, StaffApprover, StaffFinance, ApiKey,
                Customer, ParentAccount, Machine],
            masked: &[StaffSupport, StaffSecurity],
            ..rule
        },
        Act::BuyInSandbox => Rule {
            yes: &[Owner, Developer, ApiKey, Customer],
            environments: &[Environment::Sandbox], ..rule
        },
        Act::BuyLive => Rule {
            yes: &[ApiKey, Customer], step_up: &[Owner, Finance],
            environments: &[Environment::Live], ..rule
        },
        Act::ManageKeys | Act::ManageEndpoints => Rule {
            yes: &[Owner, Developer, Machine], ..rule
        },
        Act::RevokeKeys => Rule { yes: &[Owner, Developer, StaffSecurity, Machine], ..rule },
        Act::ReplayWebhooks => Rule {
            yes: &[Owner, Developer, StaffSupport, StaffOperator, Customer, Machine], ..rule
        },
        Act::SeeMoney => Rule {
            yes: &[Owner, Finance, StaffSupport, StaffOperator, StaffApprover, StaffFinance, ApiKey,
                Customer, ParentAccount, Machine],
            ..rule
        },
        Act::ReportPurchase => Rule { yes: &[Owner, Developer, Finance], ..rule },
        Act::RequestMoney => Rule { yes: &[Owner, Finance, Customer], ..rule },
        Act::BuyPlan => Rule {
            yes: &[Machine], step_up: &[Owner, Finance], two_people: &[StaffOperator, StaffFinance],
            environments: &[Environment::Live], ..rule
        },
        Act::ManagePeople => Rule {
            yes: &[Machine], step_up: &[Owner, StaffOwner], two_people: &[StaffSecurity], ..rule
        },
        Act::ManageOwnLogin => Rule {
            yes: &[Owner, Developer, Finance, StaffSupport, StaffOperator, StaffApprover,
                StaffFinance, StaffSecurity, StaffOwner, Customer],
            ..rule
        },
        Act::EnterBySecret | Act::SeePublic => Rule { yes: &[Anybody], ..rule },
        Act::DecideApproval => Rule {
            yes: &[Machine], step_up: &[StaffOperator, StaffApprover], ..rule
        },
        Act::SettleDoubt | Act::ReversePurchase | Act::SetCatalog | Act::SetCredentials => Rule {
            yes: &[Machine], two_people: &[StaffOperator], ..rule
        },
        Act::BookMoney => Rule {
            yes: &[Machine], two_people: &[StaffOperator, StaffFinance], ..rule
        },
        Act::CheckDecision => Rule { step_up: &[StaffApprover], ..rule },
        Act::ManageAccounts => Rule { yes: &[Machine], step_up: &[StaffOperator], ..rule },
        Act::Freeze => Rule {
            yes: &[StaffOperator, StaffApprover, StaffSecurity, Machine], ..rule
        },
        Act::Unfreeze => Rule {
            yes: &[Machine], two_people: &[StaffOperator, StaffSecurity], ..rule
        },
        Act::SeeAudit => Rule {
            yes: &[StaffApprover, StaffFinance, StaffSecurity, StaffOwner, Machine], ..rule
        },
        Act::ViewAs => Rule { yes: &[StaffSupport, StaffOperator, StaffSecurity], ..rule },
        Act::Maintain => Rule { yes: &[Machine, Worker], ..rule },
        Act::Work => Rule { yes: &[Worker], ..rule },
    }
}

/// How a holder may do an act in an environment.
pub fn grant(act: Act, holder: Holder, environment: Environment) -> Grant {
    let rule = rule(act);
    if !rule.environments.contains(&environment) {
        return Grant::No;
    }
    let of = |holders: &[Holder]| holders.contains(&holder);
    let grants = [
        (rule.yes, Grant::Yes),
        (rule.masked, Grant::Masked),
        (rule.step_up, Grant::StepUp),
        (rule.two_people, Grant::TwoPeople),
    ];
    let first = grants.into_iter().find(|(holders, _)| of(holders));
    first.map_or(Grant::No, |(_, grant)| grant)
}

// As stored in the record of acts.
codes! {
    Act {
        SeePublic => "see_public",
        SeePurchases => "see_purchases",
        BuyInSandbox => "buy_in_sandbox",
        BuyLive => "buy_live",
        ManageKeys => "manage_keys",
        RevokeKeys => "revoke_keys",
        ManageEndpoints => "manage_endpoints",
        ReplayWebhooks => "replay_webhooks",
        SeeMoney => "see_money",
        ReportPurchase => "report_purchase",
        RequestMoney => "request_money",
        BuyPlan => "buy_plan",
        ManagePeople => "manage_people",
        ManageOwnLogin => "manage_own_login",
        EnterBySecret => "enter_by_secret",
        DecideApproval => "decide_approval",
        SettleDoubt => "settle_doubt",
        ReversePurchase => "reverse_purchase",
        BookMoney => "book_money",
        SetCatalog => "set_catalog",
        SetCredentials => "set_credentials",
        CheckDecision => "check_decision",
        ManageAccounts => "manage_accounts",
        Freeze => "freeze",
        Unfreeze => "unfreeze",
        SeeAudit => "see_audit",
        ViewAs => "view_as",
        Maintain => "maintain",
        Work => "work",
    }
}

codes! {
    Holder {
        Owner => "owner",
        Developer => "developer",
        Finance => "finance",
        StaffSupport => "staff support",
        StaffOperator => "staff operator",
        StaffApprover => "staff approver",
        StaffFinance => "staff finance",
        StaffSecurity => "staff security",
        StaffOwner => "staff owner",
        ApiKey => "API key",
        Customer => "customer",
        ParentAccount => "parent account",
        Machine => "machine",
        Worker => "worker",
        Anybody => "anybody",
    }
}

/// An act as a type, for permits.
pub trait Permitted: Send + Sync + 'static {
    /// The act in an environment.
    fn act(environment: Environment) -> Act;
}

/// The acts as types: `Permit<act::Buy>`.
pub mod act {
    use super::{Act, Environment, Permitted};

    macro_rules! act_types {
        ($($(#[$doc:meta])+ $name:ident;)+) => {$(
            $(#[$doc])+
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Permitted for $name {
                fn act(_: Environment) -> Act {
                    Act::$name
                }
            }
        )+};
    }

    act_types! {
        /// [`Act::ManageKeys`].
        ManageKeys;
        /// [`Act::RevokeKeys`].
        RevokeKeys;
        /// [`Act::ManageEndpoints`].
        ManageEndpoints;
        /// [`Act::ReplayWebhooks`].
        ReplayWebhooks;
        /// [`Act::ReportPurchase`].
        ReportPurchase;
        /// [`Act::RequestMoney`].
        RequestMoney;
        /// [`Act::BuyPlan`].
        BuyPlan;
        /// [`Act::ManagePeople`].
        ManagePeople;
        /// [`Act::ManageOwnLogin`].
        ManageOwnLogin;
        /// [`Act::EnterBySecret`].
        EnterBySecret;
        /// [`Act::DecideApproval`].
        DecideApproval;
        /// [`Act::SettleDoubt`].
        SettleDoubt;
        /// [`Act::ReversePurchase`].
        ReversePurchase;
        /// [`Act::BookMoney`].
        BookMoney;
        /// [`Act::SetCatalog`].
        SetCatalog;
        /// [`Act::SetCredentials`].
        SetCredentials;
        /// [`Act::ManageAccounts`].
        ManageAccounts;
        /// [`Act::Freeze`].
        Freeze;
        /// [`Act::Unfreeze`].
        Unfreeze;
        /// [`Act::Maintain`].
        Maintain;
        /// [`Act::Work`].
        Work;
    }

    /// [`Act::BuyInSandbox`] or [`Act::BuyLive`].
    #[derive(Clone, Copy, Debug)]
    pub struct Buy;

    impl Permitted for Buy {
        fn act(environment: Environment) -> Act {
            match environment {
                Environment::Sandbox => Act::BuyInSandbox,
                Environment::Live => Act::BuyLive,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;

    const INTRODUCTION: &str = "# Who may do what

Printed by a test from `crates/domain/src/acts.rs`; do not edit by hand.

A row is an act, a column is who does it. **yes**: whenever they like. **masked**: they
read, with numbers of people masked. **step-up**: after a second
factor. **two**: with a second person who checks it. Blank: not at all.

";

    fn cell(act: Act, holder: Holder) -> &'static str {
        let environments = rule(act).environments.iter();
        match environments.map(|e| grant(act, holder, *e)).next().unwrap_or(Grant::No) {
            Grant::No => "",
            Grant::Yes => "yes",
            Grant::Masked => "masked",
            Grant::StepUp => "step-up",
            Grant::TwoPeople => "two",
        }
    }

    #[test]
    fn the_matrix_is_the_one_that_is_printed() {
        let holders: Vec<&str> = Holder::ALL.iter().map(|holder| holder.code()).collect();
        let mut table = format!("{INTRODUCTION}| act | {} |\n|---|", holders.join(" | "));
        table.push_str(&"---|".repeat(holders.len()));
        for act in Act::ALL {
            let cells: Vec<&str> = Holder::ALL.iter().map(|holder| cell(act, *holder)).collect();
            table.push_str(&format!("\n| {} | {} |", act.code(), cells.join(" | ")));
        }
        table.push('\n');
        expect_file!["../../../docs/internals/acts.md"].assert_eq(&table);
    }

    #[test]
    fn nobody_both_makes_and_checks_and_only_workers_work() {
        for holder in Holder::ALL {
            let grants = |act| grant(act, holder, Environment::Live);
            let makes = [Act::SettleDoubt, Act::ReversePurchase, Act::SetCatalog, Act::BookMoney]
                .into_iter()
                .any(|act| grants(act) == Grant::TwoPeople);
            assert!(!makes || grants(Act::CheckDecision) == Grant::No, "{holder:?}");
            assert_eq!(grants(Act::Work) == Grant::Yes, holder == Holder::Worker);
        }
    }

    #[test]
    fn an_act_of_one_environment_is_none_in_the_other() {
        let key = Holder::ApiKey;
        assert_eq!(grant(Act::BuyInSandbox, key, Environment::Live), Grant::No);
        assert_eq!(grant(Act::BuyLive, key, Environment::Live), Grant::Yes);
        assert_eq!(grant(Act::BuyLive, Holder::Developer, Environment::Live), Grant::No);
    }
}

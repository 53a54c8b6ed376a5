//! Permits: who may change what, decided before it is changed.
//!
//! A use case that changes something takes a permit for its act by value; every commit of the
//! engine goes through here and wants one. Only this module makes permits, by the table of
//! `domain::acts`. Invariant: an act of a person, or of somebody on the command line, is recorded
//! in its own commit.
//!
//! With its permit, an act compiles (so that what follows fails for its own reason):
//!
//! ```
//! async fn approve(engine: &engine::Engine, permit: engine::Permit<domain::act::DecideApproval>) {
//!     let _ = engine.approve(permit, domain::PurchaseNumber(1)).await;
//! }
//! ```
//!
//! Without a permit nothing is approved:
//!
//! ```compile_fail,E0061
//! async fn approve(engine: &engine::Engine) {
//!     let _ = engine.approve(domain::PurchaseNumber(1)).await;
//! }
//! ```
//!
//! Nobody else can make one:
//!
//! ```compile_fail,E0451
//! fn forged(permit: engine::Permit<domain::act::Buy>) -> engine::Permit<domain::act::Buy> {
//!     engine::Permit { act: Default::default(), ..permit }
//! }
//! ```
//!
//! A permit for one act is none for another, and it is used once:
//!
//! ```compile_fail,E0308
//! async fn approve(engine: &engine::Engine, permit: engine::Permit<domain::act::Buy>) {
//!     let _ = engine.approve(permit, domain::PurchaseNumber(1)).await;
//! }
//! ```
//!
//! ```compile_fail,E0382
//! async fn twice(engine: &engine::Engine, permit: engine::Permit<domain::act::DecideApproval>) {
//!     let _ = engine.approve(permit, domain::PurchaseNumber(1)).await;
//!     let _ = engine.approve(permit, domain::PurchaseNumber(2)).await;
//! }
//! ```

use crate::refusals::{invalid, not_possible};
use crate::{Caller, Engine};
use domain::acts::grant;
use domain::refusal::{Invalid, NotPossible};
use domain::{
    AccountId, Environment, Grant, Holder, KeyId, KeyScope, Permitted, SessionId, UserId, act,
};
use serde_json::Value;
use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;
use store::{ActRecord, Commit, Fault, Recorded};

/// The right to do an act once. It is made by [`Engine::permit`], [`Engine::permit_machine`] and
/// [`Engine::permit_anybody`], and used up by the act.
#[derive(Debug)]
pub struct Permit<A> {
    held_by: PermitHolder,
    act: PhantomData<fn() -> A>,
}

/// Who does an act.
#[derive(Clone, Debug)]
enum PermitHolder {
    Key(AccountId, KeyId),
    Session(AccountId, SessionId),
    /// On the pages.
    Person(AccountId, UserId, SessionId),
    /// On the command line, with the name that was given; it may be blank.
    Machine(String),
    Worker,
    Anybody,
}

impl Display for PermitHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PermitHolder::Key(account, key) => write!(f, "key {key} of account {account}"),
            PermitHolder::Session(account, session) => {
                write!(f, "session {session} of account {account}")
            }
            PermitHolder::Person(account, user, session) => {
                write!(f, "login {user} of account {account}, session {session}")
            }
            PermitHolder::Machine(by) if by.is_empty() => write!(f, "machine"),
            PermitHolder::Machine(by) => write!(f, "machine: {by}"),
            PermitHolder::Worker => write!(f, "worker"),
            PermitHolder::Anybody => write!(f, "anybody"),
        }
    }
}

impl<A: Permitted> Permit<A> {
    const fn new(held_by: PermitHolder) -> Permit<A> {
        Permit { held_by, act: PhantomData }
    }

    /// The name of the person on the command line; refuses a blank one.
    pub(crate) fn by(&self, message: &str) -> Result<&str, Invalid> {
        match &self.held_by {
            PermitHolder::Machine(by) if !by.is_empty() => Ok(by),
            PermitHolder::Machine(_)
            | PermitHolder::Key(..)
            | PermitHolder::Session(..)
            | PermitHolder::Person(..)
            | PermitHolder::Worker
            | PermitHolder::Anybody => Err(invalid("by", message)),
        }
    }

    /// Who does the act, for what they make: `login 5`, `machine: rahim`.
    pub(crate) fn maker(&self) -> String {
        match &self.held_by {
            PermitHolder::Person(_, user, _) => format!("login {user}"),
            PermitHolder::Key(..)
            | PermitHolder::Session(..)
            | PermitHolder::Machine(_)
            | PermitHolder::Worker
            | PermitHolder::Anybody => self.held_by.to_string(),
        }
    }

    /// Whether it was made for this caller.
    pub(crate) fn is_of(&self, caller: &Caller) -> bool {
        match self.held_by {
            PermitHolder::Key(account, key) => (account, Some(key)) == (caller.account, caller.key),
            PermitHolder::Session(account, session) | PermitHolder::Person(account, _, session) => {
                (account, Some(session)) == (caller.account, caller.session)
            }
            PermitHolder::Machine(_) | PermitHolder::Worker | PermitHolder::Anybody => false,
        }
    }
}

/// What an act changed, for its record.
pub(crate) struct Changed {
    object: String,
    before: Value,
    after: Value,
}

impl Changed {
    /// `before` and `after` as JSON; null: it was not there, or is gone.
    pub(crate) fn new(object: impl Display, before: Value, after: Value) -> Changed {
        Changed { object: object.to_string(), before, after }
    }

    /// Of what was not there before, or is only an event.
    pub(crate) fn made(object: impl Display, after: Value) -> Changed {
        Changed::new(object, Value::Null, after)
    }
}

impl Engine {
    /// The permit of a caller: a key pair, a customer's session, or a person on the pages. Refuses
    /// an act that its holder may not do, or only after a second factor that was not shown.
    pub fn permit<A: Permitted>(&self, caller: &Caller) -> Result<Permit<A>, NotPossible> {
        let scope = KeyScope::of_act(A::act(caller.environment));
        if caller.key.is_some() && scope.is_some_and(|scope| !caller.scopes.allows(scope)) {
            return Err(not_possible("The key pair is not for this."));
        }
        if let (Some(person), Some(session)) = (caller.person, caller.session) {
            let held_by = PermitHolder::Person(caller.account, person.user, session);
            let granted = grant(A::act(caller.environment), person.holder, caller.environment);
            if granted == Grant::StepUp && person.is_proved {
                return Ok(Permit::new(held_by));
            }
            return permit_of(person.holder, held_by, caller.environment);
        }
        let (holder, held_by) = match (caller.session, caller.key) {
            (Some(session), _) => {
                (Holder::Customer, PermitHolder::Session(caller.account, session))
            }
            (None, Some(key)) => (Holder::ApiKey, PermitHolder::Key(caller.account, key)),
            (None, None) => {
                return Err(not_possible("The caller has neither key pair nor session."));
            }
        };
        permit_of(holder, held_by, caller.environment)
    }

    /// The permit of somebody on the command line of this machine; `by` is their name, as free
    /// text, and may be blank where nobody is asked for one.
    pub fn permit_machine<A: Permitted>(&self, by: &str) -> Result<Permit<A>, NotPossible> {
        permit_of(Holder::Machine, PermitHolder::Machine(by.trim().to_owned()), Environment::Live)
    }

    /// The permit of anybody, for what a secret of its own allows: to sign up, to log in.
    pub fn permit_anybody<A: Permitted>(&self) -> Result<Permit<A>, NotPossible> {
        permit_of(Holder::Anybody, PermitHolder::Anybody, Environment::Live)
    }

    /// The permit of this installation's workers, for the steps that purchases require.
    pub(crate) const fn work(&self) -> Permit<act::Work> {
        Permit::new(PermitHolder::Worker)
    }

    /// Commits a change that nothing can refuse.
    pub(crate) async fn commit<A, C: Commit<Denied = Infallible>>(
        &self,
        permit: &Permit<A>,
        commit: C,
    ) -> Result<C::Done, Fault> {
        let Ok(done) = self.write(permit, commit, None).await?;
        Ok(done)
    }

    /// Commits a change, or says what refused it. `within` is how long the writer may take to begin
    /// with it.
    pub(crate) async fn write<A, C: Commit>(
        &self,
        _: &Permit<A>,
        commit: C,
        within: Option<Duration>,
    ) -> Result<Result<C::Done, C::Denied>, Fault> {
        match within {
            Some(timeout) => self.inner.store.write_within(commit, timeout).await,
            None => self.inner.store.write(commit).await,
        }
    }

    /// Commits an act that nothing can refuse, with its record.
    pub(crate) async fn commit_act<A: Permitted, C: Commit<Denied = Infallible>>(
        &self,
        permit: &Permit<A>,
        commit: C,
        changed: Changed,
    ) -> Result<C::Done, Fault> {
        self.commit(permit, self.recorded(permit, commit, [changed], |_| true)).await
    }

    /// A change with the record of its act, which is written if `happened`.
    pub(crate) fn recorded<A: Permitted, C: Commit>(
        &self,
        permit: &Permit<A>,
        commit: C,
        changed: impl IntoIterator<Item = Changed>,
        happened: fn(&C::Done) -> bool,
    ) -> Recorded<C> {
        let at = self.now();
        let text = |value: Value| (!value.is_null()).then(|| value.to_string());
        let record = |Changed { object, before, after }| ActRecord {
            at,
            done_by: permit.held_by.to_string(),
            act: A::act(Environment::Live),
            object,
            before: text(before),
            after: text(after),
        };
        Recorded { commit, records: changed.into_iter().map(record).collect(), happened }
    }

    /// The latest acts of people and of the command line, latest first, at most `limit`; of one
    /// object (`purchase 12`, `account 3`), or of all.
    pub fn acts(&self, object: Option<&str>, limit: u32) -> Result<Vec<ActRecord>, Fault> {
        self.inner.store.acts(object, limit)
    }
}

fn permit_of<A: Permitted>(
    holder: Holder,
    held_by: PermitHolder,
    environment: Environment,
) -> Result<Permit<A>, NotPossible> {
    let act = A::act(environment);
    match grant(act, holder, environment) {
        Grant::Yes => Ok(Permit::new(held_by)),
        Grant::No | Grant::Masked | Grant::StepUp | Grant::TwoPeople => {
            let (holder, act) = (holder.code(), act.code());
            Err(not_possible(format!("The act {act} is not for the holder {holder}.")))
        }
    }
}

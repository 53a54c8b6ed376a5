//! What a key pair may be used for.
//!
//! Not here: what its account may do. Invariant: a pair without scopes of its own may do all that
//! an API key may.

use crate::acts::Act;

/// A group of the API's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// Purchases, offers, operators and prices are read.
    Read,
    /// Something is bought.
    Buy,
    /// Balance, statement and commission are read.
    Money,
}

codes! {
    KeyScope {
        Read => "read",
        Buy => "buy",
        Money => "money",
    }
}

impl KeyScope {
    /// The scope that an act of a key pair needs; none: no key pair does it.
    pub fn of_act(act: Act) -> Option<KeyScope> {
        match act {
            Act::SeePurchases => Some(KeyScope::Read),
            Act::BuyInSandbox | Act::BuyLive => Some(KeyScope::Buy),
            Act::SeeMoney => Some(KeyScope::Money),
            Act::SeePublic
            | Act::ManageKeys
            | Act::RevokeKeys
            | Act::ManageEndpoints
            | Act::ReplayWebhooks
            | Act::ReportPurchase
            | Act::RequestMoney
            | Act::BuyPlan
            | Act::ManagePeople
            | Act::ManageOwnLogin
            | Act::EnterBySecret
            | Act::DecideApproval
            | Act::SettleDoubt
            | Act::ReversePurchase
            | Act::BookMoney
            | Act::SetCatalog
            | Act::SetCredentials
            | Act::CheckDecision
            | Act::ManageAccounts
            | Act::Freeze
            | Act::Unfreeze
            | Act::SeeAudit
            | Act::ViewAs
            | Act::Maintain
            | Act::Work => None,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            KeyScope::Read => 1,
            KeyScope::Buy => 2,
            KeyScope::Money => 4,
        }
    }
}

/// The scopes of a key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// All of them.
    pub const ALL: KeyScopes = KeyScopes(7);

    /// These; all of them if none is named.
    pub fn of(scopes: impl IntoIterator<Item = KeyScope>) -> KeyScopes {
        match scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()) {
            0 => KeyScopes::ALL,
            bits => KeyScopes(bits),
        }
    }

    /// Whether one of them is this.
    pub const fn allows(self, scope: KeyScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether they are all.
    pub fn is_all(self) -> bool {
        self == KeyScopes::ALL
    }

    /// Their codes.
    pub fn codes(self) -> Vec<&'static str> {
        let own = KeyScope::ALL.into_iter().filter(|scope| self.allows(*scope));
        own.map(KeyScope::code).collect()
    }
}

impl Default for KeyScopes {
    fn default() -> KeyScopes {
        KeyScopes::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Environment;
    use crate::acts::{Grant, Holder, grant};

    #[test]
    fn each_act_of_an_api_key_has_a_scope() {
        for act in Act::ALL {
            let environments = Environment::ALL;
            let is_a_keys =
                environments.iter().any(|e| grant(act, Holder::ApiKey, *e) == Grant::Yes);
            assert_eq!(KeyScope::of_act(act).is_some(), is_a_keys, "{act:?}");
        }
    }

    #[test]
    fn scopes_allow_what_they_name_and_none_means_all() {
        let some = KeyScopes::of([KeyScope::Buy, KeyScope::Read]);
        assert_eq!(some.codes(), ["read", "buy"]);
        assert!(some.allows(KeyScope::Buy) && !some.allows(KeyScope::Money) && !some.is_all());
        assert!(KeyScopes::of([]).is_all() && KeyScopes::of(KeyScope::ALL).is_all());
    }
}

//! Accounts, their environments and keys.
//!
//! Not here: users and their passwords, the terms of plans (`plan`). Invariant: the environment of
//! a call is that of the stored key pair, never the one that the sent key's prefix claims (CONTRACT
//!

pub mod plan;

use crate::clock::Timestamp;
use crate::ids::KeyId;
use crate::scopes::KeyScopes;
use ipnet::IpNet;
use plan::{Plan, Subscription};
use std::net::{IpAddr, Ipv6Addr};

/// Identifies an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub i64);

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The account of the company that runs this installation; it owns fees, floats and funding.
pub const HOUSE: AccountId = AccountId(1);

/// Sandbox or live; part of the key of every table with money or purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Test money and simulated upstreams.
    Sandbox,
    /// Real money and real upstreams.
    Live,
}

// As stored and shown: `sandbox`, `live`.
codes! {
    Environment {
        Sandbox => "sandbox",
        Live => "live",
    }
}

impl Environment {
    /// The part of a key between `ok_` and the random characters: `test`, `live`.
    pub const fn key_word(self) -> &'static str {
        match self {
            Environment::Sandbox => "test",
            Environment::Live => "live",
        }
    }
}

/// What kind of customer an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The company that runs this installation.
    House,
    /// Resells over the API.
    Merchant,
    /// Buys for own use.
    Customer,
}

codes! {
    Role {
        House => "house",
        Merchant => "merchant",
        Customer => "customer",
    }
}

/// What happens to the same sale again: the same recipient, operator and amount within two minutes
/// under another reference (CONTRACT A-42).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// Nothing.
    Off,
    /// It is sold, and the answer names the earlier reference.
    #[default]
    Mark,
    /// It is refused, unless the request allows it.
    Refuse,
}

codes! {
    DuplicatePolicy {
        Off => "off",
        Mark => "mark",
        Refuse => "refuse",
    }
}

/// A business or person that holds wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// House, merchant or customer.
    pub role: Role,
    /// For people.
    pub name: String,
    /// An inactive account is refused everything (403).
    pub is_active: bool,
    /// Without one, nothing is sold to its key pairs (402).
    pub subscription: Option<Subscription>,
    /// When staff approved it: without, nothing is sold for real money.
    pub approved_at: Option<Timestamp>,
    /// What happens to the same sale again.
    pub duplicates: DuplicatePolicy,
    /// The time of its creation.
    pub opened_at: Timestamp,
}

impl Account {
    /// The plan of its subscription; none without one, and once it has expired.
    pub fn plan_at(&self, now: Timestamp) -> Option<Plan> {
        self.subscription.filter(|subscription| subscription.until > now).map(|s| s.plan)
    }
}

/// A key pair of an account, as stored: the secret's digest only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The wire's `api_key_id`.
    pub id: KeyId,
    /// The owner.
    pub account: AccountId,
    /// The only environment in which it is valid.
    pub environment: Environment,
    /// `ok_{test,live}_` and 24 characters; public, and what a pair is looked up by.
    pub open_key: String,
    /// SHA-256 of the secret.
    pub secret_digest: [u8; 32],
    /// The last four characters of the secret, to tell pairs apart.
    pub secret_tail: String,
    /// Addresses that may use it; empty: any (the seed's *IP Whitelist*).
    pub allow_list: AllowList,
    /// A revoked pair is refused like an unknown one.
    pub revoked_at: Option<Timestamp>,
    /// What it may be used for.
    pub scopes: KeyScopes,
    /// Its end, exclusive; none: it has none.
    pub expires_at: Option<Timestamp>,
    /// Who made it, as the record of acts names them; none: it is older than that is known.
    pub made_by: Option<String>,
}

impl Key {
    /// Whether it gives access at a moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && !self.is_over_at(now)
    }

    /// Whether its end has come.
    pub fn is_over_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The address under which a caller is counted: the /64 of an IPv6 address, because one subscriber
/// has a whole /64; IPv4 mapped into IPv6 counts as IPv4.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Addresses and ranges from which a key may be used; an empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

/// A line that is no address or range, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRange(pub String);

impl AllowList {
    /// Reads `192.168.1.1` and `10.0.0.0/24`. A prefix of length 0 is refused: it would look like
    /// a restriction and allow everybody.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<AllowList, BadRange> {
        let mut nets = Vec::new();
        for line in lines {
            let bad = || BadRange(line.to_owned());
            let net = match line.parse::<IpNet>() {
                Ok(net) => net,
                Err(_) => IpNet::from(line.parse::<IpAddr>().map_err(|_| bad())?.to_canonical()),
            };
            if net.prefix_len() == 0 {
                return Err(bad());
            }
            nets.push(net.trunc());
        }
        Ok(AllowList(nets))
    }

    /// Whether a caller at `address` is allowed; IPv4 mapped into IPv6 counts as IPv4.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&address.to_canonical()))
    }

    /// The addresses and ranges, in the form that [`AllowList::parse`] reads.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscribers_addresses_count_as_one() {
        let at = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::");
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_eq!(at("::ffff:1.2.3.4"), at("1.2.3.4"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8::1"));
    }

    #[test]
    fn an_allow_list_matches_addresses_ranges_and_mapped_addresses() {
        let list =
            AllowList::parse(["192.168.1.1", "10.0.0.0/24", "2001:db8::/32", "::ffff:5.6.7.8"])
                .unwrap();
        for (address, allowed) in [
            ("192.168.1.1", true),
            ("192.168.1.2", false),
            ("10.0.0.255", true),
            ("10.0.1.0", false),
            ("::ffff:10.0.0.7", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("5.6.7.8", true),
        ] {
            assert_eq!(list.allows(address.parse().unwrap()), allowed, "{address}");
        }
        assert!(AllowList::default().allows("8.8.8.8".parse().unwrap()));
        for bad in ["0.0.0.0/0", "::/0", "10.0.0.0/33", "host", "", "10.0.0"] {
            assert_eq!(AllowList::parse([bad]), Err(BadRange(bad.into())), "{bad}");
        }
        assert_eq!(AllowList::parse(list.lines().iter().map(String::as_str)), Ok(list));
    }
}

//! Identifiers, and how a purchase's number and the day of its making are one id.
//!
//! Invariant: what is on the wire is a number of a sequence, small enough for 32 bits for the first
//! two thousand million of each kind (CONTRACT ). Not here: who gives the numbers (the
//! store).

use crate::clock::Timestamp;
use std::collections::{HashMap, HashSet};

/// A map by what nobody outside can choose, such as our own numbers.
pub type IdMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
/// A set of what nobody outside can choose.
pub type IdSet<K> = HashSet<K, foldhash::fast::RandomState>;

macro_rules! id {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

id! {
    /// What everybody outside calls a purchase by: the wire's transaction id.
    PurchaseNumber,
    /// Identifies a key pair.
    KeyId,
    /// Identifies a user: a login.
    UserId,
    /// Identifies a session: from log-in to log-out.
    SessionId,
    /// Identifies a device that pushes are sent to.
    DeviceId,
    /// Identifies a webhook endpoint of an account.
    EndpointId,
    /// Identifies a journal; dense and ascending in the order of commits.
    JournalSeq,
}

/// Identifies a purchase in the store: the day on which its number was given, and the number. So
/// the id alone tells the month whose partition has it, and ids ascend with time. Outside the store
/// a purchase has its [`PurchaseNumber`], which is also what `Display` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PurchaseId(pub i64);

/// Days since 1970-01-01, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

const DAY_MICROS: i64 = 86_400_000_000;
/// Bits of an id for the number: 137 thousand million of them. The day is above.
const NUMBER_BITS: u32 = 37;
const NUMBER_MASK: i64 = (1 << NUMBER_BITS) - 1;
/// The lowest id with a number: of 2026-01-01. Ids of before are below: milliseconds since that
/// day, 5 bits of node, 7 of sequence. They are their own numbers.
pub const FIRST_NUMBERED: i64 = 20_454 << NUMBER_BITS;
/// 2026-01-01T00:00:00Z in milliseconds: the zero of the ids of before.
const OLD_EPOCH_MS: i64 = 1_767_225_600_000;
const OLD_LOW_BITS: u32 = 12;

impl Day {
    /// The day that contains a moment.
    pub const fn of(at: Timestamp) -> Day {
        Day(at.0.div_euclid(DAY_MICROS))
    }

    /// Its first moment.
    pub const fn starts_at(self) -> Timestamp {
        Timestamp(self.0 * DAY_MICROS)
    }
}

impl PurchaseId {
    /// The id of a number that was given on a day.
    pub const fn given_on(day: Day, number: PurchaseNumber) -> PurchaseId {
        PurchaseId((day.0 << NUMBER_BITS) | (number.0 & NUMBER_MASK))
    }

    /// The number that the purchase has outside the store.
    pub const fn number(self) -> PurchaseNumber {
        PurchaseNumber(if self.is_numbered() { self.0 & NUMBER_MASK } else { self.0 })
    }

    /// Whether its number is of the sequence; else the id is of before there was one.
    pub const fn is_numbered(self) -> bool {
        self.0 >= FIRST_NUMBERED
    }
}

impl PurchaseNumber {
    /// Whether the sequence can have given it: ids of before are higher.
    pub const fn is_of_sequence(self) -> bool {
        self.0 > 0 && self.0 <= NUMBER_MASK
    }
}

impl std::fmt::Display for PurchaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(f)
    }
}

/// When a purchase's id was made: the day of its number, or the millisecond of an id of before.
pub(crate) const fn made_at(id: PurchaseId) -> Timestamp {
    match id.is_numbered() {
        true => Day(id.0 >> NUMBER_BITS).starts_at(),
        false => Timestamp(((id.0 >> OLD_LOW_BITS) + OLD_EPOCH_MS) * 1_000),
    }
}

/// The lowest id with a number that can be given on the day of a moment.
pub const fn first_at(at: Timestamp) -> i64 {
    Day::of(at).0 << NUMBER_BITS
}

/// The lowest id of before that could be made at a moment.
pub(crate) const fn first_old_at(at: Timestamp) -> i64 {
    (at.0.div_euclid(1_000) - OLD_EPOCH_MS) << OLD_LOW_BITS
}

/// Each kind of thing that has a sequence of numbers of its own, over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// Purchases, and test webhooks, which are about a purchase that does not exist.
    Purchase,
    /// Accounts.
    Account,
    /// Key pairs of before: now a pair has the number of its endpoint.
    Key,
    /// Logins.
    User,
    /// Sessions.
    Session,
    /// Devices.
    Device,
    /// Webhook endpoints.
    Endpoint,
}

impl Sequence {
    /// Every sequence.
    pub const ALL: [Sequence; 7] = [
        Sequence::Purchase,
        Sequence::Account,
        Sequence::Key,
        Sequence::User,
        Sequence::Session,
        Sequence::Device,
        Sequence::Endpoint,
    ];

    /// Its name in the store.
    pub const fn code(self) -> &'static str {
        match self {
            Sequence::Purchase => "purchase",
            Sequence::Account => "account",
            Sequence::Key => "key",
            Sequence::User => "user",
            Sequence::Session => "session",
            Sequence::Device => "device",
            Sequence::Endpoint => "endpoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Month;

    const NOON: Timestamp = Timestamp(1_795_953_600_000_000);

    #[test]
    fn an_id_tells_its_number_and_its_month() {
        for number in [1, 1_042, 2_147_483_647, NUMBER_MASK] {
            let number = PurchaseNumber(number);
            let id = PurchaseId::given_on(Day::of(NOON), number);
            assert_eq!((id.number(), Month::of_id(id)), (number, Month::of(NOON)));
            assert!(number.is_of_sequence() && id.0 < 1 << 53);
            assert_eq!(id.to_string(), number.to_string());
        }
    }

    #[test]
    fn ids_of_before_are_their_own_numbers_and_below_all_others() {
        let old = PurchaseId(first_old_at(NOON) + 17);
        assert_eq!((old.number().0, Month::of_id(old)), (old.0, Month::of(NOON)));
        assert!(!old.number().is_of_sequence() && old.0 < FIRST_NUMBERED);
        // Until 2047 no clock could have made one that is not below.
        assert!(first_old_at(Timestamp(2_430_000_000_000_000)) < FIRST_NUMBERED);
    }

    #[test]
    fn ids_ascend_with_the_day_and_within_it() {
        let id = |day, number| PurchaseId::given_on(Day(day), PurchaseNumber(number));
        assert!(id(20_780, 7) < id(20_780, 8) && id(20_780, 8) < id(20_781, 2));
        assert_eq!(first_at(NOON), id(Day::of(NOON).0, 0).0);
    }
}

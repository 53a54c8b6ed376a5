//! What the simulator does with an order: one row of CONTRACT section 3 each.
//!
//! Pure: from the recipient's last three digits, or else from the reference. Not here: the words
//! and the times.

use super::random::draw;
use domain::account::Environment;
use domain::upstream::Order;
use serde::{Deserialize, Serialize};

/// How an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// 101, 105 (which staff had to approve) and ordinary numbers: delivered at once.
    Deliver,
    /// 102: refused at once, the number is invalid.
    RefuseNumber,
    /// An ordinary sandbox number out of luck: refused at once.
    RefuseByChance,
    /// 103: accepted, delivered later.
    WorkThenDeliver,
    /// 104: accepted, refused later.
    WorkThenRefuse,
    /// 106: delivered, but the reply is lost; an enquiry tells.
    LoseReply,
    /// 107: lost on the way in; never on record.
    LoseRequest,
    /// 108: delivered, later taken back.
    DeliverThenReverse,
    /// 109: delivered, but the reply is garbage; an enquiry tells.
    Garble,
    /// 110 at the first upstream of the route: refuses the connection; never on record.
    Down,
    /// 111: delivered, but nobody hears of it, ever.
    Mute,
    /// 112: refused, later delivered after all.
    RefuseThenDeliver,
}

/// What makes an order's state change by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The work on it is done.
    EndOfWork,
    /// The contrary of the first answer becomes true.
    Contrary,
}

/// Of a hundred ordinary sandbox orders, so many succeed (CONTRACT A-30).
const SUCCEED_OF_HUNDRED: u64 = 80;

impl Script {
    /// What the upstream at this place of the route does with the order.
    pub(super) fn of(seed: u64, order: &Order, position: usize) -> Script {
        let bytes = order.recipient.as_bytes();
        match &bytes[bytes.len().saturating_sub(3)..] {
            b"101" | b"105" => Script::Deliver,
            b"102" => Script::RefuseNumber,
            b"103" => Script::WorkThenDeliver,
            b"104" => Script::WorkThenRefuse,
            b"106" => Script::LoseReply,
            b"107" => Script::LoseRequest,
            b"108" => Script::DeliverThenReverse,
            b"109" => Script::Garble,
            b"110" if position == 0 => Script::Down,
            b"110" => Script::Deliver,
            b"111" => Script::Mute,
            b"112" => Script::RefuseThenDeliver,
            _ => Script::of_ordinary(seed, order),
        }
    }

    fn of_ordinary(seed: u64, order: &Order) -> Script {
        match order.environment {
            Environment::Live => Script::Deliver,
            Environment::Sandbox => {
                match draw(seed, &[order.reference.as_bytes()]) % 100 < SUCCEED_OF_HUNDRED {
                    true => Script::Deliver,
                    false => Script::RefuseByChance,
                }
            }
        }
    }

    /// Whether the end customer has the money's worth, before or after the turn.
    pub(super) const fn credits(self, has_turned: bool) -> bool {
        match self {
            Script::Deliver | Script::LoseReply | Script::Garble | Script::Mute => true,
            Script::RefuseNumber
            | Script::RefuseByChance
            | Script::WorkThenRefuse
            | Script::LoseRequest
            | Script::Down => false,
            Script::WorkThenDeliver | Script::RefuseThenDeliver => has_turned,
            Script::DeliverThenReverse => !has_turned,
        }
    }

    /// Whether and why its state changes by itself.
    pub(super) const fn turn(self) -> Option<Turn> {
        match self {
            Script::WorkThenDeliver | Script::WorkThenRefuse => Some(Turn::EndOfWork),
            Script::DeliverThenReverse | Script::RefuseThenDeliver => Some(Turn::Contrary),
            Script::Deliver
            | Script::RefuseNumber
            | Script::RefuseByChance
            | Script::LoseReply
            | Script::LoseRequest
            | Script::Garble
            | Script::Down
            | Script::Mute => None,
        }
    }
}

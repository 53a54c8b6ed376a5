//! What the simulator does with an order: a variant for each row of CONTRACT section 3.
//!
//! A pure function of the recipient's last three digits, or else of the reference. Not here: the
//! texts of the outcomes, and the times.

use super::random::random;
use domain::purchase::sandbox::SandboxNumber;
use domain::{Environment, Order};
use serde::{Deserialize, Serialize};

/// The course of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// 101, 105 (which staff approve first) and ordinary numbers: delivered at once.
    Deliver,
    /// 102: refused at once, the number is invalid.
    RefuseNumber,
    /// An ordinary sandbox number, by random choice: refused at once.
    RefuseAtRandom,
    /// 103: accepted, delivered later.
    WorkThenDeliver,
    /// 104: accepted, refused later.
    WorkThenRefuse,
    /// 106: delivered, but the reply is lost; an enquiry finds the order.
    LoseReply,
    /// 107: the request is lost; the order is never recorded.
    LoseRequest,
    /// 108: delivered, later reversed.
    DeliverThenReverse,
    /// 109: delivered, but the reply is garbage; an enquiry finds the order.
    Garble,
    /// 110 at the first upstream of the route: the connection is refused; the order is never
    /// recorded.
    Down,
    /// 111: delivered, but neither a reply nor an enquiry ever says so.
    Mute,
    /// 112: refused, later delivered.
    RefuseThenDeliver,
}

/// A change of an order's state after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateChange {
    /// An accepted order gets its result.
    WorkDone,
    /// The result becomes the opposite of the first answer.
    Contradiction,
}

/// How many ordinary sandbox orders succeed (CONTRACT A-30).
const SUCCESS_PERCENT: u64 = 80;

impl Script {
    /// The script of an order at the upstream with this position in the route.
    pub(super) fn of(seed: u64, order: &Order, position: usize) -> Script {
        let Some(number) = SandboxNumber::of(&order.recipient) else {
            return Script::of_ordinary(seed, order);
        };
        match number {
            SandboxNumber::Success | SandboxNumber::Approval => Script::Deliver,
            SandboxNumber::Refused => Script::RefuseNumber,
            SandboxNumber::LateSuccess => Script::WorkThenDeliver,
            SandboxNumber::LateRefusal => Script::WorkThenRefuse,
            SandboxNumber::ReplyLost => Script::LoseReply,
            SandboxNumber::RequestLost => Script::LoseRequest,
            SandboxNumber::TakenBack => Script::DeliverThenReverse,
            SandboxNumber::Garbled => Script::Garble,
            SandboxNumber::FirstRouteDown if position == 0 => Script::Down,
            SandboxNumber::FirstRouteDown => Script::Deliver,
            SandboxNumber::Mute => Script::Mute,
            SandboxNumber::Contradiction => Script::RefuseThenDeliver,
        }
    }

    fn of_ordinary(seed: u64, order: &Order) -> Script {
        let is_refused = order.environment == Environment::Sandbox
            && random(seed, &[order.reference.as_bytes()]) % 100 >= SUCCESS_PERCENT;
        if is_refused { Script::RefuseAtRandom } else { Script::Deliver }
    }

    /// Whether the end customer is credited, before or after the late change.
    pub(super) const fn credits(self, has_changed: bool) -> bool {
        match self {
            Script::Deliver | Script::LoseReply | Script::Garble | Script::Mute => true,
            Script::RefuseNumber
            | Script::RefuseAtRandom
            | Script::WorkThenRefuse
            | Script::LoseRequest
            | Script::Down => false,
            Script::WorkThenDeliver | Script::RefuseThenDeliver => has_changed,
            Script::DeliverThenReverse => !has_changed,
        }
    }

    /// The late change of the order's state, if there is one.
    pub(super) const fn late_change(self) -> Option<LateChange> {
        match self {
            Script::WorkThenDeliver | Script::WorkThenRefuse => Some(LateChange::WorkDone),
            Script::DeliverThenReverse | Script::RefuseThenDeliver => {
                Some(LateChange::Contradiction)
            }
            Script::Deliver
            | Script::RefuseNumber
            | Script::RefuseAtRandom
            | Script::LoseReply
            | Script::LoseRequest
            | Script::Garble
            | Script::Down
            | Script::Mute => None,
        }
    }
}

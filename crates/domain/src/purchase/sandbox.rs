//! The sandbox's numbers: the last three digits of a recipient that fix what becomes of an order
//! (CONTRACT section 3).
//!
//! Not here: how the simulator plays it. Invariant: every number has its words for documents.

/// What becomes of a sandbox order by its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SandboxNumber {
    /// Success at once.
    Success,
    /// Refused at once: the number is invalid.
    Refused,
    /// Accepted; success later.
    LateSuccess,
    /// Accepted; refused later.
    LateRefusal,
    /// Waits for a decision of staff.
    Approval,
    /// Delivered, but the reply is lost.
    ReplyLost,
    /// The request is lost on its way.
    RequestLost,
    /// Delivered, later taken back.
    TakenBack,
    /// Delivered, but the reply cannot be read.
    Garbled,
    /// The first route is down; the second delivers.
    FirstRouteDown,
    /// Neither a reply nor an enquiry ever says anything.
    Mute,
    /// Refused, later delivered all the same.
    Contradiction,
}

impl SandboxNumber {
    /// Every one, by its digits.
    pub const ALL: [SandboxNumber; 12] = [
        SandboxNumber::Success,
        SandboxNumber::Refused,
        SandboxNumber::LateSuccess,
        SandboxNumber::LateRefusal,
        SandboxNumber::Approval,
        SandboxNumber::ReplyLost,
        SandboxNumber::RequestLost,
        SandboxNumber::TakenBack,
        SandboxNumber::Garbled,
        SandboxNumber::FirstRouteDown,
        SandboxNumber::Mute,
        SandboxNumber::Contradiction,
    ];

    /// Its last three digits, and what becomes of the order, for documents.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            SandboxNumber::Success => ("101", "success at once"),
            SandboxNumber::Refused => {
                ("102", "failed at once: the operator says the number is invalid")
            }
            SandboxNumber::LateSuccess => ("103", "processing, success after 3 s"),
            SandboxNumber::LateRefusal => ("104", "processing, failed after 3 s"),
            SandboxNumber::Approval => ("105", "pending: waits for a staff decision"),
            SandboxNumber::ReplyLost => {
                ("106", "processing: the reply is lost; an enquiry finds it delivered")
            }
            SandboxNumber::RequestLost => {
                ("107", "processing: the request is lost; an enquiry finds that it never arrived")
            }
            SandboxNumber::TakenBack => ("108", "success, taken back by the operator after 5 s"),
            SandboxNumber::Garbled => {
                ("109", "processing: the reply is garbled; an enquiry finds it delivered")
            }
            SandboxNumber::FirstRouteDown => {
                ("110", "the first route is down, the second delivers")
            }
            SandboxNumber::Mute => {
                ("111", "processing: no enquiry is possible; waits for staff, with evidence")
            }
            SandboxNumber::Contradiction => (
                "112",
                "failed, then a late success arrives: a case for staff, no money moves by itself",
            ),
        }
    }

    /// The last three digits of the recipient.
    pub const fn digits(self) -> &'static str {
        self.row().0
    }

    /// What becomes of the order, for documents.
    pub const fn words(self) -> &'static str {
        self.row().1
    }

    /// What a recipient's last three digits say; none: an ordinary number.
    pub fn of(recipient: &str) -> Option<SandboxNumber> {
        SandboxNumber::ALL.into_iter().find(|number| recipient.ends_with(number.digits()))
    }
}

#[cfg(test)]
mod tests {
    use super::SandboxNumber;

    #[test]
    fn the_last_three_digits_count() {
        for number in SandboxNumber::ALL {
            assert_eq!(SandboxNumber::of(&format!("01712345{}", number.digits())), Some(number));
        }
        assert_eq!(SandboxNumber::of("01712345113"), None);
        assert_eq!(SandboxNumber::of("01"), None);
    }
}

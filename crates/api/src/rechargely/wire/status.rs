//! The texts of a payment's state (CONTRACT section 4): the document's five statuses, its response
//! codes, and messages for people.
//!
//! Invariant: every state has exactly one status.

use domain::State;

/// A payment's status as the document knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum Status {
    /// Quoted, or accepted and not yet sent.
    Pending,
    /// Sent; the outcome is not known yet.
    Processing,
    /// Delivered.
    Completed,
    /// Not delivered; the money is back.
    Failed,
    /// Called off, expired or taken back; nothing is charged in the end.
    Cancelled,
}

/// What an answer says about a payment in a state. The fields have the names of the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct StatusText {
    /// The status.
    pub status: Status,
    /// The corresponding HTTP status, as a string (CONTRACT B-13).
    pub response_code: &'static str,
    /// A short text; the document's own if it has one.
    pub response_message: &'static str,
    /// What it means for the money, and what to do next.
    pub message: &'static str,
}

impl Status {
    /// Every status.
    pub(in super::super) const ALL: [Status; 5] =
        [Status::Pending, Status::Processing, Status::Completed, Status::Failed, Status::Cancelled];

    /// Its name in the document.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Processing => "PROCESSING",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
            Status::Cancelled => "CANCELLED",
        }
    }

    /// Parses a name of the document, in upper or lower case.
    pub(crate) fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(name))
    }

    /// The states with this status: what a filter by status selects.
    pub(crate) fn states(self) -> Vec<State> {
        State::ALL.into_iter().filter(|state| status_text(*state).status == self).collect()
    }
}

/// The match of all states: each one's status and texts.
pub(crate) const fn status_text(state: State) -> StatusText {
    let (status, response_code, response_message, message) = match state {
        State::Quoted => (
            Status::Pending,
            "200",
            "Payment initiated successfully",
            "Nothing is charged yet. Authorize the payment before it expires.",
        ),
        State::Awaiting => (
            Status::Pending,
            "202",
            "Payment accepted, waiting for approval",
            "Amount and fee are held until it is decided. Ask again later; do not pay again.",
        ),
        State::Held => (
            Status::Pending,
            "202",
            "Payment accepted, waiting to be sent",
            "Amount and fee are held. Ask again later; do not pay again.",
        ),
        State::Sent => (
            Status::Processing,
            "202",
            "Payment is being processed",
            "Amount and fee are held. Ask again later; do not pay again.",
        ),
        State::InDoubt | State::WithStaff => (
            Status::Processing,
            "202",
            "Payment is not confirmed yet",
            "It was sent, but the provider has not confirmed it. Amount and fee are held until it \
             is known. Ask again later; do not pay again.",
        ),
        State::Delivered => (
            Status::Completed,
            "200",
            "Payment authorized successfully",
            "It was delivered. Amount and fee are charged.",
        ),
        State::Failed => (
            Status::Failed,
            "422",
            "Payment failed",
            "Nothing was delivered, and amount and fee are back in the wallet. To try again, start \
             a new payment with a new requestId.",
        ),
        State::Rejected => (
            Status::Cancelled,
            "409",
            "Payment cancelled",
            "It was called off or expired before it was sent, and nothing is charged. To try \
             again, start a new payment with a new requestId.",
        ),
        State::Refunded => (
            Status::Cancelled,
            "409",
            "Payment reversed",
            "It was delivered and then taken back by the provider. Amount and fee are back in the \
             wallet.",
        ),
    };
    StatusText { status, response_code, response_message, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;

    #[test]
    fn every_state_has_its_texts() {
        let mut all = String::new();
        for state in State::ALL {
            let text = status_text(state);
            let StatusText { status, response_code, response_message, message } = text;
            let status = status.as_str();
            all += &format!("{state:?}: {status} {response_code} {response_message}. {message}\n");
        }
        expect_file!["status.txt"].assert_eq(&all);
    }

    #[test]
    fn a_status_is_parsed_in_any_case_and_has_its_states() {
        for status in Status::ALL {
            assert_eq!(Status::parse(&status.as_str().to_lowercase()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("{:?}", status.as_str()));
        }
        assert_eq!(Status::parse("APPROVED"), None);
        assert_eq!(Status::Cancelled.states(), [State::Rejected, State::Refunded]);
        let all: usize = Status::ALL.iter().map(|s| s.states().len()).sum();
        assert_eq!(all, State::ALL.len());
    }
}

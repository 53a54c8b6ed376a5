//! How a payment stands, in the words of the document (CONTRACT section 4): the five statuses, the
//! response codes, and what each means for the money.

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

/// What is said about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Standing {
    /// Its status.
    pub status: Status,
    /// The class of HTTP that tells the same, as a string (CONTRACT B-13).
    pub code: &'static str,
    /// In short; the document's own words where it has any.
    pub says: &'static str,
    /// What it means for the money, and what to do next.
    pub means: &'static str,
}

impl Status {
    /// Each.
    pub(in super::super) const ALL: [Status; 5] =
        [Status::Pending, Status::Processing, Status::Completed, Status::Failed, Status::Cancelled];

    /// The document's word.
    pub(in super::super) const fn word(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Processing => "PROCESSING",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
            Status::Cancelled => "CANCELLED",
        }
    }

    /// Reads the document's word, in any case.
    pub(in super::super) fn from_word(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.word().eq_ignore_ascii_case(word))
    }

    /// The states that are told so: what a filter by this status looks for.
    pub(in super::super) fn states(self) -> Vec<State> {
        State::ALL.into_iter().filter(|state| standing(*state).status == self).collect()
    }
}

/// THE match: what each state is on this wire.
pub(in super::super) const fn standing(state: State) -> Standing {
    let (status, code, says, means) = match state {
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
    Standing { status, code, says, means }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_state_in_the_documents_words() {
        let mut all = String::new();
        for state in State::ALL {
            let Standing { status, code, says, means } = standing(state);
            all += &format!("{state:?}: {} {code} {says}. {means}\n", status.word());
        }
        expect![[r#"
            Quoted: PENDING 200 Payment initiated successfully. Nothing is charged yet. Authorize the payment before it expires.
            Awaiting: PENDING 202 Payment accepted, waiting for approval. Amount and fee are held until it is decided. Ask again later; do not pay again.
            Held: PENDING 202 Payment accepted, waiting to be sent. Amount and fee are held. Ask again later; do not pay again.
            Sent: PROCESSING 202 Payment is being processed. Amount and fee are held. Ask again later; do not pay again.
            InDoubt: PROCESSING 202 Payment is not confirmed yet. It was sent, but the provider has not confirmed it. Amount and fee are held until it is known. Ask again later; do not pay again.
            WithStaff: PROCESSING 202 Payment is not confirmed yet. It was sent, but the provider has not confirmed it. Amount and fee are held until it is known. Ask again later; do not pay again.
            Delivered: COMPLETED 200 Payment authorized successfully. It was delivered. Amount and fee are charged.
            Failed: FAILED 422 Payment failed. Nothing was delivered, and amount and fee are back in the wallet. To try again, start a new payment with a new requestId.
            Rejected: CANCELLED 409 Payment cancelled. It was called off or expired before it was sent, and nothing is charged. To try again, start a new payment with a new requestId.
            Refunded: CANCELLED 409 Payment reversed. It was delivered and then taken back by the provider. Amount and fee are back in the wallet.
        "#]].assert_eq(&all);
    }

    #[test]
    fn a_word_is_read_in_any_case_and_names_its_states() {
        for status in Status::ALL {
            assert_eq!(Status::from_word(&status.word().to_lowercase()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("{:?}", status.word()));
        }
        assert_eq!(Status::from_word("APPROVED"), None);
        assert_eq!(Status::Cancelled.states(), [State::Rejected, State::Refunded]);
        let all: usize = Status::ALL.iter().map(|s| s.states().len()).sum();
        assert_eq!(all, State::ALL.len());
    }
}

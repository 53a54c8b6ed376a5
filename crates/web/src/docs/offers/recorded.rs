//! What the sandbox answered when it was asked for every operator's offers: for readers who are not
//! logged in.
//!
//! A test of `app` asks a real server again, and compares. Not here: anything written by hand.

use crate::docs::run::Answered;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A file that cannot be read gives no answers; a test reads it.
pub(super) static RECORDED: LazyLock<Recorded> =
    LazyLock::new(|| serde_json::from_str(include_str!("recorded.json")).unwrap_or_default());

/// All answers, for one number.
#[derive(Default, Deserialize)]
pub(super) struct Recorded {
    pub(super) number: String,
    operators: BTreeMap<String, OperatorAnswers>,
}

/// The answers about the offers of one operator.
#[derive(Deserialize)]
struct OperatorAnswers {
    /// To `GET recharge/offers`.
    offers: Value,
    /// To the purchase of each offer, by its `id`.
    purchases: BTreeMap<String, Value>,
    /// To a purchase without the identifier that names the offer; 422.
    refused: Value,
}

impl Recorded {
    pub(super) fn offers(&self, operator: &str) -> Option<Answered> {
        let found = self.operators.get(operator)?;
        Some(Answered::recorded(200, found.offers.clone()))
    }

    pub(super) fn purchase(&self, operator: &str, offer: &str) -> Option<Answered> {
        let found = self.operators.get(operator)?.purchases.get(offer)?;
        Some(Answered::recorded(200, found.clone()))
    }

    pub(super) fn refused(&self, operator: &str) -> Option<Answered> {
        let found = self.operators.get(operator)?;
        Some(Answered::recorded(422, found.refused.clone()))
    }
}

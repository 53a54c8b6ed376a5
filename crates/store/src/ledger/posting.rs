//! Money paid into or out of a wallet.

use super::JournalHead;
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::Result;
use crate::purchases;
use domain::{Journal, Needs, PostingDenied, ReferenceKey, Timestamp};

/// Money paid into or out of a wallet. Answers the wallet's available minor units right after.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The movement of money.
    pub journal: Journal,
    /// Staff's own reference: the same payment is never booked twice.
    pub reference: ReferenceKey,
    /// Who booked it and why.
    pub note: String,
    /// When it is booked.
    pub at: Timestamp,
}

impl Commit for Posting {
    type Done = i64;
    type Denied = PostingDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        let reference_keys = std::slice::from_ref(&self.reference);
        let journal = Some(&self.journal);
        CommitNeeds {
            admission: Needs { reference_keys, step: None, journal },
            moves_at: Some(self.at),
            is_optimistic: true,
            ..CommitNeeds::default()
        }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<i64> {
        purchases::use_up(tx.sql, &self.reference, None, None, self.at)?;
        // The hash covers the note as it is stored, and not every database stores a NUL.
        let note = self.note.replace('\0', "\u{fffd}");
        let head = JournalHead {
            account: self.reference.account,
            environment: self.reference.environment,
            purchase: None,
            note: Some(&note),
            at: self.at,
            is_listed: false,
        };
        tx.ledger.append(tx.sql, &self.journal, &head)?;
        let mut mentioned = self.journal.entries().iter().flat_map(|e| [e.debit(), e.credit()]);
        let wallet = mentioned
            .find(|account| account.purpose.is_wallet())
            .and_then(|account| tx.view.balances.get(account));
        Ok(wallet.map_or(0, |balance| balance.amount))
    }
}

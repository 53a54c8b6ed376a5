//! Quotes: a price with an expiry, and its acceptance. No effect on money until it is accepted.

use crate::settle::Taken;
use crate::wish::Wish;
use crate::{Caller, Engine};
use domain::admission::Denial;
use domain::lifecycle::{Event, State};
use domain::purchase::PurchaseKey;
use domain::refusal::Refusal;
use domain::settle::{Proof, QUOTE_HOLDS, Source};
use domain::{Money, Purchase, PurchaseId};
use store::Fault;

impl Engine {
    /// Quotes a price, which holds for 15 minutes. Uses the reference up; touches no money.
    pub async fn quote(&self, wish: Wish) -> Result<Purchase, Refusal> {
        let (purchase, _) = self.draft(&wish)?;
        self.open(&wish, purchase).await
    }

    /// Accepts a quote: holds the money in the commit that checks it, then sends. Accepting again
    /// answers the purchase as it stands, never a second charge. Refuses when the money is short
    /// (the quote stays open) and when the quote has expired or was called off.
    pub async fn authorise(&self, caller: &Caller, id: PurchaseId) -> Result<Purchase, Refusal> {
        let key = PurchaseKey { account: caller.account, environment: caller.environment, id };
        let read = self.inner.store.purchase(&key).map_err(|fault| self.unavailable(&fault))?;
        let purchase = read.ok_or(Refusal::PurchaseUnknown)?;
        let ends_at = purchase.opened_at.after(QUOTE_HOLDS);
        if purchase.state == State::Quoted && self.now() >= ends_at {
            return Err(Refusal::NotPossible { because: "The quote has expired.".to_owned() });
        }
        let proof = Proof {
            source: Source::Owner,
            word: "authorise".to_owned(),
            text: None,
            upstream_reference: None,
        };
        // As at a purchase without a quote: staff decide first if the route says so, or is none.
        let is_for_staff = self.needs_staff(&purchase);
        let event = if is_for_staff { Event::Refer } else { Event::Authorise };
        let taken = self.take(purchase, |_| Some((event, proof.clone()))).await;
        match taken.map_err(|fault| self.unavailable(&fault))? {
            Taken::Moved(_) => {
                // Read anew for what the hold has left in the wallet.
                let held = self.read_anew(&key).map_err(|fault| self.unavailable(&fault))?;
                if is_for_staff {
                    return Ok(held);
                }
                self.send_held(held).await.map_err(|fault| self.unavailable(&fault))
            }
            Taken::Stayed(now) => Ok(now),
            Taken::Denied(now, Denial::Short { available }) => {
                Err(Refusal::Short { available: Money::new(available, now.amount.currency()) })
            }
            Taken::Denied(_, _) => Err(Refusal::NoWallet),
            Taken::Never(now) => {
                Err(Refusal::NotPossible { because: format!("The quote is {}.", now.state.code()) })
            }
        }
    }

    /// Records the next attempt of a held purchase and drives it, in a task of its own: it goes on
    /// when the client goes away.
    async fn send_held(&self, held: Purchase) -> Result<Purchase, Fault> {
        let (engine, key) = (self.clone(), held.key);
        let sending = self.inner.tasks.spawn(async move {
            match engine.record_attempt(held).await? {
                Some(sent) if sent.state == State::Sent => Ok(engine.drive(sent).await),
                Some(ended) => Ok(ended),
                None => engine.read_anew(&key),
            }
        });
        match tokio::time::timeout(crate::limits::ANSWER_WITHIN, sending).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(_)) | Err(_) => self.read_anew(&key),
        }
    }

    /// Ends what nobody accepted or approved in time. Whoever accepts or approves it at the last
    /// moment is faster for good.
    pub(crate) async fn expire(&self, purchase: Purchase) -> Result<Taken, Fault> {
        let proof = Proof {
            source: Source::Clock,
            word: "expire".to_owned(),
            text: None,
            upstream_reference: None,
        };
        let waited = purchase.state;
        self.take(purchase, |now| (now.state == waited).then(|| (Event::Expire, proof.clone())))
            .await
    }
}

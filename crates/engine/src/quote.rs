//! Quotes: a price with an expiry, and its acceptance. No effect on money until it is accepted.

use crate::settle::Taken;
use crate::wish::Wish;
use crate::{Caller, Engine};
use domain::admission::Denial;
use domain::lifecycle::{Event, State};
use domain::purchase::PurchaseKey;
use domain::refusal::Refusal;
use domain::settle::{Proof, Source};
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
        let proof = Proof {
            source: Source::Owner,
            word: "authorise".to_owned(),
            text: None,
            upstream_reference: None,
        };
        let taken = self.take(purchase, |_| Some((Event::Authorise, proof.clone()))).await;
        match taken.map_err(|fault| self.unavailable(&fault))? {
            Taken::Moved(held) => {
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

    /// Records the next attempt of a held purchase and drives it, in a task of its own.
    async fn send_held(&self, held: Purchase) -> Result<Purchase, Fault> {
        let Some(sent) = self.record_attempt(held.clone()).await? else {
            return self.read_anew(&held.key);
        };
        if sent.state != State::Sent {
            return Ok(sent);
        }
        let engine = self.clone();
        let driven = self.inner.tasks.spawn({
            let sent = sent.clone();
            async move { engine.drive(sent).await }
        });
        match tokio::time::timeout(crate::limits::ANSWER_WITHIN, driven).await {
            Ok(Ok(settled)) => Ok(settled),
            Ok(Err(_)) | Err(_) => Ok(sent),
        }
    }

    /// Ends what nobody accepted or approved in time.
    pub(crate) async fn expire(&self, purchase: Purchase) -> Result<Taken, Fault> {
        let proof = Proof {
            source: Source::Clock,
            word: "expire".to_owned(),
            text: None,
            upstream_reference: None,
        };
        self.take(purchase, |_| Some((Event::Expire, proof.clone()))).await
    }
}

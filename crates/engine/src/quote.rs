//! Quotes: a price with an expiry, and its acceptance. No effect on money until it is accepted.

use crate::settle::Taken;
use crate::wish::Wish;
use crate::{Caller, Engine};
use domain::lifecycle::{Event, State};
use domain::purchase::PurchaseKey;
use domain::refusal::Refusal;
use domain::settle::{Proof, Source};
use domain::{Money, Purchase, PurchaseId};
use store::{Change, Fault};

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
        let decided = domain::settle::decide(&purchase, Event::Authorise, proof, self.now());
        let step = match decided {
            domain::settle::Decided::Move(step) => step,
            domain::settle::Decided::Stay => return Ok(purchase),
            domain::settle::Decided::Clash(_) | domain::settle::Decided::Never => {
                return Err(Refusal::NotPossible {
                    because: format!("The quote is {}.", purchase.state.code()),
                });
            }
        };
        let held = step.after.clone();
        match self
            .inner
            .store
            .write(Change::Step(step))
            .await
            .map_err(|fault| self.unavailable(&fault))?
        {
            Ok(_) => self.send_held(held).await.map_err(|fault| self.unavailable(&fault)),
            Err(domain::admission::Denial::Short { available }) => {
                Err(Refusal::Short { available: Money::new(available, purchase.amount.currency()) })
            }
            Err(domain::admission::Denial::NoLedgerAccount(_)) => Err(Refusal::NoWallet),
            Err(_) => self.read_anew(&key).map_err(|fault| self.unavailable(&fault)),
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

//! Quotes: a price with an expiry, and its acceptance. No effect on money until it is accepted.
//!
//! A quote is accepted with a secret that is derived from it, so nothing of it is stored. Invariant:
//! acceptance and expiry are both steps from the version that was read, so one of them wins.

use crate::request::PurchaseRequest;
use crate::settle::StepResult;
use crate::{Caller, Engine, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::Plan;
use domain::ledger::admission::Denial;
use domain::purchase::lifecycle::{Event, State};
use domain::purchase::settle::{Proof, QUOTE_VALID_FOR, Source};
use domain::purchase::{CUSTOMER_ADDRESS, CUSTOMER_NAME, PurchaseKey, ReferenceScope};
use domain::refusal::Refusal;
use domain::{Money, Purchase, PurchaseId, Timestamp};
use store::{Change, Fault, Setting};
use subtle::ConstantTimeEq;

/// The word under which an acceptance is kept as evidence.
const ACCEPTED: &str = "authorise";

/// A quote that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What would be bought; nothing is held for it.
    pub purchase: Purchase,
    /// The secret that accepts it: 256 bits that only this installation can derive, as 43 letters.
    pub acceptance: String,
    /// Until when.
    pub holds_until: Timestamp,
}

impl Engine {
    /// Quotes a price, which holds for 15 minutes. Uses the reference up; touches no money. Where
    /// the product wants it, the operator must know the bill reference first: refuses one that it
    /// does not know, and when it cannot be asked. The same reference with the same digest answers
    /// the same quote as long as it stands; else the reference is known.
    pub async fn quote(&self, mut request: PurchaseRequest) -> Result<Quote, Refusal> {
        if let Some(quote) = self.quoted_before(&request).await? {
            return Ok(quote);
        }
        self.may_sell()?;
        self.count_quote(&request.caller)?;
        self.open_missing_wallet(&request).await?;
        // The operator's words are the operator's alone.
        request.details.retain(|name, _| name != CUSTOMER_NAME && name != CUSTOMER_ADDRESS);
        if let Some(customer) = self.look_up(&request).await? {
            request.details.insert(CUSTOMER_NAME.to_owned(), customer.name);
            let address = customer.address.map(|address| (CUSTOMER_ADDRESS.to_owned(), address));
            request.details.extend(address);
        }
        let (purchase, _) = self.draft(&request)?;
        match self.open_purchase(&request, purchase).await {
            Ok(purchase) => Ok(self.as_quote(purchase)),
            // Sent twice at once: the other one was faster.
            Err(known @ Refusal::ReferenceKnown(_)) => {
                self.quoted_before(&request).await?.ok_or(known)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Quotes are free, and each uses up a reference: whoever has no plan gets a number of them.
    fn count_quote(&self, caller: &Caller) -> Result<(), Refusal> {
        let account = self.account(caller.account)?.ok_or(Refusal::NoWallet)?;
        let plan = account.subscription.filter(|s| s.until > self.now()).map(|s| s.plan);
        let limit = plan.map_or(limits::QUOTES_A_MINUTE, Plan::per_minute);
        let who = (caller.account, caller.environment);
        match self.inner.quotes.take(who, limit, self.monotonic()) {
            (_, true) => Ok(()),
            (quota, false) => Err(Refusal::TooFast { retry_after_s: quota.reset_s.max(1) }),
        }
    }

    /// A product may be sold in a currency that was not there when its customer signed up.
    async fn open_missing_wallet(&self, request: &PurchaseRequest) -> Result<(), Refusal> {
        let (caller, currency) = (&request.caller, request.amount.currency());
        let known = self.inner.store.available(caller.account, caller.environment, currency);
        let is_login = caller.session.is_some();
        if !is_login || known.map_err(|fault| self.unavailable(&fault))?.is_some() {
            return Ok(());
        }
        let wallet = Setting::Wallet(caller.account, caller.environment, currency);
        let written = self.inner.store.write(Change::Set(vec![wallet])).await;
        written.map(|_| ()).map_err(|fault| self.unavailable(&fault))
    }

    /// The quote that this very wish got before; `None` while the reference is free.
    async fn quoted_before(&self, request: &PurchaseRequest) -> Result<Option<Quote>, Refusal> {
        let reference = domain::purchase::ReferenceKey {
            account: request.caller.account,
            environment: request.caller.environment,
            scope: request.scope,
            text: request.reference.clone(),
        };
        let fault = |fault: Fault| self.unavailable(&fault);
        let Some(stored_reference) =
            self.inner.store.stored_reference(&reference).map_err(fault)?
        else {
            return Ok(None);
        };
        let key = stored_reference.purchase.ok_or(Refusal::ReferenceKnown(None))?;
        let purchase = self.inner.store.purchase(&key).map_err(fault)?;
        // Archived: used up, and no more is known of it.
        let purchase = purchase.ok_or(Refusal::ReferenceKnown(None))?;
        let is_same =
            stored_reference.digest.is_some() && stored_reference.digest == request.digest;
        let purchase = self.ended_if_over(purchase).await.map_err(fault)?;
        match purchase.state == State::Quoted && is_same {
            true => Ok(Some(self.as_quote(purchase))),
            false => Err(Refusal::ReferenceKnown(Some(Box::new(purchase)))),
        }
    }

    fn as_quote(&self, purchase: Purchase) -> Quote {
        let acceptance = self.acceptance(&purchase.key);
        let holds_until = purchase.opened_at.after(QUOTE_VALID_FOR);
        Quote { purchase, acceptance, holds_until }
    }

    /// The secret that accepts a quote.
    fn acceptance(&self, key: &PurchaseKey) -> String {
        let PurchaseKey { account, environment, id } = key;
        let words = format!("{account} {} {id}", environment.code());
        URL_SAFE_NO_PAD.encode(self.inner.vault.tag("acceptance of a quote", words.as_bytes()))
    }

    /// Accepts the quote of a reference with its secret, as [`Engine::authorise`] does. A wrong
    /// secret is answered like an unknown reference.
    pub async fn accept(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
        acceptance: &str,
    ) -> Result<Purchase, Refusal> {
        let purchase = self.purchase_by_reference(caller, scope, reference).await?;
        let right = self.acceptance(&purchase.key);
        if !bool::from(right.as_bytes().ct_eq(acceptance.as_bytes())) {
            return Err(Refusal::PurchaseUnknown);
        }
        self.authorise(caller, purchase.key.id).await
    }

    /// Accepts a quote: holds the money in the commit that checks it, then sends. Accepting again
    /// answers the purchase as it stands, never a second charge. Refuses when the money is short
    /// (the quote stays open), while the installation is halted, and when the quote has expired or
    /// was called off.
    pub async fn authorise(&self, caller: &Caller, id: PurchaseId) -> Result<Purchase, Refusal> {
        let key = PurchaseKey { account: caller.account, environment: caller.environment, id };
        let read = self.inner.store.purchase(&key).map_err(|fault| self.unavailable(&fault))?;
        let purchase = read.ok_or(Refusal::PurchaseUnknown)?;
        let ended = self.ended_if_over(purchase).await;
        let purchase = ended.map_err(|fault| self.unavailable(&fault))?;
        if purchase.state == State::Quoted {
            self.may_sell()?;
        }
        // A task of its own: if the client hangs up, what is held is sent all the same.
        let engine = self.clone();
        let paying = self.inner.tasks.spawn(async move { engine.hold_and_send(purchase).await });
        match tokio::time::timeout(limits::ACCEPTANCE_WITHIN, paying).await {
            Ok(paid) => paid.unwrap_or(Err(Refusal::Uncertain)),
            Err(_) => {
                let now = self.read_anew(&key).map_err(|fault| self.unavailable(&fault))?;
                if now.state == State::Quoted { Err(Refusal::Uncertain) } else { Ok(now) }
            }
        }
    }

    async fn hold_and_send(&self, quote: Purchase) -> Result<Purchase, Refusal> {
        let key = quote.key;
        let proof = Proof::new(Source::Owner, ACCEPTED);
        // As at a purchase without a quote: staff decide first if the route says so, or is none.
        let is_for_staff = self.needs_staff(&quote);
        let event = if is_for_staff { Event::RequestApproval } else { Event::Authorise };
        let taken = self.take(quote, |_| Some((event, proof.clone()))).await;
        match taken.map_err(|fault| self.unavailable(&fault))? {
            StepResult::Moved(_) => {
                // Read anew for what the hold has left in the wallet.
                let held = self.read_anew(&key).map_err(|fault| self.unavailable(&fault))?;
                if is_for_staff {
                    return Ok(held);
                }
                let sent = self.send_held(held).await;
                sent.map_err(|fault| self.unavailable(&fault))
            }
            StepResult::Stayed(now) => Ok(now),
            StepResult::Denied(now, Denial::InsufficientBalance { available }) => {
                Err(Refusal::InsufficientBalance {
                    available: Money::new(available, now.amount.currency()),
                })
            }
            StepResult::Denied(_, _) => Err(Refusal::NoWallet),
            StepResult::Never(now) => self.called_off(now),
        }
    }

    /// What is answered about a quote that cannot be accepted any more: it has expired, unless it
    /// was accepted in time and staff called the purchase off.
    fn called_off(&self, purchase: Purchase) -> Result<Purchase, Refusal> {
        let evidence = self.inner.store.evidence(&purchase.key);
        let evidence = evidence.map_err(|fault| self.unavailable(&fault))?;
        match evidence.iter().any(|said| said.word == ACCEPTED) {
            true => Ok(purchase),
            false => Err(Refusal::QuoteExpired),
        }
    }

    /// Records the next attempt of a held purchase and drives it.
    async fn send_held(&self, held: Purchase) -> Result<Purchase, Fault> {
        let key = held.key;
        match self.record_attempt(held).await? {
            Some(sent) if sent.state == State::Sent => Ok(self.drive(sent).await),
            Some(ended) => Ok(ended),
            None => self.read_anew(&key),
        }
    }

    /// A quote whose time is over is ended now, whether or not a worker has come for it; anything
    /// else is given back as it is.
    async fn ended_if_over(&self, purchase: Purchase) -> Result<Purchase, Fault> {
        let is_over = self.now() >= purchase.opened_at.after(QUOTE_VALID_FOR);
        match purchase.state == State::Quoted && is_over {
            true => Ok(self.expire(purchase).await?.purchase()),
            false => Ok(purchase),
        }
    }

    /// Ends what nobody accepted or approved in time. Whoever accepts or approves it at the last
    /// moment is faster for good.
    pub(crate) async fn expire(&self, purchase: Purchase) -> Result<StepResult, Fault> {
        let proof = Proof::new(Source::Clock, "expire");
        let waited = purchase.state;
        self.take(purchase, |now| (now.state == waited).then(|| (Event::Expire, proof.clone())))
            .await
    }
}

//! Quotes: a price with an expiry, and its acceptance. A quote has no effect on money.
//!
//! A quote is accepted with a secret that is derived from it, so the secret is not stored.
//! Invariant: acceptance and expiry are both steps from the version that was read, so exactly one
//! of them wins.

use crate::purchase::OpenedAs;
use crate::refusals::{denied, ensure};
use crate::request::PurchaseRequest;
use crate::settle::StepResult;
use crate::upstreams::Choosing;
use crate::{Caller, Engine, Permit, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::purchase::settle::QUOTE_VALID_FOR;
use domain::purchase::{CUSTOMER_ADDRESS, CUSTOMER_NAME};
use domain::refusal::{
    AcceptRefused, MoneyRefused, NoWallet, NotSold, PurchaseUnknown, QuoteExpired, QuoteRefused,
    ReferenceKnown, StoreRefused, Unavailable, Uncertain,
};
use domain::{
    AttemptRef, Event, Opening, OpeningDenied, Plan, Proof, Purchase, PurchaseKey, PurchaseNumber,
    ReferenceScope, Source, State, Timestamp, act,
};
use store::{Fault, SetAll, Setting, TakeStep};
use subtle::ConstantTimeEq;

/// The stored word of the evidence of an acceptance.
const ACCEPTED: &str = "authorise";

/// A valid quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The quoted purchase; no money is held for it.
    pub purchase: Purchase,
    /// The secret that accepts it: 256 bits that only this installation can derive, as 43 letters.
    pub acceptance: String,
    /// When the quote expires.
    pub holds_until: Timestamp,
}

impl Engine {
    /// Quotes a price, which holds for 15 minutes. Uses the reference up; touches no money. If the
    /// product wants it, the operator is asked for the bill reference first: refuses one that it
    /// does not know, and when it cannot be asked. The same reference with the same digest gets
    /// the same quote while it is valid; otherwise the reference is refused as known.
    pub async fn quote(
        &self,
        permit: Permit<act::Buy>,
        mut request: PurchaseRequest,
    ) -> Result<Quote, QuoteRefused> {
        self.check_permit(&permit, &request.caller)?;
        request.caller.may_buy()?;
        if let Some(quote) = self.quoted_before(&request).await? {
            return Ok(quote);
        }
        self.may_sell()?;
        self.first_step(&request.price_query(self.now()))?;
        self.count_quote(&request.caller)?;
        self.open_missing_wallet(&permit, &request).await?;
        // These details come from the operator only, never from the request.
        request.details.retain(|name, _| name != CUSTOMER_NAME && name != CUSTOMER_ADDRESS);
        if let Some(customer) = self.look_up(&request).await? {
            request.details.insert(CUSTOMER_NAME.to_owned(), customer.name);
            let address = customer.address.map(|address| (CUSTOMER_ADDRESS.to_owned(), address));
            request.details.extend(address);
        }
        let draft = self.draft(&request).await?;
        let opened_as = OpenedAs { draft, opening: Opening::Quoted, passed_over: Vec::new() };
        match self.open_purchase(&permit, &request, opened_as).await? {
            Ok(purchase) => Ok(self.as_quote(purchase)),
            // The same request was sent twice at once, and the other one was first.
            Err(OpeningDenied::ReferenceUsed(used)) => {
                let known = self.reference_known(used.by.purchase);
                Ok(self.quoted_before(&request).await?.ok_or(known)?)
            }
            Err(OpeningDenied::Money(why)) => Err(match denied(&why, request.amount.currency()) {
                MoneyRefused::NoWallet(none) => none.into(),
                MoneyRefused::Invalid(invalid) => invalid.into(),
                MoneyRefused::InsufficientBalance(_) => {
                    self.unavailable(&Fault::Corrupt("a quote held money".into())).into()
                }
            }),
            // An id of a closed month: the clock is far behind.
            Err(OpeningDenied::Closed) => Err(Unavailable { retry_after_s: 1 }.into()),
        }
    }

    /// Quotes are free, and each uses up a reference: their number a minute is limited.
    fn count_quote(&self, caller: &Caller) -> Result<(), QuoteRefused> {
        let account = self.account(caller.account)?.ok_or(NoWallet)?;
        let limit = account.plan_at(self.now()).map_or(limits::QUOTES_A_MINUTE, Plan::per_minute);
        let counted = self.inner.quotes.take(caller.rate_key(), limit, self.monotonic());
        counted.or_refuse()?;
        Ok(())
    }

    /// A product may be sold in a currency that was not there when its customer signed up.
    async fn open_missing_wallet(
        &self,
        permit: &Permit<act::Buy>,
        request: &PurchaseRequest,
    ) -> Result<(), StoreRefused> {
        let (caller, currency) = (&request.caller, request.amount.currency());
        let known = self.inner.store.available(caller.account, caller.environment, currency);
        let is_login = caller.session.is_some();
        if !is_login || self.or_unavailable(known)?.is_some() {
            return Ok(());
        }
        let wallet = Setting::Wallet(caller.account, caller.environment, currency);
        self.or_unavailable(self.commit(permit, SetAll(vec![wallet])).await)
    }

    /// The quote that the same request got before; `None` while the reference is free.
    async fn quoted_before(
        &self,
        request: &PurchaseRequest,
    ) -> Result<Option<Quote>, QuoteRefused> {
        let stored = self.inner.store.stored_reference(&request.reference_key());
        let Some(stored) = self.or_unavailable(stored)? else { return Ok(None) };
        let key = stored.purchase.ok_or(ReferenceKnown { first: None })?;
        let purchase = self.or_unavailable(self.inner.store.purchase(&key))?;
        // Archived: the reference is used up, and its purchase cannot be shown any more.
        let purchase = purchase.ok_or(ReferenceKnown { first: None })?;
        let is_same = stored.digest.is_some() && stored.digest == request.digest;
        let purchase = self.or_unavailable(self.expire_if_over(purchase).await)?;
        match purchase.state == State::Quoted && is_same {
            true => Ok(Some(self.as_quote(purchase))),
            false => Err(ReferenceKnown { first: Some(Box::new(purchase)) }.into()),
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
        let input = format!("{account} {} {id}", environment.code());
        URL_SAFE_NO_PAD.encode(self.inner.vault.tag("acceptance of a quote", input.as_bytes()))
    }

    /// Accepts the quote of a reference with its secret, as [`Engine::authorise`] does. A wrong
    /// secret is answered like an unknown reference.
    pub async fn accept(
        &self,
        permit: Permit<act::Buy>,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
        acceptance: &str,
    ) -> Result<Purchase, AcceptRefused> {
        let purchase = self.purchase_by_reference(caller, scope, reference).await?;
        let right = self.acceptance(&purchase.key);
        ensure(right.as_bytes().ct_eq(acceptance.as_bytes()).into(), PurchaseUnknown)?;
        self.authorise(permit, caller, purchase.key.id.number()).await
    }

    /// Accepts a quote: holds the money in the commit that checks it, then sends. A second
    /// acceptance returns the purchase in its current state and charges nothing. Refuses when the
    /// money is short (the quote stays open), while the installation is halted, when its product is
    /// not sold any more or nothing can deliver it, and when the quote has expired or was called
    /// off.
    pub async fn authorise(
        &self,
        permit: Permit<act::Buy>,
        caller: &Caller,
        id: PurchaseNumber,
    ) -> Result<Purchase, AcceptRefused> {
        self.check_permit(&permit, caller)?;
        caller.may_buy()?;
        let purchase = self.purchase_by_id(caller, id).await?;
        let key = purchase.key;
        let purchase = self.or_unavailable(self.expire_if_over(purchase).await)?;
        if purchase.state == State::Quoted {
            self.may_sell()?;
            self.is_still_sold(&purchase)?;
        }
        // A task of its own: if the client disconnects, what is held is sent all the same.
        let engine = self.clone();
        let paying =
            self.inner.tasks.spawn(async move { engine.hold_and_send(permit, purchase).await });
        match tokio::time::timeout(limits::ACCEPTANCE_WITHIN, paying).await {
            Ok(paid) => paid.unwrap_or(Err(Uncertain.into())),
            Err(_) => {
                // Unread, the money may be held all the same.
                let now = self.read_again(&key).map_err(|_| Uncertain)?;
                if now.state == State::Quoted { Err(Uncertain.into()) } else { Ok(now) }
            }
        }
    }

    /// Refuses a quote whose product or operator was switched off after it.
    fn is_still_sold(&self, quote: &Purchase) -> Result<(), NotSold> {
        let catalog = self.catalog();
        let operator = catalog.operator_by_code(&quote.operator);
        let product = quote.product.as_deref().map(|name| catalog.product_by_name(name));
        let is_sold = operator.is_some_and(|operator| operator.is_active)
            && product.is_none_or(|product| product.is_some_and(|product| product.is_active));
        ensure(is_sold, NotSold)
    }

    async fn hold_and_send(
        &self,
        permit: Permit<act::Buy>,
        quote: Purchase,
    ) -> Result<Purchase, AcceptRefused> {
        let key = quote.key;
        let proof = Proof::new(Source::Owner, ACCEPTED);
        // As for a purchase without a quote: staff decide first if the route says so.
        let is_for_staff = quote.state == State::Quoted
            && self.first_step(&self.query_of(&quote))? == Opening::Awaiting;
        let event = if is_for_staff { Event::RequestApproval } else { Event::Authorise };
        if !is_for_staff && quote.state == State::Quoted {
            // Before any money moves: the quote stays open.
            let routes = self.routes_left(&quote, &[]);
            let attempt = AttemptRef { purchase: key.id.number(), number: 1 };
            let (environment, amount) = (key.environment, quote.amount);
            let order = Choosing { attempt, environment, amount };
            self.has_choice(&routes, order).map_err(|none| none.refusal())?;
        }
        let decide = |_: &Purchase| Some((event, proof.clone()));
        let result = self.take_step(&permit, &quote, decide, TakeStep).await;
        match self.or_unavailable(result)? {
            // The money is held: from here on a fault is no refusal (CONTRACT B-08). What is not
            // sent now is sent by its job.
            StepResult::Stepped(held) => {
                // Read again for the wallet's balance after the hold.
                let held = self.read_again(&key).unwrap_or(held);
                if is_for_staff {
                    return Ok(held);
                }
                match self.send_held(held.clone()).await {
                    Ok(sent) => Ok(sent),
                    Err(fault) => Ok(self.left_to_job(held, &fault)),
                }
            }
            StepResult::Unchanged(now) => Ok(now),
            StepResult::Denied(now, why) => Err(denied(&why, now.amount.currency()).into()),
            StepResult::Impossible(now) | StepResult::Closed(now) => self.called_off(now),
        }
    }

    /// The answer for a quote that cannot be accepted any more: it has expired, unless it was
    /// accepted in time and staff called the purchase off.
    fn called_off(&self, purchase: Purchase) -> Result<Purchase, AcceptRefused> {
        let evidence = self.or_unavailable(self.inner.store.evidence(&purchase.key))?;
        match evidence.iter().any(|said| said.word == ACCEPTED) {
            true => Ok(purchase),
            false => Err(QuoteExpired.into()),
        }
    }

    /// Records the next attempt of a held purchase and drives it.
    async fn send_held(&self, held: Purchase) -> Result<Purchase, Fault> {
        let key = held.key;
        match self.record_attempt(held).await? {
            Some(sent) if sent.state == State::Sent => Ok(self.drive(&sent).await),
            Some(ended) => Ok(ended),
            None => self.read_again(&key),
        }
    }

    /// Expires a quote whose time is over, even if its job has not run yet; returns any other
    /// purchase unchanged.
    async fn expire_if_over(&self, purchase: Purchase) -> Result<Purchase, Fault> {
        let is_over = || self.elapsed_since(purchase.opened_at) >= QUOTE_VALID_FOR;
        match purchase.state == State::Quoted && is_over() {
            true => Ok(self.expire(purchase).await?.purchase()),
            false => Ok(purchase),
        }
    }

    /// Expires what was not accepted or approved in time. An acceptance or approval at the last
    /// moment wins: then the state is another one, and nothing expires.
    pub(crate) async fn expire(&self, purchase: Purchase) -> Result<StepResult, Fault> {
        let proof = Proof::new(Source::Clock, "expire");
        let waited = purchase.state;
        let expire = |now: &Purchase| (now.state == waited).then(|| (Event::Expire, proof.clone()));
        self.take_step(&self.work(), &purchase, expire, TakeStep).await
    }
}

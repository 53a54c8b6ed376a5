//! How an admitted change becomes rows. Balances and counts of calls are written once for the whole
//! batch, in `load`.

use super::batch::BatchWriter;
use crate::archive::{self, ArchiveChange, ArchiveDone, LedgerPosition};
use crate::calls::CallQuota;
use crate::change::{Change, Done, Posting, Setting};
use crate::fault::Result;
use crate::ledger::JournalHead;
use crate::purchases::{self, jobs, slips};
use crate::webhooks::{self, endpoints, pushes};
use crate::{accounts, catalog, halts, people};
use domain::{CaseKind, LedgerAccount, Move, Purpose, Reason, ReferenceKey, View};

impl BatchWriter {
    /// Writes one admitted change.
    pub(super) fn write(&mut self, change: &Change, view: &View) -> Result<Done> {
        let run = self.sql.node_run();
        let sql = self.sql.as_mut();
        match change {
            Change::Open { reference_keys, digest, opening } => {
                self.open(reference_keys, digest.as_ref(), opening, view)
            }
            Change::Step(step) => self.step(step, view),
            Change::PostJournal(posting) => self.post_journal(posting, view),
            Change::KeepEvidence { key, proof, case, at } => {
                purchases::keep_evidence(sql, key, proof, *at)?;
                slips::keep_of(sql, key, proof, *at)?;
                if let Some(case) = case {
                    purchases::open_case(sql, key, case, *at)?;
                }
                Ok(Done::Written)
            }
            Change::CloseCase { key, why, proof, at } => {
                purchases::keep_evidence(sql, key, proof, *at)?;
                written(purchases::close_case(sql, key, *why, *at))
            }
            Change::LeaseJobs { now, lease, limit } => {
                jobs::lease(sql, run, *now, *lease, *limit).map(Done::Leased)
            }
            Change::PutOff { job, until } => written(jobs::put_off(sql, job, *until)),
            Change::KeepSlip { key, upstream, slip, at } => {
                written(slips::keep(sql, key, upstream, slip, *at))
            }
            Change::TakeOver { dead, is_start, now } => {
                let idle = if *is_start { run } else { 0 };
                jobs::take_over(sql, dead, idle, *now)?;
                written(webhooks::take_over(sql, idle, *now))
            }
            Change::GrantCalls { account, environment, limit, calls, unused, taken_s, now_s } => {
                let (limit, calls, now_s) = (*limit, *calls, *now_s);
                let quota = CallQuota { limit, calls, unused: *unused, taken_s: *taken_s, now_s };
                Ok(Done::Calls(self.calls.grant((*account, *environment), &quota)))
            }
            Change::KeepResponse { reference, status, body } => {
                written(purchases::keep_response(sql, reference, *status, body))
            }
            Change::Push(change) => pushes::write(sql, change),
            Change::Webhook(change) => webhooks::write(sql, run, change),
            Change::Endpoint(change) => written(endpoints::write(sql, change)),
            Change::Set(settings) => written(self.set_all(settings)),
            Change::People(change) => people::write(sql, change).map(Done::People),
            Change::Halt(change) => written(halts::write(sql, change)),
            Change::Archive(change) => self.archive(change),
        }
    }

    fn open(
        &mut self,
        reference_keys: &[ReferenceKey],
        digest: Option<&[u8; 32]>,
        opening: &Move,
        view: &View,
    ) -> Result<Done> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        let (key, at) = (&opening.after.key, opening.after.opened_at);
        for reference in reference_keys {
            purchases::use_up(sql, reference, Some(key.id), digest, at)?;
        }
        let available_after = available(view, opening).unwrap_or(0);
        purchases::insert(sql, &opening.after, available_after)?;
        let (job, due) = opening.job;
        jobs::enqueue(sql, run, key, job, due)?;
        self.write_move(opening)?;
        Ok(Done::Opened { available_after })
    }

    fn step(&mut self, step: &Move, view: &View) -> Result<Done> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        let (after, (job, due)) = (&step.after, step.job);
        purchases::update(sql, after, step.from_version)?;
        jobs::replace(sql, run, after, job, due)?;
        if let Some(available) = available(view, step) {
            purchases::set_available_after(sql, &after.key, available)?;
        }
        if step.from == domain::State::WithStaff {
            purchases::close_case(sql, &after.key, CaseKind::Doubt, after.updated_at)?;
        }
        self.write_move(step)?;
        Ok(Done::Written)
    }

    /// What every move of a purchase writes: attempt, journal, evidence, slip, case, webhooks.
    fn write_move(&mut self, step: &Move) -> Result<()> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        let (key, at) = (&step.after.key, step.after.updated_at);
        if let Some(attempt) = &step.attempt {
            purchases::change_attempt(sql, key, attempt, at)?;
        }
        if let Some(journal) = &step.journal {
            let head = JournalHead {
                account: key.account,
                environment: key.environment,
                purchase: Some(key.id),
                note: None,
                at,
                is_listed: step.after.api_key.is_none(),
            };
            self.ledger.append(sql, journal, &head)?;
        }
        if let Some(proof) = &step.evidence {
            purchases::keep_evidence(sql, key, proof, at)?;
        }
        if let (Some(slip), Some(upstream)) = (&step.slip, &step.after.upstream) {
            slips::keep(sql, key, upstream, slip, at)?;
        }
        if let Some(case) = &step.case {
            purchases::open_case(sql, key, case, at)?;
        }
        step.webhooks.iter().try_for_each(|pending| webhooks::enqueue(sql, run, key, pending))
    }

    fn post_journal(&mut self, posting: &Posting, view: &View) -> Result<Done> {
        let reference = &posting.reference;
        purchases::use_up(self.sql.as_mut(), reference, None, None, posting.at)?;
        // The hash covers the note as it is stored, and not every database stores a NUL.
        let note = posting.note.replace('\0', "\u{fffd}");
        let head = JournalHead {
            account: reference.account,
            environment: reference.environment,
            purchase: None,
            note: Some(&note),
            at: posting.at,
            is_listed: false,
        };
        self.ledger.append(self.sql.as_mut(), &posting.journal, &head)?;
        let mut mentioned = posting.journal.entries().iter().flat_map(|e| [e.debit(), e.credit()]);
        let wallet = mentioned
            .find(|account| account.purpose.is_wallet())
            .and_then(|account| view.balances.get(account));
        Ok(Done::Posted { available_after: wallet.map_or(0, |balance| balance.amount) })
    }

    fn archive(&mut self, change: &ArchiveChange) -> Result<Done> {
        let position = LedgerPosition { closed: self.ledger.closed(), end: self.ledger.end() };
        let done = archive::write_change(self.sql.as_mut(), change, &position)?;
        if let ArchiveChange::Close(closing) = change
            && done == Done::Archive(ArchiveDone::Written)
        {
            // The rest of the batch must see it too.
            self.ledger.set_closed(Some(closing.as_closed()));
        }
        Ok(done)
    }

    fn set_all(&mut self, settings: &[Setting]) -> Result<()> {
        settings.iter().try_for_each(|setting| self.set(setting))?;
        let mut topics: Vec<_> = settings.iter().filter_map(Setting::topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.into_iter().try_for_each(|topic| catalog::notify_nodes(self.sql.as_mut(), topic))
    }

    fn set(&mut self, setting: &Setting) -> Result<()> {
        let sql = self.sql.as_mut();
        match setting {
            Setting::Account(account) => accounts::set_account(sql, account),
            Setting::User(user) => accounts::set_user(sql, user),
            Setting::Wallet(account, environment, currency) => {
                accounts::open_wallet(sql, *account, *environment, *currency)
            }
            Setting::Key(key, created_at) => accounts::set_key(sql, key, *created_at),
            Setting::Endpoint(endpoint) => endpoints::set(sql, endpoint),
            Setting::MasterKey(tag) => accounts::keep_master_key(sql, tag),
            Setting::Country(country) => catalog::set_country(sql, country),
            Setting::Operator(operator) => catalog::set_operator(sql, operator),
            Setting::Category(category) => catalog::set_category(sql, category),
            Setting::Product(product) => catalog::set_product(sql, product),
            Setting::Price(price) => catalog::set_price(sql, price),
            Setting::Route(route) => catalog::set_route(sql, route),
        }
    }
}

/// What a purchase's account can spend right after this change was admitted; `None` unless the
/// change holds money.
fn available(view: &View, step: &Move) -> Option<i64> {
    step.journal.as_ref().filter(|journal| journal.reason() == Reason::Hold)?;
    let purchase = &step.after;
    let wallet = LedgerAccount {
        owner: purchase.key.account,
        environment: purchase.key.environment,
        currency: purchase.amount.currency(),
        purpose: Purpose::Available,
    };
    view.balances.get(&wallet).map(|balance| balance.amount)
}

fn written(result: Result<()>) -> Result<Done> {
    result.map(|()| Done::Written)
}

//! The purchases of an account as its people look for them: filtered, latest first.
//!
//! Each filter is served by a key. `listed_purchases` has the purchases of an account by operator
//! and kind: a list over all of them merges those few ranges, so one table serves the whole list,
//! an operator and a kind; `listed_recipients` has them by recipient. Both are filled behind the
//! journals (`ledger/lists`), so the journals after their end are read, too. Open purchases are
//! found by their jobs, failed ones by their events. Not here: lists for staff over all accounts
//! (`find`).

use super::{by_key, stored_reference};
use crate::backend::{Sql, Value, all, columns, first, from_row, values};
use crate::fault::Result;
use crate::ledger::{AccountList, Page, lists};
use crate::read::{self, purchase_columns};
use domain::ids::first_at;
use domain::{
    AccountId, Environment, Kind, Money, Purchase, PurchaseId, ReferenceKey, ReferenceScope, State,
    Timestamp,
};
use std::time::Duration;

/// Ids are never before their purchase's time, but may be after it: the maker of ids does not
/// follow a clock that is set back.
const IDS_AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// Rows that are not worth a second statement.
const SHARE_MIN: u32 = 100;

/// Which purchases of an account are listed; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurchaseFilter {
    /// In one of these states; empty: in any.
    pub states: Vec<State>,
    /// Of this operator, by its code.
    pub operator: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// For this recipient, in national form.
    pub recipient: Option<String>,
    /// With this reference: at most one purchase of each dialect.
    pub reference: Option<String>,
    /// Opened at this time or later.
    pub since: Option<Timestamp>,
    /// Opened before this time.
    pub until: Option<Timestamp>,
}

impl PurchaseFilter {
    /// Whether a purchase passes.
    pub fn passes(&self, p: &Purchase) -> bool {
        (self.states.is_empty() || self.states.contains(&p.state))
            && self.operator.as_ref().is_none_or(|operator| *operator == p.operator)
            && self.kind.is_none_or(|kind| kind == p.kind)
            && self.recipient.as_ref().is_none_or(|recipient| *recipient == p.recipient)
            && self.reference.as_ref().is_none_or(|reference| *reference == p.reference)
            && self.since.is_none_or(|since| p.opened_at >= since)
            && self.until.is_none_or(|until| p.opened_at < until)
    }

    /// The state of which an index knows every purchase, if the filter asks for one only.
    pub(super) fn rare_state(&self) -> Option<State> {
        match self.states[..] {
            [state] if state.is_final() && state != State::Delivered => Some(state),
            _ => None,
        }
    }

    pub(super) fn is_of_open_ones(&self) -> bool {
        !self.states.is_empty() && self.states.iter().all(|state| !state.is_final())
    }
}

/// What counts of purchases are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentPurchase {
    /// The purchase.
    pub id: PurchaseId,
    /// The operator's code.
    pub operator: String,
    /// Its state now.
    pub state: State,
    /// What was bought, without the fee.
    pub amount: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was delivered, if it was.
    pub delivered_at: Option<Timestamp>,
}

columns!(RecentPurchase: id, operator, state, amount, opened_at, delivered_at);

impl From<Purchase> for RecentPurchase {
    fn from(p: Purchase) -> RecentPurchase {
        let Purchase { key, operator, state, amount, opened_at, delivered_at, .. } = p;
        RecentPurchase { id: key.id, operator, state, amount, opened_at, delivered_at }
    }
}

/// An operator and a kind that an account has bought.
#[derive(Clone, Default)]
struct Sold {
    operator: String,
    kind: String,
}

columns!(Sold: operator, kind);

/// A stretch of the purchases of one operator and kind, by their ids.
struct Range {
    of: Sold,
    from: i64,
    below: i64,
    limit: u32,
}

/// A filter with the values that its statements share.
pub(super) struct Query<'a> {
    account: AccountId,
    environment: Environment,
    filter: &'a PurchaseFilter,
    /// The codes of its states, between commas.
    pub(super) states: String,
    /// Only ids from here on, and only ids below.
    pub(super) ids: (i64, i64),
    /// Opened from here on, and before.
    pub(super) times: (i64, i64),
    limit: u32,
}

impl<'a> Query<'a> {
    pub(super) fn of(
        account: AccountId,
        environment: Environment,
        filter: &'a PurchaseFilter,
        page: Page,
    ) -> Query<'a> {
        let codes: Vec<&str> = filter.states.iter().map(|state| state.code()).collect();
        let until_id = filter.until.map_or(i64::MAX, |until| first_at(until.after(IDS_AHEAD_MAX)));
        Query {
            account,
            environment,
            filter,
            states: format!(",{},", codes.join(",")),
            ids: (filter.since.map_or(0, first_at), page.before.unwrap_or(i64::MAX).min(until_id)),
            times: (filter.since.map_or(0, |at| at.0), filter.until.map_or(i64::MAX, |at| at.0)),
            limit: page.limit,
        }
    }
}

/// The purchases of an account that pass a filter, latest first.
pub(crate) fn list(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    filter: &PurchaseFilter,
    page: Page,
) -> Result<Vec<Purchase>> {
    let query = Query::of(account, environment, filter, page);
    match filter {
        PurchaseFilter { reference: Some(reference), .. } => query.by_reference(sql, reference),
        PurchaseFilter { recipient: Some(recipient), .. } => query.by_recipient(sql, recipient),
        _ => match filter.rare_state() {
            Some(state) => query.by_events(sql, state),
            None if filter.is_of_open_ones() => query.by_jobs(sql),
            None => query.by_operator_and_kind(sql),
        },
    }
}

/// The latest purchases of an account, opened at this time or later: what counts are made of.
pub(crate) fn recent(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<RecentPurchase>> {
    let filter = PurchaseFilter { since: Some(since), ..PurchaseFilter::default() };
    let page = Page { before: None, limit };
    Query::of(account, environment, &filter, page).recent(sql)
}

/// Lists purchases; `$from` and `$and` say by which index. Columns that another table has too are
/// never named without a purchase's own.
macro_rules! list_text {
    ($from:literal, $and:literal) => {
        concat!("SELECT ", purchase_columns!(), " FROM ", $from, $and)
    };
}

pub(crate) const BY_OPERATOR_AND_KIND: &str = list_text!(
    "(SELECT purchase_id AS found FROM listed_purchases WHERE account_id = $1 AND environment = $2
          AND operator = $3 AND kind = $4 AND purchase_id >= $5 AND purchase_id < $6) AS l
     CROSS JOIN purchases ",
    "WHERE id = found AND account_id + 0 = $7 AND environment || '' = $8 AND opened_at >= $9
         AND opened_at < $10 AND ($11 = ',,' OR $12 LIKE '%,' || state || ',%')
     ORDER BY found DESC LIMIT $13"
);
pub(crate) const BY_RECIPIENT: &str = list_text!(
    "(SELECT purchase_id AS found FROM listed_recipients WHERE account_id = $1 AND environment = $2
          AND recipient = $3 AND purchase_id >= $4 AND purchase_id < $5) AS l
     CROSS JOIN purchases ",
    "WHERE id = found AND account_id + 0 = $6 AND environment || '' = $7 AND opened_at >= $8
         AND opened_at < $9 AND ($10 = ',,' OR $11 LIKE '%,' || state || ',%')
         AND ($12 = '' OR operator = $13) AND ($14 = '' OR kind = $15)
     ORDER BY found DESC LIMIT $16"
);
/// Those of the journals after the end of the list.
pub(crate) const LATER: &str = list_text!(
    "(SELECT purchase_id AS found FROM journals WHERE seq > $1 AND account_id + 0 = $2
          AND environment || '' = $3 AND reason = 'hold' AND purchase_id >= $4
          AND purchase_id < $5) AS j CROSS JOIN purchases ",
    "WHERE id = found AND account_id + 0 = $6 AND environment || '' = $7 AND opened_at >= $8
         AND opened_at < $9 AND ($10 = ',,' OR $11 LIKE '%,' || state || ',%')
         AND ($12 = '' OR operator = $13) AND ($14 = '' OR kind = $15)
         AND ($16 = '' OR recipient = $17) ORDER BY found DESC LIMIT $18"
);
pub(crate) const BY_EVENTS: &str = list_text!(
    "(SELECT purchase_id AS found FROM events WHERE account_id = $1 AND environment = $2
          AND state = $3 AND state <> 'delivered' AND purchase_id >= $4 AND purchase_id < $5) AS e
     CROSS JOIN purchases ",
    "WHERE id = found AND account_id + 0 = $6 AND environment || '' = $7 AND opened_at >= $8
         AND opened_at < $9 AND ($10 = ',,' OR $11 LIKE '%,' || state || ',%')
         AND ($12 = '' OR operator = $13) AND ($14 = '' OR kind = $15)
     ORDER BY found DESC LIMIT $16"
);
pub(crate) const BY_JOBS: &str = list_text!(
    "(SELECT purchase_id AS found FROM jobs WHERE account_id = $1 AND environment = $2
          AND purchase_id >= $3 AND purchase_id < $4) AS j CROSS JOIN purchases ",
    "WHERE id = found AND account_id + 0 = $5 AND environment || '' = $6 AND opened_at >= $7
         AND opened_at < $8 AND ($9 = ',,' OR $10 LIKE '%,' || state || ',%')
         AND ($11 = '' OR operator = $12) AND ($13 = '' OR kind = $14)
     ORDER BY found DESC LIMIT $15"
);
/// What counts are made of: few columns, for many rows.
pub(crate) const RECENT: &str = "SELECT id, operator, state, currency, amount, opened_at,
        delivered_at
    FROM (SELECT purchase_id AS found FROM listed_purchases WHERE account_id = $1
              AND environment = $2 AND operator = $3 AND kind = $4 AND purchase_id >= $5
              AND purchase_id < $6) AS l CROSS JOIN purchases
    WHERE id = found AND account_id + 0 = $7 AND environment || '' = $8 AND opened_at >= $9
    ORDER BY found DESC LIMIT $10";
/// The next kind that an account bought from an operator. Two statements find the next pair:
/// SQLite seeks by the first column only of a comparison of rows.
pub(crate) const NEXT_KIND: &str = "SELECT operator, kind FROM listed_purchases
    WHERE account_id = $1 AND environment = $2 AND operator = $3 AND kind > $4
    ORDER BY kind LIMIT 1";
/// The first kind that an account bought from the next operator.
pub(crate) const NEXT_OPERATOR: &str = "SELECT operator, kind FROM listed_purchases
    WHERE account_id = $1 AND environment = $2 AND operator > $3
    ORDER BY operator, kind LIMIT 1";

impl Query<'_> {
    fn by_reference(&self, sql: &mut dyn Sql, reference: &str) -> Result<Vec<Purchase>> {
        let mut found = Vec::new();
        for scope in [ReferenceScope::Irecharge, ReferenceScope::Rechargely] {
            let (account, environment) = (self.account, self.environment);
            let text = reference.to_owned();
            let key = ReferenceKey { account, environment, scope, text };
            let key = stored_reference(sql, &key)?.and_then(|stored| stored.purchase);
            let purchase = key.map(|key| by_key(sql, &key)).transpose()?.flatten();
            let is_in_page = |p: &Purchase| p.key.id.0 >= self.ids.0 && p.key.id.0 < self.ids.1;
            found.extend(purchase.filter(|p| is_in_page(p) && self.filter.passes(p)));
        }
        found.sort_by_key(|purchase| std::cmp::Reverse(purchase.key.id));
        Ok(found)
    }

    fn by_recipient(&self, sql: &mut dyn Sql, recipient: &str) -> Result<Vec<Purchase>> {
        let later = self.later(sql)?;
        let args = self.args(&values![self.account, self.environment, recipient]);
        let listed = all(sql, BY_RECIPIENT, &args, read::purchase)?;
        Ok(self.page_of([later, listed], |purchase| purchase.key.id))
    }

    /// What the journals after the end of the list have. Read before the list: what moves into it
    /// meanwhile is found twice, and nothing is missed.
    fn later(&self, sql: &mut dyn Sql) -> Result<Vec<Purchase>> {
        let end = lists::end(sql, AccountList::Purchases)?;
        let mut args = self.args(&values![end, self.account, self.environment]);
        let limit = args.pop();
        let recipient = self.filter.recipient.as_deref().unwrap_or_default();
        args.extend(values![recipient, recipient]);
        args.extend(limit);
        all(sql, LATER, &args, read::purchase)
    }

    /// The latest of both, each once.
    fn page_of<T>(&self, parts: [Vec<T>; 2], id: impl Fn(&T) -> PurchaseId) -> Vec<T> {
        let mut found = parts.into_iter().flatten().collect::<Vec<T>>();
        found.sort_by_key(|one| std::cmp::Reverse(id(one)));
        found.dedup_by_key(|one| id(one));
        found.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        found
    }

    fn by_events(&self, sql: &mut dyn Sql, state: State) -> Result<Vec<Purchase>> {
        let args = self.args(&values![self.account, self.environment, state]);
        all(sql, BY_EVENTS, &args, read::purchase)
    }

    fn by_jobs(&self, sql: &mut dyn Sql) -> Result<Vec<Purchase>> {
        let args = self.args(&values![self.account, self.environment]);
        all(sql, BY_JOBS, &args, read::purchase)
    }

    /// What an index is searched by: these values and the ids; then the account, times, states,
    /// operator, kind and limit, as the statements have them.
    fn args<'a>(&'a self, searched_by: &[Value<'a>]) -> Vec<Value<'a>> {
        let operator = self.filter.operator.as_deref().unwrap_or_default();
        let kind = self.filter.kind.map_or("", Kind::code);
        let mut args = searched_by.to_vec();
        args.extend(values![self.ids.0, self.ids.1, self.account, self.environment]);
        args.extend(values![self.times.0, self.times.1, &self.states, &self.states]);
        args.extend(values![operator, operator, kind, kind, self.limit]);
        args
    }

    fn by_operator_and_kind(&self, sql: &mut dyn Sql) -> Result<Vec<Purchase>> {
        let later = self.later(sql)?;
        let read = |sql: &mut dyn Sql, range: &Range| {
            let mut args = self.range_args(range);
            args.extend(values![self.times.1, &self.states, &self.states, range.limit]);
            all(sql, BY_OPERATOR_AND_KIND, &args, read::purchase)
        };
        let listed = self.merged(sql, read, |purchase| purchase.key.id)?;
        Ok(self.page_of([later, listed], |purchase| purchase.key.id))
    }

    /// The values by which both statements of a range find its rows.
    fn range_args<'a>(&'a self, range: &'a Range) -> Vec<Value<'a>> {
        values![
            self.account,
            self.environment,
            &range.of.operator,
            &range.of.kind,
            range.from,
            range.below,
            self.account,
            self.environment,
            self.times.0
        ]
        .to_vec()
    }

    fn recent(&self, sql: &mut dyn Sql) -> Result<Vec<RecentPurchase>> {
        let later = self.later(sql)?.into_iter().map(RecentPurchase::from).collect();
        let read = |sql: &mut dyn Sql, range: &Range| {
            let mut args = self.range_args(range);
            args.extend(values![range.limit]);
            all(sql, RECENT, &args, from_row::<RecentPurchase>)
        };
        let listed = self.merged(sql, read, |purchase| purchase.id)?;
        Ok(self.page_of([later, listed], |purchase| purchase.id))
    }

    /// Merges what is read of each operator and kind, latest first. Each is read only as far as it
    /// has later ones than the page that was found so far: first its share of the page, then the
    /// rest, which is little where all sell alike.
    fn merged<T>(
        &self,
        sql: &mut dyn Sql,
        read: impl Fn(&mut dyn Sql, &Range) -> Result<Vec<T>>,
        id: impl Fn(&T) -> PurchaseId,
    ) -> Result<Vec<T>> {
        let sold = self.sold(sql)?;
        let count = u32::try_from(sold.len()).unwrap_or(u32::MAX).max(1);
        let share = self.limit.div_ceil(count).max(SHARE_MIN).min(self.limit);
        let (from, below) = self.ids;
        let range = |of| Range { of, from, below, limit: share };
        let mut ranges: Vec<Range> = sold.into_iter().map(range).collect();
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut found: Vec<T> = Vec::new();
        for _ in 0..2 {
            let mut rest = Vec::new();
            for mut range in ranges {
                let earliest = limit.checked_sub(1).and_then(|last| found.get(last));
                range.from = earliest.map_or(from, |last| id(last).0.max(from));
                if range.from >= range.below {
                    continue;
                }
                let more = read(sql, &range)?;
                let is_cut = u32::try_from(more.len()).is_ok_and(|count| count == range.limit);
                if let Some(last) = more.last().filter(|_| is_cut) {
                    rest.push(Range { below: id(last).0, limit: self.limit, ..range });
                }
                found.extend(more);
                found.sort_by_key(|one| std::cmp::Reverse(id(one)));
                found.truncate(limit);
            }
            ranges = rest;
        }
        Ok(found)
    }

    /// The operators and kinds of the account's purchases that the filter lets through.
    fn sold(&self, sql: &mut dyn Sql) -> Result<Vec<Sold>> {
        let mut all: Vec<Sold> = Vec::new();
        let mut last = Sold::default();
        loop {
            let args = values![self.account, self.environment, &last.operator, &last.kind];
            let next: Sold = match first(sql, NEXT_KIND, &args, from_row)? {
                Some(next) => next,
                None => match first(sql, NEXT_OPERATOR, &args[..3], from_row)? {
                    Some(next) => next,
                    None => return Ok(all),
                },
            };
            let filter = self.filter;
            let is_wanted = filter.operator.as_ref().is_none_or(|code| *code == next.operator)
                && filter.kind.is_none_or(|kind| kind.code() == next.kind);
            if is_wanted {
                all.push(next.clone());
            }
            last = next;
        }
    }
}

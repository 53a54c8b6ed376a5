//! The statements that list rows for people, and those that mean one row while an index of lists
//! is near; and the index that serves each: an account may have years of rows. Read by the test of
//! plans on both databases.

use crate::acts;
use crate::ledger::{posting, statement};
use crate::purchases::{BY_LOGINS, STEP, find, list};
use crate::queue::Queue;
use crate::requests;
use crate::webhooks::{Webhooks, log, replay};

/// A statement, and what its plan says.
#[derive(Clone, Copy, Debug)]
pub struct StatementPlan {
    /// The statement.
    pub text: &'static str,
    /// A part of SQLite's plan: the index and the terms that it is searched by.
    pub in_sqlite: &'static str,
    /// A part of PostgreSQL's plan: the terms of an index condition.
    pub in_postgresql: &'static str,
}

const fn plan(
    text: &'static str,
    in_sqlite: &'static str,
    in_postgresql: &'static str,
) -> StatementPlan {
    StatementPlan { text, in_sqlite, in_postgresql }
}

/// Each statement that lists purchases, money, webhooks, requests or acts, or means one of them.
pub fn statement_plans() -> Vec<StatementPlan> {
    [purchases(), others(), of_one_row()].concat()
}

fn purchases() -> Vec<StatementPlan> {
    vec![
        plan(
            list::BY_OPERATOR_AND_KIND,
            "listed_purchases USING PRIMARY KEY (account_id=? AND environment=? AND operator=? AND \
             kind=? AND purchase_id>?",
            "(account_id = $1) AND (environment = $2) AND (operator = $3) AND (kind = $4) AND (id",
        ),
        plan(
            list::RECENT,
            "listed_purchases USING PRIMARY KEY (account_id=? AND environment=? AND operator=? AND \
             kind=? AND purchase_id>?",
            "(account_id = $1) AND (environment = $2) AND (operator = $3) AND (kind = $4) AND (id",
        ),
        plan(
            list::BY_RECIPIENT,
            "listed_recipients USING PRIMARY KEY (account_id=? AND environment=? AND recipient=? \
             AND purchase_id>?",
            "(account_id = $1) AND (environment = $2) AND (recipient = $3) AND (id >= $4)",
        ),
        plan(list::LATER, "journals USING INTEGER PRIMARY KEY (rowid>?)", "(seq > $1)"),
        plan(
            list::BY_EVENTS,
            "events_of_account (account_id=? AND environment=? AND state=?",
            "(account_id = $1) AND (environment = $2) AND (state = $3) AND (purchase_id >= $4)",
        ),
        plan(
            list::BY_JOBS,
            "jobs USING PRIMARY KEY (purchase_id>? AND purchase_id<?)",
            "(purchase_id >= $3) AND (purchase_id < $4)",
        ),
        plan(
            list::NEXT_KIND,
            "listed_purchases USING PRIMARY KEY (account_id=? AND environment=? AND operator=? AND \
             kind>?",
            "(account_id = $1) AND (environment = $2) AND (operator = $3) AND (kind > $4)",
        ),
        plan(
            list::NEXT_OPERATOR,
            "listed_purchases USING PRIMARY KEY (account_id=? AND environment=? AND operator>?",
            "(account_id = $1) AND (environment = $2) AND (operator > $3)",
        ),
        plan(
            BY_LOGINS,
            "purchases_of_logins (account_id=? AND environment=? AND id<?",
            "(account_id = $1) AND (environment = $2) AND (id < $3)",
        ),
        plan(
            find::BY_ID,
            "purchases USING PRIMARY KEY (id>? AND id<?)",
            "(id >= $1) AND (id < $2)",
        ),
        plan(
            find::BY_JOBS,
            "jobs USING PRIMARY KEY (purchase_id>? AND purchase_id<?)",
            "(purchase_id >= $1) AND (purchase_id < $2)",
        ),
        plan(
            find::BY_EVENTS,
            "events_but_deliveries (state=? AND purchase_id>? AND purchase_id<?)",
            "(state = $3) AND (purchase_id >= $1) AND (purchase_id < $2)",
        ),
    ]
}

fn others() -> Vec<StatementPlan> {
    vec![
        plan(
            statement::LINES,
            "listed_journals USING PRIMARY KEY (account_id=? AND environment=? AND seq<?)",
            "(account_id = $4) AND (environment = $5) AND (seq <= $6) AND (seq < $7)",
        ),
        plan(
            statement::LATER_LINES,
            "SEARCH j USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            "(seq > $6) AND (seq < $7)",
        ),
        plan(
            posting::PAYMENTS_OF,
            "payments_of_account (account_id=? AND at<?)",
            "(account_id = $1) AND (at < $2)",
        ),
        plan(
            log::DELIVERIES,
            "webhooks_of_account (account_id=? AND at<?)",
            "(account_id = $1) AND (at <= $3)",
        ),
        plan(
            log::NOT_ACCEPTED,
            "webhooks_not_accepted (account_id=? AND environment=? AND state=? AND at<?)",
            "(account_id = $1) AND (environment = $2) AND (state = $3) AND (at <= $4)",
        ),
        plan(
            replay::NEXT,
            "webhooks_of_account (account_id=? AND at>? AND at<?)",
            "(account_id = $1) AND (at >= $3) AND (at <= $4)",
        ),
        plan(
            requests::LIST,
            "PRIMARY KEY (account_id=? AND environment=? AND id>? AND id<?)",
            "(account_id = $1) AND (environment = $2) AND (id < $3) AND (id >= $4)",
        ),
        plan(
            requests::ERRORS,
            "PRIMARY KEY (account_id=? AND environment=? AND id>?)",
            "(account_id = $1) AND (environment = $2) AND (id >= $3)",
        ),
        plan(acts::OF_OBJECT, "acts_object (object=?)", "(object = $1)"),
    ]
}

/// With the whole key: SQLite needs a savepoint for what may change many rows.
fn of_one_row() -> Vec<StatementPlan> {
    vec![
        plan(
            STEP,
            "purchases USING PRIMARY KEY (id=? AND account_id=? AND environment=?)",
            "Index Cond: (id = $10)",
        ),
        plan(
            Webhooks::STATEMENTS.put_off,
            "webhooks USING PRIMARY KEY (purchase_id=? AND account_id=? AND environment=? AND \
             endpoint_id=? AND event=?)",
            "(purchase_id = $3)",
        ),
    ]
}

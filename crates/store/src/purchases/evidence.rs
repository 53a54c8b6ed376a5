//! What is on record of a purchase's way: attempts, evidence, cases for staff.
//!
//! Invariant: a line of evidence is only ever added. A purchase has at most one open case of each
//! kind.

use super::{digest, key_values, slips};
use crate::backend::{Sql, WriteKey, all, values};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::{Fault, Result};
use crate::read;
use domain::{
    Attempt, AttemptChange, Case, CaseKind, Job, Money, MonthClosed, PassedOver, Proof, PurchaseId,
    PurchaseKey, Timestamp, UpstreamCode,
};

/// Evidence that moves nothing; with a case if staff must look into it.
#[derive(Clone, Debug)]
pub struct KeepEvidence {
    /// The purchase that the evidence is about.
    pub key: PurchaseKey,
    /// The evidence.
    pub proof: Proof,
    /// The case that opens for staff.
    pub case: Option<Case>,
    /// When the evidence came in.
    pub at: Timestamp,
}

/// Keeps that an upstream has shown that it has an order, and its reference of it. The purchase
/// takes no step.
#[derive(Clone, Debug)]
pub struct KeepAcknowledgement {
    /// The purchase of the order.
    pub key: PurchaseKey,
    /// What the upstream said about which attempt.
    pub proof: Proof,
    /// When it was said.
    pub at: Timestamp,
    /// When the upstream is asked, because the call has ended; `None`: as it was.
    pub ask_at: Option<Timestamp>,
}

impl Commit for KeepAcknowledgement {
    type Done = ();
    type Denied = MonthClosed;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::open_month(self.key.id)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        keep_evidence(tx.sql, &self.key, &self.proof, self.at)?;
        let [id, account, environment] = key_values(&self.key);
        if let Some(ask_at) = self.ask_at {
            tx.sql.defer(
                "UPDATE jobs SET due_at = $1
                 WHERE purchase_id = $2 AND account_id = $3 AND environment = $4
                     AND job = $5",
                WriteKey::Purchase(self.key.id.0),
                &values![ask_at, id, account, environment, Job::Query],
                None,
            )?;
        }
        let [id, account, environment] = key_values(&self.key);
        let (code, reference, text) =
            (&self.proof.code, &self.proof.upstream_reference, &self.proof.text);
        let number = self.proof.source.attempt();
        let outcome = values![id, account, environment, number, code, reference, text, self.at];
        let digest = digest::of_values(&outcome);
        // An outcome that decided stays.
        tx.sql.defer(
            "UPDATE attempts
             SET outcome = $1, upstream_reference = coalesce($2, upstream_reference),
                 text = $3, heard_at = $4, outcome_digest = $5
             WHERE purchase_id = $6 AND account_id = $7 AND environment = $8 AND number = $9
                 AND (outcome IS NULL OR outcome IN ('unknown', 'unclear', 'accepted'))",
            WriteKey::Purchase(self.key.id.0),
            &values![code, reference, text, self.at, &digest, id, account, environment, number],
            None,
        )
    }
}

/// Closes a purchase's case, with what was found.
#[derive(Clone, Debug)]
pub struct CloseCase {
    /// The purchase of the case.
    pub key: PurchaseKey,
    /// The kind of the case: a purchase has at most one open case of each kind.
    pub why: CaseKind,
    /// Who closes it, and what was found.
    pub proof: Proof,
    /// When it is closed.
    pub at: Timestamp,
}

impl Commit for KeepEvidence {
    type Done = ();
    type Denied = MonthClosed;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::open_month(self.key.id)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        keep_evidence(tx.sql, &self.key, &self.proof, self.at)?;
        slips::keep_of(tx.sql, &self.key, &self.proof, self.at)?;
        match &self.case {
            Some(case) => open_case(tx.sql, &self.key, case, self.at),
            None => Ok(()),
        }
    }
}

impl Commit for CloseCase {
    type Done = ();
    type Denied = MonthClosed;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::open_month(self.key.id)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        keep_evidence(tx.sql, &self.key, &self.proof, self.at)?;
        close_case(tx.sql, &self.key, self.why, self.at)
    }
}

/// A line of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When it came in.
    pub at: Timestamp,
    /// Who reported it, such as an upstream or staff.
    pub source: String,
    /// What was reported, in one word.
    pub word: String,
    /// The text that came with it.
    pub text: Option<String>,
}

/// A case that staff must look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCase {
    /// The purchase that it is about.
    pub key: PurchaseKey,
    /// `clash` or `doubt`.
    pub why: String,
    /// When it was opened, or opened again.
    pub opened_at: Timestamp,
    /// Who reported what.
    pub text: String,
}

/// Starts an attempt, or stores its outcome.
pub(crate) fn change_attempt(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    change: &AttemptChange,
    at: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    match change {
        AttemptChange::Start(a) => {
            let start = values![id, account, environment, a.number, &a.upstream, a.started_at];
            let digest = digest::of_values(&start);
            let [id, account, environment, number, upstream, started_at] = start;
            let passed_over = passed_over(a)?;
            sql.defer(
                "INSERT INTO attempts (purchase_id, account_id, environment, number, upstream,
                     started_at, row_digest, passed_over) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                WriteKey::Purchase(key.id.0),
                &values![
                    id,
                    account,
                    environment,
                    number,
                    upstream,
                    started_at,
                    &digest,
                    &passed_over
                ],
                Some(1),
            )
        }
        AttemptChange::RecordOutcome { number, proof } => {
            let (reference, text) = (&proof.upstream_reference, &proof.text);
            let outcome =
                values![id, account, environment, *number, &proof.code, reference, text, at];
            let cost = proof.cost.map(|cost| values![cost.currency(), cost.minor()]);
            let digest =
                digest::of_values(&[&outcome[..], cost.as_slice().as_flattened()].concat());
            sql.defer(
                "UPDATE attempts
                 SET outcome = $1, upstream_reference = coalesce($2, upstream_reference),
                     text = $3, heard_at = $4, outcome_digest = $5, cost_currency = $6, cost = $7
                 WHERE purchase_id = $8 AND account_id = $9 AND environment = $10 AND number = $11",
                WriteKey::Purchase(key.id.0),
                &values![
                    &proof.code,
                    reference,
                    text,
                    at,
                    &digest,
                    proof.cost.map(|cost| cost.currency()),
                    proof.cost.map(|cost| cost.minor()),
                    id,
                    account,
                    environment,
                    *number
                ],
                None,
            )
        }
    }
}

/// The upstreams that were passed over, as JSON; none if there are none, as usual.
fn passed_over(attempt: &Attempt) -> Result<Option<String>> {
    if attempt.passed_over.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<(&str, &str)> =
        attempt.passed_over.iter().map(|p| (p.upstream.as_str(), p.why.as_str())).collect();
    let json = serde_json::to_string(&pairs).map_err(|error| Fault::corrupt(error.to_string()))?;
    Ok(Some(json))
}

fn read_passed_over(json: &str) -> Result<Vec<PassedOver>> {
    let pairs: Vec<(String, String)> =
        serde_json::from_str(json).map_err(|error| Fault::corrupt(error.to_string()))?;
    let passed =
        |(code, why): (String, String)| PassedOver { upstream: UpstreamCode::new(&code), why };
    Ok(pairs.into_iter().map(passed).collect())
}

/// The attempts of a purchase, first to last.
pub(crate) fn attempts(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<Attempt>> {
    all(
        sql,
        "SELECT number, upstream, started_at, outcome, upstream_reference, text, passed_over,
             cost_currency, cost FROM attempts WHERE purchase_id = $1 AND account_id = $2 AND
             environment = $3
         ORDER BY number",
        &key_values(key),
        |row| {
            Ok(Attempt {
                number: row.u32(0)?,
                upstream: UpstreamCode::new(row.text(1)?),
                started_at: Timestamp(row.int(2)?),
                outcome: row.opt_text(3)?.map(str::to_owned),
                upstream_reference: row.opt_text(4)?.map(str::to_owned),
                text: row.opt_text(5)?.map(str::to_owned),
                passed_over: row.opt_text(6)?.map_or(Ok(Vec::new()), read_passed_over)?,
                cost: match (row.opt_text(7)?, row.opt_int(8)?) {
                    (Some(currency), Some(cost)) => {
                        Some(Money::new(cost, read::currency(currency)?))
                    }
                    (_, _) => None,
                },
            })
        },
    )
}

/// Adds a line of evidence.
pub(crate) fn keep_evidence(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    proof: &Proof,
    at: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    sql.defer(
        "INSERT INTO evidence (purchase_id, account_id, environment, line, at, source, attempt,
             word, text, upstream_reference) VALUES ($1, $2, $3,
             (SELECT coalesce(max(line), 0) + 1 FROM evidence
              WHERE purchase_id = $1 AND account_id = $2 AND environment = $3),
             $4, $5, $6, $7, $8, $9)",
        WriteKey::Purchase(key.id.0),
        &values![
            id,
            account,
            environment,
            at,
            proof.source.label().as_str(),
            proof.source.attempt(),
            &proof.code,
            &proof.text,
            &proof.upstream_reference
        ],
        Some(1),
    )
}

/// The evidence of a purchase, first to last.
pub(crate) fn evidence(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<Evidence>> {
    all(
        sql,
        "SELECT at, source, word, text FROM evidence
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 ORDER BY line",
        &key_values(key),
        |row| {
            Ok(Evidence {
                at: Timestamp(row.int(0)?),
                source: row.text(1)?.to_owned(),
                word: row.text(2)?.to_owned(),
                text: row.opt_text(3)?.map(str::to_owned),
            })
        },
    )
}

/// A callback that is on record, about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackOnRecord {
    /// The attempt's purchase.
    pub purchase: PurchaseKey,
    /// The attempt's number.
    pub number: u32,
    /// The upstream that has the attempt.
    pub upstream: UpstreamCode,
}

/// The latest callbacks, since a time, that came when their purchase was closed, and have not
/// changed its state since; of purchases from `first` on.
pub(crate) fn callbacks_after_the_end(
    sql: &mut dyn Sql,
    first: PurchaseId,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<CallbackOnRecord>> {
    all(
        sql,
        "SELECT e.purchase_id, e.account_id, e.environment, e.attempt, a.upstream
         FROM evidence e
         JOIN purchases p ON p.id = e.purchase_id AND p.account_id = e.account_id
             AND p.environment = e.environment
         JOIN attempts a ON a.purchase_id = e.purchase_id AND a.account_id = e.account_id
             AND a.environment = e.environment AND a.number = e.attempt
         WHERE e.purchase_id >= $1 AND e.at >= $2 AND e.word = 'callback'
             AND e.at >= p.updated_at
             AND p.state IN ('delivered', 'failed', 'rejected', 'refunded')
         ORDER BY e.at DESC, e.purchase_id DESC LIMIT $3",
        &values![first, since, limit],
        |row| {
            let (purchase, number) = (read::purchase_key(row)?, row.u32(3)?);
            Ok(CallbackOnRecord { purchase, number, upstream: UpstreamCode::new(row.text(4)?) })
        },
    )
}

/// The cases that are open, oldest first.
pub(crate) fn open_cases(sql: &mut dyn Sql) -> Result<Vec<OpenCase>> {
    all(
        sql,
        "SELECT purchase_id, account_id, environment, why, opened_at, text
         FROM cases WHERE closed_at IS NULL ORDER BY opened_at, purchase_id, why",
        &[],
        |row| {
            Ok(OpenCase {
                key: read::purchase_key(row)?,
                why: row.text(3)?.to_owned(),
                opened_at: Timestamp(row.int(4)?),
                text: row.text(5)?.to_owned(),
            })
        },
    )
}

/// Opens a case, or opens it again. If it is open already, nothing is changed.
pub(crate) fn open_case(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    case: &Case,
    at: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    let text = format!(
        "{} said {}{}",
        case.proof.source.label(),
        case.proof.code,
        case.proof.text.as_ref().map_or(String::new(), |t| format!(": {t}"))
    );
    sql.defer(
        "INSERT INTO cases (purchase_id, account_id, environment, why, opened_at, text)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (purchase_id, account_id, environment, why) DO UPDATE
             SET opened_at = excluded.opened_at, text = excluded.text, closed_at = NULL
             WHERE cases.closed_at IS NOT NULL",
        WriteKey::Purchase(key.id.0),
        &values![id, account, environment, case.why.code(), at, &text],
        None,
    )
}

/// Closes a case, if it is open.
pub(crate) fn close_case(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    why: CaseKind,
    at: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    sql.defer(
        "UPDATE cases SET closed_at = $1
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND why = $5
             AND closed_at IS NULL",
        WriteKey::Purchase(key.id.0),
        &values![at, id, account, environment, why.code()],
        None,
    )
}

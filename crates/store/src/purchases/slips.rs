//! Slips: what end customers keep of their deliveries, stored as JSON of our own form.
//!
//! Invariant: a slip is written in the commit of the outcome that brought it, and stays. No later
//! outcome removes or replaces it.

use super::key_values;
use crate::backend::{Sql, WriteKey, first, values};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::{Fault, Result};
use crate::read;
use domain::{
    Charge, Currency, Money, MonthClosed, Proof, PurchaseKey, Slip, Source, Timestamp, Token,
    TokenKind, UpstreamCode,
};
use serde::{Deserialize, Serialize};

/// Keeps a slip that an upstream gave apart from the outcome that decided.
#[derive(Clone, Debug)]
pub struct KeepSlip {
    /// The purchase that the slip is about.
    pub key: PurchaseKey,
    /// The upstream that gave it.
    pub upstream: UpstreamCode,
    /// The slip.
    pub slip: Box<Slip>,
    /// When it was given.
    pub at: Timestamp,
}

impl Commit for KeepSlip {
    type Done = ();
    type Denied = MonthClosed;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::open_month(self.key.id)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        keep(tx.sql, &self.key, &self.upstream, &self.slip, self.at)
    }
}

#[derive(Serialize, Deserialize)]
struct SlipRow {
    tokens: Vec<TokenRow>,
    units: Option<String>,
    tariff: Option<String>,
    charges: Vec<ChargeRow>,
}

#[derive(Serialize, Deserialize)]
struct TokenRow {
    token: String,
    units: Option<String>,
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct ChargeRow {
    label: String,
    minor: i64,
    currency: String,
}

/// Keeps the slip that an upstream gave for a purchase, unless it gave one before.
pub(crate) fn keep(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    upstream: &UpstreamCode,
    slip: &Slip,
    at: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    let token = |t: &Token| TokenRow {
        token: t.digits().to_owned(),
        units: t.units.clone(),
        kind: t.kind.code().to_owned(),
    };
    let charge = |c: &Charge| ChargeRow {
        label: c.label.clone(),
        minor: c.amount.minor(),
        currency: c.amount.currency().code().to_owned(),
    };
    let row = SlipRow {
        tokens: slip.tokens().iter().map(token).collect(),
        units: slip.units.clone(),
        tariff: slip.tariff.clone(),
        charges: slip.charges.iter().map(charge).collect(),
    };
    let body = read::to_json(&row)?;
    sql.defer(
        "INSERT INTO slips (purchase_id, account_id, environment, upstream, body, at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        WriteKey::Purchase(key.id.0),
        &values![id, account, environment, upstream, &body, at],
        None,
    )
}

/// Keeps the slip that came with a proof, if one did.
pub(crate) fn keep_of(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    proof: &Proof,
    at: Timestamp,
) -> Result<()> {
    match (&proof.source, &proof.slip) {
        (Source::Upstream { upstream, .. }, Some(slip)) => keep(sql, key, upstream, slip, at),
        (Source::Upstream { .. } | Source::Staff(_) | Source::Owner | Source::Clock, _) => Ok(()),
    }
}

/// The slip that an upstream gave for a purchase.
pub(crate) fn of(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    upstream: &UpstreamCode,
) -> Result<Option<Slip>> {
    let [id, account, environment] = key_values(key);
    first(
        sql,
        "SELECT body FROM slips
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND upstream = $4",
        &values![id, account, environment, upstream],
        |row| from_json(row.text(0)?),
    )
}

fn from_json(body: &str) -> Result<Slip> {
    // Tokens are worth money: an error must not quote what could not be read.
    let broken = || Fault::corrupt("a slip");
    let row: SlipRow = serde_json::from_str(body).map_err(|_| broken())?;
    let token = |t: TokenRow| {
        let kind = TokenKind::from_code(&t.kind).ok_or_else(broken)?;
        Token::new(&t.token, t.units, kind).ok_or_else(broken)
    };
    let charge = |c: ChargeRow| {
        let currency: Currency = read::currency(&c.currency)?;
        Ok::<_, Fault>(Charge { label: c.label, amount: Money::new(c.minor, currency) })
    };
    let mut slip = Slip::of_tokens(row.tokens.into_iter().map(token).collect::<Result<_, _>>()?);
    slip.charges = row.charges.into_iter().map(charge).collect::<Result<_, _>>()?;
    (slip.units, slip.tariff) = (row.units, row.tariff);
    Ok(slip)
}

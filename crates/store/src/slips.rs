//! Slips: what end customers keep of their deliveries, stored as JSON of our own form.
//!
//! Invariant: a slip is written in the commit of the word that brought it, and never lost to a
//! later word that brings none.

use crate::backend::{Sql, Value, first};
use crate::fault::Fault;
use crate::read;
use domain::clock::Timestamp;
use domain::purchase::PurchaseKey;
use domain::slip::{Charge, Slip, Token, TokenKind};
use domain::{Currency, Money};
use serde::{Deserialize, Serialize};

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

fn named(key: &PurchaseKey) -> [Value<'static>; 3] {
    [key.id.0.into(), key.account.0.into(), key.environment.code().into()]
}

/// Keeps a purchase's slip; the latest one counts.
pub(crate) fn keep(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    slip: &Slip,
    at: Timestamp,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
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
    let body = serde_json::to_string(&row).map_err(|error| Fault::corrupt(error.to_string()))?;
    sql.run(
        "INSERT INTO slips (purchase_id, account_id, environment, body, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (purchase_id, account_id, environment) DO UPDATE SET body = excluded.body, at = excluded.at",
        &[id, account, environment, body.as_str().into(), at.0.into()],
    )?;
    Ok(())
}

/// A purchase's slip, if an upstream gave one.
pub(crate) fn of(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Option<Slip>, Fault> {
    first(
        sql,
        "SELECT body FROM slips WHERE purchase_id = $1 AND account_id = $2 AND environment = $3",
        &named(key),
        |row| from_json(row.text(0)?),
    )
}

fn from_json(body: &str) -> Result<Slip, Fault> {
    let broken = || Fault::corrupt(format!("a slip {body:?}"));
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

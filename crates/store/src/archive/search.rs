//! Purchases in archive files, as staff look for them: what the live ledger has no more.
//!
//! Reads only; a file of an older version is upgraded in memory. Not here: the live ledger.

use crate::backend::sqlite::Sqlite;
use crate::fault::Result;
use crate::ledger::Page;
use crate::purchases::{self, Evidence, OutboxEvent, PurchaseFilter, PurchaseOwners, jobs, slips};
use domain::{Attempt, Purchase, PurchaseId, Slip};
use std::path::{Path, PathBuf};

/// A purchase with all that its archive file says of it.
#[derive(Clone, Debug)]
pub struct ArchivedPurchase {
    /// The purchase as it ended.
    pub purchase: Purchase,
    /// Its attempts, first to last.
    pub attempts: Vec<Attempt>,
    /// Its evidence, first to last.
    pub evidence: Vec<Evidence>,
    /// Its events, first to last.
    pub events: Vec<OutboxEvent>,
    /// What the end customer keeps of it.
    pub slip: Option<Slip>,
}

/// The purchases in archive files that pass a filter, latest first. A file that cannot be read is
/// a fault.
pub fn find_archived(
    files: &[PathBuf],
    of: PurchaseOwners<'_>,
    filter: &PurchaseFilter,
    page: Page,
) -> Result<Vec<Purchase>> {
    let mut found = Vec::new();
    for file in files {
        let mut file = Sqlite::of_any_version(file)?;
        found.extend(purchases::find(&mut file, of, filter, page)?);
    }
    Ok(purchases::latest_of(found, page))
}

/// A purchase by its id, in the first of these archive files that has it.
pub fn archived_purchase(files: &[PathBuf], id: PurchaseId) -> Result<Option<ArchivedPurchase>> {
    for file in files {
        if let Some(found) = in_file(file, id)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn in_file(path: &Path, id: PurchaseId) -> Result<Option<ArchivedPurchase>> {
    let mut file = Sqlite::of_any_version(path)?;
    let Some(purchase) = purchases::by_id(&mut file, id)? else { return Ok(None) };
    let key = purchase.key;
    let slip = match &purchase.upstream {
        Some(upstream) => slips::of(&mut file, &key, upstream)?,
        None => None,
    };
    Ok(Some(ArchivedPurchase {
        attempts: purchases::attempts(&mut file, &key)?,
        evidence: purchases::evidence(&mut file, &key)?,
        events: jobs::events(&mut file, &key)?,
        purchase,
        slip,
    }))
}

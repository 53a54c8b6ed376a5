//! `saldo catalog`, `operator`, `product`, `price`, `route`: what is sold, at what price, through
//! whom.
//!
//! Each change counts for the next purchase, on all nodes. Not here: what a change may be
//! (`domain::Catalog::faults`).

pub(crate) mod operator;
pub(crate) mod price;
pub(crate) mod product;
pub(crate) mod route;

use crate::catalog;
use crate::cmd::Caller;
use crate::cmd::given::{NamedFile, ROWS_BYTES_MAX};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, anyhow, ensure};
use domain::Catalog;
use engine::{CatalogChange, Engine};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum CatalogVerb {
    /// Make or replace the rows of a file; all of them, or none if one is wrong.
    Import {
        /// A catalog file, as `export` writes it.
        file: PathBuf,
        /// Only tell what it would change.
        #[arg(long)]
        dry_run: bool,
        /// Who does it.
        #[arg(long, default_value = "")]
        by: String,
    },
    /// Write the whole catalog as a file.
    Export {
        /// Write it here instead of to the terminal.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Tell what this version's built-in files would change here.
    Diff {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Take over what `diff` tells.
    Apply {
        /// Who does it.
        #[arg(long, default_value = "")]
        by: String,
    },
}

impl CatalogVerb {
    /// The files whose text it needs.
    pub(crate) fn named_files(&self) -> Vec<NamedFile> {
        match self {
            CatalogVerb::Import { file, .. } => {
                vec![NamedFile { path: file.clone(), bytes_max: ROWS_BYTES_MAX }]
            }
            CatalogVerb::Export { .. } | CatalogVerb::Diff { .. } | CatalogVerb::Apply { .. } => {
                Vec::new()
            }
        }
    }
}

/// Who does it, and where the words go.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ByArgs {
    /// Who does it.
    #[arg(long, default_value = "")]
    pub(crate) by: String,
}

pub(crate) async fn run(on: &Caller<'_>, verb: CatalogVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        CatalogVerb::Import { file, dry_run, by } => {
            let known = engine.catalog();
            let set = catalog::read_over(on.given.text(&file)?, &known)
                .with_context(|| format!("{}, nothing was changed", file.display()))?;
            let lines = differences(&known, &set);
            let wanted = self::set(set).without_what_is_there(&known);
            match dry_run {
                true => engine.check_catalog(&wanted).map_err(refused)?,
                false if wanted.is_empty() => {}
                false => change(engine, &by, wanted).await?,
            }
            for line in &lines {
                output.row(false, Value::Null, line.text());
            }
            let what = if dry_run { "would change" } else { "changed" };
            output.say(format!("{} rows {what}.", lines.len()));
        }
        CatalogVerb::Export { to } => {
            let text = catalog::write(&engine.catalog())?;
            match to {
                None => output.lines(&text),
                Some(path) => {
                    let path = on.working_dir.join(path);
                    let is_plain = std::fs::metadata(&path).is_ok_and(|file| file.is_file());
                    // A pipe would hold up the server that writes into it.
                    ensure!(is_plain || !path.exists(), "{} is no plain file", path.display());
                    std::fs::write(&path, text)
                        .with_context(|| format!("{} cannot be written", path.display()))?;
                    output.say(format!("Written to {}.", path.display()));
                }
            }
        }
        CatalogVerb::Diff { json } => {
            for line in differences(&engine.catalog(), &built_in()?) {
                output.row(json, line.value(), line.text());
            }
        }
        CatalogVerb::Apply { by } => {
            let set = built_in()?;
            let known = engine.catalog();
            let lines = differences(&known, &set);
            let wanted = self::set(set).without_what_is_there(&known);
            if !wanted.is_empty() {
                change(engine, &by, wanted).await?;
            }
            output.say(format!("{} rows changed.", lines.len()));
        }
    }
    Ok(0)
}

/// Makes a change; refused with all its faults.
pub(crate) async fn change(engine: &Engine, by: &str, change: CatalogChange) -> Result<()> {
    engine.change_catalog(machine(engine, by)?, change).await.map_err(refused)
}

/// Sets the rows that `make` makes of the catalog as it is then, and gives what it gives besides.
pub(crate) async fn set_rows<T>(
    engine: &Engine,
    by: &str,
    make: impl Fn(&Catalog) -> Result<MadeRows<T>>,
) -> Result<T> {
    let mut made = None;
    let revised = engine.revise_catalog(machine(engine, by)?, |catalog| {
        let (rows, result) = match make(catalog) {
            Ok(MadeRows { rows, shown }) => (Some(rows), Ok(shown)),
            Err(error) => (None, Err(error)),
        };
        made = Some(result);
        rows.map(set)
    });
    let revised = revised.await;
    match made {
        Some(Err(error)) => Err(error),
        Some(Ok(shown)) => revised.map(|_| shown).map_err(refused),
        None => Err(revised.map_or_else(refused, |_| anyhow!("Nothing was changed."))),
    }
}

/// Rows to set, and what is said of them.
pub(crate) struct MadeRows<T> {
    pub(crate) rows: Catalog,
    pub(crate) shown: T,
}

/// The change that sets these rows.
pub(crate) fn set(rows: Catalog) -> CatalogChange {
    CatalogChange { set: rows, ..CatalogChange::default() }
}

/// The number of a new row.
pub(crate) fn next_id(ids: impl Iterator<Item = i64>) -> i64 {
    ids.max().unwrap_or_default() + 1
}

/// The files of this version, without the ids that an installation may have given to rows of its
/// own: routes and prices.
fn built_in() -> Result<Catalog> {
    let mut all = Catalog::default();
    for one in catalog::built_in()? {
        all.countries.extend(one.countries);
        all.operators.extend(one.operators);
        all.categories.extend(one.categories);
        all.products.extend(one.products);
    }
    Ok(all)
}

/// A row that a change makes or replaces.
struct Difference {
    row: String,
    is_new: bool,
}

impl Difference {
    fn text(&self) -> String {
        format!("{} {}", if self.is_new { "new    " } else { "changed" }, self.row)
    }

    fn value(&self) -> Value {
        json!({ "row": self.row, "change": if self.is_new { "new" } else { "changed" } })
    }
}

fn differences(known: &Catalog, new: &Catalog) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut compare = |row: String, known: Option<bool>| match known {
        Some(true) => {}
        Some(false) => all.push(Difference { row, is_new: false }),
        None => all.push(Difference { row, is_new: true }),
    };
    for row in &new.countries {
        let known = known.countries.iter().find(|one| one.code == row.code);
        compare(format!("country {}", row.code), known.map(|one| one == row));
    }
    for row in &new.operators {
        let known = known.operators.iter().find(|one| one.id == row.id);
        compare(format!("operator {}", row.code), known.map(|one| one == row));
    }
    for row in &new.categories {
        let known = known.categories.iter().find(|one| one.id == row.id);
        compare(format!("category {}", row.name), known.map(|one| one == row));
    }
    for row in &new.products {
        let known = known.products.iter().find(|one| one.id == row.id);
        compare(format!("product {}", row.name), known.map(|one| one == row));
    }
    for row in &new.prices {
        let known = known.prices.iter().find(|one| one.id == row.id);
        compare(format!("price {}", row.id), known.map(|one| one == row));
    }
    for row in &new.routes {
        let known = known.routes.iter().find(|one| one.id == row.id);
        compare(format!("route {}", row.id), known.map(|one| one == row));
    }
    all
}

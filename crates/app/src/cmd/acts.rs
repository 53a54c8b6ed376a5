//! `saldo acts`: who did what, as it was recorded in the commit of each act.

use crate::cmd::moment;
use crate::output::Output;
use anyhow::Result;
use engine::{ActRecord, Engine};
use serde_json::{Value, json};

#[derive(clap::Args, Debug)]
pub(crate) struct ActsArgs {
    /// Only what was done to this: "purchase 12", "account 3", "key 4".
    #[arg(long, value_name = "TEXT")]
    object: Option<String>,
    /// At most this many, latest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print JSON, a line each.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(engine: &Engine, args: &ActsArgs, output: &mut Output) -> Result<u8> {
    for act in engine.acts(args.object.as_deref(), args.limit)? {
        let ActRecord { at, done_by, act, object, before, after } = act;
        let value = json!({
            "at": moment(at), "by": done_by, "act": act.code(), "object": object,
            "before": parsed(before.as_deref()), "after": parsed(after.as_deref()),
        });
        let text = |state: Option<String>| state.unwrap_or_else(|| "-".to_owned());
        let line = format!(
            "{}  {done_by}  {}  {object}  {} => {}",
            moment(at),
            act.code(),
            text(before),
            text(after)
        );
        output.row(args.json, value, line);
    }
    Ok(0)
}

fn parsed(state: Option<&str>) -> Value {
    state.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

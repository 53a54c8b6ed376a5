//! `llms.txt` (llmstxt.org): where programs that read documents find ours, as Markdown.

use super::facts::Facts;
use super::guide::GUIDES;
use crate::words::{Language, Words};
use std::fmt::Write as _;

/// The list of the documents.
pub(super) fn list(facts: &Facts) -> String {
    let base_url = &facts.base_url;
    let words = Words { language: Language::English };
    let mut text = format!(
        "# Saldo\n\n> Mobile recharge, data offers, mobile banking and bills from prepaid wallets: \
         a billing API for resellers (`{base_url}/api/billing`) and a wallet API for consumers \
         (`{base_url}/api/wallet/v1`).\n\nA purchase needs a reference of its own; the same \
         reference is never charged twice.\n\n## Documents\n\n"
    );
    for guide in GUIDES {
        let [title, line] = guide.keys.map(|key| words.t(key));
        let _ = writeln!(text, "- [{title}]({base_url}{}.md): {line}", guide.path());
    }
    let _ = write!(
        text,
        "\n## OpenAPI\n\n- [Billing API]({base_url}/openapi/irecharge.json): every endpoint for \
         resellers, and the webhooks\n- [Wallet API]({base_url}/openapi/rechargely.json): every \
         endpoint for consumers\n- [Postman \
         collection]({base_url}/docs/saldo.postman_collection.json): both\n"
    );
    text
}

//! A file that describes one panel: its tables and fields, exactly as they are written.
//!
//! Not here: whether the file is safe to use (`load.rs`). Invariant: a field that is not known is
//! an error, so that a spelling mistake never changes what a rule means.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Texts by name.
pub(super) type Texts = BTreeMap<String, String>;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelFile {
    pub(super) format: u32,
    /// The file's own name for the panel; the upstream's code is chosen when it is added.
    pub(super) code: String,
    pub(super) title: String,
    /// ISO 3166 code of the country whose numbers it takes.
    pub(super) country: String,
    /// ISO 4217 code of all amounts.
    pub(super) currency: String,
    pub(super) base: Base,
    #[serde(default)]
    pub(super) secrets: Secrets,
    pub(super) reference: ReferenceForm,
    /// Further values, built once for an attempt.
    #[serde(default)]
    pub(super) values: Texts,
    pub(super) amount: AmountForm,
    pub(super) recipient: RecipientForm,
    /// Our codes = theirs, by the name of the map.
    #[serde(default)]
    pub(super) map: BTreeMap<String, Texts>,
    pub(super) login: Option<CallForm>,
    pub(super) sign: Option<SignForm>,
    pub(super) prepare: Option<CallForm>,
    pub(super) submit: CallForm,
    pub(super) query: Option<CallForm>,
    pub(super) schedule: Option<Schedule>,
    pub(super) balance: Option<CallForm>,
    pub(super) hook: Option<HookForm>,
    /// The order that the cases are about.
    pub(super) order: Option<CaseOrder>,
    #[serde(default, rename = "case")]
    pub(super) cases: Vec<FileCase>,
}

/// Where the panel is, and how much it takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Base {
    pub(super) url: String,
    /// Every host that a call may go to.
    pub(super) hosts: Vec<String>,
    pub(super) connect_timeout: Option<String>,
    pub(super) max_body: Option<String>,
    pub(super) max_in_flight: Option<u32>,
    pub(super) per_minute: Option<u32>,
    pub(super) ca_pem: Option<String>,
    /// For the panel's list of addresses: shown to staff.
    pub(super) source_ip: Option<String>,
}

/// The names of the secrets that the file's texts use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secrets {
    pub(super) names: Vec<String>,
}

/// How our reference is written there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceForm {
    pub(super) template: String,
    /// The admitted characters: `A-Za-z0-9-`.
    pub(super) charset: String,
    pub(super) max: usize,
}

/// How amounts are written there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountForm {
    pub(super) unit: Unit,
    /// How many decimals are written; an amount with more is not sent.
    pub(super) decimals: u32,
    /// In the currency's major unit, as the next two.
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
    pub(super) step: Option<String>,
}

/// Taka or poisha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Major,
    Minor,
}

/// How a number is written there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecipientForm {
    pub(super) form: RecipientStyle,
    pub(super) pattern: String,
}

/// The forms of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecipientStyle {
    /// `+8801712345678`
    E164,
    /// `8801712345678`
    International,
    /// `01712345678`
    National,
    /// `1712345678`
    NationalNoZero,
    /// As we have it: a meter, an account number.
    Raw,
}

/// GET or POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReplyForm {
    Json,
    Xml,
    Form,
    Text,
}

/// How a body is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum BodyForm {
    Json(toml::Table),
    Form(Texts),
    Xml(String),
    Text(String),
}

/// One call and the reading of its reply. What only one kind of call has is refused elsewhere by
/// the loader.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallForm {
    /// Another host than the base's.
    pub(super) url: Option<String>,
    pub(super) method: Method,
    pub(super) path: String,
    #[serde(default)]
    pub(super) query: Texts,
    #[serde(default)]
    pub(super) headers: Texts,
    pub(super) body: Option<BodyForm>,
    pub(super) timeout: Option<String>,
    pub(super) reply: ReplyForm,
    #[serde(default)]
    pub(super) take: BTreeMap<String, Take>,
    pub(super) take_regex: Option<TakeRegex>,
    #[serde(default)]
    pub(super) fold: Fold,
    #[serde(default)]
    pub(super) echo: Echo,
    #[serde(default, rename = "rule")]
    pub(super) rules: Vec<Rule>,
    /// In place of the file's.
    pub(super) sign: Option<SignForm>,
    /// Of the enquiry: what it names the order by.
    pub(super) by: Option<AskedBy>,
    /// Of the enquiry: a reference of its own, for panels that want a new one each time.
    pub(super) fresh_reference: Option<String>,
    /// Of the enquiry: when *not found* counts. Without it nothing is ever not found.
    pub(super) not_found: Option<NotFoundForm>,
    /// Of the log-in: where the token is in the reply.
    pub(super) token: Option<String>,
    /// Of the log-in: a place in the reply (seconds), or a fixed time: `50m`.
    pub(super) lifetime: Option<String>,
    /// Of the log-in: replies that prove that the token has run out and nothing was done.
    #[serde(default)]
    pub(super) renew_on: Vec<RenewOn>,
    /// Of the balance: the unit of what is taken as `amount`.
    pub(super) unit: Option<Unit>,
    /// Of the balance: it is not asked more often.
    pub(super) min_interval: Option<String>,
}

/// What an enquiry names the order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AskedBy {
    /// Ours.
    #[default]
    Reference,
    /// Theirs, from the reply to the submit: a lost reply cannot be asked about.
    Id,
}

/// When *not found* counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotFoundForm {
    pub(super) grace: String,
    pub(super) repeats: Option<u32>,
    pub(super) gap: Option<String>,
}

/// A reply to any call that proves that the token has run out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewOn {
    pub(super) http: Vec<u16>,
    pub(super) when: BTreeMap<String, Condition>,
    #[serde(default)]
    pub(super) take: BTreeMap<String, Take>,
}

/// Where a value is in a reply: a JSON pointer, an XML path, a form's key.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Take {
    /// In the reply itself.
    At(String),
    /// In a text of the reply that is itself a document.
    Inside(TakeInside),
}

/// A value inside a text that is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeInside {
    /// Where the text is.
    pub(super) at: String,
    /// How the text is read.
    pub(super) parse: ReplyForm,
    /// Where the value is in it.
    pub(super) then: String,
}

/// A whole reply as one line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeRegex {
    /// Anchored at both ends; its named groups are the values.
    pub(super) line: String,
}

/// Values that are compared without regard to case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fold {
    pub(super) fields: Vec<String>,
}

/// Which values repeat our order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Echo {
    /// The value's name, or `none`.
    pub(super) reference: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) amount: Option<String>,
    /// What may be missing; when it is there, it must be ours.
    #[serde(default)]
    pub(super) optional: Vec<String>,
    #[serde(default)]
    pub(super) recipient_compare: RecipientCompare,
    /// When replies write amounts in another unit than requests.
    pub(super) amount_unit: Option<Unit>,
}

/// How much of a number must be equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecipientCompare {
    #[default]
    Exact,
    Last9,
    Last10,
}

/// What a reply means. There is no rule for *everything else*: that is unknown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) http: Vec<u16>,
    /// All must hold.
    pub(super) when: BTreeMap<String, Condition>,
    pub(super) outcome: Meaning,
    /// For people.
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) try_elsewhere: bool,
    /// Of an enquiry's refusal: how many equal answers it takes.
    pub(super) repeats: Option<u32>,
    /// How long they must be apart.
    pub(super) gap: Option<String>,
}

/// One test of one value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    pub(super) eq: Option<String>,
    #[serde(rename = "in")]
    pub(super) one_of: Option<Vec<String>>,
    pub(super) regex: Option<String>,
    pub(super) present: Option<bool>,
}

/// What a rule can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Meaning {
    Delivered,
    Accepted,
    Refused,
    Reversed,
    NotFound,
}

/// A signature over a text, used as `{sign}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignForm {
    pub(super) algorithm: Algorithm,
    /// Of the `hmac` algorithms.
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) key_form: KeyForm,
    pub(super) message: String,
    pub(super) encoding: Encoding,
}

/// The algorithms that panels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    Md5,
    Sha256,
    Sha512,
    HmacMd5,
    HmacSha256,
    HmacSha512,
}

/// How a key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyForm {
    #[default]
    Text,
    Hex,
    Base64,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Encoding {
    #[serde(rename = "hex")]
    HexLower,
    #[serde(rename = "HEX")]
    HexUpper,
    #[serde(rename = "base64")]
    Base64,
}

/// When the panel is asked about an order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    /// The waits between enquiries.
    #[serde(default)]
    pub(super) poll: Vec<String>,
    /// How long an order may be in doubt before staff find out.
    pub(super) to_staff: Option<String>,
    /// How long after its beginning an order that has ended is asked about again.
    #[serde(default)]
    pub(super) recheck: Vec<String>,
}

/// A request of the panel to us. It only triggers an enquiry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookForm {
    pub(super) methods: Vec<Method>,
    /// What follows our callback address: a secret that only the panel knows.
    pub(super) path: Option<String>,
    pub(super) from: HookBody,
    pub(super) take: HookTake,
    /// The networks that it may come from.
    #[serde(default)]
    pub(super) ips: Vec<String>,
    pub(super) answer: Option<HookAnswer>,
}

/// Where a hook has its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HookBody {
    Json,
    Form,
    Query,
    Xml,
}

/// What is read of a hook.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookTake {
    pub(super) reference: String,
}

/// What the panel wants to hear.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookAnswer {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) body: String,
}

/// The order that the file's cases are about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseOrder {
    /// In national form.
    pub(super) recipient: Option<String>,
    /// With its country code: `+8801712345678`.
    pub(super) international: Option<String>,
    /// In the major unit.
    pub(super) amount: Option<String>,
    pub(super) operator: Option<String>,
}

/// A reply, and what it must mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileCase {
    pub(super) step: CaseStep,
    /// What was known of the order before: `accepted`.
    pub(super) after: Option<CaseBefore>,
    pub(super) reply: Option<CaseReply>,
    pub(super) fault: Option<CaseFault>,
    pub(super) want: Want,
    /// The rule that must decide.
    pub(super) rule: Option<String>,
}

/// Which call a case answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaseStep {
    Prepare,
    Submit,
    Query,
}

/// What was known before a case's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseBefore {
    Accepted,
}

/// No reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseFault {
    Timeout,
}

/// A reply as data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseReply {
    pub(super) status: u16,
    #[expect(dead_code, reason = "not looked at: panels send JSON as text/html")]
    pub(super) content_type: Option<String>,
    pub(super) body: String,
}

/// What a case's reply must mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Want {
    Delivered,
    Accepted,
    Refused,
    Reversed,
    NotFound,
    Unknown,
}

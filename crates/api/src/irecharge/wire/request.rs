//! From what was sent to a wish: every field rule of the irecharge document.
//!
//! Needs the catalog and the caller, no engine. Invariant: a wish that leaves here is valid in
//! every field, and a refusal names every field that is wrong.

use super::super::limits::IDENTIFIER_BYTES_MAX;
use crate::wire::amount;
use crate::wire::fields::{Field, Reader, Reported, SentFields, Value};
use domain::catalog::kind::ServiceType;
use domain::catalog::{Country, OfferForm, OutOfLimits, Service};
use domain::purchase::{Details, ReferenceScope, is_reference};
use domain::refusal::FieldError;
use domain::webhook::{Address, Where};
use domain::{Catalog, Currency, Kind, Money, Operator, PurchaseId};
use engine::{Caller, Idempotency, PurchaseRequest};

pub(in super::super) static OPERATOR: Field =
    Field { name: "operator", also: &["operator_code", "operator_short"] };
pub(in super::super) static NUMBER: Field = Field::new("number");
pub(in super::super) static AMOUNT: Field = Field::new("amount");
pub(in super::super) static REFERENCE: Field =
    Field { name: "reference", also: &["client_reference", "clientReference"] };
pub(in super::super) static SERVICE_TYPE: Field = Field::new("service_type");
pub(in super::super) static WEBHOOK_URL: Field =
    Field { name: "webhook_url", also: &["recharge_webhook_url"] };
pub(in super::super) static TYPE: Field = Field::new("type");
pub(in super::super) static ACCOUNT_TYPE: Field = Field::new("account_type");
pub(in super::super) static TRANSACTION_ID: Field =
    Field { name: "transaction_id", also: &["transactionId"] };
static COUNTRY: Field = Field::new("country");
static SERVICE: Field = Field::new("service");
static SEARCH: Field = Field { name: "search", also: &["q"] };
static CURRENCY: Field = Field::new("currency");

/// The identifiers of offers, named as they are told and kept.
pub(in super::super) static IDENTIFIERS: [Field; 6] = [
    Field::new("ticketId"),
    Field { name: "offerId", also: &["offer_id"] },
    Field { name: "campaignId", also: &["campaign_id"] },
    Field { name: "sessionContext", also: &["session_context"] },
    Field { name: "tranId", also: &["tran_id"] },
    Field { name: "optInKeyword", also: &["opt_in_keyword"] },
];

/// Ways of paying by mobile banking (CONTRACT A-16).
const TYPES: [&str; 4] = ["cash_in", "cash_out", "send_money", "payment"];
const ACCOUNT_TYPES: [&str; 2] = ["personal", "agent"];

/// A request for a purchase, read but not understood.
#[derive(Debug)]
pub(in super::super) struct Asked<'s, 'c> {
    /// The body's fields.
    pub sent: &'s SentFields<'s>,
    /// What can be bought.
    pub catalog: &'c Catalog,
    /// Who asks.
    pub caller: Caller,
    /// Where its webhooks may go.
    pub webhooks: Where,
    /// The idempotency key, or what is wrong with it.
    pub idempotency: Result<Option<Idempotency>, FieldError>,
}

/// What was wrong with the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct InvalidFields {
    /// No reference was sent: that has a message of its own.
    pub is_reference_missing: bool,
    /// Each wrong field.
    pub complaints: Vec<FieldError>,
}

/// A recharge (`POST service-requests/recharge/normal`).
pub(in super::super) fn recharge(asked: Asked<'_, '_>) -> Result<PurchaseRequest, InvalidFields> {
    let mut form = Form::new(asked.sent, asked.catalog, Kind::Recharge);
    let operator = form.operator(Service::MobileRecharge);
    let common = form.common(operator);
    let default = Ok(ServiceType::Prepaid);
    let service_type = match form.reader.text(&SERVICE_TYPE) {
        Ok(None) => default,
        Ok(Some(code)) => ServiceType::from_code(code)
            .ok_or(())
            .map_err(|()| form.reader.report(SERVICE_TYPE.name, "must be prepaid or postpaid.")),
        Err(Reported) => Err(Reported),
    };
    if let (Ok(operator), Ok(amount), Ok(service_type)) = (operator, common.amount, service_type) {
        form.check(operator, amount, service_type);
    }
    form.purchase_request(asked, operator, common, service_type.map(|s| (s, Details::new())))
}

/// An offer (`POST recharge/offers/purchase`): the wish with the identifiers that were sent, and
/// the operator who quotes it. The offer's price is the engine's to check.
pub(in super::super) fn offer<'c>(
    asked: Asked<'_, 'c>,
) -> Result<(PurchaseRequest, &'c Operator), InvalidFields> {
    let mut form = Form::new(asked.sent, asked.catalog, Kind::Offer);
    let operator = form.operator(Service::MobileRecharge);
    let common = form.common(operator);
    let details = operator.and_then(|o| form.quoting(o)).and_then(|f| form.identifiers(f));
    let catalog = asked.catalog;
    let purchase_request =
        form.purchase_request(asked, operator, common, details.map(|d| (ServiceType::Prepaid, d)))?;
    match catalog.operator_by_code(&purchase_request.operator) {
        Some(operator) => Ok((purchase_request, operator)),
        None => Err(InvalidFields::one(OPERATOR.name, "is not sold any more.")),
    }
}

/// A payment by mobile banking (`POST service-requests/banking`).
pub(in super::super) fn banking(asked: Asked<'_, '_>) -> Result<PurchaseRequest, InvalidFields> {
    let mut form = Form::new(asked.sent, asked.catalog, Kind::Banking);
    let operator = form.operator(Service::MobileBanking);
    let common = form.common(operator);
    if let (Ok(operator), Ok(amount)) = (operator, common.amount) {
        form.check(operator, amount, ServiceType::Prepaid);
    }
    let way = form.reader.required(&TYPE).and_then(|t| form.one_of(&TYPE, t, &TYPES));
    let account = match form.reader.text(&ACCOUNT_TYPE) {
        Ok(text) => form.one_of(&ACCOUNT_TYPE, text.unwrap_or(ACCOUNT_TYPES[0]), &ACCOUNT_TYPES),
        Err(Reported) => Err(Reported),
    };
    let details = way.and_then(|way| {
        let both = [(TYPE.name, way), (ACCOUNT_TYPE.name, account?)];
        Ok(both.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    });
    form.purchase_request(asked, operator, common, details.map(|d| (ServiceType::Prepaid, d)))
}

/// Whose offers are asked for (`GET recharge/offers`).
#[derive(Debug)]
pub(in super::super) struct OffersAsked<'a> {
    /// Who quotes.
    pub operator: &'a Operator,
    /// The operator as it was sent: echoed (CONTRACT A-05).
    pub sent_operator: String,
    /// The number, in national form.
    pub recipient: String,
}

/// Reads the query of `GET recharge/offers`.
pub(in super::super) fn offers<'c>(
    sent: &SentFields<'_>,
    catalog: &'c Catalog,
) -> Result<OffersAsked<'c>, InvalidFields> {
    let mut form = Form::new(sent, catalog, Kind::Offer);
    let operator = form.operator(Service::MobileRecharge);
    let recipient = form.recipient(operator);
    let quoting = operator.and_then(|o| form.quoting(o).map(|_| o));
    let sent_operator = form.reader.text(&OPERATOR).ok().flatten().unwrap_or_default().to_owned();
    match (quoting, recipient) {
        (Ok(operator), Ok(recipient)) => Ok(OffersAsked { operator, sent_operator, recipient }),
        (Err(Reported), _) | (_, Err(Reported)) => Err(form.wrong()),
    }
}

/// Which operators are asked for (`GET operators`); each is none where nothing was said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Filter {
    country: Option<String>,
    service: Option<String>,
    search: Option<String>,
}

/// Reads the query of `GET operators`.
pub(in super::super) fn filter(sent: &SentFields<'_>) -> Result<Filter, InvalidFields> {
    let mut reader = Reader::new(sent);
    let mut said = |field| {
        let text = reader.text(field)?.map(str::trim).filter(|t| !t.is_empty());
        Ok::<_, Reported>(text.map(str::to_lowercase))
    };
    match (said(&COUNTRY), said(&SERVICE), said(&SEARCH)) {
        (Ok(country), Ok(service), Ok(search)) => Ok(Filter { country, service, search }),
        (Err(Reported), _, _) | (_, Err(Reported), _) | (_, _, Err(Reported)) => {
            Err(InvalidFields::of(reader))
        }
    }
}

impl Filter {
    /// Whether an operator of this country passes.
    pub(in super::super) fn passes(&self, operator: &Operator, country: Option<&Country>) -> bool {
        let is = |text: &str, wanted: &str| text.to_lowercase() == wanted;
        let has = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        operator.is_active
            && self.country.as_deref().is_none_or(|wanted| {
                is(&operator.country, wanted) || country.is_some_and(|c| is(&c.name, wanted))
            })
            && self.service.as_deref().is_none_or(|wanted| {
                operator.service.slug() == wanted || is(operator.service.name(), wanted)
            })
            && self.search.as_deref().is_none_or(|wanted| {
                has(&operator.name, wanted)
                    || has(&operator.code, wanted)
                    || operator.aliases.iter().any(|a| has(a, wanted))
            })
    }
}

/// Which wallet is asked for (`GET wallet/balance`): the one of the country that the first
/// operator is in, unless the query says otherwise.
pub(in super::super) fn currency(
    sent: &SentFields<'_>,
    catalog: &Catalog,
) -> Result<Currency, InvalidFields> {
    let mut reader = Reader::new(sent);
    match reader.text(&CURRENCY) {
        Ok(None) => Ok(home(catalog)),
        Ok(Some(code)) => Currency::from_code(code).ok_or_else(|| {
            InvalidFields::one(CURRENCY.name, "must be an ISO 4217 code, like BDT.")
        }),
        Err(Reported) => Err(InvalidFields::of(reader)),
    }
}

fn home(catalog: &Catalog) -> Currency {
    let first = catalog.operators.iter().find(|o| o.service == Service::MobileRecharge);
    first.and_then(|o| catalog.country_of(o)).map_or(Currency::BDT, |c| c.currency)
}

/// What a status check names.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Lookup {
    /// By its reference.
    pub reference: Option<String>,
    /// By its id.
    pub id: Option<PurchaseId>,
}

/// Why a status check names nothing.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum NoLookup {
    /// Fields are wrong or missing.
    InvalidFields(InvalidFields),
    /// Two references, or two ids.
    Disagree,
}

/// Reads a status check's fields, of body and query together.
pub(in super::super) fn lookup(sent: &SentFields<'_>) -> Result<Lookup, NoLookup> {
    let mut reader = Reader::new(sent);
    let reference = agreed(&mut reader, sent, &REFERENCE, |value| match value {
        Value::Text(text) if is_reference(text) => Ok(text.clone().into_owned()),
        Value::Text(_) => Err(REFERENCE_FORM),
        Value::Null | Value::Number(_) | Value::Other(_) => Err("must be a string."),
    });
    let id = agreed(&mut reader, sent, &TRANSACTION_ID, |value| match value {
        Value::Text(text) => id_of(text),
        Value::Number(text) => id_of(text),
        Value::Null | Value::Other(_) => Err(ID_FORM),
    });
    match (reference?, id?) {
        (Ok(None), Ok(None)) => {
            reader.report(REFERENCE.name, "is required, unless transaction_id is sent.");
            Err(NoLookup::InvalidFields(InvalidFields::of(reader)))
        }
        (Ok(reference), Ok(id)) => Ok(Lookup { reference, id }),
        (Err(Reported), _) | (_, Err(Reported)) => {
            Err(NoLookup::InvalidFields(InvalidFields::of(reader)))
        }
    }
}

const REFERENCE_FORM: &str =
    "must be 1 to 128 printable ASCII characters without a space at either end.";
const ID_FORM: &str = "must be a whole number, or a string of its digits.";

/// Every value sent for the field, parsed; they must all be one.
fn agreed<T: PartialEq>(
    reader: &mut Reader<'_, '_>,
    sent: &SentFields<'_>,
    field: &'static Field,
    parse: impl Fn(&Value<'_>) -> Result<T, &'static str>,
) -> Result<Result<Option<T>, Reported>, NoLookup> {
    let mut found: Option<T> = None;
    for (name, value) in sent.all(field) {
        match parse(value) {
            Err(says) => return Ok(Err(reader.report(name, says))),
            Ok(next) if found.as_ref().is_some_and(|f| *f != next) => {
                return Err(NoLookup::Disagree);
            }
            Ok(next) => found = Some(next),
        }
    }
    Ok(Ok(found))
}

fn id_of(text: &str) -> Result<PurchaseId, &'static str> {
    let is_digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match is_digits {
        // No purchase has an id beyond 64 bits: it is as unknown as any other.
        true => Ok(PurchaseId(text.parse().unwrap_or(i64::MAX))),
        false => Err(ID_FORM),
    }
}

impl InvalidFields {
    /// One wrong field.
    pub(in super::super) fn one(field: &'static str, says: &str) -> InvalidFields {
        let complaints = vec![FieldError { field, says: says.to_owned() }];
        InvalidFields { is_reference_missing: false, complaints }
    }

    fn of(reader: Reader<'_, '_>) -> InvalidFields {
        InvalidFields { is_reference_missing: false, complaints: reader.complaints() }
    }
}

/// The fields that all purchases have.
struct Common {
    recipient: Result<String, Reported>,
    amount: Result<Money, Reported>,
    reference: Result<String, Reported>,
    webhook_url: Result<Option<String>, Reported>,
}

/// Fields on their way to a wish.
struct Form<'c, 's, 'a> {
    reader: Reader<'s, 'a>,
    catalog: &'c Catalog,
    kind: Kind,
    is_reference_missing: bool,
}

impl<'c, 's, 'a> Form<'c, 's, 'a> {
    fn new(sent: &'s SentFields<'a>, catalog: &'c Catalog, kind: Kind) -> Form<'c, 's, 'a> {
        Form { reader: Reader::new(sent), catalog, kind, is_reference_missing: false }
    }

    fn common(&mut self, operator: Result<&'c Operator, Reported>) -> Common {
        Common {
            recipient: self.recipient(operator),
            amount: self.amount(operator),
            reference: self.reference(),
            webhook_url: self.reader.text(&WEBHOOK_URL).map(|u| u.map(str::to_owned)),
        }
    }

    fn operator(&mut self, service: Service) -> Result<&'c Operator, Reported> {
        let name = self.reader.required(&OPERATOR)?;
        self.catalog.operator(service, name).ok_or(()).map_err(|()| {
            let says = format!("names no operator of {}; see GET operators.", service.slug());
            self.reader.report(OPERATOR.name, &says)
        })
    }

    /// The operator's country; while the operator is unknown, each country may be meant.
    fn countries(
        &self,
        operator: Result<&Operator, Reported>,
    ) -> impl Iterator<Item = &'c Country> {
        let code = operator.ok().map(|o| o.country.clone());
        self.catalog.countries.iter().filter(move |c| code.as_ref().is_none_or(|o| *o == c.code))
    }

    fn recipient(&mut self, operator: Result<&Operator, Reported>) -> Result<String, Reported> {
        let text = self.reader.required(&NUMBER)?;
        let national = self.countries(operator).find_map(|c| c.numbering.national(text).ok());
        national.ok_or(()).map_err(|()| {
            self.reader.report(NUMBER.name, "must be a mobile number, for example 01712345678.")
        })
    }

    fn amount(&mut self, operator: Result<&Operator, Reported>) -> Result<Money, Reported> {
        let says = match self.reader.value(&AMOUNT)? {
            None | Some(Value::Null) => "is required.",
            Some(Value::Text(text)) => match self.money(text, operator) {
                Ok(money) => return Ok(money),
                Err(says) => says,
            },
            Some(Value::Number(text)) => match self.money(text, operator) {
                Ok(money) => return Ok(money),
                Err(says) => says,
            },
            Some(Value::Other(_)) => "must be a number, or a string of one.",
        };
        Err(self.reader.report(AMOUNT.name, says))
    }

    fn money(
        &self,
        text: &str,
        operator: Result<&Operator, Reported>,
    ) -> Result<Money, &'static str> {
        let currency = self.countries(operator).next().map_or(Currency::BDT, |c| c.currency);
        amount::read(text, currency)
    }

    /// Complains about an amount that the operator does not sell.
    fn check(&mut self, operator: &Operator, amount: Money, service_type: ServiceType) {
        let says = match operator.check(amount, service_type) {
            Ok(()) => return,
            Err(OutOfLimits::Below(least)) => {
                format!("must be at least {} for {}.", least.shortest(), operator.name)
            }
            Err(OutOfLimits::Above(most)) => {
                format!("must be at most {} for {}.", most.shortest(), operator.name)
            }
            Err(OutOfLimits::NotSold) => {
                let says = format!("{} is not sold {}.", operator.name, service_type.code());
                self.reader.report(SERVICE_TYPE.name, &says);
                return;
            }
        };
        self.reader.report(AMOUNT.name, &says);
    }

    fn reference(&mut self) -> Result<String, Reported> {
        match self.reader.text(&REFERENCE)? {
            None | Some("") => {
                self.is_reference_missing = true;
                Err(self.reader.report(REFERENCE.name, "is required."))
            }
            Some(text) if is_reference(text) => Ok(text.to_owned()),
            Some(_) => Err(self.reader.report(REFERENCE.name, REFERENCE_FORM)),
        }
    }

    /// How the operator's offers are named; it must quote any.
    fn quoting(&mut self, operator: &Operator) -> Result<OfferForm, Reported> {
        operator.offers.ok_or(()).map_err(|()| {
            let says = format!("{} has no offers; see GET operators for others.", operator.name);
            self.reader.report(OPERATOR.name, &says)
        })
    }

    /// The identifiers that this operator's offers have, as far as they were sent; the one that
    /// names the offer must be there (CONTRACT A-31).
    fn identifiers(&mut self, form: OfferForm) -> Result<Details, Reported> {
        let required = form.required();
        let mut details = Ok(Details::new());
        for field in &IDENTIFIERS {
            let is_optional = form == OfferForm::Campaign && field.name == "optInKeyword";
            if !is_optional && !required.contains(&field.name) {
                continue;
            }
            match self.reader.text(field) {
                Ok(Some(text)) if is_identifier(text) => {
                    if let Ok(details) = &mut details {
                        details.insert(field.name.to_owned(), text.to_owned());
                    }
                }
                Ok(Some(_)) => {
                    let says = "must be 1 to 2048 printable ASCII characters.";
                    details = Err(self.reader.report(field.name, says));
                }
                Ok(None) if required.first() == Some(&field.name) => {
                    let says = "is required: it names the offer. Take it from GET recharge/offers.";
                    details = Err(self.reader.report(field.name, says));
                }
                Ok(None) => {}
                Err(Reported) => details = Err(Reported),
            }
        }
        details
    }

    fn one_of(
        &mut self,
        field: &'static Field,
        text: &str,
        allowed: &[&'static str],
    ) -> Result<&'static str, Reported> {
        allowed.iter().find(|a| **a == text).copied().ok_or(()).map_err(|()| {
            self.reader.report(field.name, &format!("must be one of {}.", allowed.join(", ")))
        })
    }

    /// The wish, if nothing whatever was wrong.
    fn purchase_request(
        mut self,
        asked: Asked<'_, '_>,
        operator: Result<&Operator, Reported>,
        common: Common,
        particulars: Result<(ServiceType, Details), Reported>,
    ) -> Result<PurchaseRequest, InvalidFields> {
        if let Ok(Some(url)) = &common.webhook_url
            && let Err(says) = Address::parse(url, asked.webhooks)
        {
            self.reader.report(WEBHOOK_URL.name, says);
        }
        let idempotency = asked.idempotency.map_err(|complaint| self.reader.take(complaint));
        let kind = self.kind;
        let wrong = self.wrong();
        if !wrong.complaints.is_empty() {
            return Err(wrong);
        }
        let whole = || {
            let (service_type, details) = particulars?;
            Ok::<PurchaseRequest, Reported>(PurchaseRequest {
                product: None,
                digest: None,
                caller: asked.caller,
                scope: ReferenceScope::Irecharge,
                kind,
                operator: operator?.code.clone(),
                recipient: common.recipient?,
                service_type,
                amount: common.amount?,
                reference: common.reference?,
                details,
                webhook_url: common.webhook_url?,
                idempotency: idempotency?,
            })
        };
        whole().map_err(|Reported| wrong)
    }

    fn wrong(self) -> InvalidFields {
        let is_reference_missing = self.is_reference_missing;
        InvalidFields { is_reference_missing, complaints: self.reader.complaints() }
    }
}

fn is_identifier(text: &str) -> bool {
    (1..=IDENTIFIER_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests;

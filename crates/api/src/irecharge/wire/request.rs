//! Parses fields into purchase requests and queries: every field rule of the irecharge document.
//!
//! Depends on the catalog and the caller, not on the engine. Invariant: every field of a parsed
//! request is valid, and an error names every invalid field.

mod fields;

pub(in super::super) use fields::{
    BalanceQuery, BankingRequest, OfferRequest, OffersQuery, OperatorsQuery, RechargeRequest,
    StatusRequest,
};

use super::super::idempotency;
use super::super::limits::IDENTIFIER_BYTES_MAX;
use crate::wire::amount;
use crate::wire::fields::{RawFields, Reader, Reported, Value};
use crate::wire::form::{Field, Optional, Required};
use domain::purchase::is_reference;
use domain::{
    AddressPolicy, Catalog, Country, Currency, Details, FieldError, Kind, Money, OfferForm,
    Operator, OutOfLimits, PurchaseNumber, ReferenceScope, Service, ServiceType, WebhookAddress,
};
use engine::{Caller, PurchaseRequest};
use fields::{AMOUNT, OPERATOR, SERVICE_TYPE, WEBHOOK_URL};

/// A purchase request before parsing, with what it is validated against.
#[derive(Debug)]
pub(in super::super) struct RawPurchase<'s, 'c> {
    /// The body's fields.
    pub fields: &'s RawFields<'s>,
    /// The operators and countries.
    pub catalog: &'c Catalog,
    /// The authenticated caller.
    pub caller: Caller,
    /// The addresses to which its webhooks may go.
    pub webhooks: AddressPolicy,
    /// The idempotency key, or the error about it.
    pub idempotency: Result<Option<String>, FieldError>,
}

/// The errors of a request's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct InvalidFields {
    /// No reference was sent: this error has its own message.
    pub is_reference_missing: bool,
    /// One error or more about each invalid field.
    pub field_errors: Vec<FieldError>,
}

/// Parses `POST service-requests/recharge/normal`.
pub(crate) fn recharge(raw: RawPurchase<'_, '_>) -> Result<PurchaseRequest, InvalidFields> {
    let form = RechargeRequest::FIELDS;
    let RechargeRequest { operator, number, amount, reference, webhook_url, .. } = form;
    let RechargeRequest { service_type, allow_duplicate, .. } = form;
    let mut parser = Parser::new(raw.fields, raw.catalog, Kind::Recharge);
    let operator = parser.operator(operator, Service::MobileRecharge);
    let fields =
        parser.common(Common { number, amount, reference, webhook_url, allow_duplicate }, operator);
    let service_type = parser
        .reader
        .or_default(service_type)
        .and_then(|code| parser.reader.code(&service_type, code, service_type_of));
    if let (Ok(operator), Ok(amount), Ok(service_type)) = (operator, fields.amount, service_type) {
        parser.check_limits(operator, amount, service_type);
    }
    let details = Ok(Details::new());
    parser.finish(raw, operator, Fields { service_type, details, ..fields })
}

/// Parses `POST recharge/offers/purchase`: the request with the identifiers that were sent, and the
/// operator that quotes the offer. The engine checks the offer's price.
pub(crate) fn offer<'c>(
    raw: RawPurchase<'_, 'c>,
) -> Result<(PurchaseRequest, &'c Operator), InvalidFields> {
    let form = OfferRequest::FIELDS;
    let OfferRequest { operator, number, amount, reference, webhook_url, .. } = form;
    let allow_duplicate = form.allow_duplicate;
    let mut parser = Parser::new(raw.fields, raw.catalog, Kind::Offer);
    let operator = parser.operator(operator, Service::MobileRecharge);
    let fields =
        parser.common(Common { number, amount, reference, webhook_url, allow_duplicate }, operator);
    let details = operator.and_then(|o| parser.offer_form(o));
    let details = details.and_then(|offers| parser.identifiers(form, offers));
    let catalog = raw.catalog;
    let request = parser.finish(raw, operator, Fields { details, ..fields })?;
    match catalog.operator_by_code(&request.operator) {
        Some(operator) => Ok((request, operator)),
        None => Err(InvalidFields::one(OPERATOR.name, "is not sold any more.")),
    }
}

/// Parses `POST service-requests/banking`.
pub(crate) fn banking(raw: RawPurchase<'_, '_>) -> Result<PurchaseRequest, InvalidFields> {
    let form = BankingRequest::FIELDS;
    let BankingRequest { operator, number, amount, reference, webhook_url, .. } = form;
    let BankingRequest { way, account_type, allow_duplicate, .. } = form;
    let mut parser = Parser::new(raw.fields, raw.catalog, Kind::Banking);
    let operator = parser.operator(operator, Service::MobileBanking);
    let fields =
        parser.common(Common { number, amount, reference, webhook_url, allow_duplicate }, operator);
    if let (Ok(operator), Ok(amount)) = (operator, fields.amount) {
        parser.check_limits(operator, amount, ServiceType::Prepaid);
    }
    let kind = parser.reader.required(way).and_then(|text| parser.one_of(&way, text));
    let account = parser.reader.or_default(account_type);
    let account = account.and_then(|text| parser.one_of(&account_type, text));
    let details = kind.and_then(|kind| {
        let both = [(way.name, kind), (account_type.name, account?)];
        Ok(both.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    });
    parser.finish(raw, operator, Fields { details, ..fields })
}

/// The parsed query of `GET recharge/offers`.
#[derive(Debug)]
pub(in super::super) struct OffersRequest<'a> {
    /// The operator that quotes the offers.
    pub operator: &'a Operator,
    /// The operator as it was sent: the answer echoes it (CONTRACT A-05).
    pub sent_operator: String,
    /// The number, in national parser.
    pub recipient: String,
}

/// Parses the query of `GET recharge/offers`.
pub(crate) fn offers<'c>(
    fields: &RawFields<'_>,
    catalog: &'c Catalog,
) -> Result<OffersRequest<'c>, InvalidFields> {
    let form = OffersQuery::FIELDS;
    let mut parser = Parser::new(fields, catalog, Kind::Offer);
    let operator = parser.operator(form.operator, Service::MobileRecharge);
    let recipient = parser.recipient(form.number, operator);
    let operator = operator.and_then(|o| parser.offer_form(o).map(|_| o));
    let sent_operator = parser.reader.string(form.operator).ok().flatten();
    let sent_operator = sent_operator.unwrap_or_default().to_owned();
    match (operator, recipient) {
        (Ok(operator), Ok(recipient)) => Ok(OffersRequest { operator, sent_operator, recipient }),
        (Err(Reported), _) | (_, Err(Reported)) => Err(parser.into_error()),
    }
}

/// The parsed query of `GET operators`; a part that was not sent is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Filter {
    country: Option<String>,
    service: Option<String>,
    search: Option<String>,
}

/// Parses the query of `GET operators`.
pub(crate) fn filter(fields: &RawFields<'_>) -> Result<Filter, InvalidFields> {
    let mut reader = Reader::new(fields);
    let mut lowercase = |field| {
        let text = reader.text(field)?.map(str::trim).filter(|t| !t.is_empty());
        Ok::<_, Reported>(text.map(str::to_lowercase))
    };
    let form = OperatorsQuery::FIELDS;
    match (lowercase(form.country), lowercase(form.service), lowercase(form.search)) {
        (Ok(country), Ok(service), Ok(search)) => Ok(Filter { country, service, search }),
        (Err(Reported), _, _) | (_, Err(Reported), _) | (_, _, Err(Reported)) => {
            Err(InvalidFields::of(reader))
        }
    }
}

impl Filter {
    /// Whether an operator in this country passes.
    pub(crate) fn passes(&self, operator: &Operator, country: Option<&Country>) -> bool {
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

/// Parses the query of `GET wallet/balance`: the wallet's currency. By default it is the currency
/// of the country of the first operator of mobile recharge.
pub(crate) fn currency(
    fields: &RawFields<'_>,
    catalog: &Catalog,
) -> Result<Currency, InvalidFields> {
    let mut reader = Reader::new(fields);
    let field = BalanceQuery::FIELDS.currency;
    match reader.text(field) {
        Ok(None) => Ok(default_currency(catalog)),
        Ok(Some(code)) => Currency::from_code(code)
            .ok_or_else(|| InvalidFields::one(field.name, "must be an ISO 4217 code, like BDT.")),
        Err(Reported) => Err(InvalidFields::of(reader)),
    }
}

/// The currency of the country of the first operator of mobile recharge.
pub(crate) fn default_currency(catalog: &Catalog) -> Currency {
    let first = catalog.operators.iter().find(|o| o.service == Service::MobileRecharge);
    first.and_then(|o| catalog.country_of(o)).map_or(Currency::BDT, |c| c.currency)
}

/// The identifiers of a status check; at least one is present.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Lookup {
    /// The reference of the purchase.
    pub reference: Option<String>,
    /// The id of the purchase.
    pub id: Option<PurchaseNumber>,
}

/// Why the identifiers of a status check were refused.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum LookupError {
    /// Fields are missing or invalid.
    Fields(InvalidFields),
    /// Two references or two ids that differ.
    Disagree,
}

/// Parses the fields of a status check, from body and query together.
pub(crate) fn lookup(fields: &RawFields<'_>) -> Result<Lookup, LookupError> {
    let form = StatusRequest::FIELDS;
    let mut reader = Reader::new(fields);
    let reference = identifier(&mut reader, fields, form.reference, |value| match value {
        Value::Text(text) if is_reference(text) => Ok(text.clone().into_owned()),
        Value::Text(_) => Err(REFERENCE_FORM),
        Value::Null | Value::Number(_) | Value::Other(_) => Err("must be a string."),
    });
    let id = identifier(&mut reader, fields, form.transaction_id, |value| match value {
        Value::Text(text) => purchase_id(text),
        Value::Number(text) => purchase_id(text),
        Value::Null | Value::Other(_) => Err(ID_FORM),
    });
    match (reference?, id?) {
        (Ok(None), Ok(None)) => {
            reader.report(form.reference.name, "is required, unless transaction_id is sent.");
            Err(LookupError::Fields(InvalidFields::of(reader)))
        }
        (Ok(reference), Ok(id)) => Ok(Lookup { reference, id }),
        (Err(Reported), _) | (_, Err(Reported)) => {
            Err(LookupError::Fields(InvalidFields::of(reader)))
        }
    }
}

const REFERENCE_FORM: &str =
    "must be 1 to 128 printable ASCII characters without a space at either end.";
const ID_FORM: &str = "must be a whole number, or a string of its digits.";

/// Parses every value of the field; they must all be equal.
fn identifier<T: PartialEq>(
    reader: &mut Reader<'_, '_>,
    fields: &RawFields<'_>,
    field: Optional,
    parse: impl Fn(&Value<'_>) -> Result<T, &'static str>,
) -> Result<Result<Option<T>, Reported>, LookupError> {
    let mut found: Option<T> = None;
    for (name, value) in fields.all(field) {
        match parse(value) {
            Err(message) => return Ok(Err(reader.report(name, message))),
            Ok(next) if found.as_ref().is_some_and(|f| *f != next) => {
                return Err(LookupError::Disagree);
            }
            Ok(next) => found = Some(next),
        }
    }
    Ok(Ok(found))
}

fn purchase_id(text: &str) -> Result<PurchaseNumber, &'static str> {
    let is_digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match is_digits {
        // An id beyond 64 bits belongs to no purchase: it is answered like any unknown id.
        true => Ok(PurchaseNumber(text.parse().unwrap_or(i64::MAX))),
        false => Err(ID_FORM),
    }
}

impl InvalidFields {
    /// One error about one field.
    pub(crate) fn one(field: &'static str, message: &str) -> InvalidFields {
        let field_errors = vec![FieldError { field, message: message.to_owned() }];
        InvalidFields { is_reference_missing: false, field_errors }
    }

    fn of(reader: Reader<'_, '_>) -> InvalidFields {
        InvalidFields { is_reference_missing: false, field_errors: reader.into_errors() }
    }
}

/// The parsed fields of a purchase. All purchases have the first five; of the last two each kind of
/// purchase reads its own.
struct Fields {
    recipient: Result<String, Reported>,
    amount: Result<Money, Reported>,
    reference: Result<String, Reported>,
    webhook_url: Result<Option<String>, Reported>,
    allow_duplicate: Result<bool, Reported>,
    service_type: Result<ServiceType, Reported>,
    details: Result<Details, Reported>,
}

/// What every request for a purchase lists. The operator is not here: it is read first.
struct Common {
    number: Required,
    amount: Required,
    reference: Required,
    webhook_url: Optional,
    allow_duplicate: Optional,
}

/// The operator, unless there is an error about it.
type Found<'c> = Result<&'c Operator, Reported>;

/// Parses the fields of one purchase.
struct Parser<'c, 's, 'a> {
    reader: Reader<'s, 'a>,
    catalog: &'c Catalog,
    kind: Kind,
    is_reference_missing: bool,
}

impl<'c, 's, 'a> Parser<'c, 's, 'a> {
    fn new(fields: &'s RawFields<'a>, catalog: &'c Catalog, kind: Kind) -> Parser<'c, 's, 'a> {
        Parser { reader: Reader::new(fields), catalog, kind, is_reference_missing: false }
    }

    /// The fields of all purchases; service type and details have their defaults.
    fn common(&mut self, form: Common, operator: Found<'c>) -> Fields {
        Fields {
            recipient: self.recipient(form.number, operator),
            amount: self.amount(form.amount, operator),
            reference: self.reference(form.reference),
            webhook_url: self.reader.text(form.webhook_url).map(|u| u.map(str::to_owned)),
            allow_duplicate: self.reader.boolean(form.allow_duplicate),
            service_type: Ok(ServiceType::Prepaid),
            details: Ok(Details::new()),
        }
    }

    fn operator(&mut self, field: Required, service: Service) -> Found<'c> {
        let catalog = self.catalog;
        let is_same = |one: &str, other: &str| {
            let named = |name: &str| catalog.operator(service, name.trim()).map(|o| o.id);
            named(one).is_some_and(|id| named(other) == Some(id))
        };
        let name = self.reader.required_named(field, is_same)?;
        self.catalog.operator(service, name.trim()).ok_or(()).map_err(|()| {
            let message = format!("names no operator of {}; see GET operators.", service.slug());
            self.reader.report(field.name, &message)
        })
    }

    /// The operator's country; all countries if the operator is unknown.
    fn countries(&self, operator: Found<'_>) -> impl Iterator<Item = &'c Country> {
        let code = operator.ok().map(|o| o.country.clone());
        self.catalog.countries.iter().filter(move |c| code.as_ref().is_none_or(|o| *o == c.code))
    }

    fn recipient(&mut self, field: Required, operator: Found<'_>) -> Result<String, Reported> {
        let text = self.reader.required(field)?;
        let national = self.countries(operator).find_map(|c| c.numbering.national(text).ok());
        national.ok_or(()).map_err(|()| {
            self.reader.report(field.name, "must be a mobile number, for example 01712345678.")
        })
    }

    fn amount(&mut self, field: Required, operator: Found<'_>) -> Result<Money, Reported> {
        let currency = self.countries(operator).next().map_or(Currency::BDT, |c| c.currency);
        amount::read(&mut self.reader, field, currency)
    }

    /// Reports an amount or a service type that the operator does not sell.
    fn check_limits(&mut self, operator: &Operator, amount: Money, service_type: ServiceType) {
        let message = match operator.check(amount, service_type) {
            Ok(()) => return,
            Err(OutOfLimits::Below(least)) => {
                format!("must be at least {} for {}.", least.shortest(), operator.name)
            }
            Err(OutOfLimits::Above(most)) => {
                format!("must be at most {} for {}.", most.shortest(), operator.name)
            }
            Err(OutOfLimits::NotSold) => {
                let message = format!("{} is not sold {}.", operator.name, service_type.code());
                self.reader.report(SERVICE_TYPE.name, &message);
                return;
            }
        };
        self.reader.report(AMOUNT.name, &message);
    }

    fn reference(&mut self, field: Required) -> Result<String, Reported> {
        match self.reader.string(field)? {
            None | Some("") => {
                self.is_reference_missing = true;
                Err(self.reader.report(field.name, "is required."))
            }
            Some(text) if is_reference(text) => Ok(text.to_owned()),
            Some(_) => Err(self.reader.report(field.name, REFERENCE_FORM)),
        }
    }

    /// The form of the operator's offers; reports an operator without offers.
    fn offer_form(&mut self, operator: &Operator) -> Result<OfferForm, Reported> {
        operator.offers.ok_or(()).map_err(|()| {
            let message = format!("{} has no offers; see GET operators for others.", operator.name);
            self.reader.report(OPERATOR.name, &message)
        })
    }

    /// The identifiers of this operator's offers that were sent. The one that names the offer is
    /// required (CONTRACT A-31).
    fn identifiers(&mut self, form: OfferRequest, offers: OfferForm) -> Result<Details, Reported> {
        let required = offers.required();
        let mut details = Ok(Details::new());
        let OfferRequest { ticket_id, offer_id, campaign_id, session_context, .. } = form;
        let OfferRequest { tran_id, opt_in_keyword, .. } = form;
        let all = [ticket_id, offer_id, campaign_id, session_context, tran_id, opt_in_keyword];
        for field in all {
            let is_optional =
                offers == OfferForm::Campaign && field.name == form.opt_in_keyword.name;
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
                    let message = "must be 1 to 2048 printable ASCII characters.";
                    details = Err(self.reader.report(field.name, message));
                }
                Ok(None) if required.first() == Some(&field.name) => {
                    let message =
                        "is required: it names the offer. Take it from GET recharge/offers.";
                    details = Err(self.reader.report(field.name, message));
                }
                Ok(None) => {}
                Err(Reported) => details = Err(Reported),
            }
        }
        details
    }

    /// One of the field's codes.
    fn one_of(&mut self, field: &Field, text: &str) -> Result<&'static str, Reported> {
        let allowed = field.codes();
        let text = text.trim();
        allowed.iter().find(|a| a.eq_ignore_ascii_case(text)).copied().ok_or(()).map_err(|()| {
            self.reader.report(field.name, &format!("must be one of {}.", allowed.join(", ")))
        })
    }

    /// The request, if no error was reported.
    fn finish(
        mut self,
        raw: RawPurchase<'_, '_>,
        operator: Found<'_>,
        fields: Fields,
    ) -> Result<PurchaseRequest, InvalidFields> {
        if let Ok(Some(url)) = &fields.webhook_url
            && let Err(message) = WebhookAddress::parse(url, raw.webhooks)
        {
            self.reader.report(WEBHOOK_URL.name, message);
        }
        let idempotency = raw.idempotency.map_err(|error| self.reader.record(error));
        let kind = self.kind;
        let invalid = self.into_error();
        if !invalid.field_errors.is_empty() {
            return Err(invalid);
        }
        let request = || {
            Ok::<PurchaseRequest, Reported>(PurchaseRequest {
                product: None,
                digest: None,
                caller: raw.caller,
                scope: ReferenceScope::Irecharge,
                kind,
                operator: operator?.code.clone(),
                recipient: fields.recipient?,
                service_type: fields.service_type?,
                amount: fields.amount?,
                reference: fields.reference?,
                details: fields.details?,
                webhook_url: fields.webhook_url?,
                allow_duplicate: fields.allow_duplicate?,
                idempotency: None,
            })
        };
        let with_key = |request: PurchaseRequest| {
            let key = idempotency?.map(|key| idempotency::of_request(key, &request));
            Ok(PurchaseRequest { idempotency: key, ..request })
        };
        request().and_then(with_key).map_err(|Reported| invalid)
    }

    fn into_error(self) -> InvalidFields {
        let is_reference_missing = self.is_reference_missing;
        InvalidFields { is_reference_missing, field_errors: self.reader.into_errors() }
    }
}

/// A service type in any case, with blanks around it.
fn service_type_of(code: &str) -> Option<ServiceType> {
    ServiceType::from_code(&code.trim().to_ascii_lowercase())
}

fn is_identifier(text: &str) -> bool {
    (1..=IDENTIFIER_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests;

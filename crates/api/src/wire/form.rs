//! Fields of requests, and the requests that consist of them, as they are declared.
//!
//! A field is declared once: `Reader` reads it by its declaration, and the OpenAPI document
//! describes it by the same. No field of a dialect is here. Invariant: only a field that a request
//! lists can be read from it.

use serde_json::Value;
use std::ops::Deref;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, RefBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{self, RefOr, Schema};

/// A field and its rules, as far as a schema can say them. An empty text says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its first documented name: errors use it.
    pub name: &'static str,
    /// Its other documented names. The document adds them to the description.
    pub aliases: &'static [&'static str],
    /// The fewest characters of a text.
    pub length_min: usize,
    /// The most characters of a text.
    pub length_max: usize,
    /// The value that it has if it is not sent.
    pub default: &'static str,
    kind: Kind,
    description: &'static str,
    pattern: &'static str,
    example: &'static str,
}

/// What values a field has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// A string that is not shown.
    Password,
    /// A whole number in these limits.
    Integer { min: i64, max: i64 },
    /// An object of texts.
    Object,
    /// What a schema with a name says.
    Named(&'static NamedSchema),
}

/// A schema that fields share.
#[derive(Debug)]
pub(crate) struct NamedSchema {
    /// Its name in the document.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// The values that fit.
    pub values: Values,
}

/// The values of a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    /// These strings and no others.
    Codes(fn() -> Vec<&'static str>),
    /// Whatever fits one of these.
    AnyOf(fn() -> Vec<ObjectBuilder>),
}

impl Field {
    /// A string.
    pub(crate) const fn text(name: &'static str) -> Field {
        Field::of(Kind::Text, name)
    }

    /// A field of this kind.
    pub(crate) const fn of(kind: Kind, name: &'static str) -> Field {
        let (length_min, length_max, aliases) = (0, usize::MAX, &[]);
        let (default, description, pattern, example) = ("", "", "", "");
        #[rustfmt::skip]
        let field = Field {
            name, aliases, length_min, length_max, default, kind, description, pattern, example,
        };
        field
    }

    /// The field with other names.
    pub(crate) const fn aliases(self, aliases: &'static [&'static str]) -> Field {
        Field { aliases, ..self }
    }

    /// The field with limits of its length in characters.
    pub(crate) const fn length(self, length_min: usize, length_max: usize) -> Field {
        Field { length_min, length_max, ..self }
    }

    /// The field with a regular expression that its texts match.
    pub(crate) const fn pattern(self, pattern: &'static str) -> Field {
        Field { pattern, ..self }
    }

    /// The field with a value for when it is not sent.
    pub(crate) const fn default(self, default: &'static str) -> Field {
        Field { default, ..self }
    }

    /// The field with these words, in a request of its own.
    pub(crate) const fn says(self, description: &'static str) -> Field {
        Field { description, ..self }
    }

    /// The field with an example: a text, or the JSON of any other value.
    pub(crate) const fn example(self, example: &'static str) -> Field {
        Field { example, ..self }
    }

    /// This name, if it is one of the field's.
    pub(crate) fn known_name(&self, name: &str) -> Option<&'static str> {
        if self.name == name {
            return Some(self.name);
        }
        self.aliases.iter().find(|alias| **alias == name).copied()
    }

    /// The strings that are its only values; none if it has others.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        match self.named().map(|named| named.values) {
            Some(Values::Codes(codes)) => codes(),
            Some(Values::AnyOf(_)) | None => Vec::new(),
        }
    }

    /// Whether the number is in the field's limits.
    pub(crate) fn has(&self, number: i64) -> bool {
        matches!(self.kind, Kind::Integer { min, max } if (min..=max).contains(&number))
    }

    /// The schema with a name that says its values.
    fn named(&self) -> Option<&'static NamedSchema> {
        match self.kind {
            Kind::Named(named) => Some(named),
            Kind::Text | Kind::Password | Kind::Integer { .. } | Kind::Object => None,
        }
    }

    /// One of its values in JSON.
    fn json(&self, text: &'static str) -> Option<Value> {
        let is_text = matches!(self.kind, Kind::Text | Kind::Password) || !self.codes().is_empty();
        match is_text {
            true => said(text).map(Value::from),
            false => said(text).and_then(|text| serde_json::from_str(text).ok()),
        }
    }

    fn full_description(&self) -> String {
        match self.aliases {
            [] => self.description.to_owned(),
            all => format!("{} Also accepted as `{}`.", self.description, all.join("`, `")),
        }
    }

    /// Its schema in a body: a reference if the schema has a name.
    fn property(&self) -> RefOr<Schema> {
        let description = Some(self.full_description());
        let Some(NamedSchema { name, .. }) = self.named() else {
            return with_example(self.plain().description(description), self.json(self.example));
        };
        let reference = RefBuilder::new().ref_location_from_schema_name(*name);
        reference.description(description).default(self.json(self.default)).into()
    }

    fn parameter(&self, is_required: bool) -> Parameter {
        let schema = self.named().map_or_else(|| self.plain().into(), NamedSchema::schema);
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Query)
            .description(Some(self.full_description()))
            .required(if is_required { openapi::Required::True } else { openapi::Required::False })
            .schema(Some(schema))
            .example(self.json(self.example))
            .build()
    }

    /// Its schema without words, if the schema has no name.
    fn plain(&self) -> ObjectBuilder {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let format = |format| Some(SchemaFormat::KnownFormat(format));
        let schema = match self.kind {
            Kind::Text | Kind::Named(_) => of(Type::String),
            Kind::Password => of(Type::String).format(format(KnownFormat::Password)),
            Kind::Integer { min, max } => {
                let is_short = i32::try_from(max).is_ok();
                of(Type::Integer)
                    .format(format(if is_short { KnownFormat::Int32 } else { KnownFormat::Int64 }))
                    .minimum(Some(min))
                    .maximum((max < i64::MAX).then_some(max))
            }
            Kind::Object => of(Type::Object)
                .additional_properties(Some(of(Type::String)))
                .property_names(Some(of(Type::String).build())),
        };
        schema
            .min_length((self.length_min > 0).then_some(self.length_min))
            .max_length((self.length_max < usize::MAX).then_some(self.length_max))
            .pattern(said(self.pattern))
            .default(self.json(self.default))
    }
}

/// The schema with `example`, which all readers of these documents know. In OpenAPI 3.1 it is the
/// old one of two keywords, so the builder has no method for it that is not deprecated.
fn with_example(schema: ObjectBuilder, example: Option<Value>) -> RefOr<Schema> {
    let mut schema = schema.build();
    schema.example = example;
    schema.into()
}

/// The text, if there is one.
fn said(text: &'static str) -> Option<&'static str> {
    Some(text).filter(|text| !text.is_empty())
}

impl NamedSchema {
    fn schema(&self) -> RefOr<Schema> {
        match self.values {
            Values::Codes(codes) => ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(codes()))
                .description(Some(self.description))
                .into(),
            Values::AnyOf(schemas) => schemas()
                .into_iter()
                .fold(AnyOfBuilder::new(), AnyOfBuilder::item)
                .description(Some(self.description))
                .into(),
        }
    }
}

/// A field that a request lists: made by [`form!`] only. The reader takes no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed<const IS_REQUIRED: bool>(&'static Field);

/// A field that must be sent.
pub(crate) type Required = Listed<true>;
/// A field that may be left out.
pub(crate) type Optional = Listed<false>;

impl<const IS_REQUIRED: bool> Listed<IS_REQUIRED> {
    /// The field as a part of a request.
    pub(crate) const fn new(field: &'static Field) -> Listed<IS_REQUIRED> {
        Listed(field)
    }

    /// The field for the document.
    pub(crate) const fn entry(self) -> Entry {
        Entry { field: self.0, is_required: IS_REQUIRED }
    }
}

impl<const IS_REQUIRED: bool> Deref for Listed<IS_REQUIRED> {
    type Target = Field;

    fn deref(&self) -> &Field {
        self.0
    }
}

/// A field of a request, and whether it must be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    field: &'static Field,
    is_required: bool,
}

/// The body or the query of a request, as the document describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// What it is, for people.
    pub description: &'static str,
    /// Its fields, in the order of the document.
    pub entries: &'static [Entry],
    /// Its example in JSON; empty: the examples of its fields.
    pub example: &'static str,
}

impl Form {
    /// The schema of the body.
    pub(crate) fn schema(&self) -> RefOr<Schema> {
        let described = ObjectBuilder::new().description(Some(self.description));
        let object = self.entries.iter().fold(described, |object, entry| {
            let object = object.property(entry.field.name, entry.field.property());
            if entry.is_required { object.required(entry.field.name) } else { object }
        });
        with_example(object, Some(self.example()))
    }

    fn example(&self) -> Value {
        serde_json::from_str(self.example).unwrap_or_else(|_| {
            let fields = self.entries.iter().map(|entry| entry.field);
            let examples = fields.filter_map(|f| Some((f.name.to_owned(), f.json(f.example)?)));
            Value::Object(examples.collect())
        })
    }

    /// The schemas with names that the fields use.
    pub(crate) fn named_schemas(&self) -> impl Iterator<Item = (String, RefOr<Schema>)> {
        let named = self.entries.iter().filter_map(|entry| entry.field.named());
        named.map(|named| (named.name.to_owned(), named.schema()))
    }

    /// The parameters of the query.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        self.entries.iter().map(|entry| entry.field.parameter(entry.is_required)).collect()
    }
}

/// Declares a request: a struct with a member for each field. `FIELDS` is what a parser reads, and
/// the document is built from the same list. A member that no parser reads is dead code, and the
/// compiler says so.
macro_rules! form {
    ($name:ident: $description:literal $(example $example:literal)? {
        $($member:ident: $listed:ident = $field:expr),+ $(,)?
    }) => {
        #[doc = $description]
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(super) $member: $listed),+ }

        impl $name {
            /// The fields, to be read.
            pub(super) const FIELDS: $name =
                $name { $($member: $listed::new(const { &$field })),+ };

            const FORM: $crate::wire::form::Form = $crate::wire::form::Form {
                description: $description,
                entries: &[$($listed::new(const { &$field }).entry()),+],
                example: concat!("" $(, $example)?),
            };
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                Self::FORM.schema()
            }
        }

        impl utoipa::ToSchema for $name {
            fn schemas(
                all: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>,
            ) {
                all.extend(Self::FORM.named_schemas());
            }
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                Self::FORM.parameters()
            }
        }
    };
}
pub(crate) use form;

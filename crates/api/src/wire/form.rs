//! Fields of requests, and the requests that consist of them, as they are declared.
//!
//! A field is declared once: `Reader` reads it by its declaration, and the OpenAPI document
//! describes it by the same. No field of a dialect is here. Invariant: only a field that a request
//! lists can be read from it.

use serde_json::Value;
use std::ops::Deref;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, RefBuilder, SchemaFormat, Type};
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
    schema_name: &'static str,
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
    /// These strings and no others. What they are, for people.
    Codes(fn() -> Vec<&'static str>, &'static str),
    /// What fits this schema, in JSON.
    Fitting(&'static str),
}

impl Field {
    /// A string.
    pub(crate) const fn text(name: &'static str) -> Field {
        Field::of(Kind::Text, name)
    }

    /// A field of this kind.
    pub(crate) const fn of(kind: Kind, name: &'static str) -> Field {
        let (length_min, length_max, aliases) = (0, usize::MAX, &[]);
        let (schema_name, description, pattern, default, example) = ("", "", "", "", "");
        #[rustfmt::skip]
        let field = Field {
            name, aliases, length_min, length_max, default, kind, schema_name, description, pattern,
            example,
        };
        field
    }

    /// The field with a name for its schema: a body refers to it, so that other bodies may too.
    pub(crate) const fn named(self, schema_name: &'static str) -> Field {
        Field { schema_name, ..self }
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

    /// The field with an example: a text, or the JSON of any other value.
    pub(crate) const fn example(self, example: &'static str) -> Field {
        Field { example, ..self }
    }

    /// The field with these words for people, if there are any.
    pub(crate) const fn says(self, words: &'static str) -> Field {
        Field { description: if words.is_empty() { self.description } else { words }, ..self }
    }

    /// This name, if it is one of the field's.
    pub(crate) fn known_name(&self, name: &str) -> Option<&'static str> {
        let mut all = self.aliases.iter().chain([&self.name]);
        all.find(|known| **known == name).copied()
    }

    /// The strings that are its only values; none if it has others.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        if let Kind::Codes(codes, _) = self.kind { codes() } else { Vec::new() }
    }

    /// Whether the number is in the field's limits.
    pub(crate) fn has(&self, number: i64) -> bool {
        matches!(self.kind, Kind::Integer { min, max } if (min..=max).contains(&number))
    }

    /// One of its values in JSON.
    fn json(&self, text: &'static str) -> Option<Value> {
        match self.kind {
            Kind::Text | Kind::Password | Kind::Codes(..) => {
                Some(text.into()).filter(|_| !text.is_empty())
            }
            Kind::Integer { .. } | Kind::Object | Kind::Fitting(_) => {
                serde_json::from_str(text).ok()
            }
        }
    }

    /// The description, with the other names.
    fn words(&self) -> String {
        let words = self.description.trim_start();
        match self.aliases {
            [] => words.to_owned(),
            all => format!("{words} Also accepted as `{}`.", all.join("`, `")),
        }
    }

    /// Its schema; codes and what fits a schema have words of their own.
    fn schema(&self, words: Option<String>, example: Option<Value>) -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let format = |format| Some(SchemaFormat::KnownFormat(format));
        let schema = match self.kind {
            Kind::Text => of(Type::String),
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
            Kind::Codes(codes, what) => {
                return of(Type::String).enum_values(Some(codes())).description(Some(what)).into();
            }
            Kind::Fitting(json) => return serde_json::from_str(json).unwrap_or_default(),
        };
        let mut schema = schema
            .min_length((self.length_min > 0).then_some(self.length_min))
            .max_length((self.length_max < usize::MAX).then_some(self.length_max))
            .pattern(Some(self.pattern).filter(|pattern| !pattern.is_empty()))
            .default(self.json(self.default))
            .description(words)
            .build();
        // The keyword that every reader of the document knows; OpenAPI 3.1 has `examples` too.
        schema.example = example;
        schema.into()
    }
}

/// A field that a request lists. Only [`form!`] makes one, and the reader takes nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed<const IS_REQUIRED: bool>(pub &'static Field);

/// A field that must be sent.
pub(crate) type Required = Listed<true>;
/// A field that may be left out.
pub(crate) type Optional = Listed<false>;

impl<const IS_REQUIRED: bool> Listed<IS_REQUIRED> {
    /// Whether the field must be sent.
    pub(crate) const IS_REQUIRED: bool = IS_REQUIRED;
}

impl<const IS_REQUIRED: bool> Deref for Listed<IS_REQUIRED> {
    type Target = Field;

    fn deref(&self) -> &Field {
        self.0
    }
}

/// The body or the query of a request, as the document describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// What it is, for people.
    pub words: &'static str,
    /// Its fields, in the order of the document, and whether each must be sent.
    pub fields: &'static [(&'static Field, bool)],
    /// Its example in JSON; empty: the examples of its fields.
    pub example: &'static str,
}

impl Form {
    /// The schema of the body. A field whose schema has a name refers to it.
    pub(crate) fn schema(&self) -> RefOr<Schema> {
        let mut object = ObjectBuilder::new().description(Some(self.words.trim_start())).build();
        for (field, is_required) in self.fields {
            let words = Some(field.words());
            let property = match field.schema_name {
                "" => field.schema(words, field.json(field.example)),
                name => RefBuilder::new()
                    .ref_location_from_schema_name(name)
                    .description(words)
                    .default(field.json(field.default))
                    .into(),
            };
            object.properties.insert(field.name.to_owned(), property);
            object.required.extend(is_required.then(|| field.name.to_owned()));
        }
        let examples = self.fields.iter().map(|(f, _)| (f.name.to_owned(), f.json(f.example)));
        let examples = examples.filter_map(|(name, example)| Some((name, example?)));
        let example = serde_json::from_str(self.example);
        object.example = Some(example.unwrap_or_else(|_| Value::Object(examples.collect())));
        object.into()
    }

    /// The schemas with names to which the fields refer.
    pub(crate) fn named_schemas(&self) -> impl Iterator<Item = (String, RefOr<Schema>)> {
        let named = self.fields.iter().filter(|(field, _)| !field.schema_name.is_empty());
        named.map(|(field, _)| (field.schema_name.to_owned(), field.schema(None, None)))
    }

    /// The parameters of the query.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let parameter = |(field, is_required): &(&Field, bool)| {
            use openapi::Required::{False, True};
            ParameterBuilder::new()
                .name(field.name)
                .parameter_in(ParameterIn::Query)
                .description(Some(field.words()))
                .required(if *is_required { True } else { False })
                .schema(Some(match is_required {
                    true => field.schema(None, None),
                    // An empty one counts as not sent (CONTRACT A-38).
                    false => Field { length_min: 0, ..**field }.schema(None, None),
                }))
                .example(field.json(field.example))
                .build()
        };
        self.fields.iter().map(parameter).collect()
    }
}

/// Declares requests: for each a struct with a member for each field, and what the document says of
/// it, from the same list. A parser reads the members of `FIELDS`; one that no parser reads is dead
/// code, and the compiler says so. The comments are the words of the document.
macro_rules! form {
    ($($(#[doc = $words:literal])+ $name:ident $(= $example:literal)? {
        $($(#[doc = $says:literal])* $member:ident: $listed:ident = $field:expr,)+
    })+) => {$(
        $(#[doc = $words])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(super) $member: $listed),+ }

        impl $name {
            /// The fields, to be read.
            pub(super) const FIELDS: $name = {
                use $crate::wire::form::Listed;
                $name { $($member: Listed(const { &$field.says(concat!($($says),*)) })),+ }
            };

            const FORM: $crate::wire::form::Form = $crate::wire::form::Form {
                words: concat!($($words),+),
                fields: &[$(
                    (const { &$field.says(concat!($($says),*)) }, $listed::IS_REQUIRED)
                ),+],
                example: concat!($($example)?),
            };
        }

        const _: () = {
            use utoipa::openapi::path::{Parameter, ParameterIn};
            use utoipa::openapi::{RefOr, Schema};

            impl utoipa::PartialSchema for $name {
                fn schema() -> RefOr<Schema> { Self::FORM.schema() }
            }
            impl utoipa::ToSchema for $name {
                fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
                    all.extend(Self::FORM.named_schemas());
                }
            }
            impl utoipa::IntoParams for $name {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    Self::FORM.parameters()
                }
            }
        };
    )+};
}
pub(crate) use form;

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;
    use utoipa::{IntoParams, PartialSchema, ToSchema};

    form! {
        /// A request
        /// of every kind.
        SampleRequest {
            /// Whose.
            text: Required = Field::text("text").aliases(&["also", "and"]).length(1, 9),
            password: Optional = Field::of(Kind::Password, "password").says("Own words."),
            number: Optional = Field::of(Kind::Integer { min: 1, max: 9 }, "number").default("3"),
            object: Required = Field::of(Kind::Object, "object").example("{}"),
            code: Optional = Field::of(Kind::Codes(|| vec!["a", "b"], "Which."), "code")
                .named("Code").default("a").example("b"),
            fitting: Required = Field::of(Kind::Fitting(r#"{"type":"boolean"}"#), "fitting")
                .named("Fitting").example("true"),
        }
    }

    #[test]
    fn a_request_is_described_as_it_is_read() {
        let SampleRequest { text, password, number, object, code, fitting } = SampleRequest::FIELDS;
        let names = [text.name, object.name, fitting.name, password.name, number.name, code.name];
        assert_eq!(names, ["text", "object", "fitting", "password", "number", "code"]);
        assert_eq!((code.codes(), code.default), (vec!["a", "b"], "a"));
        assert!(number.has(9) && !number.has(10) && !number.has(0));
        let mut named = Vec::new();
        SampleRequest::schemas(&mut named);
        let number = &SampleRequest::into_params(|| None)[2];
        let described = serde_json::json!([SampleRequest::schema(), named, number]);
        let described = serde_json::to_string_pretty(&described).unwrap();
        expect_file!["form.json"].assert_eq(&(described + "\n"));
    }
}

//! Values and tables as they were written, with their places. Reading a value never fails, so that all bad ones
//! can be told at once.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// A value and where it stands.
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
}

impl Value {
    pub(super) fn is_off(&self) -> bool {
        matches!(&self.kind, Kind::Text(text) if text == "off")
    }

    pub(super) fn is_empty_text(&self) -> bool {
        matches!(&self.kind, Kind::Text(text) if text.is_empty())
    }
}

/// What was written.
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
    /// Something that no key of ours takes: a table, a date, a number with a fraction or too many digits.
    Other,
}

/// Where a value stands.
#[derive(Clone)]
pub(super) enum Origin {
    /// Bytes of the file.
    File(Range<usize>),
    /// A variable of the environment.
    Variable(&'static str),
    /// Nowhere: it is missing, or it is a default.
    Nowhere,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { origin: Origin::File(spanned.span()), kind: spanned.into_inner() })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::Text(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Boolean(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(i64::try_from(number).map_or(Kind::Other, Kind::Integer))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element::<Value>()? {
            values.push(value);
        }
        Ok(Kind::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Kind, A::Error> {
        while table.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Kind::Other)
    }
}

/// A table and where it begins.
pub(super) struct Table<T> {
    pub(super) content: T,
    pub(super) span: Range<usize>,
}

/// A table's place and content; an absent table is an empty one.
pub(super) fn open<T: Default>(table: Option<Table<T>>) -> (Option<Range<usize>>, T) {
    match table {
        Some(table) => (Some(table.span), table.content),
        None => (None, T::default()),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<OnlyTable<T>>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), content: spanned.into_inner().0 })
    }
}

/// Derived code would also take a list, with the values in the order of the declarations: `fields = ["a", "b"]`.
struct OnlyTable<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OnlyTable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = OnlyTable<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<OnlyTable<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table)).map(OnlyTable)
    }
}

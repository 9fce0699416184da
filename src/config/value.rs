//! Values and tables as they were written, with their places. Reading a value never fails, so that all bad ones
//! can be told at once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

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

/// A table's keys, and what each of them fills.
pub(super) trait Keys {
    /// All keys, in the order of the shape.
    fn keys(&self) -> &'static [&'static str];

    /// What a key fills; none: there is no such key.
    fn slot(&mut self, key: &str) -> Option<&mut dyn Fill>;
}

/// What a key of the file fills.
pub(super) trait Fill {
    /// Takes what was written for it, which is at a path such as `stores[1].fields`.
    fn fill(&mut self, written: Spanned<DeValue<'_>>, path: &str) -> Result<(), Misfit>;
}

/// Where the file has another shape than ours.
pub(super) enum Misfit {
    /// There is no such key in that table.
    UnknownKey { table: String, key: String, span: Range<usize>, existing: &'static [&'static str] },
    /// Something else is where a table must be.
    NoTable { path: String, span: Range<usize> },
    /// Something else is where a list of tables must be.
    NoList { path: String, span: Range<usize> },
}

impl Fill for Option<Value> {
    fn fill(&mut self, written: Spanned<DeValue<'_>>, _: &str) -> Result<(), Misfit> {
        *self = Some(Value::from(written));
        Ok(())
    }
}

impl<T: Keys + Default> Fill for Option<Table<T>> {
    fn fill(&mut self, written: Spanned<DeValue<'_>>, path: &str) -> Result<(), Misfit> {
        let mut table = Table { content: T::default(), span: written.span() };
        fill_value(&mut table.content, written, path)?;
        *self = Some(table);
        Ok(())
    }
}

impl<T: Keys + Default> Fill for Vec<Table<T>> {
    fn fill(&mut self, written: Spanned<DeValue<'_>>, path: &str) -> Result<(), Misfit> {
        let span = written.span();
        let DeValue::Array(list) = written.into_inner() else {
            return Err(Misfit::NoList { path: path.to_owned(), span });
        };
        for (index, written) in list.into_iter().enumerate() {
            let mut table = Table { content: T::default(), span: written.span() };
            fill_value(&mut table.content, written, &format!("{path}[{index}]"))?;
            self.push(table);
        }
        Ok(())
    }
}

impl<T: Keys + Default> Fill for Option<Vec<Table<T>>> {
    fn fill(&mut self, written: Spanned<DeValue<'_>>, path: &str) -> Result<(), Misfit> {
        self.get_or_insert_default().fill(written, path)
    }
}

fn fill_value(table: &mut dyn Keys, written: Spanned<DeValue<'_>>, path: &str) -> Result<(), Misfit> {
    let span = written.span();
    match written.into_inner() {
        DeValue::Table(written) => fill_table(table, written, path),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => Err(Misfit::NoTable { path: path.to_owned(), span }),
    }
}

/// Fills a table with what was written for each of its keys.
pub(super) fn fill_table(table: &mut dyn Keys, written: DeTable<'_>, path: &str) -> Result<(), Misfit> {
    for (key, written) in written {
        let Some(slot) = table.slot(key.get_ref()) else {
            let (table, existing) = (path.to_owned(), table.keys());
            let (span, key) = (key.span(), key.into_inner().into_owned());
            return Err(Misfit::UnknownKey { table, key, span, existing });
        };
        let dot = if path.is_empty() { "" } else { "." };
        slot.fill(written, &format!("{path}{dot}{}", key.get_ref()))?;
    }
    Ok(())
}

impl From<Spanned<DeValue<'_>>> for Value {
    fn from(written: Spanned<DeValue<'_>>) -> Self {
        let origin = Origin::File(written.span());
        let kind = match written.into_inner() {
            DeValue::String(text) => Kind::Text(text.into_owned()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Kind::Other, Kind::Integer)
            }
            DeValue::Boolean(value) => Kind::Boolean(value),
            DeValue::Array(list) => Kind::List(list.into_iter().map(Self::from).collect()),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Kind::Other,
        };
        Self { kind, origin }
    }
}

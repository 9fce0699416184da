//! Which version of a secret something is, in an engine that counts versions and in one that does not.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The version of the KV engine that holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KvVersion {
    /// It keeps what was written last, and nothing of what was there before.
    One,
    /// It counts what is written, and keeps some of it.
    Two,
}

impl KvVersion {
    /// As the server and the configuration write it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

impl fmt::Display for KvVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KV version {}", self.number())
    }
}

impl Serialize for KvVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// What the source calls a set of credentials. It is a name to show, never an identity and never an order: KV
/// version 1 counts nothing, a pinned version may be older than the published one, and a secret that was
/// written anew from nothing counts from 1 again. Whether two sets are the same only their values tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// KV version 2: counted by the source from 1.
    Numbered(NonZeroU64),
    /// KV version 1.
    #[default]
    Unnumbered,
}

impl Version {
    /// The version of this number; none for 0, which no version has.
    #[must_use]
    pub fn numbered(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self::Numbered)
    }

    /// Its number, where it has one.
    #[must_use]
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::Numbered(number) => Some(number.get()),
            Self::Unnumbered => None,
        }
    }

    /// Whether it has no number: nothing is written in its place then.
    #[must_use]
    pub const fn is_unnumbered(&self) -> bool {
        matches!(self, Self::Unnumbered)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbered(number) => write!(formatter, "version {number}"),
            Self::Unnumbered => formatter.write_str("the unversioned secret"),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<u64>::deserialize(deserializer)? {
            None => Ok(Self::Unnumbered),
            Some(number) => {
                Self::numbered(number).ok_or_else(|| de::Error::custom("versions are counted from 1"))
            }
        }
    }
}

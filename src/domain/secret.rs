//! A value that cannot be printed, and a keyed fingerprint for telling values apart.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// A secret text: no `Display`, a redacted `Debug`, no `Serialize`; wiped when dropped.
///
/// [`Secret::expose`] is for the places that must hand the value on: a login, the Authorization header of a
/// probe, the writer of files, the signature of an alert. A test holds the list of those places.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a text, so that no other copy of it remains here.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Never log, format or store what this returns.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether two secrets are the same text. Not in constant time: use it only on values of our own.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    /// Whether somebody else's text is this secret, in a time that tells nothing of it but its length.
    #[must_use]
    pub fn is(&self, other: &[u8]) -> bool {
        // Two tags are compared instead of the texts: ring does that in constant time, whatever their lengths.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[]);
        let tag = hmac::sign(&key, self.0.as_bytes());
        hmac::verify(&key, other, tag.as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// The key of all fingerprints of one installation: random, kept in the state directory, never shown.
///
/// Without the key a fingerprint tells nothing about a value, not even to somebody who can guess values.
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// Length of the key, in bytes.
    pub const LENGTH: usize = 32;

    /// Makes a key of random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The fingerprint of a sequence of parts. The length of each part is hashed too, so that no two
    /// different sequences run together.
    pub(crate) fn of(&self, parts: &[&str]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        Fingerprint(u64::from_be_bytes(short))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FingerprintKey([redacted])")
    }
}

/// Tells whether two sets of credentials are the same without showing either: the first 64 bits of
/// HMAC-SHA256 under the installation's key. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Reads 16 hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a fingerprint of 16 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed_by_mistake() {
        let secret = Secret::new("c0ffee".into());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[redacted] Some([redacted])");
    }

    #[test]
    fn a_secret_is_told_from_others() {
        let secret = Secret::new("c0ffee".into());
        assert!(secret.is(b"c0ffee"));
        for other in [&b"c0ffef"[..], b"c0ffe", b"c0ffee\0", b"c0ffeec0ffee", b""] {
            assert!(!secret.is(other), "{other:?}");
        }
    }

    #[test]
    fn a_fingerprint_depends_on_the_key_and_on_where_the_parts_end() {
        let (one, two) = (FingerprintKey::new(&[1; 32]), FingerprintKey::new(&[2; 32]));
        assert_eq!(one.of(&["a", "b"]), one.of(&["a", "b"]));
        assert_ne!(one.of(&["a", "b"]), two.of(&["a", "b"]));
        assert_ne!(one.of(&["ab", ""]), one.of(&["a", "b"]));
    }

    #[test]
    fn a_fingerprint_is_read_back_as_it_was_written() {
        let fingerprint = FingerprintKey::new(&[1; 32]).of(&["a"]);
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        assert_eq!(Fingerprint::parse("+123456789abcdef"), None);
        assert_eq!(Fingerprint::parse("12"), None);
    }
}

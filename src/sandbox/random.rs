//! Unguessable text for tokens and identifiers, which cannot fail once it has been seeded.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::SandboxError;

/// A seed from the operating system and a counter. Drawing hashes the two, so that making an account or
/// logging in needs no error path of its own.
pub(super) struct Unguessable {
    seed: hmac::Key,
    drawn: AtomicU64,
}

impl Unguessable {
    /// Takes the seed from the operating system; [`SandboxError::Randomness`] when it gives none.
    pub(super) fn new() -> Result<Self, SandboxError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|ring::error::Unspecified| SandboxError::Randomness)?;
        Ok(Self { seed: hmac::Key::new(hmac::HMAC_SHA256, &seed), drawn: AtomicU64::new(0) })
    }

    /// That many lowercase hexadecimal digits, different at every call; at most 64.
    pub(super) fn hex(&self, digits: usize) -> String {
        let turn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(64);
        for byte in hmac::sign(&self.seed, &turn.to_be_bytes()).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.truncate(digits);
        text
    }

    /// A value in the form of a UUID, different at every call.
    pub(super) fn uuid(&self) -> String {
        let mut text = self.hex(32);
        for dash in [20, 16, 12, 8] {
            text.insert(dash, '-');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_differs_and_has_the_form_asked_for() {
        let random = Unguessable::new().unwrap();
        let (first, second) = (random.hex(40), random.hex(40));
        assert_eq!(first.len(), 40);
        assert!(first.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        assert_ne!(first, second);
        let lengths: Vec<usize> = random.uuid().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn two_seeds_share_no_values() {
        assert_ne!(Unguessable::new().unwrap().hex(40), Unguessable::new().unwrap().hex(40));
    }
}

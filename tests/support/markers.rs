//! Searching outputs for secrets, in every form that a program may give them by mistake.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Secrets and what each of them looks like.
#[derive(Default)]
pub(crate) struct Markers {
    forms: Vec<(&'static str, String)>,
}

impl Markers {
    /// Adds a secret: as it is, percent-encoded, with JSON's escapes, in hexadecimal and in both kinds of
    /// base64, wherever in a longer text it stands.
    pub(crate) fn add(&mut self, name: &'static str, secret: &str) {
        assert!(secret.len() >= 16, "{name} is too short to be found for certain");
        let mut forms = vec![
            secret.to_owned(),
            percent_encoded(secret),
            percent_encoded(secret).replace("%20", "+"),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
            secret.bytes().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            }),
        ];
        for engine in [&STANDARD, &URL_SAFE] {
            forms.extend((0..3).map(|offset| {
                let shifted = engine.encode([&vec![0; offset], secret.as_bytes()].concat());
                // Only the characters that depend on nothing but the secret.
                let (from, to) = ((offset * 8).div_ceil(6), (offset + secret.len()) * 8 / 6);
                shifted[from..to].to_owned()
            }));
        }
        forms.iter_mut().for_each(|form| form.make_ascii_lowercase());
        forms.sort();
        forms.dedup();
        self.forms.extend(forms.into_iter().map(|form| (name, form)));
    }

    /// The names of the secrets that are somewhere in it, in upper or lower case; a token of Vault is always
    /// one of them.
    pub(crate) fn found_in(&self, text: &[u8]) -> Vec<&'static str> {
        let text = text.to_ascii_lowercase();
        let mut found: Vec<&'static str> = self
            .forms
            .iter()
            .filter(|(_, form)| contains(&text, form.as_bytes()))
            .map(|(name, _)| *name)
            .collect();
        found.dedup();
        if holds_vault_token(&text) {
            found.push("a token of Vault");
        }
        found
    }

    /// Fails when a secret is somewhere in it.
    pub(crate) fn none_in(&self, place: &str, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let found = self.found_in(text);
        if !found.is_empty() {
            // Line by line: the whole may be long.
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !self.found_in(line).is_empty());
            let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
            panic!("{place} holds {found:?}: {lines:#?}");
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == part[0]) {
        rest = &rest[at..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Whether there is a word such as `hvs.CAESI...` or `s.0Yxq...` in a text of lower case.
fn holds_vault_token(text: &[u8]) -> bool {
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.split(|byte| !of_word(byte) && *byte != b'.').any(|word| {
        let token =
            [&b"hvs."[..], b"hvb.", b"s.", b"b."].iter().find_map(|prefix| word.strip_prefix(*prefix));
        token.is_some_and(|token| token.len() >= 20 && token.iter().all(of_word))
    })
}

/// Everything but letters and digits as `%` and two digits.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}

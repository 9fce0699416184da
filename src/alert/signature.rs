//! Signatures of Standard Webhooks: the signing secrets in their file, and what they make of a message.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use ring::hmac;
use zeroize::Zeroizing;

use crate::domain::secret::Secret;

use super::secret_file::{self, SecretFileError};

/// What a signing secret starts with.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of a key, as the specification has them.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;
/// Secrets are written with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD_EITHER_WAY);
const PAD_EITHER_WAY: GeneralPurposeConfig = PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Why there is no key to sign with. Never shows what the file holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error(transparent)]
    File(#[from] SecretFileError),
    #[error("it is empty: write the signing secret into it, `{PREFIX}` and base64")]
    Empty,
    #[error("what it holds does not start with `{PREFIX}`: copy the whole signing secret from the receiver")]
    NoPrefix,
    #[error("what follows `{PREFIX}` is not base64: copy the whole signing secret from the receiver")]
    NotBase64,
    #[error(
        "the key in it has {0} bytes; Standard Webhooks wants {SHORTEST} to {LONGEST}: make one with \
         `echo \"{PREFIX}$(head -c 32 /dev/urandom | base64)\"` and give it to the receiver too"
    )]
    Length(usize),
}

/// The keys of one receiver: more than one while a new secret takes the place of an old one.
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Reads the signing secrets from a file, separated by white space.
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&secret_file::read(path)?)
    }

    pub(super) fn parse(secrets: &Secret) -> Result<Self, KeyError> {
        let keys = secrets.expose().split_whitespace().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self(keys))
    }

    /// The value of `webhook-signature`: one signature for each key.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Result<hmac::Key, KeyError> {
    let encoded = secret.strip_prefix(PREFIX).ok_or(KeyError::NoPrefix)?;
    let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::NotBase64)?);
    if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
        return Err(KeyError::Length(bytes.len()));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The value of `webhook-id` for a message. Identifiers of messages contain names of stores, and those may
/// contain a full stop, which separates the signed parts: so everything but letters, digits, `-`, `_` and
/// `:` is written as `~` and two hexadecimal digits a byte.
pub(super) fn webhook_id(message_id: &str) -> String {
    let mut id = String::with_capacity(message_id.len());
    for byte in message_id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':') {
            id.push(char::from(byte));
        } else {
            id.push_str(&format!("~{byte:02x}"));
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn keys(text: &str) -> Result<Keys, KeyError> {
        Keys::parse(&Secret::new(text.into()))
    }

    fn refusal(text: &str) -> String {
        keys(text).err().unwrap().to_string()
    }

    #[test]
    fn a_signature_is_that_of_the_reference_implementations() {
        let signature = keys(PUBLISHED).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_of_several_secrets_signs() {
        // Python: base64.b64encode(hmac.new(bytes(range(64)), b"a:1.1700000000.{}", "sha256").digest())
        let second =
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw";
        let both = keys(&format!("{PUBLISHED}\n{second}\n")).unwrap().sign("a:1", 1_700_000_000, b"{}");
        assert_eq!(
            both,
            "v1,MUwjYJiLODIvoa6HqbShRXj/SwcVUhMRmsLZ1QmMeXQ= v1,pVeekG7W9SfnPLzObPam1IV/PNUBGsGSE+ZGww4VL54="
        );
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_refused_with_what_to_do_and_without_its_value() {
        let short = refusal("whsec_c2VjcmV0LXZhbHVl");
        assert!(short.contains("12 bytes") && short.contains("24 to 64"), "{short}");
        assert!(refusal(" \n").contains("is empty"));
        assert!(refusal("c2VjcmV0LXZhbHVl").contains("`whsec_`"));
        assert!(refusal("whsec_c2Vj!!!cmV0").contains("not base64"));
        for text in ["whsec_c2VjcmV0LXZhbHVl", "c2VjcmV0LXZhbHVl", "whsec_c2Vj!!!cmV0"] {
            assert!(!refusal(text).contains("c2Vj"), "{}", refusal(text));
        }
    }

    #[test]
    fn an_identifier_has_no_full_stop_and_no_two_become_one() {
        assert_eq!(webhook_id("acme:moved:17:1"), "acme:moved:17:1");
        assert_eq!(webhook_id("acme.eu~2e:1"), "acme~2eeu~7e2e:1");
    }
}

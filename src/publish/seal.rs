//! The seal of `generation.json`: a keyed number at its end, by which an edit of anything before it is noticed.

use crate::domain::publication::GenerationStamp;
use crate::domain::secret::{Fingerprint, FingerprintKey};

use super::layout::STAMP;

const BEFORE: &str = ",\"seal\":\"";
const AFTER: &str = "\"}";

/// A stamp as it is written.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn sealed(stamp: &GenerationStamp, key: &FingerprintKey) -> serde_json::Result<String> {
    let text = serde_json::to_string(stamp)?;
    let seal = seal(&text, key);
    let inside = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{inside}{BEFORE}{seal}{AFTER}"))
}

/// Whether a stamp is as it was written, byte for byte. Its fields are not looked at: a later version may have more.
pub(super) fn is_whole(text: &[u8], key: &FingerprintKey) -> bool {
    let parts = str::from_utf8(text).ok().and_then(|text| text.strip_suffix(AFTER)?.rsplit_once(BEFORE));
    parts.is_some_and(|(inside, found)| Fingerprint::parse(found) == Some(seal(&format!("{inside}}}"), key)))
}

fn seal(text: &str, key: &FingerprintKey) -> Fingerprint {
    // No other fingerprint begins with this name: it is none that a file of a store's own may have.
    key.of(&[STAMP, text])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{credentials, stamp};
    use super::*;

    #[test]
    fn any_change_of_a_single_byte_breaks_the_seal() {
        let key = FingerprintKey::new(&[7; 32]);
        let stamp = stamp(3, &credentials(3));
        let text = sealed(&stamp, &key).unwrap();
        assert!(is_whole(text.as_bytes(), &key), "{text}");
        assert_eq!(serde_json::from_str::<GenerationStamp>(&text).unwrap(), stamp);
        for at in 0..text.len() {
            for changed in [b'0', b'1', b' ', b'}', 0xff] {
                let mut bytes = text.clone().into_bytes();
                if std::mem::replace(&mut bytes[at], changed) != changed {
                    assert!(!is_whole(&bytes, &key), "{at}: {}", String::from_utf8_lossy(&bytes));
                }
            }
            assert!(!is_whole(&text.as_bytes()[..at], &key));
        }
        assert!(!is_whole(format!("{text}\n").as_bytes(), &key));
        assert!(!is_whole(text.as_bytes(), &FingerprintKey::new(&[8; 32])));
    }

    #[test]
    fn a_stamp_with_fields_of_a_later_version_is_whole() {
        let key = FingerprintKey::new(&[7; 32]);
        let text = "{\"generation\":1,\"later\":{\"seal\":\"0\"}}";
        let written = format!("{}{BEFORE}{}{AFTER}", &text[..text.len() - 1], seal(text, &key));
        assert!(is_whole(written.as_bytes(), &key), "{written}");
    }
}

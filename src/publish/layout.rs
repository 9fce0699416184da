//! The names inside a store's directory: those of Kubernetes' AtomicWriter.

use crate::domain::time::Timestamp;

/// The link that names the published generation; the only name that is ever swapped.
pub(super) const DATA: &str = "..data";
/// Where [`DATA`] is prepared.
pub(super) const DATA_TEMPORARY: &str = "..data_tmp";
/// The file with the Username.
pub(super) const USERNAME: &str = "username";
/// The file with the API Token.
pub(super) const API_TOKEN: &str = "api_token";
/// The file with the API Path.
pub(super) const API_PATH: &str = "api_path";
/// The file with the generation's stamp.
pub(super) const STAMP: &str = "generation.json";

/// What every generation holds, whatever files are configured: from these it is read back.
pub(super) const ALWAYS: [&str; 4] = [USERNAME, API_TOKEN, API_PATH, STAMP];

/// Where the link points that apps open: relative, so that the volume can be mounted anywhere.
pub(super) fn link_target(name: &str) -> String {
    format!("{DATA}/{name}")
}

/// Where that link is prepared.
pub(super) fn link_temporary(name: &str) -> String {
    format!("..{name}_tmp")
}

/// The link that is prepared under this name.
pub(super) fn prepared_link(name: &str) -> Option<&str> {
    name.strip_prefix("..")?.strip_suffix("_tmp").filter(|name| !name.is_empty())
}

/// The name of a generation's directory: `..2026_11_23_05_51_22.` and a random number.
pub(super) fn generation_name(published_at: Timestamp, random: u32) -> String {
    let time: String = published_at
        .to_string()
        .chars()
        .take(TIME.len())
        .map(|character| if character.is_ascii_digit() { character } else { '_' })
        .collect();
    format!("..{time}.{random}")
}

/// Whether a name is one that [`generation_name`] makes. Nothing else is ever taken for a leftover of ours.
pub(super) fn is_generation_name(name: &str) -> bool {
    let Some((time, random)) = name.strip_prefix("..").and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    time.len() == TIME.len()
        && time.bytes().zip(TIME).all(|(byte, shape)| match shape {
            b'_' => byte == b'_',
            _ => byte.is_ascii_digit(),
        })
        && number(random)
}

/// The generation that [`DATA`] points to, when it is one name beginning with `..` and thus lies in the same
/// directory; anything else leads elsewhere and is not followed.
pub(super) fn generation_of(target: &str) -> Option<&str> {
    let inside = target.len() > 2 && target.starts_with("..") && !target.contains('/');
    inside.then_some(target)
}

/// The shape of the time in a generation's name.
const TIME: [u8; 19] = *b"0000_00_00_00_00_00";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_named_by_its_time_and_a_random_number() {
        let time = Timestamp::parse("2026-11-23T05:51:22.123Z").unwrap();
        let name = generation_name(time, 123_456_789);
        assert_eq!(name, "..2026_11_23_05_51_22.123456789");
        assert!(is_generation_name(&name));
    }

    #[test]
    fn other_names_are_nobodys_leftovers() {
        for name in [
            "..data",
            "..",
            "..2026_11_23_05_51_22",
            "..2026_11_23_05_51_22.",
            "..2026_11_23_05_51_22.1x",
            "2026_11_23_05_51_22.1",
            "..2026-11-23-05-51-22.1",
            "username",
        ] {
            assert!(!is_generation_name(name), "{name}");
        }
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_not_followed() {
        assert_eq!(generation_of("..2026_11_23_05_51_22.1"), Some("..2026_11_23_05_51_22.1"));
        for target in ["", ".", "..", "/etc", "../other", "..x/y", "username", "..a/"] {
            assert_eq!(generation_of(target), None, "{target}");
        }
    }
}

//! A token in the wrong place of the file stays a secret.

use super::*;

/// Whatever key a token is pasted into, as a text, in a list, in a table or as a key, no message shows it.
#[test]
fn a_pasted_token_never_appears_in_a_message() {
    let example = include_str!("../../../config.example.toml");
    let tokens = ["hvs.CAESIJc0ffee", "c0ffeec0ffeec0ffeec0ffee", "whsec_c0ffee`, expected one of `c0ffee`"];
    let mut tried = 0;
    for token in tokens {
        let lines: Vec<&str> = example.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| !key.contains(' ')) else {
                continue;
            };
            let pasted = [
                format!("{key} = \"{token}\""),
                format!("{key} = [\"{token}\"]"),
                format!("{key} = {{ \"{token}\" = \"{token}\" }}"),
                format!("{key} = {token}"),
                format!("{key} = \"{token}"),
                format!("{key}.\"{token}\" = \"{token}\""),
                format!("\"{token}\" = \"{key}\""),
                format!("{token} = \"{key}\""),
                format!("[\"{token}\"]"),
                format!("{key} = \"https://{token}@host/{token}#{token}\""),
                format!("{key} = \"{token}/../{token}\\n\""),
            ];
            for paste in pasted {
                let mut lines = lines.clone();
                lines[index] = &paste;
                if let Err(error) = parse(&lines.join("\n")) {
                    tried += 1;
                    let shown = format!("{error}\n{error:?}");
                    assert!(!shown.contains("c0ffee"), "{paste}\n{shown}");
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

//! Names of users and groups into numbers, from the files of the system.

use std::path::Path;

/// The number of `name` in a file of the form of `/etc/passwd` or `/etc/group`.
///
/// # Errors
/// Says why there is none.
pub(super) fn number_of(name: &str, file: &Path) -> Result<u32, String> {
    let text = std::fs::read(file).map_err(|error| {
        format!(
            "the name cannot be looked up, since {} cannot be read ({error}); use a number",
            file.display()
        )
    })?;
    find(name, &String::from_utf8_lossy(&text)).ok_or_else(|| {
        format!("there is no such name in {}; create the account or use a number", file.display())
    })
}

/// Both files have the name first and the number third.
fn find(name: &str, text: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut columns = line.split(':');
        let found = columns.next() == Some(name);
        let number = columns.nth(1)?;
        found.then(|| number.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole_and_only_with_a_number() {
        let text = "# note\nroot:x:0:0:root:/root:/bin/sh\napp:x:1001:1001::/:\nodd:x:none:1\n";
        assert_eq!(find("root", text), Some(0));
        assert_eq!(find("app", text), Some(1001));
        assert_eq!(find("ap", text), None);
        assert_eq!(find("odd", text), None);
        assert_eq!(find("", text), None);
        assert_eq!(find("staff", "staff:x:50:\n"), Some(50));
    }

    #[test]
    fn without_the_file_a_number_is_asked_for() {
        let error = number_of("app", Path::new("/nowhere/passwd")).unwrap_err();
        assert!(error.contains("use a number"), "{error}");
    }
}

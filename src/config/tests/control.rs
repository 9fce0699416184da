//! Where the control socket is, and who may report.

use std::fs;

use super::*;

#[test]
fn the_control_socket_is_in_the_state_directory_unless_it_is_said_where() {
    let socket = |text: &str, variables: &[(&str, &str)]| parse_with(text, variables).unwrap().control.socket;
    assert_eq!(socket(LEAST, &[]), Some("/var/lib/bc-secrets-sync/control.sock".into()));
    assert_eq!(socket(LEAST, &[("STATE_DIRECTORY", "/s")]), Some("/s/control.sock".into()));
    assert_eq!(socket(&with("state", "directory = \"/state\""), &[]), Some("/state/control.sock".into()));
    assert_eq!(socket(&with("control", "socket = \"/run/a.sock\""), &[]), Some("/run/a.sock".into()));
    assert_eq!(socket(&with("control", "socket = \"off\""), &[]), None);
}

#[test]
fn a_control_socket_that_cannot_be_is_refused() {
    for (value, part) in [
        ("\"control.sock\"", "must be an absolute path"),
        ("\"/run/control/\"", "ends with a slash"),
        ("\"/run/credentials/one/control.sock\"", "where apps would see it"),
        ("7", "must be a text"),
    ] {
        let refusal = refusal(&with("control", &format!("socket = {value}")), &[]);
        assert!(refusal.contains("control.socket: ") && refusal.contains(part), "{value}: {refusal}");
    }
}

#[test]
fn the_token_for_reports_is_in_a_file() {
    assert_eq!(parse(LEAST).unwrap().http.report_token_file, None);
    for listen in ["", "listen = \"off\"\n"] {
        let text = with("http", &format!("{listen}report_token_file = \"%d/report\""));
        let config = parse_with(&text, &[("CREDENTIALS_DIRECTORY", "/run/c")]).unwrap();
        assert_eq!(config.http.report_token_file, Some("/run/c/report".into()));
    }
    assert!(refusal(&with("http", "report_token_file = \"token\""), &[]).contains("http.report_token_file"));
}

#[test]
fn the_stores_with_series_of_their_own_are_limited() {
    assert_eq!(parse(LEAST).unwrap().http.metrics_store_limit, 1_000);
    for (limit, listen) in [(0, ""), (100_000, "listen = \"off\"\n")] {
        let config = parse(&with("http", &format!("{listen}metrics_store_limit = {limit}"))).unwrap();
        assert_eq!(config.http.metrics_store_limit, limit);
    }
    for value in ["-1", "100001", "\"all\""] {
        let refusal = refusal(&with("http", &format!("metrics_store_limit = {value}")), &[]);
        assert!(
            refusal.contains("http.metrics_store_limit: must be a whole number from 0 to 100000"),
            "{refusal}"
        );
    }
}

#[test]
fn the_socket_is_found_without_anything_else_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let found = |text: &str| {
        fs::write(&file, text).unwrap();
        Config::control_socket(&file, &Environment::empty()).map_err(|error| error.to_string())
    };
    // As an operator's shell sees the configuration of a unit.
    let unit = "[vault.auth.approle]\nrole_id_file = \"%d/role-id\"\n[state]\ndirectory = \"/state\"\n";
    assert_eq!(found(unit), Ok(Some("/state/control.sock".into())));
    assert_eq!(found(""), Ok(Some("/var/lib/bc-secrets-sync/control.sock".into())));
    assert_eq!(found("[control]\nsocket = \"/run/a.sock\"\n"), Ok(Some("/run/a.sock".into())));
    assert_eq!(found("[control]\nsocket = \"off\"\n"), Ok(None));
    assert!(
        found("[control]\nsocket = \"a.sock\"\n").unwrap_err().contains("config.toml:2:10: control.socket")
    );
    assert!(found("[state]\ndirectory = \"state\"\n").unwrap_err().contains("state.directory: must be"));
    assert!(found("[control]\nsokcet = 1\n").unwrap_err().contains("did you mean socket"));
    fs::remove_file(&file).unwrap();
    let error = Config::control_socket(&file, &Environment::empty()).unwrap_err().to_string();
    assert!(error.contains("the configuration cannot be read"), "{error}");
}

#[test]
fn what_is_given_up_is_what_the_kernel_has_unless_it_is_said() {
    let both = |measure| Hardening { landlock: measure, seccomp: measure };
    assert_eq!(parse(LEAST).unwrap().hardening, both(Measure::Auto));
    for (word, measure) in [("auto", Measure::Auto), ("off", Measure::Off), ("required", Measure::Required)] {
        let text = with("hardening", &format!("landlock = \"{word}\"\nseccomp = \"{word}\""));
        assert_eq!(parse(&text).unwrap().hardening, both(measure));
    }
    let refusal = refusal(&with("hardening", "landlock = true"), &[]);
    assert!(
        refusal.contains("hardening.landlock: must be one of \"auto\", \"off\", \"required\""),
        "{refusal}"
    );
}

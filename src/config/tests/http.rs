//! The listener: its certificate, its token, and what is seen without it.

use super::*;

const TLS: &str = "[http.tls]\ncertificate_file = \"/tls/tls.crt\"\nkey_file = \"/tls/tls.key\"\n";

#[test]
fn by_itself_it_is_on_loopback_and_open() {
    let http = parse(LEAST).unwrap().http;
    assert_eq!(http.listen, Some("127.0.0.1:9847".parse().unwrap()));
    assert_eq!((http.tls, http.token_file, http.report_token_file), (None, None, None));
    assert_eq!(http.open, [Open::Probes, Open::Metrics]);
    assert_eq!(http.host_names, [""; 0]);
}

#[test]
fn what_is_written_is_taken() {
    let lines = "listen = \"[::]:9847\"\ntoken_file = \"/token\"\nopen = [\"metrics\", \"metrics\"]\n\
                 host_names = [\"Credentials.Example.\", \"one\"]\n";
    let http = parse(&with("http", &format!("{lines}{TLS}"))).unwrap().http;
    let tls = http.tls.unwrap();
    assert_eq!(tls.certificate_file, PathBuf::from("/tls/tls.crt"));
    assert_eq!(tls.key_file, PathBuf::from("/tls/tls.key"));
    assert_eq!((http.token_file, http.open), (Some("/token".into()), vec![Open::Metrics]));
    assert_eq!(http.host_names, ["credentials.example", "one"]);
    let closed = parse(&with("http", "token_file = \"/token\"\nopen = []")).unwrap().http;
    assert_eq!(closed.open, []);
}

#[test]
fn a_token_travels_in_the_clear_to_other_hosts_only_when_that_is_said() {
    let exposed = "listen = \"0.0.0.0:9847\"\ntoken_file = \"/token\"\n";
    let refused = refusal(&with("http", exposed), &[]);
    assert!(
        refused.contains("http.token_file: would be sent in the clear to other hosts; add [http.tls]"),
        "{refused}"
    );
    for good in [
        format!("{exposed}allow_plain_http = true"),
        format!("{exposed}{TLS}"),
        "listen = \"127.0.0.1:9847\"\ntoken_file = \"/token\"".to_owned(),
        "listen = \"[::1]:9847\"\ntoken_file = \"/token\"".to_owned(),
        "listen = \"off\"\ntoken_file = \"/token\"".to_owned(),
        "listen = \"0.0.0.0:9847\"".to_owned(),
    ] {
        assert!(parse(&with("http", &good)).is_ok(), "{good}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_advice() {
    for (lines, part) in [
        ("open = [\"probes\"]", "http.open: does nothing without http.token_file"),
        (
            "token_file = \"/t\"\nopen = \"probes\"",
            "http.open: must be a list, such as [\"probes\", \"metrics\"], or []",
        ),
        ("token_file = \"/t\"\nopen = [\"status\"]", "http.open[0]: must be one of \"probes\", \"metrics\""),
        ("token_file = \"token\"", "http.token_file: must be an absolute path"),
        ("allow_plain_http = \"yes\"", "http.allow_plain_http: must be true or false"),
        ("host_names = [\"https://one\"]", "http.host_names[0]: must be a host name without scheme and port"),
        ("host_names = [\"one:80\"]", "http.host_names[0]: must be a host name"),
        (
            "[http.tls]\nkey_file = \"/k\"",
            "http.tls.certificate_file: is missing; write certificate_file = \"/etc/bc-secrets-sync/tls.crt\"",
        ),
        (
            "[http.tls]\ncertificate_file = \"/c\"",
            "http.tls.key_file: is missing; write key_file = \"/etc/bc-secrets-sync/tls.key\"",
        ),
    ] {
        let refused = refusal(&with("http", lines), &[]);
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

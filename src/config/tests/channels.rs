//! What is accepted and refused of the channels of `[alerts]`.

use super::*;
use crate::domain::incident::Severity;
use crate::domain::routing::{Route, StorePattern};

const CHANNELS: &str = r#"
[alerts.webhook]
url = "https://alerts.example/hook"
signing_secret_file = "/whsec"
[alerts.slack]
url_file = "/slack"
[alerts.pagerduty]
routing_key_file = "/pagerduty"
[alerts.alertmanager]
urls = ["http://one:9093", "https://two/base/"]
[alerts.command]
argv = ["/bin/tell", "-v", "a b"]
"#;

fn channels(change: impl FnOnce(String) -> String) -> String {
    format!("{LEAST}{}", change(CHANNELS.to_owned()))
}

#[test]
fn a_channel_needs_little_and_hears_everything() {
    let alerts = parse(&channels(|text| text)).unwrap().alerts;
    let (webhook, slack, pagerduty) =
        (alerts.webhook.unwrap(), alerts.slack.unwrap(), alerts.pagerduty.unwrap());
    let (alertmanager, command) = (alerts.alertmanager.unwrap(), alerts.command.unwrap());
    assert_eq!(slack.url_file, PathBuf::from("/slack"));
    assert_eq!(pagerduty.url.as_str(), "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(pagerduty.routing_key_file, PathBuf::from("/pagerduty"));
    let urls: Vec<&str> = alertmanager.urls.iter().map(Url::as_str).collect();
    assert_eq!(urls, ["http://one:9093/", "https://two/base/"]);
    assert_eq!(alertmanager.resend_interval, Duration::from_secs(60));
    assert_eq!(alertmanager.instance, None);
    assert_eq!(command.argv, ["/bin/tell", "-v", "a b"]);
    for route in [webhook.route, slack.route, pagerduty.route, alertmanager.route, command.route] {
        assert_eq!(route, Route::everything());
    }
    for timeout in [slack.timeout, pagerduty.timeout, alertmanager.timeout, command.timeout] {
        assert_eq!(timeout, Duration::from_secs(10));
    }
}

#[test]
fn every_value_of_a_channel_arrives() {
    let more = "timeout = \"1s\"\nseverity = \"critical\"\nstores = [\"a*\", \"b\"]\n";
    let alerts = parse(&channels(|text| {
        text.replace("url_file", &format!("{more}ca_file = \"/ca\"\nurl_file"))
            .replace("routing_key_file", &format!("{more}url = \"http://[::1]:1/\"\nrouting_key_file"))
            .replace("urls", &format!("{more}instance = \"x y\"\nresend_interval = \"5s\"\nurls"))
            .replace("argv", &format!("{more}argv"))
    }))
    .unwrap()
    .alerts;
    let (slack, pagerduty) = (alerts.slack.unwrap(), alerts.pagerduty.unwrap());
    let (alertmanager, command) = (alerts.alertmanager.unwrap(), alerts.command.unwrap());
    assert_eq!(slack.ca_file, Some("/ca".into()));
    assert_eq!(pagerduty.url.as_str(), "http://[::1]:1/");
    assert_eq!(alertmanager.instance.as_deref(), Some("x y"));
    assert_eq!(alertmanager.resend_interval, Duration::from_secs(5));
    let stores = ["a*", "b"].map(|pattern| StorePattern::parse(pattern).unwrap()).to_vec();
    let route = Route { severity: Severity::Critical, stores };
    for found in [slack.route, pagerduty.route, alertmanager.route, command.route] {
        assert_eq!(found, route);
    }
    for timeout in [slack.timeout, pagerduty.timeout, alertmanager.timeout, command.timeout] {
        assert_eq!(timeout, Duration::from_secs(1));
    }
}

#[test]
fn a_bad_value_of_a_channel_is_refused_at_its_place() {
    let slack = "url_file = \"/slack\"";
    let urls = "urls = [\"http://one:9093\", \"https://two/base/\"]";
    let argv = "argv = [\"/bin/tell\", \"-v\", \"a b\"]";
    #[rustfmt::skip] // One case a line.
    let cases = [
        (slack, "", ":15:1: alerts.slack.url_file: is missing; name the file that holds the address"),
        (slack, "url_file = \"slack\"", "alerts.slack.url_file: must be an absolute path"),
        (slack, "url_file = \"/slack\"\nseverity = \"info\"", "alerts.slack.severity: must be one of \"warning\", \"critical\""),
        (slack, "url_file = \"/slack\"\nstores = \"acme\"", "alerts.slack.stores: must be a list of texts"),
        (slack, "url_file = \"/slack\"\nstores = []", "alerts.slack.stores: is an empty list"),
        (slack, "url_file = \"/slack\"\nstores = [\"acme\", \"a?\"]", ":17:19: alerts.slack.stores[1]: must be the name of a store, in which * stands"),
        (slack, "url_file = \"/slack\"\nstores = [\"acme\", 7]", ":17:19: alerts.slack.stores[1]: must be a text in quotes"),
        (slack, "url_file = \"/slack\"\nstores = [[\"acme\"]]", "alerts.slack.stores[0]: must be a text in quotes"),
        (slack, "url_file = \"/slack\"\ntimeout = \"2m\"", "alerts.slack.timeout: is too long"),
        ("routing_key_file = \"/pagerduty\"", "url = \"https://events.example\"", "alerts.pagerduty.routing_key_file: is missing"),
        ("routing_key_file = \"/pagerduty\"", "routing_key_file = \"/k\"\nurl = \"http://events.example\"", "alerts.pagerduty.url: would send secrets in the clear"),
        (urls, "", "alerts.alertmanager.urls: is missing; write urls = [\"http://alertmanager.example:9093\"]"),
        (urls, "urls = \"http://one\"", "alerts.alertmanager.urls: must be a list of texts"),
        (urls, "urls = [\"http://one\", \"two:9093\"]", "alerts.alertmanager.urls[1]: is no address"),
        (urls, "urls = [\"http://one/api/v2/alerts\"]", "alerts.alertmanager.urls[0]: must be the Alertmanager's own address"),
        (urls, "urls = [\"http://user:c0ffee@one\"]", "alerts.alertmanager.urls[0]: carries a user"),
        (urls, "urls = [\"http://one\"]\nresend_interval = \"2h\"", "alerts.alertmanager.resend_interval: is too long"),
        (argv, "", "alerts.command.argv: is missing"),
        (argv, "argv = \"/bin/tell c0ffee\"", "alerts.command.argv: must be a list of texts"),
        (argv, "argv = [\"tell\"]", "alerts.command.argv[0]: must be the absolute path of a program"),
        (argv, "argv = [\"/bin/tell\", \"\"]", "alerts.command.argv[1]: is empty"),
    ];
    for (good, bad, expected) in cases {
        let refusal = refusal(&channels(|text| text.replacen(good, bad, 1)), &[]);
        assert_eq!(refusal.lines().count(), 1, "{bad}\n{refusal}");
        assert!(refusal.contains(expected) && !refusal.contains("c0ffee"), "{bad}\n{refusal}");
    }
}

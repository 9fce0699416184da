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
[alerts.kubernetes]
url = "https://kubernetes.default.svc"
namespace = "shop"
[alerts.kubernetes.regarding]
name = "shop-sync-0"
[alerts.command]
argv = ["/bin/tell", "-v", "a b"]
"#;

/// What Kubernetes and the downward API tell a container.
const IN_A_POD: [(&str, &str); 5] = [
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "6443"),
    ("POD_NAMESPACE", "shop"),
    ("POD_NAME", "shop-sync-0"),
    ("POD_UID", "6e1c4a6e"),
];

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
    let kubernetes = alerts.kubernetes.unwrap();
    let account = "/var/run/secrets/kubernetes.io/serviceaccount/";
    assert_eq!(kubernetes.token_file, PathBuf::from(format!("{account}token")));
    assert_eq!(kubernetes.ca_file, Some(PathBuf::from(format!("{account}ca.crt"))));
    assert_eq!(kubernetes.timeout, Duration::from_secs(10));
    let routes = [webhook.route, slack.route, pagerduty.route, alertmanager.route, command.route];
    for route in routes.into_iter().chain([kubernetes.route]) {
        assert_eq!(route, Route::everything());
    }
    for timeout in [slack.timeout, pagerduty.timeout, alertmanager.timeout, command.timeout] {
        assert_eq!(timeout, Duration::from_secs(10));
    }
}

fn in_a_pod(lines: &str) -> Kubernetes {
    let text = format!("{LEAST}[alerts.kubernetes]\n{lines}\n");
    let parsed = parse_with(&text, &IN_A_POD).unwrap_or_else(|error| panic!("{lines}\n{error}"));
    parsed.alerts.kubernetes.unwrap()
}

fn pod() -> Regarding {
    let [api_version, kind, name] = ["v1", "Pod", "shop-sync-0"].map(str::to_owned);
    Regarding { api_version, kind, name, uid: Some("6e1c4a6e".to_owned()) }
}

#[test]
fn in_a_pod_everything_about_the_cluster_is_in_the_environment() {
    let found = in_a_pod("");
    assert_eq!(found.url.as_str(), "https://10.96.0.1:6443/");
    assert_eq!((found.namespace.as_str(), found.instance.as_str()), ("shop", "shop-sync-0"));
    assert_eq!(found.regarding, pod());
    let six: Vec<_> = IN_A_POD.map(|(name, value)| (name, value.replace("10.96.0.1", "fd00::1"))).into();
    let six: Vec<_> = six.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (variables, url) in
        [(&six[..], "https://[fd00::1]:6443/"), (&[six[0], six[2], six[3]], "https://[fd00::1]/")]
    {
        let found = parse_with(&format!("{LEAST}[alerts.kubernetes]\n"), variables).unwrap();
        assert_eq!(found.alerts.kubernetes.unwrap().url.as_str(), url);
    }
}

#[test]
fn another_object_than_the_pod_can_be_named_and_the_pod_still_reports() {
    let found = in_a_pod(
        "[alerts.kubernetes.regarding]\napi_version = \"apps/v1\"\nkind = \"Deployment\"\nname = \"d\"",
    );
    let [api_version, kind, name] = ["apps/v1", "Deployment", "d"].map(str::to_owned);
    assert_eq!(found.regarding, Regarding { api_version, kind, name, uid: None });
    assert_eq!(found.instance, "shop-sync-0");
    // The identifier of our pod is not that of another one.
    let found = in_a_pod("[alerts.kubernetes.regarding]\nname = \"other-0\"");
    assert_eq!((found.regarding.name.as_str(), found.regarding.uid), ("other-0", None));
    let found = in_a_pod("[alerts.kubernetes.regarding]\nuid = \"1-2\"");
    assert_eq!(found.regarding, Regarding { uid: Some("1-2".to_owned()), ..pod() });
    // A proxy on this host has no certificate to verify.
    assert_eq!(in_a_pod("url = \"http://127.0.0.1:8001\"").ca_file, None);
    let outside = parse(&channels(|text| text)).unwrap().alerts.kubernetes.unwrap();
    assert_eq!((outside.instance.as_str(), outside.regarding.uid), ("shop-sync-0", None));
}

#[test]
fn what_is_missing_outside_a_pod_is_said_with_where_it_comes_from() {
    let bare = format!("{LEAST}[alerts.kubernetes]\n");
    let told = refusal(&bare, &[]);
    let lines: Vec<&str> = told.lines().collect();
    for (line, part) in lines.iter().zip([
        "alerts.kubernetes.url: is missing; KUBERNETES_SERVICE_HOST, which every container in a cluster has, is not set",
        "alerts.kubernetes.namespace: is missing; give the container POD_NAMESPACE by the downward API",
        "alerts.kubernetes.regarding.name: is missing; give the container POD_NAME by the downward API",
    ]) {
        assert!(line.contains(part), "{told}");
    }
    assert_eq!(lines.len(), 3, "{told}");
    for (variable, value, expected) in [
        ("POD_NAME", "A b", "POD_NAME: alerts.kubernetes.regarding.name: is no name of Kubernetes"),
        ("POD_NAMESPACE", "../x", "POD_NAMESPACE: alerts.kubernetes.namespace: is no name of Kubernetes"),
        ("KUBERNETES_SERVICE_HOST", "a b", "KUBERNETES_SERVICE_HOST: alerts.kubernetes.url: is no address"),
        ("KUBERNETES_SERVICE_PORT", "x", "alerts.kubernetes.url: is no address"),
    ] {
        let variables = IN_A_POD.map(|(name, usual)| (name, if name == variable { value } else { usual }));
        let told = refusal(&bare, &variables);
        assert!(told.contains(expected) && told.lines().count() == 1, "{variable}: {told}");
    }
    let told = refusal(&format!("{bare}[alerts.kubernetes.regarding]\nkind = \"Service\""), &IN_A_POD);
    assert!(
        told.contains("alerts.kubernetes.regarding.name: is missing; write the name of the object"),
        "{told}"
    );
}

#[test]
fn every_value_of_a_channel_arrives() {
    let more = "timeout = \"1s\"\nseverity = \"critical\"\nstores = [\"a*\", \"b\"]\n";
    let alerts = parse(&channels(|text| {
        text.replace("url_file", &format!("{more}ca_file = \"/ca\"\nurl_file"))
            .replace("routing_key_file", &format!("{more}url = \"http://[::1]:1/\"\nrouting_key_file"))
            .replace(
                "namespace = \"shop\"",
                &format!("{more}namespace = \"n\"\ntoken_file = \"/t\"\nca_file = \"/k\""),
            )
            .replace(
                "name = \"shop-sync-0\"",
                "name = \"p.0\"\nuid = \"u\"\nkind = \"K\"\napi_version = \"g/v2\"",
            )
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
    let kubernetes = alerts.kubernetes.unwrap();
    assert_eq!(kubernetes.namespace, "n");
    assert_eq!((kubernetes.token_file, kubernetes.ca_file), ("/t".into(), Some("/k".into())));
    let [api_version, kind, name] = ["g/v2", "K", "p.0"].map(str::to_owned);
    assert_eq!(kubernetes.regarding, Regarding { api_version, kind, name, uid: Some("u".to_owned()) });
    let stores = ["a*", "b"].map(|pattern| StorePattern::parse(pattern).unwrap()).to_vec();
    let route = Route { severity: Severity::Critical, stores };
    for found in [slack.route, pagerduty.route, alertmanager.route, kubernetes.route, command.route] {
        assert_eq!(found, route);
    }
    let (first, last) = (alertmanager.timeout, command.timeout);
    for timeout in [slack.timeout, pagerduty.timeout, first, kubernetes.timeout, last] {
        assert_eq!(timeout, Duration::from_secs(1));
    }
}

#[test]
fn a_bad_value_of_a_channel_is_refused_at_its_place() {
    let slack = "url_file = \"/slack\"";
    let urls = "urls = [\"http://one:9093\", \"https://two/base/\"]";
    let argv = "argv = [\"/bin/tell\", \"-v\", \"a b\"]";
    let (server, namespace) = ("url = \"https://kubernetes.default.svc\"", "namespace = \"shop\"");
    let name = "name = \"shop-sync-0\"";
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
        (server, "url = \"http://kubernetes.default.svc\"", "alerts.kubernetes.url: would send secrets in the clear"),
        (server, "url = \"https://k/apis/events.k8s.io\"", "alerts.kubernetes.url: must be the API server's own address, without /apis"),
        (server, "url = \"https://c0ffee@k\"", "alerts.kubernetes.url: carries a user"),
        (namespace, "namespace = \"Shop\"", "alerts.kubernetes.namespace: is no name of Kubernetes: at most 63 lower-case letters"),
        (namespace, "namespace = \"a/b\"", "alerts.kubernetes.namespace: is no name of Kubernetes"),
        (namespace, "namespace = \"..\"", "alerts.kubernetes.namespace: is no name of Kubernetes"),
        (namespace, "namespace = \"shop\"\ntoken_file = \"token\"", "alerts.kubernetes.token_file: must be an absolute path"),
        (name, "name = \"shop_sync\"", "alerts.kubernetes.regarding.name: is no name of Kubernetes: at most 253"),
        (name, "kind = \"Pod\"", "alerts.kubernetes.regarding.name: is missing; give the container POD_NAME"),
        (name, "name = \"n\"\nkind = \"a b\"", "alerts.kubernetes.regarding.kind: is no such word of Kubernetes; write it as in \"Pod\""),
        (name, "name = \"n\"\napi_version = \"a_b\"", "alerts.kubernetes.regarding.api_version: is no such word of Kubernetes; write it as in \"v1\""),
        (name, "name = \"n\"\nuid = 7", "alerts.kubernetes.regarding.uid: must be a text in quotes"),
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

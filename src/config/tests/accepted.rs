//! What is accepted, and where each part of it comes from.

use super::*;
use crate::domain::credentials::AddressPolicy;

const TOKEN: &str = "hvs.c0ffee";
const NO_VAULT: &str =
    "[output]\ndirectory = \"/run/credentials\"\n[[stores]]\nname = \"one\"\npath = \"stores/one\"\n";

#[test]
fn the_shortest_file_gets_the_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.vault.address.as_str(), "https://vault.example:8200/");
    assert_eq!(config.vault.poll_interval, Duration::from_secs(60));
    assert_eq!(config.vault.timeout, Duration::from_secs(10));
    assert_eq!(config.vault.concurrency, 16);
    assert!(config.vault.revoke_token_on_exit);
    assert!(!config.vault.tls.skip_verify);
    assert_eq!(config.check.interval, Duration::from_secs(300));
    assert_eq!(config.check.timeout, Duration::from_secs(10));
    assert_eq!(config.check.confirmations, 3);
    assert_eq!(config.check.confirmation_spacing, Duration::from_secs(60));
    assert_eq!(config.check.stale_after, Duration::from_secs(3600));
    assert_eq!(config.check.certificate_warning, Some(Duration::from_secs(14 * 24 * 3600)));
    assert_eq!(config.check.concurrency, 32);
    assert_eq!(config.check.hosts, AddressPolicy::PublicOnly.into());
    assert!(config.check.verify_before_publish);
    assert_eq!((config.output.file_mode, config.output.directory_mode), (0o440, 0o750));
    assert_eq!((config.output.owner, config.output.group), (None, None));
    assert_eq!(config.state.directory, PathBuf::from("/var/lib/bc-secrets-sync"));
    assert_eq!(config.http.listen, Some("127.0.0.1:9847".parse().unwrap()));
    assert_eq!(config.log.level, tracing::Level::INFO);
    assert_eq!(config.log.format, LogFormat::Auto);
    assert_eq!(config.alerts.repeat_interval, Duration::from_secs(4 * 3600));
    assert!(config.alerts.webhook.is_none());
    assert_eq!(config.stores.len(), 1);
    assert_eq!(config.stores[0].mount, "secret");
    assert_eq!(config.stores[0].fields, FieldNames::default());
}

#[test]
fn every_value_of_a_full_file_arrives() {
    let config = parse(
        r#"
[vault]
address = "http://10.0.0.1:8200/base/"
allow_plain_http = true
namespace = "admin/team/"
mount = "kv"
poll_interval = "2s"
timeout = "3s"
concurrency = 4
revoke_token_on_exit = false
[vault.tls]
ca_file = "/ca.pem"
ca_directory = "/ca.d/"
client_certificate_file = "/c.pem"
client_key_file = "/k.pem"
server_name = "vault.internal"
[vault.auth.approle]
mount = "team/approle"
role_id_file = "/role"
secret_id_file = "/secret"
[check]
interval = "1s"
timeout = "100ms"
confirmations = 1
confirmation_spacing = "200ms"
stale_after = "1s 1ms"
certificate_warning = "off"
concurrency = 256
allowed_hosts = ["shop.example", "*.mybigcommerce.com"]
allow_private_addresses = true
ca_file = "/store.pem"
verify_before_publish = false
[output]
directory = "/out//here/./"
file_mode = "640"
directory_mode = "0700"
owner = "root"
group = 12
[state]
directory = "/state"
[http]
listen = "off"
[log]
level = "trace"
format = "json"
[alerts]
repeat_interval = "1s"
[alerts.webhook]
url = "http://[::1]:9000/hook?team=a"
signing_secret_file = "/whsec"
timeout = "1s"
ca_file = "/hook.pem"
[[stores]]
name = "One"
path = "a/b"
[[stores]]
name = "two"
mount = "other/kv"
path = "a/b"
fields = { username = "user", api_token = "token" }
"#,
    )
    .unwrap();
    let vault = &config.vault;
    assert_eq!(vault.address.as_str(), "http://10.0.0.1:8200/base");
    assert_eq!(vault.namespace.as_deref(), Some("admin/team"));
    assert_eq!((vault.poll_interval, vault.timeout), (Duration::from_secs(2), Duration::from_secs(3)));
    assert_eq!((vault.concurrency, vault.revoke_token_on_exit), (4, false));
    assert_eq!(vault.tls.ca_file, Some("/ca.pem".into()));
    assert_eq!(vault.tls.ca_directory, Some("/ca.d".into()));
    assert_eq!(vault.tls.client, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!(vault.tls.server_name.as_deref(), Some("vault.internal"));
    let Auth::AppRole { mount, role_id_file, secret_id_file, wrapping_path: None } = &vault.auth else {
        panic!("{:?}", vault.auth)
    };
    assert_eq!(mount, "team/approle");
    assert_eq!((role_id_file, secret_id_file), (&PathBuf::from("/role"), &PathBuf::from("/secret")));
    assert_eq!(config.check.interval, Duration::from_secs(1));
    assert_eq!(config.check.timeout, Duration::from_millis(100));
    assert_eq!(config.check.confirmations, 1);
    assert_eq!(config.check.confirmation_spacing, Duration::from_millis(200));
    assert_eq!(config.check.stale_after, Duration::from_millis(1001));
    assert_eq!(config.check.certificate_warning, None);
    assert_eq!(config.check.concurrency, 256);
    assert_eq!(config.check.hosts.addresses, AddressPolicy::AllowPrivate);
    let named = |host| config.check.hosts.lists(host);
    assert!(named("shop.example") && named("store-a.mybigcommerce.com") && !named("www.shop.example"));
    assert_eq!(config.check.ca_file, Some("/store.pem".into()));
    assert!(!config.check.verify_before_publish);
    let output = Output {
        directory: "/out/here".into(),
        file_mode: 0o640,
        directory_mode: 0o700,
        owner: Some(0),
        group: Some(12),
    };
    assert_eq!(config.output, output);
    assert_eq!(config.output.directory.as_os_str(), "/out/here");
    assert_eq!(config.state.directory, PathBuf::from("/state"));
    assert_eq!(config.http.listen, None);
    assert_eq!((config.log.level, config.log.format), (tracing::Level::TRACE, LogFormat::Json));
    assert_eq!(config.alerts.repeat_interval, Duration::from_secs(1));
    let webhook = config.alerts.webhook.as_ref().unwrap();
    assert_eq!(webhook.url.as_str(), "http://[::1]:9000/hook?team=a");
    assert_eq!(webhook.signing_secret_file, PathBuf::from("/whsec"));
    assert_eq!(webhook.timeout, Duration::from_secs(1));
    assert_eq!(webhook.ca_file, Some("/hook.pem".into()));
    let [one, two] = config.stores.as_slice() else { panic!("{:?}", config.stores) };
    assert_eq!((one.name.as_str(), one.mount.as_str(), one.path.as_str()), ("One", "kv", "a/b"));
    assert_eq!((two.name.as_str(), two.mount.as_str(), two.path.as_str()), ("two", "other/kv", "a/b"));
    assert_eq!(two.fields.username, "user");
    assert_eq!(two.fields.api_token, "token");
    assert_eq!(two.fields.api_path, "api_path");
}

#[test]
fn the_environment_fills_in_what_the_file_leaves_out() {
    let config = parse_with(
        NO_VAULT,
        &[
            ("VAULT_ADDR", "https://v:8200"),
            ("VAULT_TOKEN", TOKEN),
            ("VAULT_NAMESPACE", "team"),
            ("VAULT_CACERT", "/ca.pem"),
            ("VAULT_CAPATH", "/ca.d"),
            ("VAULT_CLIENT_CERT", "/c.pem"),
            ("VAULT_CLIENT_KEY", "/k.pem"),
            ("VAULT_TLS_SERVER_NAME", "v.internal"),
            ("VAULT_SKIP_VERIFY", "T"),
            ("STATE_DIRECTORY", "/var/lib/private/x"),
        ],
    )
    .unwrap();
    assert_eq!(config.vault.address.as_str(), "https://v:8200/");
    assert!(matches!(&config.vault.auth, Auth::Token(token) if token.expose() == TOKEN));
    assert_eq!(config.vault.namespace.as_deref(), Some("team"));
    let tls = &config.vault.tls;
    assert_eq!((&tls.ca_file, &tls.ca_directory), (&Some("/ca.pem".into()), &Some("/ca.d".into())));
    assert_eq!(tls.client, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!(tls.server_name.as_deref(), Some("v.internal"));
    assert!(tls.skip_verify);
    assert_eq!(config.state.directory, PathBuf::from("/var/lib/private/x"));
    assert!(!format!("{config:?}").contains(TOKEN));
}

#[test]
fn openbao_wins_over_vault_unless_it_is_empty() {
    let both = [("VAULT_ADDR", "https://vault"), ("VAULT_TOKEN", TOKEN)];
    let config = parse_with(NO_VAULT, &[&both[..], &[("BAO_ADDR", "https://bao")]].concat()).unwrap();
    assert_eq!(config.vault.address.as_str(), "https://bao/");
    let config = parse_with(NO_VAULT, &[&both[..], &[("BAO_ADDR", "")]].concat()).unwrap();
    assert_eq!(config.vault.address.as_str(), "https://vault/");
}

#[test]
fn the_file_wins_over_the_environment_even_over_nonsense_there() {
    let text = with("vault", "namespace = \"\"") + "[state]\ndirectory = \"/state\"\n";
    let config = parse_with(
        &text,
        &[
            ("BAO_ADDR", "nonsense"),
            ("BAO_NAMESPACE", "other"),
            ("BAO_TOKEN", "two words"),
            ("STATE_DIRECTORY", "/a:/b"),
        ],
    )
    .unwrap();
    assert_eq!(config.vault.address.as_str(), "https://vault.example:8200/");
    assert_eq!(config.vault.namespace, None);
    assert!(matches!(config.vault.auth, Auth::TokenFile(_)));
    assert_eq!(config.state.directory, PathBuf::from("/state"));
}

#[test]
fn the_environment_does_not_widen_the_trust_that_the_file_gives() {
    let text = with(
        "vault.tls",
        "ca_file = \"/ca.pem\"\nclient_certificate_file = \"/c\"\nclient_key_file = \"/k\"",
    );
    let config = parse_with(&text, &[("VAULT_CAPATH", "/ca.d"), ("VAULT_CLIENT_CERT", "/other")]).unwrap();
    assert_eq!(config.vault.tls.ca_directory, None);
    assert_eq!(config.vault.tls.client, Some(("/c".into(), "/k".into())));
}

#[test]
fn skip_verify_is_read_as_go_reads_it() {
    for (text, skip) in [("1", true), ("True", true), ("0", false), ("F", false), ("", false)] {
        let config = parse_with(LEAST, &[("VAULT_SKIP_VERIFY", text)]).unwrap();
        assert_eq!(config.vault.tls.skip_verify, skip, "{text:?}");
    }
}

#[test]
fn a_file_may_be_one_of_the_units_credentials() {
    for prefix in ["%d", "$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"] {
        let text = LEAST.replace("/run/token", &format!("{prefix}/token"));
        let config = parse_with(&text, &[("CREDENTIALS_DIRECTORY", "/run/credentials/x.service")]).unwrap();
        let Auth::TokenFile(path) = &config.vault.auth else { panic!("{:?}", config.vault.auth) };
        assert_eq!(path, &PathBuf::from("/run/credentials/x.service/token"));
    }
}

#[test]
fn plain_http_is_fine_on_this_host() {
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "LOCALHOST."] {
        parse(&LEAST.replace("https://vault.example", &format!("http://{host}"))).unwrap();
    }
}

#[test]
fn fields_may_be_a_table_of_their_own() {
    let config = parse(&format!("{LEAST}[stores.fields]\nusername = \"user\"\n")).unwrap();
    assert_eq!(config.stores[0].fields.username, "user");
}

#[test]
fn a_file_is_loaded_and_a_missing_or_unreadable_one_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("config.toml");
    let load = || Config::load(&path, &Environment::empty()).map_err(|error| error.to_string());
    let error = load().unwrap_err();
    assert!(error.contains("config.toml: the configuration cannot be read"), "{error}");
    std::fs::write(&path, LEAST).unwrap();
    assert_eq!(load().unwrap().stores.len(), 1);
    std::fs::write(&path, b"[vault]\n# caf\xe9 hvs.c0ffee\n").unwrap();
    let error = load().unwrap_err();
    assert!(error.ends_with("config.toml:2:6: this is no UTF-8; save the file as UTF-8"), "{error}");
}

#[test]
fn a_mount_has_the_version_that_is_given_for_it_and_for_no_other() {
    let text = r#"
        [vault]
        address = "http://127.0.0.1:8200"
        mount = "kv"
        kv_version = 1
        [vault.auth.token_file]
        path = "/token"
        [output]
        directory = "/out"
        [state]
        directory = "/state"
        [[stores]]
        name = "default"
        path = "a"
        [[stores]]
        name = "named"
        mount = "kv"
        path = "a"
        [[stores]]
        name = "other"
        mount = "secret"
        path = "a"
        version = 7
        fields = { json_field = "credentials" }
        [[stores]]
        name = "given"
        mount = "secret"
        path = "a"
        kv_version = 2
    "#;
    let config = parse(text).unwrap();
    let locations = config.stores.iter().map(Store::location);
    let found: Vec<_> = locations.map(|location| (location.kv_version, location.pinned)).collect();
    let (one, two) = (Some(KvVersion::One), Some(KvVersion::Two));
    assert_eq!(found, [(one, None), (one, None), (None, Some(7)), (two, None)]);
    assert_eq!(config.stores[2].fields.json_field.as_deref(), Some("credentials"));

    let pinned = text.replace("name = \"named\"", "name = \"named\"\nversion = 7");
    let refused = refusal(&pinned, &[]);
    assert!(refused.contains("stores[1].version: cannot be pinned where kv_version is 1"), "{refused}");
}

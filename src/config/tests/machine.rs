//! What the machine must offer before the daemon starts.

use std::fs;

use super::*;

/// A configuration all of whose files and directories are in one temporary directory.
fn config(root: &std::path::Path, change: impl FnOnce(String) -> String) -> Config {
    let text = r#"
[vault]
address = "https://vault.example:8200"
[vault.tls]
ca_file = "ROOT/ca.pem"
[vault.auth.approle]
role_id_file = "ROOT/role"
secret_id_file = "ROOT/secret"
[output]
directory = "ROOT/output"
[state]
directory = "ROOT/new/state"
[alerts.webhook]
url = "https://alerts.example"
signing_secret_file = "ROOT/whsec"
[[stores]]
name = "one"
path = "stores/one"
"#;
    for name in ["ca.pem", "role", "secret", "whsec"] {
        fs::write(root.join(name), "something").unwrap();
    }
    fs::create_dir(root.join("output")).unwrap();
    parse(&change(text.to_owned()).replace("ROOT", root.to_str().unwrap())).unwrap()
}

fn complaints(config: &Config) -> Vec<(String, String)> {
    match preflight(config) {
        Ok(()) => Vec::new(),
        Err(error) => {
            error.problems().iter().map(|problem| (problem.key.clone(), problem.message.clone())).collect()
        }
    }
}

#[test]
fn a_machine_that_has_everything_passes_and_nothing_is_created() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text);
    assert_eq!(complaints(&config), []);
    assert!(!root.path().join("new").exists());
    assert_eq!(fs::read_dir(root.path().join("output")).unwrap().count(), 0);
}

#[test]
fn everything_that_is_missing_or_unusable_is_told_at_once() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| {
        text.replace("ROOT/output", "ROOT/role/output").replace("ROOT/new", "ROOT/whsec/new")
            + "[http]\nreport_token_file = \"ROOT/token\"\ntoken_file = \"ROOT/other\"\n[http.tls]\n\
               certificate_file = \"ROOT/new\"\nkey_file = \"ROOT/secret\"\n[control]\nsocket = \"ROOT/run/a.sock\"\n"
    });
    fs::remove_file(root.path().join("ca.pem")).unwrap();
    fs::write(root.path().join("secret"), "").unwrap();
    fs::write(root.path().join("whsec"), vec![b'x'; (64 << 10) + 1]).unwrap();
    let expected = [
        ("vault.tls.ca_file", "does not exist"),
        ("vault.auth.approle.secret_id_file", "is empty"),
        ("http.tls.certificate_file", "does not exist"),
        ("http.tls.key_file", "is empty"),
        ("http.token_file", "does not exist"),
        ("http.report_token_file", "does not exist"),
        ("alerts.webhook.signing_secret_file", "at most 65536"),
        ("control.socket", "does not exist"),
        ("output.directory", "Not a directory"),
        ("state.directory", "Not a directory"),
    ];
    let found = complaints(&config);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((key, message), (expected_key, part)) in found.iter().zip(expected) {
        assert_eq!(key, expected_key);
        assert!(message.contains(part), "{key}: {message}");
    }
}

#[test]
fn a_directory_is_no_file_and_a_file_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| {
        text.replace("ROOT/role", "ROOT/output")
            .replace("ca_file = \"ROOT/ca.pem\"", "ca_directory = \"ROOT/ca.pem\"")
            .replace("ROOT/new/state", "ROOT/whsec")
    });
    let found = complaints(&config);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = ["vault.auth.approle.role_id_file", "vault.tls.ca_directory", "state.directory"];
    assert_eq!(keys, expected, "{found:?}");
}

#[test]
fn the_files_and_the_program_of_every_channel_are_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| {
        let channels = "\
ca_file = \"ROOT/a\"
[alerts.slack]
url_file = \"ROOT/b\"
ca_file = \"ROOT/c\"
[alerts.pagerduty]
routing_key_file = \"ROOT/d\"
ca_file = \"ROOT/e\"
[alerts.alertmanager]
urls = [\"http://one\"]
ca_file = \"ROOT/f\"
[alerts.kubernetes]
url = \"https://kubernetes\"
namespace = \"shop\"
token_file = \"ROOT/g\"
ca_file = \"ROOT/h\"
regarding = { name = \"pod\" }
[alerts.command]
argv = [\"ROOT/role\"]
[[stores]]";
        text.replace("[[stores]]", channels)
    });
    let found = complaints(&config);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "alerts.slack.url_file",
        "alerts.pagerduty.routing_key_file",
        "alerts.kubernetes.token_file",
        "alerts.webhook.ca_file",
        "alerts.slack.ca_file",
        "alerts.pagerduty.ca_file",
        "alerts.kubernetes.ca_file",
        "alerts.alertmanager.ca_file",
        "alerts.command.argv",
    ];
    assert_eq!(keys, expected, "{found:?}");
    assert!(found[8].1.contains("role cannot be run: Permission denied"), "{found:?}");
}

#[test]
fn a_pipe_is_refused_without_waiting_for_it() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text);
    let secret = root.path().join("secret");
    fs::remove_file(&secret).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &secret,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let found = complaints(&config);
    assert!(found.len() == 1 && found[0].1.contains("no regular file"), "{found:?}");
}

#[test]
fn a_bundle_of_a_system_is_not_too_large() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text);
    fs::write(root.path().join("ca.pem"), vec![b'x'; 300 << 10]).unwrap();
    assert_eq!(complaints(&config), []);
}

#[test]
fn a_link_does_not_bring_the_state_into_the_output() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text.replace("ROOT/new/state", "ROOT/link"));
    fs::create_dir(root.path().join("output/state")).unwrap();
    std::os::unix::fs::symlink(root.path().join("output/state"), root.path().join("link")).unwrap();
    let found = complaints(&config);
    assert!(found.len() == 1 && found[0].1.contains("lies in it"), "{found:?}");
}

#[test]
fn a_link_that_leads_nowhere_is_no_place_for_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text.replace("ROOT/new/state", "ROOT/link"));
    std::os::unix::fs::symlink(root.path().join("gone"), root.path().join("link")).unwrap();
    let found = complaints(&config);
    assert!(found.len() == 1 && found[0].0 == "state.directory", "{found:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    if rustix::process::geteuid().is_root() {
        return; // Every directory can be written by root.
    }
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| text);
    fs::set_permissions(root.path().join("output"), fs::Permissions::from_mode(0o555)).unwrap();
    let found = complaints(&config);
    assert!(found.len() == 1 && found[0].1.contains("cannot be written"), "{found:?}");
}

#[test]
fn a_key_is_told_with_its_line_and_one_that_the_file_does_not_have_with_where_it_comes_from() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("config.toml");
    let nowhere = root.path().join("nowhere").display().to_string();
    let text = format!(
        r#"[vault]
address = "https://vault.example:8200"
auth.jwt = {{ role = "r", token_file = "{nowhere}" }}
[output]
directory = "/run/credentials"
files = [
  {{ name = "a", format = "json" }},
  {{ name = "b.json", format = "template", template = "{nowhere}" }},
]
[[stores]]
name = "one"
path = "stores/one"
[[stores]]
name = "two"
path = "stores/two"
[stores.reload]
url = "https://app.example"
bearer_token_file = "{nowhere}"
"#
    );
    fs::write(&file, &text).unwrap();
    let config = Config::load(&file, &environment(&[("VAULT_CACERT", &nowhere)])).unwrap();
    let error = preflight(&config).unwrap_err().located(&file);
    let found: Vec<String> = error
        .problems()
        .iter()
        .filter(|problem| problem.message.contains("nowhere"))
        .map(|problem| problem.to_string().replace(root.path().to_str().unwrap(), ""))
        .collect();
    let missing = "/nowhere does not exist; put it there, or correct the path";
    let expected = [
        format!("/config.toml:3:39: vault.auth.*.token_file: {missing}"),
        format!("/config.toml:8:54: output.files[1].template: {missing}"),
        format!("/config.toml:18:21: stores[1].reload.bearer_token_file: {missing}"),
        format!(
            "/config.toml: vault.tls.ca_file: {missing}; that is the default or comes from the environment: the \
             file does not say it"
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_files_that_are_read_with_the_configuration_only_are_known() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), |text| {
        text.replace(
            "[[stores]]",
            "ca_file = \"ROOT/ca.pem\"\n[check]\nca_file = \"ROOT/ca.pem\"\n[[stores]]",
        ) + "[[stores.files]]\nname = \"a.json\"\nformat = \"template\"\ntemplate = \"ROOT/a.j2\"\n\
               [stores.reload]\nurl = \"https://app.example\"\nca_file = \"ROOT/ca.pem\"\n"
    });
    let named = named_files(&config);
    let found: Vec<&str> = named.iter().filter(|file| file.read_at_load).map(|file| &*file.key).collect();
    assert_eq!(found, ["check.ca_file", "alerts.webhook.ca_file", "stores[0].files[0].template"]);
}

//! The example is the reference: it parses, it has every key, and its defaults are the real ones.

use super::*;

const EXAMPLE: &str = include_str!("../../../config.example.toml");
/// How a line ends that shows no default.
const OPTIONAL: &str = "# (example)";

fn parse_example(text: &str) -> Config {
    parse_with(text, &[("CREDENTIALS_DIRECTORY", "/run/credentials/unit")])
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What a commented line says when it is uncommented, if it is a key or a table.
fn uncommented(line: &str) -> Option<&str> {
    let inside = line.strip_prefix("# ")?;
    let key =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_key = inside.split_once(" = ").is_some_and(|(name, _)| key(name));
    (is_key || inside.starts_with('[')).then_some(inside)
}

/// Which commented keys are uncommented, beside the tables.
#[derive(Clone, Copy, PartialEq)]
enum Uncomment {
    Everything,
    AllButDefaults,
}

/// What cannot stand beside one another: the ways to log in, and those to tell an app.
const LOG_INS: [&str; 6] = ["approle", "kubernetes", "jwt", "cert", "userpass", "token_file"];
const NO_COMMAND: [&str; 2] = ["command", "shell"];
const NO_REQUEST: [&str; 5] = ["url", "method", "bearer_token_file", "ca_file", "expected_statuses"];
const NO_SIGNAL: [&str; 3] = ["pid_file", "process", "signal"];

/// The keys of the other ways to tell an app, for each way.
fn hooks() -> [Vec<&'static str>; 3] {
    let signal = [&NO_COMMAND[..], &NO_REQUEST, &["timeout"]].concat();
    [[&NO_REQUEST[..], &NO_SIGNAL].concat(), [&NO_COMMAND[..], &NO_SIGNAL].concat(), signal]
}

/// The example with what was commented, with these ways to log in, and without some keys of the hook.
fn example(uncomment: Uncomment, log_ins: &[&str], hook: &[&str]) -> String {
    let mut text = String::new();
    let (mut skipping, mut in_hook) = (false, false);
    for line in EXAMPLE.lines() {
        let is_default = |inside: &str| !inside.starts_with('[') && !inside.ends_with(OPTIONAL);
        let line = match uncommented(line) {
            Some(inside) if uncomment == Uncomment::Everything || !is_default(inside) => inside,
            _ => line,
        };
        if line.starts_with('[') {
            let log_in = line.strip_prefix("[vault.auth.").and_then(|rest| rest.strip_suffix(']'));
            skipping = log_in.is_some_and(|log_in| !log_ins.contains(&log_in));
            in_hook = line == "[stores.reload]";
        }
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        // A proxy and another name of the server cannot stand beside one another either.
        let is_left_out = in_hook && hook.contains(&key) || !hook.is_empty() && key == "proxy";
        if !(skipping || is_left_out) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// All keys that exist, asked of the code itself: a refusal of an unknown key names those there are.
fn keys_of(table: &str, found: &mut Vec<String>) {
    let header = match table {
        "" => String::new(),
        "stores" => "[[stores]]\n".to_owned(),
        "output.files" => "[[output.files]]\n".to_owned(),
        "stores.files" => "[[stores]]\n[[stores.files]]\n".to_owned(),
        table if table.starts_with("stores.") => format!("[[stores]]\n[{table}]\n"),
        table => format!("[{table}]\n"),
    };
    let refusal = refusal(&format!("{header}no-such-key = 1\n"), &[]);
    if let Some((_, keys)) = refusal.split_once("there are: ") {
        for key in keys.split(", ") {
            let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            found.push(path.clone());
            if path.matches('.').count() < 4 {
                keys_of(&path, found);
            }
        }
    }
}

#[test]
fn it_parses_as_it_is() {
    let config = parse_example(EXAMPLE);
    assert_eq!(config.stores.len(), 1);
    assert!(matches!(config.vault.auth, Auth::AppRole { .. }));
}

#[test]
fn its_defaults_are_the_real_ones() {
    let [command, request, signal] = hooks();
    let ways = LOG_INS.iter().map(|log_in| (log_in, &command));
    for (log_in, hook) in ways.chain([(&"approle", &request), (&"approle", &signal)]) {
        let stated = example(Uncomment::Everything, &[log_in], hook);
        let left_out = example(Uncomment::AllButDefaults, &[log_in], hook);
        let keys = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(keys(&stated) > keys(&left_out) + 20);
        assert_eq!(format!("{:#?}", parse_example(&stated)), format!("{:#?}", parse_example(&left_out)));
    }
}

#[test]
fn it_parses_with_everything_uncommented() {
    let mut told = Vec::new();
    for hook in hooks() {
        let config = parse_example(&example(Uncomment::Everything, &["approle"], &hook));
        assert!(matches!(config.vault.auth, Auth::AppRole { .. }));
        assert!(config.alerts.webhook.is_some() && config.vault.tls.client.is_some());
        assert!(config.alerts.slack.is_some() && config.alerts.pagerduty.is_some());
        assert!(config.alerts.alertmanager.is_some() && config.alerts.command.is_some());
        assert!(config.alerts.kubernetes.is_some_and(|kubernetes| kubernetes.regarding.uid.is_some()));
        told.push(config.stores[0].reload.clone().unwrap().hook);
    }
    assert!(matches!(told.as_slice(), [Hook::Command { .. }, Hook::Request(_), Hook::Signal { .. }]));
    let [hook, ..] = hooks();
    let log_in = |name| parse_example(&example(Uncomment::Everything, &[name], &hook)).vault.auth;
    assert!(matches!(log_in("token_file"), Auth::TokenFile(_)));
    assert!(matches!(log_in("kubernetes"), Auth::Jwt { mount, role: Some(_), .. } if mount == "kubernetes"));
    assert!(matches!(log_in("jwt"), Auth::Jwt { mount, .. } if mount == "jwt"));
    assert!(matches!(log_in("cert"), Auth::Certificate { role: Some(_), .. }));
    assert!(matches!(log_in("userpass"), Auth::Userpass { .. }));
}

#[test]
fn it_has_every_key() {
    let mut keys = Vec::new();
    keys_of("", &mut keys);
    assert!(keys.contains(&"stores.fields.api_path".to_owned()), "{keys:?}");
    for key in ["output.files.escape", "stores.files.template"] {
        assert!(keys.contains(&key.to_owned()), "{key}");
    }
    assert!(keys.contains(&"vault.auth.approle.role_id_file".to_owned()), "{keys:?}");
    assert!(keys.len() > 50, "{keys:?}");
    let text = example(Uncomment::Everything, &LOG_INS, &[]);
    let document: toml::Table = toml::from_str(&text).unwrap();
    for key in keys {
        let mut here = Some(toml::Value::Table(document.clone()));
        // The tables within are those of a store, with all of their keys there.
        let shared = ["fields.", "files.", "reload."];
        let inner =
            key.strip_prefix("discover.").filter(|inner| shared.iter().any(|at| inner.starts_with(at)));
        let where_it_is = inner.map_or(key.clone(), |inner| format!("stores.{inner}"));
        for segment in where_it_is.split('.') {
            // `stores` is a list; its first table has every key.
            let first = |value: toml::Value| value.get(0).cloned().unwrap_or(value);
            here = here.and_then(|value| first(value).get(segment).cloned());
        }
        assert!(here.is_some(), "{key} is not in the example");
    }
}

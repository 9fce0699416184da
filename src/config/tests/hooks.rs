//! What is accepted and refused of `[stores.reload]`.

use super::*;

/// The shortest configuration with these lines in the store's hook.
fn hook(lines: &str) -> String {
    format!("{LEAST}[stores.reload]\n{lines}\n")
}

fn parsed(lines: &str) -> Reload {
    match parse(&hook(lines)) {
        Ok(config) => config.stores[0].reload.clone().unwrap(),
        Err(error) => panic!("{lines}: {error}"),
    }
}

fn refused(lines: &str, key: &str, words: &str) {
    let refusal = refusal(&hook(lines), &[]);
    assert!(refusal.contains(&format!("stores[0].reload.{key}")), "{lines}: {refusal}");
    assert!(refusal.contains(words), "{lines}: {refusal}");
}

#[test]
fn each_way_to_tell_an_app_needs_one_key() {
    let reload = parsed("command = [\"/usr/sbin/nginx\", \"-s\", \"reload\"]");
    assert_eq!((reload.min_interval, reload.retries), (Duration::from_secs(5), 3));
    let argv = ["/usr/sbin/nginx", "-s", "reload"].map(str::to_owned).to_vec();
    assert_eq!(reload.hook, Hook::Command { argv, timeout: Duration::from_secs(10) });

    let Hook::Request(request) = parsed("url = \"http://app.example:8080/-/reload\"").hook else { panic!() };
    assert_eq!((request.method, request.expected_statuses), (Method::Post, None));
    assert_eq!((request.bearer_token_file, request.ca_file), (None, None));
    assert_eq!(request.timeout, Duration::from_secs(10));

    let signal = ReloadSignal::Hup;
    let path = PathBuf::from("/app.pid");
    let target = Target::PidFile { path: path.clone(), name: None };
    assert_eq!(parsed("pid_file = \"/app.pid\"").hook, Hook::Signal { target, signal });
    let target = Target::Named("nginx".into());
    assert_eq!(parsed("process = \"nginx\"").hook, Hook::Signal { target, signal });
    let target = Target::PidFile { path, name: Some("nginx".into()) };
    assert_eq!(
        parsed("pid_file = \"/app.pid\"\nprocess = \"nginx\"\nsignal = \"TERM\"").hook,
        Hook::Signal { target, signal: ReloadSignal::Term }
    );
}

#[test]
fn every_value_of_a_hook_arrives() {
    let reload = parsed(
        "url = \"https://app.example/x\"\nmethod = \"PUT\"\nbearer_token_file = \"/token\"\nca_file = \"/ca\"\n\
         expected_statuses = [200, 404]\ntimeout = \"2s\"\nmin_interval = \"0s\"\nretries = 0",
    );
    assert_eq!((reload.min_interval, reload.retries), (Duration::ZERO, 0));
    let Hook::Request(request) = reload.hook else { panic!() };
    assert_eq!((request.method, request.url.as_str()), (Method::Put, "https://app.example/x"));
    assert_eq!(request.bearer_token_file, Some("/token".into()));
    assert_eq!(request.ca_file, Some("/ca".into()));
    assert_eq!(request.expected_statuses, Some(vec![200, 404]));
    assert_eq!(request.timeout, Duration::from_secs(2));
}

#[test]
fn a_shell_runs_a_command_only_when_it_is_asked_for() {
    let Hook::Command { argv, .. } = parsed("command = [\"nginx -t && nginx -s reload\"]\nshell = true").hook
    else {
        panic!()
    };
    assert_eq!(argv, ["/bin/sh", "-c", "nginx -t && nginx -s reload"]);
    refused(
        "command = [\"nginx\", \"-t\"]\nshell = true",
        "command",
        "must be a list of one text with shell = true",
    );
    refused("command = [\"/usr/sbin/nginx -s reload\"]", "command", "or set shell = true");
    refused("command = [\"nginx\", \"-t\"]", "command[0]", "absolute path of a program");
    refused("command = \"/bin/true\"", "command", "must be a list of texts");
    refused("command = []", "command", "is an empty list");
}

#[test]
fn an_app_is_told_in_exactly_one_way() {
    refused("signal = \"HUP\"", "pid_file", "is missing; write pid_file");
    refused("min_interval = \"1s\"", "pid_file", "one of process, command and url");
    let all = ["command = [\"/bin/true\"]", "url = \"http://127.0.0.1/\"", "pid_file = \"/pid\""];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let key = all[other].split(' ').next().unwrap();
        refused(&format!("{}\n{}", all[one], all[other]), key, "an app is told in one way");
    }
    refused(&format!("{}\nprocess = \"nginx\"", all[1]), "process", "stands beside url");
}

#[test]
fn a_key_of_another_way_is_refused_with_the_way_that_it_belongs_to() {
    let (command, request, signal) =
        ("command = [\"/bin/true\"]", "url = \"http://127.0.0.1/\"", "process = \"nginx\"");
    for (way, line, home) in [
        (command, "method = \"GET\"", "url"),
        (command, "bearer_token_file = \"/token\"", "url"),
        (command, "ca_file = \"/ca\"", "url"),
        (command, "expected_statuses = [200]", "url"),
        (command, "signal = \"HUP\"", "pid_file or process"),
        (request, "shell = true", "command"),
        (request, "signal = \"HUP\"", "pid_file or process"),
        (signal, "shell = false", "command"),
        (signal, "method = \"GET\"", "url"),
        (signal, "timeout = \"1s\"", "command or url"),
    ] {
        let key = line.split(' ').next().unwrap();
        refused(&format!("{way}\n{line}"), key, &format!("belongs to {home}, and does nothing"));
    }
}

#[test]
fn what_makes_no_sense_of_a_hook_is_refused_with_what_to_write() {
    let request = "url = \"http://127.0.0.1/\"";
    for (lines, key, words) in [
        ("process = \"/usr/sbin/nginx\"".to_owned(), "process", "no path; write \"nginx\""),
        ("process = \"\"".to_owned(), "process", "is empty"),
        ("pid_file = \"app.pid\"".to_owned(), "pid_file", "absolute path"),
        (
            "process = \"nginx\"\nsignal = \"KILL\"".to_owned(),
            "signal",
            "\"HUP\", \"USR1\", \"USR2\", \"TERM\"",
        ),
        ("url = \"ftp://x\"".to_owned(), "url", "is no address"),
        ("url = \"http://user:pass@x\"".to_owned(), "url", "carries a user or a password"),
        (format!("{request}\nmethod = \"DELETE\""), "method", "must be one of"),
        (format!("{request}\nexpected_statuses = 200"), "expected_statuses", "must be a list of statuses"),
        (format!("{request}\nexpected_statuses = []"), "expected_statuses", "must be a list of statuses"),
        (format!("{request}\nexpected_statuses = [99]"), "expected_statuses[0]", "from 200 to 599"),
        (format!("{request}\ntimeout = \"2m\""), "timeout", "is too long"),
        (format!("{request}\nmin_interval = \"2days\""), "min_interval", "is too long"),
        (format!("{request}\nretries = 21"), "retries", "from 0 to 20"),
    ] {
        refused(&lines, key, words);
    }
}

#[test]
fn a_token_travels_in_the_clear_to_this_host_only() {
    let token = "bearer_token_file = \"/token\"";
    refused(&format!("url = \"http://app.example/\"\n{token}"), "url", "would send the token");
    for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/", "https://app.example/"] {
        parsed(&format!("url = \"{url}\"\n{token}"));
    }
}

#[test]
fn the_machine_must_have_the_command_and_the_files_of_a_hook() {
    let root = tempfile::tempdir().unwrap();
    let complaints = |lines: &str| {
        let text = hook(lines).replace("/run/credentials", root.path().join("output").to_str().unwrap());
        let text = text.replace("/run/token", "/etc/hostname");
        let state = format!("[state]\ndirectory = \"{}\"\n", root.path().join("state").display());
        let config = parse(&format!("{text}{state}")).unwrap();
        preflight(&config).map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    assert_eq!(complaints("command = [\"/bin/sh\"]"), "");
    let complaint = complaints("command = [\"/nowhere/tell\"]");
    assert!(complaint.contains("stores[0].reload.command: /nowhere/tell does not exist"), "{complaint}");
    let complaint =
        complaints("url = \"https://127.0.0.1/\"\nbearer_token_file = \"/no/token\"\nca_file = \"/no/ca\"");
    for key in ["stores[0].reload.bearer_token_file: /no/token", "stores[0].reload.ca_file: /no/ca"] {
        assert!(complaint.contains(key), "{complaint}");
    }
    assert_eq!(complaints("pid_file = \"/nowhere/app.pid\""), "", "the app may not run yet");
}

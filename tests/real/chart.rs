//! The chart: what it makes of values beside those of its examples, and what it refuses.

use std::process::Command;

use serde_json::{Value, json};

use super::manifests::{WAYS, deploy, list, of_kind, output, workload};
use super::schemas;

/// Runs helm, which is installed beside the Python with the packages.
fn helm(arguments: &[&str]) -> Command {
    let mut command = Command::new(schemas::python().with_file_name("helm"));
    command.args(arguments);
    command
}

/// How helm is asked what the chart makes of the values for a way of running it, and of more.
fn template(release: &str, way: &str, more: &[&str]) -> Command {
    let chart = deploy("helm/bc-secrets-sync");
    let mut command = helm(&["template", release, chart.to_str().unwrap(), "--values", &values(way)]);
    command.args(more);
    command
}

/// What the chart makes of the values for a way of running it, as YAML.
pub(super) fn chart(release: &str, way: &str) -> String {
    output(template(release, way, &[]))
}

fn values(way: &str) -> String {
    deploy(&format!("helm/bc-secrets-sync/ci/{way}-values.yaml")).display().to_string()
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_passes_its_linter_and_refuses_values_that_it_does_not_know() {
    let chart_directory = deploy("helm/bc-secrets-sync").display().to_string();
    for way in WAYS {
        let said = output(helm(&["lint", "--strict", &chart_directory, "--values", &values(way)]));
        assert!(said.contains("0 chart(s) failed"), "{said}");
        assert!(!said.contains("[WARNING]"), "{said}");
    }
    for (bad, word) in [
        ("mode=daemonset", "mode"),
        ("auth.approle.secret=x", "secret"),
        ("app.container.image=", "image"),
        ("config=", "config"),
        ("networkPolicy.vaultPort=0", "vaultPort"),
        // It would be everybody.
        ("networkPolicy.vault=null", "vault is required"),
        ("networkPolicy.vault=[]", "at least 1"),
        ("extraVolumeMounts[0].name=x", "mountPath"),
        // Nobody would answer the monitor.
        ("mode=job,monitoring.enabled=true", "mode is job"),
        ("mode=init,monitoring.enabled=true", "mode is init"),
        ("volumes.credentialsSizeLimit=much", "credentialsSizeLimit"),
        ("extraArgs=--wait", "extraArgs"),
        ("extraArgs[0]=5", "extraArgs"),
        ("terminationGracePeriodSeconds=1m", "terminationGracePeriodSeconds"),
        ("terminationGracePeriodSeconds=0", "terminationGracePeriodSeconds"),
    ] {
        // An empty list is none for the other one.
        let set = if bad.ends_with("=[]") { "--set-json" } else { "--set" };
        let refused = template("x", "sidecar", &[set, bad]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(word), "{bad}: {said}");
    }
    // Two releases in one namespace are told apart.
    let objects = schemas::read_yaml(&chart("second", "deployment"));
    let monitor = &of_kind(&objects, "PodMonitor")[0]["spec"]["selector"]["matchLabels"];
    let labels = &workload(&objects)["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&monitor["credentials-by"], &labels["credentials-by"]), (&json!("second"), &json!("second")));
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_lets_nobody_in_where_nobody_is_named() {
    // A list of peers that is empty or absent means everybody, to Kubernetes.
    for nobody in ["networkPolicy.prometheus=[]", "networkPolicy.prometheus=null"] {
        let text = output(template("bc-secrets-sync", "deployment", &["--set-json", nobody]));
        let objects = schemas::read_yaml(&text);
        let policy = of_kind(&objects, "NetworkPolicy")[0];
        assert_eq!(policy["spec"]["ingress"], json!([]), "{nobody}");
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]), "{nobody}");
    }
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_takes_any_name_of_a_release_and_any_layout_of_a_configuration() {
    // Cut after the 50th character, with which no name may end.
    let long = format!("{}.5", "a".repeat(49));
    for object in schemas::read_yaml(&chart(&long, "sidecar-kubernetes")) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let part = name.strip_suffix("-events").unwrap_or(name);
        assert!(part.ends_with(|last: char| last.is_ascii_alphanumeric()), "{object}");
    }

    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "    # indented\n  [vault]\n\taddress = \"https://vault.example\" # \u{fc}\n\n[output]\n";
    std::fs::write(file.path(), text).unwrap();
    let config = format!("config={}", file.path().display());
    let objects = schemas::read_yaml(&output(template("x", "sidecar", &["--set-file", &config])));
    assert_eq!(of_kind(&objects, "ConfigMap")[0]["data"], json!({"config.toml": text}));
}

/// Everything that the chart names, for a release and an app of this name.
fn named(name: &str) -> Vec<Value> {
    let own = ["app.name", "auth.approle.secretName", "auth.kubernetes.audience"];
    let others = [
        "serviceAccount.name",
        "persistence.state.existingClaim",
        "persistence.credentials.storageClassName",
    ];
    let of = |way: &str, names: &[&str], monitoring: bool| {
        let values: Vec<_> = names.iter().map(|value| format!("{value}={name}")).collect();
        let monitoring = format!("monitoring.enabled={monitoring}");
        output(template(name, way, &["--set-string", &values.join(","), "--set", &monitoring]))
    };
    let mut texts = vec![of("deployment", &others, false)];
    // The rules are long, and the same in each way.
    texts.extend(WAYS.iter().map(|way| of(way, &own, *way == "deployment")));
    schemas::read_yaml(&texts.join("\n---\n"))
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_takes_names_that_are_numbers_or_booleans_in_yaml_for_names() {
    let usual = serde_json::to_string(&named("the-name")).unwrap();
    for name in [
        "123456", "4711", "1e5", "12e4", "0x1f", "010", "0b1", "y", "n", "on", "off", "yes", "no", "true",
        "null",
    ] {
        // Strings at the same places, and nothing else.
        let expected: Value = serde_json::from_str(&usual.replace("the-name", name)).unwrap();
        assert_eq!(json!(named(name)), expected, "{name}");
    }
    // With dots releases are named, and apps are not.
    for name in ["1.5", "1.5e3"] {
        let expected = serde_json::to_string(&schemas::read_yaml(&chart("the-name", "deployment"))).unwrap();
        let expected: Value = serde_json::from_str(&expected.replace("the-name", name)).unwrap();
        assert_eq!(json!(schemas::read_yaml(&chart(name, "deployment"))), expected, "{name}");
    }
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_adds_options_of_run_and_gives_the_pod_time_to_stop() {
    for way in WAYS {
        let more = ["--set", "extraArgs={--wait,5m},terminationGracePeriodSeconds=90"];
        let objects = schemas::read_yaml(&output(template("x", way, &more)));
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        assert_eq!(pod["terminationGracePeriodSeconds"], 90, "{way}");
        let place = if way == "deployment" { "containers" } else { "initContainers" };
        let arguments = list(&pod[place][0], "args");
        let usual = schemas::read_yaml(&chart("x", way));
        let usual = list(&workload(&usual)["spec"]["template"]["spec"][place][0], "args");
        let (before, added) = arguments.split_at(usual.len());
        assert_eq!((before, added), (&usual[..], &[&json!("--wait"), &json!("5m")][..]), "{way}");
    }
}

#[test]
#[ignore = "needs helm: ./tests/run --real"]
fn real_chart_gives_further_files_to_the_daemon_and_not_to_its_app() {
    let (volume, mount) = (
        json!({"name": "keys", "secret": {"secretName": "webhook", "defaultMode": 0o440}}),
        json!({"name": "keys", "mountPath": "/etc/bc-secrets-sync/keys", "readOnly": true}),
    );
    for way in WAYS {
        let more = [format!("extraVolumes=[{volume}]"), format!("extraVolumeMounts=[{mount}]")];
        let text = output(template("x", way, &["--set-json", &more[0], "--set-json", &more[1]]));
        let objects = schemas::read_yaml(&text);
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        assert!(list(pod, "volumes").contains(&&volume), "{way}");
        let mut containers = list(pod, "initContainers");
        containers.extend(list(pod, "containers"));
        for container in containers {
            let has = list(container, "volumeMounts").contains(&&mount);
            assert_eq!(has, container["name"] == "bc-secrets-sync", "{way}");
        }
    }
}

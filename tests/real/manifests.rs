//! The manifests for Kubernetes, as kustomize and helm render them: valid for every version, the same from both, and what
//! they promise of the pods.

use std::path::{Path, PathBuf};
use std::process::Command;

use bc_secrets_sync::sandbox::authority::Authority;
use serde_json::{Value, json};

use super::chart::chart;
use super::schemas;
use super::support::daemon::run;

/// The ways of running it: overlays of kustomize, and values for the chart.
pub(super) const WAYS: [&str; 5] = ["sidecar", "sidecar-kubernetes", "init", "job", "deployment"];

/// What both may write, in text.
pub(super) fn output(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// What kustomize makes of an overlay, as YAML.
pub(crate) fn kustomize(way: &str) -> String {
    build(&deploy("kubernetes/overlays").join(way))
}

/// What kustomize makes of a directory, as YAML.
fn build(directory: &Path) -> String {
    let mut command = Command::new("kustomize");
    command.arg("version");
    if command.output().is_ok_and(|output| output.status.success()) {
        command = Command::new("kustomize");
        command.arg("build");
    } else {
        command = Command::new("kubectl");
        command.arg("kustomize");
    }
    command.arg(directory);
    output(command)
}

/// Puts lists whose order means nothing in one order, and takes off what the chart says of itself.
fn normal(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !label.starts_with("app.kubernetes.io/") && label != "helm.sh/chart");
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    sort(&mut object);
    object
}

fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["volumes", "volumeMounts"] {
                if let Some(Value::Array(list)) = fields.get_mut(name) {
                    list.sort_by_key(|entry| entry["name"].as_str().unwrap().to_owned());
                }
            }
            fields.values_mut().for_each(sort);
        }
        Value::Array(values) => values.iter_mut().for_each(sort),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The objects in one order, each as it is told apart.
fn normal_all(text: &str) -> Vec<Value> {
    let mut objects: Vec<_> = schemas::read_yaml(text).iter().map(normal).collect();
    objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    objects
}

pub(super) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one workload of some objects.
pub(crate) fn workload(objects: &[Value]) -> &Value {
    let mut found = of_kind(objects, "Deployment");
    found.extend(of_kind(objects, "Job"));
    assert_eq!(found.len(), 1);
    found[0]
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    value[name].as_array().map(|list| list.iter().collect()).unwrap_or_default()
}

/// Both renderings of every way.
fn everything() -> Vec<(String, Vec<Value>)> {
    let both = |way: &str| {
        [(format!("kustomize {way}"), kustomize(way)), (format!("helm {way}"), chart("bc-secrets-sync", way))]
    };
    let rendered = WAYS.into_iter().flat_map(both);
    rendered.map(|(name, text)| (name, schemas::read_yaml(&text))).collect()
}

#[test]
#[ignore = "needs kustomize, helm and the schemas of Kubernetes: ./tests/run --real"]
fn real_manifests_hold_against_the_schemas_of_kubernetes() {
    let all: Vec<_> =
        WAYS.into_iter().flat_map(|way| [kustomize(way), chart("bc-secrets-sync", way)]).collect();
    let said = schemas::of_yaml(&all.join("\n---\n"));
    said.assert_allowed();
    assert!(said.objects.len() > 40, "{}", said.objects.len());

    // They do refuse: a field that there is none of, deep inside, and a version that is no more.
    let text = kustomize("sidecar");
    for (part, by) in [("readOnlyRootFilesystem", "readOnlyRoot"), ("policy/v1", "policy/v1beta1")] {
        assert!(text.contains(part));
        schemas::of_yaml(&text.replace(part, by)).assert_refused();
    }
}

#[test]
#[ignore = "needs kustomize and helm: ./tests/run --real"]
fn real_manifests_are_the_same_from_the_chart_as_from_kustomize() {
    for way in WAYS {
        let (ours, theirs) = (normal_all(&kustomize(way)), normal_all(&chart("bc-secrets-sync", way)));
        let names = |objects: &[Value]| -> Vec<String> {
            objects
                .iter()
                .map(|object| format!("{} {}", object["kind"], object["metadata"]["name"]))
                .collect()
        };
        assert_eq!(names(&theirs), names(&ours), "{way}");
        for (theirs, ours) in theirs.iter().zip(&ours) {
            assert_eq!(theirs, ours, "{way}");
        }
    }
}

/// The kustomization that the README tells people to write, for an app of this name.
fn kustomization_of_the_readme(app: &str) -> String {
    let readme = include_str!("../../deploy/README.md");
    let (_, rest) = readme.split_once("```yaml\nnamespace: shop\n").unwrap();
    let (inside, _) = rest.split_once("\n```\n").unwrap();
    format!("namespace: shop\n{inside}\n").replace("shop-sync", app)
}

#[test]
#[ignore = "needs kustomize: ./tests/run --real"]
fn real_manifests_of_the_readme_give_each_app_of_a_namespace_a_configuration_of_its_own() {
    let mut rendered = Vec::new();
    for app in ["shop-sync", "returns"] {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(deploy("kubernetes")).arg(home.path());
        output(copy);
        // An app that is stopped slowly, which the components leave to it.
        let slow = "    spec:\n      terminationGracePeriodSeconds: 90\n      containers:\n";
        let text = std::fs::read_to_string(deploy("kubernetes/app/app.yaml")).unwrap();
        let changed = text.replace("    spec:\n      containers:\n", slow).replace("shop-sync", app);
        put("app.yaml", &changed);
        put("config.toml", &format!("# of {app}\n"));
        let text = kustomization_of_the_readme(app);
        let last = "  - kubernetes/components/approle\n";
        let more =
            ["events", "monitoring", "network-policy"].map(|name| last.replace("approle", name)).concat();
        put("kustomization.yaml", &text.replace(last, &format!("{last}{more}")));
        let objects = schemas::read_yaml(&build(home.path()));
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        assert_eq!(pod["terminationGracePeriodSeconds"], 90);
        let daemon = &pod["initContainers"][0];
        assert_eq!(daemon["image"], "registry.yours.example/bc-secrets-sync:0.1.0");
        let volumes = list(pod, "volumes");
        let volume = volumes.iter().find(|volume| volume["name"] == "bc-config").unwrap();
        let maps = of_kind(&objects, "ConfigMap");
        let map = maps.iter().find(|map| map["metadata"]["name"] == volume["configMap"]["name"]).unwrap();
        assert_eq!(map["data"], json!({"config.toml": format!("# of {app}\n")}));
        rendered.push(objects);
    }
    // What both make is the same, so that neither takes anything from the other.
    let who = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    let mut shared = Vec::new();
    for object in &rendered[0] {
        if let Some(other) = rendered[1].iter().find(|other| who(other) == who(object)) {
            assert_eq!(other, object);
            shared.push(who(object));
        }
    }
    shared.sort();
    let expected = [
        ("NetworkPolicy", "bc-secrets-sync"),
        ("PodMonitor", "bc-secrets-sync"),
        ("PrometheusRule", "bc-secrets-sync"),
        ("Role", "bc-secrets-sync-events"),
        ("RoleBinding", "bc-secrets-sync-events"),
        ("ServiceAccount", "bc-secrets-sync"),
    ];
    assert_eq!(shared, expected.map(|(kind, name)| format!("\"{kind}\" \"{name}\"")));
}

#[test]
#[ignore = "needs kustomize and helm: ./tests/run --real"]
fn real_manifests_give_pods_no_right_that_they_do_not_need() {
    for (name, objects) in everything() {
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["securityContext"]["fsGroup"], 65532, "{name}");
        // What the app needs is for it to say; what Kubernetes gives is enough for the daemon.
        assert_eq!(pod["terminationGracePeriodSeconds"], Value::Null, "{name}");
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
            assert_eq!(pod[field], Value::Null, "{name} {field}");
        }
        let mut containers = list(pod, "initContainers");
        containers.extend(list(pod, "containers"));
        let mut users = Vec::new();
        for container in &containers {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{name}");
            assert_eq!(security["privileged"], Value::Null, "{name}");
            assert!(security["runAsUser"].as_u64() >= Some(10001), "{name}");
            users.push(&security["runAsUser"]);
            for mount in list(container, "volumeMounts") {
                assert_eq!(mount["subPath"], Value::Null, "{name}");
                let writes = container["name"] == "bc-secrets-sync"
                    && (mount["name"] == "bc-credentials" || mount["name"] == "bc-state");
                assert_eq!(mount["readOnly"] == true, !writes, "{name} {mount}");
            }
        }
        // The app is somebody else.
        users.dedup();
        assert_eq!(users.len(), containers.len(), "{name}");
        let volume = |wanted: &str| list(pod, "volumes").into_iter().find(|volume| volume["name"] == wanted);
        if !name.ends_with("deployment") {
            let credentials = &volume("bc-credentials").unwrap()["emptyDir"];
            assert_eq!(credentials, &json!({"medium": "Memory", "sizeLimit": "4Mi"}), "{name}");
        }
        if let Some(token) = volume("bc-vault-token") {
            let token = &token["projected"]["sources"][0]["serviceAccountToken"];
            assert_eq!(token["audience"], "vault", "{name}");
        }
        let daemon = containers.iter().find(|container| container["name"] == "bc-secrets-sync").unwrap();
        for resource in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(daemon["resources"].pointer(resource).is_some(), "{name} {resource}");
        }
    }
}

#[test]
#[ignore = "needs kustomize and helm: ./tests/run --real"]
fn real_manifests_start_the_app_on_published_credentials_only_and_are_found_by_what_selects_them() {
    for (name, objects) in everything() {
        let template = &workload(&objects)["spec"]["template"];
        let pod = &template["spec"];
        let place = if name.ends_with("deployment") { "containers" } else { "initContainers" };
        let daemon = &pod[place][0];
        assert_eq!(daemon["name"], "bc-secrets-sync", "{name}");
        let once = list(daemon, "args").contains(&&json!("--one-time"));
        assert_eq!(once, name.ends_with("init") || name.ends_with("job"), "{name}");
        if once {
            // An init container with it would be taken for a sidecar, and never be waited for.
            assert_eq!(daemon["restartPolicy"], Value::Null, "{name}");
        } else {
            assert_eq!(daemon["restartPolicy"] == "Always", name.contains("sidecar"), "{name}");
            assert_eq!(daemon["startupProbe"]["httpGet"]["path"], "/startupz", "{name}");
            assert_eq!(daemon["livenessProbe"]["httpGet"]["path"], "/livez", "{name}");
            assert_eq!(daemon["ports"][0], json!({"name": "bc-http", "containerPort": 9847}), "{name}");
        }
        for (kind, selector) in [
            ("PodMonitor", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ] {
            for object in of_kind(&objects, kind) {
                let labels = object.pointer(selector).and_then(Value::as_object).unwrap();
                assert!(!labels.is_empty());
                for (label, value) in labels {
                    assert_eq!(&template["metadata"]["labels"][label], value, "{name} {kind}");
                }
            }
        }
        // What its definition calls them, since no schema of it is at hand.
        for monitor in of_kind(&objects, "PodMonitor") {
            let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
            assert_eq!(
                (&endpoint["port"], &endpoint["path"]),
                (&json!("bc-http"), &json!("/metrics")),
                "{name}"
            );
            let job = json!([{"targetLabel": "job", "replacement": "bc-secrets-sync"}]);
            assert_eq!(endpoint["relabelings"], job, "{name}");
        }
        for rule in of_kind(&objects, "PrometheusRule") {
            let rules = [
                include_str!("../../deploy/prometheus/alerts.yml"),
                include_str!("../../deploy/prometheus/recording.yml"),
            ];
            let files = rules.map(|text| format!("apiVersion: monitoring.coreos.com/v1\nkind: File\n{text}"));
            let shipped = schemas::read_yaml(&files.join("\n---\n"));
            let groups: Vec<_> = shipped.iter().flat_map(|file| list(file, "groups")).collect();
            assert_eq!(list(&rule["spec"], "groups"), groups, "{name}");
        }
    }
}

#[test]
#[ignore = "needs kustomize and helm: ./tests/run --real"]
fn real_manifests_let_names_be_asked_of_the_cluster_and_of_a_cache_on_the_node() {
    let objects: Vec<_> = everything().into_iter().flat_map(|(_, objects)| objects).collect();
    let policies = of_kind(&objects, "NetworkPolicy");
    assert_eq!(policies.len(), 2);
    for policy in policies {
        let names = &policy["spec"]["egress"][0];
        assert_eq!(list(names, "ports").iter().map(|port| &port["port"]).collect::<Vec<_>>(), [53, 53]);
        assert_eq!(names["to"][0]["podSelector"]["matchLabels"], json!({"k8s-app": "kube-dns"}));
        assert_eq!(names["to"][1], json!({"ipBlock": {"cidr": "169.254.20.10/32"}}));
    }
}

#[tokio::test]
#[ignore = "needs kustomize and helm: ./tests/run --real"]
async fn real_manifests_have_configurations_that_the_daemon_takes() {
    let home = tempfile::tempdir().unwrap();
    for name in ["role-id", "secret-id", "token"] {
        std::fs::write(home.path().join(name), "a-word-that-is-a-secret").unwrap();
    }
    std::fs::write(home.path().join("ca.crt"), Authority::new().unwrap().ca_pem()).unwrap();
    let here = home.path().display();
    for (name, objects) in everything() {
        let map = of_kind(&objects, "ConfigMap")[0];
        let text = map["data"]["config.toml"].as_str().unwrap();
        // Where the pod would have them.
        let text = text
            .replace("/etc/bc-secrets-sync/approle", &here.to_string())
            .replace("/var/run/secrets/vault", &here.to_string())
            .replace("/etc/bc-secrets-sync/vault-ca", &here.to_string())
            .replace(
                "[alerts.kubernetes]\n",
                &format!(
                    "[alerts.kubernetes]\nurl = \"https://10.0.0.1\"\nnamespace = \"shop\"\n\
                     token_file = \"{here}/token\"\nca_file = \"{here}/token\"\n\
                     [alerts.kubernetes.regarding]\nname = \"shop-sync-0\"\n"
                ),
            );
        let file = home.path().join("config.toml");
        std::fs::write(&file, &text).unwrap();
        let (code, said) = validate(home.path(), &file).await;
        assert_eq!(code, Some(0), "{name}: {said}\n{text}");
    }
}

async fn validate(home: &Path, file: &Path) -> (Option<i32>, String) {
    let arguments = ["validate".as_ref(), "--config".as_ref(), file.as_os_str()];
    let ended = run(home, arguments).await;
    (ended.code, format!("{ended:?}"))
}

#[test]
fn every_role_of_vault_that_is_shown_ends_its_tokens() {
    for text in [include_str!("../../deploy/README.md"), include_str!("../../deploy/vault/setup")] {
        let text = text.replace("\\\n", " ");
        let roles: Vec<_> = text.lines().filter(|line| line.contains("token_policies=")).collect();
        assert!(!roles.is_empty());
        for role in roles {
            assert!(role.contains("token_ttl=1h token_max_ttl=24h"), "{role}");
        }
    }
}

#[test]
fn rules_are_the_same_for_the_operator_and_in_the_chart_as_they_are_shipped() {
    let read = |path: &str| std::fs::read_to_string(deploy(path)).unwrap();
    let mut groups = String::new();
    for name in ["alerts.yml", "recording.yml"] {
        let shipped = read(&format!("prometheus/{name}"));
        let in_chart = read(&format!("helm/bc-secrets-sync/rules/{name}"));
        assert!(in_chart == shipped, "{name} has changed: run deploy/kubernetes/update-rules");
        let (_, rules) = shipped.split_once("\ngroups:\n").unwrap();
        for line in rules.lines() {
            groups.push_str(if line.is_empty() { "" } else { "  " });
            groups.push_str(line);
            groups.push('\n');
        }
    }
    let rule = read("kubernetes/components/monitoring/prometheus-rule.yaml");
    let (head, inside) = rule.split_once("\n  groups:\n").unwrap();
    assert!(head.ends_with("kind: PrometheusRule\nmetadata:\n  name: bc-secrets-sync\nspec:"), "{head}");
    assert!(inside == groups, "the rules have changed: run deploy/kubernetes/update-rules");
}

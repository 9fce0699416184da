//! A pod as it is shipped, run by podman: the daemon, and an app with a user of its own that mounts the volume read-only.
//!
//! What this podman cannot do stands in for what a cluster does: a native sidecar is a container that starts with the others
//! (so that probes and the order of the start are not shown here), and the kubelet's volumes are directories that the test
//! makes as the kubelet does: in memory, given to the group of `fsGroup`, and a ConfigMap behind a link that is swapped.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use bc_secrets_sync::sandbox::store::Account;
use serde_json::{Value, json};

use super::manifests::{kustomize, workload};
use super::podman::{Podman, static_binary};
use super::schemas;
use super::support::wait::wait_until;
use super::support::world::World;

const IMAGE: &str = "localhost/bc-secrets-sync:pod";
const APP: &str = "localhost/app:pod";

/// What the app does: says who it is, tries to write, and says each set that it finds.
const SCRIPT: &str = r#"echo "groups $(id -G)"
cd /run/bc-secrets-sync
last=
while true; do
    if cd -P credentials/acme/..data 2>/dev/null; then
        now="$(cat username) $(cat api_token) $(cat generation.json)"
        cd /run/bc-secrets-sync
        if [ "$now" != "$last" ]; then
            last=$now
            touch credentials/acme/mine 2>/dev/null && echo "wrote a file"
            echo x 2>/dev/null >credentials/acme/api_token && echo "wrote a token"
            echo "found $now"
        fi
    fi
    sleep 0.1
done
"#;

/// A tmpfs, until it is dropped.
struct Memory(PathBuf);

impl Memory {
    fn mount(path: PathBuf) -> Self {
        std::fs::create_dir(&path).unwrap();
        let options = "size=4m,mode=2777,gid=65532";
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).status();
        assert!(mounted.unwrap().success());
        Self(path)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A directory as the kubelet would make it for the group of the pod.
fn directory(path: PathBuf, mode: u32) -> PathBuf {
    std::fs::create_dir(&path).unwrap();
    give(&path, mode);
    path
}

fn give(path: &Path, mode: u32) {
    std::os::unix::fs::chown(path, Some(0), Some(65532)).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Publishes a file in a volume as the kubelet does it for a ConfigMap: behind a link that is swapped.
fn project(volume: &Path, generation: u32, name: &str, content: &str) {
    let generation = format!("..generation_{generation}");
    let inside = volume.join(&generation);
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join(name), content).unwrap();
    let aside = volume.join("..data_tmp");
    symlink(&generation, &aside).unwrap();
    std::fs::rename(&aside, volume.join("..data")).unwrap();
    if !volume.join(name).exists() {
        symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
    }
}

/// The pod of the shipped overlay, changed only in what this podman cannot do and in what is this test's.
fn pod(rendered: &[Value], volumes: &[(&str, &Path)]) -> String {
    let mut deployment = workload(rendered).clone();
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["hostNetwork"] = true.into();
    // The kubelet makes every container a member of the group of fsGroup.
    pod["securityContext"]["supplementalGroups"] = json!([pod["securityContext"]["fsGroup"]]);
    let mut daemon = pod["initContainers"][0].take();
    pod.as_object_mut().unwrap().remove("initContainers");
    for field in ["restartPolicy", "startupProbe", "livenessProbe", "ports"] {
        assert!(daemon.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    daemon["image"] = IMAGE.into();
    pod["containers"][0]["image"] = APP.into();
    pod["containers"][0]["command"] = json!(["/bin/sh", "-c", SCRIPT]);
    pod["containers"].as_array_mut().unwrap().insert(0, daemon);
    for volume in pod["volumes"].as_array_mut().unwrap() {
        let (name, path) = volumes.iter().find(|(name, _)| volume["name"] == *name).unwrap();
        *volume = json!({"name": name, "hostPath": {"path": path, "type": "Directory"}});
    }
    deployment.to_string()
}

#[tokio::test]
#[ignore = "needs podman, kustomize and busybox: ./tests/run --real"]
async fn real_pod_gives_its_app_what_it_can_read_and_not_write_and_follows_a_regenerated_token() {
    let podman = Podman::new();
    podman.build(&static_binary(), IMAGE);
    podman.build_app(APP);
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let home = tempfile::tempdir().unwrap();
    let memory = Memory::mount(home.path().join("credentials"));
    let state = directory(home.path().join("state"), 0o2770);
    let ids = directory(home.path().join("approle"), 0o2750);
    let configuration = &mut world.configuration;
    for (name, file) in [
        ("role-id", configuration.role_id_file()),
        ("secret-id", configuration.secret_id_file()),
        ("store-ca.pem", configuration.store_authority_file()),
    ] {
        std::fs::copy(&file, ids.join(name)).unwrap();
        give(&ids.join(name), 0o440);
        configuration.edit(&file.display().to_string(), &format!("/etc/bc-secrets-sync/approle/{name}"));
    }
    configuration.output = "/run/bc-secrets-sync/credentials".into();
    configuration.state = "/var/lib/bc-secrets-sync".into();
    configuration.webhook = None;
    let config = directory(home.path().join("config"), 0o2755);
    project(&config, 1, "config.toml", &configuration.text());
    let volumes = [
        ("bc-credentials", memory.0.as_path()),
        ("bc-state", &state),
        ("bc-approle", &ids),
        ("bc-config", &config),
    ];
    let rendered = schemas::read_yaml(&kustomize("sidecar"));
    let file = home.path().join("pod.yaml");
    std::fs::write(&file, pod(&rendered, &volumes)).unwrap();
    podman.run(&["play", "kube", file.to_str().unwrap()]);

    let (app, sync) = ("shop-sync-pod-0-app", "shop-sync-pod-0-bc-secrets-sync");
    let found = |account: &Account| format!("found {} {} ", account.username, account.api_token);
    let until_found = async |account: &Account| {
        let found = found(account);
        wait_until("the app finds it", async || {
            let running = podman.run(&["inspect", "--format={{.State.Running}}", sync]);
            assert_eq!(running, "true", "{}", podman.logs(sync));
            podman.logs(app).contains(&found)
        })
        .await;
    };
    until_found(&old).await;
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    until_found(&new).await;

    let said = podman.logs(app);
    assert!(said.contains("groups 10001 65532"), "{said}");
    assert!(!said.contains("wrote"), "{said}");
    let generations: Vec<_> = said.lines().filter(|line| line.starts_with("found ")).collect();
    assert_eq!(generations.len(), 2, "each set is found whole and once: {said}");
    assert!(
        generations[0].contains("\"generation\":1,") && generations[1].contains("\"generation\":2,"),
        "{said}"
    );

    // A change of the ConfigMap needs no new pod.
    let later = world.add_store("later").await;
    project(&config, 2, "config.toml", &world.configuration.text());
    wait_until("the store of the new configuration is published", async || {
        let token = std::fs::read_to_string(memory.0.join("credentials/later/api_token"));
        token.is_ok_and(|token| token == later.api_token)
    })
    .await;

    // As the kubelet ends a sidecar, after the app: by SIGTERM, and the files stay.
    podman.run(&["stop", "--time=20", sync]);
    let code = podman.run(&["inspect", "--format={{.State.ExitCode}}", sync]);
    assert_eq!(code, "0", "{}", podman.logs(sync));
    assert_eq!(std::fs::read_to_string(memory.0.join("credentials/acme/api_token")).unwrap(), new.api_token);
}

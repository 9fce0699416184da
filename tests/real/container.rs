//! The image: what is in it, that it can be built again, and that it runs with no right but to the network.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bc_secrets_sync::sandbox::store::Account;
use serde_json::{Value, json};

use super::podman::{Podman, static_binary};
use super::support::files::published;
use super::support::wait::wait_until;
use super::support::world::{World, as_published};

const IMAGE: &str = "localhost/bc-secrets-sync:test";

/// Everything that there is in the image, directories too, with who owns it and what may be done with it.
const CONTENT: [&str; 18] = [
    "drwxr-xr-x 0/0 etc/",
    "drwxr-xr-x 0/0 etc/ssl/",
    "drwxr-xr-x 0/0 etc/ssl/certs/",
    "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
    "drwxr-xr-x 0/0 run/",
    "drwxr-xr-x 65532/65532 run/bc-secrets-sync/",
    "drwxr-xr-x 0/0 usr/",
    "drwxr-xr-x 0/0 usr/bin/",
    "-rwxr-xr-x 0/0 usr/bin/bc-secrets-sync",
    "drwxr-xr-x 0/0 usr/share/",
    "drwxr-xr-x 0/0 usr/share/doc/",
    "drwxr-xr-x 0/0 usr/share/doc/bc-secrets-sync/",
    "-rw-r--r-- 0/0 usr/share/doc/bc-secrets-sync/LICENSE",
    "drwxr-xr-x 0/0 usr/share/sbom/",
    "-rw-r--r-- 0/0 usr/share/sbom/bc-secrets-sync.cdx.json",
    "drwxr-xr-x 0/0 var/",
    "drwxr-xr-x 0/0 var/lib/",
    "drwxr-xr-x 65532/65532 var/lib/bc-secrets-sync/",
];

/// Unpacks what podman exports, as tar names it.
fn export(podman: &Podman, image: &str, into: &Path) -> Vec<String> {
    let container = podman.run(&["create", image]);
    let archive = into.join("export.tar");
    podman.run(&["export", "--output", archive.to_str().unwrap(), &container]);
    podman.run(&["rm", &container]);
    let list =
        Command::new("tar").args(["--list", "--verbose", "--numeric-owner", "--file"]).arg(&archive).output();
    let text = String::from_utf8(list.unwrap().stdout).unwrap();
    let mut extract = Command::new("tar");
    extract.arg("--extract").arg("--directory").arg(into).arg("--file").arg(&archive);
    assert!(extract.status().unwrap().success());
    // Without the size and the time.
    let entry = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        format!("{} {} {}", words[0], words[1], words[5])
    };
    let mut entries: Vec<_> = text.lines().map(entry).collect();
    entries.sort_by_key(|entry| entry.split(' ').nth(2).unwrap().to_owned());
    entries
}

/// The digest of an image's manifest, which stands for everything in it and said of it.
fn manifest(podman: &Podman, image: &str, directory: &Path) -> String {
    let archive = directory.join("image.tar");
    podman.run(&["save", "--quiet", "--format", "oci-archive", "--output", archive.to_str().unwrap(), image]);
    let index = Command::new("tar")
        .args(["--extract", "--to-stdout", "--file"])
        .arg(&archive)
        .arg("index.json")
        .output();
    std::fs::remove_file(&archive).unwrap();
    let index: Value = serde_json::from_slice(&index.unwrap().stdout).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_directory_that_holds_something_is_not_taken_for_the_context() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    std::fs::write(&kept, "").unwrap();
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/container/build");
    let arguments = ["--binary", "/bin/true", "--stage"];
    let refused = Command::new(program).args(arguments).arg(directory.path()).output().unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && words.contains("is no empty directory"), "{words}");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
#[ignore = "needs podman: ./tests/run --real"]
fn real_image_is_small_holds_what_it_says_and_can_be_built_again() {
    let podman = Podman::new();
    let directory = tempfile::tempdir().unwrap();
    podman.build(&static_binary(), IMAGE);
    // The same binary from elsewhere, with another mode and time.
    let copy = directory.path().join("a copy");
    std::fs::copy(static_binary(), &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o700)).unwrap();
    podman.build(&copy, "localhost/again:test");
    let digest = manifest(&podman, IMAGE, directory.path());
    assert!(digest.starts_with("sha256:"));
    assert_eq!(manifest(&podman, "localhost/again:test", directory.path()), digest);

    let image: Value = serde_json::from_str(&podman.run(&["image", "inspect", IMAGE])).unwrap();
    let image = &image[0];
    let size = image["Size"].as_u64().unwrap();
    assert!(size <= 8_000_000, "{size}");
    let config = &image["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/bc-secrets-sync"]));
    assert_eq!(config["Env"], json!(["PATH=/usr/bin"]));
    let commit =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let commit = String::from_utf8(commit.unwrap().stdout).unwrap();
    for (key, value) in [
        ("title", "bc-secrets-sync"),
        ("licenses", "MIT"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("source", "https://code.example/bc-secrets-sync"),
        ("revision", commit.trim()),
    ] {
        for place in [&config["Labels"], &image["Annotations"]] {
            let said = place[format!("org.opencontainers.image.{key}")].as_str().unwrap();
            // A tree with changes in it says so.
            assert_eq!(said.trim_end_matches("-dirty"), value, "{key}");
        }
    }

    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    assert_eq!(export(&podman, IMAGE, &root), CONTENT);
    let authorities = std::fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 100);
    let bill = std::fs::read_to_string(root.join("usr/share/sbom/bc-secrets-sync.cdx.json")).unwrap();
    let here = std::env::var("HOME").unwrap();
    for path in [env!("CARGO_MANIFEST_DIR"), here.as_str(), "/tmp"] {
        let binary = std::fs::read(root.join("usr/bin/bc-secrets-sync")).unwrap();
        let path_in =
            |bytes: &[u8]| bytes.windows(path.len() + 1).any(|part| part == format!("{path}/").as_bytes());
        assert!(!path_in(bill.as_bytes()), "{path} is in the bill of materials");
        assert!(!path_in(&binary), "{path} is in the binary");
    }
    bill_is_of_this_binary(&bill);
}

fn bill_is_of_this_binary(bill: &str) {
    let bill: Value = serde_json::from_str(bill).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
    assert_eq!(bill["metadata"]["component"]["name"], "bc-secrets-sync");
    let parts = bill["components"].as_array().unwrap();
    let has = |name: &str| parts.iter().any(|part| part["name"] == name && part["purl"].is_string());
    for name in ["rustls", "tokio", "redb", "glibc", "ca-certificates"] {
        assert!(has(name), "{name}");
    }
    // Of the demo, of tests, and of building.
    for name in ["rcgen", "proptest", "tempfile", "cc"] {
        assert!(!has(name), "{name}");
    }
}

#[test]
#[ignore = "builds the release binary once more, from another directory: ./tests/run --real"]
fn real_binary_is_the_same_from_two_directories() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("another place");
    std::fs::create_dir(&elsewhere).unwrap();
    let copied = Command::new("sh")
        .args(["-c", "git ls-files -z | xargs -0 cp --parents --no-dereference --target-directory=\"$0\" --"])
        .arg(&elsewhere)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(copied.unwrap().success());
    let built = Command::new(elsewhere.join("deploy/container/build"))
        .arg("--binary-only")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    let path = String::from_utf8(built.stdout).unwrap();
    assert!(Path::new(path.trim()).starts_with(&elsewhere), "{path}");
    let (here, there) = (std::fs::read(static_binary()).unwrap(), std::fs::read(path.trim()).unwrap());
    let differs = here.iter().zip(&there).filter(|(here, there)| here != there).count();
    assert_eq!((there.len(), differs), (here.len(), 0), "built of the same source?");
}

#[test]
#[ignore = "needs podman: ./tests/run --real"]
fn real_image_runs_without_network_rights_or_a_shell() {
    let podman = Podman::new();
    podman.build(&static_binary(), IMAGE);
    let run = |arguments: &[&str]| {
        let bare =
            ["run", "--rm", "--network=none", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all"];
        podman.attempt(&[&bare[..], &["--security-opt=no-new-privileges", IMAGE], arguments].concat())
    };
    let text = |output: &std::process::Output| {
        String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
    };
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help).contains("Usage: bc-secrets-sync"), "{help:?}");
    let version = run(&["--version"]);
    assert_eq!(text(&version).trim(), concat!("bc-secrets-sync ", env!("CARGO_PKG_VERSION")));
    for absent in ["demo", "sandbox"] {
        let refused = run(&[absent]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    let unconfigured = run(&["run", "--config", "/etc/bc-secrets-sync/config.toml"]);
    assert_eq!(unconfigured.status.code(), Some(2), "{unconfigured:?}");
    let shell =
        podman.attempt(&["run", "--rm", "--network=none", "--entrypoint", "/bin/sh", IMAGE, "-c", "true"]);
    assert!(!shell.status.success() && text(&shell).contains("no such file"), "{shell:?}");
}

/// A server of names that knows one address for all; how often it was asked.
struct Names {
    asked: Arc<AtomicUsize>,
}

impl Names {
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 153);

    fn start() -> Self {
        let socket = UdpSocket::bind((Self::ADDRESS, 53)).expect("port 53 of an address of loopback is free");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::Relaxed);
                let _sent = socket.send_to(&answer(&buffer[..length]), from);
            }
        });
        Self { asked }
    }
}

/// RFC 1035: the question again, and for a type A the address 127.0.0.1.
fn answer(question: &[u8]) -> Vec<u8> {
    // After the header, labels up to an empty one, then the type and the class.
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let of_type_a = question[end - 4..end - 2] == [0, 1];
    let mut answer = question[..end].to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..12].copy_from_slice(&[0, u8::from(of_type_a), 0, 0, 0, 0]);
    if of_type_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[tokio::test]
#[ignore = "needs podman: ./tests/run --real"]
async fn real_container_publishes_into_a_volume_finds_names_and_trusts_what_the_image_trusts() {
    let podman = Podman::new();
    podman.build(&static_binary(), IMAGE);
    let names = Names::start();
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let configuration = &mut world.configuration;
    let home = configuration.home().to_owned();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    configuration.listen = format!("127.0.0.1:{port}");
    configuration.output = "/run/bc-secrets-sync/credentials".into();
    configuration.state = "/var/lib/bc-secrets-sync".into();
    configuration.vault = configuration.vault.replace("127.0.0.1", "vault.names.test");
    configuration
        .edit("timeout = \"5s\"\n\n[vault.auth", "timeout = \"5s\"\nallow_plain_http = true\n\n[vault.auth");
    // The authority of the store stands where the image has those that it trusts.
    let authority = configuration.store_authority_file();
    configuration.edit(&format!("ca_file = \"{}\"\n", authority.display()), "");
    configuration.write();

    let (home, authority) = (home.display(), authority.display());
    podman.run(&[
        "run",
        "--detach",
        "--name=sync",
        "--network=host",
        "--read-only",
        "--read-only-tmpfs=false",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--dns=127.0.0.153",
        &format!("--volume={home}:{home}:ro"),
        &format!("--volume={authority}:/etc/ssl/certs/ca-certificates.crt:ro"),
        "--volume=credentials:/run/bc-secrets-sync",
        "--volume=state:/var/lib/bc-secrets-sync",
        IMAGE,
        "run",
        "--config",
        &format!("{home}/config.toml"),
    ]);
    let volume = podman.run(&["volume", "inspect", "--format={{.Mountpoint}}", "credentials"]);
    let output = Path::new(&volume).join("credentials");
    let until_published = async |account: &Account| {
        let account = as_published(account);
        wait_until("it is published", async || {
            let running = podman.run(&["inspect", "--format={{.State.Running}}", "sync"]);
            assert_eq!(running, "true", "{}", podman.logs("sync"));
            published(&output, "acme").as_ref() == Some(&account)
        })
        .await;
    };
    until_published(&old).await;
    assert!(names.asked.load(Ordering::Relaxed) > 0);
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    until_published(&new).await;

    // As `kubectl exec` would ask it.
    let status = podman.run(&[
        "exec",
        "sync",
        "bc-secrets-sync",
        "status",
        "--output=json",
        "--config",
        &format!("{home}/config.toml"),
    ]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["stores"][0]["name"], "acme");
    // What the manifests ask for is enough.
    let pid = podman.run(&["inspect", "--format={{.State.Pid}}", "sync"]);
    let process = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field =
        |name: &str| process.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let resident: u64 = field("VmHWM:").trim_end_matches(" kB").parse().unwrap();
    assert!(resident < 16 * 1024, "{resident} KiB");
    assert_eq!(field("Uid:").split_whitespace().next(), Some("65532"));
    assert_eq!((field("CapBnd:"), field("CapPrm:")), ("0".repeat(16), "0".repeat(16)));

    podman.run(&["stop", "--time=20", "sync"]);
    let code = podman.run(&["inspect", "--format={{.State.ExitCode}}", "sync"]);
    assert_eq!(code, "0", "{}", podman.logs("sync"));
    assert_eq!(published(&output, "acme"), Some(as_published(&new)));
}

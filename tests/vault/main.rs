//! The source against a real OpenBao or Vault.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod agent;
mod kv;
#[cfg(feature = "demo")]
mod log_in;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use bc_secrets_sync::config::{self, Auth, Tls};
use bc_secrets_sync::domain::credentials::Field;
use bc_secrets_sync::domain::secret::Secret;
use bc_secrets_sync::domain::source::{Lease, SecretLocation, SecretVersion, SourceFault};
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::version::KvVersion;
use bc_secrets_sync::vault::{BuildError, Vault};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;

use support::openbao::{AppRole, OpenBao};

const POLICY: &str = r#"path "secret/data/stores/*" { capabilities = ["read"] }"#;

fn config(address: &str, auth: Auth) -> config::Vault {
    config::Vault {
        address: address.parse().unwrap(),
        proxy: None,
        namespace: None,
        timeout: Duration::from_secs(20),
        poll_interval: Duration::from_secs(30),
        concurrency: 2,
        revoke_token_on_exit: true,
        tls: Tls::default(),
        auth,
    }
}

fn token(text: &str) -> Auth {
    Auth::Token(Secret::new(text.to_owned()))
}

fn approle(directory: &Path, role: &AppRole) -> Auth {
    let (role_id_file, secret_id_file) = (directory.join("role-id"), directory.join("secret-id"));
    std::fs::write(&role_id_file, &role.role_id).unwrap();
    std::fs::write(&secret_id_file, format!("{}\n", role.secret_id)).unwrap();
    Auth::AppRole { mount: "approle".into(), role_id_file, secret_id_file, wrapping_path: None }
}

async fn read(vault: &Vault, path: &str) -> Result<SecretVersion, SourceFault> {
    vault.read(&SecretLocation::new("secret", path)).await
}

fn text(field: &Field) -> &str {
    let Field::Text(secret) = field else {
        panic!("{field:?}");
    };
    secret.expose()
}

#[tokio::test]
async fn a_token_of_our_own_is_got_renewed_looked_up_and_revoked() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    server.put_policy("stores", POLICY).await;
    let role = server.enable_approle("stores").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;

    let vault = Vault::new(&config(server.address(), approle(directory.path(), &role))).unwrap();
    let minute = Lease { duration: Duration::from_secs(60), renewable: true };
    assert_eq!(vault.log_in().await, Ok(minute));
    assert_eq!(vault.renew().await, Ok(minute));
    let left = vault.look_up_self().await.unwrap();
    assert!(left.renewable && left.duration <= minute.duration && !left.duration.is_zero());
    assert_eq!(text(&read(&vault, "stores/a").await.unwrap().fields.unwrap().username), "u");

    assert_eq!(server.accessors().await.len(), 1);
    vault.revoke().await;
    assert!(server.accessors().await.is_empty());
}

#[tokio::test]
async fn a_dead_token_is_told_from_a_missing_policy_and_replaced() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    server.put_policy("stores", POLICY).await;
    let role = server.enable_approle("stores").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    server.write_secret("others/a", json!({ "username": "u" })).await;
    let vault = Vault::new(&config(server.address(), approle(directory.path(), &role))).unwrap();
    vault.log_in().await.unwrap();

    assert_eq!(read(&vault, "others/a").await.unwrap_err(), SourceFault::Forbidden);
    vault.look_up_self().await.unwrap();

    server.revoke_accessor(&server.accessors().await[0]).await;
    assert_eq!(read(&vault, "stores/a").await.unwrap_err(), SourceFault::Forbidden);
    assert_eq!(vault.look_up_self().await, Err(SourceFault::Forbidden));
    assert_eq!(vault.renew().await, Err(SourceFault::Forbidden));

    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();
}

#[tokio::test]
async fn a_log_in_with_wrong_credentials_is_refused() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut role = server.enable_approle("default").await;
    role.secret_id = "wrong".into();
    let mut config = config(server.address(), approle(directory.path(), &role));
    let message = "invalid role or secret ID".to_owned();
    assert_eq!(
        Vault::new(&config).unwrap().log_in().await,
        Err(SourceFault::LoginRefused { status: 400, message })
    );

    if let Auth::AppRole { mount, .. } = &mut config.auth {
        *mount = "elsewhere".into();
    }
    let fault = Vault::new(&config).unwrap().log_in().await.unwrap_err();
    assert!(matches!(fault, SourceFault::LoginRefused { status: 403, .. }), "{fault:?}");

    config.auth = token("s.nobody");
    let fault = Vault::new(&config).unwrap().log_in().await.unwrap_err();
    assert!(matches!(fault, SourceFault::LoginRefused { status: 403, .. }), "{fault:?}");
}

#[tokio::test]
async fn a_token_that_was_given_to_us_is_used_and_left_alone() {
    let server = OpenBao::start().await;
    let root = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    assert_eq!(root.log_in().await, Ok(Lease { duration: Duration::ZERO, renewable: false }));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let given = server.create_token(json!({ "ttl": "1h", "renewable": false })).await;
    std::fs::write(&file, format!("{given}\n")).unwrap();
    let vault = Vault::new(&config(server.address(), Auth::TokenFile(file))).unwrap();
    let lease = vault.log_in().await.unwrap();
    assert!(!lease.renewable && lease.duration > Duration::from_secs(3500));
    assert!(matches!(vault.renew().await, Err(SourceFault::Malformed(_))));
    vault.revoke().await;
    vault.look_up_self().await.unwrap();

    let alone = server.create_token(json!({ "no_default_policy": true, "policies": ["stores"] })).await;
    let vault = Vault::new(&config(server.address(), token(&alone))).unwrap();
    let fault = vault.log_in().await.unwrap_err();
    assert!(fault.to_string().contains("the policy 'default'"), "{fault}");
}

#[tokio::test]
async fn a_secret_is_read_with_its_version_and_its_absence_has_a_reason() {
    let server = OpenBao::start().await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();

    server.write_secret("stores/a", json!({ "username": "old" })).await;
    let fields = json!({ "username": "u", "api_token": "t\n", "api_path": { "a": 1 }, "note": [1] });
    let version = server.write_secret("stores/a", fields).await;
    let secret = read(&vault, "stores/a").await.unwrap();
    assert_eq!((secret.version.number(), version), (Some(2), 2));
    assert!(secret.created_at > Timestamp::parse("2020-01-01T00:00:00Z"));
    let fields = secret.fields.unwrap();
    assert_eq!(text(&fields.username), "u");
    assert_eq!(text(&fields.api_token), "t\n");
    assert!(matches!(fields.api_path, Field::NotText("object")));

    server.write_secret("stores/a%20b%25", json!({ "username": "odd" })).await;
    assert_eq!(text(&read(&vault, "stores/a b%").await.unwrap().fields.unwrap().username), "odd");

    server.delete_secret("stores/a").await;
    assert_eq!(read(&vault, "stores/a").await.unwrap_err(), SourceFault::Deleted(2));
    server.destroy_secret("stores/a", version).await;
    assert_eq!(read(&vault, "stores/a").await.unwrap_err(), SourceFault::Destroyed(2));
    server.forget_secret("stores/a").await;
    assert_eq!(read(&vault, "stores/a").await.unwrap_err(), SourceFault::NeverWritten);
    assert_eq!(read(&vault, "stores/never").await.unwrap_err(), SourceFault::NeverWritten);
}

#[tokio::test]
async fn what_is_no_version_2_engine_is_said_to_be_none() {
    let server = OpenBao::start().await;
    let mut config = config(server.address(), token(server.root_token()));
    let vault = Vault::new(&config).unwrap();
    vault.log_in().await.unwrap();
    let fault = vault.read(&SecretLocation::new("nowhere", "stores/a")).await.unwrap_err();
    assert!(fault.to_string().contains("mount"), "{fault}");
    let version_1 = json!({ "type": "kv", "options": { "version": "1" } });
    server.request("POST", "sys/mounts/kv1", Some(version_1)).await;
    server.request("POST", "kv1/data/a", Some(json!({ "username": "u" }))).await;
    let configured = SecretLocation { kv_version: Some(KvVersion::Two), ..SecretLocation::new("kv1", "a") };
    let fault = vault.read(&configured).await.unwrap_err();
    assert!(fault.to_string().contains("KV version 2"), "{fault}");

    // HashiCorp Vault has namespaces only in its Enterprise edition.
    let (status, _) = server.try_request(server.root_token(), "POST", "sys/namespaces/team", None).await;
    if status == 200 {
        server.request("POST", "team/sys/mounts/kv", Some(json!({ "type": "kv-v2" }))).await;
        server.request("POST", "team/kv/data/a", Some(json!({ "data": { "username": "u" } }))).await;
        config.namespace = Some("team".into());
        let vault = Vault::new(&config).unwrap();
        vault.log_in().await.unwrap();
        vault.read(&SecretLocation::new("kv", "a")).await.unwrap();
        config.namespace = Some("nowhere".into());
        let fault = Vault::new(&config).unwrap().log_in().await.unwrap_err();
        assert!(matches!(fault, SourceFault::LoginRefused { status: 404, .. }), "{fault:?}");
        assert!(fault.to_string().contains("correct vault.namespace"), "{fault}");
    }
}

#[tokio::test]
async fn a_sealed_server_is_said_to_be_sealed_and_serves_again_afterwards() {
    let server = OpenBao::start().await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();

    server.seal().await;
    assert_eq!(read(&vault, "stores/a").await.unwrap_err(), SourceFault::Sealed);
    assert_eq!(vault.log_in().await, Err(SourceFault::Sealed));
    assert_eq!(vault.look_up_self().await, Err(SourceFault::Sealed));
    assert_eq!(vault.renew().await, Err(SourceFault::Sealed));

    server.unseal().await;
    read(&vault, "stores/a").await.unwrap();
}

#[tokio::test]
async fn a_server_is_trusted_for_its_authority_and_its_name() {
    // The certificate is for localhost and 127.0.0.1.
    let server = OpenBao::start_with_tls("127.0.0.2").await;
    let log_in = async |tls: Tls| -> Result<Lease, String> {
        let mut config = config(server.address(), token(server.root_token()));
        config.tls = tls;
        Vault::new(&config).unwrap().log_in().await.map_err(|fault| fault.to_string())
    };
    let ca_file = Some(server.ca_file());

    let wrong_name = log_in(Tls { ca_file: ca_file.clone(), ..Tls::default() }).await.unwrap_err();
    assert!(wrong_name.contains("is for another name"), "{wrong_name}");
    let server_name = Some("localhost".to_owned());
    log_in(Tls { ca_file: ca_file.clone(), server_name: server_name.clone(), ..Tls::default() })
        .await
        .unwrap();

    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(server.ca_file(), directory.path().join("ca.crt")).unwrap();
    std::fs::write(directory.path().join("README"), "no certificate").unwrap();
    std::fs::write(directory.path().join("..hidden"), "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    let ca_directory = Some(directory.path().to_owned());
    log_in(Tls { ca_directory, server_name: server_name.clone(), ..Tls::default() }).await.unwrap();

    let other = OpenBao::start_with_tls("127.0.0.1").await;
    let stranger = Tls { ca_file: Some(other.ca_file()), server_name, ..Tls::default() };
    let words = log_in(stranger).await.unwrap_err();
    assert!(words.contains("is not signed by the authority"), "{words}");
    log_in(Tls { skip_verify: true, ..Tls::default() }).await.unwrap();

    // Where the system has authorities, the server's is none of them; where it has none, nothing is built.
    let config = config(server.address(), token(server.root_token()));
    match Vault::new(&config) {
        Ok(vault) => {
            let words = vault.log_in().await.unwrap_err().to_string();
            assert!(words.contains("is of an unknown issuer"), "{words}");
        }
        Err(error) => assert!(matches!(error, BuildError::NoSystemAuthorities(_)), "{error}"),
    }
}

#[tokio::test]
async fn replaced_files_of_tls_are_used_without_a_restart() {
    let server = OpenBao::start_with_tls("127.0.0.1").await;
    let other = OpenBao::start_with_tls("127.0.0.1").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let put = |from: &OpenBao| {
        // As tools do it: another file takes the name.
        let aside = directory.path().join("aside");
        std::fs::copy(from.ca_file(), &aside).unwrap();
        std::fs::rename(aside, &ca_file).unwrap();
    };
    put(&other);
    let mut config = config(server.address(), token(server.root_token()));
    config.tls.ca_file = Some(ca_file.clone());
    let vault = Vault::new(&config).unwrap();
    let words = vault.log_in().await.unwrap_err().to_string();
    assert!(words.contains("is not signed by the authority"), "{words}");

    // What is of no use changes nothing; what is of use is taken at the next log-in.
    std::fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    vault.log_in().await.unwrap_err();
    put(&server);
    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();

    // So it is after a request that failed, when the server is one with another authority.
    put(&other);
    vault.renew().await.unwrap_err();
    assert!(matches!(read(&vault, "stores/a").await, Err(SourceFault::Unreachable(_))));
    put(&server);
    assert!(matches!(read(&vault, "stores/a").await, Err(SourceFault::Unreachable(_))));
    read(&vault, "stores/a").await.unwrap();
}

#[tokio::test]
async fn a_server_is_asked_through_a_socket_or_a_proxy() {
    let server = OpenBao::start_with_tls("127.0.0.1").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    // A proxy that lets through whatever it is asked for, and says what that was.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let (asked, mut heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            let _ = asked.send(head);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let mut proxied = config(server.address(), token(server.root_token()));
    proxied.tls.ca_file = Some(server.ca_file());
    proxied.proxy = Some(format!("http://{proxy}").parse().unwrap());
    let vault = Vault::new(&proxied).unwrap();
    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();
    let head = heard.recv().await.unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {}", server.address().trim_start_matches("https://"))),
        "{head}"
    );
    assert!(!head.contains(server.root_token()), "{head}");

    let plain = OpenBao::start().await;
    plain.write_secret("stores/a", json!({ "username": "u" })).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let target = plain.address().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let vault =
        Vault::new(&config(&format!("unix://{}", path.display()), token(plain.root_token()))).unwrap();
    assert_eq!(vault.address(), format!("unix://{}", path.display()));
    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();
    drop(directory);
    let gone = Vault::new(&config(&format!("unix://{}", path.display()), token("t"))).unwrap();
    let words = gone.log_in().await.unwrap_err().to_string();
    assert!(words.contains("the socket does not exist"), "{words}");
}

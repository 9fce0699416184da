//! Each way to log in, against the server's own method.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bc_secrets_sync::config::{Auth, Tls};
use bc_secrets_sync::domain::source::{Lease, SourceFault};
use bc_secrets_sync::sandbox::http::{Answer, Handler, Server};
use bc_secrets_sync::vault::Vault;
use http::{Request, Response};
use hyper::body::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ED25519, SigningKey,
};
use serde_json::{Value, json};

use super::support::openbao::OpenBao;
use super::{POLICY, approle, config, read};

/// A method that the server has enabled, with a role whose tokens may read the stores.
async fn enable(server: &OpenBao, method: &str) {
    server.put_policy("stores", POLICY).await;
    server.request("POST", &format!("sys/auth/{method}"), Some(json!({ "type": method }))).await;
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn file(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn refused(result: Result<Lease, SourceFault>) -> String {
    match result {
        Err(SourceFault::LoginRefused { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_user_logs_in_with_the_password_that_the_file_has_now() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    enable(&server, "userpass").await;
    let user = |password| json!({ "password": password, "token_policies": "stores", "token_ttl": "1m" });
    server.request("POST", "auth/userpass/users/bc-sync.1", Some(user("first"))).await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;

    let password_file = file(directory.path(), "password", "first\n");
    let username = "bc-sync.1".to_owned();
    let auth = Auth::Userpass { mount: "userpass".into(), username, password_file: password_file.clone() };
    let vault = Vault::new(&config(server.address(), auth)).unwrap();
    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();

    server.request("POST", "auth/userpass/users/bc-sync.1", Some(user("second"))).await;
    let message = refused(vault.log_in().await);
    assert!(message.contains("invalid username or password"), "{message}");
    std::fs::write(password_file, "second").unwrap();
    vault.log_in().await.unwrap();
}

/// Signs claims as an issuer would.
fn web_token(algorithm: &str, key: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": algorithm, "typ": "JWT" })), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap()))
}

#[tokio::test]
async fn a_json_web_token_logs_in_with_a_role_or_with_the_default_one() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    enable(&server, "jwt").await;
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let method = json!({
        "jwt_validation_pubkeys": key.public_key_pem(), "jwt_supported_algs": "EdDSA", "default_role": "sync",
    });
    server.request("POST", "auth/jwt/config", Some(method)).await;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "stores",
    });
    server.request("POST", "auth/jwt/role/sync", Some(role)).await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;

    let expires = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let good = web_token(
        "EdDSA",
        &key,
        &json!({ "sub": "sync", "aud": "vault", "exp": expires, "nbf": expires - 1200 }),
    );
    let token_file = file(directory.path(), "jwt", &good);
    for role in [Some("sync".to_owned()), None] {
        let auth = Auth::Jwt { mount: "jwt".into(), role, token_file: token_file.clone() };
        let vault = Vault::new(&config(server.address(), auth)).unwrap();
        vault.log_in().await.unwrap();
        read(&vault, "stores/a").await.unwrap();
    }
    let auth = Auth::Jwt { mount: "jwt".into(), role: Some("sync".into()), token_file: token_file.clone() };
    let vault = Vault::new(&config(server.address(), auth)).unwrap();
    let stranger = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let forged = web_token(
        "EdDSA",
        &stranger,
        &json!({ "sub": "sync", "aud": "vault", "exp": expires, "nbf": expires - 1200 }),
    );
    std::fs::write(&token_file, &forged).unwrap();
    let message = refused(vault.log_in().await);
    assert!(!message.contains(&forged), "{message}");
    // The file is read at each log-in, so a token that is replaced in time works.
    std::fs::write(&token_file, &good).unwrap();
    vault.log_in().await.unwrap();
}

/// As much of an API server as says whose token it is shown.
#[derive(Clone, Default)]
struct Reviewer(Arc<Mutex<Vec<Value>>>);

impl Handler for Reviewer {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        let mut review: Value = serde_json::from_slice(request.body()).unwrap();
        self.0.lock().unwrap().push(review["spec"]["token"].clone());
        (review["apiVersion"], review["kind"]) = ("authentication.k8s.io/v1".into(), "TokenReview".into());
        review["status"] = json!({
            "authenticated": true,
            "audiences": review["spec"]["audiences"],
            "user": { "username": "system:serviceaccount:shop:sync", "uid": "1", "groups": [] },
        });
        let mut response = Response::new(Bytes::from(review.to_string()));
        response.headers_mut().insert("content-type", "application/json".parse().unwrap());
        Answer::Whole(response)
    }
}

#[tokio::test]
async fn a_service_account_of_kubernetes_logs_in() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    enable(&server, "kubernetes").await;
    let reviewer = Reviewer::default();
    let cluster =
        Server::start("127.0.0.1:0".parse().unwrap(), None, Arc::new(reviewer.clone())).await.unwrap();
    let method = json!({
        "kubernetes_host": format!("http://{}", cluster.address()), "disable_local_ca_jwt": true,
        "token_reviewer_jwt": "reviewer", "disable_iss_validation": true,
        // Without TLS nobody asks for it, and yet it must be given.
        "kubernetes_ca_cert": issuer().pem(),
    });
    server.request("POST", "auth/kubernetes/config", Some(method)).await;
    let role = json!({
        "bound_service_account_names": "sync", "bound_service_account_namespaces": "shop",
        "token_policies": "stores", "token_ttl": "1m",
    });
    server.request("POST", "auth/kubernetes/role/sync", Some(role)).await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;

    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let expires = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let claims = json!({
        "sub": "system:serviceaccount:shop:sync", "exp": expires, "iat": expires - 1200, "nbf": expires - 1200,
        "iss": "https://kubernetes.default.svc", "aud": ["https://kubernetes.default.svc"],
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "sync", "uid": "1" } },
    });
    // The server takes no other algorithm here; the signature is for the API server alone to judge.
    let shown = web_token("ES256", &key, &claims);
    let token_file = file(directory.path(), "token", &shown);
    let auth = Auth::Jwt { mount: "kubernetes".into(), role: Some("sync".into()), token_file };
    let vault = Vault::new(&config(server.address(), auth)).unwrap();
    vault.log_in().await.unwrap();
    read(&vault, "stores/a").await.unwrap();
    assert_eq!(*reviewer.0.lock().unwrap(), [json!(shown)]);
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let server = OpenBao::start_with_tls("127.0.0.1").await;
    let directory = tempfile::tempdir().unwrap();
    enable(&server, "cert").await;
    let issuer = issuer();
    for role in ["sync", "other"] {
        let allowed = if role == "sync" { "sync" } else { "somebody-else" };
        let body = json!({
            "certificate": issuer.pem(), "allowed_common_names": allowed, "token_policies": "stores",
        });
        server.request("POST", &format!("auth/cert/certs/{role}"), Some(body)).await;
    }
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "sync");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let client = (
        file(directory.path(), "client.pem", &certificate.pem()),
        file(directory.path(), "client.key", &key.serialize_pem()),
    );
    let log_in = async |role: Option<&str>, client| {
        let auth = Auth::Certificate { mount: "cert".into(), role: role.map(str::to_owned) };
        let mut config = config(server.address(), auth);
        config.tls = Tls { ca_file: Some(server.ca_file()), client, ..Tls::default() };
        let vault = Vault::new(&config).unwrap();
        vault.log_in().await.map(|_| vault)
    };
    for role in [None, Some("sync")] {
        let vault = log_in(role, Some(client.clone())).await.unwrap();
        read(&vault, "stores/a").await.unwrap();
    }
    // The role is asked for by its name, and not only any role that fits.
    refused(log_in(Some("other"), Some(client)).await.map(|_| unreachable!()));
    refused(log_in(None, None).await.map(|_| unreachable!()));
}

#[tokio::test]
async fn a_wrapped_secret_id_is_unwrapped_once_and_only_from_its_own_path() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    server.put_policy("stores", POLICY).await;
    let role = server.enable_approle("stores").await;
    let path = "auth/approle/role/test/secret-id";
    let wrapping = server.wrapped("POST", path).await;
    let Auth::AppRole { mount, role_id_file, secret_id_file, .. } = approle(directory.path(), &role) else {
        unreachable!()
    };
    std::fs::write(&secret_id_file, &wrapping).unwrap();
    let auth = |wrapping_path: &str| Auth::AppRole {
        mount: mount.clone(),
        role_id_file: role_id_file.clone(),
        secret_id_file: secret_id_file.clone(),
        wrapping_path: Some(wrapping_path.to_owned()),
    };

    // Made elsewhere: it is not used, and so not used up.
    let astray = Vault::new(&config(server.address(), auth("auth/approle/role/other/secret-id"))).unwrap();
    let Err(SourceFault::LoginFile(words)) = astray.log_in().await else { panic!() };
    assert!(words.contains("was not made at auth/approle/role/other/secret-id"), "{words}");

    let vault = Vault::new(&config(server.address(), auth(path))).unwrap();
    vault.log_in().await.unwrap();
    vault.log_in().await.unwrap();

    // So does another connection in the place of this one, as after a change of `[vault]`.
    let mut hurried = config(server.address(), auth(path));
    hurried.timeout /= 2;
    let next = vault.succeeded(&hurried, false).unwrap();
    read(&next, "stores/a").await.unwrap_err();
    next.log_in().await.unwrap();
    // Where the token is still of use, there is no need to log in.
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    read(&next.succeeded(&hurried, true).unwrap(), "stores/a").await.unwrap();
    let elsewhere = config(server.address(), auth("auth/approle/role/other/secret-id"));
    vault.succeeded(&elsewhere, false).unwrap().log_in().await.unwrap_err();

    // Another process finds it used up, and says what that may mean.
    let late = Vault::new(&config(server.address(), auth(path))).unwrap();
    let message = refused(late.log_in().await);
    assert!(message.contains("used before") && message.contains("somebody else"), "{message}");
    assert!(!message.contains(&wrapping), "{message}");

    std::fs::write(&secret_id_file, server.wrapped("POST", path).await).unwrap();
    vault.log_in().await.unwrap();
    late.log_in().await.unwrap_err();
}

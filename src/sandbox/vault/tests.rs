//! The small Vault's behaviour, seen by a client and read with the types of the `vaultrs` crate.

use reqwest::{Client, Method, Response};
use serde::de::DeserializeOwned;
use serde_json::json;
use vaultrs::api::kv2::responses::{
    ListSecretsResponse, ReadSecretMetadataResponse, ReadSecretResponse, SecretVersionMetadata,
};
use vaultrs::api::token::responses::LookupTokenResponse;
use vaultrs::api::{AuthInfo, EndpointError, EndpointResult};

use super::*;
use crate::sandbox::testing::{ANY_PORT, client};

/// A Vault with the client and the token to ask it with.
struct Session {
    vault: SmallVault,
    client: Client,
    token: String,
}

/// An answer, read whole.
struct Reply {
    status: u16,
    body: String,
}

impl Session {
    /// A new Vault, asked with its root token.
    async fn root() -> Self {
        let vault = SmallVault::start(ANY_PORT).await.unwrap();
        let token = vault.root_token().to_owned();
        Self { vault, client: client(None), token }
    }

    /// A new Vault, asked with the token of a login.
    async fn logged_in() -> Self {
        let mut session = Self::root().await;
        session.log_in().await;
        session
    }

    async fn log_in(&mut self) -> AuthInfo {
        let (role, secret) = (self.vault.role_id(), self.vault.secret_id());
        let auth = self.log_in_with(role, secret).await.envelope::<()>().auth.unwrap();
        self.token.clone_from(&auth.client_token);
        auth
    }

    async fn log_in_with(&self, role_id: &str, secret_id: &str) -> Reply {
        self.ask(Method::POST, "auth/approle/login", json!({ "role_id": role_id, "secret_id": secret_id }))
            .await
    }

    async fn get(&self, route: &str) -> Reply {
        self.ask(Method::GET, route, Value::Null).await
    }

    async fn post(&self, route: &str, body: Value) -> Reply {
        self.ask(Method::POST, route, body).await
    }

    async fn ask(&self, method: Method, route: &str, body: Value) -> Reply {
        let mut request = self.client.request(method, format!("{}/v1/{route}", self.vault.address()));
        if !self.token.is_empty() {
            request = request.header("X-Vault-Token", &self.token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        Reply::of(request.send().await.unwrap()).await
    }
}

impl Reply {
    async fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    fn envelope<T: DeserializeOwned>(&self) -> EndpointResult<T> {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    fn data<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", self.body);
        self.envelope().data.unwrap()
    }

    /// The status and the messages of an error.
    fn refusal(&self) -> (u16, Vec<String>) {
        let error: EndpointError = serde_json::from_str(&self.body).unwrap();
        (self.status, error.errors)
    }
}

fn refused(status: u16, message: &str) -> (u16, Vec<String>) {
    (status, vec![message.to_owned()])
}

#[tokio::test]
async fn a_login_gives_a_renewable_token_that_may_read() {
    let mut session = Session::root().await;
    session.vault.write("stores/toys", json!({ "username": "sync" }));
    let auth = session.log_in().await;
    assert_eq!((auth.lease_duration, auth.renewable, auth.token_type.as_str()), (3600, true, "service"));
    let secret: ReadSecretResponse = session.get("secret/data/stores/toys").await.data();
    assert_eq!(secret.data, json!({ "username": "sync" }));
    assert_eq!((session.vault.logins(), session.vault.live_tokens(), session.vault.requests()), (1, 1, 2));
}

#[tokio::test]
async fn a_wrong_role_or_secret_id_is_a_bad_request() {
    let session = Session::root().await;
    let (role, secret) = (session.vault.role_id(), session.vault.secret_id());
    let expected = refused(400, "invalid role or secret ID");
    assert_eq!(session.log_in_with(role, "wrong").await.refusal(), expected);
    assert_eq!(session.log_in_with("wrong", secret).await.refusal(), expected);
    assert_eq!(session.log_in_with(role, "").await.refusal(), refused(400, "missing secret_id"));
    assert_eq!(session.vault.logins(), 0);
}

#[tokio::test]
async fn a_token_can_look_itself_up() {
    let session = Session::logged_in().await;
    let token: LookupTokenResponse = session.get("auth/token/lookup-self").await.data();
    assert_eq!(token.id, session.token);
    assert!((3590..=3600).contains(&token.ttl), "{}", token.ttl);
    assert!(token.expire_time.unwrap().ends_with('Z'));
}

#[tokio::test]
async fn the_root_token_can_look_itself_up_and_cannot_be_renewed() {
    let session = Session::root().await;
    let token: LookupTokenResponse = session.get("auth/token/lookup-self").await.data();
    assert_eq!((token.ttl, token.expire_time, token.renewable), (0, None, Some(false)));
    let renewal = session.post("auth/token/renew-self", json!({})).await;
    assert_eq!(renewal.refusal(), refused(400, "lease is not renewable"));
}

#[tokio::test]
async fn a_renewal_grants_the_time_set_or_asked_for() {
    let session = Session::logged_in().await;
    session.vault.set_token_ttl(Duration::from_secs(120));
    for (increment, granted) in
        [(json!({}), 120), (json!({ "increment": "30s" }), 30), (json!({ "increment": 7 }), 7)]
    {
        let auth = session.post("auth/token/renew-self", increment).await.envelope::<()>().auth.unwrap();
        assert_eq!((auth.lease_duration, auth.client_token.as_str()), (granted, session.token.as_str()));
    }
}

#[tokio::test]
async fn a_renewal_stops_growing_at_the_maximum_and_says_so() {
    let mut session = Session::root().await;
    session.vault.set_token_max_ttl(Duration::from_secs(90));
    assert_eq!(session.log_in().await.lease_duration, 90);
    let renewal = session.post("auth/token/renew-self", json!({})).await.envelope::<()>();
    assert!(renewal.warnings.unwrap()[0].contains("max_ttl"));
    assert!(renewal.auth.unwrap().lease_duration <= 90);
}

#[tokio::test]
async fn a_token_that_has_revoked_itself_is_dead() {
    let session = Session::logged_in().await;
    assert_eq!(session.post("auth/token/revoke-self", Value::Null).await.status, 204);
    assert_eq!(session.get("auth/token/lookup-self").await.refusal(), refused(403, "permission denied"));
    assert_eq!(session.vault.live_tokens(), 0);
}

#[tokio::test]
async fn expired_unknown_missing_and_revoked_tokens_are_denied() {
    let denied = refused(403, "permission denied");
    let mut session = Session::logged_in().await;
    session.vault.revoke_all_tokens();
    assert_eq!(session.get("secret/data/a").await.refusal(), denied);
    session.vault.set_token_ttl(Duration::ZERO);
    session.log_in().await;
    assert_eq!(session.get("secret/data/a").await.refusal(), denied);
    for token in ["s.unknown", ""] {
        token.clone_into(&mut session.token);
        assert_eq!(session.get("secret/data/a").await.refusal(), denied);
    }
}

#[tokio::test]
async fn every_write_makes_a_version_and_old_versions_can_be_read() {
    let session = Session::logged_in().await;
    let first: SecretVersionMetadata =
        session.post("secret/data/stores/toys", json!({ "data": { "token": "one" } })).await.data();
    assert_eq!((first.version, session.vault.write("stores/toys", json!({ "token": "two" }))), (1, 2));
    let newest: ReadSecretResponse = session.get("secret/data/stores/toys").await.data();
    let older: ReadSecretResponse = session.get("secret/data/stores/toys?version=1").await.data();
    assert_eq!((&newest.data["token"], newest.metadata.version), (&json!("two"), 2));
    assert_eq!((&older.data["token"], older.metadata.version), (&json!("one"), 1));
    assert_eq!(session.get("secret/data/stores/toys?version=3").await.refusal(), (404, Vec::new()));
}

#[tokio::test]
async fn what_was_never_written_is_not_found_without_a_message() {
    let session = Session::logged_in().await;
    for route in ["secret/data/nothing", "secret/metadata/nothing", "secret/metadata/nothing?list=true"] {
        assert_eq!(session.get(route).await.refusal(), (404, Vec::new()), "{route}");
    }
}

#[tokio::test]
async fn a_deleted_newest_version_is_not_found_with_its_metadata() {
    let session = Session::logged_in().await;
    session.vault.write("toys", json!({ "token": "one" }));
    session.vault.write("toys", json!({ "token": "two" }));
    assert_eq!(session.ask(Method::DELETE, "secret/data/toys", Value::Null).await.status, 204);
    let reply = session.get("secret/data/toys").await;
    let deleted: ReadSecretResponse = reply.envelope().data.unwrap();
    assert_eq!((reply.status, deleted.data, deleted.metadata.version), (404, Value::Null, 2));
    assert!(!deleted.metadata.deletion_time.is_empty());
    assert_eq!(session.get("secret/data/toys?version=1").await.status, 200);
    assert_eq!(session.vault.write("toys", json!({})), 3);
    assert_eq!(session.get("secret/data/toys").await.status, 200);
}

#[tokio::test]
async fn deleting_from_the_handle_is_the_same_and_harmless_when_nothing_is_there() {
    let session = Session::logged_in().await;
    session.vault.delete("toys");
    assert_eq!(session.get("secret/data/toys").await.refusal(), (404, Vec::new()));
    session.vault.write("toys", json!({}));
    session.vault.delete("/toys");
    assert!(session.get("secret/data/toys").await.body.contains("deletion_time"));
}

#[tokio::test]
async fn metadata_list_every_version() {
    let session = Session::logged_in().await;
    session.vault.write("toys", json!({}));
    session.vault.write("toys", json!({}));
    session.vault.delete("toys");
    let metadata: ReadSecretMetadataResponse = session.get("secret/metadata/toys").await.data();
    assert_eq!((metadata.current_version, metadata.versions.len()), (2, 2));
    assert!(!metadata.versions["2"].deletion_time.is_empty());
}

#[tokio::test]
async fn a_list_names_what_is_directly_below_a_prefix() {
    let session = Session::logged_in().await;
    for path in ["stores/toys", "stores/books", "stores/eu/shoes"] {
        session.vault.write(path, json!({}));
    }
    let listed: ListSecretsResponse = session.get("secret/metadata/stores?list=true").await.data();
    assert_eq!(listed.keys, ["books", "eu/", "toys"]);
    let list = Method::from_bytes(b"LIST").unwrap();
    let listed: ListSecretsResponse = session.ask(list, "secret/metadata/stores/", Value::Null).await.data();
    assert_eq!(listed.keys.len(), 3);
    let listed: ListSecretsResponse = session.get("secret/metadata/?list=true").await.data();
    assert_eq!(listed.keys, ["stores/"]);
}

#[tokio::test]
async fn a_detailed_list_gives_versions_and_pages_in_openbao_only() {
    let session = Session::logged_in().await;
    for path in ["stores/toys", "stores/books", "stores/books", "stores/eu/shoes"] {
        session.vault.write(path, json!({}));
    }
    let listed: Value = session.get("secret/detailed-metadata/stores?list=true&limit=2").await.data();
    assert_eq!(listed["keys"], json!(["books", "eu/"]));
    assert_eq!(listed["key_info"]["books"]["current_version"], 2);
    assert_eq!(listed["key_info"]["eu/"], json!({}));
    let rest: Value = session.get("secret/detailed-metadata/stores?list=true&limit=2&after=eu/").await.data();
    assert_eq!(rest["keys"], json!(["toys"]));
    session.vault.set_flavour(Flavour::HashiCorp);
    assert_eq!(session.get("secret/detailed-metadata/stores?list=true").await.status, 404);
}

#[tokio::test]
async fn a_write_that_expects_another_version_is_refused() {
    let session = Session::logged_in().await;
    session.vault.write("toys", json!({}));
    let write = json!({ "data": {}, "options": { "cas": 0 } });
    let message = "check-and-set parameter did not match the current version";
    assert_eq!(session.post("secret/data/toys", write).await.refusal(), refused(400, message));
    let write = json!({ "data": {}, "options": { "cas": 1 } });
    assert_eq!(session.post("secret/data/toys", write).await.status, 200);
    assert_eq!(session.post("secret/data/toys", json!({})).await.refusal(), refused(400, "no data provided"));
}

#[tokio::test]
async fn while_sealed_everything_says_so_and_afterwards_all_is_as_before() {
    let session = Session::logged_in().await;
    session.vault.write("toys", json!({}));
    session.vault.seal();
    let sealed = refused(503, "Vault is sealed");
    assert_eq!(session.get("secret/data/toys").await.refusal(), sealed);
    assert_eq!(session.log_in_with("any", "any").await.refusal(), sealed);
    session.vault.unseal();
    assert_eq!(session.get("secret/data/toys").await.status, 200);
}

#[tokio::test]
async fn a_forbidden_path_is_denied_to_a_live_token_and_its_neighbours_are_not() {
    let session = Session::logged_in().await;
    for path in ["stores/toys", "stores/toys-2"] {
        session.vault.write(path, json!({}));
    }
    session.vault.forbid("stores/toys");
    let (status, messages) = session.get("secret/data/stores/toys").await.refusal();
    assert_eq!(status, 403);
    assert!(messages[0].contains("permission denied"));
    assert_eq!(session.get("secret/data/stores/toys-2").await.status, 200);
    assert_eq!(session.get("auth/token/lookup-self").await.status, 200);
    session.vault.permit("stores/toys");
    assert_eq!(session.get("secret/data/stores/toys").await.status, 200);
}

#[tokio::test]
async fn another_mount_is_denied_to_a_login_and_unknown_to_root() {
    let login = Session::logged_in().await;
    assert_eq!(login.get("other/data/a").await.status, 403);
    let root = Session::root().await;
    assert_eq!(root.get("other/data/a").await.status, 404);
}

#[tokio::test]
async fn the_mount_is_known_as_version_two_and_there_is_no_other() {
    let session = Session::logged_in().await;
    let mount: Value = session.get("sys/internal/ui/mounts/secret/stores").await.data();
    assert_eq!(
        (&mount["type"], &mount["options"]["version"], &mount["path"]),
        (&json!("kv"), &json!("2"), &json!("secret/"))
    );
    assert_eq!(session.get("sys/internal/ui/mounts/other").await.status, 403);
}

#[tokio::test]
async fn methods_that_make_no_sense_are_not_allowed() {
    let session = Session::logged_in().await;
    assert_eq!(session.get("auth/token/renew-self").await.status, 405);
    assert_eq!(session.ask(Method::PATCH, "secret/data/toys", Value::Null).await.status, 405);
}

#[tokio::test]
async fn nothing_printed_for_debugging_holds_a_credential() {
    let mut session = Session::root().await;
    session.vault.write("toys", json!({ "token": "canary" }));
    let auth = session.log_in().await;
    let printed = format!("{:?}", session.vault);
    let vault = &session.vault;
    for secret in ["canary", vault.role_id(), vault.secret_id(), vault.root_token(), &auth.client_token] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

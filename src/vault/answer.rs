//! Reads the server's answers about our token: a lease, or the fault that they mean.
//!
//! The forms are our own and ask for no more than is used: servers differ in the rest. No text made here
//! repeats anything of a body, save the reason that a server gives for refusing a log-in.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::source::{Lease, ListedVersion, SourceFault};
use crate::domain::time::Timestamp;

use super::login::Token;

/// The longest quotation of a server's reason, in characters.
const MAX_QUOTATION: usize = 200;
/// The longest time that is believed, a hundred years: what is longer lasts for ever to us, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What an answer comes to that [`is_no_namespace`].
pub(super) const NO_NAMESPACE: &str =
    "the server has no such namespace; correct vault.namespace (or BAO_NAMESPACE or VAULT_NAMESPACE)";

/// An answer of the server.
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body, at most [`super::transport::MAX_ANSWER`] bytes.
    pub(super) body: Zeroizing<Vec<u8>>,
    /// For how long the server asks to be left alone.
    pub(super) pause: Option<Duration>,
    /// An Agent or Proxy with a cache has given it, and may give it to others too.
    pub(super) cached: bool,
}

#[derive(Deserialize)]
struct Authenticated {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    client_token: String,
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    token_type: Option<String>,
}

#[derive(Deserialize)]
struct WrappingLookedUp {
    data: WrappingData,
}

#[derive(Deserialize)]
struct WrappingData {
    creation_path: String,
}

#[derive(Deserialize)]
struct Unwrapped {
    data: UnwrappedData,
}

#[derive(Deserialize)]
struct UnwrappedData {
    #[serde(default)]
    secret_id: String,
}

#[derive(Deserialize)]
struct Listed {
    data: ListedData,
}

#[derive(Deserialize)]
struct ListedData {
    keys: Vec<String>,
    #[serde(default)]
    key_info: Option<BTreeMap<String, Key>>,
}

/// Of a folder nothing is said.
#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    current_version: Option<u64>,
    #[serde(default)]
    versions: BTreeMap<String, OneVersion>,
}

#[derive(Deserialize)]
struct OneVersion {
    #[serde(default)]
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

#[derive(Deserialize)]
struct LookedUp {
    data: TokenData,
}

#[derive(Deserialize)]
struct TokenData {
    ttl: u64,
    #[serde(default)]
    renewable: Option<bool>,
    #[serde(default)]
    expire_time: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<String>,
}

/// The token and the lease of a log-in; `credentials` are what it was done with, and are never quoted.
pub(super) fn logged_in(answer: &Answer, credentials: &[&str]) -> Result<(Token, Lease), SourceFault> {
    if answer.status != 200 {
        return Err(match (answer.status, errors(answer)) {
            (429 | 472 | 473, _) => fault(answer),
            _ if is_no_namespace(answer) => fault(answer),
            (status @ 400..=499, Some(errors)) => {
                SourceFault::LoginRefused { status, message: quotation(&errors, credentials) }
            }
            _ => fault(answer),
        });
    }
    let mut auth = auth(answer)?;
    let text = Zeroizing::new(mem::take(&mut auth.client_token));
    let token = Token::new(text).ok_or_else(|| {
        malformed(
            "the answer to the log-in holds no token; a role that asks for a second factor cannot be used",
        )
    })?;
    // One that a cache has may be in use by others, and a batch token cannot be revoked.
    let ours = !answer.cached && auth.token_type.as_deref() != Some("batch");
    Ok((if ours { token.made_for_us() } else { token }, lease(&auth)))
}

/// Whether a wrapping token that was looked up is alive and was made at `path`.
pub(super) fn wrapped_at(answer: &Answer, path: &str) -> Result<(), SourceFault> {
    match answer.status {
        200 => {}
        429 | 472 | 473 => return Err(fault(answer)),
        _ if is_no_namespace(answer) => return Err(fault(answer)),
        status @ 400..=499 => {
            return Err(SourceFault::LoginRefused {
                status,
                message: "the wrapping token has expired or was used before; if it was not this daemon that used \
                          it, somebody else has the secret ID: destroy that one, and write a new wrapping token \
                          into the file"
                    .into(),
            });
        }
        _ => return Err(fault(answer)),
    }
    let WrappingLookedUp { data } = serde_json::from_slice(&answer.body).map_err(|_| not_vault())?;
    if data.creation_path.trim_matches('/') == path {
        return Ok(());
    }
    // The other path was somebody else's choice: it is not repeated.
    Err(SourceFault::LoginFile(format!(
        "the wrapping token was not made at {path} and is not used: somebody may have put it in the place of \
         yours; see vault.auth.approle.secret_id_wrapping_path"
    )))
}

/// The secret ID that was wrapped.
pub(super) fn unwrapped_secret_id(answer: &Answer) -> Result<Zeroizing<String>, SourceFault> {
    match answer.status {
        200 => {}
        429 | 472 | 473 => return Err(fault(answer)),
        _ if is_no_namespace(answer) => return Err(fault(answer)),
        status @ 400..=499 => {
            let message = "the wrapping token was used by somebody else a moment ago: destroy the secret ID that \
                           it held, and write a new wrapping token into the file";
            return Err(SourceFault::LoginRefused { status, message: message.into() });
        }
        _ => return Err(fault(answer)),
    }
    let Unwrapped { mut data } = serde_json::from_slice(&answer.body).map_err(|_| not_vault())?;
    let secret_id = Zeroizing::new(mem::take(&mut data.secret_id));
    if secret_id.is_empty() {
        return Err(malformed("what was wrapped is no secret ID"));
    }
    Ok(secret_id)
}

/// What a renewal left of the token.
pub(super) fn renewed(answer: &Answer) -> Result<Lease, SourceFault> {
    match answer.status {
        200 => {
            let mut auth = auth(answer)?;
            auth.client_token.zeroize();
            Ok(lease(&auth))
        }
        400 => Err(malformed("status 400 to a renewal: the token cannot be renewed")),
        // OpenBao says so of a token that is older than its role allows: the role may have been changed. It
        // is a word about the token, not about the server.
        500 if errors(answer).is_some_and(|errors| errors.iter().any(|error| error.contains("max TTL"))) => {
            Err(malformed("the token is past its greatest age and cannot be renewed"))
        }
        _ => Err(fault(answer)),
    }
}

/// What is left of a token that looked itself up.
pub(super) fn looked_up(answer: &Answer) -> Result<Lease, SourceFault> {
    if answer.status != 200 {
        return Err(fault(answer));
    }
    let LookedUp { data } = serde_json::from_slice(&answer.body).map_err(|_| not_vault())?;
    // In its last second a token has 0 seconds left, which alone would say "for ever".
    let ends = data.expire_time.is_some();
    Ok(Lease {
        duration: seconds(if ends { data.ttl.max(1) } else { data.ttl }),
        renewable: data.renewable.unwrap_or(false),
    })
}

/// One page of a listing.
pub(super) struct Page {
    /// The newest version of each secret, where that was asked for.
    pub(super) secrets: BTreeMap<String, Option<ListedVersion>>,
    /// How many names the page has, those of folders among them.
    pub(super) keys: usize,
    /// The last of them.
    pub(super) last: Option<String>,
}

/// A page of secrets, with their versions or without.
pub(super) fn page(answer: &Answer, detailed: bool) -> Result<Page, SourceFault> {
    match answer.status {
        200 => {}
        404 if errors(answer).is_some_and(|errors| errors.is_empty()) => {
            return Err(SourceFault::NeverWritten);
        }
        _ if is_no_namespace(answer) => return Err(SourceFault::NotKeyValue(NO_NAMESPACE.into())),
        status @ (400 | 404 | 405 | 501) => {
            let what = if detailed { "secrets with their versions" } else { "secrets" };
            return Err(SourceFault::NotKeyValue(format!(
                "the server does not list {what} (status {status})"
            )));
        }
        _ => return Err(fault(answer)),
    }
    let no_page = || SourceFault::NotKeyValue("the server's listing has no versions".into());
    let Listed { data } = serde_json::from_slice(&answer.body).map_err(|_| no_page())?;
    let newest = |key: &Key| {
        let version = key.current_version?;
        let one = key.versions.get(&version.to_string());
        let present = one.is_some_and(|one| one.deletion_time.is_empty() && !one.destroyed);
        let created_at = one.and_then(|one| Timestamp::parse(&one.created_time));
        Some(ListedVersion { version, created_at, present })
    };
    let details = if detailed { Some(data.key_info.ok_or_else(no_page)?) } else { None };
    let (keys, last) = (data.keys.len(), data.keys.last().cloned());
    let version = |name: &String| details.as_ref()?.get(name).and_then(newest);
    let names = data.keys.into_iter().filter(|name| !name.ends_with('/'));
    let secrets = names.map(|name| (version(&name), name)).map(|(version, name)| (name, version)).collect();
    Ok(Page { secrets, keys, last })
}

/// The fault that a status means, whatever was asked.
pub(super) fn fault(answer: &Answer) -> SourceFault {
    match answer.status {
        // A gateway's own page of 403 says nothing about the token.
        403 if answer.body.is_empty() || errors(answer).is_some() => SourceFault::Forbidden,
        503 if errors(answer)
            .is_some_and(|errors| errors.iter().any(|error| error.contains("is sealed"))) =>
        {
            SourceFault::Sealed
        }
        status @ (300..=399 | 429 | 472 | 473 | 500..=599) => match answer.pause {
            Some(pause) => SourceFault::Busy { status, pause },
            None => SourceFault::Unavailable { status },
        },
        status if is_no_namespace(answer) => {
            SourceFault::LoginRefused { status, message: NO_NAMESPACE.into() }
        }
        status => SourceFault::Malformed(format!(
            "status {status}, which Vault does not give here; check vault.address and what stands before the server"
        )),
    }
}

/// Whether the server says that it does not have the namespace that it is asked for.
pub(super) fn is_no_namespace(answer: &Answer) -> bool {
    answer.status == 404
        && errors(answer)
            .is_some_and(|errors| errors.iter().any(|error| error.contains("namespace not found")))
}

/// A time as the server gives it.
pub(super) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number).min(LONGEST)
}

fn auth(answer: &Answer) -> Result<Auth, SourceFault> {
    let parsed: Authenticated = serde_json::from_slice(&answer.body).map_err(|_| not_vault())?;
    parsed.auth.ok_or_else(not_vault)
}

fn lease(auth: &Auth) -> Lease {
    Lease { duration: seconds(auth.lease_duration), renewable: auth.renewable }
}

/// The server's own reasons; `None` when the body is not of Vault's making.
pub(super) fn errors(answer: &Answer) -> Option<Vec<String>> {
    serde_json::from_slice(&answer.body).ok().map(|Refused { errors }| errors)
}

fn quotation(errors: &[String], credentials: &[&str]) -> String {
    let whole = errors.join("; ");
    if whole.is_empty() {
        return "the server gave no reason".into();
    }
    if credentials.iter().any(|credential| whole.contains(credential)) {
        return "the server's reason is left out, because it repeats what was sent".into();
    }
    let visible = |character: char| if character.is_control() { ' ' } else { character };
    whole.chars().map(visible).take(MAX_QUOTATION).collect()
}

pub(super) fn not_vault() -> SourceFault {
    malformed("it is not what Vault answers; check vault.address and what stands before the server")
}

fn malformed(words: &str) -> SourceFault {
    SourceFault::Malformed(words.into())
}

//! Gets a token: from a file, from the configuration, or by logging in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use hyper::body::Bytes;
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde_json::json;
use tokio::time;
use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::userpass::requests::LoginRequest as LogInWithPassword;
use vaultrs::api::token::requests::LookupTokenSelfRequest;
use zeroize::{Zeroize, Zeroizing};

use crate::config::Auth;
use crate::domain::secret::Secret;
use crate::domain::source::{Lease, SourceFault};
use crate::system::blocking::Turns;

use super::transport::{self, Transport};
use super::wrapping::Wrapping;
use super::{answer, files};

/// The largest file with a credential, in bytes.
const LIMIT: usize = 64 * 1024;

/// A token in the form in which requests carry it: marked as sensitive, wiped when its last clone is dropped.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    ours: bool,
}

impl Token {
    /// Takes visible ASCII characters only: anything else cannot be a token, and must not get into a header.
    pub(super) fn new(text: Zeroizing<String>) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(Text(text))).ok()?;
        header.set_sensitive(true);
        Some(Self { header, ours: false })
    }

    /// The same, made for us alone.
    pub(super) fn made_for_us(self) -> Self {
        Self { ours: true, ..self }
    }

    /// Whether it was made for us alone, and so is ours to revoke.
    pub(super) const fn is_ours(&self) -> bool {
        self.ours
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

struct Text(Zeroizing<String>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// How to log in.
pub(super) struct LogIn {
    method: Method,
    /// Limit of reading the files, which may be on a disk that does not answer.
    timeout: Duration,
}

enum Method {
    TokenFile(CredentialFile),
    Token(Secret),
    AppRole {
        mount: String,
        role_id_file: CredentialFile,
        secret_id_file: CredentialFile,
        wrapping: Option<Wrapping>,
    },
    Jwt {
        mount: String,
        role: Option<String>,
        token_file: CredentialFile,
    },
    Certificate {
        mount: String,
        role: Option<String>,
    },
    Userpass {
        mount: String,
        username: String,
        password_file: CredentialFile,
    },
}

/// A file with a credential for Vault itself.
struct CredentialFile {
    path: PathBuf,
    /// However often it is tried anew, a disk that hangs takes one thread.
    turns: Turns,
}

impl CredentialFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), turns: Turns::new(1) }
    }

    /// Reads the credential, without the white space around it. `what` it is, is said where it cannot be read.
    async fn read(&self, what: &str, limit: Duration) -> Result<Zeroizing<String>, SourceFault> {
        self.read_by(files::read, what, limit).await
    }

    async fn read_by(
        &self,
        read: impl FnOnce(&Path, usize) -> io::Result<Zeroizing<Vec<u8>>> + Send + 'static,
        what: &str,
        limit: Duration,
    ) -> Result<Zeroizing<String>, SourceFault> {
        let fault = |why: &str| {
            SourceFault::LoginFile(format!("the {what} cannot be read from {}: {why}", self.path.display()))
        };
        let path = self.path.clone();
        let reading = self.turns.run(move || read(&path, LIMIT));
        let bytes = time::timeout(limit, reading)
            .await
            .map_err(|_| fault("the file system does not answer"))?
            .map_err(|error| fault(&files::words(&error)))?;
        let text = str::from_utf8(&bytes).map_err(|_| fault("it is not UTF-8 text"))?.trim();
        if text.is_empty() {
            return Err(fault("it is empty; write the value into it"));
        }
        if text.chars().any(char::is_control) {
            return Err(fault(
                "a line break or another control character is within the value; write the value alone",
            ));
        }
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl LogIn {
    pub(super) fn new(auth: &Auth, timeout: Duration) -> Self {
        let method = match auth {
            Auth::TokenFile(file) => Method::TokenFile(CredentialFile::new(file)),
            Auth::Token(token) => Method::Token(Secret::new(token.expose().to_owned())),
            Auth::AppRole { mount, role_id_file, secret_id_file, wrapping_path } => Method::AppRole {
                mount: mount.clone(),
                role_id_file: CredentialFile::new(role_id_file),
                secret_id_file: CredentialFile::new(secret_id_file),
                wrapping: wrapping_path.clone().map(Wrapping::new),
            },
            Auth::Jwt { mount, role, token_file } => Method::Jwt {
                mount: mount.clone(),
                role: role.clone(),
                token_file: CredentialFile::new(token_file),
            },
            Auth::Certificate { mount, role } => {
                Method::Certificate { mount: mount.clone(), role: role.clone() }
            }
            Auth::Userpass { mount, username, password_file } => Method::Userpass {
                mount: mount.clone(),
                username: username.clone(),
                password_file: CredentialFile::new(password_file),
            },
        };
        Self { method, timeout }
    }

    /// What this one has unwrapped, the other one knows too, where it would unwrap the same.
    pub(super) fn shared_with(&self, other: &mut Self) {
        if let (
            Method::AppRole { wrapping: Some(wrapping), .. },
            Method::AppRole { wrapping: Some(theirs), .. },
        ) = (&self.method, &mut other.method)
        {
            wrapping.shared_with(theirs);
        }
    }

    pub(super) async fn log_in(&self, transport: &Transport) -> Result<(Token, Lease), SourceFault> {
        match &self.method {
            Method::TokenFile(file) => {
                let text = file.read("token", self.timeout).await?;
                let origin = format!("the token in {}", file.path.display());
                given(transport, text, &origin).await
            }
            Method::Token(token) => {
                let text = Zeroizing::new(token.expose().trim().to_owned());
                given(transport, text, "the token from BAO_TOKEN or VAULT_TOKEN").await
            }
            Method::AppRole { mount, role_id_file, secret_id_file, wrapping } => {
                let role_id = role_id_file.read("role ID", self.timeout).await?;
                let secret_id = match wrapping {
                    None => secret_id_file.read("secret ID", self.timeout).await?,
                    Some(wrapping) => {
                        let token = secret_id_file.read("wrapping token", self.timeout).await?;
                        wrapping.secret_id(transport, token).await?
                    }
                };
                approle(transport, mount, &role_id, &secret_id).await
            }
            Method::Jwt { mount, role, token_file } => {
                let token = token_file.read("JSON Web Token", self.timeout).await?;
                jwt(transport, mount, role.as_deref(), &token).await
            }
            Method::Certificate { mount, role } => {
                let request = LogInWithCertificate { mount: transport::path(mount)?, name: role.as_deref() };
                answer::logged_in(&transport.send_log_in(&request).await?, &[])
            }
            Method::Userpass { mount, username, password_file } => {
                let password = password_file.read("password", self.timeout).await?;
                userpass(transport, mount, username, &password).await
            }
        }
    }
}

/// Takes a token that was given to us, and asks the server what is left of it.
async fn given(
    transport: &Transport,
    text: Zeroizing<String>,
    origin: &str,
) -> Result<(Token, Lease), SourceFault> {
    let token = Token::new(text).ok_or_else(|| {
        SourceFault::LoginFile(format!("{origin} has characters that no token has; write the token alone"))
    })?;
    let answer = transport.send(&LookupTokenSelfRequest {}, Some(&token)).await?;
    match answer::looked_up(&answer) {
        Ok(lease) => Ok((token, lease)),
        Err(SourceFault::Forbidden) => Err(SourceFault::LoginRefused {
            status: 403,
            message: format!("{origin} is dead, or may not look itself up (the policy 'default' lets it)"),
        }),
        Err(fault) => Err(fault),
    }
}

async fn approle(
    transport: &Transport,
    mount: &str,
    role_id: &str,
    secret_id: &str,
) -> Result<(Token, Lease), SourceFault> {
    let mut request = LoginWithApproleRequest {
        mount: transport::path(mount)?,
        role_id: role_id.to_owned(),
        secret_id: secret_id.to_owned(),
    };
    let answer = transport.send_log_in(&request).await;
    request.role_id.zeroize();
    request.secret_id.zeroize();
    answer::logged_in(&answer?, &[role_id, secret_id])
}

/// Kubernetes' method takes what the one for JSON Web Tokens takes. Without a role the server uses its default.
async fn jwt(
    transport: &Transport,
    mount: &str,
    role: Option<&str>,
    token: &str,
) -> Result<(Token, Lease), SourceFault> {
    let mut request = LoginWithKubernetesRequest {
        mount: transport::path(mount)?,
        role: role.unwrap_or_default().to_owned(),
        jwt: token.to_owned(),
    };
    let answer = transport.send_log_in(&request).await;
    request.jwt.zeroize();
    answer::logged_in(&answer?, &[token])
}

async fn userpass(
    transport: &Transport,
    mount: &str,
    username: &str,
    password: &str,
) -> Result<(Token, Lease), SourceFault> {
    let mut request = LogInWithPassword {
        mount: transport::path(mount)?,
        username: username.to_owned(),
        password: password.to_owned(),
    };
    let answer = transport.send_log_in(&request).await;
    request.password.zeroize();
    answer::logged_in(&answer?, &[password])
}

/// The library's request of this kind names the role in a field that servers do not know, and so pass over.
struct LogInWithCertificate<'a> {
    mount: String,
    name: Option<&'a str>,
}

impl Endpoint for LogInWithCertificate<'_> {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("/auth/{}/login", self.mount)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::POST
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let body = self.name.map_or_else(|| json!({}), |name| json!({ "name": name }));
        Ok(Some(body.to_string().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// Long enough that only a hang reaches it.
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_disk_that_hangs_takes_one_thread_however_often_it_is_tried() {
        let file = CredentialFile::new(Path::new("/mount/secret-id"));
        let (gate, opened) = mpsc::channel::<()>();
        let (begun, mut beginnings) = unbounded_channel();
        let again = begun.clone();
        let hangs = move |_: &Path, _: usize| {
            begun.send(()).unwrap();
            // Until the gate is dropped.
            let _opened = opened.recv();
            Ok(Zeroizing::new(b"an old one".to_vec()))
        };
        tokio::select! {
            biased;
            _ = file.read_by(hangs, "secret ID", LONG) => panic!("the gate is closed"),
            begun = beginnings.recv() => begun.unwrap(),
        }
        for _ in 0..3 {
            let again = again.clone();
            let tries = move |_: &Path, _: usize| {
                again.send(()).unwrap();
                Ok(Zeroizing::default())
            };
            let fault = file.read_by(tries, "secret ID", Duration::from_millis(10)).await.unwrap_err();
            let words = "the secret ID cannot be read from /mount/secret-id: the file system does not answer";
            assert_eq!(fault, SourceFault::LoginFile(words.into()));
        }
        drop(gate);
        let answers = |_: &Path, _: usize| Ok(Zeroizing::new(b"a-secret-id\n".to_vec()));
        assert_eq!(*file.read_by(answers, "secret ID", LONG).await.unwrap(), "a-secret-id");
        assert!(beginnings.try_recv().is_err(), "another thread has tried");
    }
}

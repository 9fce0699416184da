//! One message to the cluster that we run in, as an Event of `events.k8s.io/v1`.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>

use std::path::PathBuf;

use http::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use crate::config;
use crate::domain::incident::Message;
use crate::domain::secret::Secret;

use super::client::{self, Keys, Poster, Transport};
use super::fault::{BuildError, DeliveryFault};
use super::secret_file::{self, SecretFileError, read_in_background};

mod event;

use event::Event;

const SECRET: &str = "alerts.kubernetes.token_file";
const KEYS: Keys =
    Keys { section: "alerts.kubernetes", address: "alerts.kubernetes.url", secret: Some(SECRET) };
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

/// The API server of a cluster.
#[derive(Debug)]
pub struct Kubernetes {
    poster: Poster,
    endpoint: Url,
    namespace: String,
    regarding: config::Regarding,
    instance: String,
    token_file: PathBuf,
}

impl Kubernetes {
    /// Prepares the connection. Reads the file of authorities, and nothing else yet.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::Kubernetes) -> Result<Self, BuildError> {
        let transport = Transport::of(&config.url);
        Ok(Self {
            poster: Poster::new(KEYS, config.timeout, config.ca_file.as_deref(), transport)?,
            endpoint: endpoint(&config.url, &config.namespace),
            namespace: config.namespace.clone(),
            regarding: config.regarding.clone(),
            instance: config.instance.clone(),
            token_file: config.token_file.clone(),
        })
    }

    /// Looks whether there is a token, for a check before the first message is due. Blocks on the disk.
    ///
    /// # Errors
    /// [`DeliveryFault::Secret`], saying what is wrong with the file.
    pub fn check(&self) -> Result<(), DeliveryFault> {
        self.bearer(secret_file::read(&self.token_file)).map(drop)
    }

    /// Creates the Event of one message, once. Its name follows from the message, so that the same one a second
    /// time is refused as already there, which is success. The token is read anew, because Kubernetes replaces
    /// it about once an hour.
    ///
    /// # Errors
    /// The message was not delivered, or nobody can tell whether it was.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryFault> {
        let token = self.bearer(read_in_background(&self.token_file).await)?;
        let event = Event::of(message, &self.namespace, &self.regarding, &self.instance);
        match self.poster.post_with_token(self.endpoint.clone(), token, client::json(&event)?).await {
            Err(DeliveryFault::Refused { status: CONFLICT, .. }) => Ok(()),
            result => result.map_err(|fault| self.explain(fault)),
        }
    }

    fn bearer(&self, file: Result<Secret, SecretFileError>) -> Result<HeaderValue, DeliveryFault> {
        let path = self.token_file.display();
        let fault = |why: &dyn std::fmt::Display| {
            DeliveryFault::Secret(format!("cannot use the token in {SECRET} {path}: {why}"))
        };
        let secret = file.map_err(|error| fault(&error))?;
        let token = secret.expose().trim();
        if token.is_empty() {
            return Err(fault(&"it is empty: mount the token of a service account there"));
        }
        if token.contains(char::is_whitespace) {
            return Err(fault(&"it holds more than one word: it must hold the token alone"));
        }
        // Room for all of it at once: growing would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(token.len() + 7));
        text.push_str("Bearer ");
        text.push_str(token);
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| fault(&"it holds characters that no token has: it must hold the token alone"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What the operator can do about an answer.
    fn explain(&self, fault: DeliveryFault) -> DeliveryFault {
        let namespace = &self.namespace;
        let DeliveryFault::Refused { host, status, wait, advice } = fault else { return fault };
        let advice = match status {
            UNAUTHORIZED => format!(
                ": the API server does not know the token in {SECRET}, which is read again at each try; see that a \
                 service account's token is mounted there, and that it was made for this cluster"
            ),
            FORBIDDEN => format!(
                ": the service account may not do this; bind it to a Role in the namespace {namespace} with the rule \
                 apiGroups: [\"events.k8s.io\"], resources: [\"events\"], verbs: [\"create\"]"
            ),
            NOT_FOUND => {
                format!(
                    ": check alerts.kubernetes.url, and that there is a namespace {namespace} in the cluster"
                )
            }
            _ => advice,
        };
        DeliveryFault::Refused { host, status, wait, advice }
    }
}

fn endpoint(url: &Url, namespace: &str) -> Url {
    let mut endpoint = url.clone();
    let base = url.path().trim_end_matches('/');
    endpoint.set_path(&format!("{base}/apis/events.k8s.io/v1/namespaces/{namespace}/events"));
    endpoint
}

#[cfg(test)]
#[cfg(feature = "demo")]
mod tests;

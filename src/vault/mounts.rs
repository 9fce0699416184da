//! Which version of the KV engine each mount is: asked once, kept, and asked again when a read says it is wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{Answer, NO_NAMESPACE, fault, is_no_namespace, not_vault};
use super::login::Token;
use super::transport::Transport;
use crate::domain::source::SourceFault;
use crate::domain::version::KvVersion;

/// However many reads find nothing, or may not look, the mount is asked again no more often than this.
const DOUBT_SPACING: Duration = Duration::from_secs(10);

/// What is known of the mounts. Nothing is known of one that no read has come to.
#[derive(Default)]
pub(super) struct Mounts(Mutex<BTreeMap<String, Arc<Mount>>>);

#[derive(Default)]
struct Mount {
    /// Held while the server is asked, so that reads that come together ask once.
    asking: tokio::sync::Mutex<Option<Asked>>,
    /// What it said last, for whoever must not wait.
    version: Mutex<Option<KvVersion>>,
}

/// When the server was asked last, when it may be asked again because of a doubt, and what it said.
struct Asked {
    at: Instant,
    doubt_from: Instant,
    said: Result<KvVersion, SourceFault>,
}

impl Mounts {
    /// The version of the engine at a mount, as far as the server has said so.
    pub(super) fn known(&self, mount: &str) -> Option<KvVersion> {
        let mount = Arc::clone(self.all().get(mount)?);
        *locked(&mount.version)
    }

    /// The version of the engine at a mount: what is known, or else what the server says.
    pub(super) async fn version(
        &self,
        transport: &Transport,
        token: &Token,
        mount: &str,
    ) -> Result<KvVersion, SourceFault> {
        if let Some(version) = self.known(mount) {
            return Ok(version);
        }
        let came = Instant::now();
        self.ask(transport, token, mount, |asked| asked.said.is_err() && asked.at < came).await
    }

    /// The same after a read that this version did not explain; none: there is nothing new.
    pub(super) async fn doubted(
        &self,
        transport: &Transport,
        token: &Token,
        mount: &str,
        used: KvVersion,
    ) -> Option<KvVersion> {
        let may_doubt = |asked: &Asked| asked.doubt_from <= Instant::now();
        self.ask(transport, token, mount, may_doubt).await.ok().filter(|version| *version != used)
    }

    /// Asks the server, unless it was asked already and that is not `outdated`.
    async fn ask(
        &self,
        transport: &Transport,
        token: &Token,
        name: &str,
        outdated: impl Fn(&Asked) -> bool,
    ) -> Result<KvVersion, SourceFault> {
        let mount = Arc::clone(self.all().entry(name.to_owned()).or_default());
        let mut asked = mount.asking.lock().await;
        if let Some(asked) = asked.as_ref().filter(|asked| !outdated(asked)) {
            return asked.said.clone();
        }
        let request = DescribeMount { mount: name.to_owned() };
        let answer = transport.send(&request, Some(token)).await;
        let said = answer.and_then(|answer| described(&answer, name));
        if let Ok(version) = said {
            let before = locked(&mount.version).replace(version);
            if before != Some(version) {
                tracing::info!(mount = name, "the mount is {version}, as the server says");
            }
        }
        let at = Instant::now();
        let doubt_from = if asked.is_none() { at } else { at + DOUBT_SPACING };
        *asked = Some(Asked { at, doubt_from, said: said.clone() });
        said
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mount>>> {
        locked(&self.0)
    }
}

/// The locks are held for assignments and clones: a poisoned one still holds a whole value.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the command-line tools ask too: any token is told that may do something below the mount.
#[derive(Debug)]
struct DescribeMount {
    mount: String,
}

impl Endpoint for DescribeMount {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("sys/internal/ui/mounts/{}", self.mount)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

#[derive(Deserialize)]
struct Described {
    data: Description,
}

#[derive(Deserialize)]
struct Description {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<Options>,
}

#[derive(Default, Deserialize)]
struct Options {
    version: Option<String>,
}

/// Which version of the KV engine a mount was said to be.
fn described(answer: &Answer, mount: &str) -> Result<KvVersion, SourceFault> {
    if is_no_namespace(answer) {
        return Err(SourceFault::NotKeyValue(NO_NAMESPACE.into()));
    }
    if answer.status != 200 {
        // Other places of the server are served, so that this one may be closed by what stands before it.
        let mut fault = fault(answer);
        if let SourceFault::Malformed(words) = &mut fault {
            words.push_str("; where nothing says which version of KV a mount is, give it as kv_version");
        }
        return Err(fault);
    }
    let Described { data } = serde_json::from_slice(&answer.body).map_err(|_| not_vault())?;
    if data.path.trim_matches('/') != mount {
        return Err(SourceFault::NotKeyValue(
            "the store's mount is no mount but a path below one; correct the store's mount and path".into(),
        ));
    }
    let version = data.options.and_then(|options| options.version);
    match (data.kind.as_str(), version.as_deref()) {
        ("kv", Some("2")) => Ok(KvVersion::Two),
        // Mounts that were made before there were versions do not say any.
        ("kv" | "generic", None | Some("" | "1")) => Ok(KvVersion::One),
        _ => Err(SourceFault::NotKeyValue(
            "the store's mount is no KV engine of version 1 or 2; correct the store's mount".into(),
        )),
    }
}

//! Judges values that name a place: paths of files and directories, addresses, and paths of secrets.

use std::path::{Component, Path, PathBuf};

use url::{Host, Url};

use super::checker::Checker;
use super::value::{Origin, Value};

/// Where plain HTTP may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainHttp {
    LoopbackOnly,
    Anywhere,
}

impl Checker<'_> {
    /// An absolute path of a directory.
    pub(super) fn directory(&mut self, key: &str, value: Option<Value>) -> Option<(PathBuf, Origin)> {
        let (text, origin) = self.text(key, value)?;
        match absolute(&text) {
            Ok(path) if path.parent().is_none() => {
                self.refuse(&origin, key, "is the root of the file system; name a directory below it");
                None
            }
            Ok(path) => Some((path, origin)),
            Err(problem) => {
                self.refuse(&origin, key, problem);
                None
            }
        }
    }

    /// An absolute path of a file that is read; it may begin with systemd's directory of credentials.
    pub(super) fn file(&mut self, key: &str, value: Option<Value>) -> Option<PathBuf> {
        let (text, origin) = self.text(key, value)?;
        let credential = ["%d/", "$CREDENTIALS_DIRECTORY/", "${CREDENTIALS_DIRECTORY}/"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix));
        let text = match credential {
            None => text,
            Some(name) => match self.variable(key, &["CREDENTIALS_DIRECTORY"]) {
                Some((_, directory)) => format!("{directory}/{name}"),
                None => {
                    self.refuse(
                        &origin,
                        key,
                        "CREDENTIALS_DIRECTORY is not set; by hand, write CREDENTIALS_DIRECTORY=DIRECTORY in front \
                         of the command, with the directory that has the files; in a unit, give it \
                         LoadCredential= or SetCredential=; or write an absolute path",
                    );
                    return None;
                }
            },
        };
        match absolute(&text) {
            Ok(_) if text.ends_with('/') => {
                self.refuse(&origin, key, "ends with a slash; name a file");
                None
            }
            Ok(path) => Some(path),
            Err(problem) => {
                self.refuse(&origin, key, problem);
                None
            }
        }
    }

    /// An HTTP address without user, password and fragment. Plain HTTP is for loopback, unless `plain_http`
    /// is allowed; `advice` says what to do about it.
    pub(super) fn url(
        &mut self,
        key: &str,
        value: Option<Value>,
        plain_http: PlainHttp,
        advice: &str,
    ) -> Option<(Url, Origin)> {
        let (text, origin) = self.text(key, value)?;
        self.url_of(key, text, origin, plain_http, advice)
    }

    /// The same of a text.
    pub(super) fn url_of(
        &mut self,
        key: &str,
        text: String,
        origin: Origin,
        plain_http: PlainHttp,
        advice: &str,
    ) -> Option<(Url, Origin)> {
        let url = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http"))
            .filter(|url| url.host().is_some() && !text.contains(char::is_whitespace));
        let problem = match url {
            None => {
                "is no address; it begins with https://, such as \"https://vault.example:8200\"".to_owned()
            }
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                "carries a user or a password; those do not belong into the configuration".to_owned()
            }
            Some(url) if url.fragment().is_some() => "carries a fragment; write it without the #".to_owned(),
            Some(url)
                if url.scheme() == "http" && plain_http == PlainHttp::LoopbackOnly && !is_loopback(&url) =>
            {
                format!("would send secrets in the clear; {advice}")
            }
            Some(url) => return Some((url, origin)),
        };
        self.refuse(&origin, key, problem);
        None
    }

    /// A mount or the path of a secret: segments between single slashes.
    pub(super) fn vault_path(&mut self, key: &str, value: Option<Value>) -> Option<String> {
        let (text, origin) = self.text(key, value)?;
        let problem = if text.starts_with('/') || text.ends_with('/') {
            "begins or ends with a slash; write it without"
        } else if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            "has an empty, \".\" or \"..\" segment; write each segment's name between single slashes"
        } else if text.contains(['?', '#', '%']) {
            "contains '?', '#' or '%', which the path of a secret cannot have"
        } else {
            return Some(text);
        };
        self.refuse(&origin, key, problem);
        None
    }
}

fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("must be an absolute path, such as \"/run/bc-secrets-sync/...\"");
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("contains \"..\"; write the path that is meant");
    }
    Ok(path.components().collect())
}

/// Whether an address is this host's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

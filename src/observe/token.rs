//! A token in a file, which is read anew each time, and whether a request bears it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::Mutex as Turns;
use zeroize::Zeroizing;

use crate::domain::secret::Secret;
use crate::system::{blocking, short_file};

/// A token that could be guessed guards nothing.
const SHORTEST: usize = 16;

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No file is named.
    NotConfigured,
    /// The request bears none.
    NoToken,
    /// The request bears another one.
    WrongToken,
    /// The file cannot be used; the log says why.
    Unusable,
}

/// How a token may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
    Bearer,
    /// That, or the password of HTTP Basic (RFC 7617), with any user: browsers send nothing else by themselves.
    BearerOrBasic,
}

/// A token in a file that the configuration names.
#[derive(Debug)]
pub(super) struct TokenFile {
    /// The key of the configuration, and what is not done without its file.
    key: &'static str,
    undone: &'static str,
    file: Mutex<Option<PathBuf>>,
    /// The file could not be used, and that was said.
    failing: AtomicBool,
    /// Held by whoever reads the file, for as long as that takes: a flood of requests, or a disk that hangs, takes one
    /// thread, and not all that there are.
    turns: Arc<Turns<()>>,
}

impl TokenFile {
    pub(super) fn new(key: &'static str, undone: &'static str, file: Option<PathBuf>) -> Self {
        Self { key, undone, file: Mutex::new(file), failing: AtomicBool::new(false), turns: Arc::default() }
    }

    /// Another file is named from now on.
    pub(super) fn set_file(&self, file: Option<PathBuf>) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }

    /// Looks whether the token can be used, and logs it when it cannot: it may be mended while we run, so it is no
    /// reason not to start. Blocks on the disk.
    pub(super) fn check(&self) {
        if let Some(file) = self.file() {
            let read = short_file::read(&file).map_err(|error| error.to_string());
            let _said = self.noted(&file, read.and_then(|text| usable(&text)));
        }
    }

    /// Looks whether a request bears the token.
    pub(super) async fn admit(&self, headers: &HeaderMap, scheme: Scheme) -> Result<(), Refusal> {
        let Some(file) = self.file() else { return Err(Refusal::NotConfigured) };
        let borne = borne(headers, scheme).ok_or(Refusal::NoToken)?;
        let turn = self.turns.clone().lock_owned().await;
        let path = file.clone();
        let token = blocking::run(move || {
            let _turn = turn;
            short_file::read(&path).map_err(|error| error.to_string()).and_then(|text| usable(&text))
        })
        .await;
        let token = self.noted(&file, token).ok_or(Refusal::Unusable)?;
        token.is(&borne).then_some(()).ok_or(Refusal::WrongToken)
    }

    fn file(&self) -> Option<PathBuf> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps in mind whether the token can be used, and logs the first of a row of failures.
    fn noted(&self, file: &Path, token: Result<Secret, String>) -> Option<Secret> {
        let was_failing = self.failing.swap(token.is_err(), Ordering::Relaxed);
        token
            .inspect_err(|why| {
                if !was_failing {
                    let file = file.display();
                    tracing::error!(%file, "{}: {}: {why}", self.undone, self.key);
                }
            })
            .ok()
    }
}

/// The token of a file, without the line break that editors add.
fn usable(text: &str) -> Result<Secret, String> {
    let token = text.trim_ascii();
    if token.len() < SHORTEST {
        return Err("it holds less than 16 characters, which could be guessed".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it must hold one word of plain letters, digits and signs".to_owned());
    }
    Ok(Secret::new(token.to_owned()))
}

/// The token that a request bears.
fn borne(headers: &HeaderMap, scheme: Scheme) -> Option<Zeroizing<Vec<u8>>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ')?;
    let (name, rest) = value.split_at_checked(end)?;
    let rest = rest.trim_ascii();
    if name.eq_ignore_ascii_case(b"bearer") {
        return Some(Zeroizing::new(rest.to_owned()));
    }
    if scheme != Scheme::BearerOrBasic || !name.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(rest).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(Zeroizing::new(pair.get(colon + 1..)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TOKEN: &str = "c0ffee-c0ffee-c0ffee";

    fn bearing(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())])
    }

    fn token_file(file: &Path) -> TokenFile {
        TokenFile::new("http.token_file", "nobody is let in", Some(file.to_owned()))
    }

    #[tokio::test]
    async fn only_the_token_of_the_file_as_it_is_now_is_let_in() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let guard = token_file(&file);
        let admit = async |authorization: &str| guard.admit(&bearing(authorization), Scheme::Bearer).await;
        for good in [format!("Bearer {TOKEN}"), format!("bearer   {TOKEN} ")] {
            assert_eq!(admit(&good).await, Ok(()), "{good}");
        }
        for wrong in [format!("Bearer {TOKEN}e"), "Bearer c0ffee".into(), "Bearer  ".into()] {
            assert_eq!(admit(&wrong).await, Err(Refusal::WrongToken), "{wrong}");
        }
        for none in [TOKEN.to_owned(), format!("Basic {TOKEN}"), "Bearer".into(), format!("Bearer{TOKEN}")] {
            assert_eq!(admit(&none).await, Err(Refusal::NoToken), "{none}");
        }
        assert_eq!(guard.admit(&HeaderMap::new(), Scheme::Bearer).await, Err(Refusal::NoToken));

        std::fs::write(&file, "another-token-of-a-kind").unwrap();
        assert_eq!(admit(&format!("Bearer {TOKEN}")).await, Err(Refusal::WrongToken));
        assert_eq!(admit("Bearer another-token-of-a-kind").await, Ok(()));
        guard.set_file(None);
        assert_eq!(admit("Bearer another-token-of-a-kind").await, Err(Refusal::NotConfigured));
    }

    #[tokio::test]
    async fn a_browser_may_send_it_as_the_password_of_any_user() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "with:a:colon-in-it").unwrap();
        let guard = token_file(&file);
        let basic = |pair: &str| bearing(&format!("Basic {}", STANDARD.encode(pair)));
        for (pair, expected) in [
            ("me:with:a:colon-in-it", Ok(())),
            (":with:a:colon-in-it", Ok(())),
            ("with:a:colon-in-it", Err(Refusal::WrongToken)),
            ("me:", Err(Refusal::WrongToken)),
            ("no colon", Err(Refusal::NoToken)),
        ] {
            assert_eq!(guard.admit(&basic(pair), Scheme::BearerOrBasic).await, expected, "{pair}");
        }
        let broken = guard.admit(&bearing("Basic %%%"), Scheme::BearerOrBasic).await;
        assert_eq!(broken, Err(Refusal::NoToken));
        // An app has no browser, and a browser sends a password for whatever page it is on.
        let refused = guard.admit(&basic("me:with:a:colon-in-it"), Scheme::Bearer).await;
        assert_eq!(refused, Err(Refusal::NoToken));
    }

    #[tokio::test]
    async fn a_file_without_a_good_token_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let guard = token_file(&file);
        let refused = guard.admit(&bearing("Bearer "), Scheme::Bearer).await;
        assert_eq!(refused, Err(Refusal::Unusable));
        for text in
            ["", "\n", "short", "two words that are long enough", "long-enough-but-\u{f6}-is-not-plain"]
        {
            std::fs::write(&file, text).unwrap();
            let borne = HeaderValue::from_bytes(format!("Bearer {}", text.trim()).as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, borne)]);
            assert_eq!(guard.admit(&headers, Scheme::Bearer).await, Err(Refusal::Unusable), "{text:?}");
        }
    }
}

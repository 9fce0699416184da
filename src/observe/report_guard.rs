//! Who may report and acknowledge: whoever bears the token in a file, which is read anew each time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::domain::secret::Secret;
use crate::system::short_file;

/// A token that could be guessed guards nothing.
const SHORTEST: usize = 16;

/// Why a report is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nothing is taken from apps here: set report_token_file in [http], or use the control socket")]
    NotConfigured,
    #[error(
        "send the token as `Authorization: Bearer TOKEN`; it is in the file that http.report_token_file names"
    )]
    NoToken,
    #[error("this is not the token that is in the file that http.report_token_file names")]
    WrongToken,
    #[error("the token that http.report_token_file names cannot be used; the daemon's log says why")]
    Unusable,
}

/// Guards the reports of the TCP listener. All clones are one guard, which a new configuration changes.
#[derive(Clone, Debug)]
pub struct ReportGuard(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Mutex<Option<PathBuf>>,
    refused: AtomicU64,
    /// The file could not be used, and that was said.
    failing: AtomicBool,
}

impl ReportGuard {
    /// Lets in whoever bears the token in the file; without a file, nobody.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        let (refused, failing) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Shared { file: Mutex::new(file), refused, failing }))
    }

    /// Another file is named from now on.
    pub fn set_file(&self, file: Option<PathBuf>) {
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }

    /// Looks whether the token can be used, and logs it when it cannot: it may be mended while we run, so it is no
    /// reason not to start. Blocks on the disk.
    pub fn check(&self) {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(file) = file {
            let read = short_file::read(&file).map_err(|error| error.to_string());
            let _said = self.noted(&file, read.and_then(|text| usable(&text)));
        }
    }

    /// Keeps in mind whether the token can be used, and logs the first of a row of failures.
    fn noted(&self, file: &Path, token: Result<Secret, String>) -> Option<Secret> {
        let was_failing = self.0.failing.swap(token.is_err(), Ordering::Relaxed);
        token
            .inspect_err(|why| {
                if !was_failing {
                    let file = file.display();
                    tracing::error!(%file, "reports cannot be taken: http.report_token_file: {why}");
                }
            })
            .ok()
    }

    /// How many reports were refused because of their token, or for want of one.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Looks whether a request bears the token.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let outcome = self.judge(headers).await;
        if matches!(outcome, Err(Refusal::NoToken | Refusal::WrongToken)) {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn judge(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = file else { return Err(Refusal::NotConfigured) };
        let borne = bearer(headers).ok_or(Refusal::NoToken)?;
        let token = match short_file::read_in_background(&file).await {
            Ok(text) => usable(&text),
            Err(error) => Err(error.to_string()),
        };
        let token = self.noted(&file, token).ok_or(Refusal::Unusable)?;
        token.is(borne).then_some(()).ok_or(Refusal::WrongToken)
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

/// The token that a request bears (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TOKEN: &str = "c0ffee-c0ffee-c0ffee";

    fn bearing(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[tokio::test]
    async fn only_the_token_of_the_file_is_let_in_and_the_rest_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let guard = ReportGuard::new(Some(file.clone()));
        for good in [format!("Bearer {TOKEN}"), format!("bearer   {TOKEN} ")] {
            assert_eq!(guard.admit(&bearing(&good)).await, Ok(()), "{good}");
        }
        assert_eq!(guard.refused(), 0);
        for wrong in [format!("Bearer {TOKEN}e"), "Bearer c0ffee".into(), "Bearer  ".into()] {
            assert_eq!(guard.admit(&bearing(&wrong)).await, Err(Refusal::WrongToken), "{wrong}");
        }
        for none in [TOKEN.to_owned(), format!("Basic {TOKEN}"), "Bearer".into(), format!("Bearer{TOKEN}")] {
            assert_eq!(guard.admit(&bearing(&none)).await, Err(Refusal::NoToken), "{none}");
        }
        assert_eq!(guard.admit(&HeaderMap::new()).await, Err(Refusal::NoToken));
        assert_eq!(guard.refused(), 8);

        std::fs::write(&file, "another-token-of-a-kind").unwrap();
        assert_eq!(guard.admit(&bearing(&format!("Bearer {TOKEN}"))).await, Err(Refusal::WrongToken));
        assert_eq!(guard.admit(&bearing("Bearer another-token-of-a-kind")).await, Ok(()));
        guard.set_file(None);
        let refused = guard.admit(&bearing("Bearer another-token-of-a-kind")).await;
        assert_eq!(refused, Err(Refusal::NotConfigured));
        assert_eq!(guard.refused(), 9);
    }

    #[tokio::test]
    async fn a_file_without_a_good_token_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let guard = ReportGuard::new(Some(file.clone()));
        assert_eq!(guard.admit(&bearing("Bearer ")).await, Err(Refusal::Unusable));
        for text in
            ["", "\n", "short", "two words that are long enough", "long-enough-but-\u{f6}-is-not-plain"]
        {
            std::fs::write(&file, text).unwrap();
            let borne = HeaderValue::from_bytes(format!("Bearer {}", text.trim()).as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, borne)]);
            assert_eq!(guard.admit(&headers).await, Err(Refusal::Unusable), "{text:?}");
        }
        assert_eq!(guard.refused(), 0, "it is the file's fault");
    }
}

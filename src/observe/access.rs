//! Who may see what, and who may ask for what, over the network; and a count of those who were refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;

use super::origin::{Visitor, is_forwarded, is_from_elsewhere, is_known};
use super::routes::{Caller, PLAIN, page};
use super::tls::{Tls, TlsError};
use super::token::{Refusal, Scheme, TokenFile};
use crate::config::{Http, Open};
use crate::domain::snapshot::HttpStatus;

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoToken,
    WrongToken,
    Host,
    Forwarded,
    CrossSite,
    NoRoom,
    Handshake,
}

impl Refused {
    const ALL: [Self; 7] = [
        Self::NoToken,
        Self::WrongToken,
        Self::Host,
        Self::Forwarded,
        Self::CrossSite,
        Self::NoRoom,
        Self::Handshake,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::Host => "host",
            Self::Forwarded => "forwarded",
            Self::CrossSite => "cross_site",
            Self::NoRoom => "no_room",
            Self::Handshake => "handshake",
        }
    }
}

/// The guard of the listeners. All clones are one, which a new configuration changes.
#[derive(Clone, Debug)]
pub struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: Mutex<Rules>,
    token: TokenFile,
    report_token: TokenFile,
    reports_refused: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
}

/// What can be used of `[http]`, with the certificate read.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    tls: Option<Arc<Tls>>,
    token_file: Option<PathBuf>,
    report_token_file: Option<PathBuf>,
    open: Vec<Open>,
    host_names: Arc<[String]>,
}

impl Rules {
    /// Reads the certificate and its key, if there are any. Blocks on the disk.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn load(http: &Http) -> Result<Self, TlsError> {
        Ok(Self {
            tls: http.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new),
            token_file: http.token_file.clone(),
            report_token_file: http.report_token_file.clone(),
            open: http.open.clone(),
            host_names: http.host_names.clone().into(),
        })
    }
}

impl Access {
    /// A guard under these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let token = TokenFile::new("http.token_file", "guarded pages are shown to nobody", None);
        let report_token = TokenFile::new("http.report_token_file", "reports cannot be taken", None);
        let (refused, reports_refused) = (Default::default(), AtomicU64::new(0));
        let access =
            Self(Arc::new(Shared { rules: Mutex::default(), token, report_token, reports_refused, refused }));
        access.set(rules);
        access
    }

    /// Other rules are in force from now on.
    pub fn set(&self, rules: Rules) {
        self.0.token.set_file(rules.token_file.clone());
        self.0.report_token.set_file(rules.report_token_file.clone());
        *self.0.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Looks whether the tokens can be used, and logs it when one cannot. Blocks on the disk.
    pub fn check(&self) {
        self.0.token.check();
        self.0.report_token.check();
    }

    /// How many reports were refused because of their token, or for want of one.
    #[must_use]
    pub fn reports_refused(&self) -> u64 {
        self.0.reports_refused.load(Ordering::Relaxed)
    }

    /// What may be shown of all this.
    #[must_use]
    pub fn status(&self) -> HttpStatus {
        let count = |(reason, count): (Refused, &AtomicU64)| (reason.label(), count.load(Ordering::Relaxed));
        let refused: BTreeMap<_, _> = Refused::ALL.into_iter().zip(&self.0.refused).map(count).collect();
        let tls = self.tls().map(|tls| tls.status());
        HttpStatus { refused, certificate: tls }
    }

    /// The certificate to show; none: plain HTTP is spoken.
    pub(super) fn tls(&self) -> Option<Arc<Tls>> {
        self.rules().tls
    }

    fn rules(&self) -> Rules {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count(&self, reason: Refused) {
        if let Some(count) = self.0.refused.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a page may be shown; else the answer that says why not. `open` names the key that may open it.
    pub(super) async fn show(
        &self,
        (uri, headers): (&Uri, &HeaderMap),
        visitor: Visitor,
        open: Option<Open>,
    ) -> Result<(), Response<Full<Bytes>>> {
        let rules = self.rules();
        // Probes say next to nothing, and an orchestrator may ask for them by any name.
        let is_probe = open == Some(Open::Probes);
        if !is_probe && !is_known(uri, headers, &rules.host_names, visitor.on_loopback) {
            return Err(self.refuse(Refused::Host));
        }
        if rules.token_file.is_none() || open.is_some_and(|open| rules.open.contains(&open)) {
            return Ok(());
        }
        match self.0.token.admit(headers, Scheme::BearerOrBasic).await {
            // Without a file by now, nothing guards it any more.
            Ok(()) | Err(Refusal::NotConfigured) => Ok(()),
            Err(Refusal::NoToken) => Err(self.refuse(Refused::NoToken)),
            Err(Refusal::WrongToken) => Err(self.refuse(Refused::WrongToken)),
            Err(Refusal::Unusable) => Err(say(
                StatusCode::SERVICE_UNAVAILABLE,
                "the token that http.token_file names cannot be used; the daemon's log says why",
            )),
        }
    }

    /// Whether something that changes anything may be asked for from there.
    pub(super) fn change(&self, (uri, headers): (&Uri, &HeaderMap), caller: Caller) -> Result<(), Refused> {
        if is_forwarded(headers) {
            return Err(Refused::Forwarded);
        }
        let visitor = match caller {
            Caller::Network(visitor) => Some(visitor),
            Caller::Local { .. } => None,
        };
        if is_from_elsewhere(uri, headers, visitor.map(|visitor| visitor.scheme)) {
            return Err(Refused::CrossSite);
        }
        if let Some(visitor) = visitor
            && !is_known(uri, headers, &self.rules().host_names, visitor.on_loopback)
        {
            return Err(Refused::Host);
        }
        Ok(())
    }

    /// Whether a report bears its token; else the answer that says why not.
    pub(super) async fn report(&self, headers: &HeaderMap) -> Result<(), Response<Full<Bytes>>> {
        let refusal = match self.0.report_token.admit(headers, Scheme::Bearer).await {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        let (status, text) = match refusal {
            Refusal::NotConfigured => (
                StatusCode::FORBIDDEN,
                "nothing is taken from apps here: set report_token_file in [http], or use the control socket",
            ),
            Refusal::NoToken => (
                StatusCode::UNAUTHORIZED,
                "send the token as `Authorization: Bearer TOKEN`; it is in the file that http.report_token_file \
                 names",
            ),
            Refusal::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "this is not the token that is in the file that http.report_token_file names",
            ),
            Refusal::Unusable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the token that http.report_token_file names cannot be used; the daemon's log says why",
            ),
        };
        let mut answer = say(status, text);
        if status == StatusCode::UNAUTHORIZED {
            self.0.reports_refused.fetch_add(1, Ordering::Relaxed);
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Err(answer)
    }

    /// Counts a refusal, and says it.
    pub(super) fn refuse(&self, reason: Refused) -> Response<Full<Bytes>> {
        self.count(reason);
        tracing::debug!(reason = reason.label(), "a request was refused");
        let (status, text) = match reason {
            Refused::NoToken => (
                StatusCode::UNAUTHORIZED,
                "send the token that is in the file that http.token_file names: as `Authorization: Bearer TOKEN`, \
                 or as the password of HTTP Basic, with any user",
            ),
            Refused::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "this is not the token that is in the file that http.token_file names",
            ),
            Refused::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "the daemon is not known by the name that this request is for: ask for its IP address, for \
                 localhost or by the machine's own name, or list the name in host_names in [http]",
            ),
            Refused::Forwarded => (
                StatusCode::FORBIDDEN,
                "this came through a proxy, which anybody may have asked: send it to the daemon itself, without \
                 Forwarded, X-Forwarded-... and Via",
            ),
            Refused::CrossSite => (
                StatusCode::FORBIDDEN,
                "this was sent by a page of another site (Origin, Sec-Fetch-Site): nothing is done for those",
            ),
            Refused::NoRoom => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many answers are under way, here or to this client; try again soon",
            ),
            // Nobody is there to be told.
            Refused::Handshake => (StatusCode::BAD_REQUEST, "this listener speaks TLS"),
        };
        let mut answer = say(status, text);
        if reason == Refused::NoRoom {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            let headers = answer.headers_mut();
            for challenge in
                ["Bearer realm=\"bc-secrets-sync\"", "Basic realm=\"bc-secrets-sync\", charset=\"UTF-8\""]
            {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        answer
    }
}

fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    page(status, PLAIN, format!("{text}\n"))
}

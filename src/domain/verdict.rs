//! What an answer of the store means. Status first; the body is only a hint.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::time::Timestamp;

/// The most of a body that is looked at, in bytes; the probe reads no more.
pub const MAX_BODY: usize = 16 * 1024;

/// What came of one probe: facts only, as the adapter saw them.
#[derive(Clone, Debug)]
pub enum ProbeOutcome {
    /// The store, or something before it, answered.
    Answered(Answer),
    /// No answer came.
    Failed(ProbeFault),
}

/// An HTTP answer. Its `Debug` leaves out the body.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The host of the `Location` header, where there is one that can be read.
    pub location_host: Option<String>,
    /// The longest wait that the headers ask for, where they ask for one.
    pub wait: Option<Duration>,
    /// Requests left in the account's rolling hour (`X-BC-ApiLimit-Remaining`).
    pub remaining: Option<u64>,
    /// How long the store's certificate is valid, which was verified, where that can be read.
    pub certificate: Option<Validity>,
    /// The first [`MAX_BODY`] bytes of the body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("location_host", &self.location_host)
            .field("wait", &self.wait)
            .field("remaining", &self.remaining)
            .field("certificate", &self.certificate)
            .field("body_length", &self.body.len())
            .finish()
    }
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From then.
    pub from: Timestamp,
    /// Until then: when it expires.
    pub until: Timestamp,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeFault {
    /// The host's name could not be resolved.
    Dns,
    /// The name resolves only to addresses that the configuration does not allow.
    PrivateAddress,
    /// The configuration does not list the host.
    HostNotAllowed,
    /// The connection could not be made.
    Connect,
    /// The connection broke before the answer was whole.
    Broken,
    /// Nothing came in time.
    Timeout,
    /// A certificate that has expired or is not yet valid.
    CertificateExpired,
    /// A certificate from an unknown issuer.
    CertificateIssuer,
    /// A certificate for another host.
    CertificateHost,
    /// Another failure of TLS.
    Tls,
}

impl ProbeFault {
    /// The fault in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Dns => "the host's name could not be resolved",
            Self::PrivateAddress => "the host's name resolves to a private address, which is not allowed",
            Self::HostNotAllowed => "the store's host is not in check.allowed_hosts, so it is not asked",
            Self::Connect => "no connection could be made",
            Self::Broken => "the connection broke before the answer was whole",
            Self::Timeout => "no answer came in time",
            Self::CertificateExpired => "the store's certificate has expired or is not yet valid",
            Self::CertificateIssuer => "the store's certificate is from an unknown issuer",
            Self::CertificateHost => "the store's certificate is for another host",
            Self::Tls => "TLS failed",
        }
    }

    const fn is_tls(self) -> bool {
        match self {
            Self::CertificateExpired | Self::CertificateIssuer | Self::CertificateHost | Self::Tls => true,
            Self::Dns
            | Self::PrivateAddress
            | Self::HostNotAllowed
            | Self::Connect
            | Self::Broken
            | Self::Timeout => false,
        }
    }
}

/// What one probe says of the credentials. Only [`Verdict::Accepted`] and [`Verdict::Rejected`] say
/// anything of the token; every other verdict keeps what is published.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store accepted the credentials.
    Accepted,
    /// The store answered 401. One such answer proves nothing.
    Rejected {
        /// The body claims that no credentials came, although they were sent.
        none_seen: bool,
    },
    /// 403: the account lacks a permission, the store's owner changed, or the address is wrong.
    Forbidden,
    /// The API is not at this address: a redirect, 404 or 410.
    Moved {
        /// The status code.
        status: u16,
        /// The host that a redirect points to.
        to: Option<String>,
    },
    /// Too many requests.
    RateLimited {
        /// How long to wait, as far as the answer says.
        wait: Option<Duration>,
    },
    /// The store is down, in maintenance or suspended.
    Unavailable {
        /// The status code.
        status: u16,
        /// How long to wait, as far as the answer says.
        wait: Option<Duration>,
    },
    /// An answer that the contract does not know.
    Malformed {
        /// The status code.
        status: u16,
    },
    /// No answer came.
    Network(ProbeFault),
    /// TLS failed before anything was sent.
    Tls(ProbeFault),
}

/// The kind of a verdict, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// See [`Verdict::Accepted`].
    Accepted,
    /// See [`Verdict::Rejected`].
    Rejected,
    /// See [`Verdict::Forbidden`].
    Forbidden,
    /// See [`Verdict::Moved`].
    Moved,
    /// See [`Verdict::RateLimited`].
    RateLimited,
    /// See [`Verdict::Unavailable`].
    Unavailable,
    /// See [`Verdict::Malformed`].
    Malformed,
    /// See [`Verdict::Network`].
    NetworkError,
    /// See [`Verdict::Tls`].
    TlsError,
}

impl VerdictKind {
    /// Every kind, in the order of the labels.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Rejected,
        Self::Forbidden,
        Self::Moved,
        Self::RateLimited,
        Self::Unavailable,
        Self::Malformed,
        Self::NetworkError,
        Self::TlsError,
    ];

    /// The label, as metrics and tables write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Forbidden => "forbidden",
            Self::Moved => "moved",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::NetworkError => "network_error",
            Self::TlsError => "tls_error",
        }
    }
}

impl Verdict {
    /// The verdict's kind.
    #[must_use]
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Accepted => VerdictKind::Accepted,
            Self::Rejected { .. } => VerdictKind::Rejected,
            Self::Forbidden => VerdictKind::Forbidden,
            Self::Moved { .. } => VerdictKind::Moved,
            Self::RateLimited { .. } => VerdictKind::RateLimited,
            Self::Unavailable { .. } => VerdictKind::Unavailable,
            Self::Malformed { .. } => VerdictKind::Malformed,
            Self::Network(_) => VerdictKind::NetworkError,
            Self::Tls(_) => VerdictKind::TlsError,
        }
    }

    /// How long the answer asks to wait before the next request.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait } | Self::Unavailable { wait, .. } => *wait,
            Self::Accepted
            | Self::Rejected { .. }
            | Self::Forbidden
            | Self::Moved { .. }
            | Self::Malformed { .. }
            | Self::Network(_)
            | Self::Tls(_) => None,
        }
    }
}

/// The verdict in words, without the store's name and without any value of a secret.
impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => formatter.write_str("accepted by the store"),
            Self::Rejected { none_seen: false } => formatter.write_str("rejected by the store (401)"),
            Self::Rejected { none_seen: true } => formatter.write_str(
                "rejected by the store (401), which says that no credentials came: check the API Path's host \
                 (with or without www.) and any proxy that strips headers",
            ),
            Self::Forbidden => formatter.write_str(
                "forbidden (403): the account lacks a permission, the store's owner changed, or the API Path is wrong",
            ),
            Self::Moved { status, to: Some(host) } => write!(formatter, "moved ({status}) to {host}"),
            Self::Moved { status, to: None } => {
                write!(formatter, "not found at this API Path ({status}): the store has moved or is gone")
            }
            Self::RateLimited { wait: Some(wait) } => {
                write!(formatter, "rate limited, for {}", humantime::format_duration(*wait))
            }
            Self::RateLimited { wait: None } => formatter.write_str("rate limited"),
            Self::Unavailable { status: 503, .. } => {
                formatter.write_str("store unavailable (503): maintenance, upgrade or suspension")
            }
            Self::Unavailable { status, .. } => write!(formatter, "store unavailable ({status})"),
            Self::Malformed { status } => {
                write!(formatter, "an answer that is not the legacy API's ({status})")
            }
            Self::Network(fault) | Self::Tls(fault) => formatter.write_str(fault.words()),
        }
    }
}

/// Judges what came of one probe.
pub fn judge(outcome: &ProbeOutcome) -> Verdict {
    match outcome {
        ProbeOutcome::Failed(fault) if fault.is_tls() => Verdict::Tls(*fault),
        ProbeOutcome::Failed(fault) => Verdict::Network(*fault),
        ProbeOutcome::Answered(answer) => judge_answer(answer),
    }
}

fn judge_answer(answer: &Answer) -> Verdict {
    let status = answer.status;
    match status {
        200 if tells_time(&answer.body) => Verdict::Accepted,
        401 => Verdict::Rejected { none_seen: says_none_supplied(&answer.body) },
        403 => Verdict::Forbidden,
        301 | 302 | 303 | 307 | 308 => Verdict::Moved { status, to: answer.location_host.clone() },
        404 | 410 => Verdict::Moved { status, to: None },
        429 | 509 => Verdict::RateLimited { wait: answer.wait },
        407 => Verdict::Network(ProbeFault::Connect),
        // 501 is "not implemented": it says that our request is wrong, not that the store is down.
        501 => Verdict::Malformed { status },
        423 | 500..=599 => Verdict::Unavailable { status, wait: answer.wait },
        _ => Verdict::Malformed { status },
    }
}

/// Whether a body is the answer of `/time`: a JSON object whose `time` is an integer, or XML with `<time>`
/// around digits.
fn tells_time(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Time {
        #[serde(rename = "time")]
        _time: i64,
    }
    if serde_json::from_slice::<Time>(body).is_ok() {
        // A struct can also be read from an array; the contract says object.
        return body.trim_ascii_start().first() == Some(&b'{');
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    // The root element is `<time>`: a page of somebody else's, such as one of XHTML, may have such an element too.
    let text = text.trim_start();
    let root = match text.strip_prefix("<?xml") {
        Some(prolog) => prolog.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    if !root.starts_with("<time>") {
        return false;
    }
    text.match_indices("<time>").any(|(at, tag)| {
        let rest = text.get(at + tag.len()..).unwrap_or_default();
        rest.split_once("</time>").is_some_and(|(inner, _)| {
            let inner = inner.trim();
            !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

fn says_none_supplied(body: &[u8]) -> bool {
    let words = b"No credentials were supplied in the request";
    body.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> ProbeOutcome {
        ProbeOutcome::Answered(Answer {
            status,
            location_host: Some("www.acme.example".into()),
            wait: Some(Duration::from_secs(90)),
            remaining: None,
            certificate: None,
            body: body.into(),
        })
    }

    #[test]
    fn only_a_time_is_an_acceptance() {
        for body in [
            r#"{"time":1356126086}"#,
            r#" {"time":1356126086,"zone":"UTC"}"#,
            "<?xml version=\"1.0\"?>\n<time><time>1356126086</time></time>",
            "<time>1356126086</time>",
        ] {
            assert_eq!(judge(&answered(200, body)), Verdict::Accepted, "{body}");
        }
        for body in [
            "",
            "{}",
            "[1356126086]",
            r#"{"time":"1356126086"}"#,
            r#"{"time":1.5}"#,
            r#"{"time":null}"#,
            "<html>Log in</html>",
            "<html><time>12</time></html>",
            "<?xml?><time></time>",
            "<?xml version=\"1.0\"?><html><body>Sold out since <time>2019</time></body></html>",
            "<?xml version=\"1.0\"?><!DOCTYPE html><time>2019</time>",
            "<timetable><time>12</time></timetable>",
            "<time>soon</time>",
            "1356126086",
        ] {
            assert_eq!(judge(&answered(200, body)), Verdict::Malformed { status: 200 }, "{body}");
        }
    }

    #[test]
    fn every_status_has_the_verdict_of_the_table() {
        use VerdictKind as K;
        for (kind, statuses) in [
            (K::Rejected, &[401][..]),
            (K::Forbidden, &[403]),
            (K::Moved, &[301, 302, 303, 307, 308, 404, 410]),
            (K::RateLimited, &[429, 509]),
            (K::Unavailable, &[423, 500, 502, 503, 504, 507, 520, 599]),
            (K::Malformed, &[201, 204, 304, 400, 405, 406, 409, 413, 415, 418, 422, 501]),
            (K::NetworkError, &[407]),
        ] {
            for status in statuses {
                assert_eq!(judge(&answered(*status, "{\"time\":1}")).kind(), kind, "{status}");
            }
        }
    }

    #[test]
    fn a_failure_of_tls_is_not_a_failure_of_the_network() {
        assert_eq!(
            judge(&ProbeOutcome::Failed(ProbeFault::CertificateExpired)).kind(),
            VerdictKind::TlsError
        );
        assert_eq!(judge(&ProbeOutcome::Failed(ProbeFault::Timeout)).kind(), VerdictKind::NetworkError);
    }

    #[test]
    fn hints_of_the_answer_are_kept() {
        let none = r#"[{"status":401,"message":"No credentials were supplied in the request."}]"#;
        assert_eq!(judge(&answered(401, none)), Verdict::Rejected { none_seen: true });
        assert_eq!(
            judge(&answered(301, "")),
            Verdict::Moved { status: 301, to: Some("www.acme.example".into()) }
        );
        assert_eq!(judge(&answered(509, "")).wait(), Some(Duration::from_secs(90)));
        assert_eq!(judge(&answered(401, "")).wait(), None);
    }
}

//! Checks `[http]`: where the listener listens, how it shows who it is, and who may see what.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use super::checker::Checker;
use super::raw;
use super::value::{Kind, Origin, Table, Value, open};

/// Some 45,000 series: a Prometheus of the usual size does not notice them.
const METRICS_STORE_LIMIT: usize = 1_000;
const DEFAULT_LISTEN: &str = "127.0.0.1:9847";
/// What orchestrators and scrapers ask for; many of them cannot send a token.
const DEFAULT_OPEN: [Open; 2] = [Open::Probes, Open::Metrics];

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; none: no listener.
    pub listen: Option<SocketAddr>,
    /// The certificate that it shows; none: it speaks plain HTTP.
    pub tls: Option<ServerTls>,
    /// File with the token that its pages are guarded by; none: whoever reaches it sees them.
    pub token_file: Option<PathBuf>,
    /// What is seen without that token all the same.
    pub open: Vec<Open>,
    /// The names that it is known by, beside its addresses; empty: on loopback `localhost`, elsewhere any.
    pub host_names: Vec<String>,
    /// File with the token that apps report with; none: reports are not taken.
    pub report_token_file: Option<PathBuf>,
    /// How many stores have series of their own in the metrics at the most.
    pub metrics_store_limit: usize,
}

/// `[http.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file with the server's certificate, and those between it and its authority.
    pub certificate_file: PathBuf,
    /// PEM file with the private key of that certificate.
    pub key_file: PathBuf,
}

/// What may be seen without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// `/livez`, `/readyz`, `/startupz` and `/healthz`.
    Probes,
    /// `/metrics`.
    Metrics,
}

/// Checks `[http]`.
pub(super) fn http(checker: &mut Checker<'_>, table: Option<Table<raw::Http>>) -> Http {
    let (_, raw) = open(table);
    let listen = listen(checker, raw.listen);
    let tls = raw.tls.and_then(|table| tls(checker, table));
    let token_origin = raw.token_file.as_ref().map(|value| value.origin.clone());
    let token_file = checker.file("http.token_file", raw.token_file);
    let open = opened(checker, raw.open, token_origin.is_some());
    let plain = checker.boolean("http.allow_plain_http", raw.allow_plain_http, false);
    let is_exposed = listen.is_some_and(|address| !address.ip().is_loopback()) && tls.is_none();
    if let Some(origin) = token_origin.filter(|_| is_exposed && !plain) {
        let message = "would be sent in the clear to other hosts; add [http.tls], or set http.allow_plain_http = \
                       true if something else encrypts it or the network is trusted";
        checker.refuse(&origin, "http.token_file", message);
    }
    Http {
        listen,
        tls,
        token_file,
        open,
        host_names: host_names(checker, raw.host_names),
        report_token_file: checker.file("http.report_token_file", raw.report_token_file),
        metrics_store_limit: checker.count(
            "http.metrics_store_limit",
            raw.metrics_store_limit,
            0..=100_000,
            METRICS_STORE_LIMIT,
        ),
    }
}

fn listen(checker: &mut Checker<'_>, value: Option<Value>) -> Option<SocketAddr> {
    let key = "http.listen";
    let (text, origin) =
        checker.text(key, value).unwrap_or_else(|| (DEFAULT_LISTEN.to_owned(), Origin::Nowhere));
    if text == "off" {
        return None;
    }
    let listen = text.parse().ok();
    if listen.is_none() {
        let message =
            "must be an IP address and a port, such as \"127.0.0.1:9847\" or \"[::]:9847\", or \"off\"";
        checker.refuse(&origin, key, message);
    }
    listen
}

fn tls(checker: &mut Checker<'_>, table: Table<raw::HttpTls>) -> Option<ServerTls> {
    let Table { content: raw, span } = table;
    let certificate = pem(checker, &span, "http.tls.certificate_file", raw.certificate_file, "tls.crt");
    let key = pem(checker, &span, "http.tls.key_file", raw.key_file, "tls.key");
    let (certificate_file, key_file) = certificate.zip(key)?;
    Some(ServerTls { certificate_file, key_file })
}

fn pem(
    checker: &mut Checker<'_>,
    table: &Range<usize>,
    key: &str,
    value: Option<Value>,
    example: &str,
) -> Option<PathBuf> {
    if value.is_none() {
        let name = key.rsplit('.').next().unwrap_or(key);
        let advice = format!("write {name} = \"/etc/bc-secrets-sync/{example}\"");
        checker.missing(Some(table.clone()), key, &advice);
    }
    checker.file(key, value)
}

/// An empty list is one: then nothing is seen without the token.
fn opened(checker: &mut Checker<'_>, value: Option<Value>, has_token: bool) -> Vec<Open> {
    let key = "http.open";
    let Some(value) = value else { return DEFAULT_OPEN.into() };
    if !has_token {
        let message = "does nothing without http.token_file: everything is seen without a token then";
        checker.refuse(&value.origin, key, message);
    }
    let Kind::List(list) = value.kind else {
        checker.refuse(&value.origin, key, "must be a list, such as [\"probes\", \"metrics\"], or []");
        return DEFAULT_OPEN.into();
    };
    let words = [("probes", Open::Probes), ("metrics", Open::Metrics)];
    let mut open = Vec::new();
    for (index, item) in list.into_iter().enumerate() {
        let chosen = checker.choice(&format!("{key}[{index}]"), Some(item), &words, Open::Probes);
        if !open.contains(&chosen) {
            open.push(chosen);
        }
    }
    open
}

fn host_names(checker: &mut Checker<'_>, value: Option<Value>) -> Vec<String> {
    let key = "http.host_names";
    let Some((names, _)) = checker.texts(key, value) else { return Vec::new() };
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    for (index, (name, origin)) in names.iter().enumerate() {
        if !name.bytes().all(is_good) {
            let message = "must be a host name without scheme and port, such as \"credentials.example\"";
            checker.refuse(origin, format!("{key}[{index}]"), message);
        }
    }
    names.into_iter().map(|(name, _)| name.trim_end_matches('.').to_ascii_lowercase()).collect()
}

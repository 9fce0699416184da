//! Checks `[alerts.kubernetes]`: the API server, the object that Events are about, and how we are believed.

use std::ops::Range;
use std::path::PathBuf;

use url::Url;

use super::channels::{TIMEOUT, USE_HTTPS, route};
use super::checker::Checker;
use super::locations::PlainHttp;
use super::raw;
use super::value::{Origin, Table, Value, open};
use super::{Kubernetes, Regarding};

/// Where Kubernetes mounts what a service account needs.
const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// The longest name of an object, and of a namespace, in bytes.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// The key of the object's name.
const NAME: &str = "alerts.kubernetes.regarding.name";

/// Checks `[alerts.kubernetes]`.
pub(super) fn kubernetes(
    checker: &mut Checker<'_>,
    table: Range<usize>,
    raw: raw::Kubernetes,
) -> Option<Kubernetes> {
    let url = server(checker, &table, raw.url);
    let key = "alerts.kubernetes.namespace";
    let namespace = checker.or_variable(key, raw.namespace, &["POD_NAMESPACE"]);
    if namespace.is_none() {
        let advice = "give the container POD_NAMESPACE by the downward API, or write namespace = \"shop\"";
        checker.missing(Some(table.clone()), key, advice);
    }
    let namespace = name(checker, key, namespace, LONGEST_LABEL);
    let pod = checker.or_variable(NAME, None, &["POD_NAME"]);
    let pod = name(checker, NAME, pod, LONGEST_NAME);
    let regarding = regarding(checker, &table, raw.regarding, pod.clone());
    let token_file = checker.file("alerts.kubernetes.token_file", raw.token_file);
    let ca_file = checker.file("alerts.kubernetes.ca_file", raw.ca_file);
    let timeout = checker.duration("alerts.kubernetes.timeout", raw.timeout, &TIMEOUT);
    let route = route(checker, "alerts.kubernetes", raw.severity, raw.stores);
    let (url, regarding) = (url?, regarding?);
    let is_tls = url.scheme() == "https";
    Some(Kubernetes {
        url,
        namespace: namespace?,
        instance: pod.unwrap_or_else(|| regarding.name.clone()),
        regarding,
        token_file: token_file.unwrap_or_else(|| PathBuf::from(TOKEN_FILE)),
        ca_file: ca_file.or_else(|| is_tls.then(|| PathBuf::from(CA_FILE))),
        timeout,
        route,
    })
}

/// The API server: as configured, or as Kubernetes tells every container.
fn server(checker: &mut Checker<'_>, table: &Range<usize>, value: Option<Value>) -> Option<Url> {
    let key = "alerts.kubernetes.url";
    let (url, origin) = match value {
        Some(value) => checker.url(key, Some(value), PlainHttp::LoopbackOnly, USE_HTTPS)?,
        None => {
            let Some((variable, host)) = checker.variable(key, &["KUBERNETES_SERVICE_HOST"]) else {
                let advice = "KUBERNETES_SERVICE_HOST, which every container in a cluster has, is not set; write \
                              url = \"https://kubernetes.default.svc\"";
                checker.missing(Some(table.clone()), key, advice);
                return None;
            };
            let port = checker.variable(key, &["KUBERNETES_SERVICE_PORT"]);
            let port = port.map_or_else(|| "443".to_owned(), |(_, port)| port);
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            let (text, origin) = (format!("https://{host}:{port}"), Origin::Variable(variable));
            checker.url_of(key, text, origin, PlainHttp::LoopbackOnly, USE_HTTPS)?
        }
    };
    if url.query().is_some() || url.path().contains("/apis") {
        checker.refuse(
            &origin,
            key,
            "must be the API server's own address, without /apis and without a query",
        );
    }
    Some(url)
}

/// The object: the pod that we run in, as the downward API names it, unless another one is named.
fn regarding(
    checker: &mut Checker<'_>,
    table: &Range<usize>,
    own: Option<Table<raw::Regarding>>,
    pod: Option<String>,
) -> Option<Regarding> {
    let at = "alerts.kubernetes.regarding";
    let (span, raw) = open(own);
    let mut word = |key: &str, value: Option<Value>, default: &str| {
        let key = format!("{at}.{key}");
        let (text, origin) =
            checker.text(&key, value).unwrap_or_else(|| (default.to_owned(), Origin::Nowhere));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'/');
        if text.len() > LONGEST_NAME || !text.bytes().all(allowed) {
            checker.refuse(
                &origin,
                key,
                format!("is no such word of Kubernetes; write it as in \"{default}\""),
            );
        }
        text
    };
    let api_version = word("api_version", raw.api_version, "v1");
    let kind = word("kind", raw.kind, "Pod");
    let ours = raw.name.is_none() && kind == "Pod";
    if raw.name.is_none() && !(ours && pod.is_some()) {
        let advice = if ours {
            "give the container POD_NAME by the downward API, or write the name of an object"
        } else {
            "write the name of the object"
        };
        checker.missing(Some(span.unwrap_or_else(|| table.clone())), NAME, advice);
    }
    let name = if ours { pod } else { name(checker, NAME, raw.name, LONGEST_NAME) };
    let key = format!("{at}.uid");
    let uid = if ours { checker.or_variable(&key, raw.uid, &["POD_UID"]) } else { raw.uid };
    let uid = checker.text(&key, uid);
    if let Some((text, origin)) = &uid
        && text.len() > LONGEST_NAME
    {
        checker.refuse(origin, key, "is too long for the identifier of an object");
    }
    Some(Regarding { api_version, kind, name: name?, uid: uid.map(|(uid, _)| uid) })
}

/// A name as Kubernetes wants it: it becomes a part of an address.
fn name(checker: &mut Checker<'_>, key: &str, value: Option<Value>, most: usize) -> Option<String> {
    let (text, origin) = checker.text(key, value)?;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let outer = |end: Option<u8>| end.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let (first, last) = (text.bytes().next(), text.bytes().last());
    if text.len() <= most && text.bytes().all(inner) && outer(first) && outer(last) {
        return Some(text);
    }
    let message = format!(
        "is no name of Kubernetes: at most {most} lower-case letters, digits, '-' and '.', beginning and ending \
         with a letter or digit"
    );
    checker.refuse(&origin, key, message);
    None
}

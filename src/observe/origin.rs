//! Where a request comes from, as far as it says so: through a proxy, from a page of another site, or for another name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HOST, ORIGIN, VIA};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName};
use rustix::system::uname;

const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Somebody who reached the address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    /// Who.
    pub(super) address: IpAddr,
    /// They reached a loopback address, as every page in a browser on this host can.
    pub(super) on_loopback: bool,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
}

impl Visitor {
    /// A visitor from there to here, over plain HTTP.
    pub(super) fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let on_loopback = to.ip().to_canonical().is_loopback();
        Self { address: from.ip(), on_loopback, scheme: "http" }
    }
}

/// Whether a request says that a proxy has passed it on.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        *name == FORWARDED || *name == VIA || *name == REAL_IP || name.as_str().starts_with("x-forwarded-")
    })
}

/// Whether a request says that a page of another site, or of no site, has made a browser send it. `scheme` is that
/// of the listener; none: no page can be of it.
pub(super) fn is_from_elsewhere(uri: &Uri, headers: &HeaderMap, scheme: Option<&str>) -> bool {
    let fetched = headers.get_all(FETCH_SITE).iter();
    if fetched.map(|site| site.as_bytes()).any(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let ours = scheme.zip(named(uri, headers)).map(|(scheme, host)| format!("{scheme}://{host}"));
    headers.get_all(ORIGIN).iter().any(|origin| match &ours {
        Some(ours) => !origin.as_bytes().eq_ignore_ascii_case(ours.as_bytes()),
        None => true,
    })
}

/// Whether a request is for a name that is ours. A page of another site can lead a name of its own to our address,
/// and then a browser takes us for that site; but the request says for which name it is.
pub(super) fn is_known(uri: &Uri, headers: &HeaderMap, names: &[String], on_loopback: bool) -> bool {
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return false;
    }
    // No browser leaves it out.
    if uri.authority().is_none() && !headers.contains_key(HOST) {
        return true;
    }
    let Some(authority) = named(uri, headers) else { return false };
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    };
    is_address
        || host == "localhost"
        || host.ends_with(".localhost")
        || names.contains(&host)
        || is_this_machine(&host)
        || names.is_empty() && !on_loopback
}

/// Whether it is the machine's own name, which its `/etc/hosts` may lead to a loopback address. No other site has it.
fn is_this_machine(host: &str) -> bool {
    uname().nodename().to_bytes().eq_ignore_ascii_case(host.as_bytes())
}

/// Host and port that a request is for (RFC 9112, section 3.2).
fn named(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => Authority::try_from(headers.get(HOST)?.as_bytes()).ok()?,
    };
    // Neither a user nor a password belongs there.
    (!authority.as_str().contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn on_loopback_only_names_that_nobody_else_can_have_are_ours() {
        let path: Uri = "/status".parse().unwrap();
        let known = |host: &str, names: &[String], on_loopback| {
            is_known(&path, &headers(&[("host", host)]), names, on_loopback)
        };
        for good in [
            "127.0.0.1",
            "127.0.0.1:9847",
            "[::1]:9847",
            "10.1.2.3",
            "localhost:1",
            "LocalHost.",
            "a.localhost",
        ] {
            assert!(known(good, &[], true), "{good}");
        }
        let machine = uname().nodename().to_str().unwrap().to_owned();
        assert!(known(&format!("{machine}:9847"), &[], true), "{machine}");
        assert!(!known(&format!("{machine}.attacker.example"), &[], true), "{machine}");
        for bad in [
            "attacker.example:9847",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "a@b",
            "[x]",
            "",
        ] {
            assert!(!known(bad, &[], true), "{bad}");
        }
        let names = ["credentials.example".to_owned()];
        assert!(
            known("Credentials.Example:443", &names, true) && known("credentials.example.", &names, false)
        );
        assert!(known("any.svc:9847", &[], false) && !known("any.svc:9847", &names, false));
        let two = [("host", "localhost"), ("host", "attacker.example")];
        let mut both = headers(&two[..1]);
        both.append(HOST, "attacker.example".parse().unwrap());
        assert!(!is_known(&path, &both, &[], false));
        // The target counts, whatever the header says.
        let target: Uri = "http://attacker.example/status".parse().unwrap();
        assert!(!is_known(&target, &headers(&[("host", "localhost")]), &[], true));
        assert!(is_known(&path, &HeaderMap::new(), &[], true));
    }

    #[test]
    fn what_a_proxy_adds_is_seen() {
        for name in
            ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"]
        {
            assert!(is_forwarded(&headers(&[("host", "a"), (name, "")])), "{name}");
        }
        assert!(!is_forwarded(&headers(&[("host", "a"), ("x-request-id", "1"), ("user-agent", "via")])));
    }

    #[test]
    fn only_a_page_of_ours_may_send_what_changes_something() {
        let path: Uri = "/v1/stores/acme/report".parse().unwrap();
        let elsewhere = |lines: &[(&'static str, &str)]| {
            let mut all = headers(lines);
            all.insert(HOST, "127.0.0.1:9847".parse().unwrap());
            is_from_elsewhere(&path, &all, Some("http"))
        };
        assert!(!elsewhere(&[]));
        assert!(!elsewhere(&[("origin", "http://127.0.0.1:9847"), ("sec-fetch-site", "same-origin")]));
        assert!(!elsewhere(&[("sec-fetch-site", "none")]));
        for origin in [
            "null",
            "",
            "https://127.0.0.1:9847",
            "http://127.0.0.1",
            "http://localhost:9847",
            "http://evil.example",
        ] {
            assert!(elsewhere(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(elsewhere(&[("sec-fetch-site", site)]), "{site}");
        }
        let on_the_socket = headers(&[("host", "localhost"), ("origin", "http://localhost")]);
        assert!(is_from_elsewhere(&path, &on_the_socket, None));
    }
}

//! The facts of an answer: status, the headers that matter, and the beginning of the body.

use std::time::Duration;

use http::header::{AsHeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use reqwest::Response;
use url::Url;

use crate::domain::time::Timestamp;
use crate::domain::verdict::{Answer, MAX_BODY};

/// The longest wait that is believed.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);
/// The longest name of a host (RFC 1035).
const MAX_HOST_LENGTH: usize = 253;

/// Reads the body as it comes, at most [`MAX_BODY`] bytes, whatever length was announced. A connection whose
/// body was not read to its end is closed with the response. What came of one that broke off, or did not end in
/// time, is returned with the reason.
pub(super) async fn body(response: &mut Response) -> (Vec<u8>, Option<reqwest::Error>) {
    let mut body = Vec::new();
    while body.len() < MAX_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend(chunk.iter().take(MAX_BODY - body.len())),
            Ok(None) => break,
            Err(error) => return (body, Some(error)),
        }
    }
    (body, None)
}

/// The facts of an answer to a request for `url`.
pub(super) fn of(status: u16, headers: &HeaderMap, body: Vec<u8>, url: &Url, now: Timestamp) -> Answer {
    Answer {
        status,
        location_host: texts(headers, LOCATION).next().and_then(|text| location_host(text, url)),
        wait: wait(headers, now),
        remaining: texts(headers, "x-bc-apilimit-remaining").find_map(number),
        certificate: None,
        body,
    }
}

/// The host that a `Location` leads to. A relative one stays at the host that was asked.
fn location_host(text: &str, asked: &Url) -> Option<String> {
    let url = asked.join(text).ok()?;
    let host = url.host_str()?;
    let usable = matches!(url.scheme(), "http" | "https") && host.len() <= MAX_HOST_LENGTH;
    usable.then(|| host.to_owned())
}

/// The longest wait that the headers ask for, an hour at most. What cannot be read, and what asks for no wait
/// at all, is passed over.
fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let seconds = |text: &str| number(text).map(Duration::from_secs);
    let retry_after = texts(headers, RETRY_AFTER).filter_map(|text| {
        seconds(text).or_else(|| {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(Timestamp::from(date).since(now))
        })
    });
    let vendor = texts(headers, "x-retry-after").filter_map(seconds);
    let reset = texts(headers, "x-rate-limit-time-reset-ms")
        .filter_map(|text| number(text).map(Duration::from_millis));
    retry_after.chain(vendor).chain(reset).filter(|wait| !wait.is_zero()).max().map(|wait| wait.min(MAX_WAIT))
}

fn texts<'a>(headers: &'a HeaderMap, name: impl AsHeaderName + 'a) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok()).map(str::trim)
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect();
        let url = Url::parse("https://store-abc.mybigcommerce.com/api/v2/time").unwrap();
        // Sun, 06 Nov 1994 08:49:37 GMT
        of(429, &headers, Vec::new(), &url, Timestamp::from_millis(784_111_777_000))
    }

    #[test]
    fn the_longest_wait_counts() {
        type Case = (&'static [(&'static str, &'static str)], Option<u64>);
        let cases: &[Case] = &[
            (&[], None),
            (&[("Retry-After", "120")], Some(120_000)),
            (&[("Retry-After", " 120 ")], Some(120_000)),
            (&[("X-Retry-After", "7")], Some(7_000)),
            (&[("X-Rate-Limit-Time-Reset-Ms", "2500")], Some(2_500)),
            (
                &[("Retry-After", "3"), ("X-Retry-After", "5"), ("X-Rate-Limit-Time-Reset-Ms", "4000")],
                Some(5_000),
            ),
            (&[("Retry-After", "3"), ("Retry-After", "9")], Some(9_000)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60_000)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:49:36 GMT")], None),
            (&[("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], Some(3_600_000)),
            (&[("Retry-After", "86400")], Some(3_600_000)),
            (&[("X-Rate-Limit-Time-Reset-Ms", "1700000000000")], Some(3_600_000)),
            (&[("Retry-After", "0")], None),
            (&[("Retry-After", "soon"), ("X-Retry-After", "2")], Some(2_000)),
            (&[("Retry-After", "-5")], None),
            (&[("Retry-After", "+5")], None),
            (&[("Retry-After", "1.5")], None),
            (&[("Retry-After", "")], None),
            (&[("Retry-After", "\u{665}")], None),
            (&[("X-Retry-After", "99999999999999999999999")], None),
        ];
        for (headers, millis) in cases {
            assert_eq!(answer(headers).wait, millis.map(Duration::from_millis), "{headers:?}");
        }
    }

    #[test]
    fn a_location_is_reported_by_its_host_only() {
        let long = format!("https://{}.example/", "a.".repeat(130));
        for (location, host) in [
            ("https://www.acme.example/api/v2/time?x=1", Some("www.acme.example")),
            ("https://user:word@www.acme.example:8443/", Some("www.acme.example")),
            ("//other.example/a", Some("other.example")),
            ("/maintenance", Some("store-abc.mybigcommerce.com")),
            ("", Some("store-abc.mybigcommerce.com")),
            ("mailto:a@b.example", None),
            ("data://host/x", None),
            ("https://", None),
            (&long, None),
            ("https://\u{e4}.example", None),
        ] {
            assert_eq!(answer(&[("Location", location)]).location_host.as_deref(), host, "{location}");
        }
        assert_eq!(answer(&[]).location_host, None);
    }

    #[test]
    fn what_is_left_of_the_hour_is_read() {
        assert_eq!(answer(&[("X-BC-ApiLimit-Remaining", "19987")]).remaining, Some(19_987));
        assert_eq!(answer(&[("X-BC-ApiLimit-Remaining", "many")]).remaining, None);
        assert_eq!(answer(&[]).remaining, None);
    }
}

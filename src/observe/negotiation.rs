//! Which text format of metrics a client asks for with its `Accept` headers (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposition {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4; what is served to clients that say nothing.
    Prometheus,
}

impl Exposition {
    /// The format's `Content-Type`.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// OpenMetrics for clients that name it and like it at least as much as plain text; else Prometheus' own,
    /// even for clients that accept neither: somebody who looks with a browser should see something.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut open_metrics = 0;
        // Plain text may be meant by `text/plain`, `text/*` and `*/*`; the most exact one counts.
        let mut plain: [Option<u16>; 3] = [None; 3];
        let ranges = headers.get_all(ACCEPT).iter();
        for range in ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let Range { name, version, quality } = Range::parse(range);
            let [exact, family, any] = &mut plain;
            match (name.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => {
                    open_metrics = open_metrics.max(quality);
                }
                ("text/plain", None | Some("0.0.4")) => *exact = Some(quality),
                ("text/*", _) => *family = Some(quality),
                ("*/*", _) => *any = Some(quality),
                _ => {}
            }
        }
        let plain = plain.into_iter().flatten().next().unwrap_or(0);
        if open_metrics > 0 && open_metrics >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// One element of an `Accept` header.
struct Range<'a> {
    name: String,
    version: Option<&'a str>,
    /// In thousandths; one that cannot be read counts as 0, so that nonsense asks for nothing.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1000);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim_matches('"');
            if key.eq_ignore_ascii_case("version") {
                version = Some(value);
            } else if key.eq_ignore_ascii_case("q") {
                quality = thousandths(value).unwrap_or(0);
            }
        }
        Self { name, version, quality }
    }
}

/// Reads `0`, `1`, `0.5`, `0.123` and their like.
fn thousandths(text: &str) -> Option<u16> {
    let quality: f32 = text.parse().ok()?;
    // The cast of a value between 0 and 1000 cannot truncate.
    (0.0..=1.0).contains(&quality).then(|| (quality * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_what_the_client_likes_best() {
        const OPEN: Exposition = Exposition::OpenMetrics;
        const PLAIN: Exposition = Exposition::Prometheus;
        // What Prometheus 2.42 and 3.5 send.
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, expected) in [
            ("", PLAIN),
            ("*/*", PLAIN),
            (browser, PLAIN),
            (prometheus_2, OPEN),
            (prometheus_3, OPEN),
            ("application/openmetrics-text", OPEN),
            ("application/openmetrics-text; version=1.0.0", OPEN),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5", OPEN),
            ("application/openmetrics-text; version=0.0.1", PLAIN),
            ("application/openmetrics-text; version=2.0.0", PLAIN),
            ("application/openmetrics-text; version=1.0.0; q=0", PLAIN),
            ("application/openmetrics-text; q=nonsense", PLAIN),
            ("application/openmetrics-text; q=-1, text/plain; q=0.1", PLAIN),
            ("application/openmetrics-text; q=0.4, text/plain; q=0.5", PLAIN),
            ("application/openmetrics-text; q=0.5, text/plain; q=0.5", OPEN),
            ("application/openmetrics-text; q=0.5, text/plain; q=0.1, */*", OPEN),
            ("application/openmetrics-text; q=0.5, */*", PLAIN),
            ("application/json", PLAIN),
            (";;;,,=,q=;", PLAIN),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Exposition::of(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn several_accept_headers_count_as_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(Exposition::of(&headers), Exposition::Prometheus);
        headers.append(ACCEPT, "text/plain;q=0.5".parse().unwrap());
        headers.append(ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert_eq!(Exposition::of(&headers), Exposition::OpenMetrics);
    }
}

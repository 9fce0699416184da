//! Writes HTML: what is ours as it is, everything else escaped; and digests it, so that changes are noticed.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// A piece of HTML while it is written. Only literals of ours get into it as they are.
#[derive(Debug)]
pub(super) struct Html {
    text: String,
    digest: DefaultHasher,
    now: Timestamp,
}

impl Html {
    /// Nothing yet. Times are told as seen from `now`.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { text: String::new(), digest: DefaultHasher::new(), now }
    }

    /// Writes markup of ours.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.text.push_str(markup);
        markup.hash(&mut self.digest);
        self
    }

    /// Writes what may come from anywhere, as text or as the quoted value of an attribute.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        let text = text.to_string();
        text.hash(&mut self.digest);
        for letter in text.chars() {
            match letter {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                // Nothing to see, or not allowed in HTML; those that turn the direction could make a text lie.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.text.push('\u{fffd}'),
                letter if letter.is_control() && !letter.is_whitespace() => self.text.push('\u{fffd}'),
                letter => self.text.push(letter),
            }
        }
        self
    }

    /// Writes a time as one tells it: how long ago, or how long from now. That it grows old is no change.
    pub(super) fn when(&mut self, at: Timestamp) -> &mut Self {
        self.relative("<time class=\"ago\" datetime=\"", at, self.now)
    }

    /// Writes when something comes: how long from now, and not how late it is.
    pub(super) fn due(&mut self, at: Timestamp) -> &mut Self {
        self.relative("<time class=\"ago due\" datetime=\"", at, self.now.min(at))
    }

    fn relative(&mut self, tag: &'static str, at: Timestamp, now: Timestamp) -> &mut Self {
        self.markup(tag).text(at).markup("\" title=\"").text(Clock(at)).markup("\">");
        self.text.push_str(&relative(at, now));
        self.markup("</time>")
    }

    /// Writes a time as a clock shows it, in UTC.
    pub(super) fn clock(&mut self, at: Timestamp) -> &mut Self {
        self.markup("<time datetime=\"").text(at).markup("\">").text(Clock(at)).markup("</time>")
    }

    /// Writes a part that is done.
    pub(super) fn part(&mut self, part: &Part) -> &mut Self {
        self.text.push_str(&part.text);
        part.digest.hash(&mut self.digest);
        self
    }

    /// What was written.
    pub(super) fn done(self) -> Part {
        Part { text: self.text, digest: self.digest.finish() }
    }
}

/// A part of the page.
#[derive(Debug)]
pub(super) struct Part {
    /// Its HTML.
    pub(super) text: String,
    /// The same for parts that say the same, whenever they say it.
    pub(super) digest: u64,
}

/// A time to the second, such as `2026-11-23 05:50:00 UTC`.
struct Clock(Timestamp);

impl Display for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        write!(formatter, "{date} {} UTC", time.get(..8).unwrap_or_default())
    }
}

/// How long ago, or how long from now, in one unit. The script tells it the same way.
fn relative(at: Timestamp, now: Timestamp) -> String {
    let (past, future) = (now.since(at), at.since(now));
    if past.max(future) < Duration::from_secs(1) {
        "now".to_owned()
    } else if future.is_zero() {
        format!("{} ago", span(past))
    } else {
        format!("in {}", span(future))
    }
}

/// A span in its largest unit that is not too coarse.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_756_080_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOON.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn what_comes_from_outside_is_text_and_nothing_else() {
        let mut html = Html::new(NOON);
        html.markup("<p title=\"").text("\"'<script>&amp;\u{202e}\0").markup("\">").text("a\nb\u{fc}");
        let expected = "<p title=\"&quot;&#39;&lt;script&gt;&amp;amp;\u{fffd}\u{fffd}\">a\nb\u{fc}";
        assert_eq!(html.done().text, expected);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        for (seconds, expected) in [
            (0, "now"),
            (1, "1 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_199, "119 min ago"),
            (7_200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(relative(NOON, after(seconds)), expected);
        }
        assert_eq!(relative(after(90), NOON), "in 90 s");
        let mut html = Html::new(after(60));
        html.when(NOON);
        let time = "2025-08-25 00:00:00 UTC";
        let expected = "<time class=\"ago\" datetime=\"2025-08-25T00:00:00.000Z\" title=\"";
        assert_eq!(html.done().text, format!("{expected}{time}\">60 s ago</time>"));
        let mut html = Html::new(after(60));
        html.due(NOON);
        assert!(html.done().text.ends_with("\">now</time>"), "what is due comes now");
    }

    #[test]
    fn that_time_passes_is_no_change_and_that_a_time_changes_is_one() {
        let digest = |at, now| {
            let mut html = Html::new(now);
            html.markup("<p>").when(at);
            html.done().digest
        };
        assert_eq!(digest(NOON, after(1)), digest(NOON, after(9_999)));
        assert_ne!(digest(NOON, after(1)), digest(after(1), after(1)));
    }
}

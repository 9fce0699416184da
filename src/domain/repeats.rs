//! Failures that come again and again: said once, and from then on with their number, ever more seldom.

use std::collections::BTreeMap;
use std::time::Duration;

use super::time::{Instant, Now, Timestamp};

/// How many are told apart. While so many are remembered, others are said each time.
const MOST: usize = 512;
/// The words by which one is known, in bytes: those about faults quote what others have said.
const LONGEST: usize = 400;
/// How long one that was said is only counted; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// What has not come for so long is over.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// What is to be said of a failure that has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Telling {
    /// It is new.
    First,
    /// It has come so often since then, this time included.
    Again {
        /// How often.
        times: u64,
        /// Since when.
        since: Timestamp,
    },
    /// It was said lately.
    Nothing,
}

impl Telling {
    /// What a line about it says more: how often it has come, and since when; none: there is to be no line.
    #[must_use]
    pub fn count(self) -> Option<(Option<u64>, Option<Timestamp>)> {
        match self {
            Self::First => Some((None, None)),
            Self::Again { times, since } => Some((Some(times), Some(since))),
            Self::Nothing => None,
        }
    }
}

/// A failure that came more than once, and does no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Whose it was.
    pub subject: String,
    /// What was said of it.
    pub words: String,
    /// How often it came.
    pub times: u64,
    /// When it came first.
    pub since: Timestamp,
}

#[derive(Debug)]
struct Failure {
    first: Now,
    latest: Instant,
    times: u64,
    /// How often it had come when it was said last.
    told: u64,
    next: Instant,
    pause: Duration,
}

/// The failures of late, by whose they are and what is said of them.
#[derive(Debug, Default)]
pub struct Repeats(BTreeMap<(String, String), Failure>);

impl Repeats {
    /// A failure has come: what is to be said?
    pub fn came(&mut self, subject: &str, words: &str, now: Now) -> Telling {
        let at = now.instant;
        let key = (subject.to_owned(), cut(words).to_owned());
        let Some(known) = self.0.get_mut(&key).filter(|known| at.since(known.latest) < QUIET) else {
            if self.0.len() < MOST || self.0.contains_key(&key) {
                let (next, pause) = (at.plus(FIRST_PAUSE), FIRST_PAUSE);
                let failure = Failure { first: now, latest: at, times: 1, told: 1, next, pause };
                self.0.insert(key, failure);
            }
            return Telling::First;
        };
        known.times += 1;
        known.latest = at;
        if at < known.next {
            return Telling::Nothing;
        }
        known.pause = (known.pause * 2).min(LONGEST_PAUSE);
        (known.told, known.next) = (known.times, at.plus(known.pause));
        Telling::Again { times: known.times, since: known.first.wall }
    }

    /// Something of this subject works: its failures are over. Those that came once were said once.
    pub fn works(&mut self, subject: &str) -> Vec<Over> {
        self.take(|(whose, _), _| whose == subject, |failure| failure.times > 1)
    }

    /// Those that have not come for long, and of which more came than was said.
    pub fn quiet(&mut self, now: Now) -> Vec<Over> {
        let long = |_: &(String, String), failure: &Failure| now.instant.since(failure.latest) >= QUIET;
        self.take(long, |failure| failure.times > failure.told)
    }

    fn take(
        &mut self,
        is_over: impl Fn(&(String, String), &Failure) -> bool,
        is_told: impl Fn(&Failure) -> bool,
    ) -> Vec<Over> {
        let all = std::mem::take(&mut self.0).into_iter();
        let (ended, kept): (BTreeMap<_, _>, _) = all.partition(|(key, failure)| is_over(key, failure));
        self.0 = kept;
        let told = ended.into_iter().filter(|(_, failure)| is_told(failure));
        let over = |((subject, words), failure): ((String, String), Failure)| {
            let (times, since) = (failure.times, failure.first.wall);
            Over { subject, words, times, since }
        };
        told.map(over).collect()
    }
}

fn cut(words: &str) -> &str {
    let end = (0..=LONGEST.min(words.len())).rev().find(|end| words.is_char_boundary(*end));
    end.and_then(|end| words.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        let wall = Timestamp::from_millis((1_000_000 + seconds) * 1000);
        Now { instant: Instant::from_millis(seconds * 1000), wall }
    }

    #[test]
    fn what_comes_each_second_is_said_ever_more_seldom_and_with_its_number() {
        let mut repeats = Repeats::default();
        let said: Vec<_> = (0..86_400)
            .filter_map(|second| match repeats.came("acme", "refused", at(second)) {
                Telling::First => Some((second, 1)),
                Telling::Again { times, since } => {
                    assert_eq!(since, at(0).wall);
                    Some((second, times))
                }
                Telling::Nothing => None,
            })
            .collect();
        let first = [(0, 1), (60, 61), (180, 181), (420, 421), (900, 901)];
        assert_eq!(said[..5], first);
        assert!(said.len() < 16, "{said:?}");
        let pauses: Vec<_> = said.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(pauses.is_sorted() && pauses.last() == Some(&21_600), "{pauses:?}");
    }

    #[test]
    fn other_words_and_other_subjects_are_other_failures() {
        let mut repeats = Repeats::default();
        for (subject, words) in [("acme", "refused"), ("acme", "timeout"), ("toys", "refused")] {
            assert_eq!(repeats.came(subject, words, at(0)), Telling::First);
            assert_eq!(repeats.came(subject, words, at(1)), Telling::Nothing);
        }
    }

    #[test]
    fn that_it_works_ends_all_failures_of_a_subject() {
        let mut repeats = Repeats::default();
        for second in 0..5 {
            let _ = repeats.came("acme", "refused", at(second));
            let _ = repeats.came("toys", "refused", at(second));
        }
        let _ = repeats.came("acme", "timeout", at(5));
        let over = |times| Over {
            subject: "acme".to_owned(),
            words: "refused".to_owned(),
            times,
            since: at(0).wall,
        };
        assert_eq!(repeats.works("acme"), [over(5)]);
        assert_eq!(repeats.works("acme"), []);
        assert_eq!(repeats.came("acme", "timeout", at(6)), Telling::First);
        assert_eq!(repeats.came("toys", "refused", at(6)), Telling::Nothing);
    }

    #[test]
    fn what_is_quiet_for_long_is_told_once_with_what_was_not_said() {
        let mut repeats = Repeats::default();
        let _ = repeats.came("acme", "refused", at(0));
        let _ = repeats.came("acme", "refused", at(7));
        let _ = repeats.came("toys", "refused", at(7));
        assert_eq!(repeats.quiet(at(7 + 899)), []);
        let over = repeats.quiet(at(7 + 900));
        let expected = Over { subject: "acme".into(), words: "refused".into(), times: 2, since: at(0).wall };
        assert_eq!(over, [expected], "what came once was said");
        assert_eq!(repeats.quiet(at(7 + 901)), []);
        assert_eq!(repeats.came("acme", "refused", at(2000)), Telling::First);
        // Nobody has asked whether it was quiet.
        assert_eq!(repeats.came("acme", "refused", at(2000 + 900)), Telling::First);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_kept_back_for_want_of_it() {
        let mut repeats = Repeats::default();
        let long = "\u{fc}".repeat(100_000);
        for number in 0..10_000 {
            assert_eq!(repeats.came(&number.to_string(), &long, at(0)), Telling::First);
        }
        assert_eq!(repeats.0.len(), MOST);
        assert!(repeats.0.keys().all(|(_, words)| words.len() <= LONGEST));
        assert_eq!(repeats.came("9999", &long, at(1)), Telling::First);
        assert_eq!(repeats.came("0", &long, at(1)), Telling::Nothing);
    }
}

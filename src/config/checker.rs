//! Judges single values and gathers what is wrong with them: a check always answers, and the answers count
//! only if nothing was refused.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::environment::Environment;
use super::error::{Place, Problem};
use super::value::{Kind, Origin, Value};

/// What a duration may be.
pub(super) struct DurationRule {
    pub(super) default: Duration,
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl DurationRule {
    /// The duration, or why it is none, with what would be one.
    fn judge(&self, kind: &Kind) -> Result<Duration, String> {
        let problem = match parse_duration(kind) {
            Ok(duration) if (self.least..=self.most).contains(&duration) => return Ok(duration),
            Ok(duration) if duration.is_zero() => "is zero",
            Ok(duration) if duration < self.least => "is too short",
            Ok(_) => "is too long",
            Err(problem) => problem,
        };
        let write = humantime::format_duration;
        Err(format!(
            "{problem}; write a duration from \"{}\" to \"{}\", such as \"{}\"",
            write(self.least),
            write(self.most),
            write(self.default)
        ))
    }
}

/// Checks values of one file.
pub(super) struct Checker<'a> {
    file: &'a str,
    text: &'a str,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(file: &'a str, text: &'a str, environment: &'a Environment) -> Self {
        Self { file, text, environment, problems: Vec::new() }
    }

    /// Everything that was refused.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn refuse(&mut self, origin: &Origin, key: impl Into<String>, message: impl Into<String>) {
        let place = match origin {
            Origin::File(span) => Place::of_byte(self.file, self.text, span.start),
            Origin::Variable(name) => Place::Variable(name),
            Origin::Nowhere => Place::File(self.file.to_owned()),
        };
        self.problems.push(Problem { place, key: key.into(), message: message.into() });
    }

    /// " on line N", if the value stands in the file. Lines are counted for it, so it is for messages only.
    pub(super) fn on_line(&self, origin: &Origin) -> String {
        let Origin::File(span) = origin else { return String::new() };
        let Place::Line { line, .. } = Place::of_byte(self.file, self.text, span.start) else {
            return String::new();
        };
        format!(" on line {line}")
    }

    /// The first of these variables that is set.
    pub(super) fn variable(&mut self, key: &str, names: &[&'static str]) -> Option<(&'static str, String)> {
        self.environment.first(names).unwrap_or_else(|name| {
            self.refuse(&Origin::Variable(name), key, "its value is no UTF-8 text");
            None
        })
    }

    /// What the file says, or else what the environment says.
    pub(super) fn or_variable(
        &mut self,
        key: &str,
        value: Option<Value>,
        names: &[&'static str],
    ) -> Option<Value> {
        value.or_else(|| {
            self.variable(key, names)
                .map(|(name, text)| Value { kind: Kind::Text(text), origin: Origin::Variable(name) })
        })
    }

    /// A text that is not empty and has no control characters.
    pub(super) fn text(&mut self, key: &str, value: Option<Value>) -> Option<(String, Origin)> {
        let value = value?;
        let problem = match value.kind {
            Kind::Text(text) if text.is_empty() => "is empty; leave the key out or give it a value",
            Kind::Text(text) if text.chars().any(char::is_control) => {
                "contains a line break or another control character; write it without"
            }
            Kind::Text(text) => return Some((text, value.origin)),
            Kind::Integer(_) | Kind::Boolean(_) | Kind::List(_) | Kind::Other => "must be a text in quotes",
        };
        self.refuse(&value.origin, key, problem);
        None
    }

    /// A list of texts that is not empty; each with its place.
    pub(super) fn texts(
        &mut self,
        key: &str,
        value: Option<Value>,
    ) -> Option<(Vec<(String, Origin)>, Origin)> {
        let value = value?;
        let list = match value.kind {
            Kind::List(list) if !list.is_empty() => list,
            Kind::List(_) => {
                self.refuse(&value.origin, key, "is an empty list; leave the key out or name something");
                return None;
            }
            Kind::Text(_) | Kind::Integer(_) | Kind::Boolean(_) | Kind::Other => {
                self.refuse(&value.origin, key, "must be a list of texts, such as [\"...\", \"...\"]");
                return None;
            }
        };
        let texts: Vec<_> = list
            .into_iter()
            .enumerate()
            .map(|(index, item)| self.text(&format!("{key}[{index}]"), Some(item)))
            .collect();
        Some((texts.into_iter().collect::<Option<_>>()?, value.origin))
    }

    pub(super) fn boolean(&mut self, key: &str, value: Option<Value>, default: bool) -> bool {
        match value {
            None => default,
            Some(Value { kind: Kind::Boolean(value), .. }) => value,
            Some(value) => {
                self.refuse(&value.origin, key, "must be true or false, without quotes");
                default
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn count<N>(
        &mut self,
        key: &str,
        value: Option<Value>,
        range: RangeInclusive<N>,
        default: N,
    ) -> N
    where
        N: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        let Some(value) = value else { return default };
        let number = match value.kind {
            Kind::Integer(number) => N::try_from(number).ok(),
            Kind::Text(_) | Kind::Boolean(_) | Kind::List(_) | Kind::Other => None,
        };
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let message = format!("must be a whole number from {least} to {most}, such as {default}");
            self.refuse(&value.origin, key, message);
            default
        })
    }

    /// A duration with its unit.
    pub(super) fn duration(&mut self, key: &str, value: Option<Value>, rule: &DurationRule) -> Duration {
        let Some(value) = value else {
            return rule.default;
        };
        rule.judge(&value.kind).unwrap_or_else(|problem| {
            self.refuse(&value.origin, key, problem);
            rule.default
        })
    }

    /// A duration with its unit, or none where `off` is written.
    pub(super) fn duration_or_off(
        &mut self,
        key: &str,
        value: Option<Value>,
        rule: &DurationRule,
    ) -> Option<Duration> {
        let Some(value) = value else {
            return Some(rule.default);
        };
        if matches!(&value.kind, Kind::Text(text) if text == "off") {
            return None;
        }
        let judged = rule.judge(&value.kind);
        if let Err(problem) = &judged {
            self.refuse(&value.origin, key, format!("{problem}, or \"off\""));
        }
        judged.ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        value: Option<Value>,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(value) = value else { return default };
        let chosen = match &value.kind {
            Kind::Text(text) => words.iter().find(|(word, _)| word == text),
            Kind::Integer(_) | Kind::Boolean(_) | Kind::List(_) | Kind::Other => None,
        };
        if let Some((_, chosen)) = chosen {
            return *chosen;
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.refuse(&value.origin, key, format!("must be one of {}", words.join(", ")));
        default
    }

    /// Tells that a key is missing from a table, at the table's beginning; unless its variable was refused.
    pub(super) fn missing(&mut self, table: Option<Range<usize>>, key: &str, advice: &str) {
        if self.problems.iter().all(|problem| problem.key != key) {
            let origin = table.map_or(Origin::Nowhere, Origin::File);
            self.refuse(&origin, key, format!("is missing; {advice}"));
        }
    }
}

fn parse_duration(kind: &Kind) -> Result<Duration, &'static str> {
    let text = match kind {
        Kind::Text(text) => text.trim(),
        Kind::Integer(number) if *number < 0 => return Err("is negative"),
        Kind::Integer(_) => return Err("has no unit"),
        Kind::Boolean(_) | Kind::List(_) | Kind::Other => return Err("is no duration"),
    };
    if text.starts_with('-') {
        return Err("is negative");
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("has no unit");
    }
    humantime::parse_duration(text).map_err(|_| "is no duration")
}

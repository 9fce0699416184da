//! Checks `[stores.reload]`: one way to tell the app, and only the keys that belong to it.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::checker::{Checker, DurationRule};
use super::locations::{PlainHttp, is_loopback};
use super::raw;
use super::reload::{Hook, HookRequest, Method, Reload, ReloadSignal, Target};
use super::value::{Kind, Table, Value};

const TIMEOUT: DurationRule = DurationRule {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(60),
};
const MIN_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(5),
    least: Duration::ZERO,
    most: Duration::from_secs(24 * 60 * 60),
};
const SHELL: &str = "/bin/sh";

/// The ways to tell an app.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Command,
    Request,
    Signal,
}

impl Way {
    /// The key that asks for it, as advice names it.
    const fn key(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Request => "url",
            Self::Signal => "pid_file or process",
        }
    }
}

/// Checks the table of one store.
pub(super) fn reload(checker: &mut Checker<'_>, at: &str, table: Table<raw::Reload>) -> Option<Reload> {
    let Table { content: mut raw, span } = table;
    let way = way(checker, at, span, &raw)?;
    strangers(checker, at, way, &raw);
    let min_interval =
        checker.duration(&format!("{at}.min_interval"), raw.min_interval.take(), &MIN_INTERVAL);
    let retries = checker.count(&format!("{at}.retries"), raw.retries.take(), 0..=20, 3);
    let hook = match way {
        Way::Command => command(checker, at, raw),
        Way::Request => request(checker, at, raw).map(Hook::Request),
        Way::Signal => signal(checker, at, raw),
    };
    Some(Reload { hook: hook?, min_interval, retries })
}

/// The one way that the table asks for.
fn way(checker: &mut Checker<'_>, at: &str, table: Range<usize>, raw: &raw::Reload) -> Option<Way> {
    let asked = [
        (Way::Command, "command", &raw.command),
        (Way::Request, "url", &raw.url),
        (Way::Signal, "pid_file", &raw.pid_file),
        (Way::Signal, "process", &raw.process),
    ];
    let mut asked = asked.iter().filter_map(|(way, key, value)| Some((*way, *key, value.as_ref()?)));
    let Some((way, first, _)) = asked.next() else {
        let advice = "write pid_file = \"/run/example/app.pid\", which holds the app's process number, or one of \
                      process, command and url";
        checker.missing(Some(table), &format!("{at}.pid_file"), advice);
        return None;
    };
    let mut others = asked.filter(|(other, ..)| *other != way).peekable();
    others.peek().is_none().then_some(way).or_else(|| {
        for (_, key, value) in others {
            let message = format!(
                "stands beside {first}, and an app is told in one way; take one of them out, or let a command do both"
            );
            checker.refuse(&value.origin, format!("{at}.{key}"), message);
        }
        None
    })
}

/// Refuses what belongs to another way.
fn strangers(checker: &mut Checker<'_>, at: &str, way: Way, raw: &raw::Reload) {
    let homes: [(&str, &Option<Value>, &[Way]); 7] = [
        ("shell", &raw.shell, &[Way::Command]),
        ("method", &raw.method, &[Way::Request]),
        ("bearer_token_file", &raw.bearer_token_file, &[Way::Request]),
        ("ca_file", &raw.ca_file, &[Way::Request]),
        ("expected_statuses", &raw.expected_statuses, &[Way::Request]),
        ("timeout", &raw.timeout, &[Way::Command, Way::Request]),
        ("signal", &raw.signal, &[Way::Signal]),
    ];
    for (key, value, ways) in homes {
        if let Some(value) = value
            && !ways.contains(&way)
        {
            let homes: Vec<&str> = ways.iter().map(|way| way.key()).collect();
            let message = format!(
                "belongs to {}, and does nothing with {}; take it out",
                homes.join(" or "),
                way.key()
            );
            checker.refuse(&value.origin, format!("{at}.{key}"), message);
        }
    }
}

fn command(checker: &mut Checker<'_>, at: &str, raw: raw::Reload) -> Option<Hook> {
    let key = format!("{at}.command");
    let timeout = checker.duration(&format!("{at}.timeout"), raw.timeout, &TIMEOUT);
    let shell = checker.boolean(&format!("{at}.shell"), raw.shell, false);
    let (texts, origin) = checker.texts(&key, raw.command)?;
    let mut argv: Vec<String> = texts.into_iter().map(|(text, _)| text).collect();
    let program = argv.first()?;
    if shell {
        if argv.len() > 1 {
            let message =
                "must be a list of one text with shell = true, such as [\"nginx -t && nginx -s reload\"]";
            checker.refuse(&origin, key, message);
            return None;
        }
        argv.splice(0..0, [SHELL.to_owned(), "-c".to_owned()]);
    } else if argv.len() == 1 && program.contains(char::is_whitespace) {
        let message = "is run without a shell; write each argument as a text of its own, such as \
                       [\"/usr/sbin/nginx\", \"-s\", \"reload\"], or set shell = true";
        checker.refuse(&origin, key, message);
        return None;
    } else if !program.starts_with('/') || program.ends_with('/') {
        let message = "must be the absolute path of a program; it is run without a shell";
        checker.refuse(&origin, format!("{key}[0]"), message);
        return None;
    }
    Some(Hook::Command { argv, timeout })
}

fn request(checker: &mut Checker<'_>, at: &str, raw: raw::Reload) -> Option<HookRequest> {
    let methods = [("GET", Method::Get), ("POST", Method::Post), ("PUT", Method::Put)];
    let url = checker.url(&format!("{at}.url"), raw.url, PlainHttp::Anywhere, "");
    let method = checker.choice(&format!("{at}.method"), raw.method, &methods, Method::Post);
    let bearer_token_file = checker.file(&format!("{at}.bearer_token_file"), raw.bearer_token_file);
    let ca_file = checker.file(&format!("{at}.ca_file"), raw.ca_file);
    let expected_statuses = statuses(checker, &format!("{at}.expected_statuses"), raw.expected_statuses);
    let timeout = checker.duration(&format!("{at}.timeout"), raw.timeout, &TIMEOUT);
    let (url, origin) = url?;
    if url.scheme() == "http" && bearer_token_file.is_some() && !is_loopback(&url) {
        let message = "would send the token of bearer_token_file in the clear; use https://, or an address of this \
                       host";
        checker.refuse(&origin, format!("{at}.url"), message);
    }
    Some(HookRequest { method, url, bearer_token_file, ca_file, expected_statuses, timeout })
}

fn statuses(checker: &mut Checker<'_>, key: &str, value: Option<Value>) -> Option<Vec<u16>> {
    let value = value?;
    match value.kind {
        Kind::List(list) if !list.is_empty() => {
            let status =
                |(index, item)| checker.count(&format!("{key}[{index}]"), Some(item), 200..=599, 204);
            Some(list.into_iter().enumerate().map(status).collect())
        }
        Kind::List(_) | Kind::Text(_) | Kind::Integer(_) | Kind::Boolean(_) | Kind::Other => {
            checker.refuse(&value.origin, key, "must be a list of statuses, such as [200, 204]");
            None
        }
    }
}

fn signal(checker: &mut Checker<'_>, at: &str, raw: raw::Reload) -> Option<Hook> {
    const SIGNALS: [(&str, ReloadSignal); 4] = [
        ("HUP", ReloadSignal::Hup),
        ("USR1", ReloadSignal::Usr1),
        ("USR2", ReloadSignal::Usr2),
        ("TERM", ReloadSignal::Term),
    ];
    let signal = checker.choice(&format!("{at}.signal"), raw.signal, &SIGNALS, ReloadSignal::Hup);
    let from_file = raw.pid_file.is_some();
    let path: Option<PathBuf> = checker.file(&format!("{at}.pid_file"), raw.pid_file);
    let key = format!("{at}.process");
    let name = checker.text(&key, raw.process).map(|(name, origin)| {
        if name.contains('/') {
            let message = "is the name of a process and no path; write \"nginx\" for /usr/sbin/nginx";
            checker.refuse(&origin, key, message);
        }
        name
    });
    let target = if from_file { Target::PidFile { path: path?, name } } else { Target::Named(name?) };
    Some(Hook::Signal { target, signal })
}

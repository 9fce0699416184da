//! The rules of the architecture: which room may name which, what the domain may not touch, and where a
//! secret may be exposed.

use crate::paths::{OURS, Path, paths};
use crate::tokens::{Kind, Token, attribute_end, closing, starts, tokens};

/// Every room, and the other rooms that it may name. A room may always name itself.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    // The map of the crate: it declares the rooms and names nothing in them.
    ("lib", &[]),
    (
        "cli",
        &["daemon", "config", "domain", "system", "sandbox", "vault", "store", "publish", "alert", "observe"],
    ),
    ("daemon", &["vault", "store", "publish", "alert", "reload", "observe", "domain", "config", "system"]),
    ("vault", ADAPTER),
    ("store", ADAPTER),
    ("publish", ADAPTER),
    ("alert", ADAPTER),
    ("reload", ADAPTER),
    ("observe", ADAPTER),
    ("config", &["domain"]),
    ("domain", &[]),
    ("system", &[]),
    ("sandbox", &[]),
];

const ADAPTER: &[&str] = &["domain", "config", "system"];

/// Rooms whose own tests may use the sandbox too. Apart from that, and from exposing secrets, tests in `src`
/// follow the rules of their room; tests of the domain are as pure as the domain.
const TESTED_WITH_SANDBOX: &[&str] =
    &["daemon", "vault", "store", "publish", "alert", "reload", "observe", "config"];

/// Files, and directories with a final `/`, that may expose a secret.
const EXPOSING: &[&str] = &[
    "src/domain/secret.rs",
    "src/domain/credentials.rs",
    "src/vault/",
    "src/store/",
    "src/publish/",
    "src/alert/",
    "src/reload/",
];

const IMPURE_STD: &[&str] = &["fs", "env", "process", "thread", "*"];
const IMPURE_CRATES: &[&str] = &["tokio", "reqwest", "hyper", "tracing", "rustix", "rand", "getrandom"];
const IMPURE_NAMES: &[&str] = &["SystemRandom", "getrandom"];
const IMPURE_MACROS: &[&str] = &["println", "print", "eprintln", "eprint", "dbg"];

const LONGEST_FILE: usize = 500;

/// What is wrong with the file at `path` (`src/domain/engine.rs`), one line each.
pub(crate) fn violations(path: &str, text: &str) -> Vec<String> {
    let file = File::new(path);
    let tokens = tokens(text);
    let (code, tests) = tokens.split_at(if file.is_test { 0 } else { start_of_tests(&tokens) });

    let mut found = shape(text);
    found.extend(file.arrows(code, file.allowed.to_vec()));
    let mut allowed = file.allowed.to_vec();
    if TESTED_WITH_SANDBOX.contains(&file.room) {
        allowed.push("sandbox");
    }
    found.extend(file.arrows(tests, allowed));
    found.extend(hidden_modules(&tokens));
    if file.room == "domain" {
        found.extend(impurities(&tokens));
    }
    if !EXPOSING.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place))) {
        found.extend(exposures(code));
    }
    // A tree of imports can break one rule many times.
    found.dedup();
    found.into_iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect()
}

type Violation = (usize, String);

struct File<'a> {
    room: &'a str,
    allowed: &'static [&'static str],
    module: Vec<String>,
    is_test: bool,
}

impl<'a> File<'a> {
    fn new(path: &'a str) -> Self {
        let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
        // `http_tests.rs` is the module `tests` of `http.rs`, as is `http/tests.rs`.
        let inner = inner.strip_suffix("_tests").map_or(inner.to_owned(), |tested| format!("{tested}/tests"));
        let room = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        let is_root = matches!(inner.as_str(), "main" | "lib");
        let module = inner.split('/').filter(|segment| !is_root && *segment != "mod").map(str::to_owned);
        Self {
            room,
            allowed: allowed(room).unwrap_or_default(),
            module: module.collect(),
            is_test: inner.split('/').any(|segment| segment == "tests"),
        }
    }

    fn arrows(&self, tokens: &[Token], allowed: Vec<&str>) -> Vec<Violation> {
        let is_root = self.module.is_empty();
        let mut found = Vec::new();
        if self::allowed(self.room).is_none() {
            found.push((1, format!("`{}` is not a room of the architecture", self.room)));
        }
        for Path { segments, line } in paths(tokens, &self.module) {
            let segments: Vec<_> = segments.iter().map(String::as_str).collect();
            let target = match segments.as_slice() {
                [OURS] | [OURS, "*"] => {
                    found.push((line, "names the root of the crate, which hides what is used of it".into()));
                    continue;
                }
                [OURS, room, ..] => room,
                // In the root itself, a room's bare name is a path too.
                [room, _, ..] if is_root && self::allowed(room).is_some() => room,
                _ => continue,
            };
            if self::allowed(target).is_none() {
                found.push((line, format!("`{target}` is not a room of the architecture")));
            } else if *target != self.room && !allowed.contains(target) {
                found.push((line, format!("{} may not name {target}", self.room)));
            }
        }
        found
    }
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

fn shape(text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if !text.starts_with("//! ") {
        found.push((1, "does not say in a first `//!` line why it exists".into()));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push((lines, format!("has {lines} lines, more than {LONGEST_FILE}: split it along a seam")));
    }
    found
}

/// `include!`, and a `#[path]` to another directory, bring in source that the rooms do not show.
fn hidden_modules(tokens: &[Token]) -> Vec<Violation> {
    matching(tokens, |at| {
        let leaves = || tokens.get(at + 4).is_none_or(|file| file.text.contains('/'));
        (starts(tokens, at, &["include", "!"]) || starts(tokens, at, &["#", "[", "path", "="]) && leaves())
            .then(|| "brings in source from elsewhere".to_owned())
    })
}

fn impurities(tokens: &[Token]) -> Vec<Violation> {
    let impure = |what: &str| format!("the domain is pure: no `{what}`");
    let mut found = matching(tokens, |at| {
        let token = tokens.get(at)?;
        if starts(tokens, at, &["::", "now"]) {
            // Under whatever name the clock was imported.
            Some(impure("::now"))
        } else if starts(tokens, at, &[".", "elapsed", "(", ")"]) {
            Some(impure(".elapsed()"))
        } else if IMPURE_MACROS.contains(&token.text.as_str()) && starts(tokens, at + 1, &["!"]) {
            Some(impure(&format!("{}!", token.text)))
        } else if token.kind == Kind::Word && IMPURE_NAMES.contains(&token.text.as_str()) {
            Some(impure(&token.text))
        } else if starts(tokens, at, &["use"]) || starts(tokens, at, &["crate"]) {
            // `use tokio;` and `extern crate tokio;`
            tokens.get(at + 1).filter(|name| is_impure_crate(&name.text)).map(|name| impure(&name.text))
        } else {
            None
        }
    });
    for Path { segments, line } in paths(tokens, &[]) {
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["std"] => found.push((line, impure("std as a whole"))),
            ["std", "net", ..] => found.push((line, impure("std::net") + "; addresses are in `core::net`")),
            ["std", part, ..] if IMPURE_STD.contains(part) => {
                found.push((line, impure(&format!("std::{part}"))))
            }
            [name, _, ..] if is_impure_crate(name) => found.push((line, impure(name))),
            _ => {}
        }
    }
    found
}

/// `tokio`, and `tokio_util` with it.
fn is_impure_crate(name: &str) -> bool {
    IMPURE_CRATES
        .iter()
        .any(|impure| name.strip_prefix(impure).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

fn exposures(tokens: &[Token]) -> Vec<Violation> {
    matching(tokens, |at| {
        (starts(tokens, at, &[".", "expose", "("]) || starts(tokens, at, &["::", "expose"]))
            .then(|| "exposes a secret outside the places that may".to_owned())
    })
}

fn matching(tokens: &[Token], rule: impl Fn(usize) -> Option<String>) -> Vec<Violation> {
    let lines = tokens.iter().enumerate().map(|(at, token)| (at, token.line));
    lines.filter_map(|(at, line)| rule(at).map(|what| (line, what))).collect()
}

/// Where the `#[cfg(test)] mod tests { … }` that ends the file begins, or the end where there is none.
fn start_of_tests(tokens: &[Token]) -> usize {
    (0..tokens.len()).find(|start| ends_in_tests(tokens, *start)).unwrap_or(tokens.len())
}

fn ends_in_tests(tokens: &[Token], start: usize) -> bool {
    let mut at = start;
    let mut for_tests = false;
    while let Some(end) = attribute_end(tokens, at) {
        let attribute = tokens.get(at..end).unwrap_or_default();
        let says = |name: &str| attribute.iter().any(|token| token.is(name));
        // `cfg(any(test, …))` and `cfg(not(test))` are in the product too.
        for_tests |=
            starts(tokens, at, &["#", "[", "cfg", "("]) && says("test") && !says("any") && !says("not");
        at = end + 1;
    }
    for_tests
        && starts(tokens, at, &["mod", "tests", "{"])
        && closing(tokens, at + 2).is_some_and(|end| end + 1 == tokens.len())
}

//! Finds every path in a file, in `use` trees and anywhere else, and resolves `crate`, `self` and `super`.

use crate::tokens::{Kind, Token, starts};

/// The first segment of every path into this crate, whichever way it was written.
pub(crate) const OURS: &str = "crate";

/// Keywords that a path with a leading `::` may follow, and that are no part of it.
const KEYWORDS: &[&str] = &[
    "as", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut", "pub",
    "return", "use", "where", "while",
];

/// A path as written, except that paths into this crate are absolute and start with [`OURS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// Every path in `tokens`, which stand in the module `module` (`["domain", "engine"]`).
/// A single name counts as a path; a glob ends in `*`.
pub(crate) fn paths(tokens: &[Token], module: &[String]) -> Vec<Path> {
    let mut walk = Walk { tokens, module: module.to_vec(), inline: Vec::new(), depth: 0, found: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at = walk.step(at);
    }
    walk.found
}

struct Walk<'a> {
    tokens: &'a [Token],
    module: Vec<String>,
    /// The depths of braces at which the inline modules around this place were opened.
    inline: Vec<usize>,
    depth: usize,
    found: Vec<Path>,
}

impl Walk<'_> {
    /// Looks at the token at `at` and returns the index of the next one to look at.
    fn step(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else {
            return at + 1;
        };
        if let Some(end) = self.visibility(at) {
            return end;
        }
        if token.is("mod") && starts(self.tokens, at + 2, &["{"]) {
            self.module.extend(self.tokens.get(at + 1).map(|name| name.text.clone()));
            self.inline.push(self.depth);
            self.depth += 1;
            return at + 3;
        }
        if token.is("{") {
            self.depth += 1;
        } else if token.is("}") {
            self.depth = self.depth.saturating_sub(1);
            if self.inline.last() == Some(&self.depth) {
                self.inline.pop();
                self.module.pop();
            }
        } else if token.kind == Kind::Word && !self.is_member(at) {
            return self.start(at);
        }
        at + 1
    }

    /// `pub(crate)` and its like name an ancestor, and import nothing.
    fn visibility(&self, at: usize) -> Option<usize> {
        if !starts(self.tokens, at, &["pub", "("]) {
            return None;
        }
        let plain = ["crate", "self", "super"].iter().any(|name| starts(self.tokens, at + 2, &[name, ")"]));
        (plain || starts(self.tokens, at + 2, &["in"]))
            .then(|| crate::tokens::closing(self.tokens, at + 1))
            .flatten()
    }

    /// A field or a method: after one dot, but not after the two of a range or of a struct's rest.
    fn is_member(&self, at: usize) -> bool {
        let dot = |back: usize| at.checked_sub(back).is_some_and(|at| starts(self.tokens, at, &["."]));
        dot(1) && !dot(2)
    }

    fn start(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else {
            return at + 1;
        };
        let mut base = vec![OURS.to_owned()];
        match token.text.as_str() {
            "crate" | "bc_secrets_sync" => {}
            keyword if KEYWORDS.contains(&keyword) => return at + 1,
            // The receiver of a method.
            "self" if !starts(self.tokens, at + 1, &["::"]) => return at + 1,
            "self" => base.extend(self.module.iter().cloned()),
            "super" => {
                base.extend(self.module.iter().cloned());
                base.pop();
            }
            name => base = vec![name.to_owned()],
        }
        self.follow(at + 1, base)
    }

    /// `base` was read up to `at`: goes on with the `::` there, or writes the path down.
    fn follow(&mut self, at: usize, base: Vec<String>) -> usize {
        let line = at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.line);
        match self.tokens.get(at + 1) {
            Some(next) if starts(self.tokens, at, &["::"]) && next.is("{") => self.group(at + 2, &base),
            Some(next) if starts(self.tokens, at, &["::"]) && (next.kind == Kind::Word || next.is("*")) => {
                let base = extended(base, &next.text);
                self.follow(at + 2, base)
            }
            _ => {
                self.found.push(Path { segments: base, line });
                at
            }
        }
    }

    /// The inside of `{…}` in a `use` tree, up to and with its closing brace.
    fn group(&mut self, mut at: usize, base: &[String]) -> usize {
        while let Some(token) = self.tokens.get(at) {
            if token.is("}") {
                return at + 1;
            } else if token.is("{") {
                at = self.group(at + 1, base);
            } else if token.is("as") {
                at += 2;
            } else if token.kind == Kind::Word || token.is("*") {
                at = self.follow(at + 1, extended(base.to_vec(), &token.text));
            } else {
                at += 1;
            }
        }
        at
    }
}

fn extended(mut base: Vec<String>, segment: &str) -> Vec<String> {
    match segment {
        "self" => {}
        "super" => {
            base.pop();
        }
        name => base.push(name.to_owned()),
    }
    base
}

#[cfg(test)]
fn found(source: &str) -> Vec<String> {
    let module = ["domain".to_owned(), "engine".to_owned()];
    let paths = paths(&crate::tokens::tokens(source), &module);
    paths.iter().map(|path| path.segments.join("::")).filter(|path| path.contains("::")).collect()
}

#[test]
fn every_way_to_write_a_path_is_resolved() {
    for (source, expected) in [
        ("use crate::store::Probe;", "crate::store::Probe"),
        ("let x = crate::store::probe();", "crate::store::probe"),
        ("let x = Y { ..crate::store::DEFAULT };", "crate::store::DEFAULT"),
        ("use super::super::store::Probe;", "crate::store::Probe"),
        ("use super::incident::Incident;", "crate::domain::incident::Incident"),
        ("use self::queue::Queue;", "crate::domain::engine::queue::Queue"),
        ("use bc_secrets_sync::cli;", "crate::cli"),
        ("use ::bc_secrets_sync::cli;", "crate::cli"),
        ("x! { $crate::store::probe() }", "crate::store::probe"),
        ("fn f(x: Vec<<crate::store::X as Y>::Z>) {}", "crate::store::X"),
        ("use crate::store::*;", "crate::store::*"),
        ("use super::super::*;", "crate::*"),
        ("fn f() { ::std::fs::read() }", "std::fs::read"),
        ("fn f() { return ::std::fs::read() }", "std::fs::read"),
    ] {
        assert!(found(source).iter().any(|path| path == expected), "{source}: {:?}", found(source));
    }
}

#[test]
fn trees_are_unfolded() {
    assert_eq!(
        found("use crate::{self as root, domain::{X, self, y::*}, store::Probe as P, vault};"),
        ["crate::domain::X", "crate::domain", "crate::domain::y::*", "crate::store::Probe", "crate::vault"]
    );
    assert_eq!(found("use super::{super::store::X, a};"), ["crate::store::X", "crate::domain::a"]);
    assert_eq!(found("use {crate::store::X, std::fs};"), ["crate::store::X", "std::fs"]);
}

#[test]
fn inline_modules_have_their_own_super() {
    let source = "mod a { use super::x; mod b { use super::super::super::super::store; } } use super::y;";
    assert_eq!(found(source), ["crate::domain::engine::x", "crate::store", "crate::domain::y"]);
}

#[test]
fn visibilities_and_receivers_are_no_paths() {
    let source = "pub(crate) fn f(&self) { self.x.crate_name } pub(in crate::store) struct X(pub(super) u8);";
    assert!(
        !paths(&crate::tokens::tokens(source), &[]).iter().any(|path| path.segments.contains(&OURS.into()))
    );
}

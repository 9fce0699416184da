//! Cuts Rust source into words, literals and marks, without its comments: just enough to find paths.

/// One piece of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// Counted from one.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, a keyword or a number.
    Word,
    /// A string literal, with its quotes.
    Text,
    /// `::`, or one character of punctuation.
    Mark,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// The tokens of `source`. Source that does not compile gives some tokens, never an error.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = measure(rest, first);
        let (piece, after) = rest.split_at(length);
        if let Some(kind) = kind {
            tokens.push(Token { kind, text: piece.to_owned(), line });
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    name_paths_in_attributes(&tokens)
}

/// Whether the texts of the tokens starting at `at` are `texts`.
pub(crate) fn starts(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    texts.iter().enumerate().all(|(offset, text)| tokens.get(at + offset).is_some_and(|token| token.is(text)))
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open).filter(|(_, token)| token.kind == Kind::Mark) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The index of the `]` of the attribute that starts at `at`, if one does.
pub(crate) fn attribute_end(tokens: &[Token], at: usize) -> Option<usize> {
    if starts(tokens, at, &["#", "["]) {
        closing(tokens, at + 1)
    } else if starts(tokens, at, &["#", "!", "["]) {
        closing(tokens, at + 2)
    } else {
        None
    }
}

/// Attributes such as `#[serde(with = "crate::room::module")]` name paths in strings: these strings, and no
/// others, are replaced by the tokens inside.
fn name_paths_in_attributes(tokens: &[Token]) -> Vec<Token> {
    let mut result = Vec::with_capacity(tokens.len());
    let mut end_of_attribute = 0;
    for (at, token) in tokens.iter().enumerate() {
        if at >= end_of_attribute {
            end_of_attribute = attribute_end(tokens, at).unwrap_or(end_of_attribute);
        }
        let content = token.text.trim_matches(['"', 'r', '#']);
        let is_path = content.contains("::") && content.chars().all(|c| is_word(c) || c == ':');
        if token.kind == Kind::Text && at < end_of_attribute && is_path {
            result.extend(self::tokens(content).into_iter().map(|inner| Token { line: token.line, ..inner }));
        } else {
            result.push(token.clone());
        }
    }
    result
}

/// The length in bytes of the piece that `rest` starts with, and its kind unless it is to be dropped.
fn measure(rest: &str, first: char) -> (usize, Option<Kind>) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), None)
    } else if rest.starts_with("/*") {
        (block_comment(rest), None)
    } else if let Some(length) = string(rest) {
        (length, Some(Kind::Text))
    } else if first == '\'' {
        (character_or_lifetime(rest), None)
    } else if is_word(first) {
        (word(rest), Some(Kind::Word))
    } else if rest.starts_with("::") {
        (2, Some(Kind::Mark))
    } else {
        (first.len_utf8(), (!first.is_whitespace()).then_some(Kind::Mark))
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a string literal with its prefix and quotes: `"…"`, `b"…"`, `c"…"`, `r#"…"#` and so on.
fn string(rest: &str) -> Option<usize> {
    let unprefixed = rest.trim_start_matches(['b', 'c']);
    let raw = unprefixed.starts_with('r');
    let fence = unprefixed.trim_start_matches('r');
    let hashes = if raw { fence.len() - fence.trim_start_matches('#').len() } else { 0 };
    let body = fence.get(hashes..)?.strip_prefix('"')?;
    let start = rest.len() - body.len();
    let end = format!("\"{}", "#".repeat(hashes));
    let mut at = 0;
    while let Some(here) = body.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with(&end) {
            return Some(start + at + end.len());
        }
        let escaped = !raw && here.starts_with('\\');
        at += here.chars().take(1 + usize::from(escaped)).map(char::len_utf8).sum::<usize>();
    }
    Some(rest.len())
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character_or_lifetime(rest: &str) -> usize {
    let body = rest.get(1..).unwrap_or_default();
    if body.starts_with('\\') {
        return body.get(2..).and_then(|after| after.find('\'')).map_or(rest.len(), |end| end + 4);
    }
    let first = body.chars().next().map_or(0, char::len_utf8);
    if body.get(first..).is_some_and(|after| after.starts_with('\'')) { first + 2 } else { 1 + word(body) }
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_are_dropped_and_lines_counted() {
    let source = "//! crate::store\n/* a /* b */ crate::vault */ x // y\n/// z\ny";
    let found: Vec<_> = tokens(source).into_iter().map(|token| (token.text, token.line)).collect();
    assert_eq!(found, [("x".to_owned(), 2), ("y".to_owned(), 4)]);
}

#[test]
fn strings_and_characters_hide_what_is_inside_them_and_nothing_after_them() {
    for literal in [
        r#""// \" crate::store""#,
        r##"r#"" crate::store // "#"##,
        r#"br"\""#,
        r#"b"\\""#,
        r"'\''",
        "'\"'",
        "'/'",
        r"'\u{2f}'",
        "b'\"'",
    ] {
        let found = tokens(&format!("x({literal}) y"));
        assert!(found.iter().any(|token| token.is("y")), "{literal}: {found:?}");
        assert!(!found.iter().any(|token| token.is("store")), "{literal}: {found:?}");
    }
}

#[test]
fn a_lifetime_is_not_a_character() {
    let found = tokens("fn f<'a>(x: &'a str, y: &'a crate::store::X)");
    assert!(starts(
        &found,
        found.iter().position(|token| token.is("crate")).unwrap(),
        &["crate", "::", "store"]
    ));
}

#[test]
fn a_path_in_the_string_of_an_attribute_is_source() {
    assert!(tokens(r#"#[serde(with = "crate::store::x")] a"#).iter().any(|token| token.is("store")));
    assert!(!tokens(r#"#[serde(rename = "store")] a"#).iter().any(|token| token.is("store")));
    assert!(!tokens(r#"#[a] b("crate::store::x")"#).iter().any(|token| token.is("store")));
}

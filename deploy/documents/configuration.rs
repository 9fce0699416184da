//! The manual page of the configuration, from the example that has every key.

use clap_mangen::roff::{Roff, bold, italic, roman};

/// How a line ends that shows no default.
const OPTIONAL: &str = "# (example)";
const INTRODUCTION: &str = "\
The configuration of bc-secrets-sync(1), by default /etc/bc-secrets-sync/config.toml, is TOML. Below is every key, with \
its default or an example.";

/// The page, from the text of the example.
pub(crate) fn page(example: &str) -> Vec<u8> {
    let mut roff = Roff::new();
    let version = concat!("bc-secrets-sync ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["bc-secrets-sync.toml", "5", "", version, "bc-secrets-sync"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("bc-secrets-sync.toml - the configuration of bc-secrets-sync")]);
    roff.control("SH", ["DESCRIPTION"]).text([roman(INTRODUCTION)]);
    let (rules, keys) = example.split_once("\n# ---").unwrap_or(("", example));
    for rule in rules.split("\n# - ").skip(1) {
        let lines: Vec<&str> = rule.lines().map(|line| line.trim_start_matches('#').trim()).collect();
        roff.control("IP", ["\\(bu", "2"]).text([roman(lines.join(" ").trim())]);
    }
    let mut page = Page { roff, text: Vec::new(), keys: Vec::new() };
    for line in keys.lines() {
        page.line(line);
    }
    page.end_paragraph();
    let mut roff = page.roff;
    roff.control("SH", ["EXAMPLE"]).text([roman("The least that must be there:")]).control("PP", []);
    roff.control("EX", []);
    for line in keys.lines().filter(|line| line.starts_with('[') || is_key(line)) {
        roff.text([roman(line)]);
    }
    roff.control("EE", []).control("SH", ["SEE ALSO"]).text([roman("bc-secrets-sync(1)")]);
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _written = roff.to_writer(&mut page);
    page
}

/// The page as far as it is written, and the paragraph that is being read.
struct Page<'a> {
    roff: Roff,
    text: Vec<&'a str>,
    keys: Vec<(&'a str, bool)>,
}

impl<'a> Page<'a> {
    fn line(&mut self, line: &'a str) {
        let (inside, is_commented) = match line.strip_prefix("# ") {
            Some(inside) => (inside, true),
            None => (line, false),
        };
        if line.is_empty() {
            self.end_paragraph();
        } else if inside.starts_with("---") || line.starts_with("---") {
            // The line below the title of a part; the one above it comes after an empty one.
            if let Some(title) = self.text.pop() {
                self.roff.control("SH", [title.to_uppercase().as_str()]);
            }
        } else if inside.starts_with('[') {
            self.end_keys();
            self.roff.control("SS", [inside]);
            let text = std::mem::take(&mut self.text);
            self.words(&text);
        } else if is_key(inside) {
            self.keys.push((inside, is_commented));
        } else {
            self.end_keys();
            self.text.push(inside);
        }
    }

    fn words(&mut self, text: &[&str]) {
        if !text.is_empty() {
            self.roff.text([roman(text.join(" "))]);
        }
    }

    /// The keys that the text before them is about, each with its value.
    fn end_keys(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        for (at, (line, is_commented)) in std::mem::take(&mut self.keys).into_iter().enumerate() {
            let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
            let (value, kind) = match value.strip_suffix(OPTIONAL) {
                Some(value) => (value.trim_end(), "example"),
                None if is_commented => (value, "default"),
                None => (value, "example"),
            };
            self.roff.control(if at == 0 { "TP" } else { "TQ" }, []);
            self.roff.text([bold(key), roman(format!(" = {value}   ")), italic(kind)]);
        }
        let text = std::mem::take(&mut self.text);
        self.words(&text);
    }

    fn end_paragraph(&mut self) {
        self.end_keys();
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.roff.control("PP", []);
            self.words(&text);
        }
    }
}

/// Whether a line sets a key.
pub(crate) fn is_key(line: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    line.split_once(" = ").is_some_and(|(name, _)| is_name(name))
}

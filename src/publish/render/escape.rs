//! How one value is written in a target's syntax, or why it cannot be.

use std::fmt::{self, Write};

use crate::config::Escape;

/// Why a value cannot be written. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The target cannot hold it; the reason, and what to do.
    Value(&'static str),
    /// The file would be longer than any that is made.
    TooLong,
}

impl From<fmt::Error> for Unfit {
    fn from(_: fmt::Error) -> Self {
        Self::TooLong
    }
}

/// Writes a value in a target's syntax.
pub(super) fn escaped(out: &mut dyn Write, value: &str, target: Escape) -> Result<(), Unfit> {
    match target {
        Escape::None => Ok(out.write_str(value)?),
        Escape::Json => quoted(out, value, Astral::Surrogates),
        Escape::Yaml => quoted(out, value, Astral::Whole),
        Escape::Properties => properties(out, value),
        Escape::Env => env(out, value),
        Escape::Shell => shell(out, value),
        Escape::Html => html(out, value),
    }
}

/// How a character beyond U+FFFF is escaped.
#[derive(Clone, Copy)]
enum Astral {
    /// As the two halves of UTF-16.
    Surrogates,
    /// By eight digits.
    Whole,
}

/// A string of JSON or YAML, in ASCII: YAML takes some other characters for line breaks.
fn quoted(out: &mut dyn Write, value: &str, astral: Astral) -> Result<(), Unfit> {
    out.write_char('"')?;
    for character in value.chars() {
        match character {
            '"' | '\\' => write!(out, "\\{character}")?,
            ' '..='~' => out.write_char(character)?,
            _ => escape_number(out, character, astral)?,
        }
    }
    Ok(out.write_char('"')?)
}

fn escape_number(out: &mut dyn Write, character: char, astral: Astral) -> fmt::Result {
    match astral {
        Astral::Whole if character > '\u{ffff}' => write!(out, "\\U{:08x}", u32::from(character)),
        Astral::Whole | Astral::Surrogates => {
            character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        }
    }
}

/// The value of a property, as `java.util.Properties.load` reads it, in whatever encoding.
fn properties(out: &mut dyn Write, value: &str) -> Result<(), Unfit> {
    for (at, character) in value.char_indices() {
        match character {
            '\\' => out.write_str("\\\\")?,
            // Space after the separator would be passed over.
            ' ' if at == 0 => out.write_str("\\ ")?,
            ' '..='~' => out.write_char(character)?,
            _ => escape_number(out, character, Astral::Surrogates)?,
        }
    }
    Ok(())
}

/// What needs no quotes for anybody: `sh`, systemd and python-dotenv take quotes off, `docker --env-file` does not.
fn env(out: &mut dyn Write, value: &str) -> Result<(), Unfit> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !value.bytes().all(plain) {
        return Err(Unfit::Value(
            "has a character other than letters, digits and - _ . / : @ % + = , and readers of such files do not \
             agree on how to write it; use the format json, yaml or properties, or the value's own file, or a \
             template with escape = \"shell\" for shells alone",
        ));
    }
    Ok(out.write_str(value)?)
}

/// One word of a shell, in single quotes: nothing in them means anything.
fn shell(out: &mut dyn Write, value: &str) -> Result<(), Unfit> {
    if value.contains('\0') {
        return Err(Unfit::Value("has a NUL character, which no shell can hold; use the format json"));
    }
    out.write_char('\'')?;
    for (at, part) in value.split('\'').enumerate() {
        if at > 0 {
            out.write_str("'\\''")?;
        }
        out.write_str(part)?;
    }
    Ok(out.write_char('\'')?)
}

/// Text and attributes, of XML too; what XML cannot hold at all is refused.
fn html(out: &mut dyn Write, value: &str) -> Result<(), Unfit> {
    for character in value.chars() {
        match character {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            // An attribute may be in quotes of either kind, and its line breaks become spaces.
            '"' | '\'' | '\t' | '\n' | '\r' => write!(out, "&#{};", u32::from(character))?,
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(Unfit::Value("has a control character, which HTML and XML cannot hold"));
            }
            _ => out.write_char(character)?,
        }
    }
    Ok(())
}

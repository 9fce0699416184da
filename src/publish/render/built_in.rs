//! The formats that the program knows.

use std::fmt::Write as _;

use super::buffer::Buffer;
use super::escape::{Unfit, escaped};
use super::{Refused, Values};
use crate::config::{BuiltIn, Escape};

/// The longest line that curl 7.84 reads of a `.netrc`, with its end.
const MAX_NETRC_LINE: usize = 4095;

const USERNAME: &str = "the Username";
const API_TOKEN: &str = "the API Token";
const API_PATH: &str = "the API Path";

/// Writes the values in a format.
pub(super) fn render(out: &mut Buffer, format: BuiltIn, values: &Values<'_>) -> Result<(), Refused> {
    match format {
        BuiltIn::Username => lines(out, Escape::None, &[Part::Value(USERNAME, values.username)]),
        BuiltIn::ApiToken => lines(out, Escape::None, &[Part::Value(API_TOKEN, values.api_token)]),
        BuiltIn::ApiPath => lines(out, Escape::None, &[Part::Value(API_PATH, values.api_path)]),
        BuiltIn::Json => {
            let keys = ["{\"username\":", ",\"api_token\":", ",\"api_path\":", "}\n"];
            three(out, Escape::Json, keys, values)
        }
        BuiltIn::Env => {
            let keys = ["BIGCOMMERCE_USERNAME=", "\nBIGCOMMERCE_API_TOKEN=", "\nBIGCOMMERCE_API_PATH=", "\n"];
            three(out, Escape::Env, keys, values)
        }
        BuiltIn::Properties => {
            three(out, Escape::Properties, ["username=", "\napi_token=", "\napi_path=", "\n"], values)
        }
        BuiltIn::Yaml => {
            three(out, Escape::Yaml, ["username: ", "\napi_token: ", "\napi_path: ", "\n"], values)
        }
        BuiltIn::Netrc => netrc(out, values),
        BuiltIn::SapOpenConnectors => sap_open_connectors(out, values),
    }
}

enum Part<'a> {
    Text(&'static str),
    Value(&'static str, &'a str),
}

fn lines(out: &mut Buffer, target: Escape, parts: &[Part<'_>]) -> Result<(), Refused> {
    for part in parts {
        match part {
            Part::Text(text) => out.write_str(text).map_err(|_| Refused::of("the file", Unfit::TooLong))?,
            Part::Value(what, value) => {
                escaped(out, value, target).map_err(|unfit| Refused::of(what, unfit))?;
            }
        }
    }
    Ok(())
}

fn three(
    out: &mut Buffer,
    target: Escape,
    [first, second, third, end]: [&'static str; 4],
    values: &Values<'_>,
) -> Result<(), Refused> {
    let parts = [
        Part::Text(first),
        Part::Value(USERNAME, values.username),
        Part::Text(second),
        Part::Value(API_TOKEN, values.api_token),
        Part::Text(third),
        Part::Value(API_PATH, values.api_path),
        Part::Text(end),
    ];
    lines(out, target, &parts)
}

/// One entry for the store's host, a word and its value a line: curl reads lines of a limited length.
///
/// Quotes around values are understood by curl since 7.84.0
/// (<https://everything.curl.dev/usingcurl/netrc>) and by Python's `netrc` since 3.11; common values need none.
fn netrc(out: &mut Buffer, values: &Values<'_>) -> Result<(), Refused> {
    let host = values.host;
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !host.bytes().all(named) || host.ends_with('.') {
        let reason = "names its host in a form that curl does not find in a .netrc: as an IPv6 address or with a dot at \
                      its end; write the API Path with the plain name";
        return Err(Refused::of(API_PATH, Unfit::Value(reason)));
    }
    for (word, what, value) in [
        ("machine ", API_PATH, host),
        ("login ", USERNAME, values.username),
        ("password ", API_TOKEN, values.api_token),
    ] {
        netrc_line(out, word, value).map_err(|unfit| Refused::of(what, unfit))?;
    }
    Ok(())
}

fn netrc_line(out: &mut Buffer, word: &str, value: &str) -> Result<(), Unfit> {
    if value.is_empty() || value.chars().any(char::is_control) {
        let reason = "is empty or has a line break or another control character, which a .netrc cannot hold; use the \
                      format json";
        return Err(Unfit::Value(reason));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,~".contains(&byte);
    let quoted = !value.bytes().all(plain);
    let escapes = value.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let length = word.len() + value.len() + if quoted { escapes + 2 } else { 0 } + 1;
    if length > MAX_NETRC_LINE {
        return Err(Unfit::Value("makes a line that is too long for curl to read; use the format json"));
    }
    out.write_str(word)?;
    if quoted {
        out.write_char('"')?;
        for character in value.chars() {
            if matches!(character, '"' | '\\') {
                out.write_char('\\')?;
            }
            out.write_char(character)?;
        }
        out.write_str("\"\n")?;
    } else {
        writeln!(out, "{value}")?;
    }
    Ok(())
}

/// The body of `POST /instances` that makes an instance of the BigCommerce connector, named and tagged after the
/// store.
///
/// Its keys are those of "Authenticate Through API" in the connector's documentation,
/// <https://help.openconnectors.ext.hana.ondemand.com/home/bigcommerce-authenticate> (formerly
/// <https://cloud-elements.github.io/docs/elements/bigcommerce/authenticate.html>). The example there writes the API
/// Path without the final slash, and so does this; whether the connector takes it with one is not documented.
fn sap_open_connectors(out: &mut Buffer, values: &Values<'_>) -> Result<(), Refused> {
    let store_url = values.api_path.strip_suffix('/').unwrap_or(values.api_path);
    let parts = [
        Part::Text("{\"element\":{\"key\":\"bigcommerce\"},\"configuration\":{\"username\":"),
        Part::Value(USERNAME, values.username),
        Part::Text(",\"password\":"),
        Part::Value(API_TOKEN, values.api_token),
        Part::Text(",\"store.url\":"),
        Part::Value(API_PATH, store_url),
        Part::Text("},\"tags\":["),
        Part::Value("the store's name", values.store),
        Part::Text("],\"name\":"),
        Part::Value("the store's name", values.store),
        Part::Text("}\n"),
    ];
    lines(out, Escape::Json, &parts)
}

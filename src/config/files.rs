//! Checks `[[output.files]]` and `[[stores.files]]`: which files a store's credentials are published in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::checker::Checker;
use super::raw;
use super::value::{Origin, Table, Value};

/// The longest name of a file: a link to it is prepared under a longer one.
const MAX_NAME_LENGTH: usize = 128;
/// How many files one store may have.
const MAX_FILES: usize = 32;
/// Says what is published, and is there whatever is configured.
const STAMP: &str = "generation.json";

/// The files of a store, or of all that have none of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The key that lists them, such as `stores[1].files`.
    pub at: String,
    /// At least one, no two with one name.
    pub list: Vec<OutputFile>,
}

impl Default for Files {
    /// The three values, each in a file of its own.
    fn default() -> Self {
        let file = |(name, format): (&str, BuiltIn)| OutputFile {
            name: name.to_owned(),
            format: Format::BuiltIn(format),
        };
        Self { at: "output.files".to_owned(), list: VALUES.map(file).into() }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// A single name; safe, and none that the layout of the directory needs.
    pub name: String,
    /// What is in it.
    pub format: Format,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One of the formats that the program knows.
    BuiltIn(BuiltIn),
    /// A template of the user's own.
    Template {
        /// The file with the template.
        file: PathBuf,
        /// How values are written in it.
        escape: Escape,
    },
}

/// A format that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// The Username alone.
    Username,
    /// The API Token alone.
    ApiToken,
    /// The API Path alone.
    ApiPath,
    /// A JSON object.
    Json,
    /// Assignments that shells and readers of `env_file` understand alike.
    Env,
    /// Java properties.
    Properties,
    /// A YAML mapping.
    Yaml,
    /// What curl reads with `--netrc-file`.
    Netrc,
    /// What SAP Open Connectors takes to make an instance of its BigCommerce connector.
    SapOpenConnectors,
}

/// How a template writes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As it is.
    None,
    /// As a JSON string, quotes included.
    Json,
    /// As a YAML string, quotes included.
    Yaml,
    /// As the value of a Java property.
    Properties,
    /// As it is, if shells and readers of `env_file` read the same.
    Env,
    /// As one word of a shell, quotes included.
    Shell,
    /// As text or an attribute's value in HTML and XML.
    Html,
}

/// The names that have one meaning: the daemon itself reads these files at a start.
const VALUES: [(&str, BuiltIn); 3] =
    [("username", BuiltIn::Username), ("api_token", BuiltIn::ApiToken), ("api_path", BuiltIn::ApiPath)];

const ESCAPES: [(&str, Escape); 7] = [
    ("none", Escape::None),
    ("json", Escape::Json),
    ("yaml", Escape::Yaml),
    ("properties", Escape::Properties),
    ("env", Escape::Env),
    ("shell", Escape::Shell),
    ("html", Escape::Html),
];

/// What a file's ending says of how values are written in it.
const ENDINGS: [(&str, Escape); 10] = [
    ("json", Escape::Json),
    ("js", Escape::Json),
    ("yaml", Escape::Yaml),
    ("yml", Escape::Yaml),
    ("properties", Escape::Properties),
    ("env", Escape::Env),
    ("sh", Escape::Shell),
    ("html", Escape::Html),
    ("htm", Escape::Html),
    ("xml", Escape::Html),
];

/// What a format is called; none: a template.
const FORMATS: [(&str, Option<BuiltIn>); 10] = [
    ("username", Some(BuiltIn::Username)),
    ("api_token", Some(BuiltIn::ApiToken)),
    ("api_path", Some(BuiltIn::ApiPath)),
    ("json", Some(BuiltIn::Json)),
    ("env", Some(BuiltIn::Env)),
    ("properties", Some(BuiltIn::Properties)),
    ("yaml", Some(BuiltIn::Yaml)),
    ("netrc", Some(BuiltIn::Netrc)),
    ("sap_open_connectors", Some(BuiltIn::SapOpenConnectors)),
    ("template", None),
];

/// Checks one list of files.
pub(super) fn files(
    checker: &mut Checker<'_>,
    at: &str,
    table: Option<Range<usize>>,
    tables: Vec<Table<raw::File>>,
) -> Arc<Files> {
    let origin = table.map_or(Origin::Nowhere, Origin::File);
    if tables.is_empty() {
        checker.refuse(&origin, at, "is an empty list; leave the key out or name a file");
    }
    if tables.len() > MAX_FILES {
        checker.refuse(&origin, at, format!("has {} files; at most {MAX_FILES} are allowed", tables.len()));
    }
    let mut seen = BTreeMap::new();
    let mut list = Vec::new();
    for (index, file) in tables.into_iter().enumerate() {
        list.extend(self::file(checker, &format!("{at}[{index}]"), file, &mut seen));
    }
    Arc::new(Files { at: at.to_owned(), list })
}

fn file(
    checker: &mut Checker<'_>,
    at: &str,
    table: Table<raw::File>,
    seen: &mut BTreeMap<String, Origin>,
) -> Option<OutputFile> {
    let Table { content: raw, span } = table;
    let name = name(checker, &format!("{at}.name"), span.clone(), raw.name, seen);
    let key = format!("{at}.format");
    let Some(value) = raw.format else {
        checker.missing(Some(span), &key, "write format = \"json\", or another format");
        return None;
    };
    let origin = value.origin.clone();
    let Some(format) = checker.choice(&key, Some(value), &FORMATS, Some(BuiltIn::Json)) else {
        let format =
            template(checker, at, span, name.as_deref().unwrap_or_default(), raw.template, raw.escape);
        return own_name(checker, &origin, key, name?, format?);
    };
    for (key, value) in [("template", raw.template), ("escape", raw.escape)] {
        if let Some(value) = value {
            let message = "belongs to format = \"template\", and does nothing here; take it out";
            checker.refuse(&value.origin, format!("{at}.{key}"), message);
        }
    }
    own_name(checker, &origin, key, name?, Format::BuiltIn(format))
}

/// A file, unless its name is that of a value and its content is not.
fn own_name(
    checker: &mut Checker<'_>,
    origin: &Origin,
    key: String,
    name: String,
    format: Format,
) -> Option<OutputFile> {
    match VALUES.iter().find(|(reserved, _)| name.eq_ignore_ascii_case(reserved)) {
        Some((reserved, own)) if name != *reserved || format != Format::BuiltIn(*own) => {
            let message = format!(
                "the file {reserved} holds this value alone, for the daemon too; write name and format = \
                 \"{reserved}\", or another name"
            );
            checker.refuse(origin, key, message);
            None
        }
        Some(_) | None => Some(OutputFile { name, format }),
    }
}

fn name(
    checker: &mut Checker<'_>,
    key: &str,
    table: Range<usize>,
    value: Option<Value>,
    seen: &mut BTreeMap<String, Origin>,
) -> Option<String> {
    if value.is_none() {
        checker.missing(Some(table), key, "write name = \"credentials.json\", which apps open");
    }
    let (name, origin) = checker.text(key, value)?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let problem = if name.len() > MAX_NAME_LENGTH {
        format!("has {} characters; use at most {MAX_NAME_LENGTH}", name.len())
    } else if !name.bytes().all(safe) || name.starts_with('-') {
        "is no safe file name; use letters, digits, '-', '_' and '.', not beginning with '-'".to_owned()
    } else if name == "." || name.starts_with("..") {
        "must not be '.' or begin with '..': such names belong to the layout of the directory".to_owned()
    } else if name.eq_ignore_ascii_case(STAMP) {
        format!("{STAMP} is there always and says what is published; use another name")
    } else if let Some(first) = seen.get(&name.to_ascii_lowercase()) {
        let first = checker.on_line(first);
        format!("is already the name of the file{first}; upper and lower case count as the same")
    } else {
        seen.insert(name.to_ascii_lowercase(), origin);
        return Some(name);
    };
    checker.refuse(&origin, key, problem);
    None
}

fn template(
    checker: &mut Checker<'_>,
    at: &str,
    table: Range<usize>,
    name: &str,
    file: Option<Value>,
    escape: Option<Value>,
) -> Option<Format> {
    let key = format!("{at}.template");
    if file.is_none() {
        checker.missing(Some(table.clone()), &key, "write template = \"/etc/bc-secrets-sync/app.conf.j2\"");
    }
    let file = checker.file(&key, file);
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let target = ENDINGS.iter().find(|(known, _)| ending == Some(known));
    let key = format!("{at}.escape");
    if escape.is_none() && target.is_none() && !name.is_empty() {
        let words: Vec<String> = ESCAPES.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let advice = format!(
            "the name does not tell how values are written in this file; write one of {}",
            words.join(", ")
        );
        checker.missing(Some(table), &key, &advice);
    }
    let default = target.map_or(Escape::None, |(_, escape)| *escape);
    let escape = checker.choice(&key, escape, &ESCAPES, default);
    Some(Format::Template { file: file?, escape })
}

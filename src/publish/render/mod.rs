//! Rendering: a store's credentials in the formats that apps read. Pure: what goes in is all that it depends on.

mod buffer;
mod built_in;
mod escape;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use self::buffer::{Buffer, MAX_LENGTH};
use self::escape::Unfit;
use self::template::Template;
use crate::config::{BuiltIn, Escape, Files, Format};
use crate::domain::credentials::{Credentials, StoreName};
use crate::domain::secret::{Fingerprint, FingerprintKey};

/// What a file can be made of.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    store: &'a str,
    username: &'a str,
    api_token: &'a str,
    api_path: &'a str,
    host: &'a str,
}

/// Why a file cannot be made; never holds a value.
#[derive(Debug)]
struct Refused {
    reason: String,
}

impl Refused {
    fn of(what: &str, unfit: Unfit) -> Self {
        let reason = match unfit {
            Unfit::Value(reason) => format!("{what} {reason}"),
            Unfit::TooLong => format!("it would be longer than {MAX_LENGTH} bytes"),
        };
        Self { reason }
    }
}

/// Why the files of a store cannot be made.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The file's name.
    pub(super) file: String,
    /// The reason, and what to do; never a value.
    pub(super) reason: String,
}

/// Makes the files of one list.
#[derive(Debug)]
pub(super) struct Renderer {
    /// By their names.
    files: Vec<(String, Form)>,
    /// They are the three values, each in a file of its own.
    usual: bool,
}

enum Form {
    BuiltIn(BuiltIn),
    Template(Box<Template>),
}

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(format) => write!(formatter, "{format:?}"),
            Self::Template(template) => write!(formatter, "{template:?}"),
        }
    }
}

/// The files of a store, made.
pub(super) struct Rendering<'a> {
    /// By their names.
    pub(super) files: Vec<Rendered<'a>>,
    /// Tells them from others; none: they are the three values.
    pub(super) fingerprint: Option<Fingerprint>,
}

/// One file, made.
pub(super) struct Rendered<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its content.
    pub(super) content: Zeroizing<String>,
}

impl Default for Renderer {
    /// For the three values.
    fn default() -> Self {
        let files = Files::default();
        let built_in = files.list.into_iter().filter_map(|file| match file.format {
            Format::BuiltIn(format) => Some((file.name, Form::BuiltIn(format))),
            Format::Template { .. } => None,
        });
        Self::of(built_in.collect(), true)
    }
}

impl Renderer {
    /// Compiles the templates of a list, whose texts `read` knows.
    ///
    /// # Errors
    /// The place in the list and what is wrong there, for each that is.
    pub(super) fn new(
        files: &Files,
        read: impl Fn(&std::path::Path) -> Result<String, String>,
    ) -> Result<Self, Vec<(usize, String)>> {
        let mut problems = Vec::new();
        let mut made = Vec::new();
        for (at, file) in files.list.iter().enumerate() {
            let form = match &file.format {
                Format::BuiltIn(format) => Ok(Form::BuiltIn(*format)),
                Format::Template { file, escape } => compile(file, *escape, &read),
            };
            match form {
                Ok(form) => made.push((file.name.clone(), form)),
                Err(problem) => problems.push((at, problem)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut listed: Vec<_> = files.list.iter().collect();
        let usual = Files::default();
        let mut usual: Vec<_> = usual.list.iter().collect();
        listed.sort_by_key(|file| &file.name);
        usual.sort_by_key(|file| &file.name);
        Ok(Self::of(made, listed == usual))
    }

    fn of(mut files: Vec<(String, Form)>, usual: bool) -> Self {
        files.sort_by(|one, other| one.0.cmp(&other.0));
        Self { files, usual }
    }

    /// Whether these are the three values, each in a file of its own.
    pub(super) const fn is_usual(&self) -> bool {
        self.usual
    }

    /// The names of the files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Makes the files of a store.
    ///
    /// # Errors
    /// A value cannot be written in a file's format.
    pub(super) fn render(
        &self,
        store: &StoreName,
        credentials: &Credentials,
        key: &FingerprintKey,
    ) -> Result<Rendering<'_>, Refusal> {
        let values = Values {
            store: store.as_str(),
            username: credentials.username().expose(),
            api_token: credentials.api_token().expose(),
            api_path: credentials.api_path().as_str(),
            host: credentials.api_path().host(),
        };
        let mut files = Vec::with_capacity(self.files.len());
        for (name, form) in &self.files {
            let content =
                form.render(&values).map_err(|Refused { reason }| Refusal { file: name.clone(), reason })?;
            files.push(Rendered { name, content });
        }
        let parts: Vec<&str> = files.iter().flat_map(|file| [file.name, file.content.as_str()]).collect();
        let fingerprint = (!self.usual).then(|| key.of(&parts));
        Ok(Rendering { files, fingerprint })
    }
}

impl Form {
    fn render(&self, values: &Values<'_>) -> Result<Zeroizing<String>, Refused> {
        let mut out = Buffer::new();
        match self {
            Self::BuiltIn(format) => built_in::render(&mut out, *format, values)?,
            Self::Template(template) => template.render(&mut out, values)?,
        }
        Ok(out.into_text())
    }
}

fn compile(
    file: &std::path::Path,
    escape: Escape,
    read: impl Fn(&std::path::Path) -> Result<String, String>,
) -> Result<Form, String> {
    let shown = file.display();
    let source = read(file).map_err(|problem| format!("{shown} {problem}"))?;
    Template::new(source, escape)
        .map(|template| Form::Template(Box::new(template)))
        .map_err(|problem| format!("{shown}: {problem}"))
}

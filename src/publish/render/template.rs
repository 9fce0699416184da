//! A template of the user's own.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use zeroize::Zeroizing;

use super::buffer::Buffer;
use super::escape::{Unfit, escaped};
use super::{Refused, Values};
use crate::config::Escape;

const NAME: &str = "template";
/// How many steps it may take, which are done in a few milliseconds; a long template takes hundreds.
const STEPS: u64 = 100_000;
/// What a template may name.
const NAMES: [&str; 6] = ["store", "username", "api_token", "api_path", "host", "basic"];
/// Stands for the values where there are none yet; every target can hold them.
const SAMPLE: Values<'static> = Values {
    store: "sample",
    username: "sample-user",
    api_token: "0123456789abcdef",
    api_path: "https://store-sample.mybigcommerce.com/api/v2/",
    host: "store-sample.mybigcommerce.com",
};

/// A template that can be rendered.
pub(super) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Compiles a template and renders it once with sample values.
    ///
    /// # Errors
    /// Says what is wrong with it, and in which line.
    pub(super) fn new(source: String, escape: Escape) -> Result<Self, String> {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(STEPS));
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|error| complaint(&error))?);
        // With it, what a template captures is known to be escaped already.
        environment.set_auto_escape_callback(|_| AutoEscape::Custom(NAME.into()));
        environment.set_formatter(move |out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value| {
            format(out, value, escape)
        });
        environment.add_template_owned(NAME, source).map_err(|error| complaint(&error))?;
        let template = Self { environment };
        template.check_names()?;
        template.render(&mut Buffer::new(), &SAMPLE).map_err(|refused| refused.reason)?;
        Ok(template)
    }

    /// Names in parts that the sample values do not reach are looked at too.
    fn check_names(&self) -> Result<(), String> {
        let template = self.environment.get_template(NAME).map_err(|error| complaint(&error))?;
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !NAMES.contains(&name.as_str()))
            .collect();
        unknown.sort();
        match unknown.first() {
            None => Ok(()),
            Some(name) => {
                Err(format!("it names '{name}', which does not exist; there are: {}", NAMES.join(", ")))
            }
        }
    }

    /// Writes the template with values in it.
    pub(super) fn render(&self, out: &mut Buffer, values: &Values<'_>) -> Result<(), Refused> {
        let refused = |error: &Error| Refused { reason: complaint(error) };
        let template = self.environment.get_template(NAME).map_err(|error| refused(&error))?;
        let context = Value::from_object(Names::new(values));
        template.render_captured_to(context, out).map(drop).map_err(|error| refused(&error))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Template")
    }
}

/// What is wrong, without anything that could be a value.
fn complaint(error: &Error) -> String {
    let line = error.line().map_or_else(|| "the template".to_owned(), |line| format!("line {line}"));
    match (error.kind(), error.detail()) {
        (ErrorKind::BadEscape, Some(reason)) => format!("{line}: the value {reason}"),
        (ErrorKind::OutOfFuel, _) => format!("{line}: it takes more than {STEPS} steps: loop less"),
        (ErrorKind::WriteFailure, _) => Refused::of(NAME, Unfit::TooLong).reason,
        // The parser names kinds of tokens, and names of statements and of filters, which are no values.
        (
            kind @ (ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction),
            Some(detail),
        ) => format!("{line}: {kind}: {detail}"),
        (kind, _) => format!("{line}: {kind}"),
    }
}

/// The names that a template may use.
#[derive(Debug)]
struct Names([(&'static str, Arc<Text>); 6]);

impl Names {
    fn new(values: &Values<'_>) -> Self {
        let text = |text: &str| Arc::new(Text(Zeroizing::new(text.to_owned())));
        let Values { store, username, api_token, api_path, host } = *values;
        Self([
            ("store", text(store)),
            ("username", text(username)),
            ("api_token", text(api_token)),
            ("api_path", text(api_path)),
            ("host", text(host)),
            ("basic", Arc::new(Text(basic(username, api_token)))),
        ])
    }
}

/// What an Authorization header of HTTP Basic says after its first word.
fn basic(username: &str, api_token: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(username.len() + 1 + api_token.len()));
    pair.push_str(username);
    pair.push(':');
    pair.push_str(api_token);
    let mut encoded = Zeroizing::new(String::with_capacity(pair.len().div_ceil(3) * 4));
    STANDARD.encode_string(pair.as_bytes(), &mut encoded);
    encoded
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let (_, text) = self.0.iter().find(|(name, _)| *name == key)?;
        Some(Value::from_dyn_object(Arc::clone(text)))
    }
}

/// A value that the engine hands on without copying it, and that is wiped.
struct Text(Zeroizing<String>);

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl Object for Text {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Writes what a template prints.
fn format(out: &mut Output<'_>, value: &Value, escape: Escape) -> Result<(), Error> {
    let written = if let Some(Text(text)) = value.downcast_object_ref::<Text>() {
        escaped(out, text, escape)
    } else if value.is_undefined() {
        // An `if` without an `else`.
        Ok(())
    } else {
        let text = Zeroizing::new(value.to_string());
        if value.is_safe() { out.write_str(&text).map_err(Unfit::from) } else { escaped(out, &text, escape) }
    };
    written.map_err(|unfit| match unfit {
        Unfit::Value(reason) => Error::new(ErrorKind::BadEscape, reason),
        Unfit::TooLong => Error::from(ErrorKind::WriteFailure),
    })
}

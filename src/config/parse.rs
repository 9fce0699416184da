//! From a file to a checked configuration.

use std::path::Path;

use super::checker::Checker;
use super::environment::Environment;
use super::error::{ConfigError, Place, Problem};
use super::{
    Config, channels, control, directories, discover, hardening, http, read, sections, stores, vault,
};

/// The largest configuration that is read, in bytes: some ten thousand stores.
pub const MAX_FILE_SIZE: u64 = 4 << 20;

impl Config {
    /// Reads and checks a file; what it leaves out is taken from the environment or is a default.
    ///
    /// # Errors
    /// Everything that is wrong, as far as the file can be read.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let (file, text) = text_of(path)?;
        Self::parse(&text, &file, environment)
    }

    /// Checks the text of a file. `file_name` is for the messages only.
    ///
    /// # Errors
    /// The first place that is no TOML or has an unknown key; or else everything that is wrong.
    pub fn parse(text: &str, file_name: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let mut raw = read::read(text, file_name)?;
        let mut checker = Checker::new(file_name, text, environment);
        let (vault, mount) = vault::vault(&mut checker, raw.vault);
        let check = sections::check(&mut checker, raw.check);
        let http = http::http(&mut checker, raw.http);
        let log = sections::log(&mut checker, raw.log);
        let hardening = hardening::hardening(&mut checker, raw.hardening);
        let alerts = channels::alerts(&mut checker, raw.alerts);
        let files = directories::default_files(&mut checker, &mut raw.output);
        let directories = directories::directories(&mut checker, raw.output, raw.state);
        let discover = discover::discover(&mut checker, raw.discover, &mount, &files);
        if raw.stores.is_empty() && discover.is_empty() {
            let advice = "add at least one store: [[stores]] with name and path, or [[discover]] with prefix";
            checker.missing(None, "stores", advice);
        }
        let stores = stores::stores(&mut checker, raw.stores, &mount, &files, directories.as_ref());
        let control = directories
            .as_ref()
            .map(|(output, state)| control::control(&mut checker, raw.control, output, state));
        ConfigError::unless_empty(checker.into_problems())?;
        match (vault, alerts, directories, control) {
            (Some(vault), Some(alerts), Some((output, state)), Some(control)) => Ok(Self {
                vault,
                check,
                output,
                files,
                state,
                http,
                control,
                hardening,
                log,
                alerts,
                stores,
                discover,
            }),
            // Not reached: a section that is not there has given its reason above.
            _ => Err(ConfigError::of_file(file_name, "it is incomplete".to_owned())),
        }
    }
}

/// The file's name, for messages, and its text.
pub(super) fn text_of(path: &Path) -> Result<(String, String), ConfigError> {
    let file = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        let advice = if error.kind() == std::io::ErrorKind::PermissionDenied {
            "run this as a user that may read it, such as the daemon's"
        } else {
            "write it, or say with --config where it is; config.example.toml has every key"
        };
        ConfigError::of_file(&file, format!("the configuration cannot be read: {error}; {advice}"))
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.len() > MAX_FILE_SIZE {
        let message = format!(
            "the configuration is larger than {MAX_FILE_SIZE} bytes; say with --config where the right one is, or divide it \
             among several daemons"
        );
        return Err(ConfigError::of_file(&file, message));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
        ConfigError::new(vec![Problem {
            place: Place::of_byte(&file, &before, valid),
            key: String::new(),
            message: "this is no UTF-8; save the file as UTF-8".to_owned(),
        }])
    })?;
    Ok((file, text))
}

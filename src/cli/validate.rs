//! `validate`: checks a configuration without any network.

use clap::Args;

use crate::config::{Config, ConfigError, Environment};
use crate::observe::check_certificate;

use super::output::{complain, finish};
use super::{ConfigFile, Exit};

#[derive(Args, Debug)]
pub(super) struct Validate {
    #[command(flatten)]
    file: ConfigFile,
}

impl Validate {
    pub(super) fn main(&self, environment: &Environment) -> Exit {
        match self.file.load(environment).and_then(|config| self.look_further(config)) {
            Ok((config, doubt)) => {
                let stores = config.stores.len();
                let more = if config.discover.is_empty() { "" } else { " and those that [[discover]] finds" };
                let doubt = doubt.map(|doubt| format!("note: {doubt}\n")).unwrap_or_default();
                let text = format!("{}: valid, {stores} stores{more}\n{doubt}", self.file.path().display());
                finish(&text, Exit::Good)
            }
            Err(error) => {
                complain(&error);
                Exit::Usage
            }
        }
    }

    fn look_further(&self, config: Config) -> Result<(Config, Option<String>), ConfigError> {
        let doubt = check_certificate(&config).map_err(|error| error.located(self.file.path()))?;
        config.check_hardening(self.file.path())?;
        Ok((config, doubt))
    }
}

//! `validate`: checks a configuration without any network.

use clap::Args;

use crate::config::Environment;
use crate::observe::check_certificate;

use super::output::{complain, print};
use super::{ConfigFile, Exit};

#[derive(Args, Debug)]
pub(super) struct Validate {
    #[command(flatten)]
    file: ConfigFile,
}

impl Validate {
    pub(super) fn main(&self, environment: &Environment) -> Exit {
        let loaded = self.file.load(environment);
        match loaded.and_then(|config| check_certificate(&config).map(|()| config)) {
            Ok(config) => {
                let stores = config.stores.len();
                let more = if config.discover.is_empty() { "" } else { " and those that [[discover]] finds" };
                print(&format!("{}: valid, {stores} stores{more}\n", self.file.path().display()));
                Exit::Good
            }
            Err(error) => {
                complain(&error);
                Exit::Usage
            }
        }
    }
}

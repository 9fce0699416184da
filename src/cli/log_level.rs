//! `log-level`: another level of the running daemon's log for a while.

use clap::{Args, ValueEnum};
use reqwest::Method;

use crate::config::Environment;
use crate::observe::{LevelBody, LevelSpan, LogLevel};

use super::Exit;
use super::client::{AskError, Daemon, wait};
use super::output::{complain, finish, in_words, plain};

const OTHERWISE: &str = "; set log.level in the configuration and reload it";

#[derive(Args, Debug)]
pub(super) struct LogLevelCommand {
    /// The least serious level that is written; left out, it is only shown
    #[arg(value_name = "LEVEL", value_enum)]
    level: Option<Wanted>,
    /// For how long: 1s to 1day
    #[arg(long = "for", value_name = "DURATION", value_parser = span, default_value = "10m")]
    span: LevelSpan,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Error,
    Warn,
    Info,
    /// What is begun, too: each read, check and publication
    Debug,
    Trace,
    /// What the configuration says, at once
    Reset,
}

fn span(text: &str) -> Result<LevelSpan, String> {
    let span = humantime::parse_duration(text).map_err(|_| "this is no duration, such as 10m".to_owned())?;
    LevelSpan::new(span).map_err(str::to_owned)
}

impl LogLevelCommand {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        match self.ask(environment) {
            Ok(LogLevel { level, configured, seconds_left }) => {
                let text = match seconds_left {
                    Some(seconds) => {
                        let left = in_words(std::time::Duration::from_secs(seconds));
                        format!("{level}, for another {left}; then {configured} again\n")
                    }
                    None => format!("{level}, as the configuration says\n"),
                };
                finish(&plain(&text), Exit::Good)
            }
            Err(error) => {
                complain(&error);
                error.exit()
            }
        }
    }

    fn ask(&self, environment: &Environment) -> Result<LogLevel, AskError> {
        let level = |level: &str| {
            let body = LevelBody { level: level.to_owned(), seconds: self.span.duration().as_secs() };
            // A struct of a text and a number is always JSON.
            (Method::PUT, serde_json::to_string(&body).ok())
        };
        let (method, body) = match self.level {
            None => (Method::GET, None),
            Some(Wanted::Reset) => (Method::DELETE, None),
            Some(Wanted::Error) => level("error"),
            Some(Wanted::Warn) => level("warn"),
            Some(Wanted::Info) => level("info"),
            Some(Wanted::Debug) => level("debug"),
            Some(Wanted::Trace) => level("trace"),
        };
        let line = self.daemon.by_socket(environment, OTHERWISE)?;
        wait(line.ask(method, &["v1", "log-level"], body))
    }
}

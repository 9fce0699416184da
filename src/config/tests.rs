//! What is accepted as a configuration, what is taken from the environment, and what is refused in which words.

use super::*;

mod accepted;
mod acknowledge;
mod channels;
mod control;
mod discover;
mod example;
mod files;
mod hooks;
mod http;
mod machine;
mod refused;
mod secrecy;
mod values;

/// The shortest configuration there is.
const LEAST: &str = r#"
[vault]
address = "https://vault.example:8200"
[vault.auth.token_file]
path = "/run/token"
[output]
directory = "/run/credentials"
[[stores]]
name = "one"
path = "stores/one"
"#;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Environment::new(move |name| {
        let found = variables.iter().find(|(known, _)| known == name)?;
        Some(found.1.clone().into())
    })
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "config.toml", &Environment::empty())
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(text, "config.toml", &environment(variables))
}

/// The shortest configuration with other lines in one of its tables, or with a table that it does not have.
fn with(table: &str, lines: &str) -> String {
    let header = if table == "stores" { "[[stores]]".to_owned() } else { format!("[{table}]") };
    if LEAST.contains(&header) {
        LEAST.replacen(&header, &format!("{header}\n{lines}"), 1)
    } else {
        format!("{LEAST}{header}\n{lines}\n")
    }
}

/// The shortest configuration without a way to log in.
fn without_login() -> String {
    LEAST.replace("[vault.auth.token_file]\npath = \"/run/token\"\n", "")
}

fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
    match parse_with(text, variables) {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(error) => error.to_string(),
    }
}

//! `completions`: writes the script by which a shell completes the command line.

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::{generate, shells};

use super::output::finish;
use super::{Arguments, Exit, NAME};

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell that will read it
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// The shells that complete the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// GNU Bash, 4 or newer.
    Bash,
    /// The Z shell.
    Zsh,
    /// The friendly interactive shell.
    Fish,
}

impl Completions {
    pub(super) fn main(&self) -> Exit {
        finish(&script(self.shell, &mut Arguments::command()), Exit::Good)
    }
}

/// The script by which a shell completes a command line of this program.
#[must_use]
pub fn script(shell: Shell, command: &mut Command) -> String {
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, command, NAME, &mut script),
        Shell::Zsh => generate(shells::Zsh, command, NAME, &mut script),
        Shell::Fish => generate(shells::Fish, command, NAME, &mut script),
    }
    let script = String::from_utf8_lossy(&script).into_owned();
    // A hyphen in the name of a program is written in two ways: <https://github.com/clap-rs/clap/issues/6421>.
    script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"))
}

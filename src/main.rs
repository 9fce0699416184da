//! The entry point: parse the arguments, call the subcommand, turn its result into an exit code.

use bc_secrets_sync::cli::{self, Exit};

fn main() -> Exit {
    cli::main()
}

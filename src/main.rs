//! The entry point: parse the arguments, call the subcommand, turn its result into an exit code.

fn main() {}

//! The manual pages and the completions of the shipped binary: what is written, and where.

pub(crate) mod configuration;
mod pages;

use std::path::Path;
use std::{fs, io};

use bc_secrets_sync::cli::{Shell, product, script};

/// The example of the repository, which is the reference of the configuration.
const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Writes all manual pages and completions below a directory, as they lie below `/usr/share`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(share: &Path) -> io::Result<()> {
    let mut product = product().disable_help_subcommand(true);
    for (place, shell) in [
        ("bash-completion/completions/bc-secrets-sync", Shell::Bash),
        ("zsh/site-functions/_bc-secrets-sync", Shell::Zsh),
        ("fish/vendor_completions.d/bc-secrets-sync.fish", Shell::Fish),
    ] {
        put(&share.join(place), script(shell, &mut product.clone()).as_bytes())?;
    }
    product.build();
    let manual = share.join("man");
    put(&manual.join("man1/bc-secrets-sync.1"), &pages::page(&product))?;
    for command in product.get_subcommands() {
        let page = format!("man1/bc-secrets-sync-{}.1", command.get_name());
        put(&manual.join(page), &pages::page(command))?;
    }
    put(&manual.join("man5/bc-secrets-sync.toml.5"), &configuration::page(EXAMPLE))
}

fn put(file: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, content)
}

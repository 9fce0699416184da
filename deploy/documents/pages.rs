//! The manual page of a command, from what its help says.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// Below whatever a page says.
const FILES: &str = "/etc/bc-secrets-sync/config.toml";

/// The page of a command that has been built.
pub(crate) fn page(command: &Command) -> Vec<u8> {
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _written = write(command, &mut page);
    page
}

fn write(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let (has_commands, has_options) =
        (command.has_subcommands(), command.get_arguments().any(|it| !it.is_hide_set()));
    let version = format!("bc-secrets-sync {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(version).manual("bc-secrets-sync");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if has_options {
        man.render_options_section(page)?;
    }
    if has_commands {
        man.render_subcommands_section(page)?;
    }
    let mut roff = Roff::new();
    if let Some(text) = command.get_after_long_help() {
        sections(&text.to_string(), &mut roff);
    }
    if has_commands || command.get_arguments().any(|it| it.get_id() == "config") {
        roff.control("SH", ["FILES"]).control("TP", []).text([roman(FILES)]);
        roff.text([roman("The configuration, unless --config names another one.")]);
    }
    let other = if has_commands { "" } else { "bc-secrets-sync(1), " };
    roff.control("SH", ["SEE ALSO"]).text([roman(format!("{other}bc-secrets-sync.toml(5)"))]);
    roff.to_writer(page)
}

/// Headings, what is indented below them as it stands, and sentences.
fn sections(text: &str, roff: &mut Roff) {
    let mut is_example = false;
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if is_example && !is_indented {
            roff.control("EE", []);
            is_example = false;
        }
        match line.strip_suffix(':').filter(|_| !is_indented) {
            Some("Exit codes") => drop(roff.control("SH", ["EXIT STATUS"])),
            Some(heading) => drop(roff.control("SH", [heading.to_uppercase().as_str()])),
            None if is_indented => {
                if !is_example {
                    roff.control("EX", []);
                    is_example = true;
                }
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            None if line.is_empty() => {}
            None => drop(roff.control("PP", []).text([roman(line)])),
        }
    }
    if is_example {
        roff.control("EE", []);
    }
}

//! The manual pages and completions that packages install, and `completions`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../deploy/documents/mod.rs"]
mod documents;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const BASH: &str = "bash-completion/completions/bc-secrets-sync";
const ZSH: &str = "zsh/site-functions/_bc-secrets-sync";
const FISH: &str = "fish/vendor_completions.d/bc-secrets-sync.fish";

fn written() -> (TempDir, BTreeMap<String, String>) {
    let directory = tempfile::tempdir().unwrap();
    documents::write(directory.path()).unwrap();
    let mut files = BTreeMap::new();
    collect(directory.path(), directory.path(), &mut files);
    (directory, files)
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// What the shipped commands are, by the list in the help of the binary under test.
fn commands() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync")).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let first = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    let names = list.lines().filter_map(first).filter(|name| !name.is_empty());
    names.filter(|name| name != "demo" && name != "help").collect()
}

#[test]
fn every_command_and_the_configuration_have_a_page() {
    let (_directory, files) = written();
    let mut expected: Vec<String> =
        commands().iter().map(|name| format!("man/man1/bc-secrets-sync-{name}.1")).collect();
    assert!(expected.len() > 8, "{expected:?}");
    expected.extend([BASH, ZSH, FISH].map(str::to_owned));
    expected.extend(["man/man1/bc-secrets-sync.1", "man/man5/bc-secrets-sync.toml.5"].map(str::to_owned));
    expected.sort();
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_not_shipped_is_in_none_of_them() {
    let (_directory, files) = written();
    for (name, text) in files {
        for trial in ["demo", "sandbox"] {
            let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
            assert!(!words.any(|word| word == trial), "{name} tells of {trial}");
        }
    }
}

#[test]
fn pages_say_what_the_help_says() {
    let (_directory, files) = written();
    let run = &files["man/man1/bc-secrets-sync-run.1"];
    for part in [
        "bc\\-secrets\\-sync\\-run \\- Publish the credentials",
        "\\-\\-one\\-time",
        ".SH EXAMPLES",
        ".SH \"EXIT STATUS\"",
        "13  a store rejects its credentials",
        ".SH \"SEE ALSO\"",
    ] {
        assert!(run.contains(part), "{part} is not in\n{run}");
    }
}

#[test]
fn every_command_gives_examples_that_no_terminal_breaks() {
    let product = bc_secrets_sync::cli::product();
    let mut commands: Vec<&str> = product.get_subcommands().map(clap::Command::get_name).collect();
    // Not shipped, and the first that somebody may run.
    commands.extend(cfg!(feature = "demo").then_some("demo"));
    for command in commands {
        let mut binary = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"));
        let output = binary.args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, text) = help.split_once("\n\nExamples:\n  ").unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(text.contains(&format!("bc-secrets-sync {command}")), "{text}");
        assert!(text.contains("\n\nExit codes:\n   0  "), "{text}");
        assert_eq!(text.lines().find(|line| line.chars().count() > 78), None);
    }
}

#[test]
fn where_validate_is_advised_it_is_said_what_the_credentials_of_systemd_need() {
    let (_directory, files) = written();
    let page = &files["man/man1/bc-secrets-sync-validate.1"];
    let runbook = include_str!("../deploy/prometheus/runbook.md");
    let advice = runbook.split("\n\n").filter(|part| part.contains("`bc-secrets-sync validate"));
    let advice: Vec<_> = advice.map(str::to_owned).collect();
    assert_eq!(advice.len(), 2);
    for text in [vec![page.replace('\\', "")], advice].concat() {
        assert!(
            text.contains("%d/") && text.contains("CREDENTIALS_DIRECTORY=/etc/bc-secrets-sync"),
            "{text}"
        );
    }
}

#[test]
fn a_script_or_a_help_that_cannot_be_written_is_no_success() {
    for arguments in [&["completions", "bash"][..], &["--help"], &["--version"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"));
        let output = command.args(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{arguments:?}: {words}");
        assert!(words.contains("cannot write to standard output: No space left"), "{arguments:?}: {words}");
    }
}

#[test]
fn the_page_of_the_configuration_has_every_key_once_for_each_table() {
    let (_directory, files) = written();
    let page = &files["man/man5/bc-secrets-sync.toml.5"];
    let example = include_str!("../config.example.toml");
    let (mut tables, mut keys) = (0, 0);
    for line in example.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            assert!(
                page.contains(&format!(".SS \"{line}\"")) || page.contains(&format!(".SS {line}")),
                "{line}"
            );
            tables += 1;
        } else if documents::configuration::is_key(line) {
            let key = line.split(" = ").next().unwrap();
            assert!(page.contains(&format!("\\fB{key}\\fR = ")), "{key} is not in\n{page}");
            keys += 1;
        }
    }
    assert_eq!(page.matches("\n.SS ").count(), tables);
    assert_eq!(page.matches("\\fR = ").count(), keys);
    assert!(keys > 100, "{keys}");
    // Titles of parts, and no line that draws one.
    assert!(
        page.contains(".SH \"WHERE THE CREDENTIALS COME FROM\"") && !page.contains("\\-\\-\\-\\-"),
        "{page}"
    );
}

/// What bash offers for a line, by a script.
fn offers(script: &str, words: &[&str]) -> Vec<String> {
    let asked = r#"
        eval "$1"; shift
        complete -p bc-secrets-sync >/dev/null || exit 3
        function=$(complete -p bc-secrets-sync | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "$function" bc-secrets-sync "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}" || exit 4
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", asked, "bash", script, "bc-secrets-sync"]).args(words).stdin(Stdio::null());
    let output = bash.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{:?}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let (_directory, files) = written();
    let of_binary =
        Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync")).args(["completions", "bash"]).output().unwrap();
    assert!(of_binary.status.success());
    for script in [files[BASH].clone(), String::from_utf8(of_binary.stdout).unwrap()] {
        assert_eq!(offers(&script, &["unsil"]), ["unsilence"]);
        assert_eq!(offers(&script, &["run", "--one"]), ["--one-time"]);
        assert_eq!(offers(&script, &["status", "--output", ""]), ["table", "json"]);
        assert_eq!(offers(&script, &["completions", "z"]), ["zsh"]);
    }
}

/// What fish offers for a line, without the descriptions.
fn fish_offers(share: &Path, line: &str) -> Vec<String> {
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(share.join(FISH)).arg(line);
    let output = fish.env("HOME", share).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("fish: {error}; apt-get install fish"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{:?}: {errors}", output.status);
    let first = |line: &str| line.split('\t').next().map(str::to_owned);
    String::from_utf8(output.stdout).unwrap().lines().filter_map(first).collect()
}

#[test]
#[ignore = "runs fish: ./tests/run --real"]
fn real_shells_fish_completes_commands_options_and_values() {
    let (directory, _files) = written();
    assert_eq!(fish_offers(directory.path(), "bc-secrets-sync unsil"), ["unsilence"]);
    assert_eq!(fish_offers(directory.path(), "bc-secrets-sync run --one"), ["--one-time"]);
    assert_eq!(fish_offers(directory.path(), "bc-secrets-sync status --output "), ["json", "table"]);
}

#[test]
#[ignore = "runs zsh: ./tests/run --real"]
fn real_shells_zsh_completes_commands_options_and_values() {
    // It completes only for somebody at a terminal: one that zsh gives itself. What never appears is waited for in vain.
    let asked = r#"
        zmodload zsh/zpty
        zpty -b shell zsh -f -i
        zpty -w shell "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; echo it is; echo ready"
        zpty -r shell seen $'*it is*ready*it is*ready*'
        expect() { zpty -n -w shell "$1"$'\t'; zpty -r shell seen "*$2*"; zpty -n -w shell $'\x15' }
        expect 'bc-secrets-sync unsil' 'bc-secrets-sync unsilence '
        expect 'bc-secrets-sync run --one' 'bc-secrets-sync run --one-time '
        expect $'bc-secrets-sync status --output \t' 'json*For programs*table*For people'
        zpty -d shell
    "#;
    let (directory, _files) = written();
    let functions = directory.path().join(ZSH);
    let mut zsh = Command::new("timeout");
    zsh.args(["60", "zsh", "-f", "-c", asked, "zsh"]).arg(functions.parent().unwrap());
    let output = zsh.env("HOME", directory.path()).env("TERM", "dumb").stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("timeout: {error}; apt-get install coreutils"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{:?}: {errors}", output.status);
}

#[test]
fn the_other_shells_have_scripts_of_their_own() {
    let (_directory, files) = written();
    assert!(files[ZSH].starts_with("#compdef bc-secrets-sync\n"));
    assert!(files[FISH].contains("complete -c bc-secrets-sync "));
    for (shell, file) in [("zsh", ZSH), ("fish", FISH)] {
        let output = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"))
            .args(["completions", shell])
            .output()
            .unwrap();
        // Where the binary under test has more commands, its script has more lines.
        let first = |text: &str| text.lines().next().map(str::to_owned);
        assert_eq!(first(&String::from_utf8(output.stdout).unwrap()), first(&files[file]));
    }
}

#[test]
#[ignore = "needs groff, which `tests/run --real` installs"]
fn real_pages_are_without_a_warning() {
    let (directory, files) = written();
    for name in files.keys().filter(|name| name.starts_with("man/")) {
        let output = Command::new("groff")
            .args(["-mandoc", "-ww", "-z", "-Tutf8", "-k"])
            .arg(directory.path().join(name))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

//! What the long help of the commands ends with: examples, and what the exit code means.
//!
//! The manual pages are made of the same texts: a line that ends with a colon and has indented lines below it is
//! a heading there. No line is longer than 78 letters, so that a terminal breaks none.

/// One exit code in a line.
#[rustfmt::skip]
macro_rules! code {
    (0) => { "   0  all good\n" };
    (2) => { "   2  usage or configuration\n" };
    (10) => { "  10  Vault refuses the log-in\n" };
    (11) => { "  11  Vault is unavailable\n" };
    (12) => { "  12  a secret is missing or malformed\n" };
    (13) => { "  13  a store rejects its credentials\n" };
    (14) => { "  14  nobody could tell whether credentials work, or it was interrupted\n" };
    (15) => { "  15  publishing failed\n" };
    (16) => { "  16  an alert could not be delivered (alert-test)\n" };
    (17) => { "  17  no daemon answers (commands that ask one, such as status)\n" };
    (18) => { "  18  an app could not be told of what is published (run --one-time)\n" };
    (70) => { "  70  internal error, or trouble of the machine, such as a full disk\n" };
}

/// A heading and these exit codes.
macro_rules! codes {
    ($($code:tt)+) => { concat!("Exit codes:\n", $(code!($code)),+) };
}

pub(super) const ALL: &str = concat!(
    "\
Examples:
  bc-secrets-sync validate -c config.toml
      Is the configuration right? Without any network
  bc-secrets-sync check -c config.toml
      Do the credentials work? Reads and asks, and publishes nothing
  bc-secrets-sync run -c config.toml
      Publish them, and keep watching
  bc-secrets-sync status
      How is the daemon that runs here?
  bc-secrets-sync explain STORE
      What is the matter with a store, and what is to be done?

",
    codes!(0 2 10 11 12 13 14 15 16 17 18 70),
    "\nWith several stores, the most serious one: 70, 2, 15, 13, 12, 10, 11, 14, 18, 0.",
);

pub(super) const RUN: &str = concat!(
    "\
Examples:
  bc-secrets-sync run
      The daemon, with /etc/bc-secrets-sync/config.toml
  bc-secrets-sync run --one-time --no-reload --wait 2m
      An init container: publish, then end; give Vault two minutes to answer
  bc-secrets-sync run 2>&1 | jq .message
      The log is JSON where it is not read on a terminal ([log] format)

",
    codes!(0 2 10 11 12 13 14 15 18 70),
    "\nWithout --one-time it ends by itself with 2, 15 or 70 only.",
);

pub(super) const CHECK: &str = concat!(
    "\
Examples:
  bc-secrets-sync check
      Every store of /etc/bc-secrets-sync/config.toml, as a table
  bc-secrets-sync check -o json | jq -r '.stores[] | [.store, .result] | @tsv'
      For a program; the exit code tells the worst of it

",
    codes!(0 2 10 11 12 13 14 70),
    "\nWith several stores, the most serious one: 70, 13, 12, 10, 11, 14, 0.",
);

pub(super) const VALIDATE: &str = concat!(
    "\
Examples:
  bc-secrets-sync validate -c config.toml
      Before it is installed, or in a pipeline
  bc-secrets-sync validate && systemctl reload bc-secrets-sync
      Load it only if it is right; the daemon keeps the old one if it is not.
      Where it has %d/: CREDENTIALS_DIRECTORY=/etc/bc-secrets-sync in front

",
    codes!(0 2 70),
);

pub(super) const ALERT_TEST: &str = concat!(
    "\
Examples:
  bc-secrets-sync alert-test
      Every channel
  bc-secrets-sync alert-test --channel slack
      One of them

",
    codes!(0 2 16 70),
);

pub(super) const STATUS: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync status
      The daemon of this host, by its control socket
  bc-secrets-sync status --watch acme
      One store, asked again every two seconds
  bc-secrets-sync status --url http://127.0.0.1:9847 -o json | jq .stores
      By the HTTP listener, for a program

",
    codes!(0 2 17 70),
);

pub(super) const EXPLAIN: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync explain acme
      Why is it in this state, and what happens next?

",
    codes!(0 2 17 70),
);

pub(super) const INCIDENTS: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync incidents
      What is open, in a line each
  sudo bc-secrets-sync incidents acme:
      Those of the store acme, with evidence and what to do
  bc-secrets-sync incidents -o json --url http://127.0.0.1:9847
      For a program

",
    codes!(0 2 17 70),
);

pub(super) const SILENCE: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync silence acme:regenerated_or_revoked --for 2h
      Somebody is at it; `bc-secrets-sync incidents` lists the IDs

",
    codes!(0 2 17 70),
);

pub(super) const UNSILENCE: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync unsilence acme:regenerated_or_revoked
      The reminders go on at the time that they would have come

",
    codes!(0 2 17 70),
);

pub(super) const LOG_LEVEL: &str = concat!(
    "\
Examples:
  sudo bc-secrets-sync log-level debug
      See each read, check and publication for ten minutes
  sudo bc-secrets-sync log-level debug --for 1h
      For longer
  sudo bc-secrets-sync log-level reset
      Back at once

",
    codes!(0 2 17 70),
);

pub(super) const COMPLETIONS: &str = concat!(
    "\
Examples:
  source <(bc-secrets-sync completions bash)
      For this bash; in ~/.bashrc for all that follow
  bc-secrets-sync completions zsh >~/.zfunc/_bc-secrets-sync
      Where a directory of $fpath is ~/.zfunc
  bc-secrets-sync completions fish | source
      For this fish; in ~/.config/fish/config.fish for all that follow

",
    codes!(0 2 70),
);

#[cfg(feature = "demo")]
pub(super) const DEMO: &str = concat!(
    "\
Examples:
  bc-secrets-sync demo
      Tells the story, then stays up with a status page to look at
  bc-secrets-sync demo --exit
      Ends when it is told, for a pipeline
  bc-secrets-sync demo --listen 127.0.0.1:8080 --directory /tmp/demo
      The page at another address; the files where they are easy to find

",
    codes!(0 2 14 70),
);

//! A configuration of the daemon for tests: everything in one directory, and intervals of a second.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What the configuration file says. Tests change the fields; [`Configuration::write`] makes the file.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    home: PathBuf,
    pub(crate) vault: String,
    pub(crate) poll_interval: &'static str,
    pub(crate) check_interval: &'static str,
    pub(crate) check_timeout: &'static str,
    pub(crate) stale_after: &'static str,
    pub(crate) allow_private_addresses: bool,
    pub(crate) output: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) listen: String,
    pub(crate) log_level: &'static str,
    pub(crate) repeat_interval: &'static str,
    /// The receiver of webhooks; none: incidents are only logged.
    pub(crate) webhook: Option<String>,
    /// The stores' names; each has its secret at `stores/NAME`.
    pub(crate) stores: Vec<String>,
    /// What follows at the end of the file.
    pub(crate) more: String,
    /// The variables of the daemon's environment; there are no others.
    pub(crate) environment: Vec<(&'static str, String)>,
    edits: Vec<(String, String)>,
}

impl Configuration {
    /// A configuration without stores. The files that it names are in `home`, for others to write.
    pub(crate) fn new(home: &Path, vault: &str) -> Self {
        Self {
            home: home.to_owned(),
            vault: vault.to_owned(),
            poll_interval: "1s",
            check_interval: "1s",
            check_timeout: "5s",
            stale_after: "1h",
            allow_private_addresses: true,
            output: home.join("output"),
            state: home.join("state"),
            listen: "127.0.0.1:0".to_owned(),
            log_level: "info",
            repeat_interval: "1h",
            webhook: None,
            stores: Vec::new(),
            more: String::new(),
            environment: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// Replaces a part of the text, for what has no field here.
    pub(crate) fn edit(&mut self, part: &str, by: &str) {
        self.edits.push((part.to_owned(), by.to_owned()));
    }

    /// The directory that everything is in.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    pub(crate) fn role_id_file(&self) -> PathBuf {
        self.home.join("role-id")
    }

    pub(crate) fn secret_id_file(&self) -> PathBuf {
        self.home.join("secret-id")
    }

    pub(crate) fn store_authority_file(&self) -> PathBuf {
        self.home.join("store-ca.pem")
    }

    pub(crate) fn signing_secret_file(&self) -> PathBuf {
        self.home.join("signing-secret")
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            r#"[vault]
address = "{vault}"
poll_interval = "{poll}"
timeout = "5s"

[vault.auth.approle]
role_id_file = "{role_id}"
secret_id_file = "{secret_id}"

[check]
interval = "{interval}"
timeout = "{timeout}"
confirmations = 2
confirmation_spacing = "300ms"
stale_after = "{stale_after}"
allow_private_addresses = {private}
ca_file = "{authority}"

[output]
directory = "{output}"

[state]
directory = "{state}"

[http]
listen = "{listen}"

[log]
level = "{level}"

[alerts]
repeat_interval = "{repeat}"
"#,
            vault = self.vault,
            poll = self.poll_interval,
            role_id = self.role_id_file().display(),
            secret_id = self.secret_id_file().display(),
            interval = self.check_interval,
            timeout = self.check_timeout,
            stale_after = self.stale_after,
            private = self.allow_private_addresses,
            authority = self.store_authority_file().display(),
            output = self.output.display(),
            state = self.state.display(),
            listen = self.listen,
            level = self.log_level,
            repeat = self.repeat_interval,
        );
        if let Some(url) = &self.webhook {
            let secret = self.signing_secret_file();
            write!(
                text,
                "\n[alerts.webhook]\nurl = \"{url}\"\nsigning_secret_file = \"{}\"\n",
                secret.display()
            )
            .unwrap();
        }
        for name in &self.stores {
            write!(text, "\n[[stores]]\nname = \"{name}\"\npath = \"stores/{name}\"\n").unwrap();
        }
        text.push_str(&self.more);
        for (part, by) in &self.edits {
            assert!(text.contains(part), "{part} is not in {text}");
            text = text.replace(part, by);
        }
        text
    }

    /// Writes the file.
    pub(crate) fn write(&self) {
        self.write_text(&self.text());
    }

    /// Writes another text into the file; whoever reads it sees the old one or the new one.
    pub(crate) fn write_text(&self, text: &str) {
        let aside = self.home.join("config.toml.new");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, self.file()).unwrap();
    }
}

//! The channels beside the webhook: each has a secret of its own, and whoever takes its messages repeats them.

use std::path::PathBuf;

use crate::support::markers::Markers;
use crate::support::wait::wait_until;
use crate::support::webhook::Receiver;
use crate::support::world::World;

const SLACK: &str = "Canary-In-The-Address-Of-Slack-4f1a";
const ROUTING_KEY: &str = "CanaryRoutingKeyOfPagerDuty0d5e77";
const ACCOUNT: &str = "Canary-Token-Of-The-Service-Account-9b2c";

/// Who takes the messages.
pub(super) struct Channels {
    slack: Receiver,
    pagerduty: Receiver,
    alertmanager: Receiver,
    kubernetes: Receiver,
    home: PathBuf,
}

impl Channels {
    /// Adds them to the configuration. Nobody takes their messages at first.
    pub(super) fn add(world: &mut World, markers: &mut Markers) -> Self {
        for (name, secret) in
            [("Slack's address", SLACK), ("PagerDuty's key", ROUTING_KEY), ("the account's token", ACCOUNT)]
        {
            markers.add(name, secret);
        }
        let home = world.configuration.home().to_owned();
        let [slack, pagerduty, alertmanager, kubernetes] = std::array::from_fn(|_| Receiver::start());
        let channels = Self { slack, pagerduty, alertmanager, kubernetes, home };
        channels.refuse();
        let write = |name: &str, text: &str| std::fs::write(channels.home.join(name), text).unwrap();
        write("slack-url", &format!("{}/{SLACK}\n", channels.slack.url()));
        write("pagerduty-key", ROUTING_KEY);
        write("account-token", ACCOUNT);
        let home = channels.home.display();
        write(
            "tell",
            &format!(
                "{{ env; printf '%s\\n' \"$@\"; cat; }} | tee -a {home}/tell-saw >&2; test -e {home}/tell-takes"
            ),
        );
        world.configuration.more.push_str(&format!(
            r#"
[alerts.slack]
url_file = "{home}/slack-url"
[alerts.pagerduty]
url = "{pagerduty}"
routing_key_file = "{home}/pagerduty-key"
[alerts.alertmanager]
urls = ["{alertmanager}"]
resend_interval = "1s"
[alerts.kubernetes]
url = "{kubernetes}"
namespace = "shop"
token_file = "{home}/account-token"
regarding = {{ name = "shop-sync-0" }}
[alerts.command]
argv = ["/bin/sh", "{home}/tell", "an argument of the command"]
"#,
            pagerduty = channels.pagerduty.url(),
            alertmanager = channels.alertmanager.url(),
            kubernetes = channels.kubernetes.url(),
        ));
        channels
    }

    /// The files that are there to hold their secrets.
    pub(super) fn secret_files(&self) -> [PathBuf; 3] {
        ["slack-url", "pagerduty-key", "account-token"].map(|name| self.home.join(name))
    }

    fn receivers(&self) -> [(&Receiver, &'static str, Option<&'static str>); 4] {
        [
            (&self.slack, "Slack", Some("Slack's address")),
            (&self.pagerduty, "PagerDuty", Some("PagerDuty's key")),
            (&self.alertmanager, "Alertmanager", None),
            (&self.kubernetes, "Kubernetes", Some("the account's token")),
        ]
    }

    /// From now on all of them refuse, and say all about the request.
    pub(super) fn refuse(&self) {
        for (receiver, ..) in self.receivers() {
            receiver.echo(500);
        }
        // It is not there at first.
        let _gone = std::fs::remove_file(self.home.join("tell-takes"));
    }

    /// From now on all of them take their messages.
    pub(super) fn take(&self) {
        for (receiver, ..) in self.receivers() {
            receiver.answer(200);
        }
        std::fs::write(self.home.join("tell-takes"), "").unwrap();
    }

    pub(super) async fn wait_delivered(&self) {
        for (receiver, name, _) in self.receivers() {
            wait_until(&format!("{name} takes a message"), async || !receiver.messages().is_empty()).await;
        }
    }

    /// What each was sent, refused or not, holds its own secret where that belongs, and none beside.
    pub(super) fn were_told_no_secret(&self, markers: &Markers) {
        for (receiver, name, own) in self.receivers() {
            let deliveries = receiver.deliveries();
            assert!(deliveries.len() > receiver.messages().len(), "{name} refused nothing");
            let stores = deliveries.iter().any(|one| String::from_utf8_lossy(&one.body).contains("echo-401"));
            assert!(stores, "{name} was told of no store");
            for delivery in deliveries {
                let body = String::from_utf8_lossy(&delivery.body);
                let whole = format!("{} {:?} {body}", delivery.line, delivery.headers);
                let found = markers.found_in(whole.as_bytes());
                assert_eq!(found, own.into_iter().collect::<Vec<_>>(), "to {name}: {whole}");
            }
        }
        // The file is searched with everything else on the disk.
        let saw = std::fs::read_to_string(self.home.join("tell-saw")).unwrap();
        for part in ["BC_SECRETS_SYNC_STORE=echo-401", "an argument of the command", "incident.opened"] {
            assert!(saw.contains(part), "{part}: {saw}");
        }
    }
}

//! The shape of the file: which keys exist in which table. What they may hold is checked elsewhere.

use serde::Deserialize;

use super::value::{Table, Value};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    pub(super) vault: Option<Table<Vault>>,
    pub(super) check: Option<Table<Check>>,
    pub(super) output: Option<Table<Output>>,
    pub(super) state: Option<Table<State>>,
    pub(super) http: Option<Table<Http>>,
    pub(super) control: Option<Table<Control>>,
    pub(super) log: Option<Table<Log>>,
    pub(super) alerts: Option<Table<Alerts>>,
    pub(super) stores: Vec<Table<Store>>,
    pub(super) discover: Vec<Table<Discover>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Vault {
    pub(super) address: Option<Value>,
    pub(super) proxy: Option<Value>,
    pub(super) namespace: Option<Value>,
    pub(super) mount: Option<Value>,
    pub(super) kv_version: Option<Value>,
    pub(super) poll_interval: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) concurrency: Option<Value>,
    pub(super) revoke_token_on_exit: Option<Value>,
    pub(super) allow_plain_http: Option<Value>,
    pub(super) tls: Option<Table<Tls>>,
    pub(super) auth: Option<Table<Auth>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) ca_file: Option<Value>,
    pub(super) ca_directory: Option<Value>,
    pub(super) client_certificate_file: Option<Value>,
    pub(super) client_key_file: Option<Value>,
    pub(super) server_name: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Auth {
    pub(super) token_file: Option<Table<TokenFile>>,
    pub(super) approle: Option<Table<AppRole>>,
    pub(super) kubernetes: Option<Table<ServiceAccount>>,
    pub(super) jwt: Option<Table<Jwt>>,
    pub(super) cert: Option<Table<Cert>>,
    pub(super) userpass: Option<Table<Userpass>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokenFile {
    pub(super) path: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AppRole {
    pub(super) role_id_file: Option<Value>,
    pub(super) secret_id_file: Option<Value>,
    pub(super) secret_id_wrapping_path: Option<Value>,
    pub(super) mount: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServiceAccount {
    pub(super) role: Option<Value>,
    pub(super) token_file: Option<Value>,
    pub(super) mount: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Jwt {
    pub(super) role: Option<Value>,
    pub(super) token_file: Option<Value>,
    pub(super) mount: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cert {
    pub(super) role: Option<Value>,
    pub(super) mount: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Userpass {
    pub(super) username: Option<Value>,
    pub(super) password_file: Option<Value>,
    pub(super) mount: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Check {
    pub(super) interval: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) confirmations: Option<Value>,
    pub(super) confirmation_spacing: Option<Value>,
    pub(super) stale_after: Option<Value>,
    pub(super) certificate_warning: Option<Value>,
    pub(super) concurrency: Option<Value>,
    pub(super) allow_private_addresses: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) verify_before_publish: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Output {
    pub(super) directory: Option<Value>,
    pub(super) file_mode: Option<Value>,
    pub(super) directory_mode: Option<Value>,
    pub(super) owner: Option<Value>,
    pub(super) group: Option<Value>,
    pub(super) files: Option<Vec<Table<File>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) name: Option<Value>,
    pub(super) format: Option<Value>,
    pub(super) template: Option<Value>,
    pub(super) escape: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct State {
    pub(super) directory: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<Value>,
    pub(super) report_token_file: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    pub(super) socket: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Option<Value>,
    pub(super) format: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alerts {
    pub(super) repeat_interval: Option<Value>,
    pub(super) webhook: Option<Table<Webhook>>,
    pub(super) slack: Option<Table<Slack>>,
    pub(super) pagerduty: Option<Table<PagerDuty>>,
    pub(super) alertmanager: Option<Table<Alertmanager>>,
    pub(super) kubernetes: Option<Table<Kubernetes>>,
    pub(super) command: Option<Table<AlertCommand>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Webhook {
    pub(super) url: Option<Value>,
    pub(super) signing_secret_file: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Slack {
    pub(super) url_file: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PagerDuty {
    pub(super) routing_key_file: Option<Value>,
    pub(super) url: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alertmanager {
    pub(super) urls: Option<Value>,
    pub(super) resend_interval: Option<Value>,
    pub(super) instance: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kubernetes {
    pub(super) url: Option<Value>,
    pub(super) namespace: Option<Value>,
    pub(super) token_file: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
    pub(super) regarding: Option<Table<Regarding>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Regarding {
    pub(super) api_version: Option<Value>,
    pub(super) kind: Option<Value>,
    pub(super) name: Option<Value>,
    pub(super) uid: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertCommand {
    pub(super) argv: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) severity: Option<Value>,
    pub(super) stores: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) name: Option<Value>,
    pub(super) mount: Option<Value>,
    pub(super) path: Option<Value>,
    pub(super) fields: Option<Table<Fields>>,
    pub(super) version: Option<Value>,
    pub(super) kv_version: Option<Value>,
    pub(super) on_rejection: Option<Value>,
    pub(super) files: Option<Vec<Table<File>>>,
    pub(super) reload: Option<Table<Reload>>,
    pub(super) acknowledge: Option<Table<Acknowledge>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Discover {
    pub(super) mount: Option<Value>,
    pub(super) kv_version: Option<Value>,
    pub(super) prefix: Option<Value>,
    pub(super) name: Option<Value>,
    pub(super) withdraw_after: Option<Value>,
    pub(super) fields: Option<Table<Fields>>,
    pub(super) on_rejection: Option<Value>,
    pub(super) files: Option<Vec<Table<File>>>,
    pub(super) reload: Option<Table<Reload>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Acknowledge {
    pub(super) file: Option<Value>,
    pub(super) within: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reload {
    pub(super) command: Option<Value>,
    pub(super) shell: Option<Value>,
    pub(super) url: Option<Value>,
    pub(super) method: Option<Value>,
    pub(super) bearer_token_file: Option<Value>,
    pub(super) ca_file: Option<Value>,
    pub(super) expected_statuses: Option<Value>,
    pub(super) pid_file: Option<Value>,
    pub(super) process: Option<Value>,
    pub(super) signal: Option<Value>,
    pub(super) timeout: Option<Value>,
    pub(super) min_interval: Option<Value>,
    pub(super) retries: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fields {
    pub(super) json_field: Option<Value>,
    pub(super) username: Option<Value>,
    pub(super) api_token: Option<Value>,
    pub(super) api_path: Option<Value>,
}

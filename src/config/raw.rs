//! The shape of the file: which keys exist in which table. What they may hold is checked elsewhere.

use super::value::{Fill, Keys, Table, Value};

/// Makes a struct of each table, and says which of its fields each key fills. Derived code would do the same at
/// several times the size, once for each table.
macro_rules! tables {
    ($($table:ident { $($key:ident: $holds:ty,)* })*) => {$(
        #[derive(Default)]
        pub(super) struct $table {
            $(pub(super) $key: $holds,)*
        }

        impl Keys for $table {
            fn keys(&self) -> &'static [&'static str] {
                &[$(stringify!($key)),*]
            }

            fn slot(&mut self, key: &str) -> Option<&mut dyn Fill> {
                match key {
                    $(stringify!($key) => Some(&mut self.$key),)*
                    _ => None,
                }
            }
        }
    )*};
}

tables! {
    Config {
        vault: Option<Table<Vault>>,
        check: Option<Table<Check>>,
        output: Option<Table<Output>>,
        state: Option<Table<State>>,
        http: Option<Table<Http>>,
        control: Option<Table<Control>>,
        hardening: Option<Table<Hardening>>,
        log: Option<Table<Log>>,
        alerts: Option<Table<Alerts>>,
        stores: Vec<Table<Store>>,
        discover: Vec<Table<Discover>>,
    }

    Vault {
        address: Option<Value>,
        proxy: Option<Value>,
        namespace: Option<Value>,
        mount: Option<Value>,
        kv_version: Option<Value>,
        poll_interval: Option<Value>,
        timeout: Option<Value>,
        concurrency: Option<Value>,
        revoke_token_on_exit: Option<Value>,
        allow_plain_http: Option<Value>,
        tls: Option<Table<Tls>>,
        auth: Option<Table<Auth>>,
    }

    Tls {
        ca_file: Option<Value>,
        ca_directory: Option<Value>,
        client_certificate_file: Option<Value>,
        client_key_file: Option<Value>,
        server_name: Option<Value>,
    }

    Auth {
        token_file: Option<Table<TokenFile>>,
        approle: Option<Table<AppRole>>,
        kubernetes: Option<Table<ServiceAccount>>,
        jwt: Option<Table<Jwt>>,
        cert: Option<Table<Cert>>,
        userpass: Option<Table<Userpass>>,
    }

    TokenFile {
        path: Option<Value>,
    }

    AppRole {
        role_id_file: Option<Value>,
        secret_id_file: Option<Value>,
        secret_id_wrapping_path: Option<Value>,
        mount: Option<Value>,
    }

    ServiceAccount {
        role: Option<Value>,
        token_file: Option<Value>,
        mount: Option<Value>,
    }

    Jwt {
        role: Option<Value>,
        token_file: Option<Value>,
        mount: Option<Value>,
    }

    Cert {
        role: Option<Value>,
        mount: Option<Value>,
    }

    Userpass {
        username: Option<Value>,
        password_file: Option<Value>,
        mount: Option<Value>,
    }

    Check {
        interval: Option<Value>,
        timeout: Option<Value>,
        confirmations: Option<Value>,
        confirmation_spacing: Option<Value>,
        stale_after: Option<Value>,
        certificate_warning: Option<Value>,
        concurrency: Option<Value>,
        allowed_hosts: Option<Value>,
        allow_private_addresses: Option<Value>,
        ca_file: Option<Value>,
        verify_before_publish: Option<Value>,
    }

    Output {
        directory: Option<Value>,
        file_mode: Option<Value>,
        directory_mode: Option<Value>,
        owner: Option<Value>,
        group: Option<Value>,
        files: Option<Vec<Table<File>>>,
    }

    File {
        name: Option<Value>,
        format: Option<Value>,
        template: Option<Value>,
        escape: Option<Value>,
    }

    State {
        directory: Option<Value>,
    }

    Http {
        listen: Option<Value>,
        tls: Option<Table<HttpTls>>,
        token_file: Option<Value>,
        open: Option<Value>,
        allow_plain_http: Option<Value>,
        host_names: Option<Value>,
        report_token_file: Option<Value>,
        metrics_store_limit: Option<Value>,
    }

    HttpTls {
        certificate_file: Option<Value>,
        key_file: Option<Value>,
    }

    Control {
        socket: Option<Value>,
    }

    Hardening {
        landlock: Option<Value>,
        seccomp: Option<Value>,
    }

    Log {
        level: Option<Value>,
        format: Option<Value>,
    }

    Alerts {
        repeat_interval: Option<Value>,
        webhook: Option<Table<Webhook>>,
        slack: Option<Table<Slack>>,
        pagerduty: Option<Table<PagerDuty>>,
        alertmanager: Option<Table<Alertmanager>>,
        kubernetes: Option<Table<Kubernetes>>,
        command: Option<Table<AlertCommand>>,
    }

    Webhook {
        url: Option<Value>,
        signing_secret_file: Option<Value>,
        timeout: Option<Value>,
        ca_file: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
    }

    Slack {
        url_file: Option<Value>,
        timeout: Option<Value>,
        ca_file: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
    }

    PagerDuty {
        routing_key_file: Option<Value>,
        url: Option<Value>,
        timeout: Option<Value>,
        ca_file: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
    }

    Alertmanager {
        urls: Option<Value>,
        resend_interval: Option<Value>,
        instance: Option<Value>,
        timeout: Option<Value>,
        ca_file: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
    }

    Kubernetes {
        url: Option<Value>,
        namespace: Option<Value>,
        token_file: Option<Value>,
        ca_file: Option<Value>,
        timeout: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
        regarding: Option<Table<Regarding>>,
    }

    Regarding {
        api_version: Option<Value>,
        kind: Option<Value>,
        name: Option<Value>,
        uid: Option<Value>,
    }

    AlertCommand {
        argv: Option<Value>,
        timeout: Option<Value>,
        severity: Option<Value>,
        stores: Option<Value>,
    }

    Store {
        name: Option<Value>,
        mount: Option<Value>,
        path: Option<Value>,
        fields: Option<Table<Fields>>,
        version: Option<Value>,
        kv_version: Option<Value>,
        on_rejection: Option<Value>,
        files: Option<Vec<Table<File>>>,
        reload: Option<Table<Reload>>,
        acknowledge: Option<Table<Acknowledge>>,
    }

    Discover {
        mount: Option<Value>,
        kv_version: Option<Value>,
        prefix: Option<Value>,
        name: Option<Value>,
        withdraw_after: Option<Value>,
        fields: Option<Table<Fields>>,
        on_rejection: Option<Value>,
        files: Option<Vec<Table<File>>>,
        reload: Option<Table<Reload>>,
    }

    Acknowledge {
        file: Option<Value>,
        within: Option<Value>,
    }

    Reload {
        command: Option<Value>,
        shell: Option<Value>,
        url: Option<Value>,
        method: Option<Value>,
        bearer_token_file: Option<Value>,
        ca_file: Option<Value>,
        expected_statuses: Option<Value>,
        pid_file: Option<Value>,
        process: Option<Value>,
        signal: Option<Value>,
        timeout: Option<Value>,
        min_interval: Option<Value>,
        retries: Option<Value>,
    }

    Fields {
        json_field: Option<Value>,
        username: Option<Value>,
        api_token: Option<Value>,
        api_path: Option<Value>,
    }
}

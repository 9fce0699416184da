//! Which values are refused, and in which words.

use super::*;

/// Each line of the table: a table of the file, a line in it, the place and key, and a part of the reason.
#[test]
fn a_bad_value_is_refused_with_its_key_and_what_would_be_right() {
    #[rustfmt::skip] // One case a line.
    let cases = [
        ("check", "interval = 300", "check.interval", "has no unit; write a duration from \"1s\" to \"1day\", such as \"5m\""),
        ("check", "interval = \"300\"", "check.interval", "has no unit"),
        ("check", "interval = \"0s\"", "check.interval", "is zero"),
        ("check", "interval = -5", "check.interval", "is negative"),
        ("check", "interval = \"-5m\"", "check.interval", "is negative"),
        ("check", "interval = \"\"", "check.interval", "is no duration"),
        ("check", "interval = \"soon\"", "check.interval", "is no duration"),
        ("check", "interval = \"999ms\"", "check.interval", "is too short"),
        ("check", "interval = \"25h\"", "check.interval", "is too long"),
        ("check", "interval = true", "check.interval", "is no duration"),
        ("check", "interval = 1.5", "check.interval", "is no duration"),
        ("check", "interval = 1979-05-27", "check.interval", "is no duration"),
        ("check", "interval = [\"5m\"]", "check.interval", "is no duration"),
        ("check", "interval = { minutes = 5 }", "check.interval", "is no duration"),
        ("check", "timeout = \"99ms\"", "check.timeout", "is too short"),
        ("check", "timeout = \"61s\"", "check.timeout", "is too long"),
        ("check", "confirmations = 0", "check.confirmations", "a whole number from 1 to 20, such as 3"),
        ("check", "confirmations = 21", "check.confirmations", "from 1 to 20"),
        ("check", "confirmations = \"3\"", "check.confirmations", "from 1 to 20"),
        ("check", "confirmations = 3.0", "check.confirmations", "from 1 to 20"),
        ("check", "confirmation_spacing = \"199ms\"", "check.confirmation_spacing", "is too short"),
        ("check", "confirmation_spacing = \"61m\"", "check.confirmation_spacing", "is too long"),
        ("check", "stale_after = \"5m\"", "check.stale_after", "longer than check.interval, which is 5m"),
        ("check", "interval = \"2h\"", "check.stale_after", "longer than check.interval, which is 2h"),
        ("check", "certificate_warning = \"0s\"", "check.certificate_warning", "is zero; write a duration from \"1h\" to \"30days\", such as \"14days\", or \"off\""),
        ("check", "certificate_warning = \"2months\"", "check.certificate_warning", "is too long"),
        ("check", "certificate_warning = false", "check.certificate_warning", "is no duration"),
        ("check", "concurrency = 257", "check.concurrency", "from 1 to 256"),
        ("check", "concurrency = 9223372036854775808", "check.concurrency", "from 1 to 256"),
        ("check", "allow_private_addresses = \"yes\"", "check.allow_private_addresses", "true or false"),
        ("check", "allowed_hosts = \"shop.example\"", "check.allowed_hosts", "must be a list of texts"),
        ("check", "allowed_hosts = []", "check.allowed_hosts", "is an empty list; leave the key out"),
        ("check", "allowed_hosts = [\"a.example\", \"B.example\"]", "check.allowed_hosts[1]", "has capital letters; write it in lower case"),
        ("check", "allowed_hosts = [\"https://a.example/\"]", "check.allowed_hosts[0]", "is no host name; write it without scheme, port and path, such as"),
        ("check", "allowed_hosts = [\"*\"]", "check.allowed_hosts[0]", "\"*.mybigcommerce.com\" stands for all names below that domain"),
        ("check", "allowed_hosts = [\"*.com\"]", "check.allowed_hosts[0]", "write the domain too, such as"),
        ("check", "verify_before_publish = 1", "check.verify_before_publish", "true or false"),
        ("check", "ca_file = \"ca.pem\"", "check.ca_file", "must be an absolute path"),
        ("check", "ca_file = \"\"", "check.ca_file", "is empty"),
        ("check", "ca_file = \"/etc/../ca.pem\"", "check.ca_file", "contains \"..\""),
        ("check", "ca_file = \"/etc/ca/\"", "check.ca_file", "ends with a slash"),
        ("check", "ca_file = \"/etc/\\nca\"", "check.ca_file", "control character"),
        ("check", "ca_file = \"%d/ca\"", "check.ca_file", "CREDENTIALS_DIRECTORY is not set; by hand, write CREDENTIALS_DIRECTORY=DIRECTORY in front of the command"),
        ("vault", "timeout = \"500ms\"", "vault.timeout", "from \"1s\" to \"1m\""),
        ("vault", "poll_interval = \"1M\"", "vault.poll_interval", "is too long"),
        ("vault", "concurrency = 0", "vault.concurrency", "from 1 to 256"),
        ("vault", "mount = \"secret/\"", "vault.mount", "begins or ends with a slash"),
        ("vault", "namespace = \"a b\"", "vault.namespace", "letters, digits and slashes"),
        ("vault.tls", "client_key_file = \"/k\"", "vault.tls.client_key_file", "needs client_certificate_file"),
        ("vault.tls", "client_certificate_file = \"/c\"", "vault.tls.client_certificate_file", "needs client_key_file"),
        ("vault.tls", "server_name = \"https://vault\"", "vault.tls.server_name", "a host name without scheme"),
        ("state", "directory = \"state\"", "state.directory", "must be an absolute path"),
        ("state", "directory = \"/\"", "state.directory", "is the root"),
        ("state", "directory = \"%d/state\"", "state.directory", "must be an absolute path"),
        ("state", "directory = \"/run/credentials/\"", "state.directory", "is the output directory or lies in it"),
        ("state", "directory = \"/run//credentials/one\"", "state.directory", "is the output directory or lies in it"),
        ("output", "file_mode = 440", "output.file_mode", "octal digits in quotes, such as \"0440\""),
        ("output", "file_mode = \"0o440\"", "output.file_mode", "three octal digits"),
        ("output", "file_mode = \"0480\"", "output.file_mode", "three octal digits"),
        ("output", "file_mode = \"4440\"", "output.file_mode", "three octal digits"),
        ("output", "file_mode = \"+440\"", "output.file_mode", "three octal digits"),
        ("output", "file_mode = \"0040\"", "output.file_mode", "its owner must be able to read"),
        ("output", "file_mode = \"0442\"", "output.file_mode", "not everybody to write"),
        ("output", "file_mode = \"0550\"", "output.file_mode", "nobody to execute"),
        ("output", "directory_mode = \"0550\"", "output.directory_mode", "such as \"0750\""),
        ("output", "directory_mode = \"0757\"", "output.directory_mode", "not everybody to write"),
        ("output", "owner = \"no-such-user\"", "output.owner", "no such name in /etc/passwd"),
        ("output", "group = \"no-such-group\"", "output.group", "no such name in /etc/group"),
        ("output", "owner = -1", "output.owner", "from 0 to 4294967294"),
        ("output", "owner = 4294967295", "output.owner", "from 0 to 4294967294"),
        ("output", "owner = \"99999999999999999999\"", "output.owner", "from 0 to 4294967294"),
        ("output", "group = \"\"", "output.group", "a number or a name"),
        ("http", "listen = \"localhost:9847\"", "http.listen", "an IP address and a port"),
        ("http", "listen = \":9847\"", "http.listen", "an IP address and a port"),
        ("http", "listen = 9847", "http.listen", "must be a text in quotes"),
        ("http", "listen = false", "http.listen", "must be a text in quotes"),
        ("log", "level = \"INFO\"", "log.level", "one of \"error\", \"warn\", \"info\", \"debug\", \"trace\""),
        ("log", "format = \"text\"", "log.format", "one of \"auto\", \"human\", \"json\""),
        ("alerts", "repeat_interval = \"500ms\"", "alerts.repeat_interval", "is too short"),
        ("alerts", "repeat_interval = \"1M\"", "alerts.repeat_interval", "is too long"),
        ("stores", "mount = \"/kv\"", "stores[0].mount", "begins or ends with a slash"),
        ("stores", "fields = { username = \"\" }", "stores[0].fields.username", "is empty"),
        ("stores", "fields = { username = \"api_token\" }", "stores[0].fields", "names one field twice"),
        ("stores", "fields = { json_field = \"\" }", "stores[0].fields.json_field", "is empty"),
        ("stores", "version = 0", "stores[0].version", "from 1 to 4294967295"),
        ("stores", "version = \"7\"", "stores[0].version", "must be a whole number"),
        ("stores", "kv_version = 3", "stores[0].kv_version", "from 1 to 2"),
        ("vault", "kv_version = \"2\"", "vault.kv_version", "from 1 to 2"),
    ];
    for (table, line, key, reason) in cases {
        let text = with(table, line);
        let refusal = refusal(&text, &[]);
        let bad = text.lines().position(|found| found == line).unwrap() + 1;
        let place = format!("config.toml:{bad}:");
        assert_eq!(refusal.lines().count(), 1, "{line}\n{refusal}");
        assert!(refusal.starts_with(&place), "{line}\n{refusal}");
        assert!(refusal.contains(&format!(": {key}: ")) && refusal.contains(reason), "{line}\n{refusal}");
    }
}

#[test]
fn the_required_keys_are_refused_when_they_are_wrong() {
    let vault = "https://vault.example:8200";
    #[rustfmt::skip] // One case a line.
    let cases = [
        (vault, "vault.example:8200", "vault.address", "begins with https://"),
        (vault, "ftp://vault.example", "vault.address", "begins with https://"),
        (vault, "https://", "vault.address", "is no address"),
        (vault, "https://va ult", "vault.address", "is no address"),
        (vault, "http://vault.example", "vault.address", "vault.allow_plain_http = true"),
        (vault, "http://localhost.example", "vault.address", "in the clear"),
        (vault, "https://user:c0ffee@vault.example", "vault.address", "carries a user or a password"),
        (vault, "https://vault.example/v1/", "vault.address", "ends with /v1"),
        (vault, "https://vault.example/?a=b", "vault.address", "carries a query"),
        (vault, "https://vault.example/#a", "vault.address", "carries a fragment"),
        ("/run/token", "token", "vault.auth.token_file.path", "must be an absolute path"),
        ("/run/credentials", "./credentials", "output.directory", "must be an absolute path"),
        ("/run/credentials", "/", "output.directory", "is the root"),
        ("/run/credentials", "/var/lib", "state.directory", "is the output directory or lies in it"),
        ("\"one\"", "\"\"", "stores[0].name", "is empty"),
        ("\"one\"", "\"a/b\"", "stores[0].name", "no safe file name"),
        ("stores/one", "/stores/one", "stores[0].path", "begins or ends with a slash"),
        ("stores/one", "stores/one/", "stores[0].path", "begins or ends with a slash"),
        ("stores/one", "stores//one", "stores[0].path", "has an empty"),
        ("stores/one", "stores/../one", "stores[0].path", "\"..\" segment"),
        ("stores/one", "stores/./one", "stores[0].path", "segment"),
        ("stores/one", "stores?one", "stores[0].path", "'?', '#' or '%'"),
        ("stores/one", "stores#one", "stores[0].path", "'?', '#' or '%'"),
        ("stores/one", "stores%2fone", "stores[0].path", "'?', '#' or '%'"),
        ("stores/one", "stores\\tone", "stores[0].path", "control character"),
    ];
    for (good, bad, key, reason) in cases {
        let refusal = refusal(&LEAST.replace(good, bad), &[]);
        assert_eq!(refusal.lines().count(), 1, "{bad}\n{refusal}");
        assert!(refusal.contains(&format!(": {key}: ")) && refusal.contains(reason), "{bad}\n{refusal}");
    }
}

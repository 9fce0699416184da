//! How a refusal tells its place, what is there instead, and never a value.

use super::*;

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let text = "[vault]\ntimeout = 10\n[check]\n  interval = \"0s\"\n[[stores]]\npath = \"a\"\n[[stores]]\nname = 7\n";
    let expected = "\
config.toml:1:1: vault.address: is missing; write address = \"https://vault.example:8200\" below [vault], or set BAO_ADDR or VAULT_ADDR
config.toml:1:1: vault.auth: is missing; say how to log in: add one of the tables [vault.auth.approle], [vault.auth.kubernetes], [vault.auth.jwt], [vault.auth.cert], [vault.auth.userpass] and [vault.auth.token_file], or set BAO_TOKEN or VAULT_TOKEN
config.toml:2:11: vault.timeout: has no unit; write a duration from \"1s\" to \"1m\", such as \"10s\"
config.toml:4:14: check.interval: is zero; write a duration from \"1s\" to \"1day\", such as \"5m\"
config.toml:5:1: stores[0].name: is missing; write name = \"example\", which is also the name of its directory
config.toml:7:1: stores[1].path: is missing; write path = \"stores/example\", the secret's path below the mount
config.toml:8:8: stores[1].name: must be a text in quotes
config.toml: output.directory: is missing; write directory = \"/run/bc-secrets-sync/credentials\" below [output]";
    assert_eq!(refusal(text, &[]), expected);
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    let refusal = refusal("", &[]);
    for key in ["vault.address", "vault.auth", "output.directory", "stores"] {
        assert!(refusal.contains(&format!("config.toml: {key}: is missing; ")), "{refusal}");
    }
}

#[test]
fn an_unknown_key_is_answered_with_the_keys_that_exist() {
    let keys = "interval, timeout, confirmations, confirmation_spacing, stale_after, certificate_warning, \
                concurrency, allowed_hosts, allow_private_addresses, ca_file, verify_before_publish";
    assert_eq!(
        refusal("\n[check]\nintervall = 1\n", &[]),
        format!(
            "config.toml:3:1: check.intervall: there is no such key in check; did you mean interval? There are: {keys}"
        )
    );
    assert_eq!(
        refusal("[check]\npassword = 1\n", &[]),
        format!("config.toml:2:1: check.password: there is no such key in check; there are: {keys}")
    );
    let second = format!("{LEAST}[[stores]]\nnmae = \"x\"\n");
    let refusal_of_second = refusal(&second, &[]);
    assert!(
        refusal_of_second.contains(
            ": stores[1].nmae: there is no such key in stores[1]; did you mean name? There are: name, mount, path, fields"
        ),
        "{refusal_of_second}"
    );
    for (dotted, wrong, table, right) in [
        ("vualt.address = 1\n", "vualt", "at the top of the file", "vault"),
        ("vault.adress = 1\n", "vault.adress", "in vault", "address"),
        ("vault.tls = { ca_flie = 1 }\n", "vault.tls.ca_flie", "in vault.tls", "ca_file"),
    ] {
        let answer = refusal(dotted, &[]);
        let expected = format!("{wrong}: there is no such key {table}; did you mean {right}?");
        assert!(answer.contains(&expected), "{answer}");
    }
    let refusal_at_the_top = refusal("[vualt]\n", &[]);
    assert!(
        refusal_at_the_top
            .contains("vualt: there is no such key at the top of the file; did you mean vault?"),
        "{refusal_at_the_top}"
    );
}

#[test]
fn a_value_where_a_table_belongs_is_told_so() {
    for (text, expected) in [
        (
            "vault = \"hvs.c0ffee\"\n",
            "config.toml:1:9: vault: must be a table; begin it with the line [vault]",
        ),
        (
            "[vault]\ntls = true\n",
            "config.toml:2:7: vault.tls: must be a table; begin it with the line [vault.tls]",
        ),
        (
            "[stores]\nname = \"a\"\n",
            "config.toml:1:1: stores: must be a list of tables; begin each store with the line [[stores]]",
        ),
        ("stores = [\"c0ffee\"]\n", "config.toml:1:11: stores[0]: must be a table"),
        ("[[stores]]\nfields = [\"c0ffee\"]\n", "config.toml:2:10: stores[0].fields: must be a table"),
    ] {
        assert_eq!(refusal(text, &[]), expected);
    }
}

#[test]
fn bad_syntax_is_told_with_its_place_and_without_the_line() {
    for (text, place) in [
        ("[vault]\naddress = hvs.c0ffee\n", "config.toml:2:"),
        ("[vault]\naddress = \"c0ffee\n", "config.toml:2:"),
        ("[vault]\nc0ffee\n", "config.toml:2:"),
        ("[vault\nc0ffee = 1\n", "config.toml:1:"),
        ("c0ffee = 1\nc0ffee = 2\n", "config.toml:2:"),
        ("[vault]\n[vault]\n", "config.toml:2:"),
    ] {
        let refusal = refusal(text, &[]);
        assert!(refusal.starts_with(place) && refusal.contains("this is no valid TOML: "), "{refusal}");
        assert!(!refusal.contains("c0ffee"), "{refusal}");
    }
}

#[test]
fn two_stores_of_one_name_are_refused_in_upper_and_lower_case() {
    let refusal = refusal(&format!("{LEAST}[[stores]]\nname = \"ONE\"\npath = \"other\"\n"), &[]);
    let expected = "config.toml:12:8: stores[1].name: is already the name of the store on line 9; upper and lower case count as the same";
    assert_eq!(refusal, expected);
}

#[test]
fn each_way_to_log_in_says_what_it_lacks() {
    let with = |table: &str| {
        let text = without_login().replace("[output]", &format!("[vault.auth.{table}\n[output]"));
        refusal(&text, &[])
    };
    for (table, parts) in [
        ("kubernetes]", &["vault.auth.kubernetes.role: is missing; name the role"][..]),
        ("jwt]", &["vault.auth.jwt.token_file: is missing; name the file"]),
        ("cert]", &["vault.tls.client_certificate_file: is missing; [vault.auth.cert] logs in with it"]),
        ("userpass]", &["userpass.username: is missing", "userpass.password_file: is missing"]),
        ("userpass]\nusername = \"a/../b\"", &["userpass.username: must be letters, digits"]),
        ("userpass]\nusername = \"-a\"", &["userpass.username: must be letters, digits"]),
        ("cert]\nmount = \"auth/cert\"", &["cert.mount: begins with auth/; write only what follows it"]),
        ("approle]\nsecret_id_wrapping_path = \"role/x/secret-id\"", &["must be the whole path, such as"]),
        ("jwt]\ntoken_file = \"jwt\"", &["vault.auth.jwt.token_file: must be an absolute path"]),
    ] {
        let refusal = with(table);
        parts.iter().for_each(|part| assert!(refusal.contains(part), "{table}: {refusal}"));
    }
}

#[test]
fn a_socket_is_a_path_and_a_proxy_is_for_tls_alone() {
    let address = "address = \"https://vault.example:8200\"";
    let with = |by: &str| parse_with(&LEAST.replace(address, by), &[]);
    let socket = with("address = \"unix:///run/vault/agent.sock\"").unwrap();
    assert_eq!(socket.vault.address.as_str(), "unix:///run/vault/agent.sock");
    let proxied = with(&format!("{address}\nproxy = \"http://proxy:3128\"")).unwrap();
    assert_eq!(proxied.vault.proxy.unwrap().as_str(), "http://proxy:3128/");
    for (by, part) in [
        ("address = \"unix://agent.sock\"", "vault.address: must be the absolute path of a socket"),
        ("address = \"unix:///\"", "vault.address: must be the absolute path of a socket"),
        ("address = \"unix:///a/../b\"", "vault.address: must be the absolute path of a socket"),
        (
            "address = \"http://127.0.0.1:8200\"\nproxy = \"http://p:1\"",
            "vault.proxy: is only for an address",
        ),
        ("address = \"unix:///s\"\nproxy = \"http://p:1\"", "vault.proxy: is only for an address"),
        (&format!("{address}\nproxy = \"http://p:1/x\""), "vault.proxy: must be http://HOST:PORT"),
        (&format!("{address}\nproxy = \"http://u:p@p:1\""), "vault.proxy: carries a user"),
        (
            &format!("{address}\nproxy = \"http://p:1\"\n[vault.tls]\nserver_name = \"v\""),
            "vault.proxy: cannot be used with vault.tls.server_name",
        ),
    ] {
        let refusal = with(by).unwrap_err().to_string();
        assert!(refusal.contains(part), "{by}: {refusal}");
    }
}

#[test]
fn exactly_one_way_to_log_in_is_taken() {
    let approle = "[vault.auth.approle]\nrole_id_file = \"/r\"\nsecret_id_file = \"/s\"\n";
    let both = refusal(&format!("{LEAST}{approle}"), &[("VAULT_TOKEN", "hvs.c0ffee")]);
    assert!(both.contains("config.toml:11:1: vault.auth: two ways to log in are given"), "{both}");
    let none = without_login();
    assert!(refusal(&none, &[]).contains("config.toml:2:1: vault.auth: is missing; say how to log in"));
    let half =
        refusal(&none.replace("[output]", "[vault.auth.approle]\nmount = \"auth/approle\"\n[output]"), &[]);
    for part in ["begins with auth/", "role_id_file: is missing", "secret_id_file: is missing"] {
        assert!(half.contains(part), "{half}");
    }
}

#[test]
fn a_webhook_needs_a_safe_address_and_a_signing_secret() {
    let refused = refusal(&with("alerts.webhook", "url = \"http://alerts.example/c0ffee\""), &[]);
    for part in ["alerts.webhook.url: would send secrets in the clear", "signing_secret_file: is missing"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(!refused.contains("c0ffee"), "{refused}");
    assert!(refusal(&with("alerts.webhook", ""), &[]).contains("alerts.webhook.url: is missing"));
}

#[test]
fn a_bad_variable_is_refused_by_its_name_and_not_by_its_value() {
    let none = without_login();
    for (text, name, value, expected) in [
        (
            LEAST,
            "VAULT_SKIP_VERIFY",
            "yes",
            "environment VAULT_SKIP_VERIFY: vault.tls: must be true or false",
        ),
        (LEAST, "BAO_SKIP_VERIFY", "c0ffee", "environment BAO_SKIP_VERIFY: "),
        (
            LEAST,
            "VAULT_CACERT",
            "c0ffee",
            "environment VAULT_CACERT: vault.tls.ca_file: must be an absolute path",
        ),
        (
            LEAST,
            "VAULT_CLIENT_KEY",
            "/c0ffee",
            "environment VAULT_CLIENT_KEY: vault.tls.client_key_file: needs",
        ),
        (LEAST, "STATE_DIRECTORY", "/a:/b", "environment STATE_DIRECTORY: state.directory: names several"),
        (&none, "VAULT_TOKEN", "hvs.c0ffee\n", "environment VAULT_TOKEN: vault.auth: contains a space"),
    ] {
        let refusal = refusal(text, &[(name, value)]);
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(!refusal.contains("c0ffee"), "{refusal}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_refused_once() {
    use std::os::unix::ffi::OsStringExt as _;
    let none = without_login();
    let environment = Environment::new(|name| {
        (name == "VAULT_TOKEN").then(|| std::ffi::OsString::from_vec(b"c0ffee\xff".to_vec()))
    });
    let error = Config::parse(&none, "config.toml", &environment).unwrap_err().to_string();
    assert_eq!(error, "environment VAULT_TOKEN: vault.auth: its value is no UTF-8 text");
}

//! What `deploy/vault/setup` makes of a server is what the daemon needs, and no more.

use std::process::Command;

use serde_json::json;

use crate::support::openbao::{OpenBao, SET_UP};
use crate::support::world::{World, fields};

/// What it prints when it is done.
fn set_up(bao: &OpenBao, arguments: &[&str]) -> String {
    let output = bao.set_up(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its exit code and what it says, where it refuses.
fn refused(bao: &OpenBao, arguments: &[&str]) -> (Option<i32>, String) {
    let output = bao.set_up(arguments);
    assert!(!output.status.success(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// How many secret IDs the role has.
async fn secret_ids(bao: &OpenBao, role: &str) -> usize {
    let listed = bao.request("LIST", &format!("auth/approle/role/{role}/secret-id"), None).await;
    listed["data"]["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_daemon_works_with_what_the_script_has_made_for_either_version_of_kv() {
    for version in ["1", "2"] {
        let mut world = World::start().await;
        let home = world.configuration.home().to_str().unwrap().to_owned();
        // Named as the prefix of the shipped policy is.
        let how = ["--mount", "shop keys/bigcommerce", "--prefix", "stores", "--kv-version", version, &home];
        let said = set_up(&world.bao, &how);
        assert!(said.contains(&format!("KV version {version}")), "{said}");

        let account = world.add_store_without_secret("acme");
        let (path, body) = match version {
            "1" => ("stores/acme", fields(&account)),
            _ => ("data/stores/acme", json!({ "data": fields(&account) })),
        };
        world.bao.request("POST", &format!("shop%20keys/bigcommerce/{path}"), Some(body)).await;
        world.configuration.edit("[vault]\n", "[vault]\nmount = \"shop keys/bigcommerce\"\n");
        let daemon = world.daemon().await;
        world.wait_published("acme", &account).await;
        let mounts = daemon.status().await["source"]["mounts"].clone();
        let number: u64 = version.parse().unwrap();
        assert_eq!(
            mounts,
            json!([{ "mount": "shop keys/bigcommerce", "kv_version": number, "configured": false }])
        );
        daemon.stop().await;
    }
}

#[tokio::test]
async fn what_the_script_allows_is_to_read_and_list_the_secrets_below_the_path_and_nothing_else() {
    let bao = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    set_up(&bao, &["--mount", "kv", "--kv-version", "1", "--role", "one", directory]);
    set_up(&bao, &["--role", "two", "--policy", "other-name", directory]);
    for path in ["bigcommerce/a", "bigcommerce/folder/a", "others/a", "bigcommercial/folder/a"] {
        bao.write_secret(path, json!({ "x": 1 })).await;
    }
    for path in ["kv/bigcommerce/a", "kv/bigcommerce/folder/a", "kv/others/a", "kv/bigcommercial/folder/a"] {
        bao.request("POST", path, Some(json!({ "x": 1 }))).await;
    }
    let some = Some(json!({ "data": { "x": 2 } }));
    let cases = [
        ("one", "GET", "kv/bigcommerce/a", None, 200),
        ("one", "GET", "kv/others/a", None, 403),
        ("one", "LIST", "kv/bigcommerce", None, 200),
        ("one", "LIST", "kv/bigcommerce/folder", None, 200),
        ("one", "LIST", "kv/bigcommercial/folder", None, 403),
        ("one", "LIST", "kv/others", None, 403),
        ("one", "POST", "kv/bigcommerce/a", some.clone(), 403),
        ("one", "DELETE", "kv/bigcommerce/a", None, 403),
        ("one", "GET", "secret/data/bigcommerce/a", None, 403),
        ("other-name", "GET", "secret/data/bigcommerce/a", None, 200),
        ("other-name", "GET", "secret/data/others/a", None, 403),
        ("other-name", "GET", "secret/data/bigcommercial/a", None, 403),
        ("other-name", "LIST", "secret/metadata/bigcommerce", None, 200),
        ("other-name", "LIST", "secret/detailed-metadata/bigcommerce", None, 200),
        ("other-name", "LIST", "secret/metadata/bigcommerce/folder", None, 200),
        ("other-name", "LIST", "secret/detailed-metadata/bigcommerce/folder", None, 200),
        ("other-name", "LIST", "secret/metadata/bigcommercial/folder", None, 403),
        ("other-name", "LIST", "secret/detailed-metadata/bigcommercial/folder", None, 403),
        ("other-name", "LIST", "secret/metadata/others", None, 403),
        ("other-name", "LIST", "secret/detailed-metadata/others", None, 403),
        ("other-name", "GET", "secret/metadata/bigcommerce/a", None, 403),
        ("other-name", "POST", "secret/data/bigcommerce/a", some, 403),
        ("other-name", "DELETE", "secret/data/bigcommerce/a", None, 403),
        ("other-name", "DELETE", "secret/metadata/bigcommerce/a", None, 403),
        ("other-name", "GET", "kv/bigcommerce/a", None, 403),
        ("other-name", "GET", "sys/mounts", None, 403),
        ("one", "GET", "auth/token/lookup-self", None, 200),
        ("one", "POST", "auth/token/revoke-self", None, 204),
        ("other-name", "GET", "auth/token/lookup-self", None, 200),
        ("other-name", "POST", "auth/token/renew-self", None, 200),
        ("other-name", "POST", "auth/token/revoke-self", None, 204),
        // What the policy `default` would allow.
        ("other-name", "GET", "cubbyhole/a", None, 403),
        ("other-name", "POST", "sys/wrapping/wrap", Some(json!({ "x": 1 })), 403),
    ];
    for (policy, method, path, body, status) in cases {
        let token = bao.create_token(json!({ "policies": [policy], "no_default_policy": true })).await;
        let (answered, _) = bao.try_request(&token, method, path, body).await;
        assert_eq!(answered, status, "{policy}: {method} {path}");
    }
}

/// The paths of a printed policy, without those of the daemon's own token.
fn printed_paths(mount: &str, prefix: &str, version: &str) -> Vec<String> {
    let arguments = ["--print-policy", "--mount", mount, "--prefix", prefix, "--kv-version", version];
    let printed = Command::new(SET_UP).args(arguments).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    let quoted = text.lines().filter_map(|line| line.strip_prefix("path \"")?.strip_suffix("\" {"));
    quoted.filter(|path| !path.starts_with("auth/")).map(str::to_owned).collect()
}

#[test]
fn the_policy_is_for_any_mount_and_path_also_those_that_are_named_as_the_shipped_ones() {
    for mount in ["kv", "team/bigcommerce", "bigcommerce/kv", "bigcommerce", "team/secret", "secret"] {
        for prefix in
            ["shops", "bigcommerce/eu", "eu/bigcommerce", "secret", "secret/bigcommerce", "bigcommerce"]
        {
            let two = [
                "data/PREFIX/*",
                "metadata/PREFIX",
                "metadata/PREFIX/*",
                "detailed-metadata/PREFIX",
                "detailed-metadata/PREFIX/*",
            ];
            for (version, paths) in [("1", &["PREFIX/*", "PREFIX"][..]), ("2", &two)] {
                let expected: Vec<_> =
                    paths.iter().map(|path| format!("{mount}/{}", path.replace("PREFIX", prefix))).collect();
                assert_eq!(printed_paths(mount, prefix, version), expected, "KV version {version}");
            }
        }
    }
}

#[tokio::test]
async fn run_again_the_script_changes_what_differs_and_keeps_what_works() {
    let bao = OpenBao::start().await;
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().to_str().unwrap();
    let read = || ["role-id", "secret-id"].map(|name| std::fs::read(home.path().join(name)).unwrap());
    set_up(&bao, &[directory]);
    let first = read();
    bao.put_policy("bc-secrets-sync", r#"path "*" { capabilities = ["sudo"] }"#).await;
    let said = set_up(&bao, &[directory]);
    assert!(said.contains("the secret ID is kept"), "{said}");
    assert_eq!(read(), first);
    assert_eq!(secret_ids(&bao, "bc-secrets-sync").await, 1);
    let role = bao.request("GET", "auth/approle/role/bc-secrets-sync", None).await;
    let without = &role["data"]["token_no_default_policy"];
    assert_eq!((&role["data"]["token_policies"], without), (&json!(["bc-secrets-sync"]), &json!(true)));
    let policy = bao.request("GET", "sys/policies/acl/bc-secrets-sync", None).await;
    assert!(!policy.to_string().contains("sudo"), "{policy}");

    set_up(&bao, &["--new-secret-id", directory]);
    assert_eq!((read()[0] == first[0], read()[1] == first[1]), (true, false));
    assert_eq!(secret_ids(&bao, "bc-secrets-sync").await, 2);

    // One that does not work, or is another role's, is replaced.
    std::fs::write(home.path().join("secret-id"), "0-0").unwrap();
    set_up(&bao, &[directory]);
    assert_eq!(secret_ids(&bao, "bc-secrets-sync").await, 3);
    set_up(&bao, &["--role", "another", directory]);
    assert_eq!(secret_ids(&bao, "another").await, 1);
    let mut names: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["role-id", "secret-id"]);
}

#[tokio::test]
async fn the_script_refuses_what_it_cannot_do_and_says_why() {
    let mut bao = OpenBao::start().await;
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().to_str().unwrap();
    let cases: [(&[&str], i32, &str); 10] = [
        (&[], 2, "say in which directory"),
        (&["/nowhere/at/all"], 1, "no directory that can be written"),
        (&["--mount", "secret/below", directory], 1, "a path below the mount secret"),
        (&["--mount", "cubbyhole", directory], 1, "an engine of another kind"),
        (&["--kv-version", "1", directory], 1, "is KV version 2 already"),
        (&["--kv-version", "3", directory], 2, "must be 1 or 2"),
        (&["--mount", "kv*", directory], 2, "letters, digits"),
        (&["--prefix", "", directory], 2, "a path without slashes"),
        (&["--prefix", "a/../b", directory], 2, "a path without slashes"),
        (&["--frobnicate"], 2, "unknown option --frobnicate"),
    ];
    for (arguments, code, words) in cases {
        let (found, said) = refused(&bao, arguments);
        assert!(found == Some(code) && said.contains(words), "{arguments:?}: {found:?} {said}");
    }
    bao.kill();
    let (code, said) = refused(&bao, &[directory]);
    assert!(code == Some(1) && said.contains("cannot be reached"), "{said}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

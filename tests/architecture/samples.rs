//! Samples that keep and break each rule: a rule that cannot fail holds nothing.

use crate::rules::violations;

fn check(path: &str, code: &str) -> Vec<String> {
    violations(path, &format!("//! Sample.\n{code}\n"))
}

#[track_caller]
fn refused(path: &str, code: &str, what: &str) {
    let found = check(path, code);
    assert!(
        found.iter().any(|line| line.contains(what)),
        "{path}: {code}: expected {what:?}, found {found:?}"
    );
}

#[track_caller]
fn kept(path: &str, code: &str) {
    assert_eq!(check(path, code), Vec::<String>::new(), "{path}: {code}");
}

#[test]
fn arrows_that_point_the_right_way_are_kept() {
    kept("src/main.rs", "fn main() { bc_secrets_sync::cli::run() }");
    kept("src/lib.rs", "pub mod store;\n#[cfg(feature = \"demo\")]\npub mod sandbox;");
    kept("src/cli/run.rs", "use crate::{daemon::Daemon, config, sandbox::Store};");
    kept("src/daemon/mod.rs", "use crate::{reload::Hook, domain::engine, config::Config, system::clock};");
    kept(
        "src/vault/mod.rs",
        "use crate::{domain::secret, config::Vault, system::clock}; use super::vault::login;",
    );
    kept("src/config/mod.rs", "use crate::domain::credentials::StoreName;");
    kept("src/domain/engine/mod.rs", "use super::incident::X; use super::super::domain::y; use self::z;");
    kept("src/system/clock.rs", "use super::signals; use crate::system::x;");
}

#[test]
fn arrows_that_point_the_wrong_way_are_refused() {
    for (path, target) in [
        ("src/main.rs", "daemon"),
        ("src/lib.rs", "cli"),
        ("src/cli/run.rs", "reload"),
        ("src/daemon/mod.rs", "cli"),
        ("src/daemon/mod.rs", "sandbox"),
        ("src/vault/login.rs", "daemon"),
        ("src/config/mod.rs", "system"),
        ("src/domain/engine.rs", "config"),
        ("src/system/clock.rs", "domain"),
        ("src/sandbox/mod.rs", "domain"),
    ] {
        refused(path, &format!("use crate::{target}::X;"), &format!("may not name {target}"));
    }
}

#[test]
fn adapters_never_name_one_another() {
    let adapters = ["vault", "store", "publish", "alert", "reload", "observe"];
    for from in adapters {
        for to in adapters.into_iter().filter(|to| *to != from) {
            refused(&format!("src/{from}/mod.rs"), &format!("use crate::{to}::X;"), "may not name");
        }
    }
}

#[test]
fn an_arrow_is_seen_wherever_it_stands() {
    refused("src/domain/engine.rs", "fn f() { crate::store::probe() }", "src/domain/engine.rs:2: domain may");
    refused("src/domain/engine.rs", "use super::super::store::X;", "may not name store");
    refused("src/domain/engine/mod.rs", "use super::super::store::X;", "may not name store");
    refused("src/domain/engine/queue.rs", "use super::super::super::store::X;", "may not name store");
    refused("src/domain/mod.rs", "use super::store::X;", "may not name store");
    refused("src/domain/engine.rs", "use crate::{domain::X, store::{Y}};", "may not name store");
    refused("src/domain/engine.rs", "#[serde(with = \"crate::store::x\")] struct X;", "may not name store");
    refused("src/domain/engine.rs", "use bc_secrets_sync::store::X;", "may not name store");
    refused("src/main.rs", "use bc_secrets_sync::store::X;", "main may not name store");
    refused("src/lib.rs", "pub use store::X;", "lib may not name store");
}

#[test]
fn comments_and_strings_are_no_arrows() {
    kept(
        "src/domain/engine.rs",
        "/// See [`crate::store`].\n// crate::store::X\nconst X: &str = \"crate::store::X\";",
    );
}

#[test]
fn the_root_as_a_whole_is_refused() {
    for code in
        ["use crate::*;", "use crate as root;", "use super::super as root;", "use crate::{self as root};"]
    {
        refused("src/vault/login.rs", code, "names the root of the crate");
    }
    refused("src/main.rs", "use bc_secrets_sync as product;", "names the root of the crate");
}

#[test]
fn only_the_rooms_of_the_architecture_exist() {
    refused("src/util/mod.rs", "", "`util` is not a room");
    refused("src/util.rs", "", "`util` is not a room");
    refused("src/cli/run.rs", "use crate::util::X;", "`util` is not a room");
}

#[test]
fn source_from_elsewhere_is_refused() {
    refused("src/domain/engine.rs", "#[path = \"../store/mod.rs\"] mod x;", "from elsewhere");
    refused("src/domain/engine.rs", "include!(\"../store/mod.rs\");", "from elsewhere");
}

#[test]
fn the_domain_stays_pure() {
    for code in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "fn f() { ::std::net::lookup() }",
        "fn f() { std::env::var() }",
        "use std::process;",
        "use std::thread::spawn;",
        "use std::*;",
        "use std::{self as s};",
        "fn f() { SystemTime::now() }",
        "fn f() { std::time::Instant::now() }",
        "use std::time::Instant as I; fn f() { I::now() }",
        "fn f() { start.elapsed() }",
        "use tokio::time;",
        "use tokio;",
        "extern crate tokio;",
        "use tokio_util::x;",
        "#[tracing::instrument] fn f() {}",
        "use reqwest::Client;",
        "use hyper::Request;",
        "fn f() { println!(\"x\") }",
        "fn f() { eprintln!(\"x\") }",
        "fn f() { print!(\"x\") }",
        "fn f() { eprint!(\"x\") }",
        "fn f() { dbg!(x) }",
        "use rustix::time::clock_gettime;",
        "fn f() { getrandom(b) }",
        "fn f() { rand::random() }",
        "use ring::rand::SystemRandom;",
        "#[cfg(test)] mod tests { use std::fs; }",
    ] {
        refused("src/domain/engine.rs", code, "the domain is pure");
        assert!(!check("src/daemon/mod.rs", code).iter().any(|line| line.contains("pure")), "{code}");
    }
}

#[test]
fn what_is_pure_is_kept_in_the_domain() {
    kept("src/domain/engine.rs", "use core::net::IpAddr;");
    kept("src/domain/engine.rs", "use std::{time::{Duration, SystemTime}, collections::BTreeMap, fmt};");
    kept(
        "src/domain/engine.rs",
        "fn f(now: SystemTime) { now.duration_since(x); self.elapsed(now); brand::x() }",
    );
    kept(
        "src/domain/engine.rs",
        "/// Never calls `SystemTime::now` or `std::fs`.\nconst X: &str = \"tokio::x\";",
    );
}

#[test]
fn a_secret_is_exposed_in_few_places() {
    for code in
        ["fn f() { token.expose() }", "fn f() { x.map(Secret::expose) }", "fn f() { token\n.expose() }"]
    {
        refused("src/daemon/mod.rs", code, "exposes a secret");
        refused("src/domain/secret_store.rs", code, "exposes a secret");
        refused("src/observe/page.rs", code, "exposes a secret");
        for path in ["src/domain/secret.rs", "src/domain/credentials.rs", "src/vault/login.rs"] {
            kept(path, code);
        }
        for room in ["store", "publish", "alert"] {
            kept(&format!("src/{room}/mod.rs"), code);
        }
        kept("src/daemon/mod.rs", &format!("#[cfg(test)] mod tests {{ {code} }}"));
        kept("src/daemon/tests.rs", code);
        kept("src/daemon/loop_tests.rs", code);
    }
}

#[test]
fn tests_at_the_end_of_a_file_may_use_the_sandbox_and_nothing_else_more() {
    let tests = |path: &str| {
        format!("fn f() {{}} #[cfg(all(test, feature = \"demo\"))] #[allow(x)] mod tests {{ use {path}; }}")
    };
    kept("src/vault/mod.rs", &tests("crate::sandbox::Vault"));
    kept("src/vault/mod.rs", &tests("super::super::sandbox::Vault"));
    refused("src/vault/mod.rs", &tests("crate::store::X"), "vault may not name store");
    refused("src/domain/engine.rs", &tests("crate::sandbox::X"), "domain may not name sandbox");
    refused("src/system/clock.rs", &tests("crate::sandbox::X"), "system may not name sandbox");
}

#[test]
fn tests_in_a_file_of_their_own_are_tests_of_the_module_they_belong_to() {
    for path in ["src/vault/login/tests.rs", "src/vault/login_tests.rs"] {
        kept(path, "use super::Login; use super::super::renew; use crate::sandbox::Vault;");
        kept(path, "use super::super::super::sandbox::Vault;");
        refused(path, "use super::super::super::store::X;", "vault may not name store");
    }
}

#[test]
fn only_tests_that_end_the_file_count_as_tests() {
    let body = "mod tests { use crate::sandbox::X; }";
    refused("src/vault/mod.rs", &format!("#[cfg(test)] {body} fn f() {{}}"), "may not name sandbox");
    refused("src/vault/mod.rs", body, "may not name sandbox");
    refused("src/vault/mod.rs", &format!("#[cfg(unix)] {body}"), "may not name sandbox");
    refused("src/vault/mod.rs", &format!("#[cfg(not(test))] {body}"), "may not name sandbox");
    refused("src/vault/mod.rs", &format!("#[cfg(any(test, x))] {body}"), "may not name sandbox");
}

#[test]
fn every_file_says_why_it_exists() {
    assert_eq!(violations("src/vault/mod.rs", "//! Sample.\n").len(), 0);
    for text in ["", "use std::fmt;\n", "// Sample.\n", "\n//! Sample.\n", "//!\n"] {
        assert_eq!(violations("src/vault/mod.rs", text).len(), 1, "{text:?}");
    }
}

#[test]
fn no_file_is_too_long() {
    let lines = |count: usize| format!("//! Sample.\n{}", "\n".repeat(count - 1));
    assert_eq!(violations("src/vault/mod.rs", &lines(500)).len(), 0);
    assert_eq!(violations("src/vault/mod.rs", &lines(501)).len(), 1);
}

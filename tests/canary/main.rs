//! No secret is in any output, whatever happens: marked ones go through the whole life of the daemon at its
//! most talkative, and everything that it leaves is searched for them.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod asked;
mod channels;
mod pasted;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bc_secrets_sync::sandbox::store::{Account, Behaviour};
use serde_json::json;

use asked::Listener;
use channels::Channels;
use support::daemon::{Daemon, run, run_with};
use support::files::{Content, listing};
use support::markers::{Markers, percent_encoded};
use support::wait::wait_until;
use support::webhook::Receiver;
use support::world::{World, fields};

const USERNAME: &str = "Canary User/5d2b+name";
const TOKEN: &str = "Canary Token/7f3a+9c=41\"e\\0d & more";
const WRONG_TOKEN: &str = "Canary-Token-That-Is-Wrong/8b1f";
/// Fits into the name of a host.
const PLAIN_TOKEN: &str = "0123456789abcdef0123456789abcdefcanary42";
const MALFORMED: &str = "Canary-In-A-Malformed-Field-6e0c";
const PASTED: &str = "Canary-Pasted-Into-The-Configuration-77aa";
const HOOK: &str = "Canary-In-The-Address-Of-The-Webhook-1c9d";
const HOOK_TOKEN: &str = "Canary-Token-Of-The-Hook-2b8e";
const REPORT_TOKEN: &str = "Canary-Token-For-Reports-0b7d";
const SIGNING_KEY: &[u8] = b"Canary signing key of 32 bytes!!";

/// The stores whose answers repeat what they were sent, and in which words.
const ECHOES: [(&str, u16, &str); 8] = [
    ("echo-200", 200, "malformed"),
    ("echo-302", 302, "moved"),
    ("echo-host", 302, "moved"),
    ("echo-401", 401, "rejected"),
    ("echo-403", 403, "forbidden"),
    ("echo-404", 404, "moved"),
    ("echo-429", 429, "rate_limited"),
    ("echo-500", 500, "unavailable"),
];

#[tokio::test]
async fn no_secret_is_in_any_output_whatever_happens() {
    let (mut world, mut markers) = marked_world().await;
    let mut pages = Vec::new();
    let app = apps_to_tell(&mut world);
    let channels = Channels::add(&mut world, &mut markers);

    // Nobody takes the alerts at first, and whoever asks is told all about the request.
    world.receiver.echo(500);
    let daemon = world.daemon().await;
    let listener = Listener::of(&daemon);
    daemon.settled().await;
    look(&daemon, &mut pages).await;
    the_search_finds_what_is_published(&world, &markers);

    bad_writes(&world, &daemon).await;
    look(&daemon, &mut pages).await;
    echoes(&world, &daemon).await;
    look(&daemon, &mut pages).await;
    asked::by_commands(&world, &markers, &mut pages).await;
    assert!(!asked::by_a_test_of_alerts(&world, &mut pages).await);
    pasted::into_the_configuration(&world, &daemon, &markers, &mut pages).await;
    files_of_every_format(&mut world, &daemon, &markers, &mut pages).await;
    damage_and_a_vault_that_is_away(&world, &daemon).await;
    look(&daemon, &mut pages).await;

    world.receiver.answer(204);
    channels.take();
    let token = world.bigcommerce.regenerate_token("acme");
    markers.add("the regenerated token", &token);
    wait_until("the regeneration is known", async || daemon.state("acme").await == "rejected").await;
    look(&daemon, &mut pages).await;
    let new = Account { username: USERNAME.to_owned(), api_token: token, api_path: api_path(&world, "acme") };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    wait_until("alerts are delivered", async || !world.receiver.messages().is_empty()).await;
    channels.wait_delivered().await;
    look(&daemon, &mut pages).await;
    asked::by_commands(&world, &markers, &mut pages).await;
    assert!(asked::by_a_test_of_alerts(&world, &mut pages).await);
    reports(&world, &daemon, &mut pages).await;
    listener.end(&markers, &mut pages);
    of_the_process(&daemon, &mut pages);

    commands(&mut world, &mut pages).await;
    let stopped = daemon.stop().await;
    pages.push(("standard output".to_owned(), std::fs::read(stopped.output).unwrap()));

    // No form of a secret has a line break in it, and many lines are on many pages.
    let mut searched = BTreeSet::new();
    for (place, line) in pages
        .iter()
        .flat_map(|(place, text)| text.split(|byte| *byte == b'\n').map(move |line| (place, line)))
    {
        if searched.insert(line) {
            markers.none_in(place, line);
        }
    }
    assert!(world.receiver.deliveries().len() > world.receiver.messages().len());
    for delivery in world.receiver.deliveries() {
        markers.none_in("a message", &delivery.body);
        markers.none_in("the headers of a message", format!("{:?}", delivery.headers));
    }
    channels.were_told_no_secret(&markers);
    channels.refuse();
    asked::in_a_log_for_people(&mut world, &markers).await;
    nothing_is_on_the_disk(&world, &markers, &channels);
    of_the_hooks(&world, &app);
    let log = std::fs::read_to_string(stopped.log).unwrap();
    for line in log.lines() {
        markers.none_in("the log", line);
    }
    for (store, ..) in ECHOES {
        assert!(log.contains(store), "the log does not speak of {store}");
    }
}

/// A world in which every secret is a marked one, and the daemon says all that it can.
async fn marked_world() -> (World, Markers) {
    let mut world = World::start().await;
    let mut markers = Markers::default();
    let signing_secret = STANDARD.encode(SIGNING_KEY);
    let secret_id = std::fs::read_to_string(world.configuration.secret_id_file()).unwrap();
    for (name, secret) in [
        ("the username", USERNAME),
        ("the token", TOKEN),
        ("the pair", &format!("{USERNAME}:{TOKEN}")),
        ("the wrong token", WRONG_TOKEN),
        ("the plain token", PLAIN_TOKEN),
        ("the malformed value", MALFORMED),
        ("the pasted value", PASTED),
        ("the webhook's address", HOOK),
        ("the hook's token", HOOK_TOKEN),
        ("the signing secret", &signing_secret),
        ("the signing key", std::str::from_utf8(SIGNING_KEY).unwrap()),
        ("the secret ID", secret_id.trim()),
        ("the token for reports", REPORT_TOKEN),
        ("the API Path", &format!("localhost:{}/stores", world.bigcommerce.address().port())),
    ] {
        markers.add(name, secret);
    }
    std::fs::write(world.configuration.signing_secret_file(), format!("whsec_{signing_secret}")).unwrap();
    world.configuration.webhook = Some(format!("{}/{HOOK}", world.receiver.url()));
    std::fs::write(report_token_file(&world), REPORT_TOKEN).unwrap();
    let listen = "listen = \"127.0.0.1:0\"";
    let file = report_token_file(&world).display().to_string();
    world.configuration.edit(listen, &format!("{listen}\nreport_token_file = \"{file}\""));
    world.configuration.log_level = "trace";
    world.configuration.repeat_interval = "1s";
    for store in ["acme", "badly-written"].into_iter().chain(ECHOES.map(|(store, ..)| store)) {
        let token = if store == "echo-host" { PLAIN_TOKEN } else { TOKEN };
        world.add_store_without_secret(store);
        world.bigcommerce.set_account(store, USERNAME, token);
        world.write(store, &account(&world, store, token)).await;
    }
    (world, markers)
}

/// Hooks for two stores: a command that writes down all that it gets and complains, and an app that repeats what it
/// is sent as the reason for its refusal.
fn apps_to_tell(world: &mut World) -> Receiver {
    let app = Receiver::start();
    app.echo(500);
    std::fs::write(hook_token_file(world), HOOK_TOKEN).unwrap();
    let home = world.configuration.home().display().to_string();
    let script = format!(
        "{{ env; printf '%s\\n' \"$@\"; cat; tr '\\0' '\\n' < /proc/$$/cmdline; }} >> {home}/hook-saw; env >&2; exit 1"
    );
    std::fs::write(format!("{home}/hook"), script).unwrap();
    let command = format!("command = [\"/bin/sh\", \"{home}/hook\", \"an argument\"]");
    let request = format!("url = \"{}\"\nbearer_token_file = \"{home}/hook-token\"", app.url());
    for (store, hook) in [("acme", command), ("badly-written", request)] {
        let path = format!("path = \"stores/{store}\"");
        let hook = format!("{path}\n[stores.reload]\nmin_interval = \"0s\"\nretries = 1\n{hook}");
        world.configuration.edit(&path, &hook);
    }
    app
}

fn hook_token_file(world: &World) -> PathBuf {
    world.configuration.home().join("hook-token")
}

/// The hooks were run, and what the command wrote down was searched with everything else on the disk.
fn of_the_hooks(world: &World, app: &Receiver) {
    let saw = std::fs::read_to_string(world.configuration.home().join("hook-saw")).unwrap();
    for part in ["BC_SECRETS_SYNC_STORE=acme", "BC_SECRETS_SYNC_GENERATION=", "an argument"] {
        assert!(saw.contains(part), "{part}: {saw}");
    }
    assert!(app.deliveries().iter().all(|told| told.headers["authorization"].contains(HOOK_TOKEN)));
    assert!(!app.deliveries().is_empty());
    let told = world.told();
    for store in ["acme", "badly-written"] {
        let incident = support::world::about(store, "reload_failed", "opened");
        assert!(told.contains(&incident), "{told:?}");
    }
}

fn report_token_file(world: &World) -> PathBuf {
    world.configuration.home().join("report-token")
}

fn api_path(world: &World, store: &str) -> String {
    world.bigcommerce.api_path(store)
}

fn account(world: &World, store: &str, token: &str) -> Account {
    Account { username: USERNAME.to_owned(), api_token: token.to_owned(), api_path: api_path(world, store) }
}

fn fields_of(world: &World, store: &str) -> serde_json::Value {
    fields(&account(world, store, TOKEN))
}

/// The test can fail: the very same search finds the secrets where they belong.
fn the_search_finds_what_is_published(world: &World, markers: &Markers) {
    let files = listing(&world.configuration.output.join("acme"));
    let found = |name: &str| {
        let file = files
            .iter()
            .find(|(path, entry)| path.ends_with(name) && matches!(entry.content, Content::File(_)));
        let Content::File(content) = &file.unwrap().1.content else { unreachable!() };
        markers.found_in(content)
    };
    assert_eq!(found("username"), ["the username"]);
    assert_eq!(found("api_token"), ["the token"]);
    assert_eq!(found("api_path"), ["the API Path"]);
    assert!(found("generation.json").is_empty());
    let read = |path: &Path| markers.found_in(&std::fs::read(path).unwrap());
    assert_eq!(read(&world.configuration.secret_id_file()), ["the secret ID"]);
    assert!(read(&world.configuration.signing_secret_file()).contains(&"the signing secret"));
    let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{USERNAME}:{TOKEN}")));
    assert_eq!(markers.found_in(header.as_bytes()), ["the username", "the token", "the pair"]);
    assert_eq!(markers.found_in(percent_encoded(TOKEN).as_bytes()), ["the token"]);
    assert_eq!(markers.found_in(b"X-Vault-Token: s.abcdefghijABCDEFGHIJ0123"), ["a token of Vault"]);
}

/// Every page, and everything about the process.
async fn look(daemon: &Daemon, pages: &mut Vec<(String, Vec<u8>)>) {
    for page in [
        "/",
        "/status",
        "/v1/incidents",
        "/metrics",
        "/healthz",
        "/livez?verbose",
        "/readyz?verbose",
        "/nowhere",
    ] {
        pages.push((page.to_owned(), daemon.get(page).await.1.into_bytes()));
    }
    pages.push(("the status page".to_owned(), daemon.page("/").await.into_bytes()));
}

/// Reports with the token, with a wrong one and with a file that is not to be used; and a command that is refused.
async fn reports(world: &World, daemon: &Daemon, pages: &mut Vec<(String, Vec<u8>)>) {
    let report = async |store: &str, token: &str| {
        let (status, text) = daemon.post(&format!("/v1/stores/{store}/report"), Some(token)).await;
        (status, ("a report".to_owned(), text.into_bytes()))
    };
    for (store, token, expected) in [
        ("acme", REPORT_TOKEN, 202),
        ("nobody", REPORT_TOKEN, 404),
        ("acme", &format!("{REPORT_TOKEN}{WRONG_TOKEN}"), 401),
        (REPORT_TOKEN, WRONG_TOKEN, 401),
    ] {
        let (status, page) = report(store, token).await;
        assert_eq!(status, expected);
        pages.push(page);
    }
    std::fs::write(report_token_file(world), format!("{REPORT_TOKEN} {REPORT_TOKEN}")).unwrap();
    let (status, page) = report("acme", REPORT_TOKEN).await;
    assert_eq!(status, 503);
    pages.push(page);
    let file = world.configuration.file();
    let arguments = ["silence", "a", "--for", "1h", "--config", file.to_str().unwrap()];
    let finished = run(world.configuration.home(), &arguments).await;
    pages.push(("silence".to_owned(), format!("{}{}", finished.stdout, finished.stderr).into_bytes()));
}

fn of_the_process(daemon: &Daemon, pages: &mut Vec<(String, Vec<u8>)>) {
    for file in ["cmdline", "environ", "status", "comm"] {
        match std::fs::read(format!("/proc/{}/{file}", daemon.pid())) {
            Ok(content) => pages.push((file.to_owned(), content)),
            // The daemon keeps it even from its own user.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{file}"),
        }
    }
}

/// Secrets in fields where they do not belong, and credentials that are wrong.
async fn bad_writes(world: &World, daemon: &Daemon) {
    let good = fields(&account(world, "badly-written", TOKEN));
    for (field, value) in [
        ("api_path", json!(format!("https://{USERNAME}:{MALFORMED}@shop.example/api/v2/"))),
        ("api_path", json!(format!("https://shop.example/api/v2/?token={MALFORMED}"))),
        ("api_path", json!(MALFORMED)),
        ("api_path", json!({ "nested": MALFORMED })),
        ("username", json!(format!("{USERNAME}:{MALFORMED}"))),
        ("api_token", json!(format!("{TOKEN}\n{MALFORMED}"))),
        ("api_token", json!([MALFORMED])),
        ("api_token", json!(WRONG_TOKEN)),
    ] {
        let mut secret = good.clone();
        secret[field] = value;
        let version = world.write_fields("badly-written", secret).await;
        wait_until("the bad write is noticed", async || {
            let store = daemon.store("badly-written").await;
            let noticed = store["detail"].as_str().unwrap().contains(&format!("version {version} "));
            noticed && (store["read_error"].is_string() || store["candidate"]["last_verdict"] == "rejected")
        })
        .await;
    }
    world.write_fields("badly-written", good).await;
    wait_until("mended", async || daemon.state("badly-written").await == "verified").await;
}

/// Stores that repeat the Authorization header wherever an answer has room for it.
async fn echoes(world: &World, daemon: &Daemon) {
    let pair = format!("{USERNAME}:{TOKEN}");
    let basic = STANDARD.encode(&pair);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (store, status, _) in ECHOES {
        let location = if store == "echo-host" {
            format!("https://{PLAIN_TOKEN}.example/{PLAIN_TOKEN}")
        } else {
            let (user, token) = (percent_encoded(USERNAME), percent_encoded(TOKEN));
            format!("https://{user}:{token}@www.example/{token}?authorization={basic}&t={TOKEN}#{basic}")
        };
        let headers = vec![
            header("location", &location),
            header("www-authenticate", &format!("Basic realm=\"{basic}\"")),
            header("x-echo", &format!("Basic {basic}")),
            header("retry-after", &basic),
            header("x-bc-apilimit-remaining", TOKEN),
            header("set-cookie", &format!("session={TOKEN}")),
            header("content-type", "application/json"),
        ];
        let body = json!([{ "status": status, "message": format!("Authorization: Basic {basic} {pair}") }]);
        let body = body.to_string().into_bytes();
        world.bigcommerce.set_behaviour(store, Behaviour::Answer { status, headers, body });
    }
    for (store, _, verdict) in ECHOES {
        wait_until(&format!("{store} is {verdict}"), async || {
            daemon.store(store).await["last_verdict"] == verdict
        })
        .await;
    }
    for (store, cause) in [("echo-401", "regenerated_or_revoked"), ("echo-host", "moved")] {
        wait_until(&format!("an incident about {store}"), async || {
            let status = daemon.status().await;
            let incidents = status["incidents"].as_array().unwrap();
            incidents.iter().any(|incident| incident["store"] == store && incident["cause"] == cause)
        })
        .await;
    }
}

/// Every format, one of which cannot hold the values at first.
async fn files_of_every_format(
    world: &mut World,
    daemon: &Daemon,
    markers: &Markers,
    pages: &mut Vec<(String, Vec<u8>)>,
) {
    let template = world.configuration.home().join("app.j2");
    std::fs::write(&template, "{{ username }} {{ api_token }} {{ basic }} {{ api_path }}").unwrap();
    let mut files = String::new();
    for format in
        ["username", "api_token", "api_path", "json", "properties", "yaml", "netrc", "sap_open_connectors"]
    {
        files += &format!("[[stores.files]]\nname = \"{format}\"\nformat = \"{format}\"\n");
    }
    let template = template.display();
    files += "[[stores.files]]\nname = \"app\"\nformat = \"template\"\n";
    files += &format!("template = \"{template}\"\nescape = \"env\"\n");
    let path = "path = \"stores/acme\"\n";
    world.configuration.edit(path, &format!("{path}{files}"));
    world.configuration.write();
    wait_until("a file cannot be made", async || daemon.store("acme").await["publish_error"].is_string())
        .await;
    look(daemon, pages).await;
    world.configuration.edit("escape = \"env\"", "escape = \"none\"");
    world.configuration.write();
    let app = world.configuration.output.join("acme/app");
    wait_until("every file is made", async || app.exists()).await;
    for file in ["json", "netrc", "sap_open_connectors", "app"] {
        let found = markers.found_in(&std::fs::read(app.with_file_name(file)).unwrap());
        assert!(found.contains(&"the token"), "{file}: {found:?}");
    }
    look(daemon, pages).await;
}

async fn damage_and_a_vault_that_is_away(world: &World, daemon: &Daemon) {
    let file = world.configuration.output.join("acme/..data/api_token");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(&file, WRONG_TOKEN).unwrap();
    world.bao.seal().await;
    wait_until("Vault is missed", async || daemon.metric("source_up").await == Some(0.0)).await;
    world.wait_published("acme", &account(world, "acme", TOKEN)).await;
    world.bao.unseal().await;
    wait_until("Vault is back", async || daemon.metric("source_up").await == Some(1.0)).await;
    let accessors = world.bao.accessors().await;
    world.bao.revoke_accessor(&accessors[0]).await;
    wait_until("logged in again", async || {
        daemon.metric("source_logins_total").await.is_some_and(|logins| logins >= 2.0)
    })
    .await;
}

/// The commands that end by themselves, against everything as it stands; then against a server that repeats
/// what it is sent as the reason for its refusal.
async fn commands(world: &mut World, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut configuration = world.configuration.clone();
    configuration.output = configuration.home().join("another-output");
    configuration.state = configuration.home().join("another-state");
    let echo = Receiver::start();
    for (vault, status) in
        [(None, 0), (Some(echo.url()), 400), (Some(echo.url()), 403), (Some(echo.url()), 500)]
    {
        if let Some(url) = vault {
            echo.echo(status);
            configuration.vault = url;
        }
        for command in [&["check"][..], &["check", "--output", "json"], &["run", "--one-time"]] {
            let finished = run_with(&configuration, command[0], &command[1..]).await;
            assert!(finished.code.is_some_and(|code| code >= 10), "{finished:?}");
            pages.push((
                format!("{command:?}"),
                format!("{}{}", finished.stdout, finished.stderr).into_bytes(),
            ));
        }
        let finished = run_with(&configuration, "validate", &[]).await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        pages.push(("validate".to_owned(), format!("{finished:?}").into_bytes()));
    }
    assert!(!echo.deliveries().is_empty());
    world.configuration.write();
}

/// Everything below the test's directory, the names of files too, but for the files that are there to hold
/// secrets.
fn nothing_is_on_the_disk(world: &World, markers: &Markers, channels: &Channels) {
    let configuration = &world.configuration;
    let belongs = [
        configuration.secret_id_file(),
        configuration.signing_secret_file(),
        configuration.file(),
        hook_token_file(world),
        report_token_file(world),
    ];
    let mut seen = 0;
    for (path, entry) in listing(configuration.home()) {
        let whole = configuration.home().join(&path);
        markers.none_in("the name of a file", path.to_str().unwrap());
        let published = path.to_str().unwrap().contains("output/") && !path.ends_with("generation.json");
        if let Content::File(content) = entry.content
            && !published
            && !belongs.contains(&whole)
            && !channels.secret_files().contains(&whole)
        {
            seen += 1;
            markers.none_in(&format!("{path:?}"), content);
        }
    }
    assert!(seen > ECHOES.len(), "only {seen} files were searched");
    assert!(configuration.state.join("fingerprint.key").exists());
}

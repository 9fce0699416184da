//! The status page in a real Chromium: the demo's story as it happens, and a thousand stores.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Handle;

use super::browser::Browser;
use super::support::wait::wait_within;
use super::support::world::World;

/// How long a thousand stores may take, unoptimised and on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

/// The demo, which tells its story chapter by chapter; stopped when it is dropped.
struct Demo {
    child: Child,
    reader: ChildStdin,
    told: mpsc::Receiver<String>,
    page: String,
    client: reqwest::Client,
    runtime: Handle,
}

impl Demo {
    /// Starts it; its first chapter is told at once.
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"))
            .args(["demo", "--step", "--listen", "127.0.0.1:0", "--directory"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tells, told) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // It would be ended by a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(|line| drop(tells.send(line))));
        bc_secrets_sync::system::crypto::choose();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let (reader, page) = (child.stdin.take().unwrap(), String::new());
        let mut demo = Self { child, reader, told, page, client, runtime: runtime() };
        demo.page = demo.address("status page");
        let started = Instant::now();
        while TcpStream::connect(&demo.page).is_err() {
            assert!(started.elapsed() < LIMIT, "nobody listens on {}", demo.page);
            std::thread::sleep(Duration::from_millis(20));
        }
        demo.page = format!("http://{}", demo.page);
        demo
    }

    /// Waits until it tells this.
    fn until(&self, part: &str) -> String {
        let mut told = String::new();
        loop {
            let line = self.told.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{part:?} is not in {told}"));
            if line.contains(part) {
                return line;
            }
            told += &format!("{line}\n");
        }
    }

    /// Waits until it tells this with an address, and returns that.
    fn address(&self, part: &str) -> String {
        self.until(part).split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
    }

    /// Waits until a chapter is told, which goes before the next one. That begins with [`Demo::go_on`].
    fn chapter_is_told(&self) {
        self.until("Enter goes on");
    }

    fn go_on(&mut self) {
        writeln!(self.reader).unwrap();
    }

    fn press(&self, buttons: &str, button: &str) {
        let request = self.client.post(format!("http://{buttons}/{button}"));
        let answer = self.runtime.block_on(request.send()).unwrap();
        assert_eq!(answer.status(), 200, "{button}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _gone = self.child.wait();
    }
}

/// A runtime on a thread of its own: what the world consists of goes on while the browser is waited for.
fn runtime() -> Handle {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// What the timeline says, the oldest first.
fn timeline(browser: &mut Browser) -> Vec<String> {
    let lines = browser.eval("[...document.querySelectorAll('#timeline li')].map(one => one.innerText)");
    lines.as_array().unwrap().iter().rev().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs Chromium: ./tests/run --real"]
fn real_chromium_shows_the_story_as_it_happens_and_no_secret() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let token = || std::fs::read_to_string(directory.join("secrets/acme/api_token")).unwrap();
    let (mut secrets, mut documents) = (Vec::new(), Vec::new());
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let mut demo = Demo::start(&directory);
    browser.open(&demo.page);
    browser.wait_text("#live", "Live");
    // From here on nobody loads the page again.
    browser.eval("window.untouched = true");

    // The story as the demo tells it. The first chapter may begin before the page is there.
    browser.wait_text("#store-acme", "generation 1, version 1");
    browser.wait_text("#store-acme .state", "verified");
    browser.wait_text(".verdict", "All is well");
    demo.chapter_is_told();
    secrets.push(token());
    browser.shoot("chapter-1-an-account-is-published");
    documents.push(browser.document());

    demo.go_on();
    browser.wait_text("#store-acme .state", "rejected");
    browser.wait_text(".incident h3", "API token regenerated or revoked");
    browser.wait_text("#store-acme", "generation 1, version 1");
    browser.wait_text(".verdict", "1 critical incident");
    demo.chapter_is_told();
    assert_eq!(token(), secrets[0], "the last good set stays");
    browser.shoot("chapter-2-the-token-was-regenerated");
    documents.push(browser.document());

    demo.go_on();
    browser.wait_text("#store-acme", "generation 2, version 2");
    browser.wait_text("#store-acme .state", "verified");
    browser.wait_text("#incidents", "None.");
    demo.chapter_is_told();
    secrets.push(token());
    browser.shoot("chapter-3-caught-up");
    documents.push(browser.document());

    demo.go_on();
    browser.wait_text("#store-acme .state", "rejected");
    browser.wait_text(".verdict", "1 critical incident");
    let buttons = demo.address("/create-account");
    browser.shoot("chapter-4-the-account-was-deleted");
    documents.push(browser.document());

    // All of it is on the timeline, in its order.
    let told = timeline(&mut browser);
    let mut rest = told.iter();
    for part in [
        "logged in to Vault",
        "version 1 in Vault is new",
        "published version 1, which the store accepted, as generation 1",
        "incident opened: API token regenerated or revoked",
        "version 2 in Vault is new",
        "incident resolved: API token regenerated or revoked: regenerated, caught up",
        "published version 2, which the store accepted, as generation 2",
        "incident opened: API token regenerated or revoked",
    ] {
        assert!(rest.any(|line| line.contains(part)), "{part:?} is missing, or comes too early: {told:#?}");
    }

    // Somebody goes on with it.
    browser.eval("document.querySelector('#store-acme summary').focus()");
    browser.press("Enter");
    browser.wait("document.querySelector('#store-acme details').open");
    demo.press(&buttons, "create-account");
    demo.press(&buttons, "write-to-vault");
    browser.wait_text("#store-acme", "generation 3, version 3");
    browser.wait_text(".verdict", "All is well");
    browser.wait_text("#incidents", "None.");
    assert_eq!(browser.eval("document.title"), "All is well \u{2013} bc-secrets-sync");
    browser.wait_text("#said", "No longer open: critical acme: API token regenerated or revoked.");
    browser.shoot("buttons-1-another-account-is-published");
    documents.push(browser.document());
    secrets.push(token());
    // Many updates later the part that was opened is open, and the focus where it was.
    assert_eq!(browser.eval("document.querySelector('#store-acme details').open"), true);
    assert_eq!(browser.eval("document.activeElement.closest('tr')?.id"), "store-acme");

    demo.press(&buttons, "generate-new-token");
    browser.wait_text("#store-acme .state", "rejected");
    browser.wait_text(".incident h3", "API token regenerated or revoked");
    browser.wait_text(".incident", "Generate New Token");
    browser.wait_text(".incident", "with 401");
    browser.wait("document.querySelector('#store-acme a.minor').hash.startsWith('#acme:regenerated')");
    browser.wait_text("#said", "New incident: critical acme");
    browser.shoot("buttons-2-the-token-was-regenerated");
    documents.push(browser.document());

    demo.press(&buttons, "write-to-vault");
    browser.wait_text("#store-acme", "generation 4, version 4");
    browser.wait_text(".verdict", "All is well");
    browser.shoot("buttons-3-caught-up");
    documents.push(browser.document());
    secrets.push(token());

    demo.press(&buttons, "mistype");
    browser.wait_text(".incident h3", "new credentials in Vault are rejected by the store");
    browser.wait_text("#store-acme", "version 5 in Vault is tried again");
    browser.wait_text("#store-acme", "generation 4, version 4");
    browser.wait_text(".verdict", "1 warning");
    browser.shoot("buttons-4-a-mistyped-token");
    documents.push(browser.document());

    demo.press(&buttons, "delete-account");
    browser.wait_text(".verdict", "1 critical incident");
    browser.look(1280, "dark");
    browser.shoot("buttons-5-deleted-dark");
    browser.look(400, "light");
    browser.shoot("buttons-5-deleted-narrow");
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth <= innerWidth"),
        true,
        "nothing sticks out"
    );
    documents.push(browser.document());
    assert_eq!(browser.eval("window.untouched"), true, "the page was loaded again");

    // Each of the tokens that were published, and the mistyped one, which begins with one of them.
    assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(documents.len(), 9);
    for (document, secret) in documents.iter().flat_map(|one| secrets.iter().map(move |secret| (one, secret)))
    {
        assert!(secret.len() > 10 && !document.contains(secret.as_str()));
    }
    for name in ["integration", "warehouse"] {
        assert!(documents.iter().all(|document| !document.contains(name)), "a Username");
    }
    assert_eq!(browser.eval("document.cookie"), "");
    assert_eq!(browser.eval("localStorage.length + sessionStorage.length"), 0);
    let elsewhere = |asked: &&String| !asked.starts_with(&demo.page) && *asked != "about:blank";
    assert_eq!(browser.asked().iter().filter(elsewhere).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(browser.complaints(), [""; 0]);

    // The daemon ends: the page says that it is no longer live.
    drop(demo);
    browser.wait_text("#live", "Not live since");
    browser.shoot("buttons-6-not-live");
}

#[test]
#[ignore = "needs Chromium: ./tests/run --real"]
fn real_chromium_is_at_ease_with_a_thousand_stores() {
    let runtime = runtime();
    let (world, daemon) = runtime.block_on(async {
        let mut world = World::start().await;
        world.configuration.check_interval = "60s";
        world.configuration.poll_interval = "60s";
        for number in 0..1_000 {
            let name = format!("store-{number:04}");
            if number == 700 {
                world.add_store_without_secret(&name);
            } else {
                world.add_store(&name).await;
            }
        }
        let daemon = world.daemon().await;
        wait_within(LIMIT, "all but one are published", async || {
            let status = daemon.status().await;
            let stores = status["stores"].as_array().unwrap();
            (stores.iter().filter(|store| store["state"] == "verified").count() == 999).then_some(())
        })
        .await;
        (world, daemon)
    });

    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&format!("http://{}/", daemon.address()));
    browser.wait_text("#live", "Live");
    let shown = "[...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden).map(row => row.dataset.name)";
    assert_eq!(browser.eval(&format!("{shown}.length")), 1_000);
    assert_eq!(browser.eval(&format!("{shown}[0]")), "store-0700", "the worst is first");
    browser.shoot("thousand-light-wide");
    browser.look(1280, "dark");
    browser.shoot("thousand-dark-wide");
    browser.look(400, "dark");
    browser.shoot("thousand-dark-narrow");
    browser.look(1280, "light");

    // The filter, by the keyboard.
    browser.eval("document.querySelector('input[name=q]').focus()");
    browser.order("Input.insertText", serde_json::json!({"text": "0042"}));
    browser.wait(&format!("{shown}.join() === 'store-0042'"));
    browser.wait_text("#shown", "1 of 1000 stores are shown.");
    browser.press("Tab");
    assert_eq!(browser.eval("document.activeElement.name"), "state");
    browser.shoot("thousand-filtered");
    browser.eval("document.querySelector('input[name=q]').value = ''");
    browser.eval("document.querySelector('#counts a.verified').click()");
    browser.wait(&format!("{shown}.length === 999"));

    // One of them changes: it moves to the top.
    browser.eval("document.querySelector('#counts a.verified').click()");
    world.bigcommerce.regenerate_token("store-0123");
    daemon.signal(Signal::USR1);
    browser.wait(&format!("{shown}.indexOf('store-0123') < 2"));
    browser.wait_text("#store-store-0123 .state", "rejected");
    browser.shoot("thousand-one-is-rejected");

    // A whole pass over a thousand rows must not freeze the page.
    let longest = browser.eval(
        "new Promise(done => { let longest = 0, last = performance.now(); const end = last + 5000; \
         (function tick() { const now = performance.now(); longest = Math.max(longest, now - last); last = now; \
         now < end ? setTimeout(tick, 10) : done(longest); })(); })",
    );
    assert!(longest.as_f64().unwrap() < 1_000.0, "the page stood still for {longest} ms");

    // Without a script, the form asks the server.
    browser.order("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": true}));
    browser.open(&format!("http://{}/?q=012&sort=name", daemon.address()));
    browser.shoot("thousand-without-script");
    let page = runtime.block_on(daemon.page("/?q=012&state=verified&sort=name"));
    assert!(page.contains("store-0012") && !page.contains("store-0013"), "{page}");
    assert!(page.contains("This page does not follow by itself: reload it."));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs Chromium: ./tests/run --real"]
fn real_chromium_shows_the_page_over_tls_to_those_who_know_the_token() {
    const TOKEN: &str = "page-token-0123456789";
    let runtime = runtime();
    let (world, daemon) = runtime.block_on(async {
        let mut world = World::start().await;
        world.add_store("acme").await;
        let home = world.configuration.home().to_owned();
        let file = |name: &str, text: &str| {
            std::fs::write(home.join(name), text).unwrap();
            home.join(name).display().to_string()
        };
        let (certificate, key) = world.authority.issue(&[], None).unwrap();
        let (certificate, key) = (file("http.crt", &certificate), file("http.key", &key));
        let listen = "listen = \"127.0.0.1:0\"";
        let guarded = format!("{listen}\ntoken_file = \"{}\"", file("http-token", TOKEN));
        world.configuration.edit(listen, &guarded);
        world.configuration.more =
            format!("\n[http.tls]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n");
        let daemon = world.daemon().await;
        (world, daemon)
    });
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.attend();
    let page = format!("https://{}/", daemon.address());
    browser.open(&page);
    browser.wait_text("body", "send the token that is in the file that http.token_file names");
    assert_eq!(browser.prompts(), 1);
    let complaints = browser.complaints().len();

    browser.know(TOKEN);
    browser.open(&page);
    browser.wait_text("#live", "Live");
    browser.wait_text("#store-acme .state", "verified");
    world.bigcommerce.regenerate_token("acme");
    browser.wait_text("#store-acme .state", "rejected");
    browser.wait_text(".verdict", "1 critical incident");
    browser.shoot("over-tls-with-a-token");
    assert_eq!(browser.prompts(), 2, "script, style and events need no further word");
    let events = format!("{page}events");
    assert!(browser.asked().iter().any(|asked| asked.starts_with(&events)));
    assert!(!browser.document().contains(TOKEN));
    assert_eq!(browser.eval("document.cookie"), "");
    // Of the page that was refused it asks for an icon, in its own time.
    let later = browser.complaints()[complaints..].iter().filter(|one| !one.contains("/favicon.ico"));
    assert_eq!(later.collect::<Vec<_>>(), [""; 0], "nothing was refused");
}

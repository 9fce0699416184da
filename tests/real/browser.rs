//! A real Chromium, driven over the two pipes of its DevTools protocol: no driver and no port.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take; a browser starts in 5 s, and slowly on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Names the directory that screenshots are written to.
const SCREENSHOTS: &str = "BC_SECRETS_SYNC_SCREENSHOTS";

/// One browser with one page.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: mpsc::Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// What the page has complained of, such as what its policy refused.
    complaints: Vec<String>,
    /// Every address that was asked for.
    asked: Vec<String>,
    /// The password that is typed when one is asked for; none: that is cancelled.
    password: Option<&'static str>,
    /// How often one was asked for.
    prompts: usize,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            // It listens on descriptor 3 and answers on 4.
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 >/dev/null", "chromium"])
            .args(["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"])
            .args(["--disable-background-networking", "--no-first-run", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(profile.path().join("log")).unwrap())
            .spawn()
            .expect("chromium: ./tests/run --real says what it needs");
        let (orders, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (said, answers) = mpsc::channel();
        thread::spawn(move || listen(output, &said));
        let (session, number) = (None, 0);
        let (complaints, asked) = (Vec::new(), Vec::new());
        let (password, prompts, _profile) = (None, 0, profile);
        let mut browser =
            Self { child, orders, answers, session, number, complaints, asked, password, prompts, _profile };
        let target = browser.order("Target.createTarget", json!({"url": "about:blank"}));
        let to = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.order("Target.attachToTarget", to);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.order(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// From now on it accepts any certificate, and somebody is there to answer when it asks for a password.
    pub(crate) fn attend(&mut self) {
        self.order("Security.setIgnoreCertificateErrors", json!({"ignore": true}));
        self.order("Fetch.enable", json!({"handleAuthRequests": true}));
    }

    /// Types this password from now on.
    pub(crate) fn know(&mut self, password: &'static str) {
        self.password = Some(password);
    }

    /// How often it has asked for a password.
    pub(crate) fn prompts(&self) -> usize {
        self.prompts
    }

    /// Sends an order; its result is not waited for.
    fn tell(&mut self, method: &str, parameters: Value) {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        self.orders.write_all(order.to_string().as_bytes()).unwrap();
        self.orders.write_all(b"\0").unwrap();
    }

    /// Sends an order and waits for its result.
    pub(crate) fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.tell(method, parameters);
        let number = self.number;
        loop {
            let said = self.answers.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no answer: {method}"));
            if said["id"] == number {
                assert_eq!(said["error"], Value::Null, "{method}");
                return said["result"].clone();
            }
            self.note(&said);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Log.entryAdded") => self.complaints.push(parameters["entry"].to_string()),
            Some("Runtime.exceptionThrown") => self.complaints.push(parameters.to_string()),
            Some("Runtime.consoleAPICalled") => self.complaints.push(parameters["args"].to_string()),
            Some("Network.requestWillBeSent") => {
                self.asked.push(parameters["request"]["url"].as_str().unwrap().to_owned());
            }
            Some("Fetch.requestPaused") => {
                self.tell("Fetch.continueRequest", json!({"requestId": parameters["requestId"]}));
            }
            Some("Fetch.authRequired") => {
                self.prompts += 1;
                let typed = match self.password {
                    Some(password) => {
                        json!({"response": "ProvideCredentials", "username": "me", "password": password})
                    }
                    None => json!({"response": "CancelAuth"}),
                };
                let answer = json!({"requestId": parameters["requestId"], "authChallengeResponse": typed});
                self.tell("Fetch.continueWithAuth", answer);
            }
            _ => {}
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.order("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression comes to.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.order("Runtime.evaluate", asked);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true; when it never is, the page's text says how it was.
    pub(crate) fn wait(&mut self, expression: &str) {
        let started = Instant::now();
        while self.eval(expression) != true {
            if started.elapsed() > DEADLINE {
                let text = self.eval("document.body.innerText");
                panic!("not within {DEADLINE:?}: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an element's text has this part.
    pub(crate) fn wait_text(&mut self, selector: &str, part: &str) {
        let (selector, part) = (Value::from(selector), Value::from(part));
        self.wait(&format!("!!document.querySelector({selector})?.textContent.includes({part})"));
    }

    /// The whole document as it stands, with what the script made of it.
    pub(crate) fn document(&mut self) -> String {
        self.eval("document.documentElement.outerHTML").as_str().unwrap().to_owned()
    }

    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let code = match key {
                "Tab" => 9,
                "Enter" => 13,
                other => panic!("{other}: not a key that tests press"),
            };
            let text = if key == "Enter" { "\r" } else { "" };
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.order("Input.dispatchKeyEvent", event);
        }
    }

    pub(crate) fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.order("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.order("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes what is to be seen: the page, up to a height that can be looked at.
    #[allow(clippy::print_stdout, reason = "says where to look")]
    pub(crate) fn shoot(&mut self, name: &str) {
        let height = self.eval("Math.min(document.documentElement.scrollHeight, 2400)");
        let width = self.eval("innerWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.order("Page.captureScreenshot", wanted);
        let image = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        let path = screenshots().join(format!("{name}.png"));
        std::fs::write(&path, image).unwrap();
        println!("screenshot: {}", path.display());
    }

    /// What the page has complained of so far.
    pub(crate) fn complaints(&mut self) -> &[String] {
        // All that was said before is here before this answer.
        self.eval("0");
        &self.complaints
    }

    /// Every address that was asked for so far.
    pub(crate) fn asked(&self) -> &[String] {
        &self.asked
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have gone by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn listen(output: ChildStdout, said: &mpsc::Sender<Value>) {
    let mut output = BufReader::new(output);
    let mut text = Vec::new();
    while output.read_until(0, &mut text).is_ok_and(|read| read > 0) {
        text.pop();
        let Ok(message) = serde_json::from_slice(&text) else { break };
        if said.send(message).is_err() {
            break;
        }
        text.clear();
    }
}

fn screenshots() -> PathBuf {
    let directory = std::env::var_os(SCREENSHOTS)
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots"), PathBuf::from);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

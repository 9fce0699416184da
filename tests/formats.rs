//! Each format is read back by a parser that is not ours: by `sh`, and with `./tests/run --real` by Python, Java and
//! curl.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use bc_secrets_sync::config::{Config, Environment};
use bc_secrets_sync::domain::credentials::{
    AddressPolicy, Credentials, Field, FieldNames, Fields, StoreName,
};
use bc_secrets_sync::domain::publication::{GenerationStamp, PublishFault};
use bc_secrets_sync::domain::secret::{FingerprintKey, Secret};
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::version::Version;
use bc_secrets_sync::publish::Publisher;
use bc_secrets_sync::sandbox::authority::Authority;
use bc_secrets_sync::sandbox::store::SimulatedBigCommerce;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tempfile::TempDir;

/// Names a Python that has the packages of `./tests/run --real`.
const PYTHON: &str = "BC_SECRETS_SYNC_TEST_PYTHON";
const API_PATH: &str = "https://store1.mybigcommerce.com/api/v2/";

/// Values that something between us and an app might take for its own.
const HOSTILE: [&str; 22] = [
    "plain",
    "with space",
    " space around ",
    "quotes \" and ' and `",
    "\"quoted\"",
    "'quoted'",
    "$HOME ${HOME} $(id) `id`",
    "#begins",
    "a #comment",
    "back\\slash\\n\\",
    "semi;colon&ampersand|pipe",
    "* ? [a-z] {a,b} ~",
    "~",
    "!history",
    "%percent%s",
    "=+-@",
    "<b>&amp;</b>",
    "{{ username }} {% raw %}",
    "caf\u{e9} \u{65e5}\u{672c} \u{1f600} \u{10ffff}",
    "\u{a0}\u{2028}\u{2029}\u{feff}\u{ad}",
    "null",
    "- ? : , [ ] { } | > @ *a &a !t",
];

/// One store's values and where they were published.
struct Set {
    username: String,
    api_token: String,
    api_path: String,
    directory: PathBuf,
}

/// What was published, one directory a set.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Publishes a set in files: name and format, or name, `template:ESCAPE` and the template.
    fn publish(
        &self,
        store: &str,
        [username, api_token, api_path]: [&str; 3],
        files: &[(&str, &str, &str)],
    ) -> Result<Set, PublishFault> {
        let output = self.root.path().join("output");
        let mut text = format!(
            "[vault]\naddress = \"https://vault.example\"\n[vault.auth.token_file]\npath = \"/token\"\n\
             [[stores]]\nname = \"{store}\"\npath = \"a\"\n[output]\ndirectory = \"{}\"\n",
            output.display()
        );
        for (name, format, template) in files {
            write!(text, "[[output.files]]\nname = \"{name}\"\n").unwrap();
            match format.strip_prefix("template:") {
                Some(escape) => {
                    let file = self.root.path().join(format!("{name}.template"));
                    std::fs::write(&file, template).unwrap();
                    let file = file.display();
                    writeln!(text, "format = \"template\"\ntemplate = \"{file}\"\nescape = \"{escape}\"")
                        .unwrap();
                }
                None => writeln!(text, "format = \"{format}\"").unwrap(),
            }
        }
        let config = Config::parse(&text, "config.toml", &Environment::empty()).unwrap();
        let key = Arc::new(FingerprintKey::new(&[7; 32]));
        let publisher = Publisher::of(&config, key.clone()).unwrap();
        publisher.prepare().unwrap();
        let field = |text: &str| Field::Text(Secret::new(text.to_owned()));
        let fields =
            Fields { username: field(username), api_token: field(api_token), api_path: field(api_path) };
        let credentials =
            Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::AllowPrivate.into());
        let credentials = Arc::new(credentials.unwrap());
        let stamp = GenerationStamp {
            generation: 1,
            version: Version::Unnumbered,
            version_created_at: None,
            fingerprint: credentials.fingerprint(&key),
            published_at: Timestamp::from_millis(0),
            verified_at: None,
            restores: None,
            files_fingerprint: None,
        };
        publisher.publish(&StoreName::parse(store).unwrap(), &credentials, &stamp)?;
        Ok(Set {
            username: username.to_owned(),
            api_token: api_token.to_owned(),
            api_path: api_path.to_owned(),
            directory: output.join(store),
        })
    }

    /// Publishes hostile pairs of values in files.
    fn publish_hostile(&self, files: &[(&str, &str, &str)]) -> Vec<Set> {
        let values = hostile();
        let pairs = values.iter().zip(values.iter().skip(1).chain(values.first()));
        let publish = |(at, (username, token)): (usize, (&String, &String))| {
            // A Username has no colon.
            let username = username.replace(':', ".");
            self.publish(&format!("store{at}"), [&username, token, API_PATH], files).unwrap()
        };
        pairs.enumerate().map(publish).collect()
    }
}

/// The table, and as many more that nobody has thought of: always the same ones.
fn hostile() -> Vec<String> {
    let mut values: Vec<String> = HOSTILE.map(str::to_owned).into();
    values.extend(drawn("[^\\p{Cc}]{1,30}", 40));
    values.extend(drawn("[ -~]{1,30}", 60));
    values.retain(|value| !value.trim().is_empty());
    values
}

fn drawn(pattern: &str, count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let strategy = proptest::string::string_regex(pattern).unwrap();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn succeeded(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a shell has in three variables after it has read a file.
fn sourced(shell: &str, file: &Path) -> Vec<String> {
    let script = r#". "$0"; printf '%s\0%s\0%s' "$BIGCOMMERCE_USERNAME" "$BIGCOMMERCE_API_TOKEN" "$BIGCOMMERCE_API_PATH""#;
    // In a directory where patterns would find something, and with a home.
    let mut command = Command::new(shell);
    command.arg("-c").arg(script).arg(file).env_clear().env("HOME", "/home/somebody").current_dir("/");
    let text = String::from_utf8(succeeded(command.output().unwrap())).unwrap();
    text.split('\0').map(str::to_owned).collect()
}

/// What `docker run --env-file` takes from a file: all that follows the first `=` of a line, as it is.
fn as_docker_does(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    let mut pairs: Vec<_> = pairs.collect();
    assert_eq!(
        pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(),
        ["BIGCOMMERCE_USERNAME", "BIGCOMMERCE_API_TOKEN", "BIGCOMMERCE_API_PATH"]
    );
    pairs.drain(..).map(|(_, value)| value.to_owned()).collect()
}

const ENV: [(&str, &str, &str); 1] = [("credentials.env", "env", "")];

/// Pairs that the env format takes.
fn publish_env(place: &Place) -> Vec<Set> {
    let tokens = drawn("[A-Za-z0-9_./:@%+=,-]{1,40}", 40);
    let users = drawn("[A-Za-z0-9_./@%+=,-]{1,20}", 40);
    let pairs = users.iter().zip(&tokens).enumerate();
    let publish = |(at, (user, token)): (usize, (&String, &String))| {
        place.publish(&format!("store{at}"), [user, token, API_PATH], &ENV).unwrap()
    };
    pairs.map(publish).collect()
}

#[test]
fn a_shell_and_an_env_file_reader_take_the_same_from_an_env_file() {
    let place = Place::new();
    for set in publish_env(&place) {
        let file = set.directory.join("credentials.env");
        let expected = [set.username, set.api_token, set.api_path];
        assert_eq!(sourced("sh", &file), expected);
        assert_eq!(as_docker_does(&file), expected);
    }
}

#[test]
fn what_they_would_take_differently_is_refused_and_nothing_is_published() {
    let place = Place::new();
    for (at, value) in hostile().into_iter().enumerate() {
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&byte));
        let store = format!("store{at}");
        let result = place.publish(&store, ["user", &value, API_PATH], &ENV);
        assert_eq!(result.is_ok(), plain, "{value:?}");
        if let Err(fault) = result {
            assert!(
                fault.path.ends_with("/credentials.env") && fault.reason.starts_with("the API Token has"),
                "{fault}"
            );
            assert!(!place.root.path().join("output").join(&store).exists());
        }
    }
}

#[test]
fn a_shell_reads_whatever_a_template_writes_for_it() {
    let place = Place::new();
    let template = "BIGCOMMERCE_USERNAME={{ username }}\nBIGCOMMERCE_API_TOKEN={{ api_token }} \
                    BIGCOMMERCE_API_PATH={{ api_path }}\n";
    for set in place.publish_hostile(&[("a.sh", "template:shell", template)]) {
        assert_eq!(sourced("sh", &set.directory.join("a.sh")), [set.username, set.api_token, set.api_path]);
    }
}

#[test]
fn the_values_themselves_hold_exactly_the_bytes() {
    let place = Place::new();
    let files = [("user", "username", ""), ("token", "api_token", ""), ("path", "api_path", "")];
    for set in place.publish_hostile(&files) {
        let read = |name: &str| std::fs::read_to_string(set.directory.join(name)).unwrap();
        assert_eq!(
            [read("user"), read("token"), read("path")],
            [&*set.username, &*set.api_token, &*set.api_path]
        );
    }
}

/// Values that no file is ever made of: the border takes them from no secret.
#[test]
fn line_breaks_nul_and_endless_values_are_refused_before_any_format() {
    let long = "a".repeat(64 << 10);
    for token in ["a\nb", "a\rb", "a\0b", "a\u{85}b", "a\tb", &long] {
        let field = |text: &str| Field::Text(Secret::new(text.to_owned()));
        let fields = Fields { username: field("user"), api_token: field(token), api_path: field(API_PATH) };
        let error = Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into())
            .unwrap_err();
        assert_eq!(error.field, "api_token");
    }
}

fn python(script: &str, sets: &[Set]) -> Vec<Value> {
    let python = std::env::var_os(PYTHON)
        .unwrap_or_else(|| panic!("{PYTHON} must name a python3 with the packages of ./tests/run --real"));
    let directories = sets.iter().map(|set| &set.directory);
    let output =
        Command::new(python).args(["-c", script]).args(directories).env("HOME", "/").output().unwrap();
    let text = String::from_utf8(succeeded(output)).unwrap();
    let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), sets.len());
    read
}

#[test]
#[ignore = "needs Python and its packages: ./tests/run --real"]
fn real_python_reads_json_yaml_xml_and_netrc() {
    let place = Place::new();
    let xml = "<a user=\"{{ username }}\" token='{{ api_token }}'>{{ api_path }}</a>\n";
    let json = "{\"username\": {{ username }}, \"api_token\": {{ api_token }}, \"api_path\": {{ api_path }}}";
    let sets = place.publish_hostile(&[
        ("a.json", "json", ""),
        ("a.yaml", "yaml", ""),
        ("b.yaml", "template:yaml", json),
        ("b.json", "template:json", json),
        (".netrc", "netrc", ""),
        ("a.xml", "template:html", xml),
        ("instance.json", "sap_open_connectors", ""),
    ]);
    let script = r#"
import json, netrc, os, sys
import xml.etree.ElementTree as etree
from ruamel.yaml import YAML
for directory in sys.argv[1:]:
    path = lambda name: os.path.join(directory, name)
    three = lambda read: [read["username"], read["api_token"], read["api_path"]]
    found = []
    for name in "a.json", "b.json":
        found.append(three(json.load(open(path(name), encoding="utf-8"))))
    for name in "a.yaml", "b.yaml":
        found.append(three(YAML(typ="safe", pure=True).load(open(path(name), encoding="utf-8").read())))
    root = etree.parse(path("a.xml")).getroot()
    found.append([root.get("user"), root.get("token"), root.text])
    login, _, password = netrc.netrc(path(".netrc")).authenticators("store1.mybigcommerce.com")
    found.append([login, password, "https://store1.mybigcommerce.com/api/v2/"])
    instance = json.load(open(path("instance.json"), encoding="utf-8"))
    assert instance["element"] == {"key": "bigcommerce"}, instance
    assert instance["tags"] == [instance["name"]] == [os.path.basename(directory)], instance
    assert set(instance) == {"element", "configuration", "tags", "name"}, instance
    configuration = instance["configuration"]
    found.append([configuration["username"], configuration["password"], configuration["store.url"] + "/"])
    print(json.dumps(found))
"#;
    for (set, read) in sets.iter().zip(python(script, &sets)) {
        let expected = [&set.username, &set.api_token, &set.api_path];
        for (at, found) in read.as_array().unwrap().iter().enumerate() {
            assert_eq!(*found, serde_json::json!(expected), "reader {at}");
        }
    }
}

#[test]
#[ignore = "needs Python and its packages: ./tests/run --real"]
fn real_python_dotenv_reads_an_env_file_as_a_shell_does() {
    let place = Place::new();
    let sets = publish_env(&place);
    let script = r#"
import json, os, sys
import dotenv
for directory in sys.argv[1:]:
    read = dotenv.dotenv_values(os.path.join(directory, "credentials.env"))
    print(json.dumps([read["BIGCOMMERCE_USERNAME"], read["BIGCOMMERCE_API_TOKEN"], read["BIGCOMMERCE_API_PATH"]]))
"#;
    for (set, read) in sets.iter().zip(python(script, &sets)) {
        assert_eq!(read, serde_json::json!([set.username, set.api_token, set.api_path]));
        let file = set.directory.join("credentials.env");
        assert_eq!(sourced("bash", &file), [&*set.username, &*set.api_token, &*set.api_path]);
    }
}

#[test]
#[ignore = "needs a JDK: ./tests/run --real"]
fn real_java_reads_properties() {
    let place = Place::new();
    let template =
        "# {{ store }}\nusername = {{ username }}\napi_token:{{ api_token }}\napi_path {{ api_path }}\n";
    let sets = place.publish_hostile(&[
        ("a.properties", "properties", ""),
        ("b.properties", "template:properties", template),
    ]);
    let program = place.root.path().join("Read.java");
    std::fs::write(
        &program,
        r#"
import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Properties;

public class Read {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            Properties read = new Properties();
            try (FileInputStream in = new FileInputStream(file)) { read.load(in); }
            if (read.size() != 3) throw new Exception(file + ": " + read.keySet());
            for (String key : new String[] {"username", "api_token", "api_path"}) {
                byte[] bytes = read.getProperty(key).getBytes(StandardCharsets.UTF_8);
                System.out.println(HexFormat.of().formatHex(bytes));
            }
        }
    }
}
"#,
    )
    .unwrap();
    let files = ["a.properties", "b.properties"];
    let paths = sets.iter().flat_map(|set| files.map(|name| set.directory.join(name)));
    let output = Command::new("java").arg(&program).args(paths).output().expect("java is not on PATH");
    let read = String::from_utf8(succeeded(output)).unwrap();
    let hex = |text: &String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = sets.iter().flat_map(|set| [set; 2]);
    let expected: Vec<String> =
        expected.flat_map(|set| [&set.username, &set.api_token, &set.api_path]).map(hex).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
#[ignore = "needs curl: ./tests/run --real"]
async fn real_curl_logs_in_with_a_netrc_file() {
    let authority = Authority::new().unwrap();
    let bigcommerce = SimulatedBigCommerce::start(([127, 0, 0, 1], 0).into(), &authority).await.unwrap();
    let place = Place::new();
    let certificate = place.root.path().join("ca.pem");
    std::fs::write(&certificate, authority.ca_pem()).unwrap();
    // As long as a line may be, plainly and with every character escaped.
    let mut tokens = hostile();
    tokens.extend(["x".repeat(4085), "\"".repeat(2041)]);
    for (at, token) in tokens.iter().enumerate() {
        let (store, username) =
            (format!("store{at}"), token.replace(':', ".").chars().take(100).collect::<String>());
        let username = if username.trim().is_empty() { "user".to_owned() } else { username };
        bigcommerce.set_account(&store, &username, token);
        let path = bigcommerce.api_path(&store);
        let set = place.publish(&store, [&username, token, &path], &[(".netrc", "netrc", "")]).unwrap();
        let ask = async |file: PathBuf| {
            let mut curl = tokio::process::Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--write-out",
                "%{http_code}",
                "--output",
            ])
            .args(["/dev/null", "--cacert"])
            .arg(&certificate)
            .arg("--netrc-file")
            .arg(file)
            .arg(format!("{path}time"));
            String::from_utf8(succeeded(curl.output().await.expect("curl is not on PATH"))).unwrap()
        };
        assert_eq!(ask(set.directory.join(".netrc")).await, "200", "{token:?}");
        if at == 0 {
            // The store does tell.
            let wrong = place.root.path().join("wrong");
            std::fs::write(&wrong, "machine localhost login user password wrong\n").unwrap();
            assert_eq!(ask(wrong).await, "401");
        }
    }
    for token in ["x".repeat(4086), "\"".repeat(2042)] {
        let fault =
            place.publish("long", ["user", &token, API_PATH], &[(".netrc", "netrc", "")]).err().unwrap();
        assert!(fault.reason.contains("too long for curl"), "{fault}");
    }
}

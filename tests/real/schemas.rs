//! Kubernetes' own schemas, by Python: what each version has against an object.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::PYTHON;

/// What is said of some objects.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    /// The objects as they were read.
    pub(crate) objects: Vec<Value>,
    /// What is wrong, for each version that there are schemas of.
    pub(crate) problems: BTreeMap<String, Vec<String>>,
}

impl Said {
    /// No version has anything against them, and those that matter were asked.
    pub(crate) fn assert_allowed(&self) {
        let versions: Vec<_> = self.problems.keys().map(String::as_str).collect();
        for version in ["v1.29.0", "v1.32.0", "v1.37.0"] {
            assert!(versions.contains(&version), "{versions:?}");
        }
        assert!(self.problems.values().all(Vec::is_empty), "{:#?}", self.problems);
    }

    /// Every version has something against them.
    pub(crate) fn assert_refused(&self) {
        assert!(self.problems.values().all(|problems| !problems.is_empty()), "{:#?}", self.problems);
    }
}

/// The Python that has the packages.
pub(crate) fn python() -> PathBuf {
    let python = std::env::var_os(PYTHON).map(PathBuf::from);
    python.unwrap_or_else(|| panic!("{PYTHON} must name a python3; ./tests/run --real makes one"))
}

/// Asks about these objects.
pub(crate) fn of_objects(objects: &[Value]) -> Said {
    run(&[], &serde_json::to_string(objects).unwrap())
}

/// Asks Kubernetes 1.29 and newer about the documents of a text in YAML.
pub(crate) fn of_yaml(text: &str) -> Said {
    run(&["--manifests"], text)
}

/// Reads the documents of a text in YAML, as Kubernetes does, and asks nothing.
pub(crate) fn read_yaml(text: &str) -> Vec<Value> {
    run(&["--read"], text).objects
}

fn run(arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/kubernetes_schemas.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

//! Publishes one set after the other, for `tests/measure`: prints how many microseconds each publication took.
//!
//! `publish DIRECTORY COUNT`: the directory must not exist yet. The first two publications, which make directories and
//! remove nothing, are not counted.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a measurement")]

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bc_secrets_sync::config::Output;
use bc_secrets_sync::domain::credentials::{
    AddressPolicy, Credentials, Field, FieldNames, Fields, StoreName,
};
use bc_secrets_sync::domain::publication::GenerationStamp;
use bc_secrets_sync::domain::secret::{FingerprintKey, Secret};
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::version::Version;
use bc_secrets_sync::publish::Publisher;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Whoever runs all targets as tests asks for a list of tests: there is none.
    let [directory, count] = arguments.as_slice() else {
        eprintln!("usage: publish DIRECTORY COUNT");
        return;
    };
    let (directory, count) = (directory.into(), count.parse::<u64>().unwrap());
    let key = Arc::new(FingerprintKey::new(&[7; 32]));
    // The defaults of the configuration.
    let output = Output { directory, file_mode: 0o440, directory_mode: 0o750, owner: None, group: None };
    let publisher = Publisher::new(&output, Arc::clone(&key));
    publisher.prepare().unwrap();
    let store = StoreName::parse("example").unwrap();
    for generation in 1..=count + 2 {
        let text = |text: String| Field::Text(Secret::new(text));
        let fields = Fields {
            username: text("warehouse".to_owned()),
            api_token: text(format!("{generation:040x}")),
            api_path: text("https://store-abc.mybigcommerce.com/api/v2/".to_owned()),
        };
        let credentials = Arc::new(
            Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into()).unwrap(),
        );
        let now = Timestamp::from(SystemTime::now());
        let stamp = GenerationStamp {
            generation,
            version: Version::numbered(generation).unwrap(),
            version_created_at: Some(now),
            fingerprint: credentials.fingerprint(&key),
            published_at: now,
            verified_at: Some(now),
            restores: None,
            files_fingerprint: None,
        };
        let begun = Instant::now();
        publisher.publish(&store, &credentials, &stamp).unwrap();
        let took = begun.elapsed();
        if generation > 2 {
            println!("{:.1}", took.as_secs_f64() * 1e6);
        }
    }
}

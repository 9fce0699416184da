//! The listener over TLS: what it shows, what it does with others, and files that change.

use std::path::Path;
use std::time::SystemTime;

use reqwest::{Certificate, Client};
use tempfile::TempDir;

use super::*;
use crate::config::ServerTls;
use crate::sandbox::authority::Authority;
use crate::system::crypto;

struct Files {
    directory: TempDir,
    tls: ServerTls,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tls = ServerTls {
            certificate_file: directory.path().join("tls.crt"),
            key_file: directory.path().join("tls.key"),
        };
        Self { directory, tls }
    }

    fn write(&self, (certificate, key): &(String, String)) {
        for (path, text) in [(&self.tls.certificate_file, certificate), (&self.tls.key_file, key)] {
            replace(path, text);
        }
    }

    fn rules(&self) -> Rules {
        rules(Http { tls: Some(self.tls.clone()), ..http() })
    }

    fn error(&self) -> String {
        let http = Http { tls: Some(self.tls.clone()), ..http() };
        crate::system::errors::chain(&Rules::load(&http).unwrap_err())
    }
}

fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

/// Asks with a connection of its own, trusting one authority.
async fn ask(running: &Running, authority: &Authority, path: &str) -> Result<(u16, String), reqwest::Error> {
    crypto::choose();
    let root = Certificate::from_pem(authority.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).no_proxy().build().unwrap();
    let answer = client.get(format!("https://{}{path}", running.address)).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn it_speaks_tls_and_tells_those_who_do_not() {
    let (authority, files) = (Authority::new().unwrap(), Files::new());
    files.write(&authority.issue(&[], None).unwrap());
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    running.access.set(files.rules());
    assert_eq!(ask(&running, &authority, "/livez").await.unwrap(), (200, "ok\n".to_owned()));
    let (_, metrics) = ask(&running, &authority, "/metrics").await.unwrap();
    assert!(metrics.contains("bc_secrets_sync_source_up 1\n"));

    let plain = get(&running, "/livez").await;
    assert_eq!(plain.status, 400);
    assert_eq!(plain.body, "this listener speaks TLS: ask with https:// in front\r\n");
    assert_eq!(plain.header("content-length"), Some(plain.body.len().to_string().as_str()));
    // Looking whether somebody listens, as load balancers do.
    drop(TcpStream::connect(&running.address).await.unwrap());
    // What only begins like TLS.
    let mut broken = TcpStream::connect(&running.address).await.unwrap();
    broken.write_all(&[0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9]).await.unwrap();
    let mut rest = Vec::new();
    let _ended = broken.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP"));
    // An authority that it does not know makes a client break off.
    assert!(ask(&running, &Authority::new().unwrap(), "/livez").await.is_err());
    timeout(Duration::from_secs(10), async {
        while running.access.status().refused["handshake"] < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(ask(&running, &authority, "/livez").await.unwrap().0, 200);
    // And back, without another listener.
    running.access.set(rules(http()));
    assert_eq!(get(&running, "/livez").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_goes_no_further_is_cut_off() {
    let (authority, files) = (Authority::new().unwrap(), Files::new());
    files.write(&authority.issue(&[], None).unwrap());
    let running = running().await;
    running.access.set(files.rules());
    for sent in [&[][..], &[0x16], &[0x16, 3, 1, 2, 0, 1, 0]] {
        let mut client = TcpStream::connect(&running.address).await.unwrap();
        client.write_all(sent).await.unwrap();
        let connected = Instant::now();
        let mut rest = Vec::new();
        let _ended = client.read_to_end(&mut rest).await;
        let took = connected.elapsed();
        assert!(
            (HEADER_LIMIT..HEADER_LIMIT + Duration::from_millis(100)).contains(&took),
            "{sent:?}: {took:?}"
        );
    }
}

#[tokio::test]
async fn new_files_are_shown_to_the_next_client_and_bad_ones_to_nobody() {
    let (old, new, files) = (Authority::new().unwrap(), Authority::new().unwrap(), Files::new());
    files.write(&old.issue(&[], None).unwrap());
    let running = running().await;
    running.access.set(files.rules());
    let shows = async |authority: &Authority| ask(&running, authority, "/livez").await.is_ok();
    let said = || running.access.status().certificate.unwrap();
    assert!(shows(&old).await && said().error.is_none());

    let (certificate, key) = new.issue(&[], None).unwrap();
    replace(&files.tls.certificate_file, &certificate);
    assert!(shows(&old).await && !shows(&new).await, "half a pair is not shown");
    assert!(said().error.unwrap().contains("does not belong to the first certificate in"));
    replace(&files.tls.key_file, &key);
    assert!(shows(&new).await && !shows(&old).await);
    assert_eq!(said().error, None);

    for (text, part) in
        [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\nAA\n", "holds no certificate")]
    {
        replace(&files.tls.certificate_file, text);
        assert!(shows(&new).await, "the former one is shown");
        assert!(said().error.unwrap().contains(part));
    }
    std::fs::remove_file(&files.tls.key_file).unwrap();
    assert!(shows(&new).await && said().error.is_some());
    let end = SystemTime::now() + Duration::from_secs(3600);
    let hour = end - Duration::from_secs(7200)..end;
    files.write(&old.issue(&[], Some(hour)).unwrap());
    assert!(shows(&old).await);
    let expires_at = said().expires_at.unwrap().as_millis();
    let expected = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(expires_at).abs_diff(expected) <= 1_000, "{expires_at} {expected}");
    assert_eq!(expires_at - said().valid_from.unwrap().as_millis(), 7_200_000);
    assert_eq!(said().error, None);
}

#[tokio::test]
async fn a_volume_of_kubernetes_is_followed_when_it_is_swapped() {
    let (old, new, files) = (Authority::new().unwrap(), Authority::new().unwrap(), Files::new());
    let root = files.directory.path();
    for (generation, authority) in [("..1", &old), ("..2", &new)] {
        let (certificate, key) = authority.issue(&[], None).unwrap();
        std::fs::create_dir(root.join(generation)).unwrap();
        std::fs::write(root.join(generation).join("tls.crt"), certificate).unwrap();
        std::fs::write(root.join(generation).join("tls.key"), key).unwrap();
    }
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
    link("..1", "..data");
    link("..data/tls.crt", "tls.crt");
    link("..data/tls.key", "tls.key");
    let running = running().await;
    running.access.set(files.rules());
    assert!(ask(&running, &old, "/livez").await.is_ok());
    link("..2", "..data_tmp");
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    assert!(ask(&running, &new, "/livez").await.is_ok());
}

#[test]
fn what_cannot_be_shown_is_refused_with_words() {
    let (authority, files) = (Authority::new().unwrap(), Files::new());
    assert!(files.error().contains("tls.crt; check [http.tls]: No such file"), "{}", files.error());
    let (certificate, key) = authority.issue(&[], None).unwrap();
    let (other, _) = authority.issue(&[], None).unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, part) in [
        (key.as_str(), key.as_str(), "holds no certificate in PEM"),
        (&certificate, &certificate, "holds no private key in PEM"),
        (&certificate, encrypted, "one behind a password cannot be used"),
        (&other, &key, "name the two that were made together"),
        (&certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be used"),
    ] {
        files.write(&(certificate.to_owned(), key.to_owned()));
        assert!(files.error().contains(part), "{part}: {}", files.error());
        assert!(!files.error().contains("AAAA"));
    }
    files.write(&(format!("{certificate}{}", authority.ca_pem()), format!("junk before\n{key}")));
    assert!(format!("{:?}", files.rules()).contains("tls.key"), "a chain is fine");
}

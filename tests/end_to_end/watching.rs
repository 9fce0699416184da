//! What becomes of the files that a running daemon was configured with, seen without a signal.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{OFlags, fcntl_setfl};

use crate::support::daemon::{Daemon, spawn_with};
use crate::support::wait::{wait_for, wait_until};
use crate::support::world::{World, as_published};

const REFUSED: &str = "the new configuration is refused";
const IN_FORCE: &str = "the new configuration is in force";

/// Waits until the newest configuration is refused, with words of the reason.
async fn wait_refused(daemon: &Daemon, words: &str) -> String {
    wait_for(&format!("it is refused: {words}"), async || {
        let error = daemon.status().await["configuration"]["error"].clone();
        error.as_str().filter(|error| error.contains(words)).map(str::to_owned)
    })
    .await
}

async fn wait_in_force(daemon: &Daemon) {
    wait_until("the error is gone", async || daemon.status().await["configuration"]["error"].is_null()).await;
    assert_eq!(daemon.metric("configuration_last_load_successful").await, Some(1.0));
}

fn count(daemon: &Daemon, words: &str) -> usize {
    let log = daemon.log();
    log.iter().filter(|line| line["message"].as_str().unwrap().contains(words)).count()
}

#[tokio::test]
async fn a_configuration_that_is_removed_is_told_and_the_old_one_stays() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    std::fs::remove_file(world.configuration.file()).unwrap();
    let error = wait_refused(&daemon, "the configuration cannot be read").await;
    assert!(error.contains("config.toml"), "{error}");
    assert_eq!(daemon.metric("configuration_last_load_successful").await, Some(0.0));
    daemon.passes("acme", 2).await;
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    world.configuration.write();
    wait_in_force(&daemon).await;
    assert_eq!(count(&daemon, REFUSED), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_large_configuration_is_watched_as_well_and_one_that_is_too_large_is_refused() {
    let mut world = World::start().await;
    world.add_store("first").await;
    let padding = |bytes: usize| format!("# {}\n", "x".repeat(100)).repeat(bytes / 100);
    world.configuration.more = padding(1500 << 10);
    let daemon = world.daemon().await;
    daemon.settled().await;
    let second = world.add_store("second").await;
    world.configuration.write();
    world.wait_published("second", &second).await;
    let good = world.configuration.text();
    world.configuration.write_text(&format!("{good}{}", padding(3 << 20)));
    wait_refused(&daemon, "larger than 4194304 bytes").await;
    world.configuration.write_text(&good);
    wait_in_force(&daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_change_during_the_start_is_seen() {
    let mut world = World::start().await;
    world.add_store("first").await;
    world.configuration.log_level = "debug";
    // A log that nobody reads holds the start up at its first line, which comes after the configuration was loaded.
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 512]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    let mut child = spawn_with(&world.configuration, &["run"], |command| command.stderr(Stdio::from(writer)));
    let made = async || world.configuration.state.is_dir() && world.configuration.output.is_dir();
    wait_until("the configuration was loaded", made).await;
    let second = world.add_store("second").await;
    world.configuration.write();
    let log = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    world.wait_published("second", &second).await;
    child.kill().await.unwrap();
    drop(child);
    log.join().unwrap().unwrap();
}

#[tokio::test]
async fn what_is_refused_is_tried_again_until_what_it_names_is_there() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.configuration.log_level = "debug";
    let daemon = world.daemon().await;
    daemon.settled().await;
    let file = world.configuration.home().join("slack-url");
    world.configuration.more = format!("\n[alerts.slack]\nurl_file = \"{}\"\n", file.display());
    world.configuration.write();
    wait_refused(&daemon, "alerts.slack.url_file").await;
    wait_until("it was tried again", async || count(&daemon, "still refused") > 0).await;
    assert_eq!(count(&daemon, REFUSED), 1, "the same reason is told once");

    std::fs::write(&file, "https://hooks.slack.com/services/one").unwrap();
    wait_in_force(&daemon).await;
    assert_eq!((count(&daemon, REFUSED), count(&daemon, IN_FORCE)), (1, 1));
    let configuration = daemon.status().await["configuration"].clone();
    assert_eq!((&configuration["refused"], &configuration["reloads"]), (&1.into(), &1.into()));
    daemon.stop().await;
}

/// Makes the links of a mounted ConfigMap lead to another generation of it.
fn mount(directory: &Path, generation: &str, name: &str, content: &str) {
    std::fs::create_dir_all(directory.join(generation)).unwrap();
    std::fs::write(directory.join(generation).join(name), content).unwrap();
    symlink(generation, directory.join("..data_tmp")).unwrap();
    std::fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    if !directory.join(name).is_symlink() {
        symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
    }
}

#[tokio::test]
async fn what_is_read_with_the_configuration_only_is_watched_too() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let mounted = world.configuration.home().join("mounted");
    mount(&mounted, "..1", "app.conf.j2", "user={{ username }}\n");
    let template = mounted.join("app.conf.j2");
    world.configuration.edit(
        "[state]",
        &format!(
            "[[output.files]]\nname = \"app.conf\"\nformat = \"template\"\nescape = \"none\"\ntemplate = \"{}\"\n\
             [state]",
            template.display()
        ),
    );
    let daemon = world.daemon().await;
    daemon.settled().await;
    let published = world.configuration.output.join("acme/app.conf");
    let starts = |words: &str| std::fs::read_to_string(&published).unwrap().starts_with(words);
    assert!(starts("user="));
    mount(&mounted, "..2", "app.conf.j2", "login={{ username }}\n");
    wait_until("the new template is used", async || starts("login=")).await;

    // The same for the authorities of stores; and what was put into force watches as what was started with.
    let authorities = world.configuration.store_authority_file();
    let good = std::fs::read(&authorities).unwrap();
    std::fs::write(&authorities, "nothing").unwrap();
    wait_refused(&daemon, "store-ca.pem").await;
    std::fs::write(&authorities, good).unwrap();
    wait_in_force(&daemon).await;
    std::fs::remove_file(&template).unwrap();
    wait_refused(&daemon, "output.files[0].template").await;
    daemon.stop().await;
}

//! The story: what the merchant and the operator do, and what the daemon makes of it.

use std::io::{BufRead, stdin};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::super::output::{Unwritten, print};
use super::Failure;
use super::stage::Stage;

/// How long each part of the story may take, on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Somebody who says when the story goes on.
pub(super) struct Reader(UnboundedReceiver<()>);

impl Reader {
    /// Says so with Enter, on standard input. Once that has ended, nobody is waited for.
    pub(super) fn at_the_terminal() -> Self {
        let (says, said) = unbounded_channel();
        // It ends with the process: whoever reads a terminal cannot be interrupted.
        std::thread::spawn(move || {
            for line in stdin().lock().split(b'\n') {
                if line.is_err() || says.send(()).is_err() {
                    break;
                }
            }
        });
        Self(said)
    }
}

/// Plays the story to its end, and tells it.
pub(super) async fn tell(stage: &mut Stage, mut reader: Option<Reader>) -> Result<(), Failure> {
    print(&format!(
        "The life of a Legacy API token: the unmodified daemon, a simulated BigCommerce store over HTTPS, and a \
         small Vault.\n\n  status page  http://{}/\n  files        {}\n  log          {}\n",
        stage.listen,
        stage.files().display(),
        stage.log().display(),
    ))?;

    chapter(1, None, "The merchant creates an account; the operator writes it to Vault.").await?;
    let account = stage.create_account("warehouse");
    stage.world.write(&account.username, &account.api_token);
    published(stage, &account.api_token).await?;

    chapter(
        2,
        reader.as_mut(),
        "The merchant presses Generate New Token, then Save. The old token is dead at once.",
    )
    .await?;
    let token = stage.world.store.regenerate_token(super::stage::STORE);
    alert(stage, "opened", "regenerated_or_revoked").await?;
    if !stage.is_published(&account.api_token) {
        return Err("the last good set is no longer published".into());
    }
    line("=", "The last good set stays published until there is a better one.")?;

    chapter(3, reader.as_mut(), "The operator copies the new token into Vault.").await?;
    stage.world.write(&account.username, &token);
    published(stage, &token).await?;
    alert(stage, "resolved", "regenerated_or_revoked").await?;

    chapter(4, reader.as_mut(), "The merchant deletes the account.").await?;
    stage.world.store.delete_account(super::stage::STORE);
    alert(stage, "opened", "regenerated_or_revoked").await?;

    if stage.board.len() != 3 {
        return Err(format!("there should be 3 alerts, and there are {}", stage.board.len()).into());
    }
    print("\nAll of it happened: two publications, three alerts, each sent once.\n")?;
    Ok(())
}

async fn published(stage: &mut Stage, token: &str) -> Result<(), Failure> {
    let started = Instant::now();
    while !stage.is_published(token) {
        waits(stage, started, "the new set was not published")?;
        sleep(LOOK).await;
    }
    let generation = stage.generation().ok_or("the generation says nothing of itself")?;
    line(
        "+",
        &format!("Accepted by the store, and published as generation {generation} after {}.", ago(started)),
    )?;
    Ok(())
}

async fn alert(stage: &mut Stage, kind: &str, cause: &str) -> Result<(), Failure> {
    let (started, expected) = (Instant::now(), stage.alerts_told);
    let alert = loop {
        if let Some(alert) = stage.board.get(expected) {
            break alert;
        }
        waits(stage, started, &format!("no alert came that says: {cause} {kind}"))?;
        sleep(LOOK).await;
    };
    stage.alerts_told = expected + 1;
    if !alert.text("/type").ends_with(kind) || alert.text("/data/cause") != cause {
        let (kind, cause) = (alert.text("/type"), alert.text("/data/cause"));
        return Err(format!("another alert came: {cause}, {kind}").into());
    }
    let (severity, headline) = (alert.text("/data/severity"), alert.text("/data/headline"));
    line("!", &format!("Alert ({severity}) after {}: {headline}", ago(started)))?;
    if kind == "opened" {
        for evidence in alert.evidence() {
            line(" ", &format!("- {evidence}"))?;
        }
        line(" ", &format!("To do: {}", alert.text("/data/remedy")))?;
    }
    Ok(())
}

fn waits(stage: &mut Stage, since: Instant, otherwise: &str) -> Result<(), Failure> {
    stage.check_daemon()?;
    if since.elapsed() > LIMIT { Err(format!("{otherwise} within {LIMIT:?}").into()) } else { Ok(()) }
}

fn ago(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

async fn chapter(number: u32, reader: Option<&mut Reader>, text: &str) -> Result<(), Unwritten> {
    if let Some(reader) = reader {
        print("\n   > Enter goes on.\n")?;
        let _ended = reader.0.recv().await;
    }
    print(&format!("\n{number}. {text}\n"))
}

/// One thing that happened, wrapped so that it is easily read.
fn line(mark: &str, text: &str) -> Result<(), Unwritten> {
    const WIDTH: usize = 96;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.chars().count() + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let (first, rest) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut told = format!("   {mark} {first}\n");
    for line in rest {
        told.push_str(&format!("       {line}\n"));
    }
    print(&told)
}

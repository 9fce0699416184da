//! Names of hosts, looked up by the system's resolver. It blocks, and where the name servers do not answer it does so
//! for longer than anybody waits: a lookup that was given up still holds its thread.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{LazyLock, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::blocking::Turns;

/// How many names of stores are looked up at once where nobody has said it, and at least.
const FEWEST: usize = 16;
const OF_VAULT: usize = 8;
const OF_HOOKS: usize = 8;
const OF_CHANNELS: usize = 8;
const OF_TRACES: usize = 2;

static OF_STORES: OnceLock<usize> = OnceLock::new();

/// The names of stores.
pub static STORES: LazyLock<Names> = LazyLock::new(|| Names::new(*OF_STORES.get_or_init(|| FEWEST)));
/// Those of Vault, or of the proxy before it.
pub static VAULT: LazyLock<Names> = LazyLock::new(|| Names::new(OF_VAULT));
/// Those of apps that are told by a request.
pub static HOOKS: LazyLock<Names> = LazyLock::new(|| Names::new(OF_HOOKS));
/// Those of receivers of alerts.
pub static CHANNELS: LazyLock<Names> = LazyLock::new(|| Names::new(OF_CHANNELS));
/// Those of the collector of spans.
pub static TRACES: LazyLock<Names> = LazyLock::new(|| Names::new(OF_TRACES));

/// Makes room for the lookups of that many probes, if it is said before the first of them; a reload changes it no more.
/// Returns how many threads all lookups together may hold: whoever makes the threads adds those for the disk, which
/// must not wait for names.
#[must_use]
pub fn threads(probes: usize) -> usize {
    let of_stores = *OF_STORES.get_or_init(|| probes.max(FEWEST));
    of_stores + OF_VAULT + OF_HOOKS + OF_CHANNELS + OF_TRACES
}

/// Names of one kind. They wait for no other kind, and hold a bounded number of threads.
#[derive(Clone, Debug)]
pub struct Names {
    turns: Turns,
    look_up: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

impl Names {
    fn new(at_once: usize) -> Self {
        Self::by(at_once, ask_system)
    }

    /// Names that are looked up in this way, for tests of those who have them looked up.
    #[must_use]
    pub fn by(at_once: usize, look_up: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Self {
        Self { turns: Turns::new(at_once), look_up }
    }

    /// The addresses of a host, with the port 0. Whoever waits sets the limit.
    ///
    /// # Errors
    /// The system's own.
    pub async fn look_up(&self, host: String) -> io::Result<Vec<SocketAddr>> {
        let look_up = self.look_up;
        self.turns.run(move || look_up(&host)).await
    }
}

/// For clients that connect to whatever address is found.
impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.look_up(name.as_str().to_owned()).await?;
            // Port 0 stands for the port of the URL.
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn ask_system(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{PoisonError, RwLock};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::blocking;
    use super::*;

    /// Long enough that only a hang reaches it.
    const LIMIT: Duration = Duration::from_secs(20);

    /// Name servers that do not answer while somebody writes.
    static SILENCE: RwLock<()> = RwLock::new(());
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn silent(_: &str) -> io::Result<Vec<SocketAddr>> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        drop(SILENCE.read().unwrap_or_else(PoisonError::into_inner));
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
    }

    #[test]
    fn silent_name_servers_cost_the_threads_of_their_kind_and_no_other() {
        const AT_ONCE: usize = 2;
        let pool = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(AT_ONCE + 1)
            .build()
            .unwrap();
        let names = Names::by(AT_ONCE, silent);
        let look_up = || names.resolve("store.example".parse().unwrap());
        let silence = SILENCE.write().unwrap();
        pool.block_on(async {
            // Each probe waits for a while, and then gives up its lookup.
            for _ in 0..AT_ONCE * 3 {
                assert!(timeout(Duration::from_millis(20), look_up()).await.is_err());
            }
            assert_eq!(timeout(LIMIT, blocking::run(|| 7)).await, Ok(7), "the disk does not wait");
        });
        assert!(ASKED.load(Ordering::SeqCst) <= AT_ONCE);

        drop(silence);
        let found = pool.block_on(async { timeout(LIMIT, look_up()).await }).unwrap().unwrap();
        assert_eq!(found.collect::<Vec<_>>(), [SocketAddr::from(([192, 0, 2, 1], 0))]);
    }

    #[tokio::test]
    async fn the_system_knows_this_host() {
        let found = STORES.look_up("localhost".into()).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 0), "{found:?}");
        // A label longer than 63 bytes is in no name, so that no name server is asked.
        assert!(STORES.look_up(format!("{}.invalid", "a".repeat(64))).await.is_err());
    }
}

//! Crashes at any moment of recording and delivery: nothing is lost, and no message changes its identifier.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use super::*;

const CHANNELS: [&str; 2] = ["one", "two"];
/// Incidents that are open at the same time.
const GROUP: u64 = 5;
/// Where a child finds its directory and the address of the receiver.
const DIRECTORY: &str = "BC_SECRETS_SYNC_TEST_DIRECTORY";
const ADDRESS: &str = "BC_SECRETS_SYNC_TEST_ADDRESS";

/// Message number `at` of an endless story: a few incidents open, remind and end, then others.
fn nth(at: u64) -> Message {
    let (round, place) = (at / (3 * GROUP), at % (3 * GROUP));
    let store = format!("store-{}", round * GROUP + place % GROUP);
    match place / GROUP {
        0 => message(&store, 1, MessageKind::Opened),
        1 => message(&store, 2, MessageKind::Reminder),
        _ => message(&store, 3, MessageKind::Resolved),
    }
}

/// A generator of numbers that is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What one channel's receiver has taken: identifiers in the order of their arrival, repetitions too.
type Heard = Arc<Mutex<BTreeMap<String, Vec<(String, Vec<u8>)>>>>;

/// Takes messages at `/one` and `/two`; while `moody`, refuses some, and takes some without saying so.
struct Audience {
    address: std::net::SocketAddr,
    heard: Heard,
    moody: Arc<AtomicBool>,
}

impl Audience {
    fn gather() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, moody) = (Heard::default(), Arc::new(AtomicBool::new(true)));
        let audience = Self { address, heard: heard.clone(), moody: moody.clone() };
        std::thread::spawn(move || {
            let mut random = Random(0x5eed);
            for stream in listener.incoming().map_while(Result::ok) {
                let mood = if moody.load(Ordering::SeqCst) { random.below(20) } else { 19 };
                // Whoever sends may be killed while it does.
                let _broken = listen(stream, mood, &heard);
            }
        });
        audience
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Every channel heard each of the first `recorded` messages, in the order of its incident, always with
    /// the same words, and nothing else; returns how often something was heard again.
    fn check(&self, recorded: u64) -> usize {
        let heard = self.heard.lock().unwrap();
        let mut repeated = 0;
        for channel in CHANNELS {
            let mut first = BTreeMap::<&str, (usize, &[u8])>::new();
            for (at, (id, body)) in heard[channel].iter().enumerate() {
                if let Some((_, known)) = first.get(id.as_str()) {
                    assert_eq!(known, body, "{channel}: {id} changed its words");
                    repeated += 1;
                } else {
                    first.insert(id, (at, body));
                }
            }
            let mut last = BTreeMap::new();
            for number in 0..recorded {
                let message = nth(number);
                let Some((at, _)) = first.remove(message.id.as_str()) else {
                    panic!("{channel} never heard {}", message.id);
                };
                let before = last.insert(message.incident.id.to_string(), at);
                assert!(before.is_none_or(|before| before < at), "{channel}: {} came too early", message.id);
            }
            assert!(first.is_empty(), "{channel} heard of what was not recorded: {:?}", first.keys());
        }
        repeated
    }
}

fn listen(mut stream: TcpStream, mood: u64, heard: &Heard) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut channel, mut id, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if let Some(path) = line.strip_prefix("POST /") {
            channel = path.trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some(value) = line.strip_prefix("webhook-id: ") {
            id = value.to_owned();
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if mood == 0 {
        return stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    }
    heard.lock().unwrap().entry(channel).or_default().push((id, body));
    if mood == 1 {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 204 Taken\r\n\r\n")
}

fn deliveries(ledger: &Ledger, address: &str, secret: &Path) -> [Delivery<Clock>; 2] {
    CHANNELS.map(|name| {
        let config = crate::config::Webhook {
            url: format!("http://{address}/{name}").parse().unwrap(),
            signing_secret_file: secret.to_owned(),
            timeout: Duration::from_secs(5),
            ca_file: None,
            route: crate::domain::routing::Route::everything(),
        };
        let clock: Clock = || Now { wall: NOW, ..Now::default() };
        Delivery {
            name,
            channel: Channel::Webhook(Webhook::new(&config).unwrap()),
            ledger: ledger.clone(),
            events: mpsc::channel(1).0,
            clock,
        }
    })
}

/// Records the story from `next` on, in steps of one to four messages, and tells after each step.
async fn record(ledger: &Ledger, next: u64, mut random: Random, recorded: impl Fn(u64)) {
    let mut next = next;
    loop {
        // Otherwise the story would run away from those who tell it.
        while CHANNELS.iter().any(|channel| ledger.pending(channel) > 12) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let end = next + 1 + random.below(4);
        let changes: Vec<Change> = (next..end).map(|at| nth(at).into()).collect();
        let ledger = ledger.clone();
        tokio::task::spawn_blocking(move || ledger.record(&changes)).await.unwrap().unwrap();
        next = end;
        recorded(next);
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// Runs a future until it was polled so often.
async fn crash_after(polls: u64, life: impl Future<Output = ()>) {
    let mut life = pin!(life);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { life.as_mut().poll(context) }
    })
    .await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Delivers what is left, with nobody in a mood and no crash, and judges.
fn settle(directory: &Path, secret: &Path, audience: &Audience, recorded: u64, crashes: u64, how: &str) {
    audience.moody.store(false, Ordering::SeqCst);
    let ledger = Ledger::open(directory, &told_everything(&CHANNELS), NOW).unwrap();
    assert_eq!(ledger.recovered(), None);
    runtime().block_on(async {
        let [one, two] = deliveries(&ledger, &audience.address.to_string(), secret);
        let deadline = Instant::now() + Duration::from_secs(50);
        let left = tokio::join!(one.flush(deadline), two.flush(deadline));
        assert_eq!(left, (0, 0));
    });
    let repeated = audience.check(recorded);
    println!(
        "{crashes} {how}: {recorded} messages to {} channels, {} deliveries, {repeated} of them again, none lost",
        CHANNELS.len(),
        audience.count()
    );
}

/// A directory in memory, where there is one: it is the process that crashes here, not the machine.
fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn five_hundred_crashes_at_random_steps_lose_nothing() {
    let place = place();
    let (directory, secret) = (place.path().join("state"), place.path().join("secret"));
    fs::write(&secret, super::super::super::receiver::SECRET).unwrap();
    let audience = Audience::gather();
    let mut random = Random(0xbc_5ec5);
    let recorded = AtomicU64::new(0);
    let crashes = 500;
    for _ in 0..crashes {
        let ledger = Ledger::open(&directory, &told_everything(&CHANNELS), NOW).unwrap();
        assert_eq!(ledger.recovered(), None);
        let runtime = runtime();
        let [one, two] = deliveries(&ledger, &audience.address.to_string(), &secret);
        let (polls, seed) = (2 + random.below(40), 1 + random.below(1 << 40));
        runtime.block_on(async {
            let story = record(&ledger, recorded.load(Ordering::SeqCst), Random(seed), |next| {
                recorded.store(next, Ordering::SeqCst);
            });
            let life = async {
                tokio::join!(one.run(pending()), two.run(pending()), story);
            };
            // A life in which nothing happens, because both wait after a failure, ends too.
            let _bored = tokio::time::timeout(Duration::from_millis(20), crash_after(polls, life)).await;
        });
        // What runs on a blocking thread ends, as it would in the kernel; everything else is gone.
        drop((one, two, runtime, ledger));
    }
    // A step that was cut off may be on the disk: as the engine does, it is recorded once more.
    let ledger = Ledger::open(&directory, &told_everything(&CHANNELS), NOW).unwrap();
    let recorded = recorded.into_inner();
    let changes: Vec<Change> = (recorded..recorded + 4).map(|at| nth(at).into()).collect();
    ledger.record(&changes).unwrap();
    drop(ledger);
    settle(&directory, &secret, &audience, recorded + 4, crashes, "crashes");
}

fn sigkills(kills: u64) {
    let place = place();
    let directory = place.path().join("state");
    let secret = place.path().join("secret");
    fs::write(&secret, super::super::super::receiver::SECRET).unwrap();
    let recorded = || fs::read_to_string(place.path().join("recorded")).map_or(0, |text| last_line(&text));
    let audience = Audience::gather();
    let mut random = Random(0x51_9411);
    for _ in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "alert::delivery::tests::crashes::a_life_until_it_is_killed"])
            .env(DIRECTORY, place.path())
            .env(ADDRESS, audience.address.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // From the moment that it has the ledger open, which takes some time in itself.
        let mut opened = [0];
        child.stderr.as_mut().unwrap().read_exact(&mut opened).unwrap();
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let mut words = String::new();
        child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        assert!(status.code().is_none(), "it ended by itself: {words}");
    }
    let ledger = Ledger::open(&directory, &told_everything(&CHANNELS), NOW).unwrap();
    let end = recorded() + 4;
    let changes: Vec<Change> = (end - 4..end).map(|at| nth(at).into()).collect();
    ledger.record(&changes).unwrap();
    drop(ledger);
    settle(&directory, &secret, &audience, end, kills, "SIGKILLs");
}

/// The number in the last line that is whole.
fn last_line(text: &str) -> u64 {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().next_back().map_or(0, |line| line.parse().unwrap())
}

#[test]
fn sigkills_at_random_moments_lose_nothing() {
    sigkills(50);
}

#[test]
#[ignore = "takes some time: ./tests/run --real"]
fn real_five_hundred_sigkills_lose_nothing() {
    sigkills(500);
}

#[test]
#[ignore = "runs until it is killed: the tests above start it"]
fn a_life_until_it_is_killed() {
    let place = std::path::PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let address = std::env::var(ADDRESS).unwrap();
    let ledger = Ledger::open(&place.join("state"), &told_everything(&CHANNELS), NOW).unwrap();
    assert_eq!(ledger.recovered(), None);
    let path = place.join("recorded");
    let next = last_line(&fs::read_to_string(&path).unwrap_or_default());
    let mut log = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    // The number may be a part of a line that a kill has cut off.
    log.write_all(b"\n").unwrap();
    log.write_all(format!("{next}\n").as_bytes()).unwrap();
    io::stderr().write_all(b".").unwrap();
    runtime().block_on(async {
        let [one, two] = deliveries(&ledger, &address, &place.join("secret"));
        let story = record(&ledger, next, Random(next + 7), |next| {
            (&log).write_all(format!("{next}\n").as_bytes()).unwrap();
        });
        tokio::join!(one.run(pending()), two.run(pending()), story)
    });
}

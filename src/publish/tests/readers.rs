//! Readers never see a mixed, torn, empty or missing set while generations are published.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;

/// One reader's loop: counts its whole readings.
struct Reader {
    readings: AtomicUsize,
    read: fn(&Place) -> u64,
}

/// Opens `..data` once and reads the three files in it: one generation.
fn read_set(place: &Place) -> u64 {
    let directory = Directory::at(&place.path("..data")).unwrap();
    let read = |name: &str| match directory.read(name, 4096).unwrap() {
        directory::Content::Whole(bytes, _) => String::from_utf8(bytes.to_vec()).unwrap(),
        directory::Content::Unfit(why) => panic!("{name}: {why}"),
    };
    let (username, token, path) = (read("username"), read("api_token"), read("api_path"));
    let number = username.strip_prefix("user").unwrap().to_owned();
    assert_eq!(token, format!("token{number}"));
    assert_eq!(path, format!("https://store{number}.mybigcommerce.com/api/v2/"));
    number.parse().unwrap()
}

/// Reads one file through its stable link, as the simplest app does.
fn read_file(place: &Place) -> u64 {
    let token = fs::read_to_string(place.path("api_token")).unwrap();
    token.strip_prefix("token").unwrap().parse().unwrap()
}

#[test]
fn readers_see_whole_generations_only() {
    let place = Place::new();
    place.publish(1);
    let stop = AtomicBool::new(false);
    let readers: [Reader; 3] = [read_set, read_file, read_set].map(|read| Reader {
        readings: AtomicUsize::new(0),
        read,
    });
    thread::scope(|scope| {
        let threads: Vec<_> = readers
            .iter()
            .map(|reader| {
                let (place, stop) = (&place, &stop);
                scope.spawn(move || {
                    let mut newest = 0;
                    while !stop.load(Ordering::Acquire) {
                        let seen = (reader.read)(place);
                        assert!(seen >= newest, "went back from {newest} to {seen}");
                        newest = seen;
                        reader.readings.fetch_add(1, Ordering::Release);
                        thread::yield_now();
                    }
                    newest
                })
            })
            .collect();
        let mut failed = false;
        for generation in 2..=300 {
            place.publish(generation);
            // The promise holds for a reading into which at most one publication runs. So the readings that
            // are going on now end before the next publication begins.
            let counts = readers
                .each_ref()
                .map(|reader| reader.readings.load(Ordering::Acquire));
            for (reader, count) in readers.iter().zip(counts) {
                while reader.readings.load(Ordering::Acquire) == count && !failed {
                    failed = threads.iter().any(thread::ScopedJoinHandle::is_finished);
                    thread::yield_now();
                }
            }
        }
        stop.store(true, Ordering::Release);
        for thread in threads {
            assert!(thread.join().unwrap() >= 299);
        }
    });
    assert_eq!(place.published(), Some(300));
}

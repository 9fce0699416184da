//! Publishing in depth: the real binary is killed at every system call of a publication, and every call of it is
//! made to fail; readers look on all the while.

mod errors;
mod gate;
mod kills;
mod order;
mod privileges;
mod readers;
mod rig;
mod slow;
mod tracing;
mod volumes;
mod watches;

use std::sync::Mutex;
use std::thread;

use self::readers::Readers;
use self::rig::{Files, Outside, Rig};

/// How many directories are worked on at once: a run mostly waits for strace and the simulated store.
const RIGS: usize = 4;

/// Works off everything with several rigs at once, each with readers of its own; returns how often was read.
fn work_off<T: Send>(files: Files, points: Vec<T>, work: impl Fn(&mut Rig, T) + Sync) -> u64 {
    let outside = Outside::start();
    let waiting = Mutex::new(points.into_iter());
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        let rigs: Vec<_> = (0..RIGS)
            .map(|number| {
                let (outside, work, next) = (&outside, &work, &next);
                scope.spawn(move || {
                    let mut rig = Rig::new(outside, number, files);
                    let readers = Readers::start(&rig);
                    while let Some(point) = next() {
                        work(&mut rig, point);
                        readers.check();
                    }
                    readers.stop()
                })
            })
            .collect();
        rigs.into_iter().map(|rig| rig.join().unwrap()).sum()
    })
}

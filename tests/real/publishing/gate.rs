//! A gate before the simulated store: it holds connections until it is told, so that a test can get ready while
//! the daemon waits for the answer after which it publishes.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::DEADLINE;

pub(super) struct Gate {
    address: SocketAddr,
    opened: Arc<(Mutex<bool>, Condvar)>,
    arrivals: Receiver<()>,
}

impl Gate {
    pub(super) fn new(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let opened = Arc::new((Mutex::new(true), Condvar::new()));
        let (arrived, arrivals) = channel();
        let gate = Arc::clone(&opened);
        // It ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, gate) = (stream.unwrap(), Arc::clone(&gate));
                if arrived.send(()).is_err() {
                    return;
                }
                thread::spawn(move || {
                    let (lock, condition) = &*gate;
                    drop(condition.wait_while(lock.lock().unwrap(), |open| !*open).unwrap());
                    // Who has been killed meanwhile is no longer there.
                    let _ = pass(&stream, behind);
                });
            }
        });
        Self { address, opened, arrivals }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn close(&self) {
        *self.opened.0.lock().unwrap() = false;
        while self.arrivals.try_recv().is_ok() {}
    }

    pub(super) fn open(&self) {
        *self.opened.0.lock().unwrap() = true;
        self.opened.1.notify_all();
    }

    /// Waits until somebody stands before the gate.
    pub(super) fn wait(&self) {
        self.arrivals.recv_timeout(DEADLINE).expect("nobody asks the store");
    }
}

fn pass(stream: &TcpStream, behind: SocketAddr) -> io::Result<()> {
    let other = TcpStream::connect(behind)?;
    let (mut from, mut to) = (stream.try_clone()?, other.try_clone()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (other, stream);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = there.join();
    Ok(())
}

//! A terminal that a command writes to, and what it was shown.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The end that the test holds. What is shown is read all along, so that no writer waits.
pub(crate) struct Terminal {
    /// Held so that the command's end of it stays a terminal for as long as somebody looks.
    slave: File,
    columns: u16,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn with_columns(columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut master, kept) = (File::from(master), shown.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails when nobody holds the other end any more.
            while let Ok(count) = master.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let terminal = Self { slave: slave.into(), columns, shown };
        terminal.set_rows(24);
        terminal
    }

    /// Somebody draws the window larger or smaller.
    pub(crate) fn set_rows(&self, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.slave, size).unwrap();
    }

    /// The end that the command gets.
    pub(crate) fn stdio(&self) -> Stdio {
        self.slave.try_clone().unwrap().into()
    }

    /// All that was written by now.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }
}

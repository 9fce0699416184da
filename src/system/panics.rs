//! A fault of the program ends the process, whatever thread or task it happens in.
//!
//! What the fault left half changed is not gone on with: what is published and what is still to be told is on the
//! disk, and a new process takes it up. As no panic is caught, the release build has no code for catching one, which
//! makes it a seventh smaller.

use std::io::Write as _;
use std::panic::{PanicHookInfo, set_hook};
use std::process::exit;

/// From now on a panic is told, and ends the process with `code`.
pub fn end_process(code: u8) {
    set_hook(Box::new(move |panic| {
        tell(panic);
        exit(i32::from(code));
    }));
}

fn tell(panic: &PanicHookInfo<'_>) {
    // A message that was put together at run time may hold what the code was working on.
    let message = panic.payload().downcast_ref::<&'static str>();
    let message = message.copied().unwrap_or("its message may hold a value, and is not shown");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        tracing::error!(place, "a fault of the program, please report it: {message}");
    } else {
        let line = format!("a fault of the program at {place}, please report it: {message}\n");
        let _closed = std::io::stderr().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The hook belongs to the whole process, so the tests below run in processes of their own.
    fn ended(test: &str) -> (Option<i32>, String) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", test])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    #[test]
    fn a_panic_in_a_task_ends_the_process_and_says_where() {
        let (code, told) = ended("system::panics::tests::in_a_task");
        assert_eq!(code, Some(70), "{told}");
        assert!(told.contains("src/system/panics.rs:") && told.contains("out of luck"), "{told}");
    }

    #[test]
    fn a_message_that_may_hold_a_value_is_not_shown() {
        let (code, told) = ended("system::panics::tests::with_a_value_in_a_thread");
        assert_eq!(code, Some(70), "{told}");
        assert!(told.contains("src/system/panics.rs:") && !told.contains("c0ffee"), "{told}");
    }

    #[test]
    #[ignore = "ends the process; run by a_panic_in_a_task_ends_the_process_and_says_where"]
    fn in_a_task() {
        end_process(70);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _caught = runtime.block_on(async { tokio::spawn(async { panic!("out of luck") }).await });
    }

    #[test]
    #[ignore = "ends the process; run by a_message_that_may_hold_a_value_is_not_shown"]
    fn with_a_value_in_a_thread() {
        end_process(70);
        let _caught = std::thread::spawn(|| panic!("no boundary in {}", "c0ffee".to_owned())).join();
    }
}

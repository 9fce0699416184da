//! What this process uses of the machine, as the kernel says.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What this process uses at one moment. What the kernel does not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, of all threads together, since the start.
    pub cpu: Duration,
    /// Bytes of memory that are resident.
    pub resident_bytes: Option<u64>,
    /// Bytes of address space.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// How many there may be.
    pub max_files: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Usage {
    /// Asks the kernel. Reads three small files that are none: nothing of it waits for a disk.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        let bytes = |at| Some(statm.split(' ').nth(at)?.parse::<u64>().ok()?.saturating_mul(page));
        Self {
            cpu: Duration::new(seconds, nanos),
            resident_bytes: bytes(1),
            virtual_bytes: bytes(0),
            // The directory that is being read is one of them.
            open_files: entries("/proc/self/fd").map(|count| count.saturating_sub(1)),
            max_files: getrlimit(Resource::Nofile).current,
            threads: entries("/proc/self/task"),
        }
    }
}

fn entries(directory: &str) -> Option<u64> {
    u64::try_from(fs::read_dir(directory).ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_this_process_uses() {
        let before = Usage::now();
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let block = vec![1_u8; 64 << 20];
        let after = Usage::now();
        assert!(after.cpu > before.cpu);
        assert!(after.resident_bytes > before.resident_bytes.map(|bytes| bytes + (32 << 20)), "{after:?}");
        assert!(after.virtual_bytes >= after.resident_bytes);
        // Other tests open and close files and threads meanwhile.
        assert!(after.open_files >= Some(50), "{after:?}");
        assert!(after.max_files >= after.open_files);
        assert!(after.threads >= Some(1));
        drop((files, block));
    }
}

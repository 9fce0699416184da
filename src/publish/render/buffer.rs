//! Text with secrets in it, which leaves no copies behind while it grows.

use std::{fmt, io, mem};

use zeroize::Zeroizing;

/// The longest content of a file, in bytes: far above what three values and a template need.
pub(super) const MAX_LENGTH: usize = 1 << 20;
/// Room for three values of common length in any format.
const FIRST_CAPACITY: usize = 512;

/// A text that is being written. Where it has to move, the old place is wiped; beyond [`MAX_LENGTH`] writing fails.
pub(super) struct Buffer(Zeroizing<String>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(FIRST_CAPACITY)))
    }

    pub(super) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let length = self.0.len() + text.len();
        if length > MAX_LENGTH {
            return Err(fmt::Error);
        }
        if length > self.0.capacity() {
            let room = length.max(2 * self.0.capacity());
            let old = mem::replace(&mut self.0, Zeroizing::new(String::with_capacity(room)));
            self.0.push_str(&old);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// For templates, which write whole texts.
impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(bytes).map_err(io::Error::other)?;
        fmt::Write::write_str(self, text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn it_grows_up_to_its_limit_and_keeps_what_was_written() {
        let mut buffer = Buffer::new();
        let part = "0123456789abcdef";
        for _ in 0..MAX_LENGTH / part.len() {
            buffer.write_str(part).unwrap();
        }
        assert!(buffer.write_str("x").is_err());
        assert_eq!(*buffer.into_text(), part.repeat(MAX_LENGTH / part.len()));
    }
}

//! The two things the journal asks of a disk on every commit; both can fail.

use std::{fmt, fs::File, io, os::unix::fs::FileExt};

/// What makes bytes durable: the disk, or in tests one that fails on demand.
pub(super) trait Disk: fmt::Debug + Send {
    /// Writes all of `bytes` at `offset`; after an error any part of them may be there.
    fn write(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns once all that was written to `file` would survive power loss.
    fn sync(&mut self, file: &File) -> io::Result<()>;
}

/// The operating system's.
#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {
    fn write(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

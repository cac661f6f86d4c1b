//! The writer: one batch, one write, one sync, and the way back when that fails.

use std::{io, os::unix::fs::MetadataExt, sync::Arc};

use provost_ledger::segment;

use super::{
    FileLimits,
    disk::Disk,
    segments::{Segments, Tail},
    write_failed,
};
use crate::journal::{JournalError, queue::Medium};

/// Appends to the last segment.
#[derive(Debug)]
pub(super) struct Writer {
    segments: Arc<Segments>,
    limits: FileLimits,
    disk: Box<dyn Disk>,
    tail: Tail,
    /// How far the last segment's file reaches, zeros included. Unit: bytes.
    laid_down: u64,
    /// Whether the file behind the last durable entry may be anything.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sound,
    Suspect,
}

impl Writer {
    /// A writer to the last of `segments`.
    pub(super) fn new(
        segments: Arc<Segments>,
        limits: FileLimits,
        disk: Box<dyn Disk>,
    ) -> io::Result<Self> {
        let tail = segments.tail();
        let laid_down = tail.file.metadata()?.len();
        Ok(Self { segments, limits, disk, tail, laid_down, state: State::Sound })
    }

    fn append(&mut self, entries: &[Vec<u8>]) -> Result<u64, JournalError> {
        // Judged before this batch, so that a failed rotation is what is tried next time.
        if self.tail.end >= self.limits.segment_bytes {
            self.tail = self.segments.rotate()?;
            self.laid_down = self.tail.end;
        }
        let start = self.tail.end;
        let first = self.tail.size;
        let mut frames = Vec::new();
        let mut ends = Vec::with_capacity(entries.len());
        for entry in entries {
            let frame = segment::frame(entry);
            frames.extend(frame.map_err(|error| JournalError::Length { bytes: error.len })?);
            ends.push(start.saturating_add(frames.len() as u64));
        }
        self.put(frames).map_err(write_failed(&self.tail.path))?;
        self.segments.grow(&ends);
        self.tail = self.segments.tail();
        Ok(first)
    }

    /// Writes `frames` after the last entry, with zeros after them where there are none yet.
    fn put(&mut self, mut frames: Vec<u8>) -> io::Result<()> {
        if self.tail.file.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::NotFound.into()); // deleted under us: gone at the next start
        }
        let start = self.tail.end;
        let end = start.saturating_add(frames.len() as u64);
        if end > self.laid_down {
            let reach = end.next_multiple_of(self.limits.ahead_bytes.max(1));
            let zeros = usize::try_from(reach.saturating_sub(end)).unwrap_or_default();
            frames.resize(frames.len().saturating_add(zeros), 0);
        }
        self.disk.write(&self.tail.file, &frames, start)?;
        self.disk.sync(&self.tail.file)?;
        self.laid_down = self.laid_down.max(start.saturating_add(frames.len() as u64));
        Ok(())
    }
}

impl Medium for Writer {
    fn write(&mut self, entries: &[Vec<u8>]) -> Result<u64, JournalError> {
        if self.state == State::Suspect {
            self.recover()?;
        }
        let written = self.append(entries);
        if written.is_err() {
            self.state = State::Suspect;
            // Before anybody hears of the error, so that a kill brings nothing back that was
            // refused. If it fails as well, the next call does it first.
            self.recover().unwrap_or_default();
        }
        written
    }

    fn recover(&mut self) -> Result<(), JournalError> {
        self.state = State::Suspect;
        self.tail = self.segments.reopen()?;
        self.laid_down = self.tail.end;
        // A full disk still truncates; only laying down zeros proves that there is room.
        self.put(vec![0]).map_err(write_failed(&self.tail.path))?;
        self.state = State::Sound;
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        if self.state == State::Suspect {
            self.tail = self.segments.reopen()?;
            return Ok(());
        }
        self.tail.trim().map_err(write_failed(&self.tail.path))
    }
}

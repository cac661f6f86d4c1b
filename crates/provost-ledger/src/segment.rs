//! The byte format of a journal segment: what the embedded journal appends to.
//!
//! A header, then frames: `u32` little-endian length, `u32` little-endian CRC-32 of length
//! and entry, entry. A zero length is the end; all that follows is preallocated and zero.

use crate::{ENTRY_LEN_MAX, tile::EntryLenError};

/// Length of a segment's header. Unit: bytes.
pub const SEGMENT_HEADER_LEN: usize = 20;

/// Length of a frame without its entry. Unit: bytes.
pub const FRAME_HEADER_LEN: usize = 8;

/// First bytes of a segment; the digit is the format's version.
const MAGIC: [u8; 8] = *b"pvjrnl1\n";

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Index of the first entry.
    pub first_index: u64,
    /// The whole entries, in order.
    pub entries: Vec<&'a [u8]>,
    /// Where the last whole frame ends and the next would begin. Unit: bytes.
    pub end: usize,
    /// Whether anything but zeros follows `end`: a write that was cut short, or damage.
    pub torn: bool,
}

/// Bytes that do not begin like a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a journal segment: its header is damaged")]
pub struct SegmentError;

/// A segment's header.
pub fn header(first_index: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER_LEN);
    header.extend(MAGIC);
    header.extend(first_index.to_le_bytes());
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header
}

/// One entry as a frame.
///
/// # Errors
///
/// [`EntryLenError`] if it is empty or longer than [`ENTRY_LEN_MAX`].
pub fn frame(entry: &[u8]) -> Result<Vec<u8>, EntryLenError> {
    let error = EntryLenError { len: entry.len() };
    if entry.is_empty() || entry.len() > ENTRY_LEN_MAX {
        return Err(error);
    }
    let len = u32::try_from(entry.len()).map_err(|_| error)?.to_le_bytes();
    let mut frame = Vec::with_capacity(entry.len().saturating_add(FRAME_HEADER_LEN));
    frame.extend(len);
    frame.extend(checksum(len, entry).to_le_bytes());
    frame.extend(entry);
    Ok(frame)
}

/// Reads a segment up to its end, or up to the first frame that is not whole.
///
/// # Errors
///
/// [`SegmentError`] if the header is not one [`header`] writes.
pub fn scan(segment: &[u8]) -> Result<Scan<'_>, SegmentError> {
    let (head, mut rest) = segment.split_at_checked(SEGMENT_HEADER_LEN).ok_or(SegmentError)?;
    let index = head.get(MAGIC.len()..).and_then(|index| index.first_chunk());
    let first_index = u64::from_le_bytes(*index.ok_or(SegmentError)?);
    if head != header(first_index) {
        return Err(SegmentError);
    }
    let mut entries = Vec::new();
    while let Some((entry, after)) = split_frame(rest) {
        entries.push(entry);
        rest = after;
    }
    let end = segment.len().saturating_sub(rest.len());
    Ok(Scan { first_index, entries, end, torn: rest.iter().any(|&byte| byte != 0) })
}

/// Path of the segment that begins with entry `first_index`, below the ledger's directory.
pub fn segment_path(first_index: u64) -> String {
    format!("journal/{first_index:020}.seg")
}

/// The first whole frame's entry, and what follows.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let wanted = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    if wanted == 0 || wanted > ENTRY_LEN_MAX {
        return None;
    }
    let (entry, after) = rest.split_at_checked(wanted)?;
    (checksum(*len, entry) == u32::from_le_bytes(*crc)).then_some((entry, after))
}

fn checksum(len: [u8; 4], entry: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&len);
    crc.update(entry);
    crc.finalize()
}

//! The segment files that are there, and where in them each entry is.

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    io, iter, mem,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use provost_ledger::segment;
use rustix::fs::{Advice, fadvise};

use super::{TornTail, write_failed};
use crate::journal::{Damage, JournalError, OpenError, READ_BYTES_MAX, bundles::Bundles};

/// Extension of a segment that is still being made; it holds no entry.
const UNFINISHED: &str = "new";

/// An index of the entries that are in segment files.
#[derive(Debug)]
pub(super) struct Segments {
    ledger: PathBuf,
    bundles: Bundles,
    list: Mutex<List>,
    /// Locked, so that no two writers ever truncate each other's files.
    _dir: File,
}

#[derive(Debug)]
// INVARIANT: each segment begins where the one before it ends.
struct List {
    ended: VecDeque<Segment>,
    last: Segment,
}

/// One segment file and where in it each entry is.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: Arc<File>,
    first: u64,
    /// Where each entry's frame ends. Unit: bytes.
    ends: Vec<u64>,
}

/// The end of the last segment: where the next entry goes.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The segment's file.
    pub(super) path: PathBuf,
    /// The same, open for reading and writing.
    pub(super) file: Arc<File>,
    /// Where the last entry's frame ends. Unit: bytes.
    pub(super) end: u64,
    /// How many entries the journal has.
    pub(super) size: u64,
}

impl Segments {
    /// Reads the segments of the ledger in `ledger`, cuts off a torn tail, and begins the
    /// first segment if there is none.
    pub(super) fn open(ledger: &Path) -> Result<(Self, Option<TornTail>), OpenError> {
        let dir = ledger.join("journal");
        let failed = |source| OpenError::Io { path: dir.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        let locked = File::open(&dir).map_err(failed)?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: dir }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut ended = VecDeque::<Segment>::new();
        let mut torn_tail = None;
        for path in segment_files(&dir).map_err(failed)? {
            let opened = Segment::open(&path);
            let (segment, torn) = opened.map_err(|source| OpenError::Io { path, source })??;
            if let Some(before) = ended.back() {
                must_follow(before, torn_tail.take(), &segment)?;
            }
            ended.push_back(segment);
            torn_tail = torn;
        }
        let bundles = Bundles::new(ledger);
        let held =
            ended.front().zip(ended.back()).map(|(front, back)| front.first..back.size());
        let covered = bundles.must_meet(held)?;
        let last = match ended.pop_back() {
            Some(last) => last,
            None => Segment::create(ledger, covered).map_err(failed)?,
        };
        if torn_tail.is_some() {
            last.tail().trim().map_err(failed)?;
        }
        let list = Mutex::new(List { ended, last });
        let ledger = ledger.into();
        Ok((Self { ledger, bundles, list, _dir: locked }, torn_tail))
    }

    /// Where the next entry goes.
    pub(super) fn tail(&self) -> Tail {
        self.with(|list| list.last.tail())
    }

    /// Adds durable entries to the last segment, given where each one's frame ends.
    pub(super) fn grow(&self, ends: &[u64]) {
        self.with(|list| list.last.ends.extend(ends));
    }

    /// Ends the last segment and begins another.
    pub(super) fn rotate(&self) -> Result<Tail, JournalError> {
        let tail = self.tail();
        tail.trim().map_err(write_failed(&tail.path))?;
        let next = Segment::create(&self.ledger, tail.size);
        let next = next.map_err(write_failed(&self.ledger.join("journal")))?;
        Ok(self.with(|list| {
            list.ended.push_back(mem::replace(&mut list.last, next));
            list.last.tail()
        }))
    }

    /// Opens the last segment's file anew, checks against the disk (not what the system
    /// remembers of it) that every durable entry is there, and cuts off everything else.
    pub(super) fn reopen(&self) -> Result<Tail, JournalError> {
        let known = self.tail();
        let failed = || write_failed(&known.path);
        // After a failed sync the system may keep pages that never reached the disk.
        fadvise(&known.file, 0, None, Advice::DontNeed)
            .map_err(|errno| failed()(errno.into()))?;
        let found = Segment::open(&known.path).map_err(failed())?;
        let (found, _) = found.map_err(JournalError::Damaged)?;
        self.with(|list| {
            if !found.ends.starts_with(&list.last.ends) {
                let index = found.size().min(known.size);
                let path = known.path.clone();
                return Err(JournalError::Damaged(Damage::Entry { index, path }));
            }
            list.last.file = found.file;
            Ok(())
        })?;
        let tail = self.tail();
        tail.trim().map_err(failed())?;
        Ok(tail)
    }

    /// As [`Journal::read`](crate::Journal::read); waits for the disk.
    pub(super) fn read(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        let (mut next, size) = (from, self.tail().size);
        while next < size && entries.len() < count && bytes < READ_BYTES_MAX {
            let wanted = count.saturating_sub(entries.len());
            let budget = READ_BYTES_MAX.saturating_sub(bytes);
            let part = match self.span(next, wanted, budget) {
                Some(span) => span.read()?,
                None => self.bundles.read(next, wanted)?,
            };
            for entry in part {
                bytes = bytes.saturating_add(entry.len());
                next = next.saturating_add(1);
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Deletes segments all of whose entries are before `covered`, never the last one.
    pub(super) fn release(&self, covered: u64) -> Result<(), JournalError> {
        loop {
            let sealed = self.with(|list| {
                let front = list.ended.front().filter(|segment| segment.size() <= covered);
                front.map(|segment| segment.path.clone())
            });
            let Some(path) = sealed else { return Ok(()) };
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(write_failed(&path)(error));
                }
                _ => self.with(|list| list.ended.pop_front()),
            };
        }
    }

    /// Where to find up to `count` entries from `from` on in one segment: at least one, and
    /// no more than `budget` bytes unless that one is longer. Nothing if no segment has them.
    fn span(&self, from: u64, count: usize, budget: usize) -> Option<Span> {
        self.with(|list| {
            let mut segments = iter::once(&list.last).chain(list.ended.iter().rev());
            segments.find(|segment| segment.first <= from)?.span(from, count, budget)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut List) -> T) -> T {
        // The list is valid between any two statements: a panic elsewhere did not bend it.
        work(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Segment {
    fn tail(&self) -> Tail {
        let (path, file) = (self.path.clone(), Arc::clone(&self.file));
        Tail { path, file, end: self.end_of(self.ends.len()), size: self.size() }
    }

    /// The index after its last entry's.
    fn size(&self) -> u64 {
        self.first.saturating_add(self.ends.len() as u64)
    }

    /// Where the first `entries` of its frames end. Unit: bytes.
    fn end_of(&self, entries: usize) -> u64 {
        let end = entries.checked_sub(1).and_then(|last| self.ends.get(last));
        end.copied().unwrap_or(segment::SEGMENT_HEADER_LEN as u64)
    }

    fn span(&self, from: u64, count: usize, budget: usize) -> Option<Span> {
        let skipped = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let start = self.end_of(skipped);
        let fits = |end: &u64| end.saturating_sub(start) <= budget as u64;
        let ends = self.ends.get(skipped..)?.iter().take(count);
        let entries = ends.take_while(|&end| fits(end)).count().max(1);
        let end = *self.ends.get(skipped.saturating_add(entries).saturating_sub(1))?;
        let len = usize::try_from(end.saturating_sub(start)).ok()?;
        let (path, file) = (self.path.clone(), Arc::clone(&self.file));
        Some(Span { path, file, from, entries, start, len })
    }

    /// Makes an empty segment whose first entry will be `first`, durably.
    ///
    /// Its header is on the disk before its name is there, so a segment without a header is
    /// damage and not a crash.
    fn create(ledger: &Path, first: u64) -> io::Result<Self> {
        let path = ledger.join(segment::segment_path(first));
        let unfinished = path.with_extension(UNFINISHED);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&unfinished)?;
        file.write_all_at(&segment::header(first), 0)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(ledger.join("journal"))?.sync_all()?;
        Ok(Self { path, file: Arc::new(file), first, ends: Vec::new() })
    }

    /// Reads the segment at `path`, and tells what of its end is not whole.
    fn open(path: &Path) -> io::Result<Result<(Self, Option<TornTail>), Damage>> {
        let file = File::options().read(true).write(true).open(path)?;
        let bytes = fs::read(path)?;
        let scan = segment::scan(&bytes).ok();
        let Some(scan) = scan.filter(|scan| first_of(path) == Some(scan.first_index)) else {
            return Ok(Err(Damage::Header { path: path.into() }));
        };
        let mut ends = Vec::with_capacity(scan.entries.len());
        let mut end = segment::SEGMENT_HEADER_LEN;
        for entry in &scan.entries {
            end = end.saturating_add(segment::FRAME_HEADER_LEN).saturating_add(entry.len());
            ends.push(end as u64);
        }
        let torn = scan.torn.then(|| TornTail {
            path: path.into(),
            offset: scan.end as u64,
            bytes: bytes.len().saturating_sub(scan.end) as u64,
        });
        let segment =
            Self { path: path.into(), file: Arc::new(file), first: scan.first_index, ends };
        Ok(Ok((segment, torn)))
    }
}

impl Tail {
    /// Cuts off whatever is after the last entry, durably.
    pub(super) fn trim(&self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_all()
    }
}

/// Some neighbouring entries of one segment.
struct Span {
    path: PathBuf,
    file: Arc<File>,
    from: u64,
    entries: usize,
    start: u64,
    len: usize,
}

impl Span {
    fn read(self) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut bytes = segment::header(self.from);
        let mut frames = vec![0; self.len];
        if let Err(source) = self.file.read_exact_at(&mut frames, self.start) {
            let (index, source) = (self.from, Arc::new(source));
            return Err(JournalError::Read { index, path: self.path, source });
        }
        bytes.append(&mut frames);
        let entries = segment::scan(&bytes).map(|scan| scan.entries).unwrap_or_default();
        if entries.len() < self.entries {
            let index = self.from.saturating_add(entries.len() as u64);
            return Err(JournalError::Damaged(Damage::Entry { index, path: self.path }));
        }
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }
}

/// The finished segments in `dir`, in order of their entries; clears away unfinished ones.
fn segment_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => paths.push(path),
            Some(UNFINISHED) => fs::remove_file(path)?,
            _ => {}
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The index in a segment's file name.
fn first_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Only the last segment may be torn, and each begins where the one before it ends.
fn must_follow(last: &Segment, torn: Option<TornTail>, next: &Segment) -> Result<(), Damage> {
    match (torn, last.size(), next.first) {
        (Some(TornTail { path, .. }), index, _) => Err(Damage::Entry { index, path }),
        (None, size, first) if size < first => {
            Err(Damage::Gap { from: size, to: first.saturating_sub(1) })
        }
        (None, size, first) if size > first => {
            Err(Damage::Entry { index: first, path: next.path.clone() })
        }
        (None, ..) => Ok(()),
    }
}

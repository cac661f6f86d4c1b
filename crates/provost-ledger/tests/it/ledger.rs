//! A ledger in memory, written as a server would, for tests to damage.

use std::{cell::RefCell, collections::BTreeMap, io, ops::Range};

use provost_ledger::{
    Builder, CHECKPOINT_PATH, Checkpoint, File, Hash, LedgerKey, LedgerVerifier, Report,
    Source, segment, verify,
};

/// Files by path; what happens on reading one can be scripted.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn key() -> LedgerKey {
    LedgerKey::new("example.com/ledger", &[7; 32]).unwrap()
}

pub(crate) fn verifier() -> LedgerVerifier {
    key().verifier().clone()
}

/// The entry at `index`: the same in every ledger, of varying length.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let filler = "x".repeat(usize::try_from(index % 7).unwrap());
    format!("entry {index} {filler}").into_bytes()
}

pub(crate) fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint { origin: "example.com/ledger".into(), size, root }
}

impl Ledger {
    /// A ledger whose last checkpoint is of `size` entries.
    pub(crate) fn sealed(size: u64) -> Self {
        let mut ledger = Self::default();
        let mut builder = Builder::default();
        ledger.grow(&mut builder, size);
        ledger.write(builder.partials());
        ledger.sign(&builder);
        ledger
    }

    /// Pushes entries up to `size` and writes the full files that makes.
    pub(crate) fn grow(&mut self, builder: &mut Builder, size: u64) {
        for index in builder.size()..size {
            builder.push(&entry(index)).unwrap();
        }
        self.write(builder.take_full());
    }

    pub(crate) fn write(&mut self, files: Vec<File>) {
        self.files.extend(files.into_iter().map(|file| (file.path, file.bytes)));
    }

    pub(crate) fn sign(&mut self, builder: &Builder) -> Checkpoint {
        let checkpoint = checkpoint(builder.size(), builder.root());
        let note = checkpoint.sign(&key());
        self.files.insert(CHECKPOINT_PATH.into(), note.into_bytes());
        checkpoint
    }

    /// Adds a journal segment with the entries `range` and zeros laid down ahead.
    pub(crate) fn journal(&mut self, range: Range<u64>) {
        let mut bytes = segment::header(range.start);
        range.clone().for_each(|index| bytes.extend(segment::frame(&entry(index)).unwrap()));
        bytes.extend([0; 48]);
        self.files.insert(segment::segment_path(range.start), bytes);
    }

    pub(crate) fn verify(&self) -> Report {
        verify(self, &verifier(), None, &mut |_| {}).unwrap()
    }

    /// All faults, one a line.
    pub(crate) fn faults(&self) -> String {
        let faults = self.verify().faults;
        faults.iter().map(|fault| format!("{fault}\n")).collect()
    }
}

impl Source for Ledger {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.get(path).cloned())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let below = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        let mut names: Vec<String> = below
            .map(|path| match path.split_once('/') {
                Some((dir, _)) => format!("{dir}/"),
                None => path.into(),
            })
            .collect();
        names.dedup();
        Ok(names)
    }
}

/// A ledger on which a server goes on working: after a number of reads it is the next one.
pub(crate) struct Live {
    states: RefCell<Vec<(usize, Ledger)>>,
}

impl Live {
    /// Ledgers, each with the number of reads and listings it lasts; the last one stays.
    pub(crate) fn new(mut states: Vec<(usize, Ledger)>) -> Self {
        states.reverse();
        Self { states: RefCell::new(states) }
    }

    fn now<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        let mut states = self.states.borrow_mut();
        if states.len() > 1 && states.last().unwrap().0 == 0 {
            states.pop();
        }
        let (left, ledger) = states.last_mut().unwrap();
        *left = left.saturating_sub(1);
        look(ledger)
    }
}

impl Source for Live {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.now(|ledger| ledger.read(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.now(|ledger| ledger.list(dir))
    }
}

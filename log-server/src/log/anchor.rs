//! The anchor: the newest committed head once more, in a file outside the store.
//!
//! A store that lost its tail opens without complaint and with an older head; the anchor then knows
//! a newer one. It is two slots of 512 bytes, each with a checksum. A slot is written in place
//! after each commit and synced from time to time; the slot that was synced last is never written
//! until the other one is on the disk, so that a power cut spoils at most one of them. FORMAT.md
//! prints the layout.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use log_core::sha256;
use thiserror::Error;

use crate::store::Head;
use crate::store::head::HEAD_BYTES;

/// The anchor of one log. Its file lies where a restored or lost store does not take it along.
pub struct Anchor {
    file: File,
    state: Mutex<State>,
}

/// What is in the two slots. Between two syncs all writes go to `target`; the other slot is on the
/// disk and stays as it is.
struct State {
    newest: Head,
    target: usize,
    /// `target` was written since the last sync.
    dirty: bool,
    /// A sync is under way: `target` must not change beneath it.
    syncing: bool,
    /// A head that arrived during the sync; it goes to the other slot when that is done.
    pending: bool,
}

/// Why an anchor could not be opened. All of them keep the log shut.
#[derive(Debug, Error)]
pub enum AnchorError {
    /// `open`: there is no such file.
    #[error("the anchor {0} is missing")]
    Missing(PathBuf),
    /// Neither slot has a head with a good checksum.
    #[error("the anchor {0} is damaged: neither of its slots can be read")]
    Damaged(PathBuf),
    /// Both slots can be read and tell different stories about one commit or about the log.
    #[error("the slots of the anchor {0} contradict each other")]
    Contradiction(PathBuf),
    /// The file system failed.
    #[error("the anchor {0}: {1}")]
    Io(PathBuf, io::Error),
}

impl Anchor {
    /// Makes the anchor of a new log, on the disk on return.
    ///
    /// # Errors
    /// When the file is there already or cannot be written.
    pub fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        for slot in 0..SLOTS {
            write_slot(&file, slot, head)?;
        }
        file.sync_all()?;
        sync_directory(path)?;
        Ok(Self::with(file, *head, 0))
    }

    /// Makes the anchor anew with another head, older ones included, because the operator said so.
    ///
    /// # Errors
    /// When the new file cannot be written or take the place of the old one.
    pub fn replace(path: &Path, head: &Head) -> io::Result<()> {
        let new = path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Self::create(&new, head)?;
        std::fs::rename(&new, path)?;
        sync_directory(path)
    }

    /// Opens the anchor of a log and reads its newest head.
    ///
    /// # Errors
    /// [`AnchorError`] with the reason why the log has to stay shut.
    pub fn open(path: &Path) -> Result<Self, AnchorError> {
        let io = |error: io::Error| AnchorError::Io(path.to_owned(), error);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AnchorError::Missing(path.to_owned()));
            }
            opened => opened.map_err(io)?,
        };
        // What a killed process wrote may be in memory only; from here both slots are on the disk.
        file.sync_data().map_err(io)?;
        let slots = [read_slot(&file, 0).map_err(io)?, read_slot(&file, 1).map_err(io)?];
        let (newest, target) = match slots {
            [None, None] => return Err(AnchorError::Damaged(path.to_owned())),
            [Some(head), None] => (head, 1),
            [None, Some(head)] => (head, 0),
            [Some(first), Some(second)] if !agree(&first, &second) => {
                return Err(AnchorError::Contradiction(path.to_owned()));
            }
            [Some(first), Some(second)] if first.batch >= second.batch => (first, 1),
            [Some(_), Some(second)] => (second, 0),
        };
        Ok(Self::with(file, newest, target))
    }

    /// The newest head that was written.
    pub fn newest(&self) -> Head {
        self.state().newest
    }

    /// Writes a head that is committed, without waiting for the disk. Call it in the order of the
    /// commits, after each of them.
    ///
    /// # Errors
    /// When the file cannot be written, or `head` is older than one written before.
    pub fn write(&self, head: &Head) -> io::Result<()> {
        let mut state = self.state();
        if head.batch < state.newest.batch {
            return Err(io::Error::other("an older head after a newer one"));
        }
        state.newest = *head;
        if state.syncing {
            state.pending = true;
            return Ok(());
        }
        state.dirty = true;
        write_slot(&self.file, state.target, head)
    }

    /// Puts what was written until now on the disk. One thread calls it, not the one that commits.
    ///
    /// # Errors
    /// When the sync fails; the log has to stop then.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.dirty || state.syncing {
            return Ok(());
        }
        state.syncing = true;
        drop(state);
        let synced = self.file.sync_data();
        let mut state = self.state();
        state.syncing = false;
        synced?;
        // This slot is on the disk now, so the other one is free.
        state.target = (state.target + 1) % SLOTS;
        state.dirty = state.pending;
        if std::mem::take(&mut state.pending) {
            write_slot(&self.file, state.target, &state.newest)?;
        }
        Ok(())
    }

    fn with(file: File, newest: Head, target: usize) -> Self {
        let state = State { newest, target, dirty: false, syncing: false, pending: false };
        Self { file, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nobody panics with the state")
    }
}

/// Two good slots belong to one log, and one commit has one head.
fn agree(first: &Head, second: &Head) -> bool {
    let one_log = first.log_id == second.log_id && first.state_id == second.state_id;
    one_log && (first.batch != second.batch || first == second)
}

fn write_slot(file: &File, slot: usize, head: &Head) -> io::Result<()> {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[HEAD_AT..HEAD_AT + HEAD_BYTES].copy_from_slice(&head.encode());
    let checksum = sha256(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(checksum.as_bytes());
    file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64)
}

/// The head of a slot; `None` if the slot is torn, short or not a slot.
fn read_slot(file: &File, slot: usize) -> io::Result<Option<Head>> {
    let mut bytes = [0; SLOT_BYTES];
    match file.read_exact_at(&mut bytes, (slot * SLOT_BYTES) as u64) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let intact = bytes[..MAGIC.len()] == MAGIC[..]
        && bytes[CHECKSUM_AT..] == sha256(&bytes[..CHECKSUM_AT]).as_bytes()[..];
    Ok(intact.then(|| Head::decode(&bytes[HEAD_AT..HEAD_AT + HEAD_BYTES]).ok()).flatten())
}

/// Makes the name of a new file durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

const SLOTS: usize = 2;
/// The unit that a disk writes whole.
const SLOT_BYTES: usize = 512;
const MAGIC: &[u8; HEAD_AT] = b"cairn anchor 1\n\0";
const HEAD_AT: usize = 16;
const CHECKSUM_AT: usize = 480;

#[cfg(test)]
mod tests {
    use log_core::{Hash, TreeHead, TreeSize};

    use super::*;

    fn genesis() -> Head {
        Head::genesis(Hash::from_bytes([3; 32]), [4; 16])
    }

    /// The head of commit `batch`, one leaf a commit.
    fn head(batch: u64) -> Head {
        (1..=batch).fold(genesis(), |head, size| {
            let root_hash = sha256(&size.to_be_bytes());
            head.next(TreeHead { size: TreeSize::new(size), root_hash }, 0)
        })
    }

    struct Place {
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        Place { path: dir.path().join("anchor"), _dir: dir }
    }

    fn slots(path: &Path) -> [Option<u64>; 2] {
        let file = File::open(path).unwrap();
        [0, 1].map(|slot| read_slot(&file, slot).unwrap().map(|head| head.batch))
    }

    #[test]
    fn a_new_anchor_has_the_documented_bytes_twice() {
        let Place { path, _dir } = &place();
        Anchor::create(path, &genesis()).unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len(), 1024);
        assert_eq!(bytes[..512], bytes[512..]);
        assert_eq!(&bytes[..16], b"cairn anchor 1\n\0");
        assert_eq!(bytes[16..140], genesis().encode());
        assert!(bytes[140..480].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[480..512], sha256(&bytes[..480]).as_bytes()[..]);
        let again = Anchor::create(path, &genesis()).map(|_| ()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(Anchor::open(path).unwrap().newest(), genesis());
    }

    #[test]
    fn a_missing_anchor_is_named_and_not_made() {
        let Place { path, _dir } = &place();
        assert!(matches!(Anchor::open(path), Err(AnchorError::Missing(_))));
        assert!(!path.exists());
    }

    #[test]
    fn between_two_syncs_only_one_slot_changes() {
        let Place { path, _dir } = &place();
        let anchor = Anchor::create(path, &genesis()).unwrap();
        for batch in 1..=3 {
            anchor.write(&head(batch)).unwrap();
            assert_eq!(slots(path), [Some(batch), Some(0)]);
        }
        anchor.sync().unwrap();
        for batch in 4..=5 {
            anchor.write(&head(batch)).unwrap();
            assert_eq!(slots(path), [Some(3), Some(batch)]);
        }
        // Without a sync in between, also a new process goes on in the slot of the older head.
        drop(anchor);
        let anchor = Anchor::open(path).unwrap();
        assert_eq!(anchor.newest(), head(5));
        anchor.write(&head(6)).unwrap();
        assert_eq!(slots(path), [Some(6), Some(5)]);
        anchor.sync().unwrap();
        anchor.sync().unwrap();
        anchor.write(&head(7)).unwrap();
        assert_eq!(slots(path), [Some(6), Some(7)], "a sync without a write changes nothing");
    }

    #[test]
    fn a_head_that_arrives_during_a_sync_goes_to_the_other_slot() {
        let Place { path, _dir } = &place();
        let anchor = Anchor::create(path, &genesis()).unwrap();
        anchor.write(&head(1)).unwrap();
        anchor.state().syncing = true;
        anchor.write(&head(2)).unwrap();
        anchor.write(&head(3)).unwrap();
        assert_eq!(slots(path), [Some(1), Some(0)], "the slot under sync stays as it is");
        assert_eq!(anchor.newest(), head(3));
        anchor.state().syncing = false;
        anchor.sync().unwrap();
        assert_eq!(slots(path), [Some(1), Some(3)]);
        anchor.write(&head(4)).unwrap();
        assert_eq!(slots(path), [Some(1), Some(4)]);
        anchor.sync().unwrap();
        anchor.write(&head(5)).unwrap();
        assert_eq!(slots(path), [Some(5), Some(4)]);
    }

    #[test]
    fn an_older_head_is_refused() {
        let Place { path, _dir } = &place();
        let anchor = Anchor::create(path, &genesis()).unwrap();
        anchor.write(&head(2)).unwrap();
        assert!(anchor.write(&head(1)).is_err());
        assert_eq!(anchor.newest(), head(2));
    }

    #[test]
    fn one_bad_slot_leaves_the_other_and_two_leave_nothing() {
        let Place { path, _dir } = &place();
        let anchor = Anchor::create(path, &genesis()).unwrap();
        anchor.write(&head(1)).unwrap();
        anchor.sync().unwrap();
        anchor.write(&head(2)).unwrap();
        drop(anchor);
        let good = std::fs::read(path).unwrap();
        for at in 0..512 {
            let mut bytes = good.clone();
            bytes[512 + at] ^= 0x40;
            std::fs::write(path, &bytes).unwrap();
            assert_eq!(Anchor::open(path).unwrap().newest(), head(1), "byte {at}");
            bytes[at] ^= 0x40;
            std::fs::write(path, &bytes).unwrap();
            assert!(matches!(Anchor::open(path), Err(AnchorError::Damaged(_))), "byte {at}");
        }
        for length in [0, 1, 511, 512, 1023] {
            std::fs::write(path, &good[..length]).unwrap();
            match Anchor::open(path) {
                Ok(anchor) => assert!(length >= 512 && anchor.newest() == head(1)),
                Err(error) => assert!(length < 512 && matches!(error, AnchorError::Damaged(_))),
            }
        }
    }

    #[test]
    fn slots_of_two_logs_or_of_two_histories_contradict_each_other() {
        let Place { path, _dir } = &place();
        let anchor = Anchor::create(path, &genesis()).unwrap();
        let other_root = Head { tree: head(9).tree, ..head(1) };
        let other_log = Head { log_id: Hash::from_bytes([9; 32]), ..head(2) };
        let other_state = Head { state_id: [9; 16], ..head(2) };
        for bad in [other_root, other_log, other_state] {
            write_slot(&anchor.file, 0, &head(1)).unwrap();
            write_slot(&anchor.file, 1, &bad).unwrap();
            assert!(matches!(Anchor::open(path), Err(AnchorError::Contradiction(_))));
        }
    }
}

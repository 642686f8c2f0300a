//! Evidence: what a refused request proves about its log, and the files that are kept of it.
//!
//! ```text
//! DIR/evidence/<origin hash>/<nn>-<id>.tlog-evidence   proven: convicts the log's key
//! DIR/evidence/<origin hash>/<nn>-<id>.request         the request that it was taken from
//! DIR/suspected/<origin hash>/<time>-<hash>.request    refused, and proves nothing
//! ```
//!
//! The format of the proven files is in log-core. Making the proof is pure; keeping it is not.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use log_core::evidence::Evidence;
use log_core::note::SignedNote;
use log_core::{Hash, TreeSize, sha256};

use crate::add_checkpoint::Opened;
use crate::refusal::Refusal;
use crate::state::{Store, StoreError};

/// Evidence files of one origin that the operator has not accepted, the first ones: one convicts, a
/// flood of them must not fill the disk.
pub const EVIDENCE_FILES_MAX: usize = 16;
/// Suspected requests of one origin, the latest ones.
pub const SUSPECTED_FILES_MAX: usize = 8;
/// Suspected requests of all origins together. Anybody can cause them for a log that is ahead of
/// this witness; each is a checkpoint and a proof, a few kilobytes.
pub const SUSPECTED_FILES_TOTAL_MAX: usize = 8192;

const EVIDENCE_SUFFIX: &str = ".tlog-evidence";
const REQUEST_SUFFIX: &str = ".request";
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What a refusal is worth.
#[derive(Debug)]
pub enum Verdict {
    /// Two statements of the log exclude each other.
    Proven(Box<Evidence>),
    /// The log or its client is broken, or it hides something: nobody is accused.
    Suspected,
    /// An everyday refusal: a client that was behind, or repeated itself.
    Nothing,
}

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is a new file.
    New,
    /// It was kept before.
    Known,
    /// As many as are kept are there; this one was counted.
    Full,
}

/// Weighs a refused request against what is remembered of its log.
///
/// # Errors
/// [`StoreError`]: the journal cannot be read.
pub fn weigh(opened: &Opened, refusal: &Refusal, store: &Store) -> Result<Verdict, StoreError> {
    let worth_a_look = matches!(
        refusal,
        Refusal::EmptyRoot
            | Refusal::Conflict { .. }
            | Refusal::ProofNotEmpty
            | Refusal::RootsDiffer
            | Refusal::ProofFails
    );
    if !worth_a_look {
        return Ok(Verdict::Nothing);
    }
    if let Some(evidence) = prove(opened, store)? {
        return Ok(Verdict::Proven(Box::new(evidence)));
    }
    // A proof that fails although old size and key are right. Without a look at the log's tiles it
    // may be a wrong proof, and a wrong proof convicts nobody.
    let suspected = matches!(refusal, Refusal::ProofFails | Refusal::RootsDiffer);
    Ok(if suspected { Verdict::Suspected } else { Verdict::Nothing })
}

fn prove(opened: &Opened, store: &Store) -> Result<Option<Evidence>, StoreError> {
    let (log, note, keys) = (opened.log(), opened.note(), opened.keys());
    let (origin, old, size) = (&log.origin, opened.request().old, opened.checkpoint().head.size);
    if size.get() == 0 {
        return Ok(Evidence::empty_root(note, origin, keys));
    }
    let journal = |size: TreeSize| -> Result<Option<SignedNote>, StoreError> {
        let note = store.journal_note(&log.hash, size)?;
        // A row of our own that cannot be read proves nothing; it is not worth the process.
        Ok(note.and_then(|note| SignedNote::parse(note.as_bytes()).ok()))
    };
    if let Some(known) = journal(size)?
        && let Some(evidence) = Evidence::log_fork(&known, note, None, origin, keys)
    {
        return Ok(Some(evidence));
    }
    if old.get() == 0 || old >= size {
        return Ok(None);
    }
    let Some(known) = journal(old)? else { return Ok(None) };
    Ok(Evidence::from_refused(&known, note, &opened.request().proof, origin, keys))
}

/// The directories of the files.
#[derive(Debug)]
pub struct EvidenceFiles {
    evidence: PathBuf,
    suspected: PathBuf,
    /// One writer at a time: numbers are given, and the oldest is dropped.
    writing: Mutex<Written>,
}

/// What this process knows of the files.
#[derive(Debug, Default)]
struct Written {
    /// Files under `suspected`; counted when it is asked for first.
    suspected: Option<usize>,
    /// Evidence whose names this process has synced: origin and id.
    durable: HashSet<(Hash, Hash)>,
}

impl EvidenceFiles {
    /// The files below a data directory. Nothing is made before there is something to keep.
    pub fn new(data_dir: &Path) -> Self {
        let (evidence, suspected) = (data_dir.join("evidence"), data_dir.join("suspected"));
        Self { evidence, suspected, writing: Mutex::default() }
    }

    /// Keeps a proof and the request it was taken from, durably when this returns. Evidence that is
    /// `accepted` takes no room from what may come.
    ///
    /// # Errors
    /// The disk failed: it is not kept.
    pub fn keep(
        &self,
        origin: &Hash,
        evidence: &Evidence,
        request: &str,
        accepted: impl Fn(&Hash) -> io::Result<bool>,
    ) -> io::Result<Kept> {
        let mut written = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let id = evidence.id();
        let known = self.numbered(origin)?;
        let kept =
            if known.iter().any(|(_, known)| *known == id) { Kept::Known } else { Kept::New };
        if kept == Kept::Known && written.durable.contains(&(*origin, id)) {
            return Ok(kept);
        }
        let directory = self.evidence.join(origin.to_string());
        if kept == Kept::New {
            let mut open = 0;
            for (_, id) in &known {
                open += usize::from(!accepted(id)?);
            }
            if open >= EVIDENCE_FILES_MAX {
                return Ok(Kept::Full);
            }
            make_directory(&self.evidence)?;
            make_directory(&directory)?;
            let number = known.last().map_or(0, |(last, _)| last + 1);
            let name = format!("{number:02}-{id}");
            // The request first: a crash between the two leaves a request without evidence, which
            // nothing lists and which is written again with the next attempt.
            write_whole(&directory, &format!("{name}{REQUEST_SUFFIX}"), request.as_bytes())?;
            let file = evidence.to_string();
            write_whole(&directory, &format!("{name}{EVIDENCE_SUFFIX}"), file.as_bytes())?;
        }
        // The names, up to the data directory. A file that an earlier process left may have none on
        // disk yet, so it is not enough that it is there.
        for synced in directory.ancestors().take(3) {
            File::open(synced)?.sync_all()?;
        }
        // From here a crash loses neither file nor name, and the refusal may be heard.
        written.durable.insert((*origin, id));
        Ok(kept)
    }

    /// Keeps a request that proves nothing, if there is room or an older one to drop. It is not
    /// synced: losing one costs nothing.
    ///
    /// # Errors
    /// The disk failed: it is not kept.
    pub fn suspect(&self, origin: &Hash, now_s: u64, request: &str) -> io::Result<()> {
        let mut written = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = match written.suspected {
            Some(total) => total,
            None => self.count_suspected()?,
        };
        let directory = self.suspected.join(origin.to_string());
        let mut old = names(&directory)?;
        old.sort();
        let full = total >= SUSPECTED_FILES_TOTAL_MAX;
        let surplus = (old.len() + 1).saturating_sub(SUSPECTED_FILES_MAX).max(usize::from(full));
        for name in old.iter().take(surplus) {
            fs::remove_file(directory.join(name))?;
            total = total.saturating_sub(1);
        }
        if total < SUSPECTED_FILES_TOTAL_MAX {
            make_directory(&self.suspected)?;
            make_directory(&directory)?;
            let name = format!("{now_s:020}-{}{REQUEST_SUFFIX}", sha256(request.as_bytes()));
            create(&directory.join(name))?.write_all(request.as_bytes())?;
            total += 1;
        }
        written.suspected = Some(total);
        Ok(())
    }

    /// Ids of the evidence about an origin, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn ids(&self, origin: &Hash) -> io::Result<Vec<Hash>> {
        Ok(self.numbered(origin)?.into_iter().map(|(_, id)| id).collect())
    }

    fn numbered(&self, origin: &Hash) -> io::Result<Vec<(u32, Hash)>> {
        let names = names(&self.evidence.join(origin.to_string()))?;
        let mut files: Vec<_> = names.iter().filter_map(|name| id_of(name)).collect();
        files.sort_by_key(|(number, _)| *number);
        Ok(files)
    }

    fn count_suspected(&self) -> io::Result<usize> {
        let logs = names(&self.suspected)?;
        let counts = logs.iter().map(|log| Ok(names(&self.suspected.join(log))?.len()));
        counts.sum()
    }

    /// How many files there are about each log of which there are any.
    pub fn counts(&self) -> HashMap<Hash, usize> {
        let logs = names(&self.evidence).unwrap_or_default();
        let logs = logs.iter().filter_map(|name| Hash::from_hex(name));
        logs.map(|log| (log, self.ids(&log).map_or(0, |ids| ids.len()))).collect()
    }

    /// The file of that id; `None` if none is kept.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, origin: &Hash, id: &Hash) -> io::Result<Option<String>> {
        let directory = self.evidence.join(origin.to_string());
        let names = names(&directory)?;
        match names.iter().find(|name| id_of(name).is_some_and(|(_, found)| found == *id)) {
            Some(name) => fs::read_to_string(directory.join(name)).map(Some),
            None => Ok(None),
        }
    }
}

/// `<nn>-<id>.tlog-evidence`
fn id_of(name: &str) -> Option<(u32, Hash)> {
    let (number, id) = name.strip_suffix(EVIDENCE_SUFFIX)?.split_once('-')?;
    Some((number.parse().ok()?, Hash::from_hex(id)?))
}

/// The names in a directory; none if it is not there.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into());
    entries.map(name).collect()
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

/// Writes a file whole or not at all; its name is durable once the directory is synced.
fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.new"));
    let mut file = create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(name))
}

//! add-checkpoint: the decision whether to cosign (c2sp.org/tlog-witness). Pure: what is
//! known of the log and the time are arguments, nothing is written and nothing is signed. Steps 3
//! to 8 make an [`Opened`] request, once; steps 9 to 15 judge it against a row, and again if the
//! row has moved before the commit.
//!
//! | step | check | refusal |
//! |---|---|---|
//! | 3 | body: `old`, hashes, blank line | [`Refusal::BadRequest`] |
//! | 4 | first line of the note is a known origin | [`Refusal::UnknownOrigin`] |
//! | 5 | the note's grammar | [`Refusal::BadNote`], [`Refusal::TooManyLines`] |
//! | 6 | every line of a trusted key verifies, one is there | [`Refusal::NotSigned`] |
//! | 7 | the checkpoint's text, no extensions | [`Refusal::BadCheckpoint`], ... |
//! | 8 | old is not beyond the size | [`Refusal::BeyondSize`] |
//! | 9 | not frozen, state neither lost nor rolled back | [`Refusal::Frozen`], ... |
//! | 10 | size 0 has the empty root | [`Refusal::EmptyRoot`] |
//! | 11 | old is the latest size | [`Refusal::Conflict`] |
//! | 12 | from size 0 there is no proof | [`Refusal::ProofNotEmpty`] |
//! | 13 | equal sizes: no proof, same root | [`Refusal::ProofNotEmpty`], [`Refusal::RootsDiffer`] |
//! | 14 | the consistency proof holds | [`Refusal::ProofFails`] |
//! | 15 | the clock | [`Refusal::Clock`] |
//!
//! Steps 0 to 2 (method, overload, length of the body) are in `api`, 16 and 17 (sign, commit,
//! answer) in `witness`.

use std::sync::Arc;

use log_core::checkpoint::Checkpoint;
use log_core::key::VerifierKey;
use log_core::note::{NoteSignature, SignedNote};
use log_core::witness::AddCheckpointRequest;
use log_core::{Hash, TreeHead, TreeSize};

use crate::clock::Now;
use crate::keys::{OwnCosignature, WitnessKeys};
use crate::logs::{Log, Logs};
use crate::refusal::Refusal;
use crate::row::{RowHeader, Standing};

/// Signature lines that are looked at on one note: four times what the specification asks for.
pub const SIGNATURE_LINES_MAX: usize = 64;

/// A request whose signature was verified, steps 3 to 8. Only its state and the time are open.
#[derive(Debug)]
pub struct Opened {
    log: Arc<Log>,
    request: AddCheckpointRequest,
    checkpoint: Checkpoint,
    keys: Arc<Vec<VerifierKey>>,
    note: SignedNote,
    own: Option<OwnCosignature>,
}

impl Opened {
    /// Steps 3 to 8: everything that does not depend on what was cosigned before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open(body: &[u8], logs: &Logs, own_keys: &WitnessKeys) -> Result<Self, Refusal> {
        // 3: the lines before the note, and no byte anywhere that a note cannot have.
        let request = AddCheckpointRequest::parse(body)?;
        // 4: a log that is not known costs nothing more.
        let origin = request.checkpoint.split('\n').next().unwrap_or_default();
        let log = logs.by_origin(origin).ok_or(Refusal::UnknownOrigin)?;
        // 5
        let note = parse_note(&request.checkpoint)?;
        // 6: lines of unknown keys are ignored; one wrong line of a trusted key spoils the note.
        let keys = Arc::clone(&log.current().keys);
        note.verify(&keys).map_err(Refusal::NotSigned)?;
        // 7
        let checkpoint = parse_checkpoint(&note)?;
        // 8
        let (old, size) = (request.old, checkpoint.head.size);
        if old > size {
            return Err(Refusal::BeyondSize { old, size });
        }
        let own = OwnCosignature::of_lines(&own_keys.own_lines(&note), checkpoint.head);
        // Whatever else was sent is forgotten here: only verified lines are kept and served.
        let note = verified_lines(&note, &keys);
        Ok(Self { log, request, checkpoint, keys, note, own })
    }

    /// Steps 9 to 15, against the row as it stands: the time to sign.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn judge(&self, row: &RowHeader, frozen: Option<Hash>, now: &Now) -> Result<u64, Refusal> {
        let TreeHead { size, root_hash } = self.checkpoint.head;
        // 9
        if let Some(evidence) = frozen {
            return Err(Refusal::Frozen(evidence));
        }
        may_sign(row)?;
        // 10: a tree without leaves has one root.
        if size.get() == 0 && root_hash != Hash::EMPTY_ROOT {
            return Err(Refusal::EmptyRoot);
        }
        // 11
        let latest = row.latest_size();
        if self.request.old != latest {
            return Err(Refusal::Conflict { latest });
        }
        match row.head() {
            // 12: every tree continues the empty one; a proof would prove nothing. A size-0 head
            // looks the same to the log as never having been cosigned.
            None => self.proof_is_empty()?,
            Some(old) if old.size.get() == 0 => self.proof_is_empty()?,
            // 13: a refresh.
            Some(old) if old.size == size => {
                self.proof_is_empty()?;
                if old.root_hash != root_hash {
                    return Err(Refusal::RootsDiffer);
                }
            }
            // 14
            Some(old) => {
                let proof = self.request.proof.verify(&old, &self.checkpoint.head);
                proof.map_err(|_| Refusal::ProofFails)?;
            }
        }
        // 15
        Ok(now.time_to_sign(row.time_s)?)
    }

    fn proof_is_empty(&self) -> Result<(), Refusal> {
        if self.request.proof.hashes().is_empty() { Ok(()) } else { Err(Refusal::ProofNotEmpty) }
    }

    /// The log in question.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// What the log says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The request as it was parsed.
    pub fn request(&self) -> &AddCheckpointRequest {
        &self.request
    }

    /// The request again, with the verified lines of the log only: what is worth keeping of it.
    pub fn verified_request(&self) -> String {
        let checkpoint = self.note.to_string();
        AddCheckpointRequest { checkpoint, ..self.request.clone() }.to_string()
    }

    /// The checkpoint with the verified lines of the log, and no other.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// What the valid lines of the witness's own keys say, if there are any.
    pub fn own(&self) -> Option<OwnCosignature> {
        self.own
    }

    /// The keys that spoke for the log when the request was opened.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }
}

/// Whether this origin may get signatures at all, step 9. What the own signatures on the request
/// prove stands in the row by now (`Witness::recall`).
fn may_sign(row: &RowHeader) -> Result<(), Refusal> {
    match (row.standing, row.ahead) {
        (Standing::Lost, _) => Err(Refusal::Lost),
        (_, Some(ahead)) => Err(Refusal::RolledBack(ahead)),
        _ => Ok(()),
    }
}

/// Step 5, for both requests.
///
/// # Errors
/// [`Refusal::BadNote`] or [`Refusal::TooManyLines`].
pub fn parse_note(note: &str) -> Result<SignedNote, Refusal> {
    let note = SignedNote::parse(note.as_bytes()).map_err(Refusal::BadNote)?;
    if note.signatures().len() > SIGNATURE_LINES_MAX {
        return Err(Refusal::TooManyLines(SIGNATURE_LINES_MAX));
    }
    Ok(note)
}

/// Step 7, for both requests.
///
/// # Errors
/// [`Refusal::BadCheckpoint`], [`Refusal::Extensions`] or [`Refusal::SizeTooLarge`].
pub fn parse_checkpoint(note: &SignedNote) -> Result<Checkpoint, Refusal> {
    let checkpoint = Checkpoint::parse(note.text())?;
    if !checkpoint.extensions.is_empty() {
        return Err(Refusal::Extensions);
    }
    if checkpoint.head.size > TreeSize::MAX_SIGNED {
        return Err(Refusal::SizeTooLarge);
    }
    Ok(checkpoint)
}

/// The note with the lines of these keys only, each key once. They have been verified.
pub(crate) fn verified_lines(note: &SignedNote, keys: &[VerifierKey]) -> SignedNote {
    let mut lines: Vec<NoteSignature> = Vec::new();
    for line in note.signatures() {
        let known = keys.iter().any(|key| key.id() == line.id && *key.name() == line.name);
        let repeated = lines.iter().any(|kept| kept.id == line.id && kept.name == line.name);
        if known && !repeated {
            lines.push(line.clone());
        }
    }
    SignedNote::new(note.text().to_owned(), lines)
        .expect("invariant: a note that was read, with some of its lines, is a note")
}

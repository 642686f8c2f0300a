//! Witnessed: what a log knows for sure about its witnesses, in the store's note row.
//!
//! The newest published note, the policy under which it was published, and for each witness the
//! size that it is known to have cosigned. A start is decided with it: what may be served at once,
//! who has to be asked, and whose answer counts. FORMAT.md prints the form.

use std::collections::BTreeMap;
use std::fmt::Write;

use log_core::checkpoint::{OpenError, Origin, SignedCheckpoint};
use log_core::key::VerifierKey;
use log_core::policy::{PolicyError, WitnessPolicy};
use log_core::tree::TreeSize;

/// First line of the record; another text is another format.
const HEADER: &str = "cairn witnessed 1\n";

/// The size that each witness is known to have cosigned for this log, by its vkey. It never
/// shrinks, whatever the witness says later.
pub(super) type KnownSizes = BTreeMap<String, TreeSize>;

/// The record. It is replaced as a whole.
#[derive(Debug, Clone)]
pub(super) struct Witnessed {
    /// The newest published note; `None` before the first publication.
    pub(super) note: Option<String>,
    /// The policy under which the note was published, as it prints.
    pub(super) policy: String,
    /// What the witnesses are known to have cosigned.
    pub(super) sizes: KnownSizes,
}

/// Why a stored record cannot be used. The store is damaged, or another program wrote it.
#[derive(Debug, thiserror::Error)]
pub enum WitnessedError {
    /// Another format than this program knows.
    #[error("unknown format")]
    Version,
    /// A part is missing, or does not have its form.
    #[error("damaged at its {0}")]
    Damaged(&'static str),
    /// The policy in it cannot be read.
    #[error("its policy: {0}")]
    Policy(#[from] PolicyError),
    /// The note in it is not one that this log published.
    #[error("its note: {0}")]
    Note(#[from] OpenError),
}

impl Witnessed {
    /// A log that never published under a policy.
    pub(super) fn nothing() -> Self {
        let policy = WitnessPolicy::none().to_string();
        Self { note: None, policy, sizes: KnownSizes::new() }
    }

    /// Reads what [`Witnessed::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`WitnessedError`] names the part at fault.
    pub(super) fn parse(record: &[u8]) -> Result<Self, WitnessedError> {
        use WitnessedError::{Damaged, Version};
        let record = std::str::from_utf8(record).map_err(|_| Damaged("encoding"))?;
        let mut rest = record.strip_prefix(HEADER).ok_or(Version)?;
        let mut sizes = KnownSizes::new();
        while let Some(line) = rest.strip_prefix("witness ") {
            let (line, after) = line.split_once('\n').ok_or(Damaged("witnesses"))?;
            let (size, vkey) = line.split_once(' ').ok_or(Damaged("witnesses"))?;
            let size = TreeSize::parse_decimal(size).ok_or(Damaged("witnesses"))?;
            // In the order of their bytes, so that one record has one form.
            if VerifierKey::parse(vkey).is_err()
                || sizes.last_key_value().is_some_and(|(last, _)| last.as_str() >= vkey)
            {
                return Err(Damaged("witnesses"));
            }
            sizes.insert(vkey.to_owned(), size);
            rest = after;
        }
        let (policy, rest) = take(rest, "policy ").ok_or(Damaged("policy"))?;
        let (note, rest) = take(rest, "note ").ok_or(Damaged("note"))?;
        if !rest.is_empty() {
            return Err(Damaged("end"));
        }
        let note = (!note.is_empty()).then(|| note.to_owned());
        Ok(Self { note, policy: policy.to_owned(), sizes })
    }

    /// The bytes of the row.
    pub(super) fn encode(&self) -> Vec<u8> {
        let note = self.note.as_deref().unwrap_or_default();
        let mut record = String::from(HEADER);
        let written = self
            .sizes
            .iter()
            .try_for_each(|(vkey, size)| writeln!(record, "witness {size} {vkey}"))
            .and_then(|()| write!(record, "policy {}\n{}", self.policy.len(), self.policy))
            .and_then(|()| write!(record, "note {}\n{note}", note.len()));
        written.expect("invariant: writing to a String cannot fail");
        record.into_bytes()
    }

    /// The policy under which the note was published.
    ///
    /// # Errors
    /// [`WitnessedError::Policy`].
    pub(super) fn policy(&self) -> Result<WitnessPolicy, WitnessedError> {
        Ok(WitnessPolicy::parse(self.policy.as_bytes())?)
    }

    /// The published note, if the log of this origin and key signed it.
    ///
    /// # Errors
    /// [`WitnessedError::Note`].
    pub(super) fn checkpoint(
        &self,
        origin: &Origin,
        key: &VerifierKey,
    ) -> Result<Option<SignedCheckpoint>, WitnessedError> {
        let open = |note: &String| SignedCheckpoint::open(note.as_bytes(), origin, key);
        Ok(self.note.as_ref().map(open).transpose()?)
    }
}

/// Takes `LABEL LENGTH\n` and that many bytes off the front.
fn take<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let (length, rest) = text.strip_prefix(label)?.split_once('\n')?;
    let length = TreeSize::parse_decimal(length)?.get();
    rest.split_at_checked(usize::try_from(length).ok()?)
}

//! The heads that a log and its witnesses show now. Only what the log's key signed counts.
//!
//! Witnesses cosign before the log publishes, so they are asked first; a log that is behind them
//! is asked again for a while.

use std::fmt;
use std::thread;
use std::time::Duration;

use log_core::cosignature::Cosignature;
use log_core::policy::PolicyWitness;
use log_core::{NoteSignature, SignedNote, TreeHead, VerifierKey};
use reqwest::Url;
use serde_json::{Value, json};

use super::Audited;
use crate::client::{ClientError, LogClient};
use crate::witnessed::{Witnessed, open_checkpoint};

/// Pauses before the log is asked again because a witness shows a larger head. A round of
/// witnesses takes a log some seconds at most.
const BEHIND_PAUSES_MS: [u64; 4] = [250, 500, 1_000, 2_000];

/// Who showed a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The log, now.
    Log,
    /// The witness with this URL, now.
    Witness(String),
    /// The log or a witness, at an earlier audit.
    LastTime,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("the log"),
            Self::Witness(url) => write!(f, "the witness {url}"),
            Self::LastTime => f.write_str("the last audit"),
        }
    }
}

/// A head that the log signed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Who showed it.
    pub source: Source,
    /// Size and root.
    pub head: TreeHead,
    /// The note, with those lines only that verify under a key of the log or of the policy.
    pub note: SignedNote,
    /// The witnesses of the policy that cosigned it.
    pub cosignatures: Vec<Witnessed>,
}

impl Shown {
    /// Takes a note from elsewhere if the log signed it.
    ///
    /// # Errors
    /// Why it does not count, for people.
    pub fn open(source: Source, note: &[u8], audited: &Audited) -> Result<Self, String> {
        let told = |error: &dyn fmt::Display| format!("{source}: {error}");
        let note = SignedNote::parse(note).map_err(|error| told(&error))?;
        let (checkpoint, _) =
            open_checkpoint(&note, &audited.origin, &audited.keys).map_err(|error| told(&error))?;
        let cosigned = audited.policy.cosigned(&note);
        let cosignatures = cosigned.iter().map(|(witness, cosignature)| Witnessed {
            name: witness.name.clone(),
            time_s: cosignature.time_s(),
        });
        let cosignatures = cosignatures.collect();
        let note = verified_lines(&note, audited, &cosigned).map_err(|error| told(&error))?;
        Ok(Self { source, head: checkpoint.head, note, cosignatures })
    }

    /// The witnesses of the policy whose lines are here and may be those of whoever showed the
    /// head: for a URL that the policy has, only its own.
    pub fn own_witnesses<'p>(&self, audited: &'p Audited) -> Vec<&'p PolicyWitness> {
        let Source::Witness(url) = &self.source else {
            return Vec::new();
        };
        let witnesses = audited.policy.witnesses();
        let is_known = witnesses.iter().any(|witness| is_at(witness, url));
        let has_line = |witness: &&PolicyWitness| {
            let cosigned = self.cosignatures.iter().any(|cosigned| cosigned.name == witness.name);
            cosigned && (!is_known || is_at(witness, url))
        };
        witnesses.iter().filter(has_line).collect()
    }

    /// As programs read it.
    pub fn to_json(&self) -> Value {
        let (kind, url) = match &self.source {
            Source::Log => ("log", None),
            Source::Witness(url) => ("witness", Some(url)),
            Source::LastTime => ("lastTime", None),
        };
        json!({
            "source": kind,
            "url": url,
            "treeSize": self.head.size.get(),
            "rootHash": self.head.root_hash.to_base64(),
            "cosignatures": self.cosignatures.iter().map(Witnessed::to_json).collect::<Vec<_>>(),
        })
    }
}

/// The note without the lines that anybody could have added.
fn verified_lines(
    note: &SignedNote,
    audited: &Audited,
    cosigned: &[(&PolicyWitness, Cosignature)],
) -> Result<SignedNote, log_core::note::NoteError> {
    let by = |line: &NoteSignature, key: &VerifierKey| {
        line.id == key.id()
            && line.name == *key.name()
            && key.verify(note.text().as_bytes(), &line.signature).is_ok()
    };
    let keys = || audited.keys.iter().chain(cosigned.iter().map(|(witness, _)| &witness.key));
    let lines = note.signatures().iter().filter(|line| keys().any(|key| by(line, key)));
    SignedNote::new(note.text().to_owned(), lines.cloned().collect())
}

/// Everything that was read, and what could not be.
#[derive(Debug)]
pub struct Readings {
    /// The heads that the log signed.
    pub shown: Vec<Shown>,
    /// Who showed no such head, and why.
    pub undecided: Vec<String>,
    /// Where the log's tiles are.
    pub client: LogClient,
}

impl Readings {
    /// Reads the head that each witness shows, all at once, and then that of the log. `last` is
    /// the newest head of earlier audits.
    pub fn collect(
        audited: &Audited,
        client: LogClient,
        witnesses: &[(String, LogClient)],
        last: Option<Shown>,
    ) -> Self {
        let mut readings = Self { shown: Vec::new(), undecided: Vec::new(), client };
        let results: Vec<_> = thread::scope(|scope| {
            let ask = |(url, client): &(String, LogClient)| {
                let source = Source::Witness(url.clone());
                match client.cosigned_checkpoint(&audited.origin) {
                    Ok(note) => Shown::open(source, &note, audited),
                    Err(ClientError::NotFound { .. }) => {
                        Err(format!("{source}: it has cosigned nothing of this log"))
                    }
                    Err(error) => Err(with_causes(&source, &error)),
                }
            };
            let asked: Vec<_> =
                witnesses.iter().map(|witness| scope.spawn(move || ask(witness))).collect();
            let join = |asked: thread::ScopedJoinHandle<'_, _>| {
                asked.join().expect("invariant: reading a checkpoint does not panic")
            };
            asked.into_iter().map(join).collect()
        });
        readings.undecided.extend(unasked(audited, witnesses, &results));
        for result in results {
            match result {
                Ok(shown) => {
                    readings.undecided.extend(lacks_own_line(&shown, audited));
                    readings.shown.push(shown);
                }
                Err(reason) => readings.undecided.push(reason),
            }
        }
        readings.read_log(audited);
        readings.shown.extend(last);
        readings
    }

    fn read_log(&mut self, audited: &Audited) {
        let largest = self.shown.iter().map(|shown| shown.head.size).max();
        let read = || {
            let note = self.client.checkpoint();
            let note = note.map_err(|error| with_causes(&Source::Log, &error))?;
            Shown::open(Source::Log, &note, audited)
        };
        let mut log = read();
        for pause_ms in BEHIND_PAUSES_MS {
            match &log {
                Ok(shown) if Some(shown.head.size) < largest => {
                    thread::sleep(Duration::from_millis(pause_ms));
                    log = read();
                }
                _ => break,
            }
        }
        match log {
            Ok(shown) => self.shown.insert(0, shown),
            Err(reason) => self.undecided.push(reason),
        }
    }
}

/// The witnesses of the policy that nobody was asked about. A URL that the policy does not have
/// stands for the one witness whose lines it shows, and for none if they are of several.
fn unasked(
    audited: &Audited,
    asked: &[(String, LogClient)],
    answers: &[Result<Shown, String>],
) -> Vec<String> {
    let witnesses = audited.policy.witnesses();
    let shows = |witness: &PolicyWitness, shown: &Shown| {
        let known = shown.own_witnesses(audited);
        let names = known.iter().map(|known| known.key.name());
        known.contains(&witness) && names.clone().all(|name| name == witness.key.name())
    };
    let was_asked = |witness: &PolicyWitness| {
        asked.iter().any(|(url, _)| is_at(witness, url))
            || answers.iter().flatten().any(|shown| shows(witness, shown))
    };
    let missing = witnesses.iter().filter(|witness| !was_asked(witness));
    let told = |witness: &PolicyWitness| {
        let why = match &witness.url {
            None => "the policy has no URL for it; give --witness",
            Some(_) => "no --witness is its URL, and no other URL shows its lines alone",
        };
        format!("the witness {} of the policy was not asked: {why}", witness.name)
    };
    missing.map(told).collect()
}

/// A witness must show its own line: of a key that the policy has under this URL, or, for a URL
/// that the policy does not have, of any witness of the policy.
fn lacks_own_line(shown: &Shown, audited: &Audited) -> Option<String> {
    // Without a single witness in the policy nobody can tell whose line it should be.
    let told = audited.policy.witnesses().is_empty() || !shown.own_witnesses(audited).is_empty();
    (!told).then(|| format!("{}: the head lacks a valid line of that witness", shown.source))
}

/// Whether the policy has the witness under this URL.
fn is_at(witness: &PolicyWitness, url: &str) -> bool {
    let trimmed = |url: &str| without_credentials(url).trim_end_matches('/').to_owned();
    witness.url.as_deref().is_some_and(|there| trimmed(there) == trimmed(url))
}

/// The URL as it may be shown, also in evidence that is made public.
pub fn without_credentials(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    if parsed.username().is_empty() && parsed.password().is_none() {
        return url.to_owned();
    }
    let stripped = parsed.set_password(None).and_then(|()| parsed.set_username(""));
    stripped.map_or_else(|()| "of a secret URL".to_owned(), |()| parsed.to_string())
}

fn with_causes(source: &Source, error: &dyn std::error::Error) -> String {
    let mut text = format!("{source}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

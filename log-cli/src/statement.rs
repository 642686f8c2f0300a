//! In-toto statements: which files an envelope is about.

use log_core::entry::HashAlgorithm;
use serde::Deserialize;

use crate::artefact::{Artefact, hex};
use crate::bundle::Envelope;

/// The payload type of in-toto statements, the only one that names files.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Whether one of the subjects of the statement in the envelope is the artefact.
///
/// # Errors
/// [`StatementError`] if the envelope holds no statement, or one about other files.
pub fn check_statement(envelope: &Envelope, artefact: &Artefact) -> Result<(), StatementError> {
    if envelope.payload_type != IN_TOTO {
        return Err(StatementError::PayloadType(envelope.payload_type.clone()));
    }
    let statement: Statement = serde_json::from_slice(&envelope.payload.0)?;
    let is_artefact = |subject: &Subject| subject.digest.is_of(artefact);
    let found = statement.subject.iter().any(is_artefact);
    if found { Ok(()) } else { Err(StatementError::OtherArtefact) }
}

/// Why an envelope says nothing about a file.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The envelope holds something that does not name files.
    #[error("the envelope holds `{0}`, not an in-toto statement")]
    PayloadType(String),
    /// The payload is not a statement.
    #[error("the payload is not an in-toto statement")]
    Json(#[from] serde_json::Error),
    /// It names other files.
    #[error("the signature is about another file")]
    OtherArtefact,
}

/// The part of an in-toto statement that names files.
#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

/// The digests of a subject under the hashes that are understood.
#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
    sha384: Option<String>,
    sha512: Option<String>,
}

impl SubjectDigest {
    /// At least one digest is given, and all that are given fit.
    fn is_of(&self, artefact: &Artefact) -> bool {
        let given = [
            (&self.sha256, HashAlgorithm::Sha2_256),
            (&self.sha384, HashAlgorithm::Sha2_384),
            (&self.sha512, HashAlgorithm::Sha2_512),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(text, algorithm)| Some((text.as_ref()?, algorithm)))
            .peekable();
        given.peek().is_some()
            && given.all(|(text, algorithm)| {
                hex(artefact.digest(algorithm).as_ref()).eq_ignore_ascii_case(text)
            })
    }
}

//! Personality: the submission protocol and the leaf format of a log, fixed when it is created.

use std::fmt;
use std::str::FromStr;

/// Which protocol a log speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// Sigstore Rekor v1: canonical JSON of the older kinds, signed entry timestamps, a search.
    RekorV1,
    /// Sigstore Rekor v2: canonical JSON of hashedrekord 0.0.2 and dsse 0.0.2.
    RekorV2,
    /// Any bytes: the request body is the leaf.
    Raw,
}

/// A personality that this program does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown personality {0:?}; there are rekor-v1, rekor-v2 and raw")]
pub struct UnknownPersonality(String);

impl Personality {
    /// Whether the time of each entry is committed with it, and promised to its submitter.
    pub fn commits_time(self) -> bool {
        self == Self::RekorV1
    }

    /// The name in the configuration, in `GET /logs` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::RekorV1 => "rekor-v1",
            Self::RekorV2 => "rekor-v2",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Personality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Personality {
    type Err = UnknownPersonality;

    fn from_str(name: &str) -> Result<Self, UnknownPersonality> {
        [Self::RekorV1, Self::RekorV2, Self::Raw]
            .into_iter()
            .find(|one| one.name() == name)
            .ok_or_else(|| UnknownPersonality(name.into()))
    }
}

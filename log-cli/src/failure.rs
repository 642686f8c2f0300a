//! Why a command did not answer yes, and the exit code that says so.

use std::error::Error;
use std::fmt;

/// Why a command did not succeed. The variant decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The question was answered, and the answer is no. Exit code 1.
    No(Box<dyn Error + Send + Sync>),
    /// The command line makes no sense. Exit code 2.
    Usage(String),
    /// The question could not be answered: network, unreadable file. Exit code 3.
    Undecided(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// The answer is no, because of `reason`.
    pub fn no(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::No(reason.into())
    }

    /// There is no answer, because of `reason`.
    pub fn undecided(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Undecided(reason.into())
    }

    /// The exit code of the process: 1 no, 2 wrong usage, 3 could not tell.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Usage(_) => 2,
            Self::Undecided(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(reason) => f.write_str(reason),
            Self::No(reason) | Self::Undecided(reason) => {
                write!(f, "{reason}")?;
                let mut source = reason.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
        }
    }
}

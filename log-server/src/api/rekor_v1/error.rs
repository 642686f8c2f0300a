//! The only file with status codes of Rekor v1: what goes wrong on its paths, as the answers that
//! clients of the last years know. Some of them compare these texts.
//!
//! A rule of the schema that is broken is status 422 with a number from 600 in the body. What a
//! client did wrong is never 5xx: clients would try again and hide the cause.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use log_core::EntryId;

use super::super::ApiError;
use super::accept::{JSON, Offers, PEM};
use super::encode::encode_error;
use super::invalid::{Invalid, Rule};
use super::retrieve::ITEMS_MAX;
use crate::admit::v1::{GoQuoted, Refusal};
use crate::log::read::ReadError;
use crate::log::{AnswerError, SearchError, SubmitError};

/// Seconds after which a client that is refused for a while should try again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(in crate::api) enum Error {
    /// A parameter or a member of the body breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The submitter's entry does not hold.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An entry that is only looked for does not hold.
    #[error("{}", .0.in_lookup())]
    NoLookUp(Refusal),
    /// A proposed entry among those that are looked for breaks a rule: its number, and which.
    #[error("entries.{0}.{1}")]
    InvalidEntry(usize, Refusal),
    /// The body is not the JSON that was asked for.
    #[error("parsing {body} body from \"\" failed, because {why}")]
    Unreadable {
        /// What the body is called.
        body: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// More is asked for than one request may ask for.
    #[error("more than max allowed {ITEMS_MAX} entries in request")]
    TooManyItems,
    /// An id in a list that can be none of any log.
    #[error("invalid entryID {0}")]
    ListedId(String),
    /// An id that can be none of any log: its tree.
    #[error("validation error: {0} is not a valid TreeID")]
    IdOfNoTree(String),
    /// The log has no such entry.
    #[error("no such entry")]
    NoEntry,
    /// The entry is in the log already.
    #[error("an equivalent entry already exists in the transparency log with UUID {id}")]
    Duplicate {
        /// The entry.
        id: EntryId,
        /// Where it can be read.
        location: String,
    },
    /// The sizes of a proof are in the wrong order.
    #[error("firstSize({first}) must be less than lastSize({last})")]
    SizesSwapped {
        /// The smaller tree, as it was called.
        first: i64,
        /// The larger one.
        last: i64,
    },
    /// No tree of this size was published.
    #[error(
        "the tree size requested({asked}) was greater than what is currently observable({size})"
    )]
    SizeUnknown {
        /// What was asked for.
        asked: i64,
        /// What there is.
        size: u64,
    },
    /// No shard of this log is this tree.
    #[error("no log range found for tree ID {0}")]
    NoTree(u64),
    /// A number that is no tree id.
    #[error("invalid tree ID specified: {0}")]
    BadTree(String),
    /// The log has no key for this tree.
    #[error("Bad Request")]
    NoKey,
    /// What was searched for is no public key.
    #[error("public key provided could not be parsed")]
    KeyUnreadable,
    /// A public key in a format that nothing here can read.
    #[error("the PKI format requested is not supported by this server")]
    KeyFormat,
    /// A page that begins behind an entry that is not in this log.
    #[error("after is no entry of this log")]
    PageStart,
    /// More is found than one answer holds, or than one search may read.
    #[error("{0}")]
    TooMuchFound(String),
    /// Nothing has this path.
    #[error("path {0} was not found")]
    UnknownPath(String),
    /// The path has other methods.
    #[error("method {method} is not allowed, but [{allowed}] are")]
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// Those that the path has, with commas.
        allowed: &'static str,
    },
    /// The body is said to be something else than JSON.
    #[error("unsupported media type {}, only [application/json] are allowed", GoQuoted(.0))]
    MediaType(String),
    /// The client takes nothing that there is.
    #[error("unsupported media type requested, only {0} are available")]
    NotAcceptable(Offers),
    /// What any protocol here may answer.
    #[error(transparent)]
    Door(#[from] ApiError),
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Door(error.into())
    }
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        Self::Door(error.into())
    }
}

impl From<SearchError> for Error {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Read(error) => error.into(),
            SearchError::TooMany(_) | SearchError::TooMuchWork(_) => {
                Self::TooMuchFound(error.to_string())
            }
        }
    }
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::InvalidEntry(..) | Self::TooManyItems => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Refused(refusal) if refusal.code() != 400 => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(_)
            | Self::NoLookUp(_)
            | Self::Unreadable { .. }
            | Self::ListedId(_)
            | Self::IdOfNoTree(_)
            | Self::SizesSwapped { .. }
            | Self::SizeUnknown { .. }
            | Self::NoTree(_)
            | Self::BadTree(_)
            | Self::NoKey
            | Self::KeyUnreadable
            | Self::KeyFormat
            | Self::PageStart
            | Self::TooMuchFound(_) => StatusCode::BAD_REQUEST,
            Self::NoEntry | Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::Duplicate { .. } => StatusCode::CONFLICT,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::Door(ApiError::Submit(SubmitError::Frozen)) => StatusCode::NOT_IMPLEMENTED,
            Self::Door(error) => error.status(),
        }
    }

    /// The number in the body.
    fn code(&self) -> u16 {
        match self {
            Self::Invalid(invalid) => match invalid.rule {
                Rule::Type(..) => 601,
                Rule::Required => 602,
                Rule::CharsMax(_) => 603,
                Rule::Pattern(_) => 605,
                Rule::OneOf(_) => 606,
                Rule::Max(_) => 608,
                Rule::Min(_) => 609,
                Rule::ItemsMax(_) => 611,
                Rule::ItemsMin(_) => 612,
            },
            Self::Refused(refusal) | Self::InvalidEntry(_, refusal) => refusal.code(),
            other => other.status().as_u16(),
        }
    }

    /// Whether the operator has to look at it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Door(error) if error.is_ours())
    }

    /// What the client reads.
    fn message(&self) -> String {
        match self {
            Self::Door(ApiError::BodyTooLarge(limit)) => {
                format!("Request Entity Too Large. Limit set to {limit}")
            }
            Self::Door(ApiError::Submit(SubmitError::Frozen)) => {
                "Create Entry API not enabled in this Rekor instance".into()
            }
            // What the store said is for the operator.
            Self::Door(
                ApiError::Read(_)
                | ApiError::Submit(SubmitError::Answer(AnswerError::BatchFailed(_))),
            ) => "unexpected error communicating with transparency log".into(),
            Self::Door(ApiError::Internal) => "Unknown error".into(),
            other => other.to_string(),
        }
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let status = self.status();
        // The one answer without a body: so clients know that the server, and not the path, is
        // what lacks something.
        let body = match self {
            Self::NoEntry => Vec::new(),
            _ => encode_error(self.code(), &self.message()),
        };
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match &self {
            Self::NoEntry => {}
            Self::NoKey => {
                headers.insert(CONTENT_TYPE, PEM);
            }
            _ => {
                headers.insert(CONTENT_TYPE, JSON);
            }
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        match self {
            Self::Duplicate { location, .. } => {
                if let Ok(location) = HeaderValue::try_from(location) {
                    headers.insert(LOCATION, location);
                }
            }
            Self::MethodNotAllowed { allowed, .. } => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            // The rest of the body was not read, so the connection cannot be used again.
            Self::Door(
                ApiError::BodyTooLarge(_) | ApiError::BodyTooSlow(_) | ApiError::TooManyLongBodies,
            ) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests;

//! The only file with status codes: what goes wrong on the Rekor v2, raw and tile paths, as an
//! HTTP answer (`google.rpc.Status` in JSON) and as a gRPC status. Texts of the reference server
//! come first where clients may have seen them; the reason follows.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use log_core::LeafIndex;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::rekor_v2_json::{JsonError, encode_status};
use crate::admit::Refusal;
use crate::log::read::ReadError;
use crate::log::{AnswerError, PoolRefusal, SubmitError};

/// Seconds after which a refused submitter should try again: a batch takes milliseconds, so a
/// second empties any pool.
const RETRY_AFTER_SECONDS: &str = "1";

/// The answer of a log that takes no entries any more; plain text, unlike every other error.
const FROZEN: &str = "This log has been frozen, please switch to the latest log.\n";

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The submitter's entry does not hold.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The submitter's JSON does not fit.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The entry is in the log, and the log is set to say so instead of answering it.
    #[error("an equivalent entry already exists in the transparency log with index {0}")]
    Duplicate(LeafIndex),
    /// A raw entry is longer than an entry bundle can hold.
    #[error("{0}")]
    LeafTooLong(log_core::leaf::LeafTooLong),
    /// The body is longer than the server reads.
    #[error("request body too large (body_bytes_max = {0})")]
    BodyTooLarge(usize),
    /// The body did not come in time.
    #[error("the request body took longer than body_ms_max = {0}")]
    BodyTooSlow(u64),
    /// The body broke off.
    #[error("the request body cannot be read: {0}")]
    BodyBroken(String),
    /// As many long bodies as fit memory are being read.
    #[error("too many long request bodies are under way; try again later")]
    TooManyLongBodies,
    /// Entries that take long to check wait for each other.
    #[error("too many entries wait to be checked; try again later")]
    TooMuchToCheck,
    /// As many requests as the server takes are under way.
    #[error("too many requests under way (requests_max = {0})")]
    TooManyRequests(usize),
    /// The log cannot answer just now.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The log failed its checks and stays shut.
    #[error("the log is shut: {0}")]
    Shut(String),
    /// The log has not published anything yet that its witnesses cosigned.
    #[error("no checkpoint yet: the witnesses of the log have not cosigned one; see /readyz")]
    Unpublished,
    /// The store failed under a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing has this path.
    #[error("Not Found")]
    NotFound,
    /// The path has other methods.
    #[error("Method Not Allowed")]
    MethodNotAllowed(&'static str),
    /// No log has this host name.
    #[error("no log is served under this host name")]
    Misdirected,
    /// A raw log takes entries from its own host only.
    #[error("this log takes entries from loopback only (set `open = true` to change that)")]
    Closed,
    /// Something that must not happen happened while this request was answered.
    #[error("internal server error")]
    Internal,
}

impl ApiError {
    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.codes().0
    }

    /// HTTP status and gRPC code.
    fn codes(&self) -> (StatusCode, Code) {
        match self {
            Self::Refused(_) | Self::Json(_) | Self::LeafTooLong(_) | Self::BodyBroken(_) => {
                (StatusCode::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::Duplicate(_) => (StatusCode::CONFLICT, Code::AlreadyExists),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
            Self::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::Submit(SubmitError::Frozen) => {
                (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented)
            }
            Self::Submit(SubmitError::Answer(AnswerError::BatchFailed(_))) | Self::Read(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown)
            }
            Self::Submit(_)
            | Self::Shut(_)
            | Self::Unpublished
            | Self::TooManyLongBodies
            | Self::TooMuchToCheck => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
            Self::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
            Self::Misdirected => (StatusCode::MISDIRECTED_REQUEST, Code::NotFound),
            Self::Closed => (StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        }
    }

    /// Whether the operator has to look at it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Internal
                | Self::Read(_)
                | Self::Submit(SubmitError::Answer(AnswerError::BatchFailed(_)))
        )
    }

    /// What the requester reads.
    fn message(&self) -> String {
        match self {
            Self::Submit(SubmitError::Pool(full @ PoolRefusal::Full(_))) => {
                format!("reached max pushback; retry: {full}")
            }
            Self::Submit(SubmitError::Answer(AnswerError::BatchFailed(_))) => {
                // What the store said is for the operator.
                "failed to integrate entry".into()
            }
            Self::Read(_) => "the log cannot be read".into(),
            other => other.to_string(),
        }
    }

    /// The HTTP answer.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let (status, code) = self.codes();
        let frozen = matches!(self, Self::Submit(SubmitError::Frozen));
        let (body, content_type) = if frozen {
            (Bytes::from_static(FROZEN.as_bytes()), "text/plain; charset=utf-8")
        } else {
            (encode_status(code as i32, &self.message()).into(), "application/json")
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        match self {
            Self::Duplicate(index) => {
                headers.insert("x-log-index", HeaderValue::from(index.get()));
            }
            Self::MethodNotAllowed(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            // The rest of the body was not read, so the connection cannot be used again.
            Self::BodyTooLarge(_) | Self::BodyTooSlow(_) | Self::TooManyLongBodies => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }

    /// The gRPC status.
    pub fn into_status(self) -> Status {
        let mut status = Status::new(self.codes().1, self.message());
        if let Self::Duplicate(index) = self {
            let index = MetadataValue::from(index.get());
            status.metadata_mut().insert("x-log-index", index);
        }
        status
    }
}

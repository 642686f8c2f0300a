//! The front door: routes, bodies within their limits, and the only file with status codes.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add-checkpoint` | signature lines |
//! | `POST /sign-subtree` | signature lines |
//! | `GET /<origin hash>/checkpoint` | the newest cosigned note |
//! | `GET /<origin hash>/evidence` | ids of the evidence about the log, oldest first |
//! | `GET /<origin hash>/evidence/<id>` | one file |
//! | `GET /healthz` | the process answers |

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE,
    HeaderValue, RETRY_AFTER,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use log_core::Hash;
use log_core::witness::SIZE_CONTENT_TYPE;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Config;
use crate::metrics::{Metrics, Raised};
use crate::refusal::Refusal;
use crate::unfinished::Unfinished;
use crate::witness::Witness;

/// Seconds after which somebody who was turned away should try again.
const RETRY_AFTER_SECONDS: &str = "1";
/// One address may hold one in so many of the places for requests with bodies that it is still
/// sending: a proxy in front of the witness has room, a single stranger does not shut the door.
const PEER_SHARE: usize = 4;
/// Files of evidence that are read from the disk at once; further readers wait for the disk, which
/// is no faster with more of them.
const FILES_AT_ONCE: usize = 16;
/// Bytes of a refused body that are read and thrown away, so that the client sees the answer.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;
const TEXT: &str = "text/plain; charset=utf-8";
/// A checkpoint is replaced every few seconds; the specification allows an hour.
const CACHE_BRIEFLY: &str = "public, max-age=1";
/// The name of a file of evidence is the hash of what is in it.
const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Serves the requests of all connections.
pub struct Api {
    /// The reason why nothing is signed, if there is one.
    witness: Result<Arc<Witness>, String>,
    metrics: Arc<Metrics>,
    limits: Config,
    /// Places for requests that bring a body. Reads have no body to wait for and need none.
    free: Semaphore,
    unfinished: Unfinished,
    files: Semaphore,
}

/// What a path and a method ask for.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    AddCheckpoint,
    SignSubtree,
    Checkpoint(Hash),
    EvidenceList(Hash),
    Evidence(Hash, Hash),
    Health,
    WrongMethod(&'static str),
    Unknown,
}

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
enum ApiError {
    Refused(Refusal),
    /// The state is not usable at all.
    Shut(String),
    TooManyRequests(usize),
    /// One peer is sending too many bodies at once.
    TooManyBodies,
    BodyTooLarge(usize),
    BodyTooSlow(u64),
    BodyBroken,
    NotFound,
    MethodNotAllowed(&'static str),
    /// A file cannot be read.
    Internal,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Route {
    fn of(method: &Method, path: &str) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let post = |route| if method == Method::POST { route } else { Self::WrongMethod("POST") };
        let read = |route| if reads { route } else { Self::WrongMethod("GET, HEAD") };
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let segments = [segments.next(), segments.next(), segments.next(), segments.next()];
        match segments {
            [Some("add-checkpoint"), None, ..] => post(Self::AddCheckpoint),
            [Some("sign-subtree"), None, ..] => post(Self::SignSubtree),
            [Some("healthz"), None, ..] => read(Self::Health),
            [Some(hash), Some(what), id, None] => match (Hash::from_hex(hash), what, id) {
                (Some(hash), "checkpoint", None) => read(Self::Checkpoint(hash)),
                (Some(hash), "evidence", None) => read(Self::EvidenceList(hash)),
                (Some(hash), "evidence", Some(id)) => match Hash::from_hex(id) {
                    Some(id) => read(Self::Evidence(hash, id)),
                    None => Self::Unknown,
                },
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::AddCheckpoint => "add-checkpoint",
            Self::SignSubtree => "sign-subtree",
            Self::Checkpoint(_) => "checkpoint",
            Self::EvidenceList(_) | Self::Evidence(..) => "evidence",
            Self::Health => "healthz",
            Self::WrongMethod(_) | Self::Unknown => "other",
        }
    }
}

impl Api {
    /// Puts the front door before an open witness, or before the reason why there is none.
    pub fn new(witness: Result<Arc<Witness>, String>, limits: Config) -> Self {
        let metrics = match &witness {
            Ok(witness) => Arc::clone(&witness.metrics),
            Err(_) => Arc::new(Metrics::new()),
        };
        let free = Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS));
        let unfinished = Unfinished::new((limits.requests_max / PEER_SHARE).max(1));
        let files = Semaphore::new(FILES_AT_ONCE);
        Self { witness, metrics, limits, free, unfinished, files }
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn witness(&self) -> Result<&Arc<Witness>, &str> {
        self.witness.as_ref().map_err(String::as_str)
    }

    /// Answers one request of that peer.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let began = Instant::now();
        let _open = Raised::new(self.metrics.requests_open());
        let route = Route::of(request.method(), request.uri().path());
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let answered = self.route(&route, request, peer).await;
        let mut response = answered.unwrap_or_else(|error| self.refuse(error));
        if reads {
            let anybody = HeaderValue::from_static("*");
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
        }
        let (status, took) = (response.status().as_u16(), began.elapsed());
        self.metrics.answered(route.name(), status, took);
        tracing::debug!(route = route.name(), status, ?took, "answered");
        Ok(response)
    }

    async fn route(
        &self,
        route: &Route,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, ApiError> {
        match route {
            Route::Health => return Ok(text(StatusCode::OK, "ok\n")),
            Route::WrongMethod(allow) => return Err(ApiError::MethodNotAllowed(allow)),
            Route::Unknown => return Err(ApiError::NotFound),
            _ => {}
        }
        let witness = match &self.witness {
            Ok(witness) => witness,
            Err(reason) => return Err(ApiError::Shut(reason.clone())),
        };
        match route {
            Route::AddCheckpoint => {
                let _place = self.take_place()?;
                let body = self.read_body(request, peer).await?;
                Ok(text(StatusCode::OK, witness.add_checkpoint(&body).await?))
            }
            Route::SignSubtree => {
                let _place = self.take_place()?;
                let body = self.read_body(request, peer).await?;
                Ok(text(StatusCode::OK, witness.sign_subtree(&body).await?))
            }
            Route::Checkpoint(origin) => {
                let note = witness.checkpoint(origin).ok_or(ApiError::NotFound)?;
                Ok(cached(text(StatusCode::OK, note), CACHE_BRIEFLY))
            }
            Route::EvidenceList(origin) => {
                let _file = self.files.acquire().await.map_err(|_| ApiError::Internal)?;
                let ids = witness.evidence_ids(origin).await.map_err(|_| ApiError::Internal)?;
                if ids.is_empty() {
                    return Err(ApiError::NotFound);
                }
                let lines = ids.iter().fold(String::new(), |lines, id| format!("{lines}{id}\n"));
                Ok(cached(text(StatusCode::OK, lines), CACHE_BRIEFLY))
            }
            Route::Evidence(origin, id) => {
                let _file = self.files.acquire().await.map_err(|_| ApiError::Internal)?;
                let file = witness.evidence_file(origin, id).await;
                let file = file.map_err(|_| ApiError::Internal)?.ok_or(ApiError::NotFound)?;
                Ok(cached(text(StatusCode::OK, file), CACHE_FOR_EVER))
            }
            Route::Health | Route::WrongMethod(_) | Route::Unknown => Err(ApiError::NotFound),
        }
    }

    /// A place for a request with a body, until it is answered.
    fn take_place(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.free.try_acquire().map_err(|_| ApiError::TooManyRequests(self.limits.requests_max))
    }

    /// Reads a body to its end, within its length and its time.
    async fn read_body(&self, request: Request<Incoming>, peer: IpAddr) -> Result<Bytes, ApiError> {
        let _reading = self.unfinished.begin(peer).ok_or(ApiError::TooManyBodies)?;
        let (parts, mut body) = request.into_parts();
        let bytes_max = self.limits.body_bytes_max;
        let deadline = Instant::now() + Duration::from_millis(self.limits.body_ms_max);
        let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let announced: Option<usize> = announced.and_then(|length| length.parse().ok());
        if announced.is_some_and(|length| length > bytes_max) {
            if announced.is_some_and(|length| length <= DISCARDED_BYTES_MAX) {
                discard(body, deadline).await;
            }
            return Err(ApiError::BodyTooLarge(bytes_max));
        }
        let reading = Limited::new(&mut body, bytes_max).collect();
        match tokio::time::timeout_at(deadline.into(), reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                discard(body, deadline).await;
                Err(ApiError::BodyTooLarge(bytes_max))
            }
            Ok(Err(_)) => Err(ApiError::BodyBroken),
            Err(_) => Err(ApiError::BodyTooSlow(self.limits.body_ms_max)),
        }
    }

    /// An error as an answer.
    fn refuse(&self, error: ApiError) -> Response<Full<Bytes>> {
        if let ApiError::Refused(refusal) = &error {
            self.metrics.refused(refusal.reason());
            tracing::debug!(%refusal, "refused");
        }
        let status = error.status();
        let mut response = text(status, error.message());
        let headers = response.headers_mut();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        match error {
            ApiError::Refused(Refusal::Conflict { .. }) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(SIZE_CONTENT_TYPE));
            }
            ApiError::MethodNotAllowed(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            // The rest of the body was not read, so the connection cannot be used again.
            ApiError::BodyTooLarge(_) | ApiError::BodyTooSlow(_) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => status_of(refusal),
            Self::Shut(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyRequests(_) | Self::TooManyBodies => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> String {
        match self {
            // The body is the size, and nothing else (tlog-witness, add-checkpoint).
            Self::Refused(Refusal::Conflict { latest }) => format!("{latest}\n"),
            Self::Refused(refusal) => format!("{refusal}\n"),
            Self::Shut(reason) => format!("{reason}\n"),
            Self::TooManyRequests(max) => {
                format!("too many requests under way (requests_max = {max})\n")
            }
            Self::TooManyBodies => "too many unfinished bodies of this address\n".into(),
            Self::BodyTooLarge(max) => {
                format!("the request body is too large (body_bytes_max = {max})\n")
            }
            Self::BodyTooSlow(max) => {
                format!("the request body took longer than body_ms_max = {max}\n")
            }
            Self::BodyBroken => "the request body broke off\n".into(),
            Self::NotFound => "not found\n".into(),
            Self::MethodNotAllowed(_) => "method not allowed\n".into(),
            Self::Internal => "internal error\n".into(),
        }
    }
}

/// The status table of c2sp.org/tlog-witness.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::BadRequest(_)
        | Refusal::BadNote(_)
        | Refusal::TooManyLines(_)
        | Refusal::BadCheckpoint(_)
        | Refusal::Extensions
        | Refusal::SizeTooLarge
        | Refusal::BeyondSize { .. } => StatusCode::BAD_REQUEST,
        Refusal::NotSigned(_) | Refusal::NotCosigned => StatusCode::FORBIDDEN,
        Refusal::UnknownOrigin => StatusCode::NOT_FOUND,
        Refusal::Conflict { .. } => StatusCode::CONFLICT,
        Refusal::EmptyRoot
        | Refusal::ProofNotEmpty
        | Refusal::RootsDiffer
        | Refusal::ProofFails => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Frozen(_)
        | Refusal::RolledBack(_)
        | Refusal::Lost
        | Refusal::Clock(_)
        | Refusal::TooManyConflicts => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}

fn cached(mut response: Response<Full<Bytes>>, rule: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(rule));
    response
}

/// Reads what is left of a body that was refused. A connection that is closed while bytes wait to
/// be read is reset, and a client that is still sending would never see why.
async fn discard(mut body: Incoming, deadline: Instant) {
    let reading = async {
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(read) else { return };
            left = rest;
        }
    };
    // Whoever takes longer is cut off.
    let _ = tokio::time::timeout_at(deadline.into(), reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_lead_where_the_specification_says() {
        let hash = "ace8788d62aafa0f8ea8c0e74fcc68e5962f181ac963f1197b1ec8134f0a1b50";
        let origin = Hash::from_hex(hash).unwrap();
        let (get, post) = (Method::GET, Method::POST);
        assert_eq!(Route::of(&post, "/add-checkpoint"), Route::AddCheckpoint);
        assert_eq!(Route::of(&get, "/add-checkpoint"), Route::WrongMethod("POST"));
        assert_eq!(Route::of(&post, "/sign-subtree"), Route::SignSubtree);
        let checkpoint = format!("/{hash}/checkpoint");
        assert_eq!(Route::of(&get, &checkpoint), Route::Checkpoint(origin));
        assert_eq!(Route::of(&post, &checkpoint), Route::WrongMethod("GET, HEAD"));
        assert_eq!(Route::of(&get, &format!("/{hash}/evidence")), Route::EvidenceList(origin));
        let file = format!("/{hash}/evidence/{hash}");
        assert_eq!(Route::of(&get, &file), Route::Evidence(origin, origin));
        let unknown = [
            "/".to_owned(),
            "/add-checkpoint/".to_owned(),
            "//add-checkpoint".to_owned(),
            checkpoint.to_uppercase(),
            format!("/{}/checkpoint", hash.to_uppercase()),
            format!("/{hash}/checkpoint/"),
            format!("/{hash}/evidence/../checkpoint"),
            format!("/{hash}/evidence/{hash}/x"),
            format!("/{}/checkpoint", &hash[1..]),
        ];
        for path in unknown {
            assert_eq!(Route::of(&get, &path), Route::Unknown, "{path}");
        }
    }
}

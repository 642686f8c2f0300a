//! Rekor v1: the paths below `/api/v1`, and `/ping`, for the clients of the last years. Its own
//! routes, errors and answers, because those clients compare them byte for byte.
//!
//! `docs/rekor-v1.md` lists where this differs from the reference server on purpose.

mod accept;
mod create;
mod email;
mod encode;
mod error;
mod invalid;
mod members;
mod query;
mod read;
mod retrieve;
mod route;
mod search;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, CACHE_CONTROL, CONTENT_TYPE,
    EXPIRES, HeaderName, HeaderValue, PRAGMA,
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};

pub(super) use error::Error;
pub(super) use route::Endpoint;

use super::body::{self, Limits, ReadRequest};
use super::{Api, ApiError, host};
use crate::engine::{Face, Hosted};
use accept::Offers;

/// What keeps every cache away from the state of the log.
const NO_CACHE: [(HeaderName, HeaderValue); 4] = [
    (
        CACHE_CONTROL,
        HeaderValue::from_static(
            "no-cache, no-store, no-transform, must-revalidate, private, max-age=0",
        ),
    ),
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")),
    (HeaderName::from_static("x-accel-expires"), HeaderValue::from_static("0")),
];

/// Answers a request. `id` names it to the operator.
pub(super) async fn answer(
    api: &Api,
    endpoint: Endpoint<'_>,
    request: Request<Incoming>,
    id: &str,
) -> Response<Full<Bytes>> {
    match dispatch(api, endpoint, request).await {
        Ok(response) => uncached(response, endpoint),
        Err(error) => refuse(error, endpoint, id),
    }
}

/// Turns an error into an answer, and into a line for the operator where it is ours.
pub(super) fn refuse(
    error: impl Into<Error>,
    endpoint: Endpoint<'_>,
    id: &str,
) -> Response<Full<Bytes>> {
    let error = error.into();
    if error.is_ours() {
        tracing::error!(request = id, route = endpoint.name(), %error, "failed");
    }
    uncached(error.into_response(), endpoint)
}

fn uncached(mut response: Response<Full<Bytes>>, endpoint: Endpoint<'_>) -> Response<Full<Bytes>> {
    if endpoint.is_log_data() {
        response.headers_mut().extend(NO_CACHE.map(|(name, value)| (Some(name), value)));
    }
    response
}

async fn dispatch(
    api: &Api,
    endpoint: Endpoint<'_>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Error> {
    match endpoint {
        Endpoint::Ping => Ok(ping()),
        Endpoint::Preflight => Ok(preflight()),
        Endpoint::WrongMethod(allowed) => {
            Err(Error::MethodNotAllowed { method: request.method().to_string(), allowed })
        }
        Endpoint::Unknown => Err(unknown(&request)),
        Endpoint::Create => {
            let hosted = face(api, &request)?;
            let request = read_json(api, &hosted, request).await?;
            create::create(api, &hosted, request).await
        }
        Endpoint::Retrieve => {
            let hosted = face(api, &request)?;
            let request = read_json(api, &hosted, request).await?;
            read::retrieve(api, hosted, request).await
        }
        Endpoint::Search => {
            let hosted = face(api, &request)?;
            let request = read_json(api, &hosted, request).await?;
            read::search(hosted, request, api.now()).await
        }
        Endpoint::PublicKey => {
            let hosted = face(api, &request)?;
            let media = accept::choose(request.headers(), Offers::PEM_OR_JSON)?;
            read::public_key(&hosted, request.uri().query(), media)
        }
        Endpoint::LogInfo | Endpoint::Proof | Endpoint::EntryAt | Endpoint::Entry(_) => {
            let hosted = face(api, &request)?;
            accept::choose(request.headers(), Offers::JSON)?;
            read::get(&hosted, endpoint, request.uri().query())
        }
    }
}

/// The Rekor v1 log of the host that the client called.
fn face<B>(api: &Api, request: &Request<B>) -> Result<Arc<Hosted>, Error> {
    match api.engine.v1_face(host(request.uri(), request.headers())) {
        Face::Log(hosted) => Ok(Arc::clone(hosted)),
        Face::Misdirected => Err(ApiError::Misdirected.into()),
        Face::None => Err(unknown(request)),
    }
}

fn unknown<B>(request: &Request<B>) -> Error {
    Error::UnknownPath(request.uri().path().to_owned())
}

/// Reads a body that must be JSON. Whether there is one is for the endpoint to say.
async fn read_json(
    api: &Api,
    hosted: &Hosted,
    request: Request<Incoming>,
) -> Result<ReadRequest, Error> {
    if !request.body().is_end_stream() {
        accept::check_sends_json(request.headers())?;
    }
    let limits = Limits {
        bytes_max: hosted.config.body_bytes_max,
        framing_bytes: 0,
        ms_max: api.limits.body_ms_max,
        long: Some(&api.long_bodies),
    };
    Ok(body::read(request, &limits).await?)
}

fn ping() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b".")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Pages of other sites may send whatever these paths take: there is nothing here that a browser
/// would add by itself, and nothing that is secret.
fn preflight() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, HEAD"));
    let allowed = HeaderValue::from_static("Accept, Content-Type, X-Requested-With");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    response
}

/// An answer in JSON.
fn json(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, accept::JSON);
    response
}

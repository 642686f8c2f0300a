//! The front door: one request in, one answer out, REST and gRPC on the same listener.
//!
//! `Api::answer` chooses the log by host name and path, reads the body under its limits, and
//! hands over to the file of the protocol.

mod body;
mod error;
mod grpc;
mod raw;
mod rekor_v1;
mod rekor_v2;
pub mod rekor_v2_json;
mod route;
mod slow_lane;
pub(crate) mod status;
mod tiles;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

pub use error::ApiError;

use body::{LONG_BODIES_MAX, Limits};

use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::engine::{Engine, Face, Hosted};
use crate::metrics::{Metrics, Raised};
use route::Route;
use slow_lane::SlowLane;
use tiles::Compressible;

/// How long caches may believe that something is not there.
const CACHE_MISSING: &str = "public, max-age=1";

/// The bytes before a gRPC message: a flag and its length.
const GRPC_FRAME_HEADER_BYTES: usize = 5;

/// Serves the requests of all connections.
pub struct Api {
    engine: Arc<Engine>,
    limits: ServerConfig,
    metrics: Arc<Metrics>,
    clock: Clock,
    free: Semaphore,
    /// Permits for long bodies, of all requests together.
    long_bodies: Arc<Semaphore>,
    slow_lane: SlowLane,
    grpc: Routes,
    /// Tells the requests of this run from those of others.
    run: u32,
    requests: AtomicU64,
}

impl Api {
    /// Puts the front door before the engine.
    ///
    /// # Errors
    /// The descriptors compiled into this program cannot be read.
    pub async fn new(
        engine: Arc<Engine>,
        limits: ServerConfig,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let free = Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS));
        let grpc = grpc::routes(limits.body_bytes_max).await?;
        let long_bodies = Arc::new(Semaphore::new(LONG_BODIES_MAX));
        let slow_lane = SlowLane::new();
        let (run, requests) = (rand::random(), AtomicU64::new(0));
        Ok(Self {
            engine,
            limits,
            metrics,
            clock,
            free,
            long_bodies,
            slow_lane,
            grpc,
            run,
            requests,
        })
    }

    /// Answers one request. Whatever happens inside, the requester gets an answer.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let began = Instant::now();
        let _open = Raised::new(self.metrics.requests_open());
        let id = format!("{:08x}-{}", self.run, self.requests.fetch_add(1, Ordering::Relaxed));
        let path = request.uri().path().to_owned();
        let route = Route::of(request.method(), &path, request.headers());
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let answered = match self.free.try_acquire() {
            // A panic is a defect of ours; it must not reach the other requests of a connection.
            Ok(_permit) => AssertUnwindSafe(self.route(route, request, peer, &id))
                .catch_unwind()
                .await
                .unwrap_or(Err(ApiError::Internal)),
            Err(_) => Err(ApiError::TooManyRequests(self.limits.requests_max)),
        };
        let mut response = answered.unwrap_or_else(|error| refuse(error, route, &id));
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-request-id", id);
        }
        if reads || matches!(route, Route::RekorV1(_)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        let (status, took) = (response.status().as_u16(), began.elapsed());
        self.metrics.answered(route.name(), status, took);
        tracing::debug!(request = id, route = route.name(), status, ?took, "answered");
        Ok(response)
    }

    async fn route(
        &self,
        route: Route<'_>,
        request: Request<Incoming>,
        peer: SocketAddr,
        id: &str,
    ) -> Result<Response<Body>, ApiError> {
        match route {
            Route::Grpc => return self.call(request).await,
            Route::RekorV1(endpoint) => Ok(rekor_v1::answer(self, endpoint, request, id).await),
            Route::CreateEntry => {
                let hosted = self.face(&request)?;
                let (_, body) = self.read_body(request, 0).await?;
                rekor_v2::post(&hosted, body).await
            }
            Route::RawAdd(name) => {
                let hosted = self.named(name)?;
                raw::check(&hosted, peer)?;
                let (headers, body) = self.read_body(request, 0).await?;
                raw::add(&hosted, &headers, body).await
            }
            Route::ReadFace(rest) => {
                let hosted = self.face(&request)?;
                return self
                    .compress(&request, tiles::get(&hosted, rest, request.headers())?)
                    .await;
            }
            Route::ReadLog(name, rest) => {
                let hosted = self.named(name)?;
                return self
                    .compress(&request, tiles::get(&hosted, rest, request.headers())?)
                    .await;
            }
            Route::Logs => Ok(status::logs(&self.engine)),
            Route::Health => Ok(status::health()),
            Route::Ready => Ok(status::ready(&self.engine)),
            Route::WrongMethod(allow) => Err(ApiError::MethodNotAllowed(allow)),
            Route::Unknown => Err(ApiError::NotFound),
        }
        .map(|response| response.map(Body::new))
    }

    /// The time of day.
    fn now(&self) -> Timestamp {
        let ms = i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// The Rekor v2 log of the host that the client called.
    fn face<B>(&self, request: &Request<B>) -> Result<Arc<Hosted>, ApiError> {
        match self.engine.face(host(request.uri(), request.headers())) {
            Face::Log(hosted) => Ok(Arc::clone(hosted)),
            Face::Misdirected => Err(ApiError::Misdirected),
            Face::None => Err(ApiError::NotFound),
        }
    }

    fn named(&self, name: &str) -> Result<Arc<Hosted>, ApiError> {
        self.engine.log(name).map(Arc::clone).ok_or(ApiError::NotFound)
    }

    /// Reads a body. `framing_bytes` are allowed on top of the length that is configured.
    async fn read_body(
        &self,
        request: Request<Incoming>,
        framing_bytes: usize,
    ) -> Result<(HeaderMap, Bytes), ApiError> {
        let limits = Limits {
            bytes_max: self.limits.body_bytes_max,
            framing_bytes,
            ms_max: self.limits.body_ms_max,
            long: None,
        };
        let read = body::read(request, &limits).await?;
        Ok((read.parts.headers, read.body))
    }

    /// Answers a gRPC call. A message of our own service is read here, under the same limits as a
    /// REST body; the streams of reflection and health are left to their own frames.
    async fn call(&self, mut request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
        if let Ok(hosted) = self.face(&request) {
            request.extensions_mut().insert(grpc::Chosen(hosted));
        }
        let ours = request.uri().path().starts_with(grpc::REKOR_PATH);
        let answer = if ours {
            let head = head_of(&request);
            let (_, body) = self.read_body(request, GRPC_FRAME_HEADER_BYTES).await?;
            self.grpc.clone().oneshot(head.map(|()| Full::new(body))).await
        } else {
            self.grpc.clone().oneshot(request).await
        };
        Ok(answer.unwrap_or_else(|never| match never {}))
    }

    /// Compresses an answer that is worth it for a client that asks for it.
    async fn compress(
        &self,
        request: &Request<Incoming>,
        response: Response<Full<Bytes>>,
    ) -> Result<Response<Body>, ApiError> {
        if response.extensions().get::<Compressible>().is_none() {
            return Ok(response.map(Body::new));
        }
        let layer = CompressionLayer::new().gzip(true);
        let ready = tower::service_fn(|_: Request<()>| {
            let response = response.clone();
            async move { Ok::<_, Infallible>(response) }
        });
        let head = head_of(request);
        let compressed = tower::Layer::layer(&layer, ready)
            .oneshot(head)
            .await
            .unwrap_or_else(|never| match never {});
        Ok(compressed.map(Body::new))
    }
}

/// A request's head without its body.
fn head_of<B>(request: &Request<B>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    *head.extensions_mut() = request.extensions().clone();
    head
}

/// The host that the client called, without its port. `X-Forwarded-Host` is never read: anybody
/// can send it.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    if let Some(host) = uri.host() {
        return host;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are none of a port.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

/// Turns an error into an answer, and into a line for the operator where it is ours.
fn refuse(error: ApiError, route: Route<'_>, id: &str) -> Response<Body> {
    if let Route::RekorV1(endpoint) = route {
        return rekor_v1::refuse(error, endpoint, id).map(Body::new);
    }
    let ours = error.is_ours();
    if ours {
        tracing::error!(request = id, route = route.name(), %error, "failed");
    }
    if matches!(route, Route::Grpc) {
        return error.into_status().into_http();
    }
    let mut response = error.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_MISSING));
    }
    response.map(Body::new)
}

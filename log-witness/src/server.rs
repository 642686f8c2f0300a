//! Server: the listeners, their limits, and the graceful stop.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::api::Api;
use crate::config::Config;
use crate::idle::Activity;
use crate::metrics::Raised;

/// Longest head of a request, in bytes: paths are short and nothing else travels in it.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Header fields in one request.
const HEADERS_MAX: usize = 64;
/// HTTP/2 requests at once on one connection: a log has one request under way for each witness, and
/// few connections must not hold all the places for requests.
const STREAMS_MAX: u32 = 16;
/// Streams that a client may reset before they were accepted: beyond it is an attack.
const PENDING_RESETS_MAX: usize = 20;
/// A silent HTTP/2 connection is asked for life in this interval.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// File descriptors that are not for connections: the database, the admin connections and orders,
/// files of evidence, the runtime.
const FILES_RESERVED: usize = 256;
/// Connections to the admin address at once: a scraper and a few curious operators.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// After a failed accept (usually: no more file descriptors) the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The lock is for its owner alone.
const LOCK_MODE: u32 = 0o600;
/// Between two looks at a preface that comes in pieces.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);

/// Serves until `stop` resolves, then drains: no new connections, requests under way are answered,
/// and what was promised is on disk.
pub async fn run(
    listener: TcpListener,
    admin: TcpListener,
    api: Api,
    limits: Config,
    stop: impl Future<Output = ()>,
) {
    let api = Arc::new(api);
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let connect = Arc::new(builder(&limits));
    let header = Duration::from_millis(limits.header_ms_max);
    let (serving, served) = watch::channel(());
    let admin = tokio::spawn(serve_admin(admin, Arc::clone(&api), Arc::clone(&connect), header));
    let mut stop = std::pin::pin!(stop);
    loop {
        let (permit, (stream, peer)) = tokio::select! {
            next = accept(&listener, &connections) => next,
            () = &mut stop => break,
        };
        let api = Arc::clone(&api);
        let metrics = Arc::clone(api.metrics());
        let (connect, watcher) = (Arc::clone(&connect), graceful.watcher());
        let mut served = served.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let _open = Raised::new(metrics.connections_open());
            tokio::select! {
                begun = tokio::time::timeout(header, begins(&stream)) => match begun {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return,
                },
                // Nothing is ever sent: it resolves when `serving` is gone.
                _ = served.changed() => return,
            }
            let activity = Arc::new(Activity::new());
            let requests = Arc::clone(&activity);
            let service = service_fn(move |request: Request<Incoming>| {
                let (api, activity) = (Arc::clone(&api), Arc::clone(&requests));
                async move {
                    let _in_work = activity.begin();
                    api.answer(request, peer.ip()).await
                }
            });
            let connection = connect.serve_connection(TokioIo::new(stream), service).into_owned();
            tokio::select! {
                ended = watcher.watch(connection) => if let Err(error) = ended {
                    tracing::debug!(%peer, error, "connection ended");
                },
                () = activity.idles(header) => tracing::debug!(%peer, "idle connection ended"),
            }
        });
    }
    drop(serving);
    drop(listener);
    let drain = Duration::from_millis(limits.drain_ms_max);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_ms_max = limits.drain_ms_max, "requests were still under way");
    }
    admin.abort();
    let stopping = tokio::task::spawn_blocking(move || api.witness().map(|open| open.stop()).ok());
    if stopping.await.is_err() {
        tracing::error!("the writer did not stop cleanly");
    }
}

fn builder(limits: &Config) -> auto::Builder<TokioExecutor> {
    let mut connect = auto::Builder::new(TokioExecutor::new());
    connect
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms_max))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX as usize)
        .keep_alive(true);
    connect
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX);
    connect
}

/// Waits until a connection shows whether it speaks HTTP/1 or HTTP/2, and takes nothing from it.
/// From there on hyper watches the clock; until it knows the protocol it would wait for ever.
/// `false`: it ended without a request.
async fn begins(stream: &TcpStream) -> bool {
    let mut start = [0; HTTP2_PREFACE.len()];
    loop {
        match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return false,
            Ok(seen) if seen == start.len() => return true,
            Ok(seen) if start.get(..seen) != HTTP2_PREFACE.get(..seen) => return true,
            // A part of the preface is there; the system does not wake us for the rest of it.
            Ok(_) => tokio::time::sleep(PREFACE_PAUSE).await,
        }
    }
}

/// Accepts once there is room for another connection; until then they wait in the kernel.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (tokio::sync::OwnedSemaphorePermit, (TcpStream, SocketAddr)) {
    loop {
        let permit = Arc::clone(connections).acquire_owned().await;
        let permit = permit.expect("invariant: the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written in one piece; waiting for more would only delay them.
                let _ = stream.set_nodelay(true);
                return (permit, (stream, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Metrics and readiness, on their own address.
async fn serve_admin(
    listener: TcpListener,
    api: Arc<Api>,
    connect: Arc<auto::Builder<TokioExecutor>>,
    header: Duration,
) {
    let connections = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let (permit, (stream, _)) = accept(&listener, &connections).await;
        let (api, connect) = (Arc::clone(&api), Arc::clone(&connect));
        tokio::spawn(async move {
            let _permit = permit;
            let activity = Arc::new(Activity::new());
            let requests = Arc::clone(&activity);
            let service = service_fn(move |request: Request<Incoming>| {
                let (api, activity) = (Arc::clone(&api), Arc::clone(&requests));
                async move {
                    let _in_work = activity.begin();
                    let response = admin_answer(request.uri().path(), &api).await;
                    Ok::<_, std::convert::Infallible>(response)
                }
            });
            tokio::select! {
                // A scraper that goes away is no news.
                _ = connect.serve_connection(TokioIo::new(stream), service) => {}
                () = activity.idles(header) => {}
            }
        });
    }
}

async fn admin_answer(path: &str, api: &Api) -> Response<Full<Bytes>> {
    let (status, kind, body) = match path {
        "/metrics" => {
            let logs = match api.witness() {
                Ok(witness) => witness.levels().await,
                Err(_) => Vec::new(),
            };
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, kind, api.metrics().render(logs))
        }
        "/readyz" => match api.witness() {
            Ok(_) => (StatusCode::OK, "text/plain", "ready\n".into()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{reason}\n")),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Raises the limit of open files to what the system allows: the usual soft limit of 1,024 is
/// below `connections_max`. Gives the limit that holds now; `None` is no limit.
pub fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, soft = limit.current, "the limit of open files was not raised");
    }
    getrlimit(Resource::Nofile).current
}

/// How many connections may be open so that evidence, database and orders find a file descriptor.
pub fn connections_that_fit(files_max: Option<u64>) -> usize {
    let files_max = files_max.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    files_max.saturating_sub(FILES_RESERVED).max(1)
}

/// Binds an address, with an error that names it.
///
/// # Errors
/// The address is in use, or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Takes the data directory for this process.
///
/// # Errors
/// Another process has it, or it cannot be locked.
pub fn lock(data_dir: &Path) -> std::io::Result<std::fs::File> {
    let path = data_dir.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(LOCK_MODE)
        .open(&path)?;
    // One that an earlier version made: whoever can open it can hold it, and keep the witness down.
    file.set_permissions(std::fs::Permissions::from_mode(LOCK_MODE))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(std::io::Error::other(format!(
            "{} is in use by another cairn-witness",
            data_dir.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_file_descriptors_for_the_rest() {
        assert_eq!(connections_that_fit(Some(1024)), 1024 - FILES_RESERVED);
        assert_eq!(connections_that_fit(Some(3)), 1);
        assert!(connections_that_fit(None) > 1 << 30);
    }
}

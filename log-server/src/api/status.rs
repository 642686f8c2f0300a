//! Status: `/healthz`, `/readyz` and `GET /logs`, for machines that watch and for `cairn trust`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::engine::{Engine, Hosted};

#[derive(Serialize)]
struct Logs<'a> {
    logs: Vec<LogRow<'a>>,
}

/// One log as `GET /logs` shows it. A shut log shows neither keys nor size: nothing of it was
/// checked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRow<'a> {
    name: &'a str,
    personality: &'static str,
    origin: &'a str,
    state: &'static str,
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    vkeys: Vec<String>,
    /// Base64 of the DER SubjectPublicKeyInfo.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

impl<'a> LogRow<'a> {
    fn of(hosted: &'a Hosted) -> Self {
        let log = hosted.log().ok();
        Self {
            name: &hosted.config.name,
            personality: hosted.personality.name(),
            origin: &hosted.config.origin,
            state: match log {
                None => "shut",
                Some(log) if log.is_frozen() => "frozen",
                Some(_) => "open",
            },
            start_time: hosted.config.created.to_string(),
            reason: hosted.log().err().map(ToString::to_string),
            size: log.map(|log| log.published().head().size.get()),
            vkeys: log.map(|log| log.key().to_string()).into_iter().collect(),
            public_key: log.and_then(|log| log.key().spki_der()).map(|der| STANDARD.encode(der)),
        }
    }
}

/// The process answers; nothing else is claimed.
pub(super) fn health() -> Response<Full<Bytes>> {
    json(StatusCode::OK, "{\"status\":\"SERVING\"}\n".into())
}

/// Whether every log is open; those that are shut come with the reason.
pub(crate) fn ready(engine: &Engine) -> Response<Full<Bytes>> {
    let all_open = engine.logs().iter().all(|log| log.log().is_ok());
    let status = if all_open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, rows(engine))
}

/// Every log with its keys.
pub(super) fn logs(engine: &Engine) -> Response<Full<Bytes>> {
    json(StatusCode::OK, rows(engine))
}

fn rows(engine: &Engine) -> Vec<u8> {
    let logs = Logs { logs: engine.logs().iter().map(|log| LogRow::of(log)).collect() };
    serde_json::to_vec(&logs).expect("invariant: strings and numbers make JSON")
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

//! Status: `/healthz`, `/readyz` and `GET /logs`, for machines that watch and for `cairn trust`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use log_core::{TreeHead, TreeSize};
use serde::Serialize;

use crate::config::{OnMissingQuorum, WitnessSettings};
use crate::engine::{Engine, Hosted};
use crate::log::accepted_tail::AcceptedTail;
use crate::log::{Log, State, WitnessState, WitnessStatus};

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
    /// The tlog-policy under which the log publishes: what its clients may demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_policy: Option<String>,
    /// Only in `/readyz`, and only of a log that has witnesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessing: Option<Witnessing>,
    /// Only in `/readyz`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accepted_tails: Vec<AcceptedTailRow>,
}

/// Where an operator gave up what had been committed.
#[derive(Serialize)]
struct AcceptedTailRow {
    accepted: String,
    size: u64,
    root: String,
}

impl From<&AcceptedTail> for AcceptedTailRow {
    fn from(tail: &AcceptedTail) -> Self {
        let TreeHead { size, root_hash } = tail.head;
        let (accepted, root) = (tail.accepted.to_string(), root_hash.to_string());
        Self { accepted, size: size.get(), root }
    }
}

impl<'a> LogRow<'a> {
    fn of(hosted: &'a Hosted) -> Self {
        let (log, shut) = match hosted.log() {
            Ok(log) => (Some(log), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            name: &hosted.config.name,
            personality: hosted.personality.name(),
            origin: &hosted.config.origin,
            state: log.map_or("shut", |log| log.state().name()),
            start_time: hosted.config.created.to_string(),
            reason: shut.map(|why| why.to_string()).or_else(|| log.and_then(reason)),
            size: log.and_then(Log::published).map(|published| published.head().size.get()),
            vkeys: log.map(vkeys).unwrap_or_default(),
            public_key: log.and_then(|log| log.key().spki_der()).map(|der| STANDARD.encode(der)),
            witness_policy: log
                .map(|log| &log.settings().witnesses.policy)
                .filter(|policy| !policy.is_none())
                .map(ToString::to_string),
            witnessing: None,
            accepted_tails: Vec::new(),
        }
    }

    /// The row with everything that an operator wants to know.
    fn for_operator(hosted: &'a Hosted) -> Self {
        let log = hosted.log().ok();
        let tails = log.map(Log::accepted_tails).unwrap_or_default();
        let accepted_tails = tails.iter().map(AcceptedTailRow::from).collect();
        Self { witnessing: log.and_then(Witnessing::of), accepted_tails, ..Self::of(hosted) }
    }
}

/// The key of its clients, then that of its witnesses if it is another one.
fn vkeys(log: &Log) -> Vec<String> {
    let mut keys = vec![log.key().to_string(), log.witness_key().to_string()];
    keys.dedup();
    keys
}

/// Why a log that is not shut does not do all that it is there for.
fn reason(log: &Log) -> Option<String> {
    let why = match log.state() {
        State::Open | State::Frozen => return None,
        State::Asking => "the witnesses are asked whether this is the newest state of the log",
        State::NoQuorum if log.lacks_space() => {
            return Some("there is no room on the disk: nothing new is published".into());
        }
        State::Clock => {
            return Some(
                "the time of day is not to be trusted: it jumped, or lies before what was \
                 committed. Entries are taken again once it is right, or after a restart if it is"
                    .into(),
            );
        }
        State::NoQuorum => "the quorum does not cosign: nothing new is published",
        State::Degraded => "published without the quorum, as on_missing_quorum says",
    };
    let rows = log.witness_status();
    let silent = rows.iter().filter(|row| row.state != WitnessState::Ok);
    let silent: Vec<_> = silent.map(|row| format!("{} {}", row.name, row.state.name())).collect();
    if silent.is_empty() {
        return Some(why.to_owned());
    }
    Some(format!("{why}; {}", silent.join(", ")))
}

/// How a log stands with its witnesses: what its operator set, and what each did last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Witnessing {
    publish_without_quorum: bool,
    allow_slow_quorum: bool,
    unchecked_start: bool,
    /// The least time between two rounds, by the budgets.
    round_interval_ms: u64,
    witnesses: Vec<WitnessRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WitnessRow {
    name: String,
    url: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cosigned_age_s: Option<u64>,
    /// It is not waited for.
    also_ask: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_day: Option<u32>,
}

impl Witnessing {
    /// `None` for a log that asks nobody.
    fn of(log: &Log) -> Option<Self> {
        let (settings, rows) = (&log.settings().witnesses, log.witness_status());
        if rows.is_empty() && settings.policy.witnesses().is_empty() {
            return None;
        }
        let interval_ms = settings.round_interval().as_millis();
        Some(Self {
            publish_without_quorum: settings.on_missing_quorum == OnMissingQuorum::Publish,
            allow_slow_quorum: settings.allow_slow_quorum,
            unchecked_start: settings.unchecked_start,
            round_interval_ms: u64::try_from(interval_ms).unwrap_or(u64::MAX),
            witnesses: rows.into_iter().map(|row| WitnessRow::of(row, settings)).collect(),
        })
    }
}

impl WitnessRow {
    fn of(status: WitnessStatus, settings: &WitnessSettings) -> Self {
        let WitnessStatus { name, url, state, reason, known_size, cosigned_age_s } = status;
        Self {
            also_ask: settings.also_ask.contains(&name),
            per_day: settings.per_day.get(&name).copied(),
            state: state.name(),
            known_size: known_size.map(TreeSize::get),
            name,
            url,
            reason,
            cosigned_age_s,
        }
    }
}

/// The process answers; nothing else is claimed.
pub(super) fn health() -> Response<Full<Bytes>> {
    json(StatusCode::OK, "{\"status\":\"SERVING\"}\n".into())
}

/// Whether every log takes entries, or is frozen for good; the others come with the reason.
pub(crate) fn ready(engine: &Engine) -> Response<Full<Bytes>> {
    let is_ready = |hosted: &Arc<Hosted>| hosted.log().is_ok_and(|log| log.state().is_ready());
    let all_ready = engine.logs().iter().all(is_ready);
    let status = if all_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, rows(engine, LogRow::for_operator))
}

/// Every log with its keys.
pub(super) fn logs(engine: &Engine) -> Response<Full<Bytes>> {
    json(StatusCode::OK, rows(engine, LogRow::of))
}

fn rows<'a>(engine: &'a Engine, row: impl Fn(&'a Hosted) -> LogRow<'a>) -> Vec<u8> {
    let logs = Logs { logs: engine.logs().iter().map(|log| row(log)).collect() };
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

#[cfg(test)]
mod tests;

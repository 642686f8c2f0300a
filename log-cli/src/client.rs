//! HTTP to a log: reads of the tlog-tiles interface and of Rekor v1, submissions, timestamps.
//!
//! In scope: URLs, limits, time-outs, what a status means. Nothing that is read here is believed:
//! `tiles.rs` and `log_entry.rs` verify it. The server is assumed to be hostile: every answer has
//! a size limit, counted after decompression.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use log_core::Origin;
use log_core::tile::{BundleId, TileId};
use log_core::witness::origin_hash;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url, redirect};

/// Longest time to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for a whole request. Rekor's clients are told to allow 20 s or more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects that are followed: a log may live behind a front with another address.
const REDIRECTS_MAX: usize = 3;

/// Tries of a read before it counts as failed.
const READ_TRIES: u32 = 3;

/// First pause between two tries; it doubles. A longer `Retry-After` is not waited for.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Longest signed note that is read (the limit of the widely used Go implementation).
const NOTE_BYTES_MAX: u64 = 1_000_000;

/// Longest full tile: 256 hashes.
const TILE_BYTES_MAX: u64 = 256 * 32;

/// Longest bundle: 256 entries of 65,535 bytes with their lengths.
const BUNDLE_BYTES_MAX: u64 = 256 * (2 + 65_535);

/// Longest answer to a submission: a body in base64, 64 hashes and a checkpoint.
const ANSWER_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Longest entry of a Rekor v1 log: a body of 1 MiB and an attestation, both in base64.
const V1_ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Entries that a Rekor v1 log gives in one answer.
pub const V1_RETRIEVED_MAX: u64 = 10;

/// Longest list of entry ids: 100,000 of them, where a log has no pages.
const V1_IDS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest list of logs.
const LIST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longest RFC 3161 response.
const TIMESTAMP_BYTES_MAX: u64 = 256 * 1024;

/// Characters of an error answer that are shown.
const EXCERPT_CHARS_MAX: usize = 300;

/// A client of one server, or of one log on it.
#[derive(Clone, Debug)]
pub struct LogClient {
    http: Client,
    base: String,
}

impl LogClient {
    /// A client of the server at this URL; reads go to the log that its root serves.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let parsed = Url::parse(url).map_err(|_| ClientError::Url(url.to_owned()))?;
        let extended = parsed.query().is_some() || parsed.fragment().is_some();
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() || extended {
            return Err(ClientError::Url(url.to_owned()));
        }
        Ok(Self { http: http_client()?, base: url.trim_end_matches('/').to_owned() })
    }

    /// The same server; reads go to the log with this name.
    pub fn log(&self, name: &str) -> Result<Self, ClientError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(ClientError::LogName(name.to_owned()));
        }
        Ok(Self { http: self.http.clone(), base: format!("{}/logs/{name}", self.base) })
    }

    /// The URL that paths are appended to, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The newest checkpoint, as a signed note.
    pub fn checkpoint(&self) -> Result<Vec<u8>, ClientError> {
        self.get("checkpoint", NOTE_BYTES_MAX)
    }

    /// The newest checkpoint of that log which a witness has cosigned, as a signed note; the
    /// client is one of the witness's monitoring prefix (tlog-witness).
    pub fn cosigned_checkpoint(&self, origin: &Origin) -> Result<Vec<u8>, ClientError> {
        self.get(&format!("{}/checkpoint", origin_hash(origin)), NOTE_BYTES_MAX)
    }

    /// A tile of hashes. A partial tile that is gone is cut from the full one (tlog-tiles).
    pub fn tile(&self, id: &TileId) -> Result<Vec<u8>, ClientError> {
        let length = usize::from(id.width()) * 32;
        match self.get(&id.to_string(), TILE_BYTES_MAX) {
            Err(ClientError::NotFound { .. }) if !id.is_full() => {
                let full = TileId::full(id.level(), id.index());
                let bytes = self.get(&full.to_string(), TILE_BYTES_MAX)?;
                bytes.get(..length).map(<[u8]>::to_vec).ok_or(ClientError::Length)
            }
            Ok(bytes) if bytes.len() != length => Err(ClientError::Length),
            other => other,
        }
    }

    /// A bundle of entries with the width it has here. A partial bundle that is gone is replaced
    /// by the full one, so the answer may hold more entries than asked for.
    pub fn bundle(&self, id: &BundleId) -> Result<(Vec<u8>, u16), ClientError> {
        match self.get(&id.to_string(), BUNDLE_BYTES_MAX) {
            Err(ClientError::NotFound { .. }) if !id.is_full() => {
                let full = BundleId::new(id.index(), FULL_WIDTH).ok_or(ClientError::Length)?;
                Ok((self.get(&full.to_string(), BUNDLE_BYTES_MAX)?, FULL_WIDTH))
            }
            other => Ok((other?, id.width())),
        }
    }

    /// The list of logs of a Cairn server, as JSON.
    pub fn logs(&self) -> Result<Vec<u8>, ClientError> {
        self.get("logs", LIST_BYTES_MAX)
    }

    /// Submits an entry to a Rekor v2 log: the JSON of a request, answered by the JSON of an entry.
    pub fn create_entry(&self, request_json: &str) -> Result<Vec<u8>, ClientError> {
        self.post_json("api/v2/log/entries", request_json, ANSWER_BYTES_MAX)
    }

    /// Submits a proposed entry to a Rekor v1 log: JSON, answered by JSON. A conflict, which is
    /// an entry that the log has, is an error that says where it is.
    pub fn create_v1_entry(&self, request_json: &str) -> Result<Vec<u8>, ClientError> {
        self.post_json("api/v1/log/entries", request_json, V1_ANSWER_BYTES_MAX)
    }

    /// The entry of a Rekor v1 log with this id: an entry id or a leaf hash, in hex.
    pub fn v1_entry(&self, id: &str) -> Result<Vec<u8>, ClientError> {
        self.get(&format!("api/v1/log/entries/{id}"), V1_ANSWER_BYTES_MAX)
    }

    /// The entry of a Rekor v1 log at this index over all its trees.
    pub fn v1_entry_at(&self, index: u64) -> Result<Vec<u8>, ClientError> {
        self.get(&format!("api/v1/log/entries?logIndex={index}"), V1_ANSWER_BYTES_MAX)
    }

    /// Entries of a Rekor v1 log: the JSON of a question, answered by a list.
    pub fn retrieve_v1_entries(&self, question_json: &str) -> Result<Vec<u8>, ClientError> {
        let limit = V1_RETRIEVED_MAX * V1_ANSWER_BYTES_MAX;
        retrying(|| self.post_json("api/v1/log/entries/retrieve", question_json, limit))
    }

    /// The ids of entries of a Rekor v1 log: the JSON of a search, answered by a list.
    pub fn search_v1(&self, search_json: &str) -> Result<Vec<u8>, ClientError> {
        retrying(|| self.post_json("api/v1/index/retrieve", search_json, V1_IDS_BYTES_MAX))
    }

    /// The public key of a Rekor v1 log, as it says itself: PEM.
    pub fn v1_public_key(&self) -> Result<Vec<u8>, ClientError> {
        self.get("api/v1/log/publicKey", NOTE_BYTES_MAX)
    }

    fn post_json(&self, path: &str, json: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}/{path}", self.base);
        let request = self.http.post(&url).header(CONTENT_TYPE, "application/json");
        let response = send(&url, request.body(json.to_owned()))?;
        read(&url, response, limit)
    }

    /// Adds a leaf to a raw log (a client made by `log`) and gives the answer's text: the index.
    pub fn add_raw(&self, leaf: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}/add", self.base);
        let response = send(&url, self.http.post(&url).body(leaf))?;
        read(&url, response, NOTE_BYTES_MAX)
    }

    /// Reads a path below the base, at most `limit` bytes, trying again when the server is busy.
    pub fn get(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}/{path}", self.base);
        retrying(|| send(&url, self.http.get(&url)).and_then(|r| read(&url, r, limit)))
    }
}

/// Asks a timestamp authority at its full URL: a DER `TimeStampReq`, answered by a DER
/// `TimeStampResp`.
pub fn request_timestamp(url: &str, request_der: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    let request = http_client()?
        .post(url)
        .header(CONTENT_TYPE, "application/timestamp-query")
        .header(ACCEPT, "application/timestamp-reply")
        .body(request_der);
    read(url, send(url, request)?, TIMESTAMP_BYTES_MAX)
}

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an http or https URL that paths can be appended to.
    #[error("not an http or https URL: `{0}`")]
    Url(String),
    /// Not a name that a log can have.
    #[error("not a name of a log: `{0}`")]
    LogName(String),
    /// The connection failed, or took too long.
    #[error("{url}: no answer")]
    Network {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer broke off.
    #[error("{url}: the answer broke off")]
    BrokenOff {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server does not have it.
    #[error("{url}: not found")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// The server refused, or failed.
    #[error("{url}: {status}: {excerpt}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of the answer, without control characters.
        excerpt: String,
        /// Where the server says that the answer is.
        location: Option<String>,
    },
    /// The answer is longer than it may be.
    #[error("{url}: the answer is longer than {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A tile or bundle does not have its length.
    #[error("a tile or bundle of the log does not have its length")]
    Length,
}

impl ClientError {
    /// Whether the server refused the request itself, so that asking again is no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.is_client_error()
            && *status != StatusCode::TOO_MANY_REQUESTS
            && *status != StatusCode::REQUEST_TIMEOUT)
    }

    /// Where the entry is that the server calls a duplicate; `None` for all other errors, and if
    /// the server does not say.
    pub fn conflict_location(&self) -> Option<&str> {
        match self {
            Self::Status { status: StatusCode::CONFLICT, location, .. } => location.as_deref(),
            _ => None,
        }
    }

    /// Whether a second try may succeed.
    fn is_passing(&self) -> bool {
        match self {
            Self::Network { source, .. } => !source.is_builder(),
            Self::BrokenOff { .. } => true,
            Self::Status { .. } => !self.is_refusal(),
            _ => false,
        }
    }
}

fn http_client() -> Result<Client, ClientError> {
    let client = Client::builder()
        .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX))
        .build();
    client.map_err(|source| ClientError::Network { url: String::new(), source })
}

/// Asks again, a few times, while the server is busy or out of reach.
fn retrying(ask: impl Fn() -> Result<Vec<u8>, ClientError>) -> Result<Vec<u8>, ClientError> {
    let mut pause = RETRY_PAUSE;
    for _ in 1..READ_TRIES {
        match ask() {
            Err(error) if error.is_passing() => thread::sleep(pause),
            other => return other,
        }
        pause *= 2;
    }
    ask()
}

fn send(url: &str, request: RequestBuilder) -> Result<Response, ClientError> {
    let network = |source| ClientError::Network { url: url.to_owned(), source };
    let response = request.send().map_err(network)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::NOT_FOUND {
        return Err(ClientError::NotFound { url: url.to_owned() });
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let retry = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry = retry.map(|after| format!(" (retry after {after})")).unwrap_or_default();
    let body = read(url, response, NOTE_BYTES_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let excerpt: String = text.take(EXCERPT_CHARS_MAX).collect();
    let excerpt = format!("{}{retry}", excerpt.trim());
    Err(ClientError::Status { url: url.to_owned(), status, excerpt, location })
}

fn read(url: &str, response: Response, limit: u64) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    let read = response.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| ClientError::BrokenOff { url: url.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(ClientError::TooLong { url: url.to_owned(), limit });
    }
    Ok(bytes)
}

/// Entries of a full bundle.
const FULL_WIDTH: u16 = 256;

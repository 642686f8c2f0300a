//! Witness: the only file that speaks HTTP to witnesses (c2sp.org/tlog-witness), as their client.
//!
//! In scope: one exchange within its limits, and what kind of answer came. Out of scope: whether a
//! cosignature counts, what follows from an answer, and when to ask again; the engine decides.
//! A witness may be slow, broken or hostile: an exchange ends within its limit and never panics.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use log_core::checkpoint::Origin;
use log_core::note::{NoteSignature, parse_signature_lines};
use log_core::tree::TreeSize;
use log_core::witness::{AddCheckpointRequest, SIZE_CONTENT_TYPE, origin_hash, parse_size};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url, redirect};

/// Longest answer that is read, in bytes. Sixteen ML-DSA-44 lines take about 53,000.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Time for a TCP connection and its TLS handshake. An attempt that outlives its exchange, for the
/// benefit of the next one, ends here.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// How long an unused connection is kept. Under load a round follows the other within a second;
/// the ten-minute refresh of an idle log connects anew.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

thread_local! {
    /// One set of connections for all witnesses that a thread asks. A connection lives on the
    /// runtime that made it: one that two logs share would let one of them hold up the other.
    static HTTP: Client = settings().build().unwrap_or_else(|error| {
        // A machine without root certificates can still reach a witness over plain HTTP.
        tracing::warn!(error = reason(&error), "no https to witnesses");
        settings().tls_certs_only([]).build().expect("invariant: these settings need no files")
    });
}

/// The client of one witness: of its submission prefix. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct WitnessClient {
    /// Without a slash at its end.
    prefix: Arc<str>,
    /// Parsed once: an idle log would spend more on that than on writing the request.
    add_checkpoint: Arc<Url>,
}

/// What a witness said to a checkpoint. Nothing in it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// 200 and nothing but well-formed signature lines, at least one, by anybody over anything.
    Cosigned(Vec<NoteSignature>),
    /// 409 with the size that the witness says it cosigned last, any number.
    Size(TreeSize),
    /// 422, or 409 without a size: the witness holds another root, or refuses the proof.
    OtherRoot {
        /// The status.
        status: u16,
    },
    /// The witness does not know this log or its key, or this is not a witness: 400, 401, 403, 404,
    /// 413 and every other 4xx that has no line here. An operator must act.
    Misconfigured {
        /// The status.
        status: u16,
    },
    /// Nothing usable, with the reason: 408, 429, 5xx, a redirect, no whole answer in time, an
    /// answer that is too long or garbage. Never evidence; it may be asked again.
    Unavailable(String),
    /// No connection could be made, or no TLS session on it, with the reason: no request was made.
    Unreached(String),
}

/// Why a text is not a submission prefix. The operator who wrote the policy must correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessUrlError {
    /// It is not an absolute URL.
    #[error("{0:?} is not a URL")]
    Malformed(String),
    /// Another scheme than `http` or `https`.
    #[error("{0:?}: a witness is reached by http or https")]
    Scheme(String),
    /// A user name or password: requests to witnesses carry none.
    #[error("a witness's URL has no user name and no password")]
    UserInfo,
    /// A query or a fragment: paths are appended to the URL.
    #[error("{0:?}: a witness's URL has no query and no fragment")]
    QueryOrFragment(String),
}

impl WitnessClient {
    /// Takes a submission prefix; a slash at its end makes no difference.
    ///
    /// # Errors
    /// [`WitnessUrlError`] says what the URL must not have.
    pub fn new(url: &str) -> Result<Self, WitnessUrlError> {
        // The URL parser would drop or repair these.
        let plain = url.bytes().all(|byte| byte > b' ' && byte != b'\\');
        let parsed = Url::parse(url).ok().filter(|url| plain && url.has_host());
        let Some(parsed) = parsed else { return Err(WitnessUrlError::Malformed(url.into())) };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(WitnessUrlError::UserInfo);
        }
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(WitnessUrlError::Scheme(url.into()));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(WitnessUrlError::QueryOrFragment(url.into()));
        }
        let prefix: Arc<str> = parsed.as_str().trim_end_matches('/').into();
        let add_checkpoint = Url::parse(&format!("{prefix}/add-checkpoint"));
        let malformed = |_| WitnessUrlError::Malformed(url.into());
        Ok(Self { add_checkpoint: Arc::new(add_checkpoint.map_err(malformed)?), prefix })
    }

    /// The submission prefix in its normal form, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Sends a checkpoint with its proof and waits at most `limit` for the whole answer.
    pub async fn add_checkpoint(
        &self,
        request: &AddCheckpointRequest,
        limit: Duration,
    ) -> WitnessAnswer {
        let url = Url::clone(&self.add_checkpoint);
        match exchange(HTTP.with(|http| http.post(url)).body(request.to_string()), limit).await {
            Ok(reply) => reply.into_answer(),
            Err(NoReply { reason, unreached: true }) => WitnessAnswer::Unreached(reason),
            Err(NoReply { reason, .. }) => WitnessAnswer::Unavailable(reason),
        }
    }

    /// Fetches the newest note that the witness shows for an origin, within `limit`: its bytes, or
    /// `None` if it shows none (404). Nothing in it is to be believed before it is verified.
    ///
    /// # Errors
    /// Why there is no answer, for people to read.
    pub async fn latest(
        &self,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Option<Vec<u8>>, String> {
        let url = format!("{}/{}/checkpoint", self.prefix, origin_hash(origin));
        let reply = exchange(HTTP.with(|http| http.get(url)), limit).await;
        let reply = reply.map_err(|none| none.reason)?;
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(format!("HTTP status {}", other.as_u16())),
        }
    }
}

/// An answer within its limits. The body was read only where the status leaves a question.
struct Reply {
    status: StatusCode,
    names_size: bool,
    body: Vec<u8>,
}

impl Reply {
    fn into_answer(self) -> WitnessAnswer {
        let status = self.status.as_u16();
        match status {
            200 => match parse_signature_lines(&self.body) {
                Ok(lines) => WitnessAnswer::Cosigned(lines),
                // One line that is none spoils the answer, as it would spoil the note.
                Err(error) => WitnessAnswer::Unavailable(format!("not a cosignature: {error}")),
            },
            409 if self.names_size => match parse_size(&self.body) {
                Some(size) => WitnessAnswer::Size(size),
                None => {
                    WitnessAnswer::Unavailable("HTTP status 409 with a size that is none".into())
                }
            },
            409 | 422 => WitnessAnswer::OtherRoot { status },
            408 | 429 => WitnessAnswer::Unavailable(format!("HTTP status {status}")),
            400..=499 => WitnessAnswer::Misconfigured { status },
            _ => WitnessAnswer::Unavailable(format!("HTTP status {status}")),
        }
    }
}

/// Why there is no answer.
struct NoReply {
    reason: String,
    /// No request was made.
    unreached: bool,
}

impl From<reqwest::Error> for NoReply {
    fn from(error: reqwest::Error) -> Self {
        Self { reason: reason(&error), unreached: error.is_connect() }
    }
}

/// One request and its answer, both within `limit`.
async fn exchange(request: RequestBuilder, limit: Duration) -> Result<Reply, NoReply> {
    let failed = |reason: String| NoReply { reason, unreached: false };
    let whole = async {
        let mut response = request.send().await?;
        let status = response.status();
        let names_size = status == StatusCode::CONFLICT && is_size_type(response.headers());
        let mut body = Vec::new();
        if status == StatusCode::OK || names_size {
            while let Some(piece) = response.chunk().await? {
                if body.len() + piece.len() > ANSWER_BYTES_MAX {
                    let reason = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                    return Err(failed(reason));
                }
                body.extend_from_slice(&piece);
            }
        }
        Ok(Reply { status, names_size, body })
    };
    let late = || Err(failed(format!("no whole answer within {} ms", limit.as_millis())));
    tokio::time::timeout(limit, whole).await.unwrap_or_else(|_| late())
}

/// Whether the body is a size: the media type without its parameters, which nobody should send.
fn is_size_type(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(SIZE_CONTENT_TYPE)
}

/// Requests go where the policy says and nowhere else: no redirects, no proxy from the environment.
/// Answers are taken as they are: a few kilobytes are not worth a decompressor.
fn settings() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("cairn-server/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .no_gzip()
        .connect_timeout(CONNECT_TIME_MAX)
        .pool_idle_timeout(IDLE_TIME_MAX)
}

/// The causes of an error: itself it says only that a request failed, and to which URL.
fn reason(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests;

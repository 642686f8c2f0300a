//! Rekor v2: `POST /api/v2/log/entries`, and what REST and gRPC share of `CreateEntry`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use log_core::Hash;

use super::error::ApiError;
use super::rekor_v2_json::{EntryParts, decode_create_entry, encode_entry};
use crate::admit::{AdmitRules, Admitted, create_entry};
use crate::engine::Hosted;
use crate::log::Answer;

/// Requests above this are decoded and checked off the threads that serve connections: hashing
/// megabytes there would hold up every other request of the thread.
pub(super) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// An entry that is in the log, and everything its answer consists of.
pub(super) struct Created {
    pub(super) admitted: Admitted,
    pub(super) answer: Answer,
    pub(super) log_id: Hash,
}

/// Answers the JSON form of `CreateEntry`.
pub(super) async fn post(hosted: &Hosted, body: Bytes) -> Result<Response<Full<Bytes>>, ApiError> {
    let created = create(hosted, body.len(), move |rules| {
        Ok(create_entry(&decode_create_entry(&body)?, rules)?)
    })
    .await?;
    let mut response = Response::new(Full::new(created.to_json().into()));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Takes a request of `request_bytes` through admission and into the log.
pub(super) async fn create(
    hosted: &Hosted,
    request_bytes: usize,
    admit: impl FnOnce(&AdmitRules) -> Result<Admitted, ApiError> + Send + 'static,
) -> Result<Created, ApiError> {
    let log = hosted.log().map_err(|why| ApiError::Shut(why.to_string()))?;
    // Before the entry is decoded and its signature verified: a log that is closed for a long time
    // is tried again and again.
    log.check_takes_entries()?;
    let rules = AdmitRules { dsse: hosted.config.dsse };
    let admitted = if request_bytes <= INLINE_BYTES_MAX {
        admit(&rules)?
    } else {
        tokio::task::spawn_blocking(move || admit(&rules))
            .await
            .map_err(|_| ApiError::Internal)??
    };
    let answer = log.submit(admitted.leaf.clone()).await?;
    if answer.is_duplicate() && hosted.duplicates_conflict() {
        return Err(ApiError::Duplicate(answer.index));
    }
    Ok(Created { admitted, answer, log_id: log.key().full_id_hash() })
}

impl Created {
    /// The `TransparencyLogEntry` as clients of the JSON interface expect it.
    fn to_json(&self) -> Vec<u8> {
        let head = self.answer.published.head();
        encode_entry(&EntryParts {
            log_index: self.answer.index,
            log_id: &self.log_id,
            kind: self.admitted.kind,
            version: self.admitted.version,
            head: *head,
            hashes: self.answer.inclusion.hashes(),
            checkpoint: self.answer.published.note(),
            body: self.admitted.leaf.as_bytes(),
        })
    }
}

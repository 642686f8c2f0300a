//! Tiles: the read side of C2SP tlog-tiles, and one entry with its proof as a tlog-proof. Static
//! bytes under a published checkpoint, with the cache headers that they allow.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use log_core::LeafIndex;
use log_core::tile::{BundleId, TileId};
use log_core::tlog_proof::TlogProof;

use super::error::ApiError;
use crate::engine::Hosted;
use crate::log::{Log, Published};

/// Content type of checkpoints and proofs.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Content type of tiles and entry bundles.
pub(super) const BYTES: &str = "application/octet-stream";

/// A checkpoint is replaced within a second or so under load.
const CACHE_CHECKPOINT: &str = "public, max-age=1";
/// A full tile never changes: a week, which is what caches keep at most anyway.
const CACHE_FULL: &str = "public, max-age=604800, immutable";
/// A partial tile never changes either, but is soon useless.
const CACHE_PARTIAL: &str = "public, max-age=60";

/// Marks an answer that is worth compressing: hashes are not.
#[derive(Clone, Copy)]
pub(super) struct Compressible;

/// What a read found.
pub(super) struct Found {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Answers a read below one of the prefixes of a log; `rest` is the path after the prefix.
pub(super) fn get(
    hosted: &Hosted,
    rest: &str,
    headers: &HeaderMap,
) -> Result<Response<Full<Bytes>>, ApiError> {
    if rest == "checkpoint" {
        let published = checkpoint(hosted)?;
        return Ok(checkpoint_response(&published, headers));
    }
    if let Some(index) = rest.strip_prefix("entry/") {
        let index = LeafIndex::parse_decimal(index).ok_or(ApiError::NotFound)?;
        return Ok(respond(entry(hosted, index)?, CACHE_CHECKPOINT, true));
    }
    if let Ok(id) = BundleId::parse(rest) {
        return Ok(respond(bundle(hosted, &id)?, cache(id.is_full()), true));
    }
    let id = TileId::parse(rest).map_err(|_| ApiError::NotFound)?;
    Ok(respond(tile(hosted, &id)?, cache(id.is_full()), false))
}

/// The published checkpoint.
pub(super) fn checkpoint(hosted: &Hosted) -> Result<Arc<Published>, ApiError> {
    published(open(hosted)?)
}

/// A tile of the published tree.
pub(super) fn tile(hosted: &Hosted, id: &TileId) -> Result<Found, ApiError> {
    let log = open(hosted)?;
    let at = published(log)?;
    let bytes = reading(|| log.tile(&at, id))?.ok_or(ApiError::NotFound)?;
    Ok(Found { content_type: BYTES, bytes })
}

/// An entry bundle of the published tree.
pub(super) fn bundle(hosted: &Hosted, id: &BundleId) -> Result<Found, ApiError> {
    let log = open(hosted)?;
    let at = published(log)?;
    let bytes = reading(|| log.bundle(&at, id))?.ok_or(ApiError::NotFound)?;
    Ok(Found { content_type: BYTES, bytes })
}

/// One entry with its proof.
fn entry(hosted: &Hosted, index: LeafIndex) -> Result<Found, ApiError> {
    let log = open(hosted)?;
    let at = published(log)?;
    if !at.head().size.contains(index) {
        return Err(ApiError::NotFound);
    }
    let proof = reading(|| log.prove_inclusion(&at, index))?;
    let proof = TlogProof { index, extra: None, inclusion: proof, checkpoint: at.note().into() };
    Ok(Found { content_type: TEXT, bytes: proof.to_string().into_bytes() })
}

fn published(log: &Log) -> Result<Arc<Published>, ApiError> {
    log.published().ok_or(ApiError::Unpublished)
}

fn open(hosted: &Hosted) -> Result<&Log, ApiError> {
    hosted.log().map_err(|why| ApiError::Shut(why.to_string()))
}

/// Reads of the store may wait for the disk; other requests of this thread go on meanwhile.
fn reading<T, E: Into<ApiError>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, ApiError> {
    tokio::task::block_in_place(read).map_err(Into::into)
}

fn cache(full: bool) -> &'static str {
    if full { CACHE_FULL } else { CACHE_PARTIAL }
}

fn respond(found: Found, cache: &'static str, compressible: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(found.bytes.into()));
    if compressible {
        response.extensions_mut().insert(Compressible);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(found.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn checkpoint_response(published: &Published, headers: &HeaderMap) -> Response<Full<Bytes>> {
    // Over the note, not the head: cosignatures join and are renewed while the head stays.
    let tag = format!("\"{}\"", log_core::sha256(published.note().as_bytes()));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let found = Found { content_type: TEXT, bytes: published.note().as_bytes().to_vec() };
    let mut response = respond(found, CACHE_CHECKPOINT, true);
    if known.is_some_and(|known| names(known, &tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Whether an `If-None-Match` names a tag, by the weak comparison that it asks for (RFC 9110,
/// 13.1.2): caches that compress on their way make tags weak.
fn names(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

//! Raw: `POST /logs/NAME/add`. The body is the leaf, the answer is its index.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use http_body_util::Full;
use log_core::Leaf;
use log_core::tlog_proof::TlogProof;

use super::error::ApiError;
use super::tiles::TEXT;
use crate::engine::Hosted;
use crate::log::Personality;

/// What a client sends in `Accept` to get the proof and not just the index.
const TLOG_PROOF: &str = "text/x.tlog-proof";

/// Whether there is a raw log here that takes entries from this peer.
pub(super) fn check(hosted: &Hosted, peer: SocketAddr) -> Result<(), ApiError> {
    if hosted.personality != Personality::Raw {
        return Err(ApiError::NotFound);
    }
    if may_add(hosted.config.open, peer.ip()) { Ok(()) } else { Err(ApiError::Closed) }
}

/// A listener for both families shows IPv4 peers as IPv6 addresses.
fn may_add(open: bool, peer: IpAddr) -> bool {
    open || peer.to_canonical().is_loopback()
}

/// Adds a body as a leaf.
pub(super) async fn add(
    hosted: &Hosted,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let log = hosted.log().map_err(|why| ApiError::Shut(why.to_string()))?;
    let leaf = Leaf::new(body.into()).map_err(ApiError::LeafTooLong)?;
    let answer = log.submit(leaf).await?;
    let wants_proof = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accepted| accepted.contains(TLOG_PROOF));
    let (text, content_type) = if wants_proof {
        let proof = TlogProof {
            index: answer.index,
            extra: None,
            inclusion: answer.inclusion,
            checkpoint: answer.published.note().into(),
        };
        (proof.to_string(), TLOG_PROOF)
    } else {
        (answer.index.to_string(), TEXT)
    };
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_log_takes_entries_from_other_hosts() {
        for local in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"] {
            assert!(may_add(false, local.parse().unwrap()), "{local}");
        }
        for other in ["10.0.0.1", "0.0.0.0", "::", "fe80::1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!may_add(false, other.parse().unwrap()), "{other}");
            assert!(may_add(true, other.parse().unwrap()), "{other}");
        }
    }
}

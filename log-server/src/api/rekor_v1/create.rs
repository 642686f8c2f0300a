//! `POST /api/v1/log/entries`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ETAG, HeaderValue, LOCATION};
use http::{Response, StatusCode, Uri};
use http_body_util::Full;
use log_core::EntryId;

use super::super::body::ReadRequest;
use super::super::rekor_v2::INLINE_BYTES_MAX;
use super::super::{Api, ApiError};
use super::encode::line;
use super::error::Error;
use super::json;
use super::query::Query;
use super::read::Snapshot;
use crate::admit::v1::json::Json;
use crate::admit::v1::{Admitted, Kind, create_entry};
use crate::engine::Hosted;
use crate::log::{SearchKey, Submission};

/// Takes an entry into the log and answers it with everything that a client can verify.
pub(super) async fn create(
    api: &Api,
    hosted: &Arc<Hosted>,
    request: ReadRequest,
) -> Result<Response<Full<Bytes>>, Error> {
    let log = hosted.log().map_err(|why| ApiError::Shut(why.to_string()))?;
    // Before the entry is decoded and its signature verified: a log that is closed for a long time
    // is tried again and again.
    log.check_takes_entries()?;
    let uri = request.parts.uri.clone();
    let admitted = admit(api, hosted, request).await?;
    let search_keys = admitted.index_keys.iter().map(|word| SearchKey::of(word)).collect();
    let answer = log.submit(Submission { leaf: admitted.leaf.clone(), search_keys }).await?;
    let snapshot = Snapshot::at(log, answer.published);
    let id = snapshot.id(admitted.leaf.hash());
    let location = location(&uri, &id);
    if answer.duplicate {
        return Err(Error::Duplicate { id, location });
    }
    let entry = snapshot.proven_entry(answer.index, &answer.inclusion)?;
    let mut response = json(StatusCode::CREATED, line(entry));
    let headers = response.headers_mut();
    // Without quotes: clients look the entry up in the answer by this very text.
    for (name, value) in [(ETAG, id.to_string()), (LOCATION, location)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Long requests and slow kinds are checked off the threads that serve connections.
async fn admit(api: &Api, hosted: &Arc<Hosted>, request: ReadRequest) -> Result<Admitted, Error> {
    let now = api.now();
    if request.body.len() <= INLINE_BYTES_MAX && is_quick(&request.body) {
        return Ok(create_entry(&request.body, &hosted.rules_v1, now)?);
    }
    let hosted = Arc::clone(hosted);
    let admit = move || create_entry(&request.body, &hosted.rules_v1, now);
    Ok(api.slow_lane.run(admit).await??)
}

/// Whether an entry takes no longer than a few signatures: the kinds that parse foreign formats,
/// or verify with whatever algorithm those bring, may.
fn is_quick(body: &[u8]) -> bool {
    let kind = || {
        let kind = Json::first(body).ok()??.in_any_case("kind").last()?;
        Kind::from_name(&kind.as_str()?)
    };
    // What has no kind is refused at once.
    kind().is_none_or(|kind| matches!(kind, Kind::HashedRekord | Kind::Dsse | Kind::Intoto))
}

/// Where the entry can be read: below the path of this request, double slashes and all, but never
/// two at its beginning, which would be the name of another host.
fn location(uri: &Uri, id: &EntryId) -> String {
    let path = uri.path().trim_start_matches('/');
    format!("/{path}/{id}{}", Query::of(uri.query()).without_api_key())
}

#[cfg(test)]
mod tests {
    use log_core::{Hash, TreeId};

    use super::*;

    #[test]
    fn an_entry_is_located_below_the_path_of_its_request() {
        let id = EntryId { tree: TreeId::new(1).unwrap(), leaf_hash: Hash::EMPTY_ROOT };
        for (sent, before, behind) in [
            ("/api/v1/log/entries", "/api/v1/log/entries/", ""),
            ("/api/v1/log/entries/", "/api/v1/log/entries//", ""),
            ("//api/v1//log/entries", "/api/v1//log/entries/", ""),
            ("/api/v1/log/entries?apiKey=k&a=b", "/api/v1/log/entries/", "?a=b"),
        ] {
            let uri: Uri = sent.parse().unwrap();
            assert_eq!(location(&uri, &id), format!("{before}{id}{behind}"));
        }
    }

    #[test]
    fn only_kinds_with_few_signatures_are_quick() {
        for quick in ["", "x", "{}", r#"{"kind":"dsse"}"#, r#"{"kind":"jar","Kind":"intoto"}"#] {
            assert!(is_quick(quick.as_bytes()), "{quick}");
        }
        for slow in [r#"{"kind":"jar"}"#, r#"{"kind":"dsse","kind":"rekord"}"#] {
            assert!(!is_quick(slow.as_bytes()), "{slow}");
        }
    }
}

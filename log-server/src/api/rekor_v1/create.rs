//! `POST /api/v1/log/entries`.

use std::sync::Arc;

use super::super::body::ReadRequest;
use super::super::rekor_v2::INLINE_BYTES_MAX;
use super::super::{Api, ApiError};
use super::encode::line;
use super::error::Error;
use super::json;
use super::query::Query;
use super::read::Snapshot;
use crate::admit::v1::{Admitted, create_entry, create_quick_entry};
use crate::engine::Hosted;
use crate::log::{Logged, SearchKey, Submission};
use bytes::Bytes;
use http::header::{ETAG, HeaderValue, LOCATION};
use http::{Response, StatusCode, Uri};
use http_body_util::Full;

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
    let leaf = admitted.leaf;
    let answer = log.submit(Submission { leaf: leaf.clone(), search_keys }).await?;
    let snapshot = Snapshot::at(log, answer.published);
    let id = snapshot.id(answer.leaf_hash);
    let name = id.to_string();
    let location = location(&uri, &name);
    let Some(time_s) = answer.committed_s else {
        return Err(Error::Duplicate { id, location });
    };
    let logged = Logged { leaf, time_s };
    let entry = snapshot.proven_entry(&name, answer.index, &logged, &answer.inclusion)?;
    let mut response = json(StatusCode::CREATED, line(entry));
    let headers = response.headers_mut();
    // Without quotes: clients look the entry up in the answer by this very text.
    for (name, value) in [(ETAG, name), (LOCATION, location)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Long requests and slow kinds are checked off the threads that serve connections.
async fn admit(api: &Api, hosted: &Arc<Hosted>, request: ReadRequest) -> Result<Admitted, Error> {
    let now = api.now();
    if request.body.len() <= INLINE_BYTES_MAX
        && let Some(admitted) = create_quick_entry(&request.body, &hosted.rules_v1, now)?
    {
        return Ok(admitted);
    }
    let hosted = Arc::clone(hosted);
    let admit = move || create_entry(&request.body, &hosted.rules_v1, now);
    Ok(api.slow_lane.run(admit).await??)
}

/// Where the entry can be read: below the path of this request, double slashes and all, but never
/// two at its beginning, which would be the name of another host.
fn location(uri: &Uri, name: &str) -> String {
    let path = uri.path().trim_start_matches('/');
    format!("/{path}/{name}{}", Query::of(uri.query()).without_api_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_located_below_the_path_of_its_request() {
        for (sent, before, behind) in [
            ("/api/v1/log/entries", "/api/v1/log/entries/", ""),
            ("/api/v1/log/entries/", "/api/v1/log/entries//", ""),
            ("//api/v1//log/entries", "/api/v1//log/entries/", ""),
            ("/api/v1/log/entries?apiKey=k&a=b", "/api/v1/log/entries/", "?a=b"),
        ] {
            let uri: Uri = sent.parse().unwrap();
            assert_eq!(location(&uri, "name"), format!("{before}name{behind}"));
        }
    }
}

//! Reads of Rekor v1. Whatever one answer consists of comes from one [`Snapshot`].

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use log_core::proof::InclusionProof;
use log_core::{EntryId, Hash, LeafIndex, TreeId, TreeSize};

use super::super::body::ReadRequest;
use super::super::{Api, ApiError};
use super::encode::{
    EntryParts, LogParts, encode_consistency, encode_entries, encode_ids, encode_log, encode_text,
    line,
};
use super::error::Error;
use super::invalid::{ENTRY_PATTERN, Invalid, Place, Rule};
use super::query::{Query, decode};
use super::retrieve::{Name, Wanted};
use super::route::Endpoint;
use super::{accept, json, search as asked};
use crate::engine::Hosted;
use crate::log::read::ReadError;
use crate::log::{Log, Logged, Published, Search, SearchError, SearchKey};

/// Columns of a key in PEM.
const PEM_COLUMNS: usize = 64;

/// Longest body of a search that is tried where it came in: a digest, an address, a small key.
const QUICK_BYTES_MAX: usize = 1024;

/// Entries with their leaf hashes.
type Hits = Vec<(LeafIndex, Hash)>;

/// Longest list that is answered at once, in bytes. One of names alone is shorter; whatever entries
/// fit into it are quickly verified.
const NAMES_BYTES_MAX: usize = 4096;

/// Most digits of a tree id that an answer repeats.
const ECHO_CHARS_MAX: usize = 64;

/// Answers a `GET` that needs nothing but the published tree.
pub(super) fn get(
    hosted: &Hosted,
    endpoint: Endpoint<'_>,
    query: Option<&str>,
) -> Result<Response<Full<Bytes>>, Error> {
    let query = Query::of(query);
    let answer = match endpoint {
        Endpoint::Proof => proof(hosted, query)?,
        Endpoint::EntryAt => {
            let index = query.required_int64("logIndex", 0)?;
            let snapshot = Snapshot::of(hosted)?;
            let index = snapshot.local_index(index).ok_or(Error::NoEntry)?;
            line(snapshot.entry(index)?.ok_or(Error::NoEntry)?)
        }
        Endpoint::Entry(id) => {
            let name = entry_name(id)?;
            let snapshot = Snapshot::of(hosted)?;
            line(snapshot.named_entry(name)?.ok_or(Error::NoEntry)?)
        }
        _ => Snapshot::of(hosted)?.log_info(),
    };
    Ok(json(StatusCode::OK, answer))
}

/// The name in a path.
fn entry_name(id: &str) -> Result<Name, Error> {
    let id = decode(id, false).unwrap_or_default();
    match Name::parse(&id) {
        Some(Ok(name)) => Ok(name),
        // Its first 16 digits are those of the tree.
        Some(Err(())) => Err(Error::IdOfNoTree(id.chars().take(16).collect())),
        None => {
            let rule = Rule::Pattern(ENTRY_PATTERN);
            Err(Invalid { name: "entryUUID".into(), place: Place::Path, rule }.into())
        }
    }
}

/// Proves that one tree extends another. The root is that of the newest tree, whatever was asked:
/// clients have the other two.
fn proof(hosted: &Hosted, query: Query<'_>) -> Result<Vec<u8>, Error> {
    let first = query.int64("firstSize", 1)?.unwrap_or(1);
    let last = query.required_int64("lastSize", 1)?;
    let tree = query.tree_id()?;
    if first > last {
        return Err(Error::SizesSwapped { first, last });
    }
    let snapshot = Snapshot::of(hosted)?;
    if let Some(tree) = tree {
        snapshot.check_tree(&tree)?;
    }
    let head = snapshot.at.head();
    let unknown = || Error::SizeUnknown { asked: last, size: head.size.get() };
    let size = |size: i64| u64::try_from(size).map(TreeSize::new).map_err(|_| unknown());
    let (first, last) = (size(first)?, size(last)?);
    if last > head.size {
        return Err(unknown());
    }
    if first == last {
        return Ok(encode_consistency(&[], &head.root_hash));
    }
    let proof = snapshot.log.prove_consistency_between(&snapshot.at, first, last)?;
    Ok(encode_consistency(proof.hashes(), &head.root_hash))
}

/// The log's public key, for what clients send as it is.
pub(super) fn public_key(
    hosted: &Hosted,
    query: Option<&str>,
    media: &'static str,
) -> Result<Response<Full<Bytes>>, Error> {
    let tree = Query::of(query).tree_id()?;
    let log = hosted.log().map_err(|why| ApiError::Shut(why.to_string()))?;
    if tree.is_some_and(|tree| tree.parse().ok().and_then(TreeId::new) != log.tree_id()) {
        return Err(Error::NoKey);
    }
    let pem = pem(&log.key().spki_der().ok_or(Error::NoKey)?);
    let as_json = accept::JSON == media;
    let body = if as_json { encode_text(&pem) } else { pem.into_bytes() };
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

fn pem(spki: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for (position, letter) in text.chars().enumerate() {
        if position > 0 && position % PEM_COLUMNS == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END PUBLIC KEY-----\n");
    pem
}

/// Answers with the entries that a list names, of those that there are.
pub(super) async fn retrieve(
    api: &Api,
    hosted: Arc<Hosted>,
    request: ReadRequest,
) -> Result<Response<Full<Bytes>>, Error> {
    let (now, is_long) = (api.now(), request.body.len() > NAMES_BYTES_MAX);
    // Up to ten entries are verified, and as many are signed for.
    let retrieve = move || {
        let wanted = Wanted::decode(&request.body)?;
        let (ids, hashes) = wanted.names(now)?;
        let snapshot = Snapshot::of(&hosted)?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(snapshot.named_entry(Name::Id(id))?);
        }
        for hash in hashes {
            found.extend(snapshot.named_entry(Name::LeafHash(hash))?);
        }
        for index in &wanted.indices {
            if let Some(index) = snapshot.local_index(*index) {
                found.extend(snapshot.entry(index)?);
            }
        }
        Ok::<_, Error>(encode_entries(&found))
    };
    let answer = if is_long {
        api.slow_lane.run(retrieve).await??
    } else {
        tokio::task::spawn_blocking(retrieve).await.map_err(|_| ApiError::Internal)??
    };
    Ok(json(StatusCode::OK, answer))
}

/// Answers with the names of the entries that have what is searched for. Most searches find a few
/// entries with less work than it is to hand them to another thread.
pub(super) async fn search(
    hosted: Arc<Hosted>,
    request: ReadRequest,
    now: Timestamp,
) -> Result<Response<Full<Bytes>>, Error> {
    if request.body.len() <= QUICK_BYTES_MAX
        && let Some(answer) = names(&hosted, &request.body, now, Log::search_quickly)?
    {
        return Ok(json(StatusCode::OK, answer));
    }
    let searching = tokio::task::spawn_blocking(move || {
        names(&hosted, &request.body, now, |log, at, search| log.search(at, search).map(Some))
    });
    let answer = searching.await.map_err(|_| ApiError::Internal)??;
    Ok(json(StatusCode::OK, answer.ok_or(ApiError::Internal)?))
}

/// The ids of what is searched for, unless `find` finds that it is too much for it.
fn names(
    hosted: &Hosted,
    body: &[u8],
    now: Timestamp,
    find: impl Fn(&Log, &Published, &Search) -> Result<Option<Hits>, SearchError>,
) -> Result<Option<Vec<u8>>, Error> {
    let asked = asked::decode(body, now)?;
    let snapshot = Snapshot::of(hosted)?;
    let after = asked.after.map(|id| snapshot.find(Name::Id(id))).transpose()?;
    let after = after.map(|found| found.ok_or(Error::PageStart)).transpose()?;
    let keys: Vec<SearchKey> = asked.words.iter().map(|word| SearchKey::of(word)).collect();
    if keys.is_empty() {
        return Ok(Some(encode_ids(std::iter::empty())));
    }
    let search = Search { keys, all: asked.all, after, limit: asked.limit };
    let found = find(snapshot.log, &snapshot.at, &search)?;
    Ok(found.map(|found| encode_ids(found.into_iter().map(|(_, hash)| snapshot.id(hash)))))
}

/// The published tree as one answer sees it. The log has one shard, which takes entries.
pub(super) struct Snapshot<'a> {
    log: &'a Log,
    tree: TreeId,
    at: Arc<Published>,
}

impl<'a> Snapshot<'a> {
    /// The newest tree.
    ///
    /// # Errors
    /// The log is shut, or has published nothing yet.
    pub(super) fn of(hosted: &'a Hosted) -> Result<Self, Error> {
        let log = hosted.log().map_err(|why| ApiError::Shut(why.to_string()))?;
        let at = log.published().ok_or(ApiError::Unpublished)?;
        Ok(Self::at(log, at))
    }

    /// The tree that an answer came with.
    pub(super) fn at(log: &'a Log, at: Arc<Published>) -> Self {
        let tree = log.tree_id().expect("invariant: only logs of this protocol get here");
        Self { log, tree, at }
    }

    /// The name of an entry of this tree.
    pub(super) fn id(&self, leaf_hash: Hash) -> EntryId {
        EntryId { tree: self.tree, leaf_hash }
    }

    /// The index in this tree of an index over all shards; `None` if it is in no tree.
    fn local_index(&self, global: i64) -> Option<LeafIndex> {
        let index = LeafIndex::new(u64::try_from(global).ok()?);
        self.at.head().size.contains(index).then_some(index)
    }

    /// The index over all shards.
    fn global_index(index: LeafIndex) -> u64 {
        index.get()
    }

    /// Whether a tree that a query names is this one.
    fn check_tree(&self, text: &str) -> Result<(), Error> {
        match text.parse::<i64>().ok().and_then(|id| u64::try_from(id).ok()) {
            Some(id) if id == self.tree.get() => Ok(()),
            Some(id) => Err(Error::NoTree(id)),
            None => Err(Error::BadTree(text.chars().take(ECHO_CHARS_MAX).collect())),
        }
    }

    /// Where a named entry is.
    fn find(&self, name: Name) -> Result<Option<LeafIndex>, Error> {
        let hash = match name {
            Name::Id(id) if id.tree != self.tree => return Ok(None),
            Name::Id(id) => id.leaf_hash,
            Name::LeafHash(hash) => hash,
        };
        Ok(self.log.find(&self.at, &hash)?)
    }

    fn named_entry(&self, name: Name) -> Result<Option<String>, Error> {
        match self.find(name)? {
            Some(index) => self.entry(index),
            None => Ok(None),
        }
    }

    /// An entry with its proof, as JSON.
    fn entry(&self, index: LeafIndex) -> Result<Option<String>, Error> {
        let Some(logged) = self.log.logged(&self.at, index)? else { return Ok(None) };
        let inclusion = self.log.prove_inclusion(&self.at, index)?;
        // The store is trusted no further than the root that was signed.
        let hash = logged.leaf.hash();
        inclusion
            .verify(&hash, index, self.at.head())
            .map_err(|error| ReadError::Broken(error.to_string()))?;
        self.proven_entry(&self.id(hash).to_string(), index, &logged, &inclusion).map(Some)
    }

    /// An entry whose proof was verified, as JSON.
    pub(super) fn proven_entry(
        &self,
        name: &str,
        index: LeafIndex,
        logged: &Logged,
        inclusion: &InclusionProof,
    ) -> Result<String, Error> {
        let promise = self.log.promise(&self.at, index, logged);
        let promise = promise.ok_or_else(|| ReadError::Broken(format!("no leaf {index}")))?;
        let parts = EntryParts {
            name,
            body: logged.leaf.as_bytes(),
            time_s: logged.time_s,
            log_id: self.log.key().full_id_hash(),
            global_index: Self::global_index(index),
            index,
            head: *self.at.head(),
            hashes: inclusion.hashes(),
            checkpoint: self.at.log_note(),
            promise: &promise,
        };
        Ok(parts.to_json())
    }

    fn log_info(&self) -> Vec<u8> {
        let (tree, head) = (self.tree, *self.at.head());
        encode_log(&LogParts { tree, head, checkpoint: self.at.log_note() })
    }
}

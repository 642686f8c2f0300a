//! What a Rekor v1 log acknowledged, kept outside it: by what each entry must be found, and where,
//! and the time that was promised for it.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log_core::LeafIndex;
use serde_json::Value;

use crate::answer_v1::{EntryV1, LogV1, number};
use crate::http::{Connection, Request};
use crate::record::Record;
use crate::submission_v1::SubmissionV1;

/// Where entries are.
pub const ENTRIES: &str = "/api/v1/log/entries";
/// Where searches are answered.
const SEARCH: &str = "/api/v1/index/retrieve";

/// Every acknowledged entry of one log, and every head. Threads may share it.
#[derive(Default)]
pub struct RecordV1 {
    /// Indices, leaves and heads, as of any log.
    pub tree: Record,
    rows: Mutex<BTreeMap<LeafIndex, Row>>,
}

#[derive(Clone)]
struct Row {
    id: String,
    time_s: u64,
    searches: Vec<String>,
}

impl RecordV1 {
    /// A record of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes an answer about a submission, which was verified when it came in.
    ///
    /// # Panics
    /// When it is not the answer to this submission, when the log said something else before, or
    /// when its times go back where its indices go on.
    #[track_caller]
    pub fn acknowledge(&self, entry: &EntryV1, submission: &SubmissionV1) {
        assert_eq!(entry.said.leaf.as_bytes(), submission.leaf.as_bytes(), "another entry");
        self.tree.acknowledge(&entry.said);
        let (index, time_s) = (entry.said.index, entry.time_s);
        let mut rows = self.rows();
        if let Some((before, row)) = rows.range(..index).next_back() {
            assert!(row.time_s <= time_s, "{before} at {}, {index} at {time_s}", row.time_s);
        }
        if let Some((after, row)) = rows.range(index..).next() {
            assert!(time_s <= row.time_s, "{index} at {time_s}, {after} at {}", row.time_s);
        }
        let row = rows.entry(index).or_insert_with(|| {
            let searches = submission.searches.clone();
            Row { id: entry.id.clone(), time_s, searches }
        });
        assert_eq!(row.time_s, time_s, "another time of {index} was promised before");
    }

    /// The indices of all acknowledged entries, in their order.
    pub fn indices(&self) -> Vec<LeafIndex> {
        self.rows().keys().copied().collect()
    }

    /// The indices of the acknowledged entries that a search with this text in it must find.
    pub fn indices_searched_by(&self, text: &str) -> Vec<LeafIndex> {
        let rows = self.rows();
        let searched = rows.iter().filter(|(_, row)| row.searches.iter().any(|s| s.contains(text)));
        searched.map(|(index, _)| *index).collect()
    }

    /// Asks a log for an acknowledged entry in every way there is: by index, by both forms of its
    /// id, and by everything that it must be found by. All say what was said before.
    ///
    /// # Panics
    /// At the first difference.
    #[track_caller]
    pub fn assert_found(&self, index: LeafIndex, log: &LogV1, connection: &mut Connection) {
        let row = self.rows()[&index].clone();
        let leaf_hash = &row.id[row.id.len() - 64..];
        let by_index = format!("{ENTRIES}?logIndex={index}");
        for path in [by_index, format!("{ENTRIES}/{}", row.id), format!("{ENTRIES}/{leaf_hash}")] {
            let entry = log.verify(&connection.send(&Request::get(&path)).expect(200).json());
            assert_eq!((&entry.id, entry.time_s), (&row.id, row.time_s), "{path}");
            self.tree.acknowledge(&entry.said);
        }
        assert_searched(&row.id, &row.searches, connection).expect("nobody kills it now");
    }

    /// Asks for an entry that may be in the log or not: it is found by everything, and then it is
    /// as good as acknowledged, or by nothing.
    ///
    /// # Panics
    /// When it is there in part.
    #[track_caller]
    pub fn assert_whole_or_absent(
        &self,
        submission: &SubmissionV1,
        log: &LogV1,
        connection: &mut Connection,
    ) {
        let id = log.entry_id(&submission.leaf);
        let answer = connection.send(&Request::get(&format!("{ENTRIES}/{id}")));
        if answer.status == 404 {
            for search in &submission.searches {
                let found = find(connection, search).expect("nobody kills it now");
                assert!(!found.contains(&id), "{id} is found by {search} and is not there");
            }
            return;
        }
        let entry = log.verify(&answer.expect(200).json());
        self.acknowledge(&entry, submission);
        self.assert_found(entry.said.index, log, connection);
    }

    /// Walks through all hits of a search that has a `limit`, page by page: each once, in the order
    /// of their indices. Gives the indices of those that were acknowledged.
    ///
    /// # Panics
    /// When a page is too long, an id comes twice, or the order is another one.
    #[track_caller]
    pub fn walk(&self, search: &Value, connection: &mut Connection) -> Vec<LeafIndex> {
        let known: BTreeMap<String, LeafIndex> =
            self.rows().iter().map(|(index, row)| (row.id.clone(), *index)).collect();
        let (mut seen, mut indices) = (HashSet::new(), Vec::new());
        let mut page = search.clone();
        let limit = number(&search["limit"]);
        loop {
            let ids = find(connection, &page.to_string()).expect("nobody kills it now");
            assert!(ids.len() as u64 <= limit, "{} ids, {limit} were asked for", ids.len());
            for id in &ids {
                assert!(seen.insert(id.clone()), "{id} is in two pages");
                indices.extend(known.get(id));
            }
            let Some(last) = ids.last() else { break };
            page["after"] = last.as_str().into();
        }
        assert!(indices.is_sorted(), "not in the order of the indices: {indices:?}");
        indices
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<LeafIndex, Row>> {
        // A thread that found a difference panics with the rows in its hand; they are whole.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request as old clients send it.
pub fn post(path: &str, body: &str) -> Request {
    Request::post(path, body).header("content-type", "application/json")
}

/// Asks for an entry by everything that it must be found by; the connection may break.
///
/// # Errors
/// It broke, and nothing was wrong before.
///
/// # Panics
/// When a search does not find the entry.
#[track_caller]
pub fn assert_searched(
    id: &str,
    searches: &[String],
    connection: &mut Connection,
) -> io::Result<()> {
    for search in searches {
        let found = find(connection, search)?;
        assert!(found.iter().any(|one| one == id), "{id} is not found by {search}: {found:?}");
    }
    Ok(())
}

/// The ids that a search gives.
#[track_caller]
fn find(connection: &mut Connection, search: &str) -> io::Result<Vec<String>> {
    let ids = connection.try_send(&post(SEARCH, search))?.expect(200).json();
    let ids = ids.as_array().unwrap_or_else(|| panic!("{search}: no array"));
    let ids: Vec<String> =
        ids.iter().map(|id| id.as_str().expect("an entry id").to_owned()).collect();
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an id is there twice: {ids:?}");
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use log_core::TreeHead;

    use super::*;
    use crate::answer::Acknowledged;
    use crate::check::head_of;
    use crate::submission_v1::SubmissionMakerV1;

    #[test]
    fn a_record_finds_times_that_change_or_go_back() {
        let mut maker = SubmissionMakerV1::new();
        let all = [(); 3].map(|()| maker.hashedrekord());
        let head: TreeHead = head_of(all.iter().map(|one| one.leaf.hash()));
        let said = |at: usize, time_s| {
            let (index, leaf) = (LeafIndex::new(at as u64), all[at].leaf.clone());
            let said = Acknowledged { index, leaf, head, note: String::new() };
            EntryV1 { id: all[at].leaf.hash().to_string(), time_s, said }
        };
        let record = RecordV1::new();
        record.acknowledge(&said(1, 5), &all[1]);
        record.acknowledge(&said(1, 5), &all[1]);
        let fails = |at: usize, time_s, submission: &SubmissionV1| {
            let noted = || record.acknowledge(&said(at, time_s), submission);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(noted)).is_err()
        };
        assert!(fails(1, 6, &all[1]), "another time");
        assert!(fails(0, 6, &all[0]), "a later time before it");
        assert!(fails(2, 4, &all[2]), "an earlier time after it");
        assert!(fails(2, 5, &all[0]), "the answer to something else");
        record.acknowledge(&said(0, 5), &all[0]);
        record.acknowledge(&said(2, 7), &all[2]);
        assert_eq!(record.indices(), [0, 1, 2].map(LeafIndex::new));
    }
}

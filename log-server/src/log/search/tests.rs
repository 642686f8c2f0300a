//! Searches over a store in memory, compared with a walk over all entries.

use log_core::{Leaf, RightEdge, integrate};

use super::*;
use crate::log::commit::{CommitTime, commit, commit_genesis};
use crate::log::pool::{Submission, Waiting};
use crate::store::memory::MemoryStore;

/// Entry `index` has the key `n` if `n` divides it.
const DIVISORS: [u64; 5] = [1, 2, 3, 5, 700];
const ENTRIES: u64 = 3000;

fn key(divisor: u64) -> SearchKey {
    SearchKey::of(&divisor.to_string())
}

fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let head = commit_genesis(&store, Hash::from_bytes([1; 32]), [2; 16]).unwrap();
    let waiting: Vec<Waiting> = (0..ENTRIES)
        .map(|index| {
            let leaf = Leaf::new(index.to_be_bytes().to_vec()).unwrap();
            let divides = |divisor: &&u64| index % **divisor == 0;
            let search_keys = DIVISORS.iter().filter(divides).map(|n| key(*n)).collect();
            let identity = leaf.hash();
            Waiting::new(Submission { leaf, search_keys }, identity).0
        })
        .collect();
    let new: Vec<&Waiting> = waiting.iter().collect();
    let hashes: Vec<Hash> = new.iter().map(|one| one.identity).collect();
    let integrated = integrate(&RightEdge::empty(), &hashes);
    let time = CommitTime { now_ms: 7_000, of_entries: true };
    commit(&store, &head, &new, integrated, time).unwrap();
    store
}

fn found(store: &MemoryStore, size: u64, search: &Search) -> Vec<u64> {
    find(store, size, search, SEARCH_ROWS_MAX).unwrap().into_iter().map(LeafIndex::get).collect()
}

#[test]
fn a_search_finds_what_a_walk_finds() {
    let store = store();
    let choices: [&[u64]; 8] =
        [&[], &[1], &[700], &[2, 3], &[3, 2], &[2, 2], &[1, 2, 3, 5, 700], &[5, 11]];
    for numbers in choices {
        for all in [false, true] {
            for (after, size) in [(None, ENTRIES), (Some(0), ENTRIES), (Some(59), 2000), (None, 0)]
            {
                for limit in [None, Some(1), Some(7), Some(5000)] {
                    let has = |number: &u64, index: u64| {
                        DIVISORS.contains(number) && index.is_multiple_of(*number)
                    };
                    let matches = |index: &u64| match all {
                        true => !numbers.is_empty() && numbers.iter().all(|n| has(n, *index)),
                        false => numbers.iter().any(|n| has(n, *index)),
                    };
                    let first = after.map_or(0, |after| after + 1);
                    let walk = (first..size).filter(matches).take(limit.unwrap_or(usize::MAX));
                    let keys = numbers.iter().map(|number| key(*number)).collect();
                    let after = after.map(LeafIndex::new);
                    let search = Search { keys, all, after, limit };
                    assert_eq!(
                        found(&store, size, &search),
                        walk.collect::<Vec<_>>(),
                        "{search:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn pages_put_together_are_the_whole_answer() {
    let store = store();
    let whole = Search { keys: vec![key(2), key(3)], ..Search::default() };
    let mut page = Search { limit: Some(64), ..whole.clone() };
    let mut all = Vec::new();
    loop {
        let some = found(&store, ENTRIES, &page);
        let Some(last) = some.last() else { break };
        page.after = Some(LeafIndex::new(*last));
        all.extend(some);
    }
    assert_eq!(all, found(&store, ENTRIES, &whole));
}

/// Every entry has one key, and every second one another that no entry of the first kind has.
struct Endless;

impl Endless {
    fn rows(&self, key: &SearchKey, from: LeafIndex, limit: usize) -> Vec<LeafIndex> {
        let odd = u64::from(*key == SearchKey::of("odd"));
        let start = from.get() + (from.get() + odd) % 2;
        (start..).step_by(2).take(limit).map(LeafIndex::new).collect()
    }
}

#[test]
fn too_many_hits_are_an_error_and_not_a_shorter_answer() {
    let search = Search { keys: vec![SearchKey::of("even")], ..Search::default() };
    let read = |key: &SearchKey, from, limit| Ok(Endless.rows(key, from, limit));
    let refused = find_in(read, u64::MAX, &search, SEARCH_ROWS_MAX);
    assert!(matches!(refused, Err(SearchError::TooMany(SEARCH_HITS_MAX))));
    let first = Search { limit: Some(SEARCH_HITS_MAX + 1), ..search };
    assert_eq!(
        find_in(read, u64::MAX, &first, SEARCH_ROWS_MAX).unwrap().len(),
        SEARCH_HITS_MAX + 1
    );
}

#[test]
fn keys_with_nothing_in_common_do_not_keep_a_search_busy_for_ever() {
    let keys = vec![SearchKey::of("even"), SearchKey::of("odd")];
    let search = Search { keys, all: true, limit: Some(1), ..Search::default() };
    let read = |key: &SearchKey, from, limit| Ok(Endless.rows(key, from, limit));
    let refused = find_in(read, u64::MAX, &search, SEARCH_ROWS_MAX);
    assert!(matches!(refused, Err(SearchError::TooMuchWork(SEARCH_ROWS_MAX))));
}

#[test]
fn a_quick_search_reads_a_few_rows_of_each_key_and_no_more() {
    let store = store();
    let quick = |numbers: &[u64], limit| {
        let keys = numbers.iter().map(|number| key(*number)).collect();
        let search = Search { keys, limit, ..Search::default() };
        find(&store, ENTRIES, &search, QUICK_ROWS_MAX)
    };
    let few = [0, 700, 1400, 2100, 2800].map(LeafIndex::new);
    assert_eq!(quick(&[700], None).unwrap(), few);
    assert_eq!(quick(&[700, 7001, 7002, 7003], None).unwrap(), few);
    let first: Vec<LeafIndex> = (0..16).map(LeafIndex::new).collect();
    assert_eq!(quick(&[1], Some(16)).unwrap(), first);
    for (numbers, limit) in [(&[1][..], None), (&[1], Some(17)), (&[700, 2, 3, 5], None)] {
        let refused = quick(numbers, limit);
        assert!(matches!(refused, Err(SearchError::TooMuchWork(QUICK_ROWS_MAX))), "{numbers:?}");
    }
}

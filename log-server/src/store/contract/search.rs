//! What every store must do with the metadata of leaves and with the search index.

use std::collections::BTreeSet;

use log_core::{Leaf, LeafIndex, sha256};

use super::{Writer, at, leaf, set_previous, started};
use crate::store::{Batch, CommitError, LeafMetadata, SEARCH_KEYS_MAX, SearchKey};
use crate::store::{Store, StoredLeaf};

pub(super) const CASES: [fn(&dyn Store); 9] = [
    metadata_is_read_back_as_it_was_written,
    a_search_finds_the_leaves_of_its_key_in_order,
    a_search_starts_and_ends_where_it_is_told,
    keys_beside_each_other_are_never_mixed_up,
    a_key_that_a_leaf_has_twice_leads_to_it_once,
    ten_thousand_keys_lead_to_one_leaf,
    rows_are_there_with_their_commit_and_not_before,
    metadata_that_breaks_a_rule_writes_nothing,
    the_index_is_paged_through_in_order,
];

/// All rows of a key.
const ALL: usize = usize::MAX;

fn word(text: impl ToString) -> SearchKey {
    SearchKey::of(&text.to_string())
}

fn stored(leaf: Leaf, time_s: u64, search_keys: Vec<SearchKey>) -> StoredLeaf {
    StoredLeaf { leaf, metadata: Some(LeafMetadata { time_s, search_keys }) }
}

/// One commit with a leaf for each of these lists of keys.
fn commit_leaves(store: &dyn Store, writer: &mut Writer, keys: Vec<Vec<SearchKey>>) {
    let first = writer.hashes.len();
    let leaves = (first..).map(leaf).zip(keys).map(|(leaf, keys)| stored(leaf, 7, keys));
    store.commit(&writer.stored(leaves.collect())).expect("commit");
}

fn found(store: &dyn Store, key: SearchKey, from: u64, limit: usize) -> Vec<u64> {
    let found = store.search(&key, at(from), limit).expect("search");
    found.into_iter().map(LeafIndex::get).collect()
}

fn rows(store: &dyn Store) -> Vec<(SearchKey, LeafIndex)> {
    store.search_keys_after(None, ALL).expect("search rows")
}

fn metadata_is_read_back_as_it_was_written(store: &dyn Store) {
    let mut writer = started(store);
    let many = |count: usize| (0..count).map(word).collect::<Vec<_>>();
    let mut leaves = Vec::new();
    for (time_s, body) in [vec![], vec![0x01; 65_535], vec![0], b"body".to_vec()].iter().enumerate()
    {
        let leaf = Leaf::new(body.clone()).expect("within the limit");
        leaves.push(StoredLeaf::from(leaf.clone()));
        for keys in [vec![], many(1), vec![word("b"), word("a"), word("b")], many(300)] {
            leaves.push(stored(leaf.clone(), time_s as u64, keys));
        }
    }
    let all = many(SEARCH_KEYS_MAX);
    leaves.push(stored(Leaf::new(vec![0xff; 65_535]).expect("short"), u64::MAX / 1000, all));
    let mut batch = writer.stored(leaves.clone());
    batch.identities.clear();
    store.commit(&batch).expect("commit");
    assert_eq!(store.stored_leaves(at(0), leaves.len()).expect("leaves"), leaves);
    for (index, wanted) in (0..).zip(&leaves) {
        let one = store.stored_leaves(at(index), 1).expect("leaf");
        assert_eq!(one.as_slice(), std::slice::from_ref(wanted), "leaf {index}");
    }
    let bodies: Vec<Leaf> = leaves.into_iter().map(|stored| stored.leaf).collect();
    assert_eq!(store.leaves(at(0), bodies.len()).expect("leaves"), bodies);
}

/// Three commits whose leaves have up to six of 40 keys each, against a plain list of them.
fn a_search_finds_the_leaves_of_its_key_in_order(store: &dyn Store) {
    let mut writer = started(store);
    let mut wanted: BTreeSet<(SearchKey, u64)> = BTreeSet::new();
    for count in [3, 200, 97] {
        let first = writer.hashes.len();
        let chosen = (first..first + count).map(|index| {
            let digest = sha256(format!("keys of {index}").as_bytes());
            let [number, keys @ ..] = digest.as_bytes();
            keys[..usize::from(number % 7)].iter().map(|byte| word(byte % 40)).collect()
        });
        let chosen: Vec<Vec<SearchKey>> = chosen.collect();
        for (index, keys) in (first as u64..).zip(&chosen) {
            wanted.extend(keys.iter().map(|key| (*key, index)));
        }
        commit_leaves(store, &mut writer, chosen);
        for number in 0..41 {
            let key = word(number);
            for (from, limit) in [(0, ALL), (0, 1), (1, 5), (150, ALL), (299, 2), (300, ALL)] {
                let of_key = wanted.range((key, from)..=(key, u64::MAX));
                let of_key: Vec<u64> = of_key.take(limit).map(|(_, index)| *index).collect();
                assert_eq!(found(store, key, from, limit), of_key, "{number} {from} {limit}");
            }
        }
    }
    assert!(wanted.len() > 500, "only {} rows", wanted.len());
    assert!(found(store, word(40), 0, ALL).is_empty(), "no leaf has it");
    let wanted: Vec<_> = wanted.into_iter().map(|(key, index)| (key, at(index))).collect();
    assert_eq!(rows(store), wanted);
}

fn a_search_starts_and_ends_where_it_is_told(store: &dyn Store) {
    let mut writer = started(store);
    let (rare, other) = (word("rare"), word("other"));
    let keys =
        |index| if [2, 3, 7, 300].contains(&index) { vec![rare, other] } else { vec![other] };
    commit_leaves(store, &mut writer, (0..100).map(keys).collect());
    commit_leaves(store, &mut writer, (100..301).map(keys).collect());
    for (from, limit, wanted) in [
        (0, ALL, &[2, 3, 7, 300][..]),
        (0, 0, &[]),
        (0, 1, &[2]),
        (0, 4, &[2, 3, 7, 300]),
        (0, 5, &[2, 3, 7, 300]),
        (2, 2, &[2, 3]),
        (3, 2, &[3, 7]),
        (4, 2, &[7, 300]),
        (8, 9, &[300]),
        (300, 9, &[300]),
        (301, 9, &[]),
        (u64::MAX, ALL, &[]),
    ] {
        assert_eq!(found(store, rare, from, limit), wanted, "{limit} from {from}");
    }
    assert!(found(store, other, 0, ALL).into_iter().eq(0..301), "one for each leaf");
}

fn keys_beside_each_other_are_never_mixed_up(store: &dyn Store) {
    let mut writer = started(store);
    let ending = |filler: u8, last: u8| {
        let mut bytes = [filler; SearchKey::LEN];
        bytes[SearchKey::LEN - 1] = last;
        SearchKey::from_bytes(bytes)
    };
    let keys = [
        ending(0, 0),
        ending(0, 1),
        ending(0x61, 0x60),
        ending(0x61, 0x61),
        ending(0x61, 0xff),
        ending(0xff, 0xfe),
        ending(0xff, 0xff),
    ];
    // Each commit gives two leaves to each key, so that the rows of a key lie in several places.
    for _ in 0..3 {
        let leaves = keys.iter().flat_map(|key| [vec![*key], vec![*key]]);
        commit_leaves(store, &mut writer, leaves.collect());
    }
    for (position, key) in (0..).zip(keys) {
        let first = 2 * position;
        let wanted = [first, first + 1, first + 14, first + 15, first + 28, first + 29];
        assert_eq!(found(store, key, 0, ALL), wanted, "{key}");
        assert_eq!(found(store, key, first + 1, 2), wanted[1..3], "{key}");
        assert!(found(store, key, first + 30, ALL).is_empty(), "{key}");
    }
    for absent in [ending(0, 2), ending(0x61, 0), ending(0x61, 0xfe), ending(0xff, 0)] {
        assert!(found(store, absent, 0, ALL).is_empty(), "{absent}");
    }
}

fn a_key_that_a_leaf_has_twice_leads_to_it_once(store: &dyn Store) {
    let mut writer = started(store);
    let (one, two) = (word("one"), word("two"));
    commit_leaves(store, &mut writer, vec![vec![one, two, one, one], vec![], vec![one, one]]);
    assert_eq!(found(store, one, 0, ALL), [0, 2]);
    assert_eq!(found(store, two, 0, ALL), [0]);
    let mut wanted = vec![(one, at(0)), (one, at(2)), (two, at(0))];
    wanted.sort();
    assert_eq!(rows(store), wanted);
}

fn ten_thousand_keys_lead_to_one_leaf(store: &dyn Store) {
    let mut writer = started(store);
    let keys: Vec<SearchKey> = (0..10_000).map(word).collect();
    commit_leaves(store, &mut writer, vec![vec![word("before")], keys.clone(), vec![keys[9_999]]]);
    for key in &keys[..9_999] {
        assert_eq!(found(store, *key, 0, ALL), [1], "{key}");
    }
    assert_eq!(found(store, keys[9_999], 0, ALL), [1, 2]);
    assert_eq!(rows(store).len(), 10_002);
}

fn rows_are_there_with_their_commit_and_not_before(store: &dyn Store) {
    let mut writer = started(store);
    let key = word("key");
    let first = writer.stored(vec![stored(leaf(0), 7, vec![key])]);
    let second = writer.stored(vec![stored(leaf(1), 7, vec![key])]);
    assert!(matches!(store.commit(&second), Err(CommitError::Conflict)));
    assert!(rows(store).is_empty() && found(store, key, 0, ALL).is_empty());
    store.commit(&first).expect("commit");
    assert_eq!(found(store, key, 0, ALL), [0]);
    assert!(matches!(store.commit(&first), Err(CommitError::Conflict)));
    store.commit(&second).expect("commit");
    assert_eq!(found(store, key, 0, ALL), [0, 1]);
    assert_eq!(rows(store), [(key, at(0)), (key, at(1))]);
}

fn metadata_that_breaks_a_rule_writes_nothing(store: &dyn Store) {
    let mut writer = started(store);
    store.commit(&writer.stored(vec![stored(leaf(0), 5, vec![word(0)])])).expect("commit");
    let leaves = [(1, 6), (2, 6), (3, 9)].map(|(i, time_s)| stored(leaf(i), time_s, vec![word(i)]));
    let good = writer.stored(leaves.into());
    type Rule = (&'static str, fn(&mut Batch));
    let rules: Vec<Rule> = vec![
        ("too many keys", |b| set(b, 1, |m| m.search_keys = vec![word(1); SEARCH_KEYS_MAX + 1])),
        ("earlier than the leaf before", |b| set(b, 1, |m| m.time_s = 5)),
        ("earlier than the head before", |b| set(b, 0, |m| m.time_s = 4)),
        ("later than the leaf after", |b| set(b, 0, |m| m.time_s = 7)),
        ("later than the head", |b| set(b, 2, |m| m.time_s = 10)),
        ("the head before is later", |b| set_previous(b, |head| head.time_ms = 7000)),
        ("the head is earlier", |b| b.head.time_ms = 8999),
        ("another body", |b| b.leaves[1].leaf = leaf(9)),
    ];
    for (rule, break_it) in rules {
        let mut bad = good.clone();
        break_it(&mut bad);
        let result = store.commit(&bad);
        assert!(matches!(result, Err(CommitError::Refused(_))), "{rule}: {result:?}");
        assert_eq!(rows(store), [(word(0), at(0))], "{rule}");
        assert!((1..4).all(|i| found(store, word(i), 0, ALL).is_empty()), "{rule}");
        assert_eq!(store.last_leaf().expect("last"), Some(at(0)), "{rule}");
    }
    let mut good = good;
    // A leaf without metadata among them has no time.
    good.leaves[1].metadata = None;
    good.head.time_ms = 9999;
    store.commit(&good).expect("no rule is broken");
    assert_eq!(rows(store).len(), 3);
}

fn set(batch: &mut Batch, leaf: usize, change: impl Fn(&mut LeafMetadata)) {
    change(batch.leaves[leaf].metadata.as_mut().expect("it has metadata"));
}

fn the_index_is_paged_through_in_order(store: &dyn Store) {
    let mut writer = started(store);
    for round in 0..3 {
        let keys = (0..150).map(|i| vec![word("all"), word(i), word(round * 150 + i)]);
        commit_leaves(store, &mut writer, keys.collect());
    }
    let all = rows(store);
    // The first commit gives each leaf one key twice.
    assert_eq!(all.len(), 150 * 2 + 300 * 3);
    assert!(all.is_sorted(), "by key, then by leaf");
    for limit in [1, 77, 1200] {
        let mut seen = Vec::new();
        loop {
            let page = store.search_keys_after(seen.last().copied(), limit).expect("page");
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
    // Between two rows, behind the last one, and with nothing asked for.
    let behind = Some((SearchKey::from_bytes([0xff; 16]), at(u64::MAX)));
    assert!(store.search_keys_after(behind, 9).expect("page").is_empty());
    assert!(store.search_keys_after(None, 0).expect("page").is_empty());
    let (key, index) = all[500];
    let between = Some((key, at(index.get() - 1)));
    assert_eq!(store.search_keys_after(between, 2).expect("page"), all[500..502]);
}

//! The compare-and-swap and the journal, without anything around them.

use log_core::key::{KeyName, NoteSigner};

use super::*;

const START_S: u64 = 1000;

fn head(size: u64, root: u8) -> TreeHead {
    TreeHead { size: TreeSize::new(size), root_hash: Hash::from_bytes([root; 32]) }
}

fn store() -> (tempfile::TempDir, Store, Hash) {
    let dir = tempfile::tempdir().unwrap();
    let state_id = StateId::from_slice(&[3; 32]).unwrap();
    let store = Store::create(&dir.path().join("db"), state_id, START_S, false).unwrap();
    let origin = Origin::parse("log.example/a").unwrap();
    let key = NoteSigner::ed25519(KeyName::parse("log.example/a").unwrap(), [1; 32]);
    store.put_logs(&[(origin.clone(), vec![key.verifier_key()])], false).unwrap();
    (dir, store, origin_hash(&origin))
}

fn advance(origin: Hash, expected: Standing, head: TreeHead, time_s: u64) -> Advance {
    let (note, journal_note) = (format!("whole {}", head.size), format!("log {}", head.size));
    Advance { origin_hash: origin, expected, head, time_s, note, journal_note }
}

fn row(store: &Store) -> Row {
    store.logs().unwrap().remove(0).row
}

#[test]
fn what_is_committed_is_there_after_the_database_was_opened_again() {
    let (dir, store, origin) = store();
    let first = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    assert!(store.advance(&[&first]).unwrap()[0].is_ok());
    drop(store);
    let store = Store::open(&dir.path().join("db")).unwrap();
    assert_eq!(store.state_id().as_bytes(), &[3; 32]);
    assert_eq!((store.created_s(), store.recreated()), (START_S, false));
    let log = store.logs().unwrap().remove(0);
    assert_eq!(log.origin.as_str(), "log.example/a");
    assert_eq!(log.keys.len(), 1);
    assert_eq!(log.row.header.head(), Some(head(3, 1)));
    assert_eq!((log.row.note.as_str(), log.row.header.time_s), ("whole 3", START_S));
    let note = store.journal_note(&origin, TreeSize::new(3)).unwrap();
    assert_eq!(note.as_deref(), Some("log 3"));
}

#[test]
fn a_head_is_written_only_where_the_decision_saw_the_row() {
    let (_dir, store, origin) = store();
    let stands = Standing::Cosigned(head(3, 1));
    let first = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    store.advance(&[&first]).unwrap();
    let before = row(&store);
    let stale = [
        advance(origin, Standing::NeverCosigned, head(9, 1), START_S),
        advance(origin, Standing::Lost, head(9, 1), START_S),
        advance(origin, Standing::Cosigned(head(2, 1)), head(9, 1), START_S),
        advance(origin, Standing::Cosigned(head(3, 2)), head(9, 1), START_S),
        // The head is right and the time would go back.
        advance(origin, stands, head(9, 1), START_S - 1),
    ];
    for stale in &stale {
        assert_eq!(store.advance(&[stale]).unwrap(), [Err(Conflict)]);
        assert_eq!(row(&store), before);
    }
    let good = advance(origin, stands, head(9, 1), START_S);
    let outcomes = store.advance(&[&stale[0], &good, &stale[1]]).unwrap();
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(row(&store).header.head(), Some(head(9, 1)));
}

#[test]
fn of_two_in_one_transaction_the_second_sees_the_first() {
    let (_dir, store, origin) = store();
    let small = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    let large = advance(origin, Standing::NeverCosigned, head(9, 1), START_S);
    let outcomes = store.advance(&[&small, &large]).unwrap();
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(Conflict));
    assert_eq!(row(&store).header.head(), Some(head(3, 1)));
}

#[test]
fn a_row_that_was_rolled_back_takes_nothing_until_it_is_restarted() {
    let (_dir, store, origin) = store();
    let first = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    store.advance(&[&first]).unwrap();
    let ahead = |size| Ahead { size: TreeSize::new(size), time_s: START_S + 5 };
    store.mark_ahead(&origin, ahead(9)).unwrap();
    // The largest that was seen is remembered.
    let row = store.mark_ahead(&origin, ahead(7)).unwrap();
    assert_eq!(row.header.ahead, Some(ahead(9)));
    let next = advance(origin, Standing::Cosigned(head(3, 1)), head(10, 1), START_S + 9);
    assert_eq!(store.advance(&[&next]).unwrap(), [Err(Conflict)]);
    let restarted = store.restart(&next).unwrap();
    assert_eq!((restarted.header.ahead, restarted.header.head()), (None, Some(head(10, 1))));
    assert_eq!(restarted.header.journal_rows, 2);
}

#[test]
fn the_journal_is_bounded_and_a_refresh_takes_no_room() {
    let (_dir, store, origin) = store();
    let mut standing = Standing::NeverCosigned;
    let (kept, forgotten) = (u64::from(JOURNAL_ROWS_KEPT), u64::from(JOURNAL_ROWS_FORGOTTEN));
    let sizes = kept + 2 * forgotten + 4;
    let known = |size| store.journal_note(&origin, TreeSize::new(size)).unwrap().is_some();
    for size in 1..=sizes {
        for time_s in [START_S, START_S + 1] {
            let refresh = advance(origin, standing, head(size, 1), START_S + size + time_s);
            standing = store.advance(&[&refresh]).unwrap()[0].as_ref().unwrap().header.standing;
        }
        // The last ones are never among those that are forgotten.
        assert!(known(size.saturating_sub(kept - 1).max(1)), "{size}");
    }
    assert_eq!(u64::from(row(&store).header.journal_rows), kept + 4);
    let unknown: Vec<_> = (1..=sizes).filter(|size| !known(*size)).collect();
    assert_eq!(unknown, (1..=2 * forgotten).collect::<Vec<_>>());
}

#[test]
fn keys_may_change_and_the_row_stays() {
    let (_dir, store, origin) = store();
    let first = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    store.advance(&[&first]).unwrap();
    let key = NoteSigner::ed25519(KeyName::parse("another").unwrap(), [2; 32]).verifier_key();
    let name = Origin::parse("log.example/a").unwrap();
    store.put_logs(&[(name, vec![key.clone()])], false).unwrap();
    let log = store.logs().unwrap().remove(0);
    assert_eq!((log.keys, log.row.header.head()), (vec![key], Some(head(3, 1))));
}

#[test]
fn evidence_is_accepted_for_one_log_and_one_id() {
    let (_dir, store, origin) = store();
    let (id, other) = (Hash::from_bytes([5; 32]), Hash::from_bytes([6; 32]));
    store.accept_evidence(&origin, &id).unwrap();
    assert!(store.is_accepted(&origin, &id).unwrap());
    assert!(!store.is_accepted(&origin, &other).unwrap());
    assert!(!store.is_accepted(&other, &id).unwrap());
}

#[test]
#[should_panic(expected = "must not shrink")]
fn a_tree_that_shrinks_is_never_written() {
    let (_dir, store, origin) = store();
    let first = advance(origin, Standing::NeverCosigned, head(3, 1), START_S);
    store.advance(&[&first]).unwrap();
    let smaller = advance(origin, Standing::Cosigned(head(3, 1)), head(2, 1), START_S);
    let _ = store.advance(&[&smaller]);
}

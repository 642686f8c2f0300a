//! Every call of the store fails once, with each outcome that a failed call can have.

use super::*;
use crate::store::faulty::{Operation, Outcome};

const STOPPED: SubmitError = SubmitError::Answer(AnswerError::Stopped);

/// What submitters hear from a log that ended: those who waited, and those who come too late.
fn is_over(error: &SubmitError) -> bool {
    *error == STOPPED || *error == SubmitError::Pool(PoolRefusal::Closed)
}

fn batch_failed(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Answer(AnswerError::BatchFailed(_)))
}

#[tokio::test]
async fn a_refused_batch_is_told_to_its_submitters_and_the_log_goes_on() {
    let refusals = [
        (Operation::Commit, Outcome::Refused),
        // A bit of a leaf flips after it was hashed: the store hashes once more before it writes.
        (Operation::Commit, Outcome::LeafFlipped),
        (Operation::Find, Outcome::NotPersisted),
    ];
    for (operation, outcome) in refusals {
        let disk = Disk::new();
        let process = disk.start();
        process.add("before").await.unwrap();
        process.store.fail(operation, 1, outcome);
        let error = process.add("refused").await.err().unwrap();
        assert!(batch_failed(&error), "{operation:?} {outcome:?}: {error}");
        assert_eq!((disk.size(), process.published_size()), (1, 1));
        // The index that it would have had is free for the next one.
        let next = process.add("next").await.unwrap();
        assert_eq!((next.index, next.is_duplicate()), (LeafIndex::new(1), false));
        let again = process.add("refused").await.unwrap();
        assert_eq!((again.index, again.is_duplicate()), (LeafIndex::new(2), false));
        disk.assert_holds(&leaf("refused"), &again);
        assert_eq!(process.stop(), Vec::<String>::new(), "{operation:?} {outcome:?}");
        disk.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_submitters_of_a_refused_batch_are_told() {
    let disk = Disk::new();
    let process = disk.start();
    for call in 1..=40 {
        process.store.fail(Operation::Commit, call * 2, Outcome::Refused);
    }
    let mut refused = 0;
    for round in 0..40 {
        for (text, answer) in process.add_all(texts(&format!("round {round}"), 9)).await {
            match answer {
                Ok(answer) => disk.assert_holds(&leaf(&text), &answer),
                Err(error) => {
                    assert!(batch_failed(&error), "{error}");
                    let found = disk.rows.find(&leaf(&text).hash()).unwrap();
                    assert_eq!(found, None, "refused, but written");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(disk.size() + refused, 40 * 9);
    assert_eq!(process.stop(), Vec::<String>::new());
    disk.assert_sound();
}

/// A fault after which nobody can know what is on the disk: the log ends, and the disk decides.
async fn unknown_outcome(outcome: Outcome) {
    let disk = Disk::new();
    let process = disk.start();
    let before = process.add_all(texts("before", 300)).await;
    let head = disk.head();
    process.store.fail(Operation::Commit, 1, outcome);
    let commits = process.store.calls(Operation::Commit);
    assert_eq!(process.add("unknown").await.err(), Some(STOPPED), "{outcome:?}");
    for (_, answer) in process.add_all(texts("after", 20)).await {
        let error = answer.err().unwrap();
        assert!(is_over(&error), "{outcome:?}: {error}");
    }
    assert_eq!(process.store.calls(Operation::Commit), commits + 1, "written to after the fault");
    assert_eq!(*process.published().head(), head.tree, "published after the fault");
    assert_eq!(disk.anchor().newest(), head);
    let fatals = process.stop();
    assert_eq!(fatals.len(), 1, "{fatals:?}");
    assert!(fatals[0].contains("outcome of the commit unknown"), "{fatals:?}");

    // The next start publishes whichever of the two is there.
    let persisted = outcome == Outcome::Persisted;
    let process = disk.start();
    assert_eq!(process.published_size(), 300 + u64::from(persisted));
    disk.assert_signed(&process.published());
    let again = process.add("unknown").await.unwrap();
    assert_eq!((again.index, again.is_duplicate()), (LeafIndex::new(300), persisted));
    for (text, answer) in before {
        disk.assert_holds(&leaf(&text), &answer.unwrap());
    }
    process.stop();
    disk.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_commit_of_unknown_outcome_nothing_is_answered_and_the_disk_decides() {
    unknown_outcome(Outcome::NotPersisted).await;
    unknown_outcome(Outcome::Persisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_an_unknown_outcome_loses_nothing_that_was_answered() {
    for (round, outcome) in
        [Outcome::NotPersisted, Outcome::Persisted].into_iter().cycle().take(20).enumerate()
    {
        let disk = Disk::new();
        let process = disk.start();
        process.store.fail(Operation::Commit, round as u64 / 4 + 1, outcome);
        let mut answered = Vec::new();
        for wave in 0..8 {
            for (text, answer) in process.add_all(texts(&format!("wave {wave}"), 30)).await {
                match answer {
                    Ok(answer) => answered.push((text, answer)),
                    Err(error) => assert!(is_over(&error), "{error}"),
                }
            }
        }
        let last = process.published();
        assert_eq!(process.stop().len(), 1);
        let process = disk.start();
        disk.assert_signed(&last);
        for (text, answer) in answered {
            disk.assert_holds(&leaf(&text), &answer);
            assert_eq!(process.add(&text).await.unwrap().index, answer.index);
        }
        process.stop();
        disk.assert_sound();
    }
}

#[tokio::test]
async fn another_writer_ends_the_log() {
    let disk = Disk::new();
    let (first, second) = (disk.start(), disk.start());
    first.add("a").await.unwrap();
    assert_eq!(second.add("b").await.err(), Some(STOPPED));
    assert_eq!(second.published_size(), 0);
    let fatals = second.stop();
    assert!(matches!(&*fatals, [one] if one.contains("not the one that the batch")), "{fatals:?}");
    disk.assert_holds(&leaf("a"), &first.add("a").await.unwrap());
    assert_eq!(disk.size(), 1);
}

#[tokio::test]
async fn an_anchor_that_cannot_be_written_ends_the_log_before_anything_is_published() {
    let disk = Disk::new();
    let process = disk.start();
    process.add("before").await.unwrap();
    // The anchor refuses every head that is older than the one it has.
    process.log.anchor.write(&Head { batch: 1000, ..disk.head() }).unwrap();
    assert_eq!(process.add("lost").await.err(), Some(STOPPED));
    assert_eq!((disk.size(), process.published_size()), (2, 1));
    let fatals = process.stop();
    assert!(matches!(&*fatals, [one] if one.contains("anchor cannot be written")), "{fatals:?}");
}

#[tokio::test]
async fn a_panic_in_the_sequencer_ends_the_log() {
    let disk = Disk::new();
    let process = disk.start();
    process.add("before").await.unwrap();
    disk.clock_ms.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(process.add("panics").await.err(), Some(STOPPED));
    disk.clock_ms.store(0, Ordering::SeqCst);
    assert!(is_over(&process.add("late").await.err().unwrap()));
    assert_eq!((disk.size(), process.published_size()), (1, 1));
    let fatals = process.stop();
    assert!(matches!(&*fatals, [one] if one.contains("panicked")), "{fatals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_cannot_be_made_is_no_answer() {
    let disk = Disk::new();
    let process = disk.start();
    process.add_all(texts("before", 600)).await;
    process.stop();
    // A new process has no tile in memory yet.
    let process = disk.start();
    process.store.fail(Operation::Tile, 1, Outcome::NotPersisted);
    let first = disk.rows.leaves(LeafIndex::new(0), 1).unwrap().remove(0);
    assert_eq!(process.log.submit(first).await.err(), Some(STOPPED));
    let fatals = process.stop();
    assert!(matches!(&*fatals, [one] if one.contains("proof")), "{fatals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_meets_every_failing_call_with_a_shut_log() {
    let disk = Disk::new();
    let process = disk.start();
    process.add_all(texts("leaf", 600)).await;
    process.stop();
    let (identity, anchor) = (disk.identity(), disk.anchor().newest());
    let mut shut = 0;
    for operation in [Operation::Head, Operation::Leaves, Operation::Tile] {
        let counted = FaultyStore::new(Arc::clone(&disk.rows));
        recover(&counted, &identity, &anchor).unwrap();
        for call in 1..=counted.calls(operation) {
            let store = FaultyStore::new(Arc::clone(&disk.rows));
            store.fail(operation, call, Outcome::NotPersisted);
            let error = recover(&store, &identity, &anchor).err();
            assert!(matches!(error, Some(Shut::Store(_))), "{operation:?} {call}: {error:?}");
            shut += 1;
        }
    }
    assert!(shut > 5, "only {shut} calls");
    assert_eq!(recover(disk.rows.as_ref(), &identity, &anchor).unwrap().head, disk.head());
}

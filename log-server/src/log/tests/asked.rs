//! The question at the start, and what a running log does when a witness knows another history.

use super::stub::{Memory, Mood, Stub};
use super::witnesses::{three, two_of};
use super::*;
use crate::log::standing::WitnessState;

/// A log that grew to these entries with its witnesses, and stopped.
async fn grown(entries: &[&str]) -> (Disk, [Stub; 3]) {
    let disk = Disk::new();
    let stubs = three(&disk);
    let process = disk.start_witnessed(&two_of(&stubs));
    process.until_open().await;
    for text in entries {
        process.add(text).await.unwrap();
    }
    all_have_cosigned(&process, &disk).await;
    assert_eq!(process.stop(), Vec::<String>::new());
    (disk, stubs)
}

/// Waits until the log has the lines of all its witnesses over its committed head, also of those
/// that the quorum did without.
async fn all_have_cosigned(process: &Process, disk: &Disk) {
    let size = disk.head().tree.size;
    let known = |process: &Process| {
        process.log.witness_status().iter().all(|status| status.known_size == Some(size))
    };
    process.until("all have cosigned", known).await;
}

/// Another store under the same key, grown without witnesses.
async fn second_copy(entries: &[&str]) -> Disk {
    let disk = Disk::new();
    let process = disk.start();
    for text in entries {
        process.add(text).await.unwrap();
    }
    assert_eq!(process.stop(), Vec::<String>::new());
    disk
}

async fn shut_by(process: &Process) -> String {
    process.until("shut", |process| process.log.shut().is_some()).await;
    process.log.shut().unwrap().to_string()
}

fn kept(disk: &Disk) -> Vec<String> {
    let files = std::fs::read_dir(disk.dir.path().join("evidence"));
    let files = files.into_iter().flatten().flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_served_at_once_and_nothing_new_before_enough_have_answered() {
    let (disk, stubs) = grown(&["a", "b"]).await;
    let before = disk.rows.note().unwrap();
    stubs.iter().for_each(Stub::is_down);
    let process = disk.start_witnessed(&two_of(&stubs));
    assert_eq!(process.shown_size(), Some(2));
    disk.assert_signed(&process.published());
    assert_eq!(process.add("c").await.err(), Some(SubmitError::Asking));
    assert_eq!(process.add("a").await.err(), Some(SubmitError::Asking));
    stubs[0].is(Mood::Honest);
    process.until("one", |process| process.statuses()[0].0 == WitnessState::Ok).await;
    // The two others could be a quorum that has seen more.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(process.log.state(), State::Asking);
    assert_eq!(disk.rows.note().unwrap(), before);
    stubs[2].is(Mood::Honest);
    process.until_open().await;
    assert_eq!(process.add("c").await.unwrap().index, LeafIndex::new(2));
    assert_eq!(process.stop(), Vec::<String>::new());
    disk.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_and_an_empty_store_under_the_old_key_stay_shut() {
    let (newest, stubs) = grown(&["a", "b", "c", "d", "e"]).await;
    for entries in [&[][..], &["a"], &["a", "b", "c", "d"], &["x", "y"]] {
        let old = second_copy(entries).await;
        let rows = old.rows.head().unwrap();
        // The network comes up late, and two witnesses are away: one that knows is enough.
        stubs.iter().for_each(Stub::is_down);
        let process = old.start_witnessed(&two_of(&stubs));
        process.until("asked", |process| process.statuses()[0].0 == WitnessState::Down).await;
        assert_eq!(process.add("new").await.err(), Some(SubmitError::Asking));
        stubs[1].is(Mood::Honest);
        let why = shut_by(&process).await;
        assert!(why.contains("w2") && why.contains("old or a second copy"), "{why}");
        assert!(process.add("new").await.is_err());
        assert_eq!(process.stop(), Vec::<String>::new());
        assert_eq!(old.rows.head().unwrap(), rows, "written to");
        assert!(old.rows.note().unwrap().is_none(), "published");
        assert_eq!(kept(&old).len(), 2, "both notes: {:?}", kept(&old));
    }
    stubs.iter().for_each(|stub| stub.is(Mood::Honest));
    let process = newest.start_witnessed(&two_of(&stubs));
    process.until_open().await;
    process.add("f").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_stays_shut_and_what_was_published_of_it_convicts() {
    let (_newest, stubs) = grown(&["a", "b", "c"]).await;
    for entries in [&["a", "b", "x"][..], &["a", "b", "x", "y", "z"]] {
        // Committed and perhaps never shown to anybody: nothing is signed to convict ourselves.
        let fork = second_copy(entries).await;
        let process = fork.start_witnessed(&two_of(&stubs));
        let why = shut_by(&process).await;
        assert!(why.contains("this log's key signed over 3:"), "{why}");
        assert_eq!(process.stop(), Vec::<String>::new());
        assert_eq!(kept(&fork), ["ours-0.note", "theirs-3.note"]);

        // Published with witnesses of its own, it is a second history.
        let (fork, _others) = grown(entries).await;
        let process = fork.start_witnessed(&two_of(&stubs));
        shut_by(&process).await;
        assert_eq!(process.stop(), Vec::<String>::new());
        let kept = kept(&fork);
        assert!(kept.iter().any(|name| name.ends_with(".tlog-evidence")), "{kept:?}");
        // Without a question, and even without witnesses: the proof is enough.
        let again = fork.try_start_with(|_| ()).err().unwrap();
        assert!(matches!(again, Shut::Convicted(_)), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_that_share_witnesses_only_cannot_both_go_on() {
    let (first, second) = (Disk::new(), Disk::new());
    let stubs = three(&first);
    let settings = two_of(&stubs);
    let (one, two) = (first.start_witnessed(&settings), second.start_witnessed(&settings));
    one.until("published", |process| process.shown_size() == Some(0)).await;
    two.until("published", |process| process.shown_size() == Some(0)).await;
    all_have_cosigned(&one, &first).await;
    all_have_cosigned(&two, &second).await;
    let answer = one.add("a").await.unwrap();
    first.assert_holds(&leaf("a"), &answer);
    all_have_cosigned(&one, &first).await;
    assert!(two.add("b").await.is_err());
    two.until("fatal", |process| !process.fatals().is_empty()).await;
    assert_eq!(two.shown_size(), Some(0), "the second history was published");
    let fatals = two.stop();
    assert!(fatals[0].contains("another copy of this log"), "{fatals:?}");
    assert!(
        kept(&second).iter().any(|name| name.ends_with(".tlog-evidence")),
        "{:?}",
        kept(&second)
    );
    assert_eq!(one.add("c").await.unwrap().index, LeafIndex::new(1), "the first one goes on");
    assert_eq!(one.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_overtaken_ends_and_stays_shut_until_it_has_the_newest_store() {
    let (first, second) = (Disk::new(), Disk::new());
    let stubs = three(&first);
    let settings = two_of(&stubs);
    let (one, two) = (first.start_witnessed(&settings), second.start_witnessed(&settings));
    one.until("published", |process| process.shown_size() == Some(0)).await;
    two.until("published", |process| process.shown_size() == Some(0)).await;
    all_have_cosigned(&one, &first).await;
    all_have_cosigned(&two, &second).await;
    for text in ["a", "b", "c"] {
        one.add(text).await.unwrap();
    }
    all_have_cosigned(&one, &first).await;
    assert!(two.add("a").await.is_err());
    two.until("fatal", |process| !process.fatals().is_empty()).await;
    two.stop();
    assert_eq!(kept(&second), ["ours-1.note", "theirs-3.note"], "no two histories: no evidence");

    // No witness has to be there for that.
    stubs.iter().for_each(Stub::is_down);
    let again = second.start_witnessed(&settings);
    let why = shut_by(&again).await;
    assert!(why.contains("this log's key signed over 3:"), "{why}");
    again.stop();
    // With the leaves that it lacked, its history is that of the note.
    let evidence = second.dir.path().join("evidence");
    std::fs::rename(&evidence, first.dir.path().join("evidence")).unwrap();
    assert_eq!(one.stop(), Vec::<String>::new());
    stubs.iter().for_each(|stub| stub.is(Mood::Honest));
    let newest = first.start_witnessed(&settings);
    newest.until_open().await;
    newest.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_lost_its_state_is_no_answer() {
    let (disk, stubs) = grown(&["a", "b"]).await;
    let kept: Vec<Memory> = stubs.iter().map(Stub::memory).collect();
    stubs.iter().take(2).for_each(|stub| stub.remember(Memory::default()));
    let process = disk.start_witnessed(&two_of(&stubs));
    let lost = |process: &Process| {
        let told = |(_, why): &(_, Option<String>)| {
            why.as_ref().is_some_and(|why| why.contains("lost state"))
        };
        process.statuses().iter().filter(|status| told(status)).count() == 2
    };
    process.until("two lost it", lost).await;
    assert_eq!(process.log.state(), State::Asking);
    stubs[0].remember(kept[0].clone());
    process.until_open().await;
    // Once the log is open the empty one is taught again.
    process.add("c").await.unwrap();
    let seen = |_: &Process| stubs[1].memory().head == Some(disk.head().tree);
    process.until("taught", seen).await;
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_lost_one_of_its_two_keys_answers_for_both() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let line = stubs[1].policy_line().replace(&stubs[1].address(), &stubs[0].address());
    let text = format!("{}{line}group q any w1 w2\nquorum q\n", stubs[0].policy_line());
    let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
    let settings = WitnessSettings { policy, ..no_witnesses() };
    for entry in ["a", "b"] {
        // Asked about the empty tree, then about the note that it cosigned with one key.
        let process = disk.start_witnessed(&settings);
        process.until_open().await;
        process.add(entry).await.unwrap();
        assert_eq!(process.stop(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_reached_a_witness_costs_no_budget() {
    let (disk, mut stubs) = grown(&["a"]).await;
    let mut settings = two_of(&stubs);
    for stub in &stubs {
        settings.per_day.insert(stub.name.clone(), 1);
    }
    settings.allow_slow_quorum = true;
    let memories = stubs.each_ref().map(Stub::memory);
    let addresses = stubs.each_ref().map(Stub::address);
    drop(stubs);
    let process = disk.start_witnessed(&settings);
    let down = |process: &Process| process.statuses().iter().all(|s| s.0 == WitnessState::Down);
    process.until("nobody is there", down).await;
    let back = |at: usize| Stub::listening([1, 2, 3][at], &disk, &addresses[at]);
    stubs = [back(0), back(1), back(2)];
    stubs.iter().zip(memories).for_each(|(stub, memory)| stub.remember(memory));
    process.until_open().await;
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_leave_a_witness_out_or_skip_the_question() {
    let (disk, stubs) = grown(&["a"]).await;
    // It claims a size that nobody ever had.
    let size = "Content-Type: text/x.tlog.size\r\n";
    stubs[0].is(Mood::Says(409, size, "7\n".into()));
    let process = disk.start_witnessed(&two_of(&stubs));
    let why = shut_by(&process).await;
    assert!(why.contains("w1") && why.contains("--exclude-witness"), "{why}");
    process.stop();

    let excluded = vec!["w1".to_owned()];
    let asked = stubs[0].requests();
    let process = disk.start_witnessed(&WitnessSettings { excluded, ..two_of(&stubs) });
    process.until_open().await;
    process.add("b").await.unwrap();
    assert_eq!(process.statuses()[0].0, WitnessState::Excluded);
    assert_eq!(stubs[0].requests(), asked);
    process.stop();

    stubs.iter().for_each(Stub::is_down);
    let unchecked = WitnessSettings { unchecked_start: true, ..two_of(&stubs) };
    let process = disk.start_witnessed(&unchecked);
    process.until("open or without quorum", |process| process.log.state() != State::Asking).await;
    assert_eq!(process.add("c").await.err(), Some(SubmitError::TimedOut), "but never published");
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_witnesses_of_the_stored_policy_are_asked_when_the_configuration_names_none() {
    let (disk, stubs) = grown(&["a"]).await;
    stubs.iter().for_each(Stub::is_down);
    let process = disk.start();
    assert_eq!(process.add("b").await.err(), Some(SubmitError::Asking));
    stubs.iter().take(2).for_each(|stub| stub.is(Mood::Honest));
    process.until_open().await;
    let requests: Vec<_> = stubs.iter().map(Stub::requests).collect();
    process.add("b").await.unwrap();
    assert_eq!(stubs.iter().map(Stub::requests).collect::<Vec<_>>(), requests, "asked in a round");
    process.stop();
    // From here on nobody has to be asked.
    stubs.iter().for_each(Stub::is_down);
    assert_eq!(disk.start().add("c").await.unwrap().index, LeafIndex::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_and_never_published_is_published_after_the_next_start() {
    let (disk, stubs) = grown(&["a"]).await;
    let settings = two_of(&stubs);
    let process = disk.start_witnessed(&settings);
    process.until_open().await;
    stubs.iter().take(2).for_each(Stub::is_down);
    assert_eq!(process.add("b").await.err(), Some(SubmitError::TimedOut));
    // One witness has cosigned it, and the record says so.
    let record = String::from_utf8(disk.rows.note().unwrap().unwrap()).unwrap();
    assert!(record.contains(&format!("witness 2 {}", stubs[2].verifier_key())), "{record}");
    process.stop();
    stubs.iter().for_each(|stub| stub.is(Mood::Honest));
    let process = disk.start_witnessed(&settings);
    process.until("published", |process| process.shown_size() == Some(2)).await;
    assert_eq!(process.add("b").await.unwrap().index, LeafIndex::new(1));
    assert_eq!(process.stop(), Vec::<String>::new());
}

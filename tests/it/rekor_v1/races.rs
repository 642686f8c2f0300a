//! Many clients at once: one new entry has one answer, and no answer mixes two trees.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn of_sixteen_that_send_one_entry_one_is_told_that_it_is_new() {
    const CLIENTS: usize = 16;
    const ROUNDS: usize = 20;
    let scene = Scene::of(0);
    let mut maker = SubmissionMakerV1::new();
    for round in 0..ROUNDS {
        let submission = maker.hashedrekord();
        let id = scene.log.entry_id(&submission.leaf);
        let together = Barrier::new(CLIENTS);
        let answers: Vec<Response> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|_| {
                let (mut connection, together) = (scene.connect(), &together);
                let request = post(ENTRIES, &submission.request);
                scope.spawn(move || {
                    together.wait();
                    let answer = connection.send(&request);
                    // Whatever is answered can be read at once.
                    let location = answer.header("location").expect("a location");
                    connection.send(&Request::get(location)).expect(200);
                    answer
                })
            });
            let clients: Vec<_> = clients.collect();
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        });
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        let known = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((created, known), (1, CLIENTS - 1), "round {round}");
        for answer in &answers {
            let location = answer.header("location").expect("a location");
            assert_eq!(location, below(ENTRIES, &id));
            if answer.status == 409 {
                assert!(answer.json()["message"].as_str().expect("text").ends_with(&id));
            } else {
                assert_eq!(scene.log.verify(&answer.json()).id, id);
            }
        }
    }
    let size = &scene.server.get(LOG).expect(200).json()["treeSize"];
    assert_eq!(*size, ROUNDS, "each entry is there once");
}

/// Every answer is verified as it comes: its proof leads to the root of its own checkpoint.
#[test]
fn proofs_fit_their_checkpoints_while_the_log_grows() {
    const WRITERS: usize = 4;
    const READERS: usize = 4;
    const ENTRIES_EACH: usize = 100;
    let scene = Scene::of(1);
    let known = scene.entries[0].id.clone();
    let written = AtomicBool::new(false);
    let reads: usize = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let scene = &scene;
                scope.spawn(move || {
                    let mut connection = scene.connect();
                    let mut maker = SubmissionMakerV1::new();
                    for _ in 0..ENTRIES_EACH {
                        let request = post(ENTRIES, &maker.hashedrekord().request);
                        scene.log.verify(&connection.send(&request).expect(201).json());
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (scene, written, known) = (&scene, &written, &known);
                scope.spawn(move || {
                    let mut connection = scene.connect();
                    let mut reads = 0;
                    while !written.load(Ordering::Relaxed) || reads == 0 {
                        read_all(scene, known, &mut connection);
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("no panic");
        }
        written.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("no panic")).sum()
    });
    assert!(reads >= READERS);
    let size = &scene.server.get(LOG).expect(200).json()["treeSize"];
    assert_eq!(*size, 1 + WRITERS * ENTRIES_EACH);
}

/// The first entry and the newest, each way, and the state of the log.
#[track_caller]
fn read_all(scene: &Scene, known: &str, connection: &mut Connection) {
    let log = connection.send(&Request::get(LOG)).expect(200).json();
    let head = scene.log.head(log["signedTreeHead"].as_str().expect("a note"));
    assert_eq!(log["treeSize"], head.size.get());
    assert_eq!(log["rootHash"], head.root_hash.to_string());
    let newest = head.size.get() - 1;
    for path in [format!("{ENTRIES}?logIndex={newest}"), below(ENTRIES, known)] {
        let entry = scene.log.verify(&connection.send(&Request::get(&path)).expect(200).json());
        assert!(entry.said.head.size >= head.size, "the log shrank");
    }
    let both = json!({ "logIndexes": [0, newest], "entryUUIDs": [known] }).to_string();
    let list = connection.send(&post(RETRIEVE, &both)).expect(200).json();
    let list: Vec<EntryV1> =
        list.as_array().expect("a list").iter().map(|entry| scene.log.verify(entry)).collect();
    assert_eq!(list.len(), 3);
    assert!(list.iter().all(|entry| entry.said.head == list[0].said.head), "one snapshot");
    let proof = format!("{PROOF}?firstSize=1&lastSize={}", head.size.get());
    connection.send(&Request::get(&proof)).expect(200);
}

//! SIGTERM under load: what was accepted is answered, what was answered is there, and nothing else.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use log_tests::{Acknowledged, DataDir, Request, Submission, SubmissionMaker, check_log};

const CLIENTS: usize = 8;
/// More than a client gets through before the stop.
const SUBMISSIONS: usize = 5_000;
/// Answers before the stop is asked for.
const WARM: usize = 100;

#[test]
fn every_entry_that_gets_in_before_a_stop_is_answered() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let prepared: Vec<Vec<Submission>> =
        (0..CLIENTS).map(|_| SubmissionMaker::new().make_many(SUBMISSIONS / CLIENTS)).collect();
    let answers = Mutex::new(Vec::new());
    let (answered, answer) = channel();
    let ended = thread::scope(|scope| {
        for submissions in &prepared {
            let (mut connection, answers, answered) =
                (server.connect(), &answers, answered.clone());
            scope.spawn(move || {
                for submission in submissions {
                    let request = Request::post("/api/v2/log/entries", submission.json());
                    // The connection ends between two requests, never within one that got in.
                    let Ok(response) = connection.try_send(&request) else { return };
                    match response.status {
                        201 => answers.lock().expect("no panic").push(response.json()),
                        503 => return,
                        _ => panic!("{response:?}"),
                    }
                    // Nobody listens any more after the stop.
                    let _ = answered.send(());
                }
            });
        }
        drop(answered);
        assert_eq!(answer.iter().take(WARM).count(), WARM, "the clients stopped early");
        server.terminate()
    });
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("still under way"), "{}", ended.stderr);

    dir.assert_sound();
    let server = dir.start();
    let log = check_log(&server.url(), dir.default_key());
    let answers = answers.into_inner().expect("no panic");
    assert!(answers.len() < SUBMISSIONS, "the stop came after the load");
    let mut acknowledged = HashMap::new();
    for answer in &answers {
        let one = Acknowledged::verify(answer, dir.default_key());
        log.assert_holds(one.index, &one.leaf);
        log.assert_extends(&one.head);
        assert!(acknowledged.insert(one.index, one.leaf).is_none(), "two entries at {}", one.index);
    }
    assert_eq!(log.leaves.len(), acknowledged.len(), "entries got in without an answer");
}

#[test]
fn a_graceful_stop_also_ends_logs_that_have_nothing_to_do() {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", None);
    let ended = dir.start().terminate();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("stopped"), "{}", ended.stderr);
    dir.assert_sound();
}

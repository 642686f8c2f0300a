//! One leaf has one index, however often, however concurrently and however long after it is sent.

use std::collections::HashSet;
use std::thread;

use log_proto::rekor::v2::rekor_client::RekorClient;
use log_tests::{
    Acknowledged, DataDir, Request, ServerProcess, Submission, SubmissionMaker, check_log,
};
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// Half of a thousand through each protocol.
const COPIES: usize = 500;
/// Requests that wait behind each other on one HTTP/1.1 connection.
const PIPELINED: usize = 5;
/// HTTP/2 connections: each carries up to 256 calls at once.
const CHANNELS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_copies_at_once_are_one_entry() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let before = SubmissionMaker::new().make();
    server.submit(&before.json()).expect(201);

    let submission = SubmissionMaker::new().make();
    let mut calls = JoinSet::new();
    for _ in 0..CHANNELS {
        let endpoint = Channel::from_shared(server.url()).expect("a URL");
        let channel = endpoint.connect().await.expect("a connection");
        for _ in 0..COPIES / CHANNELS {
            let (channel, message) = (channel.clone(), submission.message());
            calls.spawn(async move { RekorClient::new(channel).create_entry(message).await });
        }
    }
    let request = Request::post("/api/v2/log/entries", submission.json()).to_bytes();
    let key = dir.default_key();
    let indices: HashSet<u64> = tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let connections = (0..COPIES / PIPELINED).map(|_| {
                let (mut connection, requests) = (server.connect(), request.repeat(PIPELINED));
                scope.spawn(move || {
                    connection.write(&requests).expect("written");
                    let answers = (0..PIPELINED).map(|_| connection.read(false).expect("answer"));
                    answers
                        .map(|answer| {
                            Acknowledged::verify(&answer.expect(201).json(), key).index.get()
                        })
                        .collect::<Vec<u64>>()
                })
            });
            let connections: Vec<_> = connections.collect();
            connections.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
        })
    });
    assert_eq!(indices, HashSet::from([1]));
    for answer in calls.join_all().await {
        assert_eq!(answer.expect("an entry").into_inner().log_index, 1);
    }
    let log = check_log(&server.url(), key);
    assert_eq!(log.leaves.len(), 2);
    log.assert_holds(log_core::LeafIndex::new(1), &submission.leaf());
}

#[test]
fn a_duplicate_has_its_index_and_a_fresh_proof_also_after_a_restart() {
    let dir = DataDir::init("localhost");
    let mut maker = SubmissionMaker::new();
    let (first, second) = (maker.make(), maker.make());
    let submit = |server: &ServerProcess, submission: &Submission| {
        let answer = server.submit(&submission.json()).expect(201).json();
        let acknowledged = Acknowledged::verify(&answer, dir.default_key());
        (acknowledged.index.get(), acknowledged.head.size.get())
    };
    let server = dir.start();
    assert_eq!(submit(&server, &first), (0, 1));
    assert_eq!(submit(&server, &second), (1, 2));
    assert_eq!(submit(&server, &first), (0, 2));
    assert!(server.terminate().status.success());

    let server = dir.start();
    assert_eq!((submit(&server, &first), submit(&server, &second)), ((0, 2), (1, 2)));
    server.kill_9();

    let server = dir.start();
    assert_eq!((submit(&server, &first), submit(&server, &second)), ((0, 2), (1, 2)));
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 2);
}

#[test]
fn duplicates_of_raw_leaves_have_one_index_in_each_log() {
    let mut dir = DataDir::init("localhost");
    dir.add_log("a", "raw", None);
    dir.add_log("b", "raw", None);
    let server = dir.start();
    let add = |log: &str, leaf: &str| {
        let request = Request::post(&format!("/logs/{log}/add"), leaf);
        server.send(&request).expect(200).text().to_owned()
    };
    assert_eq!([add("a", "x"), add("a", "y"), add("a", "x")], ["0", "1", "0"]);
    // Another log knows nothing of them.
    assert_eq!([add("b", "y"), add("b", "x"), add("b", "y")], ["0", "1", "0"]);
    for log in ["a", "b"] {
        check_log(&format!("{}/logs/{log}", server.url()), dir.key(log));
    }
}

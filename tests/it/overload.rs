//! Overload: every limit is named in its answer, comes with Retry-After where waiting helps, and
//! ends when its cause ends.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use log_tests::{Connection, DataDir, Request, ServerProcess, SubmissionMaker, check_log};

const ENTRIES: &str = "/api/v2/log/entries";

/// Starts a request that the server is reading now: it has asked for the body.
fn open_request(server: &ServerProcess) -> Connection {
    let mut connection = server.connect();
    let head = Request::new("POST", ENTRIES)
        .header("content-length", "2")
        .header("expect", "100-continue");
    connection.write(&head.to_bytes()).expect("written");
    connection.read(false).expect("an interim answer").expect(100);
    connection
}

#[test]
fn more_requests_than_allowed_get_429_until_there_is_room() {
    let dir = DataDir::init("localhost");
    dir.set_server("requests_max", 1);
    let server = dir.start();
    let mut first = open_request(&server);
    let json = SubmissionMaker::new().make().json();
    for request in [Request::post(ENTRIES, json.clone()), Request::get("/checkpoint")] {
        let refused = server.send(&request).expect(429);
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.json()["code"], 8);
        assert!(refused.text().contains("requests_max = 1"), "{}", refused.text());
    }
    let call = Request::post("/dev.sigstore.rekor.v2.Rekor/GetCheckpoint", [0; 5])
        .header("content-type", "application/grpc");
    assert_eq!(server.send(&call).expect(200).header("grpc-status"), Some("8"));
    first.write(b"{}").expect("written");
    first.read(false).expect("an answer").expect(400);
    server.submit(&json).expect(201);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

#[test]
fn more_connections_than_allowed_wait_until_one_closes() {
    let dir = DataDir::init("localhost");
    dir.set_server("connections_max", 1);
    let server = dir.start();
    let mut first = server.connect();
    first.send(&Request::get("/checkpoint")).expect(200);
    let mut second = server.connect();
    second.write(&Request::get("/checkpoint").to_bytes()).expect("written");
    second.set_patience(Duration::from_millis(100));
    second.read(false).expect_err("the only place is taken");
    second.set_patience(Duration::from_secs(60));
    drop(first);
    second.read(false).expect("an answer").expect(200);
}

#[test]
fn a_full_pool_answers_503_and_what_is_sent_again_gets_in() {
    /// More clients than a pool of one leaf can take while one batch is written.
    const CLIENTS: usize = 32;
    let dir = DataDir::init("localhost");
    dir.set_log("rekor-v2", "pool_leaves_max", 1);
    let server = dir.start();
    let mut maker = SubmissionMaker::new();
    let (mut refusals, mut entries) = (0, 0);
    // A round without a refusal says nothing, and takes a disk that is faster than any client.
    while refusals == 0 {
        assert!(entries < 100 * CLIENTS, "a pool of one leaf was never full");
        let submissions = maker.make_many(CLIENTS);
        let together = Barrier::new(CLIENTS);
        refusals += thread::scope(|scope| {
            let clients = submissions.iter().map(|submission| {
                let (mut connection, together) = (server.connect(), &together);
                scope.spawn(move || {
                    together.wait();
                    submit_until_taken(&mut connection, &submission.json())
                })
            });
            let clients: Vec<_> = clients.collect();
            clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>()
        });
        entries += CLIENTS;
    }
    let log = check_log(&server.url(), dir.default_key());
    assert_eq!(log.leaves.len(), entries);
}

/// Counts the refusals on the way.
fn submit_until_taken(connection: &mut Connection, json: &str) -> usize {
    let mut refusals = 0;
    loop {
        let answer = connection.send(&Request::post(ENTRIES, json));
        if answer.status == 201 {
            return refusals;
        }
        let answer = answer.expect(503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.json()["code"], 14);
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(message.starts_with("reached max pushback; retry: "), "{message}");
        assert!(message.contains("pool_leaves_max = 1"), "{message}");
        refusals += 1;
    }
}

#[test]
fn without_free_space_writes_get_503_and_reads_go_on() {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", None);
    let server = dir.start();
    let submission = SubmissionMaker::new().make();
    server.submit(&submission.json()).expect(201);
    assert!(server.terminate().status.success());

    for log in ["rekor-v2", "raw"] {
        dir.set_log(log, "headroom_bytes", i64::MAX);
    }
    let server = dir.start();
    let more = SubmissionMaker::new().make();
    // Also what is known already: nobody looks before there is room to write.
    for json in [submission.json(), more.json()] {
        let refused = server.submit(&json).expect(503);
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(refused.text().contains("headroom_bytes"), "{}", refused.text());
    }
    server.send(&Request::post("/logs/raw/add", "leaf")).expect(503);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
    assert!(server.terminate().status.success());

    for log in ["rekor-v2", "raw"] {
        dir.set_log(log, "headroom_bytes", 0);
    }
    let server = dir.start();
    server.submit(&more.json()).expect(201);
    server.send(&Request::post("/logs/raw/add", "leaf")).expect(200);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 2);
}

#[test]
fn connections_that_say_nothing_or_half_of_it_are_closed_in_time() {
    let dir = DataDir::init("localhost");
    dir.set_server("header_ms_max", 1000);
    let server = dir.start();
    let starts: [&[u8]; 5] = [
        b"",
        b"P",
        b"GET /checkpoint HT",
        b"GET /checkpoint HTTP/1.1\r\nhost: localhost\r\nx-more: ",
        b"PRI * HTTP/2.0\r\n",
    ];
    let halves = starts.map(|start| {
        let mut half = server.connect();
        half.write(start).expect("written");
        half.set_patience(Duration::from_secs(20));
        half
    });
    for (mut half, start) in halves.into_iter().zip(starts) {
        if let Ok(answer) = half.read(false) {
            answer.expect(408);
        }
        assert!(half.is_closed(), "{:?}", String::from_utf8_lossy(start));
    }
    // The pause between two requests counts as well.
    let mut idle = server.connect();
    idle.send(&Request::get("/checkpoint")).expect(200);
    assert!(idle.is_closed());
    server.get("/checkpoint").expect(200);
}

#[test]
fn connections_that_never_finish_do_not_hold_up_a_stop() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let silent = server.connect();
    let mut half = server.connect();
    half.write(b"PRI * HTTP/2.0\r\n").expect("written");
    let mut idle = server.connect();
    idle.send(&Request::get("/checkpoint")).expect(200);
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("still under way"), "{}", ended.stderr);
    drop((silent, half, idle));
}

#[test]
fn heads_that_are_too_large_or_no_http_are_refused() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let get = || Request::get("/checkpoint");
    let large = get().header("x-large", &"x".repeat(64 * 1024));
    let many = (0..200).fold(get(), |request, n| request.header(&format!("x-{n}"), "x"));
    for request in [large, many] {
        let mut connection = server.connect();
        connection.write(&request.to_bytes()).expect("written");
        connection.read(false).expect("an answer").expect(431);
    }
    let long_path = Request::get(&format!("/tile/{}", "0/".repeat(5_000)));
    server.send(&long_path).expect(404);
    let no_http: [&[u8]; 8] = [
        b"\r\n\r\n \r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /checkpoint HTTP/9.9\r\n\r\n",
        b"GET /\x80 HTTP/1.1\r\nhost: \r\n bad\r\n\r\n",
        b"POST /api/v2/log/entries HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /api/v2/log/entries HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /api/v2/log/entries HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in no_http {
        let mut connection = server.connect();
        connection.write(bytes).expect("written");
        connection.finish_writing();
        if let Ok(answer) = connection.read(false) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        assert!(connection.is_closed(), "{:?}", String::from_utf8_lossy(bytes));
    }
    server.get("/checkpoint").expect(200);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

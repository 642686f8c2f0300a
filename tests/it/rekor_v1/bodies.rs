//! Long, slow and broken bodies: each is told what is wrong, and the log goes on.

use super::*;

/// A limit for tests; the default is 32 MiB.
const LIMIT: usize = 100_000;

#[test]
fn a_body_over_the_limit_is_told_the_limit() {
    let scene = Scene::set(0, |dir| dir.set_log(NAME, "body_bytes_max", LIMIT));
    let message = format!("Request Entity Too Large. Limit set to {LIMIT}");
    for path in [ENTRIES, RETRIEVE, SEARCH] {
        // A client that writes everything before it reads anything still learns why.
        let mut connection = scene.connect();
        let long = post(path, &" ".repeat(LIMIT + 1));
        let response = refusal("too long", long, 413, &message).check(&mut connection);
        assert_eq!(response.header("connection"), Some("close"));

        let mut asking = scene.connect();
        let head = Request::new("POST", path)
            .header("content-type", "application/json")
            .header("content-length", &(LIMIT + 1).to_string())
            .header("expect", "100-continue");
        asking.write(&head.to_bytes()).expect("written");
        asking.read(false).expect("an answer").expect(413);

        let mut chunked = scene.connect();
        let head = Request::new("POST", path)
            .header("content-type", "application/json")
            .header("transfer-encoding", "chunked");
        chunked.write(&head.to_bytes()).expect("written");
        let chunk = [b"10000\r\n", &[b' '; 0x10000][..], b"\r\n"].concat();
        for _ in 0..4 {
            chunked.write(&chunk).expect("written");
        }
        chunked.write(b"0\r\n\r\n").expect("written");
        let refused = chunked.read(false).expect("an answer").expect(413);
        assert_json(&refused, &error(413, &message));
    }
    scene.assert_goes_on();
}

#[test]
fn a_body_at_the_limit_is_read_to_its_end() {
    let scene = Scene::set(0, |dir| dir.set_log(NAME, "body_bytes_max", LIMIT));
    let mut entry = SubmissionMakerV1::new().dsse().request;
    // White space before the entry, so that it has to be read to its last byte.
    entry.insert_str(0, &" ".repeat(LIMIT - entry.len()));
    assert_eq!(entry.len(), LIMIT);
    let answer = scene.server.send(&post(ENTRIES, &entry)).expect(201);
    scene.log.verify(&answer.json());
}

#[test]
fn what_the_default_limit_does_not_hold_is_refused_and_what_it_holds_is_read() {
    const LIMIT: usize = 32 * 1024 * 1024;
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    let long = post(ENTRIES, &" ".repeat(33 * 1024 * 1024));
    let message = format!("Request Entity Too Large. Limit set to {LIMIT}");
    refusal("33 MiB", long, 413, &message).check(&mut connection);
    let mut entry = SubmissionMakerV1::new().hashedrekord().request;
    entry.insert_str(0, &" ".repeat(LIMIT - entry.len()));
    let answer = scene.server.send(&post(ENTRIES, &entry)).expect(201);
    scene.log.verify(&answer.json());
    scene.assert_goes_on();
}

#[test]
fn more_long_bodies_than_fit_memory_wait_for_room() {
    /// As many as are read at once.
    const AT_ONCE: usize = 8;
    /// More than a body that is not long.
    const LONG: usize = 5 * 1024 * 1024;
    let scene = Scene::of(0);
    let mut reading: Vec<Connection> = Vec::new();
    let head = |length: usize| {
        Request::new("POST", ENTRIES)
            .header("content-type", "application/json")
            .header("content-length", &length.to_string())
            .header("expect", "100-continue")
    };
    for _ in 0..AT_ONCE {
        let mut connection = scene.connect();
        connection.write(&head(LONG).to_bytes()).expect("written");
        connection.read(false).expect("an interim answer").expect(100);
        reading.push(connection);
    }
    let mut late = scene.connect();
    late.write(&head(LONG).to_bytes()).expect("written");
    let refused = late.read(false).expect("an answer").expect(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["code"], 503);
    // Others are served meanwhile, and there is room again when a long one has gone.
    scene.assert_goes_on();
    let mut entry = SubmissionMakerV1::new().hashedrekord().request;
    entry.insert_str(0, &" ".repeat(LONG - entry.len()));
    let first = &mut reading[0];
    first.write(entry.as_bytes()).expect("written");
    scene.log.verify(&first.read(false).expect("an answer").expect(201).json());
    let mut next = scene.connect();
    next.write(&head(LONG).to_bytes()).expect("written");
    next.read(false).expect("an interim answer").expect(100);
}

#[test]
fn slow_and_broken_bodies_are_given_up() {
    let scene = Scene::set(0, |dir| dir.set_server("body_ms_max", 1000));
    let bytes = post(ENTRIES, &SubmissionMakerV1::new().hashedrekord().request).to_bytes();
    let mut slow = scene.connect();
    slow.write(&bytes[..bytes.len() - 1]).expect("written");
    let refused = slow.read(false).expect("an answer").expect(408);
    assert_json(&refused, &error(408, "the request body took longer than body_ms_max = 1000"));

    let mut broken = scene.connect();
    broken.write(&bytes[..bytes.len() - 1]).expect("written");
    broken.finish_writing();
    if let Ok(answer) = broken.read(false) {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    // Two lengths, a length that lies about a longer body, and no length at all.
    for head in [
        "POST /api/v1/log/entries HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\
         content-length: 3\r\n\r\n{}",
        "POST /api/v1/log/entries HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n{}",
        "POST /api/v1/log/entries HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\
         \r\ncontent-length: 2\r\n\r\n{}{}{}",
    ] {
        let mut connection = scene.connect();
        connection.write(head.as_bytes()).expect("written");
        let answer = connection.read(false).expect("an answer");
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    scene.assert_goes_on();
}

#[test]
fn too_many_requests_are_told_so_in_the_words_of_this_protocol() {
    let scene = Scene::set(0, |dir| dir.set_server("requests_max", 1));
    let mut first = scene.connect();
    let head = Request::new("POST", ENTRIES)
        .header("content-type", "application/json")
        .header("content-length", "2")
        .header("expect", "100-continue");
    first.write(&head.to_bytes()).expect("written");
    first.read(false).expect("an interim answer").expect(100);
    let refused = scene.server.get(LOG).expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_json(&refused, &error(429, "too many requests under way (requests_max = 1)"));
    first.write(b"{}").expect("written");
    first.read(false).expect("an answer").expect(422);
    scene.server.get(LOG).expect(200);
}

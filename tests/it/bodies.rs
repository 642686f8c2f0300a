//! Request bodies: too long, too slow, empty, broken off, of any declared type.

use log_tests::{Acknowledged, DataDir, Request, ServerProcess, SubmissionMaker, check_log};

const ENTRIES: &str = "/api/v2/log/entries";

/// The default limit is 4 MiB; these are more.
const TOO_LONG: usize = 5 * 1024 * 1024;

#[track_caller]
fn assert_goes_on(server: &ServerProcess, dir: &DataDir, size: usize) {
    server.submit(&SubmissionMaker::new().make().json()).expect(201);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), size + 1);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[test]
fn a_body_over_the_limit_is_told_so_however_it_comes() {
    let dir = DataDir::init("localhost");
    let server = dir.start();

    // A client that writes everything before it reads anything still learns why.
    let mut announced = server.connect();
    announced.write(&Request::post(ENTRIES, vec![b' '; TOO_LONG]).to_bytes()).expect("written");
    let refused = announced.read(false).expect("an answer").expect(413);
    assert_eq!(refused.json()["code"], 8);
    assert!(refused.text().contains("body_bytes_max = 4194304"), "{}", refused.text());

    let mut chunked = server.connect();
    let head = Request::new("POST", ENTRIES).header("transfer-encoding", "chunked");
    chunked.write(&head.to_bytes()).expect("written");
    let chunk = [b"10000\r\n", &[b' '; 0x10000][..], b"\r\n"].concat();
    for _ in 0..TOO_LONG / 0x10000 {
        chunked.write(&chunk).expect("written");
    }
    chunked.write(b"0\r\n\r\n").expect("written");
    chunked.read(false).expect("an answer").expect(413);

    // A client that asks first does not have to send it at all.
    let mut asking = server.connect();
    let head = Request::new("POST", ENTRIES)
        .header("content-length", &TOO_LONG.to_string())
        .header("expect", "100-continue");
    asking.write(&head.to_bytes()).expect("written");
    asking.read(false).expect("an answer").expect(413);

    // The same limit, as a length that no number here can hold.
    let absurd = Request::new("POST", ENTRIES).header("content-length", "99999999999999999999");
    let mut connection = server.connect();
    connection.write(&absurd.to_bytes()).expect("written");
    let refused = connection.read(false).expect("an answer");
    assert!([400, 413].contains(&refused.status), "{refused:?}");

    assert_goes_on(&server, &dir, 0);
}

#[test]
fn a_body_at_the_limit_is_read_to_its_end() {
    let dir = DataDir::init("localhost");
    dir.set_server("body_bytes_max", 2000);
    let server = dir.start();
    let mut json = SubmissionMaker::new().make().json();
    json.push_str(&" ".repeat(2000 - json.len()));
    server.submit(&json).expect(201);
    json.push(' ');
    let refused = server.submit(&json).expect(413);
    assert!(refused.text().contains("body_bytes_max = 2000"), "{}", refused.text());
    assert_goes_on(&server, &dir, 1);
}

#[test]
fn a_slow_body_is_given_up_with_408() {
    let dir = DataDir::init("localhost");
    dir.set_server("body_ms_max", 1000);
    let server = dir.start();
    let mut slow = server.connect();
    let body = SubmissionMaker::new().make().json();
    let bytes = Request::post(ENTRIES, body).to_bytes();
    slow.write(&bytes[..bytes.len() - 1]).expect("written");
    let refused = slow.read(false).expect("an answer").expect(408);
    assert_eq!(refused.json()["code"], 4);
    assert!(refused.text().contains("body_ms_max = 1000"), "{}", refused.text());
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(slow.is_closed());

    let mut call = server.connect();
    let bytes = Request::post("/dev.sigstore.rekor.v2.Rekor/CreateEntry", [0; 5])
        .header("content-type", "application/grpc")
        .to_bytes();
    call.write(&bytes[..bytes.len() - 1]).expect("written");
    let refused = call.read(false).expect("an answer").expect(200);
    assert_eq!(refused.header("grpc-status"), Some("4"));
    assert_goes_on(&server, &dir, 0);
}

#[test]
fn a_body_that_breaks_off_adds_nothing() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let bytes = Request::post(ENTRIES, SubmissionMaker::new().make().json()).to_bytes();
    let mut broken = server.connect();
    broken.write(&bytes[..bytes.len() - 1]).expect("written");
    broken.finish_writing();
    if let Ok(refused) = broken.read(false) {
        refused.expect(400);
    }
    let mut dropped = server.connect();
    dropped.write(&bytes[..bytes.len() / 2]).expect("written");
    drop(dropped);
    assert_goes_on(&server, &dir, 0);
}

#[test]
fn an_empty_body_is_an_entry_without_a_kind() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let requests = [Request::post(ENTRIES, ""), Request::new("POST", ENTRIES)];
    for request in requests {
        let refused = server.send(&request).expect(400);
        let text = "invalid type, must be either hashedrekord or dsse";
        assert_eq!(refused.json()["message"], text);
    }
    assert_goes_on(&server, &dir, 0);
}

#[test]
fn the_declared_type_of_a_body_does_not_matter() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let json = SubmissionMaker::new().make().json();
    let types = ["text/plain", "application/x-www-form-urlencoded", "image/png; x=y", "", "\u{fc}"];
    for kind in types {
        let request = Request::post(ENTRIES, json.clone()).header("content-type", kind);
        let answer = server.send(&request).expect(201).json();
        assert_eq!(Acknowledged::verify(&answer, dir.default_key()).index.get(), 0, "{kind:?}");
    }
    assert_goes_on(&server, &dir, 1);
}

#[test]
fn hostile_json_is_refused_and_disturbs_nobody() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let good = SubmissionMaker::new().make().json();
    let twice = good.replacen('{', &format!("{},", &good[..good.len() - 1]), 1);
    let float = r#"{"hashedRekordRequestV002":{"signature":{"verifier":{"keyDetails":5.5}}}}"#;
    let bodies: [&[u8]; 9] = [
        deep.as_bytes(),
        deep_objects.as_bytes(),
        twice.as_bytes(),
        float.as_bytes(),
        b"null",
        b"\xff\xfe{}",
        b"{\"hashedRekordRequestV002\":",
        b"[]",
        b"\0",
    ];
    for body in bodies {
        let refused = server.send(&Request::post(ENTRIES, body));
        let start = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(refused.status, 400, "{start}");
        assert_eq!(refused.json()["code"], 3, "{start}");
    }
    assert_goes_on(&server, &dir, 0);
}

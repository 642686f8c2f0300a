//! Limits: bytes, time, connections. Whoever breaks one costs nobody else anything.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::client::{get, post, read};
use crate::rig::{Rig, Served};
use crate::test_log::TestLog;

#[test]
fn a_body_beyond_the_limit_is_413_and_one_at_the_limit_is_read() {
    let mut rig = Rig::new();
    rig.config.body_bytes_max = 20_000;
    let served = rig.serve();
    assert_eq!(post(served.address, "/add-checkpoint", vec![b'a'; 20_001]).status, 413);
    assert_eq!(post(served.address, "/sign-subtree", vec![b'a'; 200_000]).status, 413);
    assert_eq!(post(served.address, "/add-checkpoint", vec![b'a'; 20_000]).status, 400);
    let mut stream = TcpStream::connect(served.address).unwrap();
    let head = "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"2711\r\n".as_slice(), &[b'a'; 10_001], b"\r\n"].concat();
    stream.write_all(&chunk).unwrap();
    stream.write_all(&chunk).unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream).status, 413, "an unannounced length is counted");
}

#[test]
fn sixteen_ml_dsa_lines_fit() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    let line = format!("\u{2014} other.example/w AAAAA{}\n", "A".repeat(3239));
    let request = format!("{}{}", log.request(0, 9), line.repeat(16));
    assert!(request.len() > 50_000);
    assert_eq!(served.add_checkpoint(request).status, 200);
    assert!(!served.checkpoint(&log).unwrap().contains("other.example"));
}

#[test]
fn a_slow_body_is_408_and_others_are_served_meanwhile() {
    let mut rig = Rig::new();
    rig.config.body_ms_max = 300;
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    let mut slow = TcpStream::connect(served.address).unwrap();
    let head = "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold";
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(served.add_checkpoint(log.request(0, 9)).status, 200);
    let answer = read(&mut slow);
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn a_slow_head_is_cut_off() {
    let mut rig = Rig::new();
    rig.config.header_ms_max = 200;
    let served = rig.serve();
    for start in ["", "POST /add-ch", "PRI * HT"] {
        let mut slow = TcpStream::connect(served.address).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        slow.write_all(start.as_bytes()).unwrap();
        let mut nothing = Vec::new();
        let _ = slow.read_to_end(&mut nothing);
        assert!(!String::from_utf8_lossy(&nothing).contains("200"));
    }
}

/// A request whose body never comes.
fn hold(served: &Served) -> TcpStream {
    let mut holding = TcpStream::connect(served.address).unwrap();
    holding.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\n\r\n";
    holding.write_all(head.as_bytes()).unwrap();
    holding
}

/// Waits until so many requests are under way: a connection that was made first need not be heard
/// first.
#[track_caller]
fn wait_for_requests(served: &Served, count: usize) {
    let line = format!("requests_open {count}\n");
    let are_open = (0..2000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        get(served.admin, "/metrics").body.contains(&line)
    });
    assert!(are_open, "{count} requests are never under way at once");
}

#[test]
fn more_bodies_than_the_limit_get_429_before_they_are_read_and_reads_go_on() {
    let mut rig = Rig::new();
    rig.config.requests_max = 1;
    rig.config.body_ms_max = 20_000;
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 9)).status, 200);
    let mut holding = hold(&served);
    wait_for_requests(&served, 1);
    let answer = post(served.address, "/sign-subtree", "");
    assert_eq!(answer.status, 429, "one request is under way");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(get(served.address, "/healthz").status, 200);
    assert_eq!(served.size(&log), 9);
    assert_eq!(get(served.address, &format!("/{}/evidence", log.hash())).status, 404);
    assert_eq!(post(served.address, "/sign-subtree", "").status, 429, "it is still under way");
    holding.write_all(b"old 1").unwrap();
}

#[test]
fn one_address_holds_no_more_than_a_quarter_of_the_places() {
    let mut rig = Rig::new();
    rig.config.requests_max = 8;
    rig.config.body_ms_max = 20_000;
    let served = rig.serve();
    let holding = [hold(&served), hold(&served)];
    wait_for_requests(&served, 2);
    let third = post(served.address, "/add-checkpoint", "old 1");
    assert_eq!(third.status, 429, "two of eight are held");
    assert!(third.body.contains("address"), "{}", third.body);
    drop(holding);
    let answered = (0..500).any(|_| post(served.address, "/add-checkpoint", "old").status == 400);
    assert!(answered, "who hangs up gives the place back");
}

#[test]
fn an_http2_client_that_only_answers_pings_is_cut_off() {
    let mut rig = Rig::new();
    rig.config.header_ms_max = 200;
    let served = rig.serve();
    let mut silent = TcpStream::connect(served.address).unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let ping = b"\0\0\x08\x06\0\0\0\0\x00pingpong";
    let mut pings = (0..1000).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let mut frames = [0; 4096];
        let gone = silent.write_all(ping).is_err();
        gone || matches!(silent.read(&mut frames), Ok(0))
    });
    assert!(!pings.next().unwrap(), "HTTP/2 is spoken here");
    assert!(pings.any(|gone| gone));
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off_and_its_place_is_free() {
    let mut rig = Rig::new();
    rig.config.header_ms_max = 200;
    rig.config.connections_max = 1;
    let served = rig.serve();
    let mut deaf = TcpStream::connect(served.address).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let requests = "GET /healthz HTTP/1.1\r\nHost: w\r\n\r\n".repeat(1000);
    // Until both directions are full of what nobody reads.
    while deaf.write_all(requests.as_bytes()).is_ok() {}
    assert_eq!(get(served.address, "/healthz").status, 200, "this would wait for ever");
    drop(deaf);
}

#[test]
fn the_admin_address_cuts_off_who_says_nothing() {
    let mut rig = Rig::new();
    rig.config.header_ms_max = 200;
    let served = rig.serve();
    for start in ["", "GET /met"] {
        let mut slow = TcpStream::connect(served.admin).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        slow.write_all(start.as_bytes()).unwrap();
        let mut nothing = Vec::new();
        let ended = slow.read_to_end(&mut nothing);
        assert!(!matches!(ended, Err(error) if error.kind() == ErrorKind::WouldBlock), "{start}");
    }
}

#[test]
fn a_request_that_breaks_off_changes_nothing() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    let request = log.request(0, 9);
    for length in [1, request.len() / 2, request.len() - 1] {
        let mut broken = TcpStream::connect(served.address).unwrap();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\n\r\n{}",
            request.len(),
            &request[..request.floor_char_boundary(length)]
        );
        broken.write_all(head.as_bytes()).unwrap();
    }
    assert_eq!(served.size(&log), 0);
    assert_eq!(served.add_checkpoint(request).status, 200);
}

#[test]
fn a_forged_own_line_is_neither_stored_nor_served_nor_believed() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    let own = served.add_checkpoint(log.request(0, 3)).body;
    // Yesterday's line of our own over another checkpoint, and one with every bit wrong.
    let (name, value) = own.trim_end().rsplit_once(' ').unwrap();
    let wrong = format!("{name} {}\n", value.replace(['A', 'B', 'C', 'D'], "z"));
    let answer = served.add_checkpoint(format!("{}{own}{wrong}", log.request(3, 9)));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(served.checkpoint(&log).unwrap(), format!("{}{}", log.note(9), answer.body));
    drop(served);
    let served = rig.serve();
    assert_eq!(
        served.add_checkpoint(log.request(9, 9)).status,
        200,
        "nor does it poison a restart"
    );
}

#[test]
fn the_metrics_say_what_was_refused_and_how_large_each_log_is() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 9));
    served.add_checkpoint(log.request(0, 9));
    served.add_checkpoint(TestLog::forked(&log.origin, 0, 9).request(9, 9));
    rig.hands.pass(7);
    let metrics = get(served.admin, "/metrics").body;
    for line in [
        "cairn_witness_size{origin=\"log.example/a\"} 9",
        "cairn_witness_age_seconds{origin=\"log.example/a\"} 7",
        "cairn_witness_evidence_files{origin=\"log.example/a\"} 1",
        "cairn_witness_refusals_total{reason=\"conflict\"} 1",
        "cairn_witness_refusals_total{reason=\"roots_differ\"} 1",
        "cairn_witness_evidence_total{outcome=\"kept\"} 1",
        "cairn_witness_log_refusals_total{origin=\"log.example/a\"} 2",
        "cairn_witness_logs{state=\"cosigned\"} 1",
        "cairn_witness_logs{state=\"frozen\"} 0",
        "cairn_witness_logs{state=\"rolled-back\"} 0",
        "cairn_witness_logs{state=\"lost\"} 0",
        "cairn_witness_requests_total{route=\"add-checkpoint\",status=\"200\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert_eq!(get(served.admin, "/readyz").status, 200);
    assert_eq!(get(served.address, "/healthz").body, "ok\n");
}

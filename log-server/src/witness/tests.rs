//! The client of witnesses against raw TCP stubs: every kind of answer, and every kind of abuse.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use log_core::proof::ConsistencyProof;
use log_core::sha256;

use super::*;

/// Long enough for a loaded machine to answer; nothing waits for it to pass.
const PATIENT: Duration = Duration::from_secs(20);
/// For exchanges that must run into their limit.
const SHORT: Duration = Duration::from_millis(300);

const LINE: &str = "\u{2014} w.example/1 AAAAAQIDBAU=";

/// A server that takes one connection and does as it is told, by its address.
fn stub(
    behave: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (String, JoinHandle<Option<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let serve = move || {
        let (mut stream, _) = listener.accept().ok()?;
        behave(&mut stream);
        Some(stream)
    };
    (address, std::thread::spawn(serve))
}

/// Reads one request, head and body.
fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                return text.into_owned();
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return text.into_owned(),
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
}

/// Waits until the other side has gone away.
fn wait_for_the_end(stream: &mut TcpStream) {
    let mut piece = [0; 4096];
    while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
}

fn request() -> AddCheckpointRequest {
    let proof = ConsistencyProof::from_hashes(vec![sha256(b"one"), sha256(b"two")]);
    let checkpoint = format!("log.example\n9\n{}\n\n{LINE}\n", sha256(b"root").to_base64());
    AddCheckpointRequest { old: TreeSize::new(5), proof, checkpoint }
}

fn client(address: &str) -> WitnessClient {
    WitnessClient::new(&format!("http://{address}/witness/")).expect("a prefix")
}

fn response(status: &str, head: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn answer_within(
    limit: Duration,
    behave: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> WitnessAnswer {
    let (address, _) = stub(behave);
    client(&address).add_checkpoint(&request(), limit).await
}

async fn answer_to(response: impl Into<Vec<u8>>) -> WitnessAnswer {
    let response = response.into();
    answer_within(PATIENT, move |stream| {
        read_request(stream);
        // The client may have gone away in the middle of a long answer.
        let _ = stream.write_all(&response);
    })
    .await
}

/// Nothing usable came, and that was not for want of time.
#[track_caller]
fn is_unavailable(answer: &WitnessAnswer, what: &str) {
    let WitnessAnswer::Unavailable(why) = answer else { panic!("{what}: {answer:?}") };
    assert!(!why.is_empty() && !why.contains("no whole answer"), "{what}: {why}");
}

/// No request was made at all.
#[track_caller]
fn is_unreached(answer: &WitnessAnswer, what: &str) {
    let WitnessAnswer::Unreached(why) = answer else { panic!("{what}: {answer:?}") };
    assert!(!why.is_empty() && !why.contains("no whole answer"), "{what}: {why}");
}

#[tokio::test]
async fn a_request_is_the_specified_bytes_and_the_connection_is_kept() {
    let (address, server) = stub(|stream| {
        for size in [7, 8] {
            let asked = read_request(stream);
            let (head, body) = asked.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("POST /witness/add-checkpoint HTTP/1.1\r\n"), "{head}");
            assert!(!head.to_ascii_lowercase().contains("accept-encoding"), "{head}");
            assert_eq!(body, request().to_string());
            let head = "Content-Type: text/x.tlog.size\r\n";
            let response = response("409 Conflict", head, &format!("{size}\n"));
            stream.write_all(response.as_bytes()).expect("it listens");
        }
    });
    let client = client(&address);
    // The stub takes one connection, so the second answer shows that it was used again.
    for size in [7, 8] {
        let answer = client.clone().add_checkpoint(&request(), PATIENT).await;
        assert_eq!(answer, WitnessAnswer::Size(TreeSize::new(size)));
    }
    server.join().expect("the request is right");
}

#[tokio::test]
async fn cosignatures_are_lines_and_nothing_else() {
    for count in [1, 2, 16] {
        let body = format!("{LINE}\n").repeat(count);
        let WitnessAnswer::Cosigned(lines) = answer_to(response("200 OK", "", &body)).await else {
            panic!("{count} lines are cosignatures");
        };
        assert_eq!(lines.len(), count);
        assert!(lines.iter().all(|line| line.to_string() == LINE));
    }
    let junk = ["", "\n", "ok", "<html>\n", LINE, &format!("{LINE}\nok\n"), &format!("{LINE}\n\n")];
    for body in junk {
        is_unavailable(&answer_to(response("200 OK", "", body)).await, body);
    }
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0xff, 0xfe, 0x00, b'\n']);
    is_unavailable(&answer_to(bytes).await, "no UTF-8");
    // What an answer claims to be compressed is not unpacked.
    let plain = response("200 OK", "Content-Encoding: gzip\r\n", &format!("{LINE}\n"));
    assert!(matches!(answer_to(plain).await, WitnessAnswer::Cosigned(_)));
}

#[tokio::test]
async fn a_conflict_names_a_size_or_another_root() {
    let size = |media_type: &str, body: &str| {
        response("409 Conflict", &format!("Content-Type: {media_type}\r\n"), body)
    };
    for media_type in ["text/x.tlog.size", "Text/X.Tlog.Size", "text/x.tlog.size; charset=utf-8"] {
        for number in [0, 1, 12_345, i64::MAX as u64, u64::MAX] {
            let answer = answer_to(size(media_type, &format!("{number}\n"))).await;
            assert_eq!(answer, WitnessAnswer::Size(TreeSize::new(number)));
        }
    }
    let wrong = [
        "",
        "\n",
        "7",
        "-1\n",
        "+1\n",
        "07\n",
        "7\r\n",
        "7\n\n",
        " 7\n",
        "1e3\n",
        "seven\n",
        "\u{0661}\n",
    ];
    for body in wrong.into_iter().map(str::to_owned).chain([
        "18446744073709551616\n".into(),
        format!("{}\n", "9".repeat(60_000)),
        format!("{}\n", "9".repeat(70_000)),
    ]) {
        is_unavailable(&answer_to(size("text/x.tlog.size", &body)).await, &body);
    }
    let other_root = WitnessAnswer::OtherRoot { status: 409 };
    for media_type in ["text/plain", "text/x.tlog.sizes", "x", ""] {
        assert_eq!(answer_to(size(media_type, "7\n")).await, other_root, "{media_type}");
    }
    assert_eq!(answer_to(response("409 Conflict", "", "7\n")).await, other_root);
    let refused = answer_to(response("422 Unprocessable", "", "no")).await;
    assert_eq!(refused, WitnessAnswer::OtherRoot { status: 422 });
}

#[tokio::test]
async fn every_other_status_says_who_must_act() {
    for status in [400, 401, 403, 404, 405, 410, 413, 451, 499] {
        let answer = answer_to(response(&format!("{status} No"), "", LINE)).await;
        assert_eq!(answer, WitnessAnswer::Misconfigured { status });
    }
    for status in [201, 204, 206, 300, 304, 408, 429, 500, 501, 502, 503, 504, 599] {
        let answer = answer_to(response(&format!("{status} Later"), "", "")).await;
        is_unavailable(&answer, &status.to_string());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
        trap.set_nonblocking(true).expect("a socket option");
        let to = trap.local_addr().expect("an address");
        let head = format!("Location: http://{to}/add-checkpoint\r\n");
        is_unavailable(&answer_to(response(&format!("{status} Go"), &head, "")).await, "redirect");
        assert!(trap.accept().is_err(), "{status}: somebody came");
    }
}

#[tokio::test]
async fn a_hanging_or_dripping_witness_costs_its_limit_and_no_more() {
    let late = format!("no whole answer within {} ms", SHORT.as_millis());
    let late = WitnessAnswer::Unavailable(late);
    assert_eq!(answer_within(SHORT, wait_for_the_end).await, late);

    let drip = |at_once: &'static str, dripping: String| {
        move |stream: &mut TcpStream| {
            read_request(stream);
            let _ = stream.write_all(at_once.as_bytes());
            for byte in dripping.into_bytes() {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    let whole = response("200 OK", "", &format!("{LINE}\n"));
    assert_eq!(answer_within(SHORT, drip("", whole)).await, late, "a dripping head");
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n";
    let body = format!("{LINE}\n").repeat(5);
    assert_eq!(answer_within(SHORT, drip(head, body)).await, late, "a dripping body");
}

#[tokio::test]
async fn too_long_an_answer_is_cut_off() {
    let mut long = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n".to_vec();
    long.resize(long.len() + 10_000_000, b'x');
    is_unavailable(&answer_to(long).await, "10 MB");

    let endless = |start: &'static str, piece: Vec<u8>| {
        move |stream: &mut TcpStream| {
            read_request(stream);
            let _ = stream.write_all(start.as_bytes());
            // Ends when the client hangs up.
            while stream.write_all(&piece).is_ok() {}
        }
    };
    let chunk = [b"8000\r\n".to_vec(), vec![b'x'; 0x8000], b"\r\n".to_vec()].concat();
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = answer_within(PATIENT, endless(start, chunk)).await;
    let why = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
    assert_eq!(answer, WitnessAnswer::Unavailable(why));

    let header = format!("X-Long: {}\r\n", "x".repeat(0x8000)).into_bytes();
    let answer = answer_within(PATIENT, endless("HTTP/1.1 200 OK\r\n", header)).await;
    is_unavailable(&answer, "an endless head");
}

#[tokio::test]
async fn what_is_no_http_is_unavailable() {
    let alert: &[u8] = &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28];
    for junk in [alert, b"", b"\0\0\0\0", b"SSH-2.0-x\r\n", b"HTTP/9.9 200 OK\r\n\r\n"] {
        is_unavailable(&answer_to(junk).await, &format!("{junk:?}"));
    }
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    is_unavailable(&answer_to(short).await, "cut off");
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx";
    is_unavailable(&answer_to(twice).await, "two lengths");

    let garbage: [&[u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xff\xff\xff\xff\xff", b""];
    for bytes in garbage {
        let (address, _) = stub(move |stream| {
            let _ = stream.write_all(bytes);
        });
        let client = WitnessClient::new(&format!("https://{address}")).expect("a prefix");
        is_unreached(&client.add_checkpoint(&request(), PATIENT).await, "TLS garbage");
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    is_unreached(&client(&port.to_string()).add_checkpoint(&request(), PATIENT).await, "nobody");
}

#[tokio::test]
async fn the_latest_checkpoint_is_some_bytes_or_none() {
    let origin = Origin::parse("log.example").expect("an origin");
    let latest = async |response: String| {
        let (address, server) = stub(move |stream| {
            let path = format!("GET /witness/{}/checkpoint HTTP/1.1\r\n", sha256(b"log.example"));
            assert!(read_request(stream).starts_with(&path));
            let _ = stream.write_all(response.as_bytes());
        });
        let origin = Origin::parse("log.example").expect("an origin");
        let got = client(&address).latest(&origin, PATIENT).await;
        server.join().expect("the request is right");
        got
    };
    assert_eq!(latest(response("200 OK", "", "a note")).await, Ok(Some(b"a note".to_vec())));
    assert_eq!(latest(response("404 Not Found", "", "nothing")).await, Ok(None));
    for status in ["204 No", "302 Go", "400 No", "403 No", "409 No", "500 No", "503 No"] {
        latest(response(status, "", "")).await.expect_err(status);
    }
    let long = "x".repeat(ANSWER_BYTES_MAX + 1);
    latest(response("200 OK", "", &long)).await.expect_err("too long");
    let (address, _) = stub(wait_for_the_end);
    client(&address).latest(&origin, SHORT).await.expect_err("hangs");
}

#[test]
fn a_submission_prefix_is_a_plain_url() {
    for (url, prefix) in [
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("http://[::1]:8100/", "http://[::1]:8100"),
        ("https://w.example/a/b", "https://w.example/a/b"),
        ("https://w.example/a/b/", "https://w.example/a/b"),
    ] {
        assert_eq!(&*WitnessClient::new(url).expect(url).prefix, prefix);
    }
    for (url, why) in [
        ("", "is not a URL"),
        ("w.example", "is not a URL"),
        ("/a", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://w.example/a b", "is not a URL"),
        ("https://w.ex\nample/", "is not a URL"),
        ("https:\\\\w.example", "is not a URL"),
        ("unix:/run/w", "is not a URL"),
        ("ftp://w.example", "http or https"),
        ("file://w.example/a", "http or https"),
        ("https://me@w.example", "user name"),
        ("https://me:pw@w.example", "user name"),
        ("https://w.example/?a=b", "no query"),
        ("https://w.example/#a", "no fragment"),
    ] {
        let error = WitnessClient::new(url).expect_err(url).to_string();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!error.contains("pw"), "a password is not repeated: {error}");
    }
}

//! Paths, methods and host names: which log they lead to, and what leads nowhere.

use log_core::key::{KeyAlgorithm, VerifierKey};
use log_proto::rekor::v2::rekor_client::RekorClient;
use log_tests::{Acknowledged, DataDir, Request, SubmissionMaker, check_log};
use tonic::Code;
use tonic::transport::Channel;

const ENTRIES: &str = "/api/v2/log/entries";

/// Below `/tile/` of a log with one entry, of which only `0/000.p/1` and its bundle are there.
const ODD_TILES: &str = "
    0/000.p/0 0/000.p/256 0/000.p/257 0/000.p/01 0/000.p/ 0/000.p/-1 0/000.p/1/ 0/000.p/1/1
    0/000.P/1 0/000.p 0/0.p/1 0/00.p/1 0/0000.p/1 0/x000/000.p/1 0/000/000.p/1 0/x000.p/1
    0/-01.p/1 0/+00.p/1 0/000.p/+1 0/x99/x999/x999/x999/x999/x999/999
    0/x018/x446/x744/x073/x709/x551/616.p/1 0/99999999999999999999.p/1 64/000.p/1 256/000.p/1
    00/000.p/1 -1/000.p/1 99999999999999999999/000.p/1 entries/000.p/256 entries/000.p/0
    entries/ entries data/000.p/1 0 0/ 0//000.p/1 /0/000.p/1 ../checkpoint 0/../0/000.p/1
    0/%30%30%30.p/1 0/000%2ep/1 0/000.p%2f1";

/// Files of the server, other spellings of good paths, ways out of the tree, and plain nonsense.
const ODD_PATHS: &str = "
    /tile/ /tile/0/٠٠٠.p/1 / // /. /.. /../../etc/passwd /..%2f..%2fetc/passwd /%00 /% /%zz
    /checkpoint/ //checkpoint /checkpoint/.. /Checkpoint /checkpoint%20 /api/v2/
    /api/v2/checkpoint/ /api/v2/log/entries/0 /logs/ /logs/rekor-v2
    /logs/rekor-v2/ /logs/none/checkpoint /logs//checkpoint /logs/../checkpoint
    /logs/rekor-v2/../../checkpoint /logs/rekor-v2/db/CURRENT /logs/rekor-v2/key.pem /cairn.toml
    /metrics /admin.sock * /entry/1";

#[test]
fn impossible_coordinates_and_odd_paths_are_not_found() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    server.submit(&SubmissionMaker::new().make().json()).expect(201);
    server.get("/tile/0/000.p/1").expect(200);
    let tiles = ODD_TILES.split_ascii_whitespace().map(|path| format!("/tile/{path}"));
    let others = ODD_PATHS.split_ascii_whitespace().map(str::to_owned);
    let mut connection = server.connect();
    for path in tiles.chain(others) {
        let Ok(response) = connection.try_send(&Request::get(&path)) else {
            panic!("{path}: no answer");
        };
        assert!([400, 404].contains(&response.status), "{path}: {response:?}");
        if response.status == 404 {
            assert_eq!(response.json()["code"], 5, "{path}");
        } else {
            // The server's own HTTP refuses what is no URI, and hangs up.
            connection = server.connect();
        }
    }
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[test]
fn a_known_path_names_the_methods_that_it_takes() {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", None);
    let server = dir.start();
    let mut connection = server.connect();
    let writes = [ENTRIES, "/logs/raw/add"];
    let reads = [
        "/checkpoint",
        "/api/v2/checkpoint",
        "/tile/0/000.p/1",
        "/logs",
        "/healthz",
        "/readyz",
        "/logs/raw/checkpoint",
    ];
    for path in writes {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "ODD"] {
            let refused = connection.send(&Request::new(method, path)).expect(405);
            assert_eq!(refused.header("allow"), Some("POST"), "{method} {path}");
        }
    }
    for path in reads {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "ODD"] {
            let refused = connection.send(&Request::new(method, path)).expect(405);
            assert_eq!(refused.header("allow"), Some("GET, HEAD"), "{method} {path}");
            assert_eq!(refused.json()["code"], 12, "{method} {path}");
        }
    }
    // A log of another kind has no such path at all.
    connection.send(&Request::post("/logs/rekor-v2/add", "leaf")).expect(404);
}

#[test]
fn a_slash_too_many_on_the_write_path_changes_nothing() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let json = SubmissionMaker::new().make().json();
    let paths = [ENTRIES, "//api/v2/log/entries", "/api/v2/log/entries/", "//api/v2/log/entries//"];
    for path in paths {
        let answer = server.send(&Request::post(path, json.clone())).expect(201).json();
        assert_eq!(Acknowledged::verify(&answer, dir.default_key()).index.get(), 0, "{path}");
    }
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_logs_the_host_name_decides_and_an_unknown_one_is_misdirected() {
    let mut dir = DataDir::init("log.example");
    dir.add_log("second", "rekor-v2", Some("second.example"));
    dir.set_log("second", "hosts", "[\"second.example\", \"alias.example\"]");
    let server = dir.start();
    let json = SubmissionMaker::new().make().json();
    let post = |host: &str| server.send(&Request::post(ENTRIES, json.clone()).header("host", host));
    let first = ["log.example", "log.example:3000", "LOG.example", "log.example:443"];
    for (hosts, name) in
        [(&first[..], "rekor-v2"), (&["second.example", "alias.example:1"][..], "second")]
    {
        for host in hosts {
            let answer = post(host).expect(201).json();
            Acknowledged::verify(&answer, dir.key(name));
        }
        let log = check_log(&format!("{}/logs/{name}", server.url()), dir.key(name));
        assert_eq!(log.leaves.len(), 1, "{name}");
    }
    for host in ["", "localhost", "other.example", "log.example.evil", "127.0.0.1:3000", "[::1]:1"]
    {
        let refused = post(host).expect(421);
        assert_eq!(refused.json()["code"], 5, "{host}");
        server.send(&Request::get("/checkpoint").header("host", host)).expect(421);
        server.send(&Request::get("/logs/second/checkpoint").header("host", host)).expect(200);
    }
    let lying = Request::get("/checkpoint")
        .header("host", "second.example")
        .header("x-forwarded-host", "log.example")
        .header("forwarded", "host=log.example");
    assert!(server.send(&lying).expect(200).text().starts_with("second.example\n"));

    for (authority, code) in [("second.example", None), ("other.example", Some(Code::NotFound))] {
        let origin = format!("http://{authority}").parse().expect("a URI");
        let endpoint = Channel::from_shared(server.url()).expect("a URL").origin(origin);
        let mut client = RekorClient::new(endpoint.connect().await.expect("a connection"));
        let answer = client.get_checkpoint(()).await;
        assert_eq!(answer.err().map(|status| status.code()), code, "{authority}");
    }
}

#[test]
fn a_single_log_is_reached_under_any_host_name() {
    let dir = DataDir::init("log.example");
    let server = dir.start();
    for host in ["log.example", "other.example", "127.0.0.1:3000", "[::1]:3000", ""] {
        let read = server.send(&Request::get("/checkpoint").header("host", host)).expect(200);
        assert!(read.text().starts_with("log.example\n0\n"), "{host}");
    }
}

#[test]
fn the_list_of_logs_says_what_clients_have_to_trust() {
    let mut dir = DataDir::init("log.example");
    dir.add_log("raw", "raw", None);
    let server = dir.start();
    let list = server.get("/logs").expect(200).json();
    let logs = list["logs"].as_array().expect("logs");
    let others = logs.iter().skip(1);
    for (log, (name, personality)) in others.zip([("rekor-v2", "rekor-v2"), ("raw", "raw")]) {
        let key = dir.key(name);
        assert_eq!(log["name"], name);
        assert_eq!(log["personality"], personality);
        assert_eq!(log["origin"], key.name().as_str());
        assert_eq!(log["vkeys"], serde_json::json!([key.to_string()]));
        assert_eq!((&log["state"], &log["size"]), (&"open".into(), &0.into()));
    }
    assert_eq!(logs.len(), 3);
    assert_eq!(logs[0]["name"], "rekor-v1");
    let origin = logs[0]["origin"].as_str().expect("an origin");
    assert!(origin.starts_with("log.example - "), "{origin}");
    let vkeys = logs[0]["vkeys"].as_array().expect("keys").iter();
    let vkeys = vkeys.map(|key| VerifierKey::parse(key.as_str().expect("text")).expect("a vkey"));
    let algorithms: Vec<_> = vkeys.map(|key| key.algorithm()).collect();
    assert_eq!(algorithms, [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519]);
    server.get("/healthz").expect(200);
    server.get("/readyz").expect(200);
}

#[test]
fn a_log_that_fails_its_checks_stays_shut_while_the_other_serves() {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", None);
    std::fs::copy(dir.log("rekor-v2").join("key.pem"), dir.log("raw").join("key.pem"))
        .expect("the other log's key");
    let server = dir.start();
    for refused in [
        server.get("/logs/raw/checkpoint").expect(503),
        server.get("/logs/raw/tile/0/000.p/1").expect(503),
        server.send(&Request::post("/logs/raw/add", "leaf")).expect(503),
    ] {
        assert!(refused.text().contains("another log"), "{}", refused.text());
    }
    let ready = server.get("/readyz").expect(503).json();
    let shut = &ready["logs"][2];
    assert_eq!((&shut["state"], &shut["vkeys"]), (&"shut".into(), &serde_json::json!([])));
    assert!(shut["reason"].as_str().expect("a reason").contains("another log"), "{shut}");
    assert!(server.stderr().contains("log stays shut"), "{}", server.stderr());
    server.get("/healthz").expect(200);
    server.submit(&SubmissionMaker::new().make().json()).expect(201);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

#[test]
fn metrics_and_readiness_are_on_the_admin_address_only() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    server.submit(&SubmissionMaker::new().make().json()).expect(201);
    let mut admin = log_tests::Connection::open(server.admin()).expect("the server accepts");
    let metrics = admin.send(&Request::get("/metrics")).expect(200);
    assert!(metrics.text().ends_with("# EOF\n"), "OpenMetrics has an end");
    assert!(metrics.text().contains("rekor-v2"), "{}", metrics.text());
    admin.send(&Request::get("/readyz")).expect(200);
    admin.send(&Request::get("/checkpoint")).expect(404);
    server.get("/metrics").expect(404);
}

//! The raw personality: any bytes as a leaf.

use log_core::{LEAF_BYTES_MAX, Leaf, LeafIndex, Origin, TlogProof, hash_leaf};
use log_tests::{DataDir, Request, check_log};

const ADD: &str = "/logs/raw/add";

fn raw_log() -> DataDir {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", Some("raw.example/log"));
    dir
}

#[test]
fn a_leaf_of_any_bytes_and_of_any_permitted_length_is_logged_as_it_is() {
    let dir = raw_log();
    let server = dir.start();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let longest = vec![0xa5; LEAF_BYTES_MAX];
    let leaves = [Vec::new(), vec![0], all_bytes, longest, b"a\nb\r\n\0".to_vec()];
    for (index, leaf) in leaves.iter().enumerate() {
        let added = server.send(&Request::post(ADD, leaf.clone())).expect(200);
        assert_eq!(added.text(), index.to_string());
        assert_eq!(added.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let log = check_log(&format!("{}/logs/raw", server.url()), dir.key("raw"));
    assert_eq!(log.leaves.len(), leaves.len());
    for (index, leaf) in (0..).zip(leaves) {
        log.assert_holds(LeafIndex::new(index), &Leaf::new(leaf).expect("a leaf"));
    }
}

#[test]
fn a_leaf_that_no_bundle_can_hold_is_refused() {
    let dir = raw_log();
    let server = dir.start();
    let refused = server.send(&Request::post(ADD, vec![1; LEAF_BYTES_MAX + 1])).expect(400);
    assert_eq!(refused.json()["code"], 3);
    assert!(refused.text().contains("65535"), "{}", refused.text());
    let log = check_log(&format!("{}/logs/raw", server.url()), dir.key("raw"));
    assert_eq!(log.leaves.len(), 0);
}

#[test]
fn who_accepts_a_proof_gets_one_that_verifies_offline() {
    let dir = raw_log();
    let server = dir.start();
    let origin = Origin::parse("raw.example/log").expect("an origin");
    server.send(&Request::post(ADD, "another")).expect(200);
    for accept in ["text/x.tlog-proof", "text/plain;q=0.5, text/x.tlog-proof"] {
        let request = Request::post(ADD, "leaf").header("accept", accept);
        let answer = server.send(&request).expect(200);
        assert_eq!(answer.header("content-type"), Some("text/x.tlog-proof"), "{accept}");
        let proof = TlogProof::parse(&answer.body).expect("a tlog-proof");
        assert_eq!(proof.index, LeafIndex::new(1));
        let signed = proof.verify(&hash_leaf(b"leaf"), &origin, dir.key("raw"));
        assert_eq!(signed.expect("it verifies").head().size.get(), 2);
        proof.verify(&hash_leaf(b"other"), &origin, dir.key("raw")).expect_err("another leaf");
    }
    let plain = Request::post(ADD, "leaf").header("accept", "*/*");
    assert_eq!(server.send(&plain).expect(200).text(), "1");
}

#[test]
fn the_log_of_one_personality_takes_no_entries_of_another() {
    let dir = raw_log();
    let server = dir.start();
    let json = log_tests::SubmissionMaker::new().make().json();
    // The host of a raw log is no face: the only Rekor v2 log answers.
    let request = Request::post("/api/v2/log/entries", json).header("host", "raw.example");
    server.send(&request).expect(201);
    let raw = check_log(&format!("{}/logs/raw", server.url()), dir.key("raw"));
    assert_eq!(raw.leaves.len(), 0);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

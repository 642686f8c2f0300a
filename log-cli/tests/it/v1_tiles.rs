//! The tiles of a Rekor v1 log, whose origin is not the name of its key, and what is exported of a
//! server that has one.

use std::collections::HashMap;
use std::fs;

use log_cli::protojson::Bytes;
use log_cli::public_key::ed25519_spki;
use log_core::{NoteSignature, SignedNote, TreeId, VerifierKey};
use serde_json::{Value, json};

use crate::binary::Place;
use crate::fixture::{TestLog, cosigned, now_s, policy};
use crate::served::{Server, files_of};
use crate::v1_fixture::{V1Log, base64, v1_bundle};

const ORIGIN: &str = "localhost - 4711";

/// The checkpoint of a log's tiles with the ECDSA line of the v1 log before the Ed25519 line.
fn with_both_lines(note: &str, v1: &V1Log) -> String {
    let note = SignedNote::parse(note.as_bytes()).unwrap();
    let key = v1.key();
    let line = NoteSignature {
        name: key.name().clone(),
        id: key.id(),
        signature: v1.sign(note.text().as_bytes()),
    };
    let lines = [vec![line], note.signatures().to_vec()].concat();
    SignedNote::new(note.text().to_owned(), lines).unwrap().to_string()
}

fn below(name: &str, files: HashMap<String, Vec<u8>>) -> HashMap<String, Vec<u8>> {
    files.into_iter().map(|(path, bytes)| (format!("logs/{name}/{path}"), bytes)).collect()
}

#[test]
fn reading_commands_take_an_origin_that_is_not_the_keys_name() {
    let place = Place::new();
    let v1 = V1Log::with_leaves("localhost", 0);
    let log = TestLog::with_leaves(ORIGIN, 700);
    let mut files = files_of(&log);
    let note = with_both_lines(&log.checkpoint(700), &v1);
    files.insert("checkpoint".into(), cosigned(&note, &[(1, now_s())]).into_bytes());
    let server = Server::start(below("rekor-v1", files));
    place.write("vkey", log.key().to_string());
    place.write("ecdsa", v1.key().to_string());
    place.write("old", log.checkpoint(300));
    place.write("policy", policy(&[&log], &["http://localhost:1"], 1));
    let prefix = format!("{}/logs/rekor-v1", server.url);
    let commands: [&[&str]; 5] = [
        &["checkpoint"],
        &["get", "699"],
        &["get", "0", "--tlog-proof", "proof"],
        &["consistency", "--old", "old"],
        &["fsck"],
    ];
    for command in commands {
        let run = |code: i32, more: &[&str]| {
            let arguments = [command, more].concat();
            place.expect_of(code, &arguments)
        };
        for key in ["vkey", "ecdsa"] {
            // The older checkpoint has the Ed25519 line alone.
            if key == "ecdsa" && command[0] == "consistency" {
                continue;
            }
            let trust = ["--url", &prefix, "--log-vkey", key, "--origin"];
            run(0, &[&trust[..], &[ORIGIN]].concat());
            run(1, &[&trust[..], &["localhost - 4712"]].concat());
            run(1, &trust[..4]);
        }
        let named = ["--url", &server.url, "--log", "rekor-v1", "--log-vkey", "vkey"];
        run(0, &[&named[..], &["--origin", ORIGIN]].concat());
    }
    let verify = ["verify", "--tlog-proof", "proof", "--log-vkey", "vkey", "--leaf", "leaf"];
    place.write("leaf", "leaf 0");
    place.expect_of(0, &[&verify[..], &["--origin", ORIGIN]].concat());
    place.expect_of(1, &verify);
    let policy = ["--witness-policy", "policy", "--origin", ORIGIN];
    place.expect_of(0, &[&["checkpoint", "--url", &prefix][..], &policy].concat());
    // The host in the origin is enough to find the log among others.
    let logs = [&log, &TestLog::new("elsewhere")];
    place.write("policy", crate::fixture::policy(&logs, &["http://localhost:1"], 1));
    for more in [&policy[..], &policy[..2]] {
        place.expect_of(0, &[&["checkpoint", "--url", &prefix][..], more].concat());
    }
    place.write("policy", crate::fixture::policy(&logs[1..], &["http://localhost:1"], 1));
    place.expect_of(1, &[&["checkpoint", "--url", &prefix][..], &policy].concat());
}

#[test]
fn an_audit_takes_an_origin_that_is_not_the_keys_name() {
    let place = Place::new();
    let v1 = V1Log::with_leaves("localhost", 0);
    let log = TestLog::with_leaves(ORIGIN, 300);
    let mut files = files_of(&log);
    let note = cosigned(&with_both_lines(&log.checkpoint(300), &v1), &[(1, now_s())]);
    files.insert("checkpoint".into(), note.clone().into_bytes());
    let server = Server::start(below("rekor-v1", files));
    let at_witness = format!("{}/checkpoint", log_core::origin_hash(&log.origin));
    let witness = Server::start(HashMap::from([(at_witness, note.into_bytes())]));
    place.write("policy", policy(&[&log], &[&witness.url], 1));
    let prefix = format!("{}/logs/rekor-v1", server.url);
    let audit = ["audit", "--url", &prefix, "--policy", "policy", "--origin"];
    assert!(place.expect_of(0, &[&audit[..], &[ORIGIN]].concat()).contains("consistent"));
    place.expect_of(3, &[&audit[..], &["localhost - 4712"]].concat());
    // A fork that the witness cosigned is found by the same means.
    let fork = TestLog::forked(ORIGIN, 250, 300);
    let at_witness = format!("{}/checkpoint", log_core::origin_hash(&log.origin));
    witness.put(&at_witness, cosigned(&fork.checkpoint(300), &[(1, now_s())]).into_bytes());
    place.expect_of(1, &[&audit[..], &[ORIGIN]].concat());
}

#[test]
fn leaves_of_v1_are_shown_for_what_they_are() {
    let place = Place::new();
    let signer = place.signer();
    let mut log = TestLog::new(ORIGIN);
    let body = crate::v1_fixture::hashed_rekord_body(&signer, b"x");
    log.add(log_core::Leaf::new(body.clone()).unwrap());
    let server = Server::start(files_of(&log));
    let key = log.key().to_string();
    let get = ["get", "--url", &server.url, "--log-vkey", &key, "--origin", ORIGIN, "0"];
    let text = place.expect_of(0, &get);
    assert!(text.contains("kind       hashedrekord 0.0.1\ndigest     sha256:"), "{text}");
    let fingerprint = log_core::sha256(signer.public_key().spki_der());
    assert!(text.contains(&format!("identity   key SHA-256 {fingerprint}")), "{text}");
    let json = place.expect_of(0, &[&get[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["entry"]["kind"], "hashedrekord");
    assert_eq!(json["body"], base64(&body));
}

/// The list of a server with a log of each API.
fn listed(v1: &V1Log, v1_tiles: &TestLog, v2: &TestLog) -> Value {
    let spki = |key: &VerifierKey| {
        let key: [u8; 32] = key.public_key_bytes().try_into().unwrap();
        Bytes(ed25519_spki(&key)).to_base64()
    };
    json!({ "logs": [
        {
            "name": "rekor-v1",
            "personality": "rekor-v1",
            "origin": ORIGIN,
            "treeId": "4711",
            "vkeys": [v1.key().to_string(), v1_tiles.key().to_string()],
            "publicKey": base64(v1.spki()),
            "state": "open",
            "startTime": "2026-11-22T10:00:00Z",
        },
        {
            "name": "rekor-v2",
            "personality": "rekor-v2",
            "origin": "localhost",
            "vkeys": [v2.key().to_string()],
            "publicKey": spki(&v2.key()),
            "state": "open",
            "startTime": "2026-11-22T00:00:00Z",
        },
    ]})
}

#[test]
fn trust_in_a_server_with_both_apis_is_exported() {
    let place = Place::new();
    let signer = place.signer();
    let mut v1 = V1Log::with_leaves("localhost", 3);
    assert_eq!(v1.tree, TreeId::new(4_711).unwrap());
    let v1_tiles = TestLog::with_leaves(ORIGIN, 3);
    let v2 = TestLog::with_leaves("localhost", 3);
    let server = Server::start(HashMap::new());
    let good = listed(&v1, &v1_tiles, &v2);
    server.put("logs", good.to_string().into_bytes());
    let checkpoint = with_both_lines(&v1_tiles.checkpoint(3), &v1);
    server.put("logs/rekor-v1/checkpoint", checkpoint.clone().into_bytes());
    server.put("logs/rekor-v2/checkpoint", v2.checkpoint(3).into_bytes());
    let export = format!("trust export --url {}", server.url);
    place.expect(0, &format!("{export} --out out"));
    let read = |name: &str| fs::read_to_string(place.path().join("out").join(name)).unwrap();
    assert_eq!(read("rekor-v1.pub"), v1.pem());
    assert_eq!(read("rekor-v1.vkey").trim(), v1_tiles.key().to_string());
    assert_eq!(read("rekor-v2.vkey").trim(), v2.key().to_string());
    let url = &server.url;
    let line = |log: &TestLog, name: &str| format!("log {} {url}/logs/{name}\n", log.key());
    let lines = line(&v1_tiles, "rekor-v1") + &line(&v2, "rekor-v2") + "quorum none\n";
    assert_eq!(read("policy.txt"), lines);

    let root: Value = serde_json::from_str(&read("trusted_root.json")).unwrap();
    let [of_v2, of_v1] = root["tlogs"].as_array().unwrap().as_slice() else { panic!("{root}") };
    assert_eq!(of_v2["publicKey"]["keyDetails"], "PKIX_ED25519");
    assert_eq!(of_v1["publicKey"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
    assert_eq!(of_v1["publicKey"]["rawBytes"], base64(v1.spki()));
    assert_eq!(of_v1["logId"]["keyId"], base64(log_core::sha256(v1.spki()).as_bytes()));
    assert_eq!(of_v1["publicKey"]["validFor"]["start"], "2026-11-22T10:00:00Z");
    assert_eq!((&of_v1["baseUrl"], &of_v2["baseUrl"]), (&json!(url), &json!(url)));
    assert_eq!(of_v1["hashAlgorithm"], "SHA2_256");
    assert!(of_v1.get("checkpointKeyId").is_none());

    // Some clients take the newest API, some the service that is valid since the latest time, and
    // of two with the same time the first.
    let config: Value = serde_json::from_str(&read("signing_config.json")).unwrap();
    let services = config["rekorTlogUrls"].as_array().unwrap();
    let versions: Vec<_> = services.iter().map(|service| &service["majorApiVersion"]).collect();
    assert_eq!(versions, [&json!(2), &json!(1)]);
    for service in services {
        assert_eq!(service["validFor"]["start"], "2026-11-22T00:00:00Z");
        assert_eq!(service["operator"], "localhost");
    }

    let mut root = root;
    root["tlogs"][1]["publicKey"]["validFor"]["start"] = json!("2020-01-01T00:00:00Z");
    place.write("root", root.to_string());
    place.write("bundle", v1_bundle(&signer, &mut v1).to_json());
    place.expect(0, "verify --bundle bundle --trusted-root root --key key.pub file");
    // Before the log began there was no time that it could promise.
    let exported = "verify --bundle bundle --trusted-root out/trusted_root.json --key key.pub";
    place.expect(1, &format!("{exported} file"));
}

#[test]
fn what_does_not_fit_together_is_not_exported() {
    let place = Place::new();
    let v1 = V1Log::with_leaves("localhost", 3);
    let other = V1Log::with_leaves("localhost", 3);
    let v1_tiles = TestLog::with_leaves(ORIGIN, 3);
    let v2 = TestLog::with_leaves("localhost", 3);
    let server = Server::start(HashMap::new());
    let good = listed(&v1, &v1_tiles, &v2);
    let checkpoint = with_both_lines(&v1_tiles.checkpoint(3), &v1);
    let export = format!("trust export --url {} --out", server.url);
    let serve = |list: &Value, checkpoint: &str| {
        server.put("logs", list.to_string().into_bytes());
        server.put("logs/rekor-v1/checkpoint", checkpoint.as_bytes().to_vec());
        server.put("logs/rekor-v2/checkpoint", v2.checkpoint(3).into_bytes());
    };
    let (ecdsa, ed25519) = (v1.key().to_string(), v1_tiles.key().to_string());
    let elsewhere = TestLog::new("elsewhere - 1").key().to_string();
    let changes = [
        ("/logs/0/vkeys", json!([ecdsa])),
        ("/logs/0/vkeys", json!([ed25519])),
        ("/logs/0/vkeys", json!([other.key().to_string(), ed25519])),
        ("/logs/0/vkeys", json!([ecdsa, elsewhere])),
        ("/logs/0/publicKey", json!(base64(other.spki()))),
        ("/logs/0/origin", json!("localhost")),
        ("/logs/0/origin", json!("localhost - 4712")),
        ("/logs/0/origin", json!("elsewhere - 4711")),
        ("/logs/0/personality", json!("rekor-v2")),
    ];
    for (pointer, value) in changes {
        let mut list = good.clone();
        *list.pointer_mut(pointer).unwrap() = value.clone();
        serve(&list, &checkpoint);
        place.expect(1, &format!("{export} refused"));
        assert!(!place.exists("refused"), "{pointer} = {value}");
    }
    // The tiles must be signed with both keys: the one of the answers, and the witnesses'.
    for checkpoint in [
        v1_tiles.checkpoint(3),
        v1.checkpoint(),
        with_both_lines(&v1_tiles.checkpoint(3), &other),
        with_both_lines(&v2.checkpoint(3), &v1),
    ] {
        serve(&good, &checkpoint);
        place.expect(1, &format!("{export} refused"));
    }
    // A log that is shut takes no other log with it.
    let mut shut = good.clone();
    shut["logs"][0]["state"] = json!("shut");
    shut["logs"][0]["vkeys"] = json!([]);
    shut["logs"][0].as_object_mut().unwrap().remove("publicKey");
    serve(&shut, "");
    place.expect(0, &format!("{export} without"));
    assert!(place.exists("without/rekor-v2.vkey") && !place.exists("without/rekor-v1.vkey"));
    // Either log alone is enough.
    serve(&json!({ "logs": [good["logs"][0]] }), &checkpoint);
    place.expect(0, &format!("{export} alone"));
    let config = fs::read(place.path().join("alone/signing_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rekorTlogUrls"][0]["majorApiVersion"], 1);
    assert_eq!(config["rekorTlogUrls"][0]["validFor"]["start"], "2026-11-22T10:00:00Z");
}

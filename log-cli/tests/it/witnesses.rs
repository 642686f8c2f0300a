//! Witness policies: what they demand of bundles, proofs and checkpoints, and where they come from.

use std::fs;

use log_cli::witnessed::show_time;
use log_core::entry::Verifier;
use log_core::{SignedNote, TlogProof};
use serde_json::{Value, json};

use crate::binary::Place;
use crate::fixture::{TestLog, cosigned, hashed_rekord, key_bundle, now_s, policy, witness};
use crate::served::{Server, files_of};

const URLS: [&str; 3] = ["http://w1", "http://w2", "http://w3"];

/// A place with a bundle and a tlog-proof of `file`, whose checkpoint has these cosignatures.
fn logged(by: &[(u8, u64)]) -> (Place, TestLog) {
    let place = Place::new();
    let signer = place.signer();
    let mut log = TestLog::with_leaves("localhost", 3);
    let mut bundle = key_bundle(&signer, &mut log);
    let entry = &mut bundle.verification_material.tlog_entries[0];
    let checkpoint = &mut entry.inclusion_proof.as_mut().unwrap().checkpoint;
    let note = cosigned(&checkpoint.as_ref().unwrap().envelope, by);
    checkpoint.as_mut().unwrap().envelope = note.clone();
    let proof = TlogProof {
        index: entry.index().unwrap(),
        extra: Some(entry.canonicalized_body.0.clone()),
        inclusion: entry.inclusion().unwrap(),
        checkpoint: note,
    };
    place.write("proof", proof.to_string());
    place.write("bundle", bundle.to_json());
    place.write("root", serde_json::to_string(&log.trusted_root()).unwrap());
    place.write("vkey", log.key().to_string());
    place.write("policy", policy(&[&log], &URLS, 2));
    (place, log)
}

const BUNDLE: &str = "verify --bundle bundle --trusted-root root --key key.pub file";
const PROOF: &str = "verify --tlog-proof proof --key key.pub file";

#[test]
fn a_quorum_verifies_and_less_does_not() {
    let now = now_s();
    for (by, code) in [
        (vec![(1, now), (3, now)], 0),
        (vec![(1, now), (2, now), (3, now), (4, now)], 0),
        (vec![(1, now)], 1),
        (vec![(1, now), (1, now + 1)], 1),
        (vec![(1, now), (4, now)], 1),
        (vec![], 1),
    ] {
        let (place, _) = logged(&by);
        place.expect(0, BUNDLE);
        place.expect(code, &format!("{BUNDLE} --witness-policy policy"));
        place.expect(code, &format!("{PROOF} --witness-policy policy"));
        place.expect(code, &format!("{PROOF} --witness-policy policy --log-vkey vkey"));
    }
}

#[test]
fn the_answer_names_the_witnesses() {
    let (place, _) = logged(&[(1, 1_700_000_000), (3, 1_700_000_001)]);
    let command = format!("--json {BUNDLE} --witness-policy policy");
    let answer: Value = serde_json::from_str(&place.expect(0, &command)).unwrap();
    let witnesses = json!([
        { "name": "w1", "time": "2023-11-14T22:13:20Z" },
        { "name": "w3", "time": "2023-11-14T22:13:21Z" },
    ]);
    assert_eq!(answer["witnesses"], witnesses);
    let text = place.expect(0, &format!("{PROOF} --witness-policy policy"));
    assert!(text.contains("\ncosigned by w3 at 2023-11-14T22:13:21Z"), "{text}");
}

#[test]
fn old_cosignatures_do_not_count_when_an_age_is_asked_for() {
    let now = now_s();
    for (by, code) in [
        (vec![(1, now - 50), (2, now - 60)], 0),
        // Somebody's clock is a little ahead.
        (vec![(1, now + 100), (2, now)], 0),
        (vec![(1, now), (2, now - 2_000)], 1),
        (vec![(1, now), (2, now - 2_000), (3, now)], 0),
    ] {
        let (place, _) = logged(&by);
        for command in [BUNDLE, PROOF] {
            let command = format!("{command} --witness-policy policy");
            place.expect(0, &command);
            let age = format!("{command} --cosignature-age-max-s 1000");
            assert_eq!(place.cairn(&age).status.code(), Some(code), "{by:?}");
        }
    }
}

#[test]
fn cosignatures_of_the_future_never_count() {
    let now = now_s();
    for (by, code) in [
        (vec![(1, now + 250), (2, now + 250)], 0),
        (vec![(1, now), (2, now + 2_000)], 1),
        (vec![(1, now), (2, i64::MAX as u64)], 1),
        (vec![(1, now + 2_000), (2, now + 2_000), (3, now)], 1),
        (vec![(1, now + 2_000), (2, now), (3, now)], 0),
        // Whichever line comes first is the one of that witness.
        (vec![(1, now), (2, now), (2, now + 2_000)], 0),
    ] {
        let (place, _) = logged(&by);
        for command in [BUNDLE, PROOF] {
            for age in ["", " --cosignature-age-max-s 9999999999"] {
                let command = format!("{command} --witness-policy policy{age}");
                let output = place.cairn(&format!("{command} --json"));
                assert_eq!(output.status.code(), Some(code), "{by:?} {command}");
                let answer = String::from_utf8(output.stdout).unwrap();
                // One that does not count is not called a cosignature.
                let later = show_time(now + 2_000);
                let counted = code == 0 && answer.contains(&format!("\"time\":\"{later}\""));
                assert!(!counted, "{answer}");
                if by == [(1, now), (2, now + 2_000)] {
                    let reason = format!("cosigned by w1, not by w2 (dated {later}), w3");
                    assert!(answer.contains(&reason), "{answer}");
                }
            }
        }
    }
}

#[test]
fn the_log_must_be_one_of_the_policy() {
    let now = now_s();
    let (place, log) = logged(&[(1, now), (2, now)]);
    let other = TestLog::new("elsewhere");
    let checks = [
        (policy(&[&other], &URLS, 2), 1),
        (policy(&[], &URLS, 2), 0),
        (format!("log {}\nquorum none\n", log.key()), 0),
        (format!("log {}\nquorum none\n", other.key()), 1),
    ];
    for (text, code) in checks {
        place.write("policy", &text);
        place.expect(code, &format!("{BUNDLE} --witness-policy policy"));
        place.expect(code, &format!("{PROOF} --log-vkey vkey --witness-policy policy"));
    }
    // A name that the log does not have: the key speaks for another log.
    place.write("policy", policy(&[&log], &URLS, 2));
    place.expect(1, &format!("{PROOF} --origin elsewhere --witness-policy policy"));
    // A policy that names no log says nothing about whose proof it is.
    place.write("policy", policy(&[], &URLS, 2));
    place.expect(2, &format!("{PROOF} --witness-policy policy"));
    place.expect(2, PROOF);
}

#[test]
fn a_policy_that_cannot_be_used_leaves_the_question_open() {
    let (place, _) = logged(&[]);
    for text in ["", "quorum", "quorum none", "quorum none\r\n", "witness a b\nquorum a\n"] {
        place.write("policy", text);
        place.expect(3, &format!("{BUNDLE} --witness-policy policy"));
        place.expect(1, "policy check policy");
    }
    place.expect(3, &format!("{BUNDLE} --witness-policy absent"));
    place.expect(3, "policy check absent");
}

#[test]
fn keys_of_witnesses_are_no_log_keys() {
    let (place, _) = logged(&[]);
    place.write("witness", witness(1).verifier_key().to_string());
    for command in [
        format!("{PROOF} --log-vkey witness"),
        format!("{PROOF} --log-vkey {}", witness(1).verifier_key()),
        "checkpoint --url http://localhost:1 --log-vkey witness".to_owned(),
        "get --url http://localhost:1 --log-vkey witness 0".to_owned(),
        "consistency --url http://localhost:1 --log-vkey witness --old file".to_owned(),
        "fsck --url http://localhost:1 --log-vkey witness".to_owned(),
        "submit --url http://localhost:1 --key key --bundle b --log-vkey witness file".to_owned(),
        "audit --url http://localhost:1 --policy policy --log-vkey witness".to_owned(),
        "evidence verify file --log-vkey witness".to_owned(),
    ] {
        let output = place.cairn(&command);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("is the key of a witness"), "{command}: {stderr}");
    }
    place.expect(2, "evidence verify file --cosigner-vkey vkey --origin localhost");
}

#[test]
fn checkpoints_are_verified_under_a_policy() {
    let place = Place::new();
    let log = TestLog::with_leaves("localhost", 5);
    place.write("policy", policy(&[&log], &URLS, 2));
    place.write("vkey", log.key().to_string());
    let server = Server::start([].into());
    let command = format!("checkpoint --url {} --witness-policy policy", server.url);
    let show = |by: &[(u8, u64)]| {
        server.put("checkpoint", cosigned(&log.checkpoint(5), by).into_bytes());
    };
    let now = now_s();
    show(&[(1, now), (2, now)]);
    let note = place.expect(0, &command);
    assert_eq!(SignedNote::parse(note.as_bytes()).unwrap().signatures().len(), 3);
    place.expect(0, &format!("{command} --log-vkey vkey --cosignature-age-max-s 60"));
    let json: Value = serde_json::from_str(&place.expect(0, &format!("--json {command}"))).unwrap();
    assert_eq!((&json["verified"], &json["witnesses"][1]["name"]), (&json!(true), &json!("w2")));
    show(&[(2, now)]);
    place.expect(1, &command);
    show(&[(1, now - 90), (2, now)]);
    place.expect(0, &command);
    place.expect(1, &format!("{command} --cosignature-age-max-s 60"));
    server.put("checkpoint", cosigned(&TestLog::new("other").checkpoint(0), &[]).into_bytes());
    place.expect(1, &command);
    place.write("policy", policy(&[], &URLS, 2));
    place.expect(2, &command);
}

#[test]
fn the_check_of_a_policy_counts_faults_and_outages() {
    let place = Place::new();
    let log = TestLog::new("localhost");
    for (n, k, faults, failures, code) in
        [(1, 1, 1, 1, 0), (3, 2, 1, 2, 0), (3, 3, 3, 1, 0), (3, 1, 0, 3, 1), (4, 2, 0, 3, 1)]
    {
        let urls: Vec<String> = (1..=n).map(|number| format!("http://w{number}")).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        place.write("policy", policy(&[&log], &urls, k));
        let json = place.expect(code, "policy check policy --json");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["faultsToFork"], faults, "{k} of {n}");
        assert_eq!(json["failuresToStop"], failures, "{k} of {n}");
        assert_eq!(json["disjointQuorums"], code == 1);
        assert_eq!(json.get("exitCode").is_some(), code == 1);
        let text = place.expect(code, "policy check policy");
        assert!(text.contains("group all-of-them "), "{text}");
    }
    place.write("policy", "quorum none\n");
    place.expect(1, "policy check policy");
    place.expect(2, "policy check");
}

#[test]
fn the_check_of_a_policy_names_the_keys_of_one_witness() {
    let place = Place::new();
    let log = TestLog::new("localhost");
    for (urls, repeated) in [
        (["http://w1", "http://w1/", "http://w3"], json!([["w1", "w2"]])),
        (["http://w1", "http://w2", "http://w3"], json!([])),
    ] {
        place.write("policy", policy(&[&log], &urls, 3));
        let text = place.expect(0, "policy check policy");
        let json: Value =
            serde_json::from_str(&place.expect(0, "policy check policy --json")).unwrap();
        assert_eq!(json["repeatedWitnesses"], repeated);
        assert_eq!(json["faultsToFork"], 3 - repeated.as_array().unwrap().len());
        let warns = text.contains("\nwarning: w1, w2 are keys of one witness");
        assert_eq!(warns, json["faultsToFork"] == 2, "{text}");
    }
}

fn listed(log: &TestLog, name: &str, personality: &str, policy: Option<&str>) -> Value {
    let key: [u8; 32] = log.key().public_key_bytes().try_into().unwrap();
    let mut row = json!({
        "name": name,
        "personality": personality,
        "origin": log.origin.as_str(),
        "vkeys": [log.key().to_string()],
        "publicKey":
            log_cli::protojson::Bytes(log_cli::public_key::ed25519_spki(&key)).to_base64(),
        "state": "open",
        "startTime": "2026-11-22T00:00:00Z",
    });
    if let Some(policy) = policy {
        row["witnessPolicy"] = json!(policy);
    }
    row
}

#[test]
fn exported_policies_are_those_of_the_server() {
    let place = Place::new();
    let (log, raw) = (TestLog::new("localhost"), TestLog::new("raw"));
    // One key each, as logs have; the fixture's logs share theirs.
    let raw_key = log_core::NoteSigner::ed25519(log_core::KeyName::parse("raw").unwrap(), [8; 32]);
    let server = Server::start([].into());
    let text = raw.checkpoint(0);
    let text = SignedNote::parse(text.as_bytes()).unwrap().text().to_owned();
    let line = raw_key.sign(&text);
    let raw_note = SignedNote::new(text, vec![line]).unwrap().to_string();
    server.put("logs/rekor-v2/checkpoint", log.checkpoint(0).into_bytes());
    server.put("logs/raw/checkpoint", raw_note.into_bytes());
    let export = format!("trust export --url {} --out out", server.url);
    let rules = policy(&[], &URLS, 2);
    let with_log = policy(&[&TestLog::new("whatever")], &URLS, 2);
    let list = |of_log: Option<&str>, of_raw: Option<&str>| {
        let mut row = listed(&raw, "raw", "raw", of_raw);
        row["vkeys"] = json!([raw_key.verifier_key().to_string()]);
        let rows = json!({ "logs": [row, listed(&log, "rekor-v2", "rekor-v2", of_log)] });
        server.put("logs", rows.to_string().into_bytes());
    };
    let read = |name: &str| fs::read_to_string(place.path().join("out").join(name)).unwrap();
    let line = |log: &str, key: String| format!("log {key} {}/logs/{log}\n", server.url);
    let (v2, raw) =
        (line("rekor-v2", log.key().to_string()), line("raw", raw_key.verifier_key().to_string()));

    list(Some(&rules), Some(&with_log));
    let json: Value = serde_json::from_str(&place.expect(0, &format!("{export} --json"))).unwrap();
    assert_eq!(json["policies"], json!(["policy.txt"]));
    assert_eq!(read("policy.txt"), format!("{raw}{v2}{rules}"));
    place.expect(0, "policy check out/policy.txt");

    list(Some(&rules), None);
    place.expect(0, &export);
    assert_eq!(read("policy.txt"), format!("{v2}{rules}"));
    assert_eq!(read("raw.policy.txt"), format!("{raw}quorum none\n"));

    for bad in ["", "quorum nobody\n", "quorum none", "log x\nquorum none\n"] {
        list(Some(bad), None);
        place.expect(1, &format!("trust export --url {} --out refused", server.url));
        assert!(!place.exists("refused"));
    }
    let mut row = listed(&log, "rekor-v2", "rekor-v2", None);
    row["vkeys"] = json!([log.key().to_string(), witness(1).verifier_key().to_string()]);
    server.put("logs", json!({ "logs": [row] }).to_string().into_bytes());
    place.expect(1, &format!("trust export --url {} --out refused", server.url));
}

#[test]
fn a_proof_that_was_read_carries_the_cosignatures_of_the_checkpoint() {
    let place = Place::new();
    let log = TestLog::with_leaves("localhost", 300);
    let server = Server::start(files_of(&log));
    server.put("checkpoint", cosigned(&log.checkpoint(300), &[(1, 5), (3, 6)]).into_bytes());
    place.write("policy", policy(&[&log], &URLS, 2));
    place.write("leaf", log.leaves[7].as_bytes());
    place.expect(0, &format!("get --url {} --tlog-proof proof 7", server.url));
    let verify = "verify --tlog-proof proof --witness-policy policy --leaf";
    place.expect(0, &format!("{verify} leaf"));
    place.expect(1, &format!("{verify} file"));
    place.expect(1, &format!("{verify} leaf --cosignature-age-max-s 60"));
    place.expect(1, &format!("get --url {} --tlog-proof absent 300", server.url));
    assert!(!place.exists("absent"));
}

#[test]
fn a_submitted_proof_carries_the_cosignatures_of_the_answer() {
    let place = Place::new();
    place.expect(0, "keygen --algorithm ed25519 --out key");
    let signer = fs::read_to_string(place.path().join("key")).unwrap();
    let signer = log_cli::signer::Signer::from_pem(&signer).unwrap();
    let verifier = Verifier::PublicKey(signer.public_key().spki_der().to_vec());
    let mut log = TestLog::with_leaves("localhost", 30);
    let index = log.add(hashed_rekord(&signer, verifier).to_leaf().unwrap());
    let mut entry = log.entry(index, "hashedrekord");
    let checkpoint = entry.inclusion_proof.as_mut().unwrap().checkpoint.as_mut().unwrap();
    checkpoint.envelope = cosigned(&checkpoint.envelope, &[(2, 5), (3, 6)]);
    let server = Server::start([].into());
    *server.post.lock().unwrap() = (201, serde_json::to_vec(&entry).unwrap());
    place.write("policy", policy(&[&log], &URLS, 2));
    place.write("root", serde_json::to_string(&log.trusted_root()).unwrap());
    let submit = format!("submit --url {} --key key --bundle bundle", server.url);
    place.expect(0, &format!("{submit} --tlog-proof proof --trusted-root root file"));
    place.expect(0, &format!("{PROOF} --witness-policy policy"));
    place.expect(0, &format!("{BUNDLE} --witness-policy policy"));
    // The same, asked for at once.
    place.write("vkey", log.key().to_string());
    for trust in ["--trusted-root root", "--log-vkey vkey"] {
        let ask = format!("{submit} {trust} --witness-policy policy --json file");
        let answer: Value = serde_json::from_str(&place.expect(0, &ask)).unwrap();
        assert_eq!(answer["witnesses"][1]["name"], "w3");
    }
    place.expect(2, &format!("{submit} --witness-policy policy file"));
    // Too few: the entry is in the log all the same, so what belongs to it is kept.
    let ask =
        format!("submit --url {} --key key --bundle kept --tlog-proof kept-proof", server.url);
    let ask = format!("{ask} --trusted-root root --witness-policy policy");
    place.expect(1, &format!("{ask} --cosignature-age-max-s 60 file"));
    assert!(place.exists("kept") && place.exists("kept-proof"));
    place.write("policy", policy(&[&log], &URLS, 3));
    let text = place.expect(1, &format!("{ask} file"));
    assert!(text.starts_with("logged as entry 30 of localhost"), "{text}");
    place.expect(0, &BUNDLE.replace("bundle bundle", "bundle kept"));
}

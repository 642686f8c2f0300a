//! The binary itself: exit codes, and files written or not written.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use log_cli::protojson::Bytes;
use log_cli::public_key::ed25519_spki;
use log_cli::signer::Signer;
use log_core::entry::Verifier;
use serde_json::{Value, json};

use crate::fixture::{FILE, TestLog, hashed_rekord, key_bundle};
use crate::served::{Server, files_of};

/// A directory to work in, and `cairn` in it.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("file", FILE);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    pub(crate) fn cairn(&self, arguments: &str) -> Output {
        self.cairn_with(&arguments.split(' ').collect::<Vec<_>>())
    }

    fn cairn_with(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.current_dir(self.path()).args(arguments).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &str) -> String {
        self.expect_of(code, &arguments.split(' ').collect::<Vec<_>>())
    }

    /// The same for arguments that may hold spaces.
    #[track_caller]
    pub(crate) fn expect_of(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cairn_with(arguments);
        let arguments = arguments.join(" ");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
        if code == 1 || code == 3 {
            assert!(stderr.starts_with("cairn: "), "{stderr}");
        }
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn signer(&self) -> Signer {
        self.expect(0, "keygen --out key");
        Signer::from_pem(&fs::read_to_string(self.path().join("key")).unwrap()).unwrap()
    }
}

#[test]
fn wrong_usage_is_two() {
    let place = Place::new();
    for arguments in [
        "nonsense",
        "keygen",
        "verify file",
        "verify --bundle b --trusted-root r file",
        "verify --bundle b --key k file",
        "verify --bundle b --trusted-root r --key k",
        "verify --bundle b --trusted-root r --certificate-identity me file",
        "verify --bundle b --trusted-root r --key k --certificate-identity me \
         --certificate-oidc-issuer i file",
        "verify --tlog-proof p --leaf file",
        "verify --tlog-proof p --log-vkey nonsense --leaf file",
        "verify --bundle b --trusted-root r --key k --cosignature-age-max-s 5 file",
        "get --url http://localhost:1 --origin o 1",
        "fsck --url http://localhost:1",
        "checkpoint --url nonsense",
        "submit --url http://localhost:1 --key k --bundle b --certificate c file",
        "trust export --url http://localhost:1 --out o --certificate-authority c",
    ] {
        place.expect(2, arguments);
    }
}

#[test]
fn what_cannot_be_told_is_three() {
    let place = Place::new();
    place.signer();
    place.write("root", TestLogJson::root());
    place.write("broken", b"{");
    place.expect(3, "verify --bundle absent --trusted-root root --key key.pub file");
    place.expect(3, "verify --bundle file --trusted-root absent --key key.pub file");
    place.expect(3, "verify --bundle file --trusted-root broken --key key.pub file");
    place.expect(3, "verify --bundle file --trusted-root root --key file file");
    place.expect(3, "checkpoint --url http://localhost:1");
    place.expect(3, "submit --url http://localhost:1 --key key --bundle b file");
    place.expect(3, "submit --url http://localhost:1 --key file --bundle b file");
    place.expect(3, "trust export --url http://localhost:1 --out out");
    place.expect(3, "keygen --out key");
    assert!(!place.exists("b") && !place.exists("out"));
}

struct TestLogJson;

impl TestLogJson {
    fn root() -> String {
        serde_json::to_string(&TestLog::new("localhost").trusted_root()).unwrap()
    }
}

#[test]
fn verify_answers_by_its_exit_code() {
    let place = Place::new();
    let signer = place.signer();
    let mut log = TestLog::with_leaves("localhost", 3);
    place.write("bundle", key_bundle(&signer, &mut log).to_json());
    place.write("root", TestLogJson::root());
    let command = "verify --bundle bundle --trusted-root root --key key.pub";
    let json: Value =
        serde_json::from_str(&place.expect(0, &format!("--json {command} file"))).unwrap();
    assert_eq!(json["index"], 3);
    place.write("other", b"other");
    place.expect(1, &format!("{command} other"));
    let json: Value =
        serde_json::from_str(&place.expect(1, &format!("{command} other --json"))).unwrap();
    assert_eq!(json["exitCode"], 1);
    place.write("bundle", b"not a bundle");
    place.expect(1, &format!("{command} file"));
}

#[test]
fn submit_writes_only_what_it_has_verified() {
    let place = Place::new();
    let signer = place.signer();
    let mut log = TestLog::with_leaves("localhost", 300);
    place.write("vkey", log.key().to_string());
    place.write("root", TestLogJson::root());
    let server = Server::start(HashMap::new());
    // RSA and Ed25519 signatures repeat; an ECDSA one does not, so any other entry must be refused.
    let stranger =
        hashed_rekord(&signer, Verifier::PublicKey(signer.public_key().spki_der().to_vec()));
    let index = log.add(stranger.to_leaf().unwrap());
    let entry = serde_json::to_vec(&log.entry(index, "hashedrekord")).unwrap();
    let refusals: [(u16, Vec<u8>, i32); 7] = [
        (201, entry, 1),
        (201, b"{}".to_vec(), 1),
        (201, b"garbage".to_vec(), 1),
        (400, b"{\"code\":3}".to_vec(), 1),
        (409, b"exists".to_vec(), 1),
        (503, b"busy".to_vec(), 3),
        (500, b"\x1b[2Jbroken".to_vec(), 3),
    ];
    for (status, body, code) in refusals {
        *server.post.lock().unwrap() = (status, body);
        for trust in ["", " --log-vkey vkey", " --trusted-root root"] {
            let url = &server.url;
            place.expect(
                code,
                &format!("submit --url {url} --key key --bundle b --tlog-proof p{trust} file"),
            );
            assert!(!place.exists("b") && !place.exists("p") && !place.exists("b.partial"));
        }
    }
}

#[test]
fn deterministic_submissions_are_logged_and_proved() {
    let place = Place::new();
    place.expect(0, "keygen --algorithm ed25519 --out key");
    let signer = fs::read_to_string(place.path().join("key")).unwrap();
    let signer = Signer::from_pem(&signer).unwrap();
    let verifier = Verifier::PublicKey(signer.public_key().spki_der().to_vec());
    let mut log = TestLog::with_leaves("localhost", 300);
    let index = log.add(hashed_rekord(&signer, verifier).to_leaf().unwrap());
    let server = Server::start(HashMap::new());
    place.write("vkey", log.key().to_string());
    place.write("root", TestLogJson::root());
    let entry = log.entry(index, "hashedrekord");
    *server.post.lock().unwrap() = (201, serde_json::to_vec(&entry).unwrap());
    let submit =
        format!("submit --url {} --key key --bundle b --tlog-proof p --log-vkey", server.url);
    place.expect(0, &format!("{submit} vkey file"));
    place.expect(0, "verify --bundle b --trusted-root root --key key.pub file");
    place.expect(0, "verify --tlog-proof p --log-vkey vkey --key key.pub file");
    place.write("leaf", log.leaves[index].as_bytes());
    place.expect(0, "verify --tlog-proof p --log-vkey vkey --leaf leaf");
    place.expect(1, "verify --tlog-proof p --log-vkey vkey --leaf file");
    place.expect(1, "verify --tlog-proof p --log-vkey vkey --origin other --leaf leaf");
    place.expect(0, "keygen --out another");
    place.expect(1, "verify --tlog-proof p --log-vkey vkey --key another.pub file");
    place.write("other", b"other");
    place.expect(1, "verify --tlog-proof p --log-vkey vkey --key key.pub other");
    place.write("othervkey", TestLog::new("elsewhere").key().to_string());
    place.expect(1, &format!("{submit} othervkey file"));
    let mut unproved = entry;
    unproved.inclusion_proof.as_mut().unwrap().hashes[0].0[0] ^= 1;
    *server.post.lock().unwrap() = (201, serde_json::to_vec(&unproved).unwrap());
    place.expect(1, &format!("{submit} vkey file"));
}

#[test]
fn reading_commands_tell_an_honest_log_from_others() {
    let place = Place::new();
    let log = TestLog::with_leaves("localhost", 700);
    let server = Server::start(files_of(&log));
    let url = &server.url;
    place.write("vkey", log.key().to_string());
    place.write("old", log.checkpoint(300));
    place.write("empty", log.checkpoint(0));
    place.write("newer", TestLog::with_leaves("localhost", 701).checkpoint(701));
    let mut fork = TestLog::with_leaves("localhost", 299);
    fork.add(log_core::Leaf::new(b"fork".to_vec()).unwrap());
    place.write("fork", fork.checkpoint(300));
    place.write("garbage", b"garbage");
    let log_args = format!("--url {url} --log-vkey vkey");
    assert!(place.expect(0, &format!("checkpoint {log_args}")).starts_with("localhost\n700\n"));
    assert!(place.expect(0, &format!("get {log_args} 699")).contains("leaf 699"));
    place.expect(1, &format!("get {log_args} 700"));
    for old in ["old", "empty"] {
        place.expect(0, &format!("consistency {log_args} --old {old}"));
    }
    for old in ["newer", "fork", "garbage"] {
        place.expect(1, &format!("consistency {log_args} --old {old}"));
    }
    let fsck = format!("fsck {log_args}");
    assert!(place.expect(0, &fsck).contains("700 entries and 4 tiles"));
    let paths: Vec<String> = server.files.lock().unwrap().keys().cloned().collect();
    for path in paths {
        server.flip(&path);
        place.expect(1, &fsck);
        server.flip(&path);
        if path != "checkpoint" {
            let removed = server.files.lock().unwrap().remove(&path).unwrap();
            place.expect(1, &fsck);
            server.put(&path, removed);
        }
    }
    place.expect(0, &fsck);
}

fn listed(log: &TestLog) -> Value {
    let key: [u8; 32] = log.key().public_key_bytes().try_into().unwrap();
    json!({ "logs": [{
        "name": "rekor-v2",
        "personality": "rekor-v2",
        "origin": "localhost",
        "vkeys": [log.key().to_string()],
        "publicKey": Bytes(ed25519_spki(&key)).to_base64(),
        "state": "open",
        "startTime": "2026-11-22T00:00:00.123456789Z",
        "size": 0,
    }]})
}

#[test]
fn exported_trust_verifies_bundles_and_bad_lists_are_refused() {
    let place = Place::new();
    let signer = place.signer();
    let mut log = TestLog::with_leaves("localhost", 3);
    place.write("bundle", key_bundle(&signer, &mut log).to_json());
    let server = Server::start(HashMap::new());
    let good = listed(&log);
    server.put("logs", good.to_string().into_bytes());
    server.put("logs/rekor-v2/checkpoint", log.checkpoint(2).into_bytes());
    let export = format!("trust export --url {}", server.url);
    place.write("ct.pub", fs::read(place.path().join("key.pub")).unwrap());
    place.expect(0, &format!("{export} --out out --ct-log ct.pub --operator me"));
    place.expect(
        0,
        "verify --bundle bundle --trusted-root out/trusted_root.json --key key.pub file",
    );
    let read = |name: &str| fs::read_to_string(place.path().join("out").join(name)).unwrap();
    let config: Value = serde_json::from_str(&read("signing_config.json")).unwrap();
    let rekor = &config["rekorTlogUrls"][0];
    assert_eq!((&rekor["url"], &rekor["majorApiVersion"]), (&json!(server.url), &json!(2)));
    assert_eq!(rekor["operator"], "me");
    assert_eq!(rekor["validFor"]["start"], "2026-11-22T00:00:00Z");
    let both: Value = serde_json::from_str(&read("trust_config.json")).unwrap();
    assert_eq!(both["signingConfig"], config);
    assert_eq!(both["trustedRoot"]["ctlogs"].as_array().unwrap().len(), 1);
    assert_eq!(read("rekor-v2.vkey").trim(), log.key().to_string());
    let policy = format!("log {} {}/logs/rekor-v2\nquorum none\n", log.key(), server.url);
    assert_eq!(read("policy.txt"), policy);

    let other = TestLog::new("elsewhere").key().to_string();
    let changes = [
        ("/logs", json!([])),
        ("/logs/0/vkeys", json!([])),
        ("/logs/0/vkeys", json!([other])),
        ("/logs/0/vkeys", json!(["garbage"])),
        ("/logs/0/publicKey", json!("AAAA")),
        ("/logs/0/origin", json!("elsewhere")),
        ("/logs/0/origin", json!("a b/c")),
        ("/logs/0/name", json!("../../escape")),
        ("/logs/0/startTime", json!("yesterday")),
        ("/logs/0/personality", json!("raw")),
    ];
    for (pointer, value) in changes {
        let mut list = good.clone();
        *list.pointer_mut(pointer).unwrap() = value;
        server.put("logs", list.to_string().into_bytes());
        place.expect(1, &format!("{export} --out refused"));
        assert!(!place.exists("refused"), "{pointer}");
    }
    server.put("logs", good.to_string().into_bytes());
    server.flip("logs/rekor-v2/checkpoint");
    place.expect(1, &format!("{export} --out refused"));
}

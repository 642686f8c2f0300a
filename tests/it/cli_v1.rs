//! `cairn` and a Rekor v1 log: submit, verify offline, read, search, and the log's tiles.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::sha256;
use log_tests::{DataDir, Request, ServerProcess, SubmissionMakerV1, process};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with both logs, what it exports, and a directory to work in.
struct Scene {
    _dir: DataDir,
    server: ServerProcess,
    place: TempDir,
    origin: String,
}

impl Scene {
    fn new() -> Self {
        let dir = DataDir::init("localhost");
        let server = dir.start();
        let place = tempfile::tempdir().expect("a directory");
        let info: Value = server.get("/api/v1/log").expect(200).json();
        let note = info["signedTreeHead"].as_str().expect("a note");
        let origin = note.lines().next().expect("an origin").to_owned();
        let scene = Self { _dir: dir, server, place, origin };
        scene.write("file", "a file\n");
        scene.run(0, &["keygen", "--out", "key"]);
        scene.run(0, &["trust", "export", "--url", &scene.url(), "--out", "trust"]);
        scene
    }

    /// By name, so that it is the host that the log is of.
    fn url(&self) -> String {
        format!("http://localhost:{}", self.server.listen().port())
    }

    fn tiles(&self) -> String {
        format!("{}/logs/rekor-v1", self.url())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the file is written");
    }

    fn cairn(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(process::program("cairn"));
        command.current_dir(self.place.path()).args(arguments).output().expect("cairn runs")
    }

    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cairn(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(0, &[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    }

    /// `cairn submit --api v1` with these arguments.
    #[track_caller]
    fn submit(&self, arguments: &[&str]) -> Value {
        let url = self.url();
        let first = ["submit", "--api", "v1", "--url", &url];
        self.json(&[&first[..], &ROOT, arguments].concat())
    }

    /// `cairn search` with these arguments.
    #[track_caller]
    fn search(&self, code: i32, arguments: &[&str]) -> Value {
        let url = self.url();
        let first = ["search", "--url", &url, "--log-key", "trust/rekor-v1.pub", "--json"];
        let text = self.run(code, &[&first[..], arguments].concat());
        serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
    }

    /// A statement about `file`.
    fn write_statement(&self, name: &str) {
        let digest = sha256(b"a file\n").to_string();
        let statement = json!({ "subject": [{ "name": name, "digest": { "sha256": digest } }] });
        self.write(name, statement.to_string());
    }
}

const ROOT: [&str; 2] = ["--trusted-root", "trust/trusted_root.json"];

/// The bytes of a base64 text.
fn base64_of(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("text")).expect("base64")
}

fn indices(found: &Value) -> Vec<u64> {
    let entries = found["entries"].as_array().expect("entries");
    entries.iter().map(|entry| entry["index"].as_u64().expect("an index")).collect()
}

#[test]
fn signatures_of_every_key_are_logged_and_verify_offline() {
    let scene = Scene::new();
    for algorithm in ["p256", "p384", "p521", "ed25519"] {
        let key = format!("{algorithm}.key");
        let public = format!("{key}.pub");
        scene.run(0, &["keygen", "--algorithm", algorithm, "--out", &key]);
        let answer =
            scene.submit(&["--key", &key, "--bundle", "b", "--legacy-bundle", "l", "file"]);
        assert_eq!(answer["new"], true, "{algorithm}");
        for bundle in ["b", "l"] {
            for trust in [ROOT, ["--log-key", "trust/rekor-v1.pub"]] {
                let verify = ["verify", "--bundle", bundle, trust[0], trust[1], "--key"];
                let verified = scene.json(&[&verify[..], &[&public, "file"]].concat());
                assert_eq!(verified["index"], answer["index"]);
                assert_eq!(verified["integratedTime"], answer["time"]);
                assert_eq!(verified.get("treeSize").is_some(), bundle == "b");
                scene.run(1, &[&verify[..], &[&public, "key"]].concat());
                scene.run(1, &[&verify[..], &["key.pub", "file"]].concat());
            }
        }
    }
    // The last key's signature repeats: the log has it, and says where.
    let again = scene.submit(&["--key", "ed25519.key", "--bundle", "b", "file"]);
    assert_eq!((&again["new"], &again["index"]), (&json!(false), &json!(3)));
    scene
        .run(0, &["verify", "--bundle", "b", ROOT[0], ROOT[1], "--key", "ed25519.key.pub", "file"]);
}

#[test]
fn attestations_and_older_kinds_are_logged() {
    let scene = Scene::new();
    for (number, kind) in ["dsse", "intoto"].into_iter().enumerate() {
        scene.write_statement(kind);
        let answer = scene.submit(&["--kind", kind, "--key", "key", "--bundle", "b", kind]);
        assert_eq!((&answer["kind"], &answer["index"]), (&json!(kind), &json!(number)));
        let verify = ["verify", "--bundle", "b", ROOT[0], ROOT[1], "--key", "key.pub"];
        scene.run(0, &[&verify[..], &["file"]].concat());
        scene.run(1, &[&verify[..], &["key"]].concat());
    }
    let rekord = scene.submit(&["--kind", "rekord", "--key", "key", "--answer", "a", "file"]);
    assert_eq!(rekord["digest"], format!("sha256:{}", sha256(b"a file\n")));
    let kept = fs::read(scene.path("a")).expect("the answer");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    assert!(kept.get(rekord["entryId"].as_str().expect("an id")).is_some());
    // Both are found by what the statement is about, which is nowhere in the log.
    let found = scene.search(0, &["--artifact", "file"]);
    assert_eq!(indices(&found), [0, 1, 2]);
    let shown = found["entries"].as_array().expect("entries").iter();
    let shown: Vec<_> = shown.map(|entry| entry["shownByItself"] == true).collect();
    assert_eq!(shown, [false, false, true]);
}

#[test]
fn recorded_requests_are_sent_as_they_are() {
    let scene = Scene::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/rekor-v1.json");
    let vectors = fs::read(vectors).expect("the vectors");
    let vectors: Value = serde_json::from_slice(&vectors).expect("JSON");
    let cases = vectors["cases"].as_array().expect("cases");
    // The kinds that a log takes unless it is told otherwise.
    let kinds = ["hashedrekord", "dsse", "intoto", "rfc3161"];
    let cases = cases.iter().filter(|case| kinds.contains(&case["kind"].as_str().expect("it")));
    let mut logged = 0;
    for case in cases {
        scene.write("entry", case["request"].to_string());
        let answer = scene.submit(&["--entry", "entry"]);
        assert_eq!(answer["leafHash"], case["leafHash"], "{}", case["name"]);
        assert_eq!(answer["new"], true, "{}", case["name"]);
        assert_eq!(scene.submit(&["--entry", "entry"])["new"], false, "{}", case["name"]);
        logged += 1;
    }
    assert!(logged >= 20);
    let response = vectors["cases"].as_array().expect("cases").iter();
    let response = response.filter(|case| case["kind"] == "rfc3161").nth(1).expect("a case");
    scene.write("timestamp", base64_of(&response["request"]["spec"]["tsr"]["content"]));
    let answer = scene.submit(&["--kind", "rfc3161", "timestamp"]);
    assert_eq!((&answer["new"], &answer["leafHash"]), (&json!(false), &response["leafHash"]));
    let (url, entry) = (scene.url(), "entry");
    scene.write(entry, "{\"apiVersion\":\"0.0.1\",\"kind\":\"unknown\",\"spec\":{}}");
    scene.run(1, &["submit", "--api", "v1", "--url", &url, ROOT[0], ROOT[1], "--entry", entry]);
}

/// A key and its certificate for this name.
fn certify(scene: &Scene, name: &str) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::Rfc822Name(name.try_into().expect("a name"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let certificate = params.self_signed(&key).expect("a certificate");
    scene.write("certified.key", key.serialize_pem());
    scene.write("certificate", certificate.pem());
}

#[test]
fn a_search_finds_by_hash_key_and_name() {
    let scene = Scene::new();
    certify(&scene, "Dev@Example.test");
    for _ in 0..3 {
        scene.submit(&["--key", "key", "--bundle", "b", "file"]);
    }
    let certified = ["--key", "certified.key", "--certificate", "certificate", "--bundle", "c"];
    scene.submit(&[&certified[..], &["file"]].concat());
    scene.submit(&[&certified[..], &["key.pub"]].concat());
    let hash = sha256(b"a file\n").to_string();
    for (question, found) in [
        (vec!["--artifact", "file"], vec![0, 1, 2, 3]),
        (vec!["--hash", &hash], vec![0, 1, 2, 3]),
        (vec!["--hash", &hash, "--limit", "3"], vec![0, 1, 2]),
        (vec!["--public-key", "key.pub"], vec![0, 1, 2]),
        (vec!["--public-key", "certificate"], vec![3, 4]),
        (vec!["--email", "dev@example.test"], vec![3, 4]),
        (vec!["--subject", "dev@example.test"], vec![3, 4]),
        (vec!["--email", "dev@example.test", "--artifact", "file"], vec![0, 1, 2, 3, 4]),
        (vec!["--email", "dev@example.test", "--artifact", "file", "--and"], vec![3]),
    ] {
        let answer = scene.search(0, &question);
        assert_eq!(indices(&answer), found, "{question:?}");
        assert_eq!(answer["mayHaveMore"], question.contains(&"--limit"), "{question:?}");
    }
    let shown = scene.search(0, &["--email", "dev@example.test", "--limit", "1"]);
    let first = &shown["entries"][0];
    assert_eq!(first["identities"], json!(["Dev@Example.test"]));
    assert_eq!(first["log"], scene.origin);
    let url = scene.url();
    let lines = scene.run(0, &["search", "--url", &url, ROOT[0], ROOT[1], "--artifact", "file"]);
    assert_eq!(lines.lines().count(), 4);
    let first = lines.lines().next().expect("a line");
    assert!(first.contains("  hashedrekord  key SHA-256 "), "{first}");
    scene.search(1, &["--artifact", "key"]);
    scene.search(1, &["--email", "nobody@example.test"]);
    // What the log does not take as a question says nothing about its entries.
    scene.search(3, &["--hash", "xyz"]);
    scene.search(3, &["--public-key", "file"]);
    scene.search(3, &["--public-key", "key.pub", "--format", "pgp"]);
}

#[test]
fn a_search_goes_through_pages() {
    let scene = Scene::new();
    let mut maker = SubmissionMakerV1::certified(&["many@example.test"]);
    for _ in 0..35 {
        let entry = maker.hashedrekord().request;
        let request =
            Request::post("/api/v1/log/entries", entry).header("content-type", "application/json");
        scene.server.send(&request).expect(201);
    }
    let all: Vec<u64> = (0..35).collect();
    for limit in [1, 9, 10, 11, 34, 35, 36, 5_000] {
        let question = ["--email", "many@example.test", "--limit", &limit.to_string()];
        let answer = scene.search(0, &question);
        let expected = &all[..all.len().min(limit)];
        assert_eq!(indices(&answer), expected, "{limit}");
        assert_eq!(answer["mayHaveMore"], limit < 35, "{limit}");
    }
}

#[test]
fn an_entry_is_read_by_api_and_by_tiles() {
    let scene = Scene::new();
    let answer = scene.submit(&["--key", "key", "--bundle", "b", "file"]);
    let id = answer["entryId"].as_str().expect("an id");
    let (url, tiles, leaf_hash) = (scene.url(), scene.tiles(), &id[16..]);
    for way in [["--api", "v1", "0"].as_slice(), &["--uuid", id], &["--uuid", leaf_hash]] {
        let get = ["get", "--url", &url, "--log-key", "trust/rekor-v1.pub"];
        let entry = scene.json(&[&get[..], way].concat());
        assert_eq!((&entry["entryId"], &entry["body"]), (&json!(id), &answer["body"]));
    }
    let upper = id.to_uppercase();
    scene.run(0, &["get", "--url", &url, ROOT[0], ROOT[1], "--uuid", &upper]);
    let of_v2 = scene.path("trust/rekor-v2.vkey").display().to_string();
    scene.run(2, &["get", "--url", &url, "--api", "v1", "--log-vkey", &of_v2, "0"]);
    let absent = format!("{}{}", &id[..16], "00".repeat(32));
    for absent in [["--api", "v1", "1"].as_slice(), &["--uuid", &absent]] {
        scene.run(1, &[&["get", "--url", &url, ROOT[0], ROOT[1]][..], absent].concat());
    }
    let of_tiles = ["--log-vkey", "trust/rekor-v1.vkey", "--origin", &scene.origin];
    let get = [&["get", "--url", &tiles][..], &of_tiles, &["0", "--tlog-proof", "p"]].concat();
    assert_eq!(scene.json(&get)["body"], answer["body"]);
    scene.write("leaf", base64_of(&answer["body"]));
    let verify = ["verify", "--tlog-proof", "p", "--leaf", "leaf"];
    scene.run(0, &[&verify[..], &of_tiles].concat());
}

#[test]
fn the_tiles_of_the_log_are_checked_with_the_key_of_its_witnesses() {
    let scene = Scene::new();
    let tiles = scene.tiles();
    let trust = ["--url", &tiles, "--log-vkey", "trust/rekor-v1.vkey", "--origin", &scene.origin];
    scene.submit(&["--key", "key", "--bundle", "b", "file"]);
    let old = scene.run(0, &[&["checkpoint"][..], &trust].concat());
    assert!(old.starts_with(&format!("{}\n1\n", scene.origin)), "{old}");
    scene.write("old", &old);
    for _ in 0..3 {
        scene.submit(&["--key", "key", "--bundle", "b", "file"]);
    }
    assert!(scene.run(0, &[&["fsck"][..], &trust].concat()).contains("4 entries"));
    let consistency = ["consistency", "--old", "old"];
    let said = scene.run(0, &[&consistency[..], &trust].concat());
    assert!(said.contains("size 1 is the beginning of size 4"), "{said}");
    for command in [["checkpoint"].as_slice(), &["fsck"], &consistency] {
        // The name of the key is not the origin, and the other log's key is not this one's.
        scene.run(1, &[command, &trust[..4]].concat());
        let mut other = trust;
        other[3] = "trust/rekor-v2.vkey";
        scene.run(1, &[command, &other].concat());
    }
    let policy = ["--policy", "trust/policy.txt", "--state", "state"];
    let audit = ["audit", "--url", &tiles, "--origin", &scene.origin];
    // Alone at first; the second audit has the past to compare with.
    scene.run(3, &[&audit[..], &policy].concat());
    scene.submit(&["--key", "key", "--bundle", "b", "file"]);
    let said = scene.run(0, &[&audit[..], &policy].concat());
    assert!(said.contains("consistent"), "{said}");
}

#[test]
fn what_is_exported_fits_both_logs_and_neither_takes_the_others_bundles() {
    let scene = Scene::new();
    let url = scene.url();
    let v2 = ["submit", "--url", &url, "--key", "key", "--bundle", "v2", ROOT[0], ROOT[1], "file"];
    scene.run(0, &v2);
    scene.submit(&["--key", "key", "--bundle", "v1", "file"]);
    let root = fs::read(scene.path("trust/trusted_root.json")).expect("a root");
    let root: Value = serde_json::from_slice(&root).expect("JSON");
    let tlogs = root["tlogs"].as_array().expect("logs");
    assert_eq!(tlogs.len(), 2);
    for (name, tlog) in ["only-v2", "only-v1"].into_iter().zip(tlogs) {
        let mut only = root.clone();
        only["tlogs"] = json!([tlog]);
        scene.write(name, only.to_string());
    }
    for bundle in ["v1", "v2"] {
        for (root, code) in [("trust/trusted_root.json", 0), ("only-v1", 1), ("only-v2", 1)] {
            let code = if root.ends_with(bundle) { 0 } else { code };
            let verify = ["verify", "--bundle", bundle, "--trusted-root", root, "--key"];
            scene.run(code, &[&verify[..], &["key.pub", "file"]].concat());
        }
    }
    let served = scene.server.get("/api/v1/log/publicKey").expect(200);
    assert_eq!(fs::read(scene.path("trust/rekor-v1.pub")).expect("a key"), served.body);
    // A client of v1 at the log of v2 finds nobody to talk to, and the other way round.
    let wrong = ["submit", "--api", "v1", "--url", &scene.tiles(), "--key", "key", "--bundle", "x"];
    assert_ne!(scene.cairn(&[&wrong[..], &["file"]].concat()).status.code(), Some(0));
    assert!(!scene.path("x").exists());
}

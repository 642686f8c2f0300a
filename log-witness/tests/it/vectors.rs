//! The published vectors, request by request against the real server: `tests/vectors/c2sp.json`.

use std::fs;

use log_core::evidence::{Evidence, EvidenceRole};
use log_core::key::VerifierKey;
use log_core::note::{SignedNote, parse_signature_lines};
use log_core::{Cosignature, Origin};
use log_witness::admin::{NewLog, Order, Report};
use log_witness::keys::WitnessKeys;
use log_witness::log_list::LogList;
use serde_json::Value;

use crate::client::{get, post};
use crate::rig::{Rig, Served};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/c2sp.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path}"))
}

/// The witness of the vectors: their keys, their one log, no state.
struct Vectors {
    vectors: Value,
    rig: Rig,
    keys: Vec<VerifierKey>,
}

impl Vectors {
    fn new() -> Self {
        let vectors = vectors();
        let rig = Rig::of_keys(false);
        let path = rig.data_dir().join("keys");
        let state_id = fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().to_owned();
        let ed25519 = text(&vectors, "/keys/witness/signer_key_type_04");
        let pq_name = text(&vectors, "/keys/witness_mldsa/name");
        let pq_vkey = VerifierKey::parse(text(&vectors, "/keys/witness_mldsa/vkey")).unwrap();
        let seed = text(&vectors, "/keys/witness_mldsa/seed_hex");
        let pq = signer_key(pq_name, &pq_vkey.id().to_string(), 6, seed);
        let keys = format!("cairn/witness-keys@v1\n{state_id}\n{ed25519}\n{pq}\n");
        fs::write(&path, keys).unwrap();
        let keys = WitnessKeys::load(&path).unwrap().verifier_keys().cloned().collect();
        Self { vectors, rig, keys }
    }

    fn serve(&self) -> Served {
        let served = self.rig.serve();
        let new = NewLog {
            origin: text(&self.vectors, "/keys/log/name").into(),
            vkeys: vec![text(&self.vectors, "/keys/log/vkey").into()],
        };
        let order = Order::AddLogs { logs: vec![new], add_key: false, never_cosigned: false };
        assert!(matches!(served.order(order), Report::Added { added: 1, .. }));
        served
    }

    fn steps(&self, what: &str) -> &[Value] {
        self.vectors.pointer(&format!("/{what}/steps")).unwrap().as_array().unwrap()
    }
}

fn signer_key(name: &str, id: &str, key_type: u8, seed_hex: &str) -> String {
    use base64::Engine as _;
    let seed = log_core::Hash::from_hex(seed_hex).unwrap();
    let value = [&[key_type][..], seed.as_bytes()].concat();
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    format!("PRIVATE+KEY+{name}+{id}+{value}")
}

#[test]
fn add_checkpoint_vectors() {
    let this = Vectors::new();
    let served = this.serve();
    let origin = Origin::parse(text(&this.vectors, "/keys/log/name")).unwrap();
    let log_key = VerifierKey::parse(text(&this.vectors, "/keys/log/vkey")).unwrap();
    let evidence_path =
        format!("/{}/evidence", text(&this.vectors, "/identifiers/monitoring_origin_hash"));
    let mut known = 0;
    for step in this.steps("add_checkpoint") {
        let name = text(step, "/name");
        let request = text(step, "/request");
        let answer = served.add_checkpoint(request);
        assert_eq!(Some(u64::from(answer.status)), step["status"].as_u64(), "{name}");
        if let Some(body) = step["body"].as_str() {
            assert_eq!(answer.body, body, "{name}");
        }
        if let Some(content_type) = step["content_type"].as_str() {
            assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
        }
        if answer.status == 200 {
            let note = request.split_once("\n\n").unwrap().1;
            let note = SignedNote::parse(note.as_bytes()).unwrap();
            let lines = parse_signature_lines(answer.body.as_bytes()).unwrap();
            assert_eq!(lines.len(), this.keys.len(), "{name}");
            for (key, line) in this.keys.iter().zip(&lines) {
                assert!(Cosignature::verify(key, note.text(), &line.signature).is_ok(), "{name}");
            }
        }
        let ids = get(served.address, &evidence_path);
        let ids: Vec<&str> =
            if ids.status == 200 { ids.body.lines().collect() } else { Vec::new() };
        match step["evidence"].as_str() {
            None => assert_eq!(ids.len(), known, "{name}"),
            Some(kind) => {
                known += 1;
                assert_eq!(ids.len(), known, "{name}");
                let file = get(served.address, &format!("{evidence_path}/{}", ids[known - 1]));
                let file = Evidence::parse(file.body.as_bytes()).unwrap();
                assert_eq!(file.kind().as_str(), kind, "{name}");
                let keys = [log_key.clone()];
                assert!(file.verify(EvidenceRole::Log, &origin, &keys).is_ok(), "{name}");
            }
        }
    }
    assert_eq!(known, 3, "the vectors hold evidence");
}

#[test]
fn monitoring_get_vector() {
    let this = Vectors::new();
    let served = this.serve();
    let path = text(&this.vectors, "/monitoring_get/path");
    assert_eq!(get(served.address, path).status, 404);
    let mut size_5 = None;
    for step in this.steps("add_checkpoint") {
        let (name, request) = (text(step, "/name"), text(step, "/request"));
        let answer = served.add_checkpoint(request);
        if name.starts_with("size 5, with 15 unknown lines and a forged line") {
            size_5 = Some((request.split_once("\n\n").unwrap().1.to_owned(), answer.body));
        }
    }
    let (submitted, own_lines) = size_5.expect("the vectors hold the forged line");
    let (checkpoint, lines) = submitted.rsplit_once("\n\n").unwrap();
    let log_name = text(&this.vectors, "/keys/log/name");
    let log_line = lines.lines().find(|line| line.contains(log_name)).unwrap();
    let answer = get(served.address, path);
    // The verified line of the log and the own ones: no unknown line, no forged one.
    assert_eq!(answer.body, format!("{checkpoint}\n\n{log_line}\n{own_lines}"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let other = format!("/{}/checkpoint", text(&this.vectors, "/identifiers/distributor_log_id"));
    assert_eq!(get(served.address, &other).status, 404);
}

#[test]
fn sign_subtree_vectors() {
    let this = Vectors::new();
    let served = this.serve();
    for step in this.steps("sign_subtree") {
        let name = text(step, "/name");
        let answer = post(served.address, "/sign-subtree", text(step, "/request"));
        assert_eq!(Some(u64::from(answer.status)), step["status"].as_u64(), "{name} {answer:?}");
        if answer.status == 200 {
            let lines = parse_signature_lines(answer.body.as_bytes()).unwrap();
            let key = &this.keys[1];
            assert_eq!(lines.len(), 1, "{name}");
            assert_eq!((lines[0].id, &lines[0].name), (key.id(), key.name()), "{name}");
            let request = text(step, "/request").as_bytes();
            let request = log_core::SignSubtreeRequest::parse(request).unwrap();
            let origin = Origin::parse(text(&this.vectors, "/keys/log/name")).unwrap();
            log_core::cosignature::verify_subtree(
                key,
                &origin,
                request.subtree,
                &request.hash,
                &lines[0].signature,
            )
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[test]
fn log_list_vector() {
    let vectors = vectors();
    let list = LogList::parse(text(&vectors, "/log_list/text").as_bytes()).unwrap();
    let expected = vectors["log_list"]["logs"].as_array().unwrap();
    assert_eq!(list.logs.len(), expected.len());
    assert_eq!(list.skipped, [""; 0]);
    for (log, expected) in list.logs.iter().zip(expected) {
        assert_eq!(log.origin.as_str(), text(expected, "/origin"));
        assert_eq!(log.key.to_string(), text(expected, "/vkey"));
        assert_eq!(Some(log.requests_per_day), expected["qpd"].as_u64());
    }
}

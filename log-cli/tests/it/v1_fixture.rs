//! A Rekor v1 log in memory, and what it answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use log_cli::artefact::{Artefact, hex};
use log_cli::bundle::{
    Bundle, MEDIA_TYPE, MessageDigest, MessageSignature, PublicKeyHint, VerificationMaterial,
};
use log_cli::log_entry::LogEntry;
use log_cli::pem::to_pem;
use log_cli::protojson::Bytes;
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::trusted_root::{LogInstance, TimeRange, TrustedRoot};
use log_cli::v1::answer::parse_one;
use log_core::entry::HashAlgorithm;
use log_core::hash::hash_leaf;
use log_core::tree::{TreeHead, TreeSize};
use log_core::{
    Checkpoint, EntryId, EntryTimestamp, Hash, KeyName, LeafIndex, NoteSignature, Origin,
    SignedNote, TreeId, VerifierKey,
};
use serde_json::{Value, json};

use crate::fixture::{FILE, path, root, signer};

/// Leaves of the trees before this one.
pub(crate) const OFFSET: u64 = 1_000;
/// When entry 0 was taken; each later one a second after the one before.
pub(crate) const START_S: u64 = 1_790_000_000;

pub(crate) struct V1Log {
    signer: Signer,
    host: String,
    pub(crate) tree: TreeId,
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl V1Log {
    pub(crate) fn with_leaves(host: &str, count: usize) -> Self {
        let tree = TreeId::new(4_711).unwrap();
        let other = signer(KeyAlgorithm::P256);
        let body = |at| hashed_rekord_body(&other, format!("leaf {at}").as_bytes());
        let bodies = (0..count).map(body).collect();
        Self { signer: signer(KeyAlgorithm::P256), host: host.to_owned(), tree, bodies }
    }

    pub(crate) fn spki(&self) -> &[u8] {
        self.signer.public_key().spki_der()
    }

    pub(crate) fn pem(&self) -> String {
        to_pem("PUBLIC KEY", self.spki())
    }

    pub(crate) fn key(&self) -> VerifierKey {
        VerifierKey::ecdsa_p256(KeyName::parse(&self.host).unwrap(), self.spki()).unwrap()
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::parse(&self.tree.origin_text(&self.host)).unwrap()
    }

    pub(crate) fn add(&mut self, body: Vec<u8>) -> usize {
        self.bodies.push(body);
        self.bodies.len() - 1
    }

    pub(crate) fn id(&self, index: usize) -> EntryId {
        EntryId { tree: self.tree, leaf_hash: hash_leaf(&self.bodies[index]) }
    }

    pub(crate) fn find(&self, id: &EntryId) -> Option<usize> {
        (0..self.bodies.len()).find(|index| self.id(*index) == *id)
    }

    fn hashes(&self) -> Vec<Hash> {
        self.bodies.iter().map(|body| hash_leaf(body)).collect()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(&Artefact::of(message)).unwrap()
    }

    /// The checkpoint of all leaves, with the ECDSA line alone.
    pub(crate) fn checkpoint(&self) -> String {
        let head = TreeHead {
            size: TreeSize::new(self.bodies.len() as u64),
            root_hash: root(&self.hashes()),
        };
        self.checkpoint_of(head, &self.origin())
    }

    pub(crate) fn checkpoint_of(&self, head: TreeHead, origin: &Origin) -> String {
        let checkpoint = Checkpoint { origin: origin.clone(), head, extensions: Vec::new() };
        let text = checkpoint.to_text();
        let line = NoteSignature {
            name: KeyName::parse(&self.host).unwrap(),
            id: self.key().id(),
            signature: self.sign(text.as_bytes()),
        };
        SignedNote::new(text, vec![line]).unwrap().to_string()
    }

    /// What the log answers for an entry: its member alone, without the id.
    pub(crate) fn member(&self, index: usize) -> Value {
        let body = &self.bodies[index];
        let (log_id, time_s) = (self.key().full_id_hash(), START_S + index as u64);
        let global = LeafIndex::new(OFFSET + index as u64);
        let promise = EntryTimestamp { body, integrated_time_s: time_s, log_id, index: global };
        let hashes: Vec<_> = path(&self.hashes(), index).iter().map(Hash::to_string).collect();
        json!({
            "body": base64(body),
            "integratedTime": time_s,
            "logID": log_id.to_string(),
            "logIndex": global.get(),
            "verification": {
                "inclusionProof": {
                    "checkpoint": self.checkpoint(),
                    "hashes": hashes,
                    "logIndex": index,
                    "rootHash": root(&self.hashes()).to_string(),
                    "treeSize": self.bodies.len(),
                },
                "signedEntryTimestamp": base64(&self.sign(&promise.signed_bytes())),
            },
        })
    }

    pub(crate) fn answer(&self, index: usize) -> Value {
        json!({ self.id(index).to_string(): self.member(index) })
    }

    pub(crate) fn entry(&self, index: usize) -> LogEntry {
        parse_one(self.answer(index).to_string().as_bytes()).unwrap().entry
    }

    pub(crate) fn trusted_root(&self) -> TrustedRoot {
        let mut root = TrustedRoot::of_log_key(self.spki());
        let log: &mut LogInstance = &mut root.tlogs[0];
        log.base_url = format!("https://{}", self.host);
        log.public_key.key_details = "PKIX_ECDSA_P256_SHA_256".into();
        log.public_key.valid_for =
            TimeRange { start: Some("2020-01-01T00:00:00Z".into()), end: None };
        root
    }
}

/// A bundle of a key's signature over `FILE`, logged between other leaves.
pub(crate) fn v1_bundle(signer: &Signer, log: &mut V1Log) -> Bundle {
    let signature = signer.sign(&Artefact::of(FILE)).unwrap();
    let index = log.add(body_of(signer, FILE, &signature));
    log.add(b"{\"apiVersion\":\"0.0.1\",\"kind\":\"later\",\"spec\":{}}".to_vec());
    let algorithm = signer.public_key().default_hash();
    Bundle {
        media_type: MEDIA_TYPE.into(),
        verification_material: VerificationMaterial {
            public_key: Some(PublicKeyHint { hint: "hint".into() }),
            tlog_entries: vec![log.entry(index)],
            ..Default::default()
        },
        message_signature: Some(MessageSignature {
            message_digest: Some(MessageDigest {
                algorithm: algorithm.name().into(),
                digest: Bytes::from(Artefact::of(FILE).digest(algorithm).as_ref()),
            }),
            signature: Bytes(signature),
        }),
        dsse_envelope: None,
    }
}

pub(crate) fn hashed_rekord_body(signer: &Signer, file: &[u8]) -> Vec<u8> {
    body_of(signer, file, &signer.sign(&Artefact::of(file)).unwrap())
}

/// The canonical body for a signature of a bare key.
pub(crate) fn body_of(signer: &Signer, file: &[u8], signature: &[u8]) -> Vec<u8> {
    let key = signer.public_key();
    let algorithm = match key.default_hash() {
        HashAlgorithm::Sha2_256 => "sha256",
        HashAlgorithm::Sha2_384 => "sha384",
        HashAlgorithm::Sha2_512 => "sha512",
    };
    let digest = hex(Artefact::of(file).digest(key.default_hash()).as_ref());
    let pem = base64(to_pem("PUBLIC KEY", key.spki_der()).as_bytes());
    json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": { "hash": { "algorithm": algorithm, "value": digest } },
        "signature": { "content": base64(signature), "publicKey": { "content": pem } },
    }})
    .to_string()
    .into_bytes()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    Bytes::from(bytes).to_base64()
}

/// A request as a test server sees it.
pub(crate) struct Asked {
    /// `GET /path` or `POST /path`, the query included.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

/// A status, a `Location` if there is one, and a body.
pub(crate) type Told = (u16, Option<String>, Vec<u8>);

/// Serves what `answer` says, on a free port, as long as the test process lives.
pub(crate) fn serve(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || one(stream.unwrap(), answer.as_ref()));
        }
    });
    url
}

fn one(mut stream: TcpStream, answer: &(dyn Fn(&Asked) -> Told + Send + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (status, location, body) = answer(&Asked { line, body });
    let location = location.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\n{location}content-length: {}\r\n\r\n",
        body.len()
    );
    // A client that has read enough may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

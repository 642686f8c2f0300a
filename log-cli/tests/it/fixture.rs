//! A log in memory, with a slow tree, and bundles of its entries.

use log_cli::artefact::Artefact;
use log_cli::bundle::{
    Bundle, MEDIA_TYPE, MessageDigest, MessageSignature, PublicKeyHint, VerificationMaterial,
};
use log_cli::log_entry::{EntryCheckpoint, EntryProof, KindVersion, LogEntry, LogId};
use log_cli::protojson::{Bytes, Int64};
use log_cli::public_key::ed25519_spki;
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::trusted_root::{self, KeyInstance, LogInstance, TimeRange, TrustedRoot};
use log_core::entry::{HashedRekord, Signature, Verifier};
use log_core::hash::{Hash, hash_children};
use log_core::tree::{TreeHead, TreeSize};
use log_core::{
    Checkpoint, CosignerKey, KeyName, Leaf, NoteSigner, Origin, SignedNote, VerifierKey,
};

/// The file that the fixtures sign.
pub(crate) const FILE: &[u8] = b"a file\n";

/// A log with one key.
pub(crate) struct TestLog {
    signer: NoteSigner,
    pub(crate) origin: Origin,
    pub(crate) leaves: Vec<Leaf>,
}

impl TestLog {
    /// An empty log. The name of its key is the first word of the origin, which is shared with
    /// another log, of another key, if there are more words.
    pub(crate) fn new(origin: &str) -> Self {
        let (name, seed) = match origin.split_once(' ') {
            Some((name, _)) => (name, 8),
            None => (origin, 7),
        };
        let signer = NoteSigner::ed25519(KeyName::parse(name).unwrap(), [seed; 32]);
        Self { signer, origin: Origin::parse(origin).unwrap(), leaves: Vec::new() }
    }

    /// A log with some leaves already in it.
    pub(crate) fn with_leaves(origin: &str, count: usize) -> Self {
        let mut log = Self::new(origin);
        let leaves = (0..count).map(|i| Leaf::new(format!("leaf {i}").into_bytes()).unwrap());
        log.leaves = leaves.collect();
        log
    }

    pub(crate) fn key(&self) -> VerifierKey {
        self.signer.verifier_key()
    }

    /// A log of that size that agrees with `with_leaves` on the first leaves only.
    pub(crate) fn forked(origin: &str, common: usize, size: usize) -> Self {
        let mut log = Self::with_leaves(origin, common);
        for index in common..size {
            log.add(Leaf::new(format!("fork {index}").into_bytes()).unwrap());
        }
        log
    }

    /// Appends a leaf and gives its index.
    pub(crate) fn add(&mut self, leaf: Leaf) -> usize {
        self.leaves.push(leaf);
        self.leaves.len() - 1
    }

    /// The head after the first leaves.
    pub(crate) fn head(&self, size: usize) -> TreeHead {
        let hashes: Vec<_> = self.leaves[..size].iter().map(Leaf::hash).collect();
        TreeHead { size: TreeSize::new(size as u64), root_hash: root(&hashes) }
    }

    /// The signed checkpoint of the first leaves.
    pub(crate) fn checkpoint(&self, size: usize) -> String {
        self.sign(self.head(size))
    }

    /// A checkpoint with the log's signature, true or not.
    pub(crate) fn sign(&self, head: TreeHead) -> String {
        let checkpoint = Checkpoint { origin: self.origin.clone(), head, extensions: Vec::new() };
        let text = checkpoint.to_text();
        let signature = self.signer.sign(&text);
        SignedNote::new(text, vec![signature]).unwrap().to_string()
    }

    /// What the log answers for an entry.
    pub(crate) fn entry(&self, index: usize, kind: &str) -> LogEntry {
        let size = self.leaves.len();
        let hashes: Vec<_> = self.leaves.iter().map(Leaf::hash).collect();
        let bytes = |hash: &Hash| Bytes(hash.as_bytes().to_vec());
        let path = path(&hashes, index);
        LogEntry {
            log_index: Int64(index as i64),
            log_id: LogId { key_id: bytes(&self.key().full_id_hash()) },
            kind_version: KindVersion { kind: kind.into(), version: "0.0.2".into() },
            integrated_time: Int64(0),
            inclusion_promise: None,
            inclusion_proof: Some(EntryProof {
                log_index: Int64(index as i64),
                root_hash: bytes(&root(&hashes)),
                tree_size: Int64(size as i64),
                hashes: path.iter().map(bytes).collect(),
                checkpoint: Some(EntryCheckpoint { envelope: self.checkpoint(size) }),
            }),
            canonicalized_body: Bytes(self.leaves[index].as_bytes().to_vec()),
        }
    }

    /// A trusted root with this log alone.
    pub(crate) fn trusted_root(&self) -> TrustedRoot {
        let key: [u8; 32] = self.key().public_key_bytes().try_into().unwrap();
        TrustedRoot {
            media_type: trusted_root::MEDIA_TYPE.into(),
            tlogs: vec![LogInstance {
                base_url: format!("https://{}:3000", self.origin),
                hash_algorithm: "SHA2_256".into(),
                public_key: KeyInstance {
                    raw_bytes: Bytes(ed25519_spki(&key)),
                    key_details: "PKIX_ED25519".into(),
                    valid_for: TimeRange { start: Some("2020-01-01T00:00:00Z".into()), end: None },
                },
                log_id: Some(LogId {
                    key_id: Bytes(self.key().full_id_hash().as_bytes().to_vec()),
                }),
                checkpoint_key_id: None,
                operator: String::new(),
            }],
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: Vec::new(),
        }
    }
}

/// The key of a test witness.
pub(crate) fn witness(number: u8) -> CosignerKey {
    let name = KeyName::parse(&format!("w{number}.example")).unwrap();
    CosignerKey::ed25519(name, [100 + number; 32])
}

/// The note with the lines of these witnesses, each with its time.
pub(crate) fn cosigned(note: &str, by: &[(u8, u64)]) -> String {
    let note = SignedNote::parse(note.as_bytes()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let mut lines = note.signatures().to_vec();
    lines.extend(
        by.iter().map(|(number, time_s)| witness(*number).cosign(&checkpoint, *time_s).unwrap()),
    );
    SignedNote::new(note.text().to_owned(), lines).unwrap().to_string()
}

/// A policy about the witnesses 1 to `urls.len()`, of which `k` are enough.
pub(crate) fn policy(logs: &[&TestLog], urls: &[&str], k: usize) -> String {
    let mut text: String = logs.iter().map(|log| format!("log {}\n", log.key())).collect();
    for (number, url) in (1..).zip(urls) {
        text.push_str(&format!("witness w{number} {} {url}\n", witness(number).verifier_key()));
    }
    let names: Vec<_> = (1..=urls.len()).map(|number| format!("w{number}")).collect();
    text + &format!("group all-of-them {k} {}\nquorum all-of-them\n", names.join(" "))
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// A fresh key.
pub(crate) fn signer(algorithm: KeyAlgorithm) -> Signer {
    Signer::from_pem(&Signer::generate(algorithm).unwrap()).unwrap()
}

/// The entry for a signature over `FILE`.
pub(crate) fn hashed_rekord(signer: &Signer, verifier: Verifier) -> HashedRekord {
    let artefact = Artefact::of(FILE);
    let key = signer.public_key();
    HashedRekord {
        algorithm: key.default_hash(),
        digest: artefact.digest(key.default_hash()).as_ref().to_vec(),
        signature: Signature {
            content: signer.sign(&artefact).unwrap(),
            verifier,
            key_details: key.key_details().unwrap(),
        },
    }
}

/// A bundle of a key's signature over `FILE`, logged between other leaves.
pub(crate) fn key_bundle(signer: &Signer, log: &mut TestLog) -> Bundle {
    let verifier = Verifier::PublicKey(signer.public_key().spki_der().to_vec());
    let rekord = hashed_rekord(signer, verifier);
    let index = log.add(rekord.to_leaf().unwrap());
    log.add(Leaf::new(b"a later leaf".to_vec()).unwrap());
    let hint = PublicKeyHint { hint: "hint".into() };
    let material = VerificationMaterial {
        public_key: Some(hint),
        tlog_entries: vec![log.entry(index, "hashedrekord")],
        ..Default::default()
    };
    bundle(&rekord, material)
}

/// A bundle of an entry's signature with this material.
pub(crate) fn bundle(rekord: &HashedRekord, verification_material: VerificationMaterial) -> Bundle {
    Bundle {
        media_type: MEDIA_TYPE.into(),
        verification_material,
        message_signature: Some(MessageSignature {
            message_digest: Some(MessageDigest {
                algorithm: rekord.algorithm.name().into(),
                digest: Bytes(rekord.digest.clone()),
            }),
            signature: Bytes(rekord.signature.content.clone()),
        }),
        dsse_envelope: None,
    }
}

/// The root, by the definition (RFC 6962, 2.1).
pub(crate) fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            hash_children(&root(left), &root(right))
        }
    }
}

/// The audit path, by the definition (RFC 6962, 2.1.1).
pub(crate) fn path(hashes: &[Hash], index: usize) -> Vec<Hash> {
    if hashes.len() <= 1 {
        return Vec::new();
    }
    let k = split(hashes.len());
    let (left, right) = hashes.split_at(k);
    let (mut below, sibling) = if index < k {
        (path(left, index), root(right))
    } else {
        (path(right, index - k), root(left))
    };
    below.push(sibling);
    below
}

/// The largest power of two less than `n`.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

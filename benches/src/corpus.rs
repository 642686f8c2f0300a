//! Corpus: the distinct entries of a run, made before the clock starts.
//!
//! For Rekor every entry is a digest of its own, really signed with an ECDSA P-256 key of its
//! own: the server has no key to remember, and the disk no repetition to compress. Only key and
//! signature are kept, 138 bytes an entry, and the rest is written out when it is sent, so that a
//! million entries fit in memory and a request costs the client less than a microsecond.

mod rekor_v1;

use std::io::Write;
use std::thread::available_parallelism;

use anyhow::{Context, anyhow, ensure};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::entry::{HashAlgorithm, HashedRekord, KeyDetails, Signature, Verifier};
use log_core::{Entry, Hash, LEAF_BYTES_MAX, Leaf, sha256};

/// Length of an uncompressed point on P-256.
const POINT_BYTES: usize = 65;

/// Length of the DER of a P-256 key, and room to spare.
const SPKI_BYTES_MAX: usize = 128;

/// Longest DER encoding of a P-256 signature.
const SIGNATURE_BYTES_MAX: usize = 72;

/// The entries of one run.
pub struct Corpus {
    /// Makes the entries of this run differ from those of every other one.
    seed: [u8; 16],
    kind: Kind,
}

enum Kind {
    Rekor { protocol: Protocol, host: String, spki_start: Vec<u8>, signed: Vec<Signed> },
    Raw { host: String, log: String, leaf_bytes: usize, entries: usize },
}

/// What a corpus is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `hashedrekord` 0.0.1 with a P-256 key.
    RekorV1,
    /// `hashedrekord` 0.0.2 with a P-256 key.
    RekorV2,
    /// Arbitrary leaves; the log answers with a proof only if asked to.
    Raw,
}

/// What an entry was signed with, without an allocation of its own.
#[derive(Clone, Copy)]
struct Signed {
    point: [u8; POINT_BYTES],
    signature_bytes: u8,
    signature: [u8; SIGNATURE_BYTES_MAX],
}

impl Corpus {
    /// Entries for Rekor v2: makes a key for each digest and signs it, on all cores. It takes about
    /// 50 microseconds.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn rekor_v2(host: &str, entries: usize) -> anyhow::Result<Self> {
        Self::rekor(Protocol::RekorV2, host, entries)
    }

    /// The same for Rekor v1.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn rekor_v1(host: &str, entries: usize) -> anyhow::Result<Self> {
        Self::rekor(Protocol::RekorV1, host, entries)
    }

    fn rekor(protocol: Protocol, host: &str, entries: usize) -> anyhow::Result<Self> {
        let seed = rand::random();
        let spki_start = spki_start()?;
        let mut signed = vec![Signed::EMPTY; entries];
        let cores = available_parallelism().map_or(1, |cores| cores.get());
        let share = entries.div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let parts = signed
                .chunks_mut(share)
                .enumerate()
                .map(|(part, signed)| scope.spawn(move || sign_all(&seed, part * share, signed)));
            let parts: Vec<_> = parts.collect();
            parts.into_iter().try_for_each(|part| {
                part.join().map_err(|_| anyhow!("a thread that signs has panicked"))?
            })
        })?;
        Ok(Self { seed, kind: Kind::Rekor { protocol, host: host.into(), spki_start, signed } })
    }

    /// Entries of `leaf_bytes` arbitrary bytes for a raw log.
    ///
    /// # Errors
    /// A leaf could not be as long, or would be too short to be different from all others.
    pub fn raw(host: &str, log: &str, leaf_bytes: usize, entries: usize) -> anyhow::Result<Self> {
        if !(Hash::LEN..=LEAF_BYTES_MAX).contains(&leaf_bytes) {
            return Err(anyhow!("a leaf has {} to {LEAF_BYTES_MAX} bytes here", Hash::LEN));
        }
        let (host, log) = (host.into(), log.into());
        Ok(Self { seed: rand::random(), kind: Kind::Raw { host, log, leaf_bytes, entries } })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Rekor { signed, .. } => signed.len(),
            Kind::Raw { entries, .. } => *entries,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the entries are for.
    pub fn protocol(&self) -> Protocol {
        match &self.kind {
            Kind::Rekor { protocol, .. } => *protocol,
            Kind::Raw { .. } => Protocol::Raw,
        }
    }

    /// Writes the request that submits entry `at` over what `out` held.
    ///
    /// # Panics
    /// There is no such entry.
    pub fn write_request(&self, at: usize, wants_proof: bool, out: &mut Vec<u8>) {
        out.clear();
        match &self.kind {
            Kind::Rekor { protocol: Protocol::RekorV1, host, spki_start, signed } => {
                let entry = self.entry_v1(at, spki_start, &signed[at]);
                push_head(out, "v1", host, entry.len());
                out.extend_from_slice(&entry);
            }
            Kind::Rekor { host, spki_start, signed, .. } => {
                self.write_rekor_v2(at, host, spki_start, &signed[at], out);
            }
            Kind::Raw { host, log, leaf_bytes, .. } => {
                let accept = if wants_proof { "text/x.tlog-proof" } else { "*/*" };
                push_text(
                    out,
                    format_args!(
                        "POST /logs/{log}/add HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\n\
                         content-length: {leaf_bytes}\r\n\r\n"
                    ),
                );
                self.push_raw_leaf(at, *leaf_bytes, out);
            }
        }
    }

    /// The leaf that the log must have made of entry `at`.
    ///
    /// # Panics
    /// There is no such entry.
    pub fn leaf(&self, at: usize) -> Leaf {
        let leaf = match &self.kind {
            Kind::Rekor { protocol: Protocol::RekorV1, spki_start, signed, .. } => {
                Leaf::new(self.entry_v1(at, spki_start, &signed[at]))
            }
            Kind::Rekor { spki_start, signed, .. } => {
                Entry::HashedRekord(self.entry(at, spki_start, &signed[at])).to_leaf()
            }
            Kind::Raw { leaf_bytes, .. } => {
                let mut leaf = Vec::with_capacity(*leaf_bytes);
                self.push_raw_leaf(at, *leaf_bytes, &mut leaf);
                Leaf::new(leaf)
            }
        };
        leaf.expect("invariant: no entry of a corpus is longer than a leaf may be")
    }

    fn entry(&self, at: usize, spki_start: &[u8], signed: &Signed) -> HashedRekord {
        HashedRekord {
            algorithm: HashAlgorithm::Sha2_256,
            digest: sha256(&message(&self.seed, at)).as_bytes().to_vec(),
            signature: Signature {
                content: signed.signature().to_vec(),
                verifier: Verifier::PublicKey([spki_start, &signed.point].concat()),
                key_details: KeyDetails::PKIX_ECDSA_P256_SHA_256,
            },
        }
    }

    fn entry_v1(&self, at: usize, spki_start: &[u8], signed: &Signed) -> Vec<u8> {
        let digest = sha256(&message(&self.seed, at));
        rekor_v1::entry(&digest, signed.signature(), &[spki_start, &signed.point].concat())
    }

    fn write_rekor_v2(
        &self,
        at: usize,
        host: &str,
        spki_start: &[u8],
        signed: &Signed,
        out: &mut Vec<u8>,
    ) {
        let digest = sha256(&message(&self.seed, at));
        let mut spki = [0; SPKI_BYTES_MAX];
        let spki = &mut spki[..spki_start.len() + POINT_BYTES];
        spki[..spki_start.len()].copy_from_slice(spki_start);
        spki[spki_start.len()..].copy_from_slice(&signed.point);
        let parts: [(&[u8], &[u8]); 3] = [
            (br#"{"hashedRekordRequestV002":{"digest":""#, digest.as_bytes()),
            (br#"","signature":{"content":""#, signed.signature()),
            (br#"","verifier":{"publicKey":{"rawBytes":""#, spki),
        ];
        let end = br#""},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}"#;
        let lengths = parts.iter().map(|(name, value)| name.len() + base64_len(value.len()));
        let length = lengths.sum::<usize>() + end.len();
        push_head(out, "v2", host, length);
        for (name, value) in parts {
            out.extend_from_slice(name);
            push_base64(out, value);
        }
        out.extend_from_slice(end);
    }

    /// Bytes that no compression shortens, the number of the entry first among their causes.
    fn push_raw_leaf(&self, at: usize, leaf_bytes: usize, out: &mut Vec<u8>) {
        let end = out.len() + leaf_bytes;
        let mut block = sha256(&message(&self.seed, at));
        while out.len() < end {
            let taken = (end - out.len()).min(Hash::LEN);
            out.extend_from_slice(&block.as_bytes()[..taken]);
            block = sha256(block.as_bytes());
        }
    }
}

impl Signed {
    const EMPTY: Self =
        Self { point: [0; POINT_BYTES], signature_bytes: 0, signature: [0; SIGNATURE_BYTES_MAX] };

    fn signature(&self) -> &[u8] {
        &self.signature[..usize::from(self.signature_bytes)]
    }
}

/// What stands before the point in the DER of every P-256 key.
fn spki_start() -> anyhow::Result<Vec<u8>> {
    let refused = |_| anyhow!("aws-lc-rs makes no key");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(refused)?;
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(refused)?;
    let start = der.as_ref().strip_suffix(pair.public_key().as_ref());
    let start = start.context("the DER of a key ends in its point")?;
    ensure!(start.len() + POINT_BYTES <= SPKI_BYTES_MAX, "the DER of a key is longer than known");
    Ok(start.to_vec())
}

fn sign_all(seed: &[u8; 16], first: usize, all: &mut [Signed]) -> anyhow::Result<()> {
    let refused = |_| anyhow!("aws-lc-rs refuses to sign");
    let random = SystemRandom::new();
    for (at, signed) in (first..).zip(all) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(refused)?;
        let signature = pair.sign(&random, &message(seed, at)).map_err(refused)?;
        let signature = signature.as_ref();
        signed.point.copy_from_slice(pair.public_key().as_ref());
        signed.signature_bytes = u8::try_from(signature.len())?;
        signed.signature[..signature.len()].copy_from_slice(signature);
    }
    Ok(())
}

/// The artefact of an entry: what is hashed and signed.
fn message(seed: &[u8; 16], at: usize) -> [u8; 24] {
    let mut message = [0; 24];
    message[..16].copy_from_slice(seed);
    message[16..].copy_from_slice(&(at as u64).to_be_bytes());
    message
}

fn push_head(out: &mut Vec<u8>, api: &str, host: &str, length: usize) {
    push_text(
        out,
        format_args!(
            "POST /api/{api}/log/entries HTTP/1.1\r\nhost: {host}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ),
    );
}

fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64_len(bytes.len()), 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("invariant: the slice has exactly the length of the encoding");
}

fn push_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use log_server::admit::{AdmitRules, create_entry};
    use log_server::api::rekor_v2_json::decode_create_entry;

    use super::*;

    pub(super) fn body(request: &[u8]) -> &[u8] {
        let head = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let text = std::str::from_utf8(&request[..head]).unwrap();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), request.len() - head, "{text}");
        &request[head..]
    }

    #[test]
    fn what_the_server_makes_of_a_request_is_the_leaf_that_is_expected() {
        let corpus = Corpus::rekor_v2("log.example", 200).unwrap();
        let mut request = Vec::new();
        let mut leaves = std::collections::HashSet::new();
        for at in 0..corpus.len() {
            corpus.write_request(at, false, &mut request);
            let decoded = decode_create_entry(body(&request)).unwrap();
            let admitted = create_entry(&decoded, &AdmitRules { dsse: false }).unwrap();
            assert_eq!(admitted.leaf.as_bytes(), corpus.leaf(at).as_bytes());
            leaves.insert(admitted.leaf.hash());
        }
        assert_eq!(leaves.len(), corpus.len(), "every entry is another one");
    }

    #[test]
    fn each_entry_is_signed_over_its_digest_with_a_key_of_its_own() {
        let corpus = Corpus::rekor_v2("log.example", 3).unwrap();
        let Kind::Rekor { signed, .. } = &corpus.kind else { panic!("rekor v2") };
        for (at, one) in signed.iter().enumerate() {
            let message = message(&corpus.seed, at);
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, one.point);
            key.verify(&message, one.signature()).unwrap();
            assert_eq!(corpus.entry(at, &[], one).digest, sha256(&message).as_bytes());
            assert!(signed[..at].iter().all(|earlier| earlier.point != one.point));
        }
    }

    #[test]
    fn raw_leaves_have_their_length_and_differ() {
        for leaf_bytes in [32, 33, 350, 65_535] {
            let corpus = Corpus::raw("log.example", "one", leaf_bytes, 2).unwrap();
            let mut request = Vec::new();
            corpus.write_request(1, true, &mut request);
            assert_eq!(body(&request), corpus.leaf(1).as_bytes());
            assert_eq!(corpus.leaf(1).as_bytes().len(), leaf_bytes);
            assert_ne!(corpus.leaf(0), corpus.leaf(1));
        }
        assert!(Corpus::raw("log.example", "one", 31, 1).is_err());
        assert!(Corpus::raw("log.example", "one", 65_536, 1).is_err());
    }
}

//! Submissions to a Rekor v1 log, with real signatures, each of them distinct, and by what they
//! must be found.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::{Leaf, sha256};
use rcgen::{CertificateParams, SanType};
use serde_json::{Value, json};

/// The type of payload whose subjects are looked into.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Columns of PEM.
const PEM_COLUMNS: usize = 64;

/// Makes submissions of one P-256 key, bare or in a certificate: each signs another artefact.
pub struct SubmissionMakerV1 {
    key: EcdsaKeyPair,
    pem: String,
    emails: Vec<String>,
    made: u64,
}

/// An entry that the log must accept.
#[derive(Debug, Clone)]
pub struct SubmissionV1 {
    /// The body of the request.
    pub request: String,
    /// The leaf that the log must make of it.
    pub leaf: Leaf,
    /// Bodies of searches, each of which must find the entry.
    pub searches: Vec<String>,
}

impl Default for SubmissionMakerV1 {
    fn default() -> Self {
        Self::new()
    }
}

impl SubmissionMakerV1 {
    /// A maker with a new key, so that no two makers make the same.
    pub fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let pem = pem("PUBLIC KEY", key.public_key().as_der().expect("an SPKI").as_ref());
        Self { key, pem, emails: Vec::new(), made: 0 }
    }

    /// A maker with a new key in a certificate that names these addresses.
    pub fn certified(emails: &[&str]) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a P-256 key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        let names = emails
            .iter()
            .map(|email| SanType::Rfc822Name((*email).try_into().expect("an address")));
        parameters.subject_alt_names = names.collect();
        let certificate = parameters.self_signed(&pair).expect("a certificate");
        Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pair.serialize_der())
                .expect("a P-256 key"),
            pem: pem("CERTIFICATE", certificate.der()),
            emails: emails.iter().map(|email| (*email).to_owned()).collect(),
            made: 0,
        }
    }

    /// The next `hashedrekord`.
    pub fn hashedrekord(&mut self) -> SubmissionV1 {
        let artefact = self.next_artefact();
        let digest = sha256(artefact.as_bytes()).to_string();
        let spec = json!({
            "data": { "hash": { "algorithm": "sha256", "value": digest } },
            "signature": {
                "content": self.sign(artefact.as_bytes()),
                "publicKey": { "content": STANDARD.encode(&self.pem) },
            },
        });
        // What is submitted is canonical already.
        self.submission("hashedrekord", &spec, &spec, &[&digest])
    }

    /// The next `dsse`: an in-toto statement about an artefact, under one signature.
    pub fn dsse(&mut self) -> SubmissionV1 {
        let subject = sha256(self.next_artefact().as_bytes()).to_string();
        let payload = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "artefact", "digest": { "sha256": subject } }],
            "predicateType": "https://example.org/predicate/v1",
            "predicate": {},
        })
        .to_string();
        let pae = format!("DSSEv1 {} {IN_TOTO} {} {payload}", IN_TOTO.len(), payload.len());
        let signature = self.sign(pae.as_bytes());
        let envelope = json!({
            "payload": STANDARD.encode(&payload),
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": signature }],
        })
        .to_string();
        let verifier = STANDARD.encode(&self.pem);
        let (envelope_hash, payload_hash) =
            (sha256(envelope.as_bytes()).to_string(), sha256(payload.as_bytes()).to_string());
        let spec = json!({
            "proposedContent": { "envelope": envelope, "verifiers": [verifier] },
            // As a well-known client sends what it leaves to the log.
            "signatures": null, "envelopeHash": null, "payloadHash": null,
        });
        let canonical = json!({
            "envelopeHash": { "algorithm": "sha256", "value": envelope_hash },
            "payloadHash": { "algorithm": "sha256", "value": payload_hash },
            "signatures": [{ "signature": signature, "verifier": verifier }],
        });
        let digests = [subject.as_str(), &envelope_hash, &payload_hash];
        self.submission("dsse", &spec, &canonical, &digests)
    }

    /// `canonical` names its members in alphabetical order, so its text is the canonical one.
    fn submission(
        &self,
        kind: &str,
        spec: &Value,
        canonical: &Value,
        digests: &[&str],
    ) -> SubmissionV1 {
        let entry =
            |spec: &Value| format!(r#"{{"apiVersion":"0.0.1","kind":"{kind}","spec":{spec}}}"#);
        SubmissionV1 {
            request: entry(spec),
            leaf: Leaf::new(entry(canonical).into_bytes()).expect("short"),
            searches: self.searches(digests),
        }
    }

    /// By each digest; by the key, as a key and in the form that other kinds are stored under; by
    /// each address, in other letters than it is written with.
    fn searches(&self, digests: &[&str]) -> Vec<String> {
        let key = sha256(self.pem.as_bytes()).to_string();
        let content = STANDARD.encode(&self.pem);
        let of_key = json!({ "publicKey": { "format": "x509", "content": content } });
        let digests = digests.iter().copied().chain([key.as_str()]);
        let digests = digests.map(|digest| json!({ "hash": format!("sha256:{digest}") }));
        let emails = self.emails.iter().map(|email| json!({ "email": email.to_uppercase() }));
        digests.chain([of_key]).chain(emails).map(|search| search.to_string()).collect()
    }

    fn next_artefact(&mut self) -> String {
        self.made += 1;
        // The key's own text, so that no two makers speak of the same artefact.
        format!("artefact {} of {}", self.made, self.pem)
    }

    fn sign(&self, message: &[u8]) -> String {
        let signature = self.key.sign(&SystemRandom::new(), message).expect("a signature");
        STANDARD.encode(signature.as_ref())
    }
}

/// The canonical text of PEM.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut lines = String::new();
    for line in base64.as_bytes().chunks(PEM_COLUMNS) {
        lines.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        lines.push('\n');
    }
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use log_server::admit::v1::{Rules, create_entry};

    use super::*;

    #[test]
    fn admission_makes_that_leaf_of_it_and_as_many_search_keys() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut bare = SubmissionMakerV1::new();
        let mut certified =
            SubmissionMakerV1::certified(&["Some.One@example.org", "b@example.org"]);
        for (submission, keys) in [
            // The key in two forms, and the artefact.
            (bare.hashedrekord(), 3),
            (bare.hashedrekord(), 3),
            // The envelope and its payload as well.
            (bare.dsse(), 5),
            (certified.hashedrekord(), 5),
            (certified.dsse(), 7),
        ] {
            let admitted =
                create_entry(submission.request.as_bytes(), &Rules::default(), now).unwrap();
            assert_eq!(admitted.leaf.as_bytes(), submission.leaf.as_bytes());
            assert_eq!(admitted.index_keys.len(), keys, "{:?}", admitted.index_keys);
            assert_eq!(submission.searches.len(), keys, "{:?}", submission.searches);
        }
    }
}

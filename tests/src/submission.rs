//! Submissions with real signatures, each of them distinct.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::Leaf;
use log_core::entry::{self, HashAlgorithm, HashedRekord, KeyDetails};
use log_proto::common::v1::PublicKeyDetails;
use log_proto::rekor::v2::create_entry_request::Spec;
use log_proto::rekor::v2::{
    CreateEntryRequest, HashedRekordRequestV002, PublicKey, Signature, Verifier, verifier,
};

/// Makes submissions of one P-256 key: each signs another artefact.
pub struct SubmissionMaker {
    key: EcdsaKeyPair,
    spki: Vec<u8>,
    made: u64,
}

/// A `hashedrekord` that the log must accept.
#[derive(Debug, Clone)]
pub struct Submission {
    /// SHA-256 of the artefact.
    pub digest: Vec<u8>,
    /// ECDSA in DER over the artefact.
    pub signature: Vec<u8>,
    /// The public key, DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
}

impl Default for SubmissionMaker {
    fn default() -> Self {
        Self::new()
    }
}

impl SubmissionMaker {
    /// A maker with a new key, so that no two makers make the same.
    pub fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let spki = key.public_key().as_der().expect("an SPKI").as_ref().to_vec();
        Self { key, spki, made: 0 }
    }

    /// The next one.
    pub fn make(&mut self) -> Submission {
        let artefact = format!("artefact {}", self.made);
        self.made += 1;
        self.sign(artefact.as_bytes())
    }

    /// The next `count`, all different.
    pub fn make_many(&mut self, count: usize) -> Vec<Submission> {
        (0..count).map(|_| self.make()).collect()
    }

    /// One over this artefact. ECDSA is randomised, so even the same artefact gives another entry.
    pub fn sign(&self, artefact: &[u8]) -> Submission {
        let signature = self.key.sign(&SystemRandom::new(), artefact).expect("a signature");
        Submission {
            digest: log_core::sha256(artefact).as_bytes().to_vec(),
            signature: signature.as_ref().to_vec(),
            spki: self.spki.clone(),
        }
    }
}

impl Submission {
    /// The request of the JSON interface.
    pub fn json(&self) -> String {
        let verifier = serde_json::json!({
            "publicKey": { "rawBytes": STANDARD.encode(&self.spki) },
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        });
        let signature = serde_json::json!({
            "content": STANDARD.encode(&self.signature),
            "verifier": verifier,
        });
        let digest = STANDARD.encode(&self.digest);
        serde_json::json!({
            "hashedRekordRequestV002": { "digest": digest, "signature": signature },
        })
        .to_string()
    }

    /// The request of the gRPC interface.
    pub fn message(&self) -> CreateEntryRequest {
        CreateEntryRequest {
            spec: Some(Spec::HashedRekordRequestV002(HashedRekordRequestV002 {
                digest: self.digest.clone(),
                signature: Some(Signature {
                    content: self.signature.clone(),
                    verifier: Some(Verifier {
                        key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
                        verifier: Some(verifier::Verifier::PublicKey(PublicKey {
                            raw_bytes: self.spki.clone(),
                        })),
                    }),
                }),
            })),
        }
    }

    /// The leaf that the log must make of it.
    pub fn leaf(&self) -> Leaf {
        let entry = HashedRekord {
            algorithm: HashAlgorithm::Sha2_256,
            digest: self.digest.clone(),
            signature: entry::Signature {
                content: self.signature.clone(),
                verifier: entry::Verifier::PublicKey(self.spki.clone()),
                key_details: KeyDetails::PKIX_ECDSA_P256_SHA_256,
            },
        };
        entry.to_leaf().expect("short")
    }
}

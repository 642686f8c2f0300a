//! Every signature algorithm of the reference server's default, each with a real key and through
//! HTTP, as a public key and in a certificate; and what must be refused.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use log_core::{Entry, LeafIndex};
use log_tests::{Acknowledged, DataDir, check_log};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

const MESSAGE: &[u8] = b"the artefact";

/// What a client sends: the label, the digest, the signature, the key.
struct Signed {
    label: &'static str,
    digest: Vec<u8>,
    signature: Vec<u8>,
    spki: Vec<u8>,
}

impl Signed {
    fn request(&self) -> Value {
        self.with_verifier(json!({
            "publicKey": { "rawBytes": STANDARD.encode(&self.spki) },
            "keyDetails": self.label,
        }))
    }

    fn with_verifier(&self, verifier: Value) -> Value {
        let signature = json!({
            "content": STANDARD.encode(&self.signature),
            "verifier": verifier,
        });
        let digest = STANDARD.encode(&self.digest);
        json!({ "hashedRekordRequestV002": { "digest": digest, "signature": signature } })
    }
}

fn ecdsa(
    algorithm: &'static aws::EcdsaSigningAlgorithm,
    label: &'static str,
    digest: Vec<u8>,
) -> Signed {
    let key = EcdsaKeyPair::generate(algorithm).expect("a key");
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().expect("an SPKI");
    let spki = spki.as_ref().to_vec();
    let signature = key.sign(&SystemRandom::new(), MESSAGE).expect("a signature");
    Signed { label, digest, signature: signature.as_ref().to_vec(), spki }
}

fn rsa(size: KeySize, label: &'static str) -> Signed {
    let key = RsaKeyPair::generate(size).expect("a key");
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().expect("an SPKI");
    let spki = spki.as_ref().to_vec();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&aws::RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature)
        .expect("a signature");
    Signed { label, digest: Sha256::digest(MESSAGE).to_vec(), signature, spki }
}

fn ed25519_key() -> (SigningKey, Vec<u8>) {
    /// What stands before the key in a SubjectPublicKeyInfo (RFC 8410).
    const START: [u8; 12] =
        [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let key = SigningKey::from_bytes(&[42; 32]);
    let spki = [&START[..], key.verifying_key().as_bytes()].concat();
    (key, spki)
}

fn ed25519ph() -> Signed {
    let (key, spki) = ed25519_key();
    let prehash = Sha512::new().chain_update(MESSAGE);
    let signature = key.sign_prehashed(prehash, None).expect("a signature").to_vec();
    Signed { label: "PKIX_ED25519_PH", digest: Sha512::digest(MESSAGE).to_vec(), signature, spki }
}

#[test]
fn every_algorithm_of_the_protocol_is_admitted_and_logged_under_its_label() {
    let sha256 = || Sha256::digest(MESSAGE).to_vec();
    let sha384 = || Sha384::digest(MESSAGE).to_vec();
    let sha512 = || Sha512::digest(MESSAGE).to_vec();
    let (p256, p384) = ("PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P384_SHA_384");
    let p521 = "PKIX_ECDSA_P521_SHA_512";
    let all = [
        ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING, p256, sha256()),
        ecdsa(&aws::ECDSA_P256_SHA256_FIXED_SIGNING, p256, sha256()),
        ecdsa(&aws::ECDSA_P384_SHA384_ASN1_SIGNING, p384, sha384()),
        ecdsa(&aws::ECDSA_P384_SHA384_FIXED_SIGNING, p384, sha384()),
        ecdsa(&aws::ECDSA_P521_SHA512_ASN1_SIGNING, p521, sha512()),
        ecdsa(&aws::ECDSA_P521_SHA512_FIXED_SIGNING, p521, sha512()),
        ed25519ph(),
        rsa(KeySize::Rsa2048, "PKIX_RSA_PKCS1V15_2048_SHA256"),
        rsa(KeySize::Rsa3072, "PKIX_RSA_PKCS1V15_3072_SHA256"),
        rsa(KeySize::Rsa4096, "PKIX_RSA_PKCS1V15_4096_SHA256"),
    ];
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let mut logged = Vec::new();
    for (index, signed) in (0..).map(LeafIndex::new).zip(&all) {
        let answer = server.submit(&signed.request().to_string());
        assert_eq!(answer.status, 201, "{}: {}", signed.label, answer.text());
        let acknowledged = Acknowledged::verify(&answer.json(), dir.default_key());
        assert_eq!(acknowledged.index, index, "{}", signed.label);
        let entry = Entry::parse(acknowledged.leaf.as_bytes()).expect("a canonical entry");
        let Entry::HashedRekord(entry) = entry else { panic!("{}", signed.label) };
        assert_eq!(
            (entry.digest, entry.signature.content),
            (signed.digest.clone(), signed.signature.clone())
        );
        assert_eq!(entry.signature.key_details.name(), signed.label);
        logged.push(acknowledged);
    }
    // The same with one bit of the signature, and of the digest, changed.
    for signed in &all {
        let mut forged = vec![signed.request(); 2];
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().expect("not empty") ^= 1;
            STANDARD.encode(bytes).into()
        };
        forged[0]["hashedRekordRequestV002"]["digest"] = flip(&signed.digest);
        forged[1]["hashedRekordRequestV002"]["signature"]["content"] = flip(&signed.signature);
        for request in forged {
            let refused = server.submit(&request.to_string()).expect(400);
            let message = "invalid hashedrekord request: signature does not verify";
            assert_eq!(refused.json()["message"], message, "{}", signed.label);
        }
    }
    let log = check_log(&server.url(), dir.default_key());
    assert_eq!(log.leaves.len(), all.len());
    for one in logged {
        log.assert_holds(one.index, &one.leaf);
    }
}

#[test]
fn a_certificate_is_logged_as_it_was_sent() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let key = rcgen::KeyPair::generate().expect("a key");
    let signer =
        EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der())
            .expect("a P-256 key");
    let certificate = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    let certificate = certificate.self_signed(&key).expect("a certificate").der().to_vec();
    let signature = signer.sign(&SystemRandom::new(), MESSAGE).expect("a signature");
    let signed = Signed {
        label: "PKIX_ECDSA_P256_SHA_256",
        digest: Sha256::digest(MESSAGE).to_vec(),
        signature: signature.as_ref().to_vec(),
        spki: Vec::new(),
    };
    let with = |der: &[u8]| {
        let verifier = json!({
            "x509Certificate": { "rawBytes": STANDARD.encode(der) },
            "keyDetails": signed.label,
        });
        server.submit(&signed.with_verifier(verifier).to_string())
    };
    let acknowledged =
        Acknowledged::verify(&with(&certificate).expect(201).json(), dir.default_key());
    match Entry::parse(acknowledged.leaf.as_bytes()).expect("a canonical entry") {
        Entry::HashedRekord(entry) => assert_eq!(
            entry.signature.verifier,
            log_core::entry::Verifier::Certificate(certificate.clone())
        ),
        other => panic!("{other:?}"),
    }
    for malformed in [[&certificate[..], &[0]].concat(), certificate[1..].to_vec(), Vec::new()] {
        let refused = with(&malformed).expect(400);
        assert_eq!(refused.json()["code"], 3);
    }
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

#[test]
fn pure_ed25519_is_refused_for_a_digest_and_taken_for_an_envelope() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let (key, spki) = ed25519_key();
    let digest = Sha512::digest(MESSAGE).to_vec();
    let verifier = json!({
        "publicKey": { "rawBytes": STANDARD.encode(&spki) },
        "keyDetails": "PKIX_ED25519",
    });
    for signature in [key.sign(MESSAGE), key.sign(&digest)] {
        let signature = signature.to_vec();
        let (digest, spki) = (digest.clone(), spki.clone());
        let signed = Signed { label: "PKIX_ED25519", digest, signature, spki };
        let refused = server.submit(&signed.with_verifier(verifier.clone()).to_string());
        let error = refused.expect(400).json();
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with("invalid hashedrekord request: "), "{message}");
    }

    let (kind, payload) = ("application/vnd.in-toto+json", br#"{"_type":"x"}"#);
    let signature = key.sign(&log_core::entry::dsse::pae(kind.as_bytes(), payload)).to_vec();
    let envelope = |signature: &[u8]| {
        let signatures = json!([{ "sig": STANDARD.encode(signature) }]);
        let envelope = json!({
            "payload": STANDARD.encode(payload),
            "payloadType": kind,
            "signatures": signatures,
        });
        json!({ "dsseRequestV002": { "envelope": envelope, "verifiers": [verifier.clone()] } })
    };
    let answer = server.submit(&envelope(&signature).to_string()).expect(201).json();
    assert_eq!(answer["kindVersion"]["kind"], "dsse");
    Acknowledged::verify(&answer, dir.default_key());
    let mut forged = signature;
    forged[0] ^= 1;
    let refused = server.submit(&envelope(&forged).to_string()).expect(400).json();
    let message = refused["message"].as_str().expect("a message");
    assert!(message.starts_with("invalid dsse request: "), "{message}");
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

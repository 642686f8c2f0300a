//! The older kind `dsse`.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING};
use log_core::entry::dsse::pae;
use log_core::entry::{Dsse, Entry};
use log_core::hash::sha256;
use log_proto::intoto::{Envelope, Signature};
use log_proto::rekor::v2::{CreateEntryRequest, Verifier};

use super::keys::{
    certificate, dsse, ecdsa, ed25519, public_key, rsa, sign_ecdsa, sign_ed25519, sign_ed25519ph,
    sign_rsa,
};
use super::{AdmitRules, MESSAGE, Reason, Refusal, admitted, create_entry, refusal};

const P256: i32 = 5;
const ED25519: i32 = 7;
const ED25519_PH: i32 = 8;
const RSA_2048: i32 = 9;
const P384: i32 = 12;
const TYPE: &str = "application/vnd.in-toto+json";

fn envelope(signatures: &[&[u8]]) -> Envelope {
    let signatures = signatures.iter();
    Envelope {
        payload: MESSAGE.to_vec(),
        payload_type: TYPE.into(),
        signatures: signatures
            .map(|s| Signature { sig: s.to_vec(), keyid: "any".into() })
            .collect(),
    }
}

fn signed() -> Vec<u8> {
    pae(TYPE.as_bytes(), MESSAGE)
}

fn request(signatures: &[&[u8]], verifiers: &[&Verifier]) -> CreateEntryRequest {
    let verifiers = verifiers.iter().map(|&verifier| verifier.clone());
    dsse(Some(envelope(signatures)), verifiers.collect())
}

#[track_caller]
fn admitted_dsse(request: &CreateEntryRequest) -> Dsse {
    match admitted(request) {
        Entry::Dsse(entry) => entry,
        Entry::HashedRekord(_) => panic!("the kind asked for is the kind logged"),
    }
}

#[track_caller]
fn reason(request: &CreateEntryRequest) -> Reason {
    match refusal(request) {
        Refusal::InvalidDsse(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// A verifier and its signature over the envelope.
fn p256() -> (Verifier, Vec<u8>) {
    let (key, spki) = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING);
    (public_key(&spki, P256), sign_ecdsa(&key, &signed()))
}

#[test]
fn ecdsa_and_rsa_sign_the_digest_of_the_encoding() {
    let (p384, p384_spki) = ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING);
    let (rsa, rsa_spki) = rsa(KeySize::Rsa2048);
    for (verifier, content) in [
        p256(),
        (public_key(&p384_spki, P384), sign_ecdsa(&p384, &signed())),
        (public_key(&rsa_spki, RSA_2048), sign_rsa(&rsa, &signed())),
    ] {
        let entry = admitted_dsse(&request(&[&content], &[&verifier]));
        assert_eq!(entry.payload_hash, sha256(MESSAGE));
        assert_eq!(entry.signatures.len(), 1);
        assert_eq!(entry.signatures[0].content, content);
    }
}

#[test]
fn ed25519_signs_the_encoding_itself_under_either_label() {
    let (key, spki) = ed25519(1);
    let pure = sign_ed25519(&key, &signed());
    let prehashed = sign_ed25519ph(&key, None, &signed());
    for label in [ED25519, ED25519_PH] {
        let verifier = public_key(&spki, label);
        let entry = admitted_dsse(&request(&[&pure], &[&verifier]));
        assert_eq!(entry.signatures[0].key_details.number(), label);
        let refused = reason(&request(&[&prehashed], &[&verifier]));
        assert_eq!(refused, Reason::SignatureUncovered(0));
    }
    let refused = reason(&request(&[&pure], &[&public_key(&spki, P256)]));
    assert!(matches!(refused, Reason::AlgorithmNotAllowed { .. }), "{refused:?}");
}

#[test]
fn signatures_are_logged_in_order_with_the_verifier_that_verified_each() {
    let (one, by_one) = p256();
    let (two, by_two) = p256();
    let (idle, _) = p256();
    let (first, second) = if by_one < by_two { (&by_one, &by_two) } else { (&by_two, &by_one) };
    for signatures in [[&by_one[..], &by_two], [&by_two[..], &by_one]] {
        for verifiers in [[&one, &two, &idle], [&idle, &two, &one]] {
            let entry = admitted_dsse(&request(&signatures, &verifiers));
            let logged: Vec<_> = entry.signatures.iter().map(|s| &s.content).collect();
            assert_eq!(logged, [first, second]);
            for signature in &entry.signatures {
                let expected = if signature.content == by_one { &one } else { &two };
                let again = request(&[&signature.content], &[expected]);
                assert_eq!(&admitted_dsse(&again).signatures[0], signature);
            }
        }
    }
}

#[test]
fn a_certificate_verifies_too() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let der = rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
    let content = rcgen::SigningKey::sign(&key, &signed()).unwrap();
    let entry = admitted_dsse(&request(&[&content], &[&certificate(&der, ED25519)]));
    let logged = log_core::entry::Verifier::Certificate(der);
    assert_eq!(entry.signatures[0].verifier, logged);
}

#[test]
fn every_signature_must_be_verified() {
    let (one, by_one) = p256();
    let (_, by_stranger) = p256();
    assert_eq!(reason(&request(&[&by_stranger], &[&one])), Reason::SignatureUncovered(0));
    let refused = reason(&request(&[&by_one, &by_stranger], &[&one]));
    assert_eq!(refused, Reason::SignatureUncovered(1));
}

#[test]
fn payload_and_payload_type_are_signed() {
    let (verifier, content) = p256();
    for change in [
        (|e| e.payload.push(0)) as fn(&mut Envelope),
        |e| e.payload.clear(),
        |e| e.payload_type.push(' '),
        |e| e.payload_type.clear(),
    ] {
        let mut envelope = envelope(&[&content]);
        change(&mut envelope);
        let refused = reason(&dsse(Some(envelope), vec![verifier.clone()]));
        assert_eq!(refused, Reason::SignatureUncovered(0));
    }
}

#[test]
fn an_empty_payload_can_be_signed() {
    let (key, spki) = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING);
    let sig = sign_ecdsa(&key, &pae(b"", b""));
    let envelope = Envelope {
        signatures: vec![Signature { sig, ..Default::default() }],
        ..Default::default()
    };
    let entry = admitted_dsse(&dsse(Some(envelope), vec![public_key(&spki, P256)]));
    assert_eq!(entry.payload_hash, sha256(b""));
}

#[test]
fn counts_are_bounded() {
    let (one, by_one) = p256();
    let many: Vec<Verifier> = (0..11).map(|_| p256().0).collect();
    let ten_and_mine: Vec<&Verifier> = many[..9].iter().chain([&one]).collect();
    admitted_dsse(&request(&[&by_one[..]; 10], &ten_and_mine));
    let eleven: Vec<&Verifier> = many.iter().collect();
    assert_eq!(reason(&request(&[&by_one], &eleven)), Reason::VerifierCount(11));
    assert_eq!(reason(&request(&[&by_one], &[])), Reason::VerifierCount(0));
    assert_eq!(reason(&request(&[], &[&one])), Reason::SignatureCount(0));
    assert_eq!(reason(&request(&[&by_one[..]; 11], &[&one])), Reason::SignatureCount(11));
}

#[test]
fn missing_and_repeated_parts_are_refused() {
    let (one, by_one) = p256();
    assert_eq!(reason(&dsse(None, vec![one.clone()])), Reason::EnvelopeMissing);
    assert_eq!(reason(&request(&[&by_one, &[]], &[&one])), Reason::SignatureMissing);
    let mut same_key = one.clone();
    same_key.key_details = RSA_2048;
    assert_eq!(reason(&request(&[&by_one], &[&one, &same_key])), Reason::VerifierRepeated);
    assert_eq!(reason(&request(&[&by_one], &[&one, &Verifier::default()])), Reason::KeyMissing);
    let mut unlabelled = one.clone();
    unlabelled.key_details = 0;
    let refused = reason(&request(&[&by_one], &[&unlabelled]));
    assert_eq!(refused, Reason::UnsupportedKeyDetails(0));
}

#[test]
fn a_log_that_does_not_take_dsse_says_so() {
    let (one, by_one) = p256();
    let refused = create_entry(&request(&[&by_one], &[&one]), &AdmitRules { dsse: false });
    assert_eq!(refused.unwrap_err(), Refusal::NoSpec { dsse_on: false });
}

#[test]
fn parts_that_no_leaf_can_hold_are_refused_before_they_are_parsed() {
    let (one, by_one) = p256();
    let huge = vec![7; 1_000_000];
    assert_eq!(refusal(&request(&[&huge], &[&one])), Refusal::LeafTooLong);
    let refused = refusal(&request(&[&by_one], &[&one, &certificate(&huge, P256)]));
    assert_eq!(refused, Refusal::LeafTooLong);
}

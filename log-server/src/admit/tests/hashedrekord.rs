//! `hashedrekord`: algorithms, labels, signatures, missing parts, size.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as aws;
use log_core::entry::{Entry, HashAlgorithm, KeyDetails, Verifier as LoggedVerifier};
use log_proto::rekor::v2::create_entry_request::Spec;
use log_proto::rekor::v2::{CreateEntryRequest, HashedRekordRequestV002};

use super::keys::{
    certificate, ecdsa, ed25519, hash, hashed_rekord, public_key, rsa, sign_ecdsa, sign_ed25519,
    sign_ed25519ph, sign_rsa, sign_rsa_with,
};
use super::{MESSAGE, Reason, Refusal, admitted, refusal};
use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};

const P256: i32 = 5;
const ED25519: i32 = 7;
const ED25519_PH: i32 = 8;
const RSA_2048: i32 = 9;
const RSA_3072: i32 = 10;
const RSA_4096: i32 = 11;
const P384: i32 = 12;
const P521: i32 = 13;
const RSA_PSS_2048: i32 = 16;
const P384_SHA_256: i32 = 19;

/// The order of P-256.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[track_caller]
fn check_admitted(algorithm: HashAlgorithm, content: &[u8], spki: &[u8], label: i32) {
    let digest = hash(algorithm, MESSAGE);
    let entry = admitted(&hashed_rekord(&digest, content, public_key(spki, label)));
    let Entry::HashedRekord(entry) = entry else { panic!("a hashedrekord") };
    assert_eq!((entry.algorithm, &entry.digest), (algorithm, &digest));
    assert_eq!(entry.signature.content, content);
    assert_eq!(entry.signature.verifier, LoggedVerifier::PublicKey(spki.to_vec()));
    assert_eq!(Some(entry.signature.key_details), KeyDetails::from_number(label));
}

#[track_caller]
fn reason(request: &CreateEntryRequest) -> Reason {
    match refusal(request) {
        Refusal::InvalidHashedRekord(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_refused(algorithm: HashAlgorithm, content: &[u8], spki: &[u8], label: i32) -> Reason {
    reason(&hashed_rekord(&hash(algorithm, MESSAGE), content, public_key(spki, label)))
}

#[test]
fn ecdsa_of_every_curve_is_admitted_in_both_encodings() {
    for (der, fixed, algorithm, label) in [
        (
            &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
            &aws::ECDSA_P256_SHA256_FIXED_SIGNING,
            Sha2_256,
            P256,
        ),
        (
            &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
            &aws::ECDSA_P384_SHA384_FIXED_SIGNING,
            Sha2_384,
            P384,
        ),
        (
            &aws::ECDSA_P521_SHA512_ASN1_SIGNING,
            &aws::ECDSA_P521_SHA512_FIXED_SIGNING,
            Sha2_512,
            P521,
        ),
    ] {
        for scheme in [der, fixed] {
            let (key, spki) = ecdsa(scheme);
            check_admitted(algorithm, &sign_ecdsa(&key, MESSAGE), &spki, label);
        }
    }
}

#[test]
fn rsa_of_every_size_is_admitted() {
    for (size, label) in
        [(KeySize::Rsa2048, RSA_2048), (KeySize::Rsa3072, RSA_3072), (KeySize::Rsa4096, RSA_4096)]
    {
        let (key, spki) = rsa(size);
        check_admitted(Sha2_256, &sign_rsa(&key, MESSAGE), &spki, label);
    }
}

#[test]
fn ed25519_is_admitted_prehashed_with_an_empty_context_only() {
    let (key, spki) = ed25519(1);
    let prehashed = sign_ed25519ph(&key, None, MESSAGE);
    check_admitted(Sha2_512, &prehashed, &spki, ED25519_PH);
    let with_context = sign_ed25519ph(&key, Some(b"x"), MESSAGE);
    let pure = sign_ed25519(&key, MESSAGE);
    let pure_over_digest = sign_ed25519(&key, &hash(Sha2_512, MESSAGE));
    for content in [&with_context, &pure, &pure_over_digest] {
        let refused = check_refused(Sha2_512, content, &spki, ED25519_PH);
        assert_eq!(refused, Reason::SignatureInvalid);
    }
    for (algorithm, content) in [(Sha2_512, &prehashed), (Sha2_256, &pure)] {
        let refused = check_refused(algorithm, content, &spki, ED25519);
        assert!(matches!(refused, Reason::AlgorithmNotAllowed { .. }), "{refused:?}");
    }
}

#[test]
fn malformed_ed25519_signatures_are_refused() {
    let (key, spki) = ed25519(2);
    let good = sign_ed25519ph(&key, None, MESSAGE);
    let mut large_s = good.clone();
    large_s[63] |= 0xe0;
    for content in [&large_s[..], &good[..63], &[&good[..], &[0]].concat(), &[0; 64]] {
        let refused = check_refused(Sha2_512, content, &spki, ED25519_PH);
        assert_eq!(refused, Reason::SignatureInvalid);
    }
}

#[test]
fn a_label_of_another_key_is_admitted_when_its_hash_function_fits() {
    let (p256, p256_spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let (p521, p521_spki) = ecdsa(&aws::ECDSA_P521_SHA512_ASN1_SIGNING);
    let (rsa, rsa_spki) = rsa(KeySize::Rsa2048);
    let (ed25519, ed25519_spki) = ed25519(3);
    for label in [RSA_2048, RSA_PSS_2048, P384_SHA_256] {
        check_admitted(Sha2_256, &sign_ecdsa(&p256, MESSAGE), &p256_spki, label);
    }
    for label in [P256, RSA_4096, RSA_PSS_2048] {
        check_admitted(Sha2_256, &sign_rsa(&rsa, MESSAGE), &rsa_spki, label);
    }
    check_admitted(Sha2_512, &sign_ecdsa(&p521, MESSAGE), &p521_spki, ED25519_PH);
    let prehashed = sign_ed25519ph(&ed25519, None, MESSAGE);
    check_admitted(Sha2_512, &prehashed, &ed25519_spki, P521);
}

#[test]
fn a_label_of_another_hash_function_is_refused() {
    let (p256, p256_spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let (p384, p384_spki) = ecdsa(&aws::ECDSA_P384_SHA384_ASN1_SIGNING);
    let on_p256 = sign_ecdsa(&p256, MESSAGE);
    let on_p384 = sign_ecdsa(&p384, MESSAGE);
    for (algorithm, content, spki, label) in [
        (Sha2_384, &on_p256, &p256_spki, P384),
        (Sha2_256, &on_p256, &p256_spki, P384),
        (Sha2_256, &on_p256, &p256_spki, ED25519_PH),
        (Sha2_256, &on_p256, &p256_spki, ED25519),
        (Sha2_384, &on_p384, &p384_spki, P256),
        (Sha2_384, &on_p384, &p384_spki, P384_SHA_256),
    ] {
        let refused = check_refused(algorithm, content, spki, label);
        assert!(matches!(refused, Reason::AlgorithmNotAllowed { .. }), "{label}: {refused:?}");
    }
}

#[test]
fn labels_outside_the_protocol_are_refused() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    for label in [i32::MIN, -1, 0, 1, 2, 3, 4, 6, 14, 15, 21, 22, 23, 24, 261, i32::MAX] {
        let refused = check_refused(Sha2_256, &content, &spki, label);
        assert_eq!(refused, Reason::UnsupportedKeyDetails(label));
    }
}

#[test]
fn a_signature_of_another_key_message_or_scheme_is_refused() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let (other, _) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    for content in [sign_ecdsa(&other, MESSAGE), sign_ecdsa(&key, b"another artefact")] {
        let refused = check_refused(Sha2_256, &content, &spki, P256);
        assert_eq!(refused, Reason::SignatureInvalid);
    }
    let (key, spki) = rsa(KeySize::Rsa2048);
    let pss = sign_rsa_with(&key, &aws::RSA_PSS_SHA256, MESSAGE);
    let sha512 = sign_rsa_with(&key, &aws::RSA_PKCS1_SHA512, MESSAGE);
    let good = sign_rsa(&key, MESSAGE);
    for content in [&pss[..], &sha512, &good[1..], &[&[0], &good[..]].concat(), &[1]] {
        for label in [RSA_2048, RSA_PSS_2048] {
            let refused = check_refused(Sha2_256, content, &spki, label);
            assert_eq!(refused, Reason::SignatureInvalid);
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_signature_or_digest_is_refused() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    let digest = hash(Sha2_256, MESSAGE);
    for position in 0..content.len() {
        let mut flipped = content.clone();
        flipped[position] ^= 1;
        let refused = check_refused(Sha2_256, &flipped, &spki, P256);
        assert_eq!(refused, Reason::SignatureInvalid, "byte {position}");
    }
    for position in 0..digest.len() {
        let mut flipped = digest.clone();
        flipped[position] ^= 0x80;
        let request = hashed_rekord(&flipped, &content, public_key(&spki, P256));
        assert_eq!(reason(&request), Reason::SignatureInvalid, "byte {position}");
    }
}

/// `n - s` is the other half of the same signature; there is no rule against it.
#[test]
fn a_high_s_is_admitted() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_FIXED_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    let (r, s) = content.split_at(32);
    let mut borrow = 0;
    let mut negated = [0; 32];
    for position in (0..32).rev() {
        let difference = i32::from(P256_ORDER[position]) - i32::from(s[position]) - borrow;
        negated[position] = u8::try_from(difference.rem_euclid(256)).unwrap();
        borrow = i32::from(difference < 0);
    }
    assert_ne!(negated, s);
    check_admitted(Sha2_256, &[r, &negated].concat(), &spki, P256);
}

#[test]
fn p1363_may_have_leading_zeros_but_not_any_length() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_FIXED_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    let (r, s) = content.split_at(32);
    let zeros = [0; 40];
    let padded = |count: usize| [&zeros[..count], r, &zeros[..count], s].concat();
    check_admitted(Sha2_256, &padded(1), &spki, P256);
    check_admitted(Sha2_256, &padded(34), &spki, P256);
    for content in [padded(35), [&content[..], &[0]].concat(), content[..63].to_vec(), vec![0; 64]]
    {
        let refused = check_refused(Sha2_256, &content, &spki, P256);
        assert_eq!(refused, Reason::SignatureInvalid, "{} bytes", content.len());
    }
}

#[test]
fn der_signatures_are_strict() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let good = sign_ecdsa(&key, MESSAGE);
    check_admitted(Sha2_256, &good, &spki, P256);
    let length = u8::try_from(good.len()).unwrap();
    let trailing = [&good[..], &[0]].concat();
    let two_trailing = [&good[..], &[0, 0]].concat();
    let long_length = [&[0x30, 0x81, length - 2], &good[2..]].concat();
    let indefinite = [&[0x30, 0x80], &good[2..], &[0, 0]].concat();
    let r_length = usize::from(good[3]);
    let padded_r = [&[0x30, length - 1, 0x02, good[3] + 1, 0], &good[4..]].concat();
    let zero_r = [&[0x30, length - 2 - good[3] + 1, 0x02, 1, 0], &good[4 + r_length..]].concat();
    for content in [trailing, two_trailing, long_length, indefinite, padded_r, zero_r] {
        let refused = check_refused(Sha2_256, &content, &spki, P256);
        assert_eq!(refused, Reason::SignatureInvalid, "{content:02x?}");
    }
    for end in 1..good.len() {
        let refused = check_refused(Sha2_256, &good[..end], &spki, P256);
        assert_eq!(refused, Reason::SignatureInvalid, "cut at {end}");
    }
}

#[test]
fn the_digest_must_have_the_length_that_the_label_implies() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    for actual in [1, 20, 31, 33, 48, 64, 100_000] {
        let request = hashed_rekord(&vec![7; actual], &content, public_key(&spki, P256));
        assert_eq!(reason(&request), Reason::DigestLength { actual, expected: 32 });
    }
}

#[test]
fn every_missing_part_is_named() {
    let (key, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let content = sign_ecdsa(&key, MESSAGE);
    let good = hashed_rekord(&hash(Sha2_256, MESSAGE), &content, public_key(&spki, P256));
    let without = |change: fn(&mut HashedRekordRequestV002)| {
        let mut request = good.clone();
        let Some(Spec::HashedRekordRequestV002(inner)) = &mut request.spec else {
            panic!("a hashedrekord");
        };
        change(inner);
        reason(&request)
    };
    admitted(&good);
    assert_eq!(without(|r| r.digest.clear()), Reason::DigestMissing);
    assert_eq!(without(|r| r.signature = None), Reason::SignatureMissing);
    let refused = without(|r| r.signature.as_mut().unwrap().content.clear());
    assert_eq!(refused, Reason::SignatureMissing);
    let refused = without(|r| r.signature.as_mut().unwrap().verifier = None);
    assert_eq!(refused, Reason::VerifierMissing);
    let refused = without(|r| {
        r.signature.as_mut().unwrap().verifier.as_mut().unwrap().verifier = None;
    });
    assert_eq!(refused, Reason::KeyMissing);
    let refused = without(|r| {
        r.signature.as_mut().unwrap().verifier = Some(public_key(&[], P256));
    });
    assert_eq!(refused, Reason::KeyMissing);
    let refused = without(|r| {
        r.signature.as_mut().unwrap().verifier = Some(certificate(&[], P256));
    });
    assert_eq!(refused, Reason::KeyMissing);
    let refused = without(|r| *r = HashedRekordRequestV002::default());
    assert_eq!(refused, Reason::SignatureMissing);
}

/// A P-256 certificate with an extension of so many bytes, and a signature by its key.
fn padded_certificate(padding: usize) -> CreateEntryRequest {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    let extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 9999, 1], vec![7; padding]);
    parameters.custom_extensions.push(extension);
    let der = parameters.self_signed(&key).unwrap().der().to_vec();
    let signer =
        aws::EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der())
            .unwrap();
    let content = sign_ecdsa(&signer, MESSAGE);
    hashed_rekord(&hash(Sha2_256, MESSAGE), &content, certificate(&der, P256))
}

#[test]
fn an_entry_that_no_bundle_can_hold_is_refused() {
    let entry = admitted(&padded_certificate(48_000));
    assert!(entry.to_leaf().unwrap().as_bytes().len() > 64_500);
    for padding in [48_800, 49_149, 60_000, 3_000_000] {
        assert_eq!(refusal(&padded_certificate(padding)), Refusal::LeafTooLong);
    }
    let (_, spki) = ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING);
    let request = hashed_rekord(&[7; 32], &vec![7; 1_000_000], public_key(&spki, P256));
    assert_eq!(refusal(&request), Refusal::LeafTooLong);
}

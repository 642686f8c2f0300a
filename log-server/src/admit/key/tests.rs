//! Keys and certificates that are read, and many that must not be.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};

use super::*;

const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const ED25519: &str = "1.3.101.112";
const NULL: [u8; 2] = [5, 0];

/// A DER element. Written out here so that the tests do not lean on the code under test.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match content.len() {
        0..=127 => vec![low],
        128..=255 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

fn oid(text: &str) -> Vec<u8> {
    element(6, ObjectIdentifier::new(text).unwrap().as_bytes())
}

fn spki(algorithm: &str, parameters: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = element(0x30, &[&oid(algorithm)[..], parameters].concat());
    let key = element(3, &[&[0], key].concat());
    element(0x30, &[algorithm, key].concat())
}

fn rsa_spki(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    if modulus[0] >= 0x80 {
        modulus.insert(0, 0);
    }
    let numbers = [element(2, &modulus), element(2, exponent)].concat();
    spki(RSA, &NULL, &element(0x30, &numbers))
}

fn ecdsa_spki(algorithm: &'static EcdsaSigningAlgorithm) -> Vec<u8> {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    spki.as_ref().to_vec()
}

fn p256_point() -> Vec<u8> {
    let spki = ecdsa_spki(&ECDSA_P256_SHA256_ASN1_SIGNING);
    spki[spki.len() - 65..].to_vec()
}

fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec()
}

fn kind(der: &[u8]) -> Result<KeyKind, Reason> {
    VerifyingKey::from_public_key(der).map(|key| key.kind())
}

fn certificate_kind(der: &[u8]) -> Result<KeyKind, Reason> {
    VerifyingKey::from_certificate(der).map(|key| key.kind())
}

#[test]
fn keys_of_every_kind_are_read() {
    let point = element(6, ObjectIdentifier::new(P256).unwrap().as_bytes());
    assert_eq!(kind(&spki(EC, &point, &p256_point())), Ok(KeyKind::EcdsaP256));
    for (algorithm, expected) in [
        (&ECDSA_P256_SHA256_ASN1_SIGNING, KeyKind::EcdsaP256),
        (&ECDSA_P384_SHA384_ASN1_SIGNING, KeyKind::EcdsaP384),
        (&ECDSA_P521_SHA512_ASN1_SIGNING, KeyKind::EcdsaP521),
    ] {
        assert_eq!(kind(&ecdsa_spki(algorithm)), Ok(expected));
    }
    for bits in RSA_BITS {
        assert_eq!(kind(&rsa_spki(bits, &[1, 0, 1])), Ok(KeyKind::Rsa));
    }
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key();
    assert_eq!(kind(&spki(ED25519, &[], ed25519.as_bytes())), Ok(KeyKind::Ed25519));
}

#[test]
fn certificates_of_every_kind_are_read() {
    for (algorithm, expected) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::EcdsaP256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::EcdsaP384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::EcdsaP521),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa),
        (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
    ] {
        assert_eq!(certificate_kind(&certificate(algorithm)), Ok(expected));
    }
}

#[test]
fn the_dates_of_a_certificate_do_not_matter() {
    let key = rcgen::KeyPair::generate().unwrap();
    for (from, to) in [(1990, 2001), (2040, 2049), (2060, 2070), (2020, 2010)] {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        let der = parameters.self_signed(&key).unwrap().der().to_vec();
        assert_eq!(certificate_kind(&der), Ok(KeyKind::EcdsaP256), "{from} to {to}");
    }
}

#[test]
fn text_and_garbage_are_not_keys() {
    let pem = b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
    for bytes in [&pem[..], b"\0", b"garbage", &[0x30, 0x80, 0, 0], &[0xff; 100]] {
        assert_eq!(kind(bytes), Err(Reason::MalformedPublicKey));
        assert_eq!(certificate_kind(bytes), Err(Reason::MalformedCertificate));
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let pem = certificate.pem();
    assert_eq!(certificate_kind(pem.as_bytes()), Err(Reason::MalformedCertificate));
    // Each is good in the other place.
    assert_eq!(kind(certificate.der()), Err(Reason::MalformedPublicKey));
    let spki = ecdsa_spki(&ECDSA_P256_SHA256_ASN1_SIGNING);
    assert_eq!(certificate_kind(&spki), Err(Reason::MalformedCertificate));
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    let spki = ecdsa_spki(&ECDSA_P256_SHA256_ASN1_SIGNING);
    let certificate = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    for trailing in [&[0][..], b"\n", &spki, &certificate] {
        let longer = [&spki[..], trailing].concat();
        assert_eq!(kind(&longer), Err(Reason::MalformedPublicKey));
        let longer = [&certificate[..], trailing].concat();
        assert_eq!(certificate_kind(&longer), Err(Reason::MalformedCertificate));
    }
    for end in 0..spki.len() {
        assert_eq!(kind(&spki[..end]), Err(Reason::MalformedPublicKey), "cut at {end}");
    }
    for end in 0..certificate.len() {
        let refused = certificate_kind(&certificate[..end]);
        assert_eq!(refused, Err(Reason::MalformedCertificate), "cut at {end}");
    }
}

#[test]
fn a_length_that_is_not_the_shortest_is_refused() {
    let spki = ecdsa_spki(&ECDSA_P256_SHA256_ASN1_SIGNING);
    assert!(spki[1] < 0x80);
    let long = [&[spki[0], 0x81], &spki[1..]].concat();
    assert_eq!(kind(&long), Err(Reason::MalformedPublicKey));
}

#[test]
fn only_uncompressed_points_on_the_curve_are_keys() {
    let curve = oid(P256);
    let point = p256_point();
    let parity = point[64] & 1;
    let compressed = [&[2 + parity], &point[1..33]].concat();
    let hybrid = [&[6 + parity], &point[1..]].concat();
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let longer = [&point[..], &[0]].concat();
    // x is the field's prime: a number, but not one below it.
    let mut large = point.clone();
    large[1..33].fill(0xff);
    for key in
        [&compressed[..], &hybrid, &off_curve, &longer, &large, &point[..64], &[0], &[4], &[]]
    {
        assert_eq!(kind(&spki(EC, &curve, key)), Err(Reason::InvalidKey), "{key:02x?}");
    }
    // A whole SubjectPublicKeyInfo in the place of the point.
    let nested = spki(EC, &curve, &spki(EC, &curve, &point));
    assert_eq!(kind(&nested), Err(Reason::InvalidKey));
    let other_curve = spki(EC, &oid("1.3.132.0.34"), &point);
    assert_eq!(kind(&other_curve), Err(Reason::InvalidKey));
}

#[test]
fn other_curves_and_algorithms_are_refused() {
    let point = p256_point();
    let explicit = element(0x30, &element(2, &[1]));
    for curve in [&oid("1.3.132.0.33")[..], &oid("1.3.132.0.10"), &explicit, &NULL, &[]] {
        assert_eq!(kind(&spki(EC, curve, &point)), Err(Reason::UnsupportedKey));
    }
    let rsa = element(0x30, &[element(2, &[0x7f; 256]), element(2, &[3])].concat());
    for (algorithm, key) in
        [(RSA_PSS, &rsa[..]), ("1.3.101.113", &[1; 57]), ("1.2.840.10040.4.1", &point)]
    {
        assert_eq!(kind(&spki(algorithm, &NULL, key)), Err(Reason::UnsupportedKey));
    }
}

#[test]
fn parameters_must_be_those_of_the_algorithm() {
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key();
    assert_eq!(kind(&spki(ED25519, &NULL, ed25519.as_bytes())), Err(Reason::InvalidKey));
    let good = rsa_spki(2048, &[1, 0, 1]);
    let key = &good[24..];
    assert_eq!(kind(&spki(RSA, &NULL, key)), Ok(KeyKind::Rsa));
    for parameters in [&[][..], &oid(P256), &[5, 1, 0]] {
        assert!(kind(&spki(RSA, parameters, key)).is_err(), "{parameters:02x?}");
    }
}

#[test]
fn rsa_keys_of_other_sizes_are_refused() {
    for bits in [8, 512, 1024, 2040, 2047, 2049, 2056, 3071, 4095, 4097, 8192, 16_384] {
        let refused = kind(&rsa_spki(bits, &[1, 0, 1]));
        assert_eq!(refused, Err(Reason::UnsupportedRsaSize(bits)));
    }
    let zero = element(0x30, &[element(2, &[0]), element(2, &[3])].concat());
    assert!(kind(&spki(RSA, &NULL, &zero)).is_err());
}

#[test]
fn rsa_exponents_that_are_none_are_refused() {
    assert_eq!(kind(&rsa_spki(2048, &[3])), Ok(KeyKind::Rsa));
    assert_eq!(kind(&rsa_spki(2048, &[0x7f, 0xff, 0xff, 0xff])), Ok(KeyKind::Rsa));
    let large = [0, 0x80, 0, 0, 1];
    let huge = [0x7f; 256];
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[0xff], &large, &huge, &[0, 3], &[]] {
        let refused = kind(&rsa_spki(2048, exponent));
        assert_eq!(refused, Err(Reason::InvalidKey), "{exponent:02x?}");
    }
}

#[test]
fn malformed_rsa_and_ed25519_keys_are_refused() {
    let numbers = [element(2, &[0x7f; 256]), element(2, &[3])].concat();
    let trailing = [&element(0x30, &numbers)[..], &[0]].concat();
    let third = element(0x30, &[&numbers[..], &element(2, &[3])].concat());
    let one = element(0x30, &element(2, &[0x7f; 256]));
    for key in [&trailing[..], &third, &one, &numbers, &[]] {
        assert_eq!(kind(&spki(RSA, &NULL, key)), Err(Reason::InvalidKey));
    }
    // No point has this y, see RFC 8032 5.1.3.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    for key in [&no_point[..], &[1; 31], &[1; 33], &[]] {
        assert_eq!(kind(&spki(ED25519, &[], key)), Err(Reason::InvalidKey));
    }
}

#[test]
fn a_key_of_odd_bits_is_refused() {
    let algorithm = element(0x30, &[oid(EC), oid(P256)].concat());
    let mut bits = [&[1][..], &p256_point()].concat();
    *bits.last_mut().unwrap() &= 0xfe;
    let odd = element(0x30, &[algorithm, element(3, &bits)].concat());
    assert_eq!(kind(&odd), Err(Reason::InvalidKey));
}

//! RFC 3161 timestamps: OpenSSL's, and each byte of them changed.

use log_cli::bundle::{CertificateChain, RawBytes};
use log_cli::protojson::Bytes;
use log_cli::timestamp::{check_unsigned, request, verify};
use log_cli::trusted_root::{Authority, DistinguishedName, TimeRange};
use serde::Deserialize;
use std::slice::from_ref;

#[derive(Deserialize)]
struct Vectors {
    message: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    signer: Bytes,
    root: Bytes,
    response: Bytes,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("openssl-timestamps.json")).unwrap()
}

pub(crate) fn authority(chain: &[&[u8]]) -> Authority {
    let certificates = chain.iter().map(|der| RawBytes { raw_bytes: Bytes(der.to_vec()) });
    Authority {
        subject: DistinguishedName::default(),
        uri: String::new(),
        cert_chain: CertificateChain { certificates: certificates.collect() },
        valid_for: TimeRange::default(),
        operator: String::new(),
    }
}

#[test]
fn openssl_timestamps_verify() {
    let Vectors { message, cases } = vectors();
    let message = message.as_bytes();
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let trusted = authority(&[&case.signer.0, &case.root.0]);
        let time = verify(&case.response.0, message, from_ref(&trusted)).unwrap();
        assert!(time.to_string().starts_with("2026-11-22T16:30:4"), "{}: {time}", case.name);
        assert_eq!(check_unsigned(&case.response.0, message).unwrap(), time);
        assert!(verify(&case.response.0, b"another", from_ref(&trusted)).is_err());
        assert!(verify(&case.response.0, message, &[]).is_err());
        let mut ended = trusted.clone();
        ended.valid_for.end = Some("2026-11-22T00:00:00Z".into());
        assert!(verify(&case.response.0, message, &[ended.clone()]).is_err());
        // One authority that fits is enough, whatever stands beside it.
        assert!(verify(&case.response.0, message, &[ended, trusted]).is_ok());
    }
}

#[test]
fn the_signer_is_found_in_the_token_if_it_is_there() {
    let Vectors { message, cases } = vectors();
    let verifies = |case: &Case| {
        verify(&case.response.0, message.as_bytes(), &[authority(&[&case.root.0])]).is_ok()
    };
    // The first was asked for with the certificate in it, the second without.
    assert!(verifies(&cases[0]));
    assert!(!verifies(&cases[1]));
}

#[test]
fn an_authority_does_not_vouch_for_another_ones_timestamps() {
    let Vectors { message, cases } = vectors();
    let [first, second] = cases.as_slice() else { panic!("two cases") };
    let stranger = authority(&[&second.signer.0, &second.root.0]);
    assert!(verify(&first.response.0, message.as_bytes(), &[stranger]).is_err());
    let mixed = authority(&[&first.signer.0, &second.root.0]);
    assert!(verify(&first.response.0, message.as_bytes(), &[mixed]).is_err());
}

#[test]
fn no_byte_of_a_timestamp_can_change_without_notice() {
    let Vectors { message, cases } = vectors();
    for case in &cases {
        let trusted = [authority(&[&case.signer.0, &case.root.0])];
        let good = &case.response.0;
        let mut unnoticed = Vec::new();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x01;
            if verify(&changed, message.as_bytes(), &trusted).is_ok() {
                unnoticed.push(at);
            }
            assert!(verify(&good[..at], message.as_bytes(), &trusted).is_err());
        }
        // What is left is not signed and not used: the status (granted with modifications), the
        // list of hashes, the versions, algorithm parameters, and the certificate in the token.
        let unused = if case.name == "ecdsa" { 600 } else { 40 };
        assert!(unnoticed.len() < unused, "{}: {}", case.name, unnoticed.len());
    }
}

#[test]
fn a_request_holds_the_digest() {
    let request = request(b"abc");
    assert_eq!(request.len(), 59);
    let digest = log_core::hash::sha256(b"abc");
    assert!(request.windows(32).any(|window| window == digest.as_bytes()));
}

#[test]
fn garbage_is_refused_and_nothing_panics() {
    let mut garbage = vec![0x30, 0x82, 0xff, 0xff];
    for byte in 0..=255 {
        garbage.push(byte);
        assert!(check_unsigned(&garbage, b"x").is_err());
    }
    let deep = [0x30, 0x80].repeat(10_000);
    assert!(check_unsigned(&deep, b"x").is_err());
}

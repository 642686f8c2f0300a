//! `cose`: messages that are no messages, other keys, other data beside them.

use log_core::hash::sha256;
use serde_json::{Value, json};

use super::super::json::Json;
use super::super::look_up;
use super::{Signer, admitted, case, changed, decode, encode, list, now, reason};

const MESSAGE: &str = "/spec/message";
const KEY: &str = "/spec/publicKey";
const AAD: &str = "/spec/data/aad";

fn request() -> Value {
    case("cose-es256")
}

fn message() -> Vec<u8> {
    decode(&request()["spec"]["message"])
}

fn with(message: &[u8]) -> Value {
    changed(request(), MESSAGE, Some(encode(message)))
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let byte_0 = "illegal base64 data at input byte 0";
    let key = list("publicKey in body is required");
    let name = "data.data.envelopeHash.data.envelopeHash";
    let hash =
        list(&format!("{name}.algorithm in body is required\npublicKey in body is required"));
    let no_hash = "envelope hash should have been previously computed";
    for (pointer, value, expected) in [
        ("/spec", Some(json!({})), key.clone()),
        ("/spec", Some(json!({ "data": { "envelopeHash": {}, "payloadHash": {} } })), hash),
        (KEY, None, key.clone()),
        (KEY, Some(json!("")), key),
        (KEY, Some(json!("!")), format!("failed parsing base64 data for publicKey: {byte_0}")),
        (KEY, Some(json!("AAAA")), "invalid public key: failure decoding PEM".into()),
        (MESSAGE, Some(json!("!")), format!("failed parsing base64 data for message: {byte_0}")),
        (AAD, Some(json!("!")), format!("failed parsing base64 data for aad: {byte_0}")),
        (MESSAGE, None, no_hash.into()),
        (MESSAGE, Some(json!("")), no_hash.into()),
        (MESSAGE, Some(json!([])), no_hash.into()),
        ("/spec/data", None, "cose object data cannot be nil".into()),
        ("/spec/data", Some(Value::Null), "cose object data cannot be nil".into()),
        ("/spec/data", Some(json!([])), "cose object data cannot be nil".into()),
    ] {
        let refused = reason(&changed(request(), pointer, value)).to_string();
        assert_eq!(refused, expected, "{pointer}");
    }
}

#[test]
fn the_stored_form_can_neither_be_inserted_nor_looked_up() {
    let stored: Value = serde_json::from_slice(admitted(&request()).leaf.as_bytes()).unwrap();
    let expected = "entry not insertable into log: missing COSE Sign1 message";
    assert_eq!(reason(&stored).to_string(), expected);
    let text = stored.to_string();
    let refused = look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap_err();
    assert_eq!(refused.in_lookup(), "signed message uninitialized");
}

#[test]
fn only_tagged_messages_with_one_signature_are_read() {
    let message = message();
    let malformed = "cbor: invalid COSE_Sign1_Tagged object";
    let start = [0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0];
    assert!(message.starts_with(&start));
    let rest = &message[start.len()..];
    let built = |protected: &[u8], unprotected: &[u8]| {
        [&[0xd2, 0x84][..], protected, unprotected, rest].concat()
    };
    let deep = built(&start[2..6], &[&[0xa1, 0x61, b'x'][..], &[0x81; 100_000]].concat());
    for bytes in [
        message[1..].to_vec(),
        [&[0xd8, 18][..], &message[1..]].concat(),
        [&[0xd2, 0x85][..], &message[2..], &[0]].concat(),
        [&message[..], &[0]].concat(),
        built(&[0x43, 0xa1, 1], &[0xa0]),
        built(&[0x42, 0xa1, 1], &[0xa0]),
        built(&start[2..6], &[0x80]),
        built(&[0x45, 0xa2, 1, 0x26, 1, 0x26], &[0xa0]),
        deep,
        b"text".to_vec(),
    ] {
        assert_eq!(reason(&with(&bytes)).to_string(), malformed, "{bytes:02x?}");
    }
    for end in 0..message.len() {
        if end > 0 {
            assert_eq!(reason(&with(&message[..end])).to_string(), malformed, "{end}");
        }
    }
    let too_long = "a COSE message may have 1048576 bytes";
    assert_eq!(reason(&with(&vec![0xd2; 1024 * 1024 + 1])).to_string(), too_long);
}

#[test]
fn payload_signature_and_algorithm_must_be_there() {
    for (bytes, expected) in [
        (&[0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0xf6, 0x41, 0][..], "missing payload"),
        (&[0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0x40, 0x40], "empty signature"),
        (&[0xd2, 0x84, 0x40, 0xa0, 0x40, 0x41, 0], "algorithm not found"),
        (&[0xd2, 0x84, 0x40, 0xa1, 1, 0x26, 0x40, 0x41, 0], "algorithm not found"),
        (&[0xd2, 0x84, 0x44, 0xa1, 1, 0x38, 0x24, 0xa0, 0x40, 0x41, 0], "algorithm mismatch"),
        (&[0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0x40, 0x41, 0], "verification error"),
    ] {
        assert_eq!(reason(&with(bytes)).to_string(), expected, "{bytes:02x?}");
    }
}

#[test]
fn an_empty_payload_and_additional_data_are_signed() {
    let signer = Signer::new();
    let keyed = changed(request(), KEY, Some(encode(&signer.pem)));
    // The structure that is signed: context, protected header, additional data, payload.
    let signed = |aad: &[u8]| {
        let structure = [
            b"\x84\x6aSignature1\x43\xa1\x01\x26".as_slice(),
            &[0x40 + u8::try_from(aad.len()).unwrap()],
            aad,
            &[0x40],
        ];
        let der = signer.sign(&structure.concat());
        [&[0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0x40, 0x58, 64][..], &fixed(&der)].concat()
    };
    let plain = changed(keyed.clone(), MESSAGE, Some(encode(signed(b""))));
    let made = admitted(&plain);
    assert!(made.index_keys.contains(&format!("sha256:{}", sha256(b""))));
    let with_aad = changed(keyed, MESSAGE, Some(encode(signed(b"aad"))));
    assert_eq!(reason(&with_aad).to_string(), "verification error");
    admitted(&changed(with_aad.clone(), AAD, Some(encode(b"aad"))));
    let other = changed(with_aad, AAD, Some(encode(b"other")));
    assert_eq!(reason(&other).to_string(), "verification error");
}

/// The two numbers of a DER signature with 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let r_len = usize::from(der[3]);
    let (r, s) = (&der[4..4 + r_len], &der[6 + r_len..]);
    let padded = |number: &[u8]| {
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        [&vec![0; 32 - number.len()][..], number].concat()
    };
    [padded(r), padded(s)].concat()
}

#[test]
fn only_rsa_and_p256_keys_are_taken() {
    let key = |name: &str| case(name)["spec"]["signature"]["publicKey"]["content"].clone();
    for (name, expected) in [
        ("hashedrekord-p384-sha384", "unsupported elliptic curve ECDSA P-384"),
        ("hashedrekord-ed25519ph-sha512", "unsupported algorithm type ed25519.PublicKey"),
        ("hashedrekord-rsa2048-sha256", "algorithm mismatch"),
        ("rekord-x509-p256", "verification error"),
    ] {
        let other = changed(request(), KEY, Some(key(name)));
        assert_eq!(reason(&other).to_string(), expected);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let message = message();
    for at in 0..message.len() {
        let mut flipped = message.clone();
        flipped[at] ^= 4;
        reason(&with(&flipped));
    }
}

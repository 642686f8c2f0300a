//! `hashedrekord`: missing and wrong members, keys in every wrapping, signatures, the policy.

use serde_json::{Value, json};

use super::super::pem;
use super::{Change, admitted, body, case, changed, check_changes, decode, encode, list, reason};

const KEY: &str = "/spec/signature/publicKey/content";
const SIGNATURE: &str = "/spec/signature/content";
const HASH: &str = "/spec/data/hash/value";
const ALGORITHM: &str = "/spec/data/hash/algorithm";

fn request() -> Value {
    case("hashedrekord-p256-sha256")
}

fn with_key(pem: &[u8]) -> Value {
    changed(request(), KEY, Some(encode(pem)))
}

fn pem_of(name: &str) -> Vec<u8> {
    decode(&case(name)["spec"]["signature"]["publicKey"]["content"])
}

#[test]
fn members_that_are_missing_or_of_another_type_are_named() {
    const DATA: &str = "validation failure list:\ndata in body is required";
    const SIGNATURE_MISSING: &str = "validation failure list:\nsignature in body is required";
    let nothing = [None, Some(Value::Null), Some(json!(1)), Some(json!([])), Some(json!("zz"))];
    let changes: Vec<Change<'_>> = nothing
        .iter()
        .flat_map(|value| {
            [
                ("/spec/data", value.clone(), DATA),
                ("/spec/data/hash", value.clone(), DATA),
                ("/spec/signature", value.clone(), SIGNATURE_MISSING),
                ("/spec/signature/publicKey", value.clone(), "missing public key"),
            ]
        })
        .collect();
    check_changes(&request(), &changes);
    const NO_PEM: &str = "invalid public key: failure decoding PEM";
    const EMPTY: &str = "verifying signature: X509 signature has not been initialized";
    for value in [None, Some(Value::Null), Some(json!(1)), Some(json!({})), Some(json!(""))] {
        let changes = [(KEY, value.clone(), NO_PEM), (SIGNATURE, value, EMPTY)];
        check_changes(&request(), &changes);
    }
    check_changes(&request(), &[("/spec/signature", Some(json!({})), "missing public key")]);
}

#[test]
fn rules_of_the_hash_are_named_with_doubled_paths() {
    let hash = "data.data.hash.data.hash";
    let algorithm = list(&format!("{hash}.algorithm in body is required"));
    let value = list(&format!("{hash}.value in body is required"));
    let one_of = "in body should be one of [sha256 sha384 sha512]";
    let other = list(&format!("{hash}.algorithm {one_of}"));
    for (pointer, new, expected) in [
        ("/spec/data/hash", Some(json!({})), &algorithm),
        (ALGORITHM, None, &algorithm),
        (ALGORITHM, Some(json!(1)), &algorithm),
        (ALGORITHM, Some(json!("")), &other),
        (ALGORITHM, Some(json!("sha1")), &other),
        (ALGORITHM, Some(json!("SHA256")), &other),
        (HASH, None, &value),
        (HASH, Some(json!([])), &value),
    ] {
        let refused = reason(&changed(request(), pointer, new));
        assert_eq!(refused.to_string(), *expected, "{pointer}");
    }
    let both = changed(request(), "/spec", Some(json!({ "data": { "hash": {} } })));
    let expected =
        list(&format!("{hash}.algorithm in body is required\nsignature in body is required"));
    assert_eq!(reason(&both).to_string(), expected);
}

#[test]
fn digests_are_hex_of_the_right_length() {
    let refused = "invalid value for hash";
    check_changes(
        &request(),
        &[
            (HASH, Some(json!("")), refused),
            (HASH, Some("a".repeat(63).into()), refused),
            (HASH, Some("a".repeat(65).into()), refused),
            (HASH, Some("a".repeat(96).into()), refused),
            (ALGORITHM, Some(json!("sha384")), refused),
            (ALGORITHM, Some(json!("sha512")), refused),
            (HASH, Some("z".repeat(64).into()), "encoding/hex: invalid byte: U+007A 'z'"),
            (HASH, Some("\u{e9}".repeat(32).into()), "encoding/hex: invalid byte: U+00C3 '\u{c3}'"),
        ],
    );
}

#[test]
fn base64_is_decoded_first_and_may_have_line_ends() {
    let fault = "illegal base64 data at input byte 0";
    let key = format!("failed parsing base64 data for public key content: {fault}");
    assert_eq!(reason(&changed(request(), KEY, Some(json!("!!")))).to_string(), key);
    // It comes before the rules.
    let both = changed(request(), "/spec", Some(json!({ "signature": { "content": "!!" } })));
    let signature = format!("failed parsing base64 data for signature content: {fault}");
    assert_eq!(reason(&both).to_string(), signature);
    let folded = request()["spec"]["signature"]["content"].as_str().unwrap().replace('E', "E\r\n");
    let same = changed(request(), SIGNATURE, Some(folded.into()));
    assert_eq!(admitted(&same).leaf, admitted(&request()).leaf);
}

#[test]
fn keys_are_stored_in_one_form_however_they_are_wrapped() {
    let expected = admitted(&request()).leaf;
    let pem = String::from_utf8(pem_of("hashedrekord-p256-sha256")).unwrap();
    let one_line: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for text in [
        format!("\n\t {pem} \r\n\u{b}\u{c}"),
        format!("some text\n{pem}"),
        pem.replace('\n', "\r\n"),
        pem.replace("\nMF", "\n   MF"),
        pem.replacen("KEY-----\n", "KEY-----\nProc-Type: 4\n\n", 1),
        format!("-----BEGIN PUBLIC KEY-----\n{one_line}\n-----END PUBLIC KEY-----"),
    ] {
        assert_eq!(admitted(&with_key(text.as_bytes())).leaf, expected, "{text}");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let pem = pem_of("hashedrekord-p256-sha256");
    let text = String::from_utf8(pem.clone()).unwrap();
    let no_pem = "invalid public key: failure decoding PEM";
    for bytes in [&pem[..60], b"", b"text", text.replace("MFk", "!!k").as_bytes()] {
        assert_eq!(reason(&with_key(bytes)).to_string(), no_pem);
    }
    for label in ["RSA PUBLIC KEY", "EC PUBLIC KEY", "PRIVATE KEY", "X509 CRL"] {
        let expected = format!("invalid public key: cannot handle type {label}");
        let other = text.replace("PUBLIC KEY", label);
        assert_eq!(reason(&with_key(other.as_bytes())).to_string(), expected);
    }
    let malformed = [
        text.replace("PUBLIC KEY", "CERTIFICATE").into_bytes(),
        [&pem[..], &pem].concat(),
        [&pem[..], b"text"].concat(),
        pem::encode("PUBLIC KEY", b""),
        pem::encode("PUBLIC KEY", b"\x30\x80"),
        pem::encode("CERTIFICATE", &[0x30; 3000]),
    ];
    for bytes in malformed {
        let refused = reason(&with_key(&bytes)).to_string();
        assert!(refused.starts_with("x509: "), "{refused}");
    }
    // Deep ASN.1 costs no stack.
    let deep = [0x30, 0x84, 0, 0, 0x27, 0x10].repeat(5_000);
    let refused = reason(&with_key(&pem::encode("CERTIFICATE", &deep)));
    assert!(refused.to_string().starts_with("x509: "), "{refused}");
}

#[test]
fn a_chain_is_of_ten_certificates_that_certify_each_other() {
    let request = case("hashedrekord-certificate-chain");
    let chain = pem_of("hashedrekord-certificate-chain");
    let first = pem::first_block(&chain).unwrap();
    let (leaf, root) = (pem::encode("CERTIFICATE", &first.content), first.rest.to_vec());
    let with = |parts: &[&[u8]]| changed(request.clone(), KEY, Some(encode(parts.concat())));
    assert!(body(&with(&[&leaf]))["spec"]["signature"]["publicKey"].is_object());
    assert_eq!(admitted(&with(&[&leaf, &root])).leaf, admitted(&request).leaf);
    admitted(&with(&[&leaf, &root, &root]));
    let other = pem_of("hashedrekord-certificate");
    let other = pem::encode("CERTIFICATE", &pem::first_block(&other).unwrap().content);
    let refused = reason(&with(&[&leaf, &other])).to_string();
    assert!(refused.starts_with("verifying signature: x509: certificate chain"), "{refused}");
    let ten: Vec<&[u8]> = [&leaf[..]].into_iter().chain([&root[..]; 9]).collect();
    admitted(&with(&ten));
    let eleven: Vec<&[u8]> = ten.iter().copied().chain([&root[..]]).collect();
    let too_many = "too many certificates specified in PEM block";
    assert_eq!(reason(&with(&eleven)).to_string(), too_many);
    let text = reason(&with(&[&leaf, b"text"])).to_string();
    assert_eq!(text, "error during PEM decoding");
    // The label does not matter behind the first block.
    let relabelled = String::from_utf8(root).unwrap().replace("CERTIFICATE", "X");
    assert_eq!(admitted(&with(&[&leaf, relabelled.as_bytes()])).leaf, admitted(&request).leaf);
}

#[test]
fn refused_signatures_have_the_words_that_clients_compare() {
    let good = decode(&request()["spec"]["signature"]["content"]);
    let trailing = [&good[..], &[0]].concat();
    let neither = "verifying signature: ecdsa: Invalid IEEE_P1363 encoded bytes";
    let asn1 = "verifying signature: invalid signature when validating ASN.1 encoded signature";
    let p1363 =
        "verifying signature: invalid signature when validating IEEE_P1363 encoded signature";
    for (bytes, expected) in [
        (vec![0; 3], neither),
        (vec![0; 134], neither),
        (good[..good.len() - 1].to_vec(), p1363),
        (vec![0; 4], p1363),
        (vec![7; 64], p1363),
        (trailing, asn1),
        (vec![0x30, 6, 2, 1, 1, 2, 1, 1], asn1),
        (vec![0x30, 6, 2, 1, 0xff, 2, 1, 1], asn1),
        (vec![0x30, 7, 2, 1, 1, 2, 1, 1, 0], asn1),
    ] {
        let refused = reason(&changed(request(), SIGNATURE, Some(encode(&bytes))));
        let expected = if bytes.len() % 2 == 1 && expected == p1363 { neither } else { expected };
        assert_eq!(refused.to_string(), expected, "{bytes:02x?}");
    }
    let rsa = changed(case("hashedrekord-rsa2048-sha256"), HASH, Some("a".repeat(64).into()));
    assert_eq!(reason(&rsa).to_string(), "verifying signature: crypto/rsa: verification error");
    let ed25519 = case("hashedrekord-ed25519ph-sha512");
    let other = changed(ed25519.clone(), HASH, Some("a".repeat(128).into()));
    let invalid = "verifying signature: failed to verify signature: ed25519: invalid signature";
    assert_eq!(reason(&other).to_string(), invalid);
    let sha256 = changed(
        changed(ed25519, ALGORITHM, Some(json!("sha256"))),
        HASH,
        Some("a".repeat(64).into()),
    );
    let unsupported =
        "verifying signature: unsupported hash algorithm: \"SHA-256\" not in [SHA-512]";
    assert_eq!(reason(&sha256).to_string(), unsupported);
}

#[test]
fn a_signature_of_another_key_or_digest_is_refused() {
    let other_key = decode(&case("rekord-x509-p256")["spec"]["signature"]["publicKey"]["content"]);
    let refused = reason(&with_key(&other_key)).to_string();
    assert!(refused.starts_with("verifying signature: invalid signature"), "{refused}");
    let other = case("hashedrekord-uppercase-hash")["spec"]["data"]["hash"]["value"].clone();
    let refused = reason(&changed(request(), HASH, Some(other))).to_string();
    assert!(refused.starts_with("verifying signature: invalid signature"), "{refused}");
}

#[test]
fn the_letter_case_of_a_digest_is_kept_but_not_searched() {
    let upper = request()["spec"]["data"]["hash"]["value"].as_str().unwrap().to_uppercase();
    let other = admitted(&changed(request(), HASH, Some(upper.clone().into())));
    let same = admitted(&request());
    assert_ne!(other.leaf, same.leaf);
    assert!(String::from_utf8_lossy(other.leaf.as_bytes()).contains(&upper));
    assert_eq!(other.index_keys, same.index_keys);
}

#[test]
fn parts_that_no_leaf_can_hold_are_refused_before_they_are_parsed() {
    let huge = encode(vec![b'-'; 1_000_000]);
    let too_long = "the canonical entry is longer than 65535 bytes";
    check_changes(
        &request(),
        &[
            (KEY, Some(huge.clone()), "invalid public key: longer than any entry"),
            (SIGNATURE, Some(huge), too_long),
        ],
    );
}

/// A certificate that fits by itself, in an entry that does not.
#[test]
fn an_entry_that_no_bundle_can_hold_is_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = |filling: usize| {
        let mut params = rcgen::CertificateParams::default();
        let [high, low] = u16::try_from(filling).unwrap().to_be_bytes();
        let content = [&[0x04, 0x82, high, low][..], &vec![0; filling]].concat();
        let extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3], content);
        params.custom_extensions = vec![extension];
        params.self_signed(&key).unwrap().pem()
    };
    let message = b"the artefact";
    let signed = changed(request(), HASH, Some(log_core::hash::sha256(message).to_string().into()));
    let signature = rcgen::SigningKey::sign(&key, message).unwrap();
    let signed = changed(signed, SIGNATURE, Some(encode(signature)));
    admitted(&changed(signed.clone(), KEY, Some(encode(certificate(30_000)))));
    let large = certificate(35_900);
    assert!((48_900..49_151).contains(&large.trim().len()), "{}", large.len());
    let refused = reason(&changed(signed, KEY, Some(encode(large)))).to_string();
    assert_eq!(refused, "the canonical entry is longer than 65535 bytes");
}

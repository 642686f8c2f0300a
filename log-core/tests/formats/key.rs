//! Key names, verifier keys and signers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::key::{KeyNameError, SignatureError, VerifierKeyError};
use log_core::{KeyAlgorithm, KeyName, NoteSigner, VerifierKey, sha256};
use proptest::prelude::*;

use crate::{edits, hex, mutate, rekor_signer, signer, text, vectors};

#[test]
fn verifier_keys_of_the_vectors_read_back_as_themselves() {
    let keys = &vectors("c2sp.json")["keys"];
    let all = [
        ("log", "vkey"),
        ("log_mldsa", "vkey"),
        ("witness", "vkey_type_01"),
        ("witness", "vkey_type_04"),
        ("w2", "vkey_type_04"),
        ("stranger", "vkey"),
        ("p256", "vkey_type_02"),
    ];
    for (owner, member) in all {
        let vkey = text(&keys[owner], member);
        let key = VerifierKey::parse(vkey).unwrap();
        assert_eq!(key.to_string(), vkey);
        assert_eq!(vkey.split('+').nth(1), Some(key.id().to_string().as_str()));
        assert_eq!(key.full_id_hash().as_bytes()[..4], *key.id().as_bytes());
        // Only a witness's Ed25519 cosignature key cannot speak for a log.
        assert_eq!(key.is_log_key(), member != "vkey_type_04");
        assert_eq!(key.is_cosigner_key(), member == "vkey_type_04" || owner == "log_mldsa");
    }
    let of_witness = |member| VerifierKey::parse(text(&keys["witness"], member)).unwrap();
    assert!(of_witness("vkey_type_01").same_public_key(&of_witness("vkey_type_04")));
    assert_ne!(of_witness("vkey_type_01"), of_witness("vkey_type_04"));
}

#[test]
fn an_ed25519_signer_has_the_key_of_its_seed() {
    let log = &vectors("c2sp.json")["keys"]["log"];
    let seed = hex(text(log, "seed_hex")).try_into().unwrap();
    let signer = NoteSigner::ed25519(KeyName::parse(text(log, "name")).unwrap(), seed);
    let key = signer.verifier_key();
    assert_eq!(key.to_string(), text(log, "vkey"));
    assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
    assert_eq!(key.public_key_bytes(), hex(text(log, "public_hex")));
    assert_eq!(key.name().as_str(), text(log, "name"));
    let printed = format!("{signer:?}");
    assert!(printed.contains("redacted") && printed.contains(text(log, "vkey")));
    assert!(!printed.contains(&text(log, "seed_hex")[..16]));
}

#[test]
fn the_log_id_of_an_ecdsa_key_is_the_hash_of_its_spki() {
    let p256 = &vectors("c2sp.json")["keys"]["p256"];
    let key = VerifierKey::parse(text(p256, "vkey_type_02")).unwrap();
    assert_eq!(key.algorithm(), KeyAlgorithm::EcdsaP256);
    assert_eq!(key.full_id_hash().to_string(), text(p256, "log_id_sha256_spki"));
    assert_eq!(key.id().to_string(), text(p256, "note_key_id_type_02"));
    assert_eq!(key.spki_der().unwrap(), hex(text(p256, "spki_hex")));
    assert_eq!(Some(key.public_key_bytes()), key.spki_der());
}

#[test]
fn the_log_id_and_spki_of_an_ed25519_key_are_rekors() {
    let rekor = vectors("rekor-v2.json");
    let pem = text(&rekor, "log_public_key_pem");
    let spki =
        STANDARD.decode(pem.lines().filter(|l| !l.starts_with('-')).collect::<String>()).unwrap();
    let key = rekor_signer(&rekor).verifier_key();
    assert_eq!(key.spki_der(), Some(spki));
    assert_eq!(key.full_id_hash().to_base64(), text(&rekor, "log_id_b64"));
}

#[test]
fn malformed_verifier_keys_are_refused() {
    let good = text(&vectors("c2sp.json")["keys"]["witness"], "vkey_type_01").to_owned();
    let [name, id, key]: [&str; 3] = good.splitn(3, '+').collect::<Vec<_>>().try_into().unwrap();
    let p256 = hex(text(&vectors("c2sp.json")["keys"]["p256"], "spki_hex"));
    let of = |bytes: &[u8]| format!("{name}+{id}+{}", STANDARD.encode(bytes));
    let wide: String = id.to_uppercase();
    // A point that is good in itself, behind the lengths of an uncompressed one; then behind
    // its own.
    let tag = 2 | p256[90] & 1;
    let long_frame = [&[2], &p256[..26], &[tag], &p256[27..59]].concat();
    let mut compressed = long_frame.clone();
    (compressed[2], compressed[25]) = (0x39, 0x22);
    let mut off_curve = [&[2], &p256[..]].concat();
    *off_curve.last_mut().unwrap() ^= 1;
    // y = 2 is on no point of the curve.
    let not_a_point = [&[1, 2][..], &[0; 31]].concat();
    let cases = [
        (String::new(), VerifierKeyError::MissingPart),
        (format!("{name}+{id}"), VerifierKeyError::MissingPart),
        (format!("+{id}+{key}"), VerifierKeyError::BadName(KeyNameError::Empty)),
        (format!("a b+{id}+{key}"), VerifierKeyError::BadName(KeyNameError::ForbiddenCharacter)),
        (format!("a\nb+{id}+{key}"), VerifierKeyError::BadName(KeyNameError::ForbiddenCharacter)),
        (format!("{name}+{id}+"), VerifierKeyError::BadKey),
        (format!("{name}+{id}+{key} "), VerifierKeyError::BadBase64),
        (format!("{name}+{id}+{key}="), VerifierKeyError::BadBase64),
        (format!("{name}+{id}+AQ"), VerifierKeyError::BadBase64),
        (format!("{name}+{id}+AR=="), VerifierKeyError::BadBase64),
        (of(&[1; 32]), VerifierKeyError::BadKey),
        (of(&[1; 34]), VerifierKeyError::BadKey),
        (of(&not_a_point), VerifierKeyError::BadKey),
        (of(&[2; 92]), VerifierKeyError::BadKey),
        (of(&compressed), VerifierKeyError::BadKey),
        (of(&off_curve), VerifierKeyError::BadKey),
        (of(&long_frame), VerifierKeyError::BadKey),
        (of(&[[2].as_slice(), &p256, &[0]].concat()), VerifierKeyError::BadKey),
        (of(&[0; 33]), VerifierKeyError::UnsupportedAlgorithm(0)),
        (of(&[0xff; 33]), VerifierKeyError::UnsupportedAlgorithm(0xff)),
        (format!("{name}x+{id}+{key}"), VerifierKeyError::WrongKeyId),
        (format!("{name}+{wide}+{key}"), VerifierKeyError::WrongKeyId),
        (format!("{name}+0{id}+{key}"), VerifierKeyError::WrongKeyId),
        (format!("{name}+{}+{key}", &id[1..]), VerifierKeyError::WrongKeyId),
        (format!("{name}+00000000+{key}"), VerifierKeyError::WrongKeyId),
    ];
    for (vkey, error) in cases {
        assert_eq!(VerifierKey::parse(&vkey), Err(error), "{vkey:?}");
    }
}

#[test]
fn key_names_have_no_unicode_spaces_plus_or_control_characters() {
    for good in ["a", "example.com/log", "\u{e9}\u{2014}", "a\u{7f}b", "-"] {
        assert_eq!(KeyName::parse(good).unwrap().to_string(), good);
    }
    let spaces = [
        '\t', '\n', '\u{b}', '\r', ' ', '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}', '\u{200a}',
        '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}', '+', '\0', '\u{1}',
    ];
    for bad in spaces {
        let refused = KeyName::parse(&format!("a{bad}b"));
        assert_eq!(refused, Err(KeyNameError::ForbiddenCharacter), "{bad:?}");
    }
    assert_eq!(KeyName::parse(""), Err(KeyNameError::Empty));
}

#[test]
fn a_signature_of_another_form_is_malformed_and_of_another_text_wrong() {
    let signer = signer("a.example", 1);
    let key = signer.verifier_key();
    let good = signer.sign("text\n").signature;
    assert_eq!(key.verify(b"text\n", &good), Ok(()));
    assert_eq!(key.verify(b"text", &good), Err(SignatureError::Wrong));
    for len in [0, 1, 63, 65, 72] {
        assert_eq!(key.verify(b"text\n", &vec![1; len]), Err(SignatureError::Malformed), "{len}");
    }
    let p256 = text(&vectors("c2sp.json")["keys"]["p256"], "vkey_type_02").to_owned();
    let p256 = VerifierKey::parse(&p256).unwrap();
    for malformed in [&[][..], &[0x30], &[0; 64], &good, &[0x30, 0x80, 0, 0], &[0xff; 200]] {
        assert_eq!(p256.verify(b"text\n", malformed), Err(SignatureError::Malformed));
    }
    let well_formed = [0x30, 6, 2, 1, 1, 2, 1, 1];
    assert_eq!(p256.verify(b"text\n", &well_formed), Err(SignatureError::Wrong));
}

#[test]
fn ed25519_is_judged_as_permissively_as_elsewhere() {
    // R is the neutral point and s is the hash times the private scalar: the equation of RFC 8032
    // holds. Strict verifiers refuse such signatures; those of other note implementations do not.
    let s = "2c54a1a75e0761b85d13fbc6eb10f1bb190b734f34d8076aacf7707a8b6c2500";
    let signature = [&[1][..], &[0; 31], &hex(s)].concat();
    let key = signer("a.example", 1).verifier_key();
    assert_eq!(key.verify(b"any text\n", &signature), Ok(()));
}

#[test]
fn keys_of_small_order_are_refused_because_anybody_can_sign_for_them() {
    let spellings = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ];
    for spelling in spellings {
        let point: [u8; 32] = hex(spelling).try_into().unwrap();
        let name = KeyName::parse("weak.example").unwrap();
        let refused = Err(VerifierKeyError::BadKey);
        assert_eq!(VerifierKey::ed25519(name.clone(), point), refused, "{spelling}");
        assert_eq!(VerifierKey::cosigner_ed25519(name, point), refused, "{spelling}");
    }
    // The neutral point, spelled as a verifier key of either type with the id that belongs to it.
    for key_type in [1, 4] {
        let key = [&[key_type, 1][..], &[0; 31]].concat();
        let id = &sha256(&[b"weak.example\n", &key[..]].concat()).to_string()[..8];
        let vkey = format!("weak.example+{id}+{}", STANDARD.encode(&key));
        assert_eq!(VerifierKey::parse(&vkey), Err(VerifierKeyError::BadKey));
    }
}

proptest! {
    #[test]
    fn verifier_keys_read_back_as_themselves(name in "[!-*,-~\u{e9}]{1,20}", seed: [u8; 32]) {
        let key = NoteSigner::ed25519(KeyName::parse(&name).unwrap(), seed).verifier_key();
        prop_assert_eq!(VerifierKey::parse(&key.to_string()), Ok(key));
    }

    #[test]
    fn only_canonical_verifier_keys_are_read(seed: u8, edits in edits()) {
        let vkey = signer("a.example", seed).verifier_key().to_string();
        let Ok(text) = String::from_utf8(mutate(vkey.as_bytes(), &edits)) else { return Ok(()) };
        if let Ok(read) = VerifierKey::parse(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn arbitrary_text_is_no_verifier_key(text: String, signature: Vec<u8>) {
        prop_assert!(VerifierKey::parse(&text).is_err());
        let key = signer("a.example", 1).verifier_key();
        prop_assert!(key.verify(text.as_bytes(), &signature).is_err());
    }
}

//! Cosignatures and the keys that make them.

use log_core::cosignature::{CosignError, NAME_BYTES_MAX, TIME_S_MAX, verify_subtree};
use log_core::key::SignatureError;
use log_core::note::{NoteError, parse_signature_lines};
use log_core::{
    Checkpoint, Cosignature, CosignerKey, Hash, KeyAlgorithm, KeyName, NoteSignature, Origin,
    SignedNote, Subtree, TreeHead, TreeSize, VerifierKey,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{any_hash, edits, hex, mutate, signer, text, vectors};

pub(crate) fn name(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}

pub(crate) fn seed(owner: &Value) -> [u8; 32] {
    hex(text(owner, "seed_hex")).try_into().unwrap()
}

fn line(value: &Value) -> NoteSignature {
    let lines = parse_signature_lines(text(value, "line").as_bytes()).unwrap();
    <[_; 1]>::try_from(lines).unwrap().into_iter().next().unwrap()
}

/// Both keys of the witness of the vectors.
fn witness_keys(vectors: &Value) -> [CosignerKey; 2] {
    let (witness, post_quantum) = (&vectors["keys"]["witness"], &vectors["keys"]["witness_mldsa"]);
    [
        CosignerKey::ed25519(name(text(witness, "name")), seed(witness)),
        CosignerKey::ml_dsa_44(name(text(post_quantum, "name")), seed(post_quantum)).unwrap(),
    ]
}

#[test]
fn cosigner_keys_are_those_of_their_seeds() {
    let vectors = vectors("c2sp.json");
    let keys = &vectors["keys"];
    let [ed25519, ml_dsa] = witness_keys(&vectors);
    assert_eq!(ed25519.verifier_key().to_string(), text(&keys["witness"], "vkey_type_04"));
    assert_eq!(ed25519.verifier_key().algorithm(), KeyAlgorithm::CosignatureEd25519);
    let (key, expected) = (ml_dsa.verifier_key(), &keys["witness_mldsa"]);
    assert_eq!(key.to_string(), text(expected, "vkey"));
    assert_eq!(key.id().to_string(), text(expected, "key_id"));
    let public = log_core::sha256(&key.public_key_bytes());
    assert_eq!(public.to_string(), text(expected, "public_sha256"));
    assert_eq!((key.algorithm(), key.spki_der()), (KeyAlgorithm::CosignatureMlDsa44, None));
    for (key, owner) in [(ed25519, &keys["witness"]), (ml_dsa, &keys["witness_mldsa"])] {
        let printed = format!("{key:?}");
        assert!(printed.contains("redacted"));
        assert!(!printed.contains(&text(owner, "seed_hex")[..16]));
    }
}

#[test]
fn ed25519_cosignatures_are_those_of_the_vectors() {
    let vectors = vectors("c2sp.json");
    let [key, _] = witness_keys(&vectors);
    for member in ["ed25519", "ed25519_covers_extension_lines"] {
        let case = &vectors["cosignature"][member];
        let (text, time_s) = (text(case, "checkpoint_text"), case["timestamp"].as_u64().unwrap());
        let checkpoint = Checkpoint::parse(text).unwrap();
        let cosigned = key.cosign(&checkpoint, time_s).unwrap();
        assert_eq!(cosigned, line(case), "{member}");
        let verified = Cosignature::verify(key.verifier_key(), text, &cosigned.signature).unwrap();
        assert_eq!(verified.time_s(), time_s);
        // An extension line is covered, so it cannot be taken away or added.
        let other = format!("{text}another line\n");
        let refused = Cosignature::verify(key.verifier_key(), &other, &cosigned.signature);
        assert_eq!(refused, Err(SignatureError::Wrong));
    }
}

#[test]
fn ml_dsa_44_cosignatures_are_those_of_the_vectors() {
    let vectors = vectors("c2sp.json");
    let keys = &vectors["keys"];
    let cases = vectors["cosignature"]["mldsa44"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let owner = match text(case, "key") {
            "example.com/mldsa-log" => case,
            key if key == text(&keys["log_mldsa"], "name") => &keys["log_mldsa"],
            _ => &keys["witness_mldsa"],
        };
        let key = CosignerKey::ml_dsa_44(name(text(case, "key")), seed(owner)).unwrap();
        assert_eq!(key.verifier_key().to_string(), text(owner, "vkey"));
        let number = |member: &str| case[member].as_u64().unwrap();
        let origin = Origin::parse(text(case, "origin")).unwrap();
        let hash = Hash::from_hex(text(case, "hash_hex")).unwrap();
        let (start, end, time_s) = (number("start"), number("end"), number("timestamp"));
        let subtree = Subtree::new(start, end).unwrap();
        let head = TreeHead { size: TreeSize::new(end), root_hash: hash };
        let checkpoint = Checkpoint { origin: origin.clone(), head, extensions: vec![] };
        // The signer is deterministic, as the one that made the vectors.
        let signed = match time_s {
            0 => key.cosign_subtree(&origin, subtree, &hash).unwrap().unwrap(),
            _ => key.cosign(&checkpoint, time_s).unwrap(),
        };
        assert_eq!(signed, line(case), "{}", text(case, "about"));

        let of_subtree =
            verify_subtree(key.verifier_key(), &origin, subtree, &hash, &signed.signature);
        let of_checkpoint =
            Cosignature::verify(key.verifier_key(), &checkpoint.to_text(), &signed.signature);
        if time_s == 0 {
            // Without a time it is no cosignature, even if it is about a whole tree.
            assert_eq!((of_subtree, of_checkpoint), (Ok(()), Err(SignatureError::Wrong)));
            let opened =
                key.verifier_key().verify(checkpoint.to_text().as_bytes(), &signed.signature);
            assert_eq!(opened.is_ok(), start == 0);
        } else {
            assert_eq!(of_subtree, Err(SignatureError::Wrong));
            assert_eq!(of_checkpoint.unwrap().time_s(), time_s);
        }
    }
}

#[test]
fn the_published_ml_dsa_44_answer_begins_as_it_should() {
    let seed = hex("2886adc2b0eabfce67c0472939127998bf886cf256bfee8ba76a253fce1146e0");
    let key = CosignerKey::ml_dsa_44(name("example.com/mldsa-log"), seed.try_into().unwrap());
    let key = key.unwrap();
    assert_eq!(key.verifier_key().id().to_string(), "b5df45c5");
    let origin = Origin::parse("example.com/mldsa-log").unwrap();
    let leaf = log_core::hash_leaf(b"testonly");
    assert_eq!(leaf.to_base64(), "+zoErtsZtGO6sfiSV/v4UJSIyowisE8hvjw0q5+bD38=");
    let whole = Subtree::new(0, 1).unwrap();
    let line = key.cosign_subtree(&origin, whole, &leaf).unwrap().unwrap().to_string();
    assert_eq!(line.len(), "\u{2014} example.com/mldsa-log ".len() + 3_244);
    // Key id, time 0, then the signature: 12 bytes are 16 digits.
    assert!(line.contains(" td9FxQAAAAAAAAAAO5ZecT2FYVfr2oKKFtEBR05MWW8pHXrd"));
}

#[test]
fn altered_lines_of_the_vectors_do_not_count() {
    let vectors = vectors("c2sp.json");
    let keys = witness_keys(&vectors).map(|key| key.verifier_key().clone());
    let cases = vectors["cosignature"]["must_fail"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let note = SignedNote::new(text(case, "text").into(), vec![line(case)]).unwrap();
        for key in &keys {
            assert_eq!(Cosignature::find(&note, key), None, "{}", text(case, "why"));
            let refused = Cosignature::verify(key, note.text(), &line(case).signature);
            assert!(refused.is_err(), "{}", text(case, "why"));
        }
    }
}

fn checkpoint(origin: &str, size: u64) -> Checkpoint {
    let head = TreeHead { size: TreeSize::new(size), root_hash: Hash::from_bytes([7; 32]) };
    Checkpoint { origin: Origin::parse(origin).unwrap(), head, extensions: vec![] }
}

#[test]
fn what_does_not_fit_the_message_is_not_signed() {
    let [longest, too_long] = [NAME_BYTES_MAX, NAME_BYTES_MAX + 1].map(|len| "n".repeat(len));
    let refused = CosignerKey::ml_dsa_44(name(&too_long), [1; 32]);
    assert!(matches!(refused, Err(CosignError::NameTooLong)));
    let ml_dsa = CosignerKey::ml_dsa_44(name(&longest), [1; 32]).unwrap();
    let ed25519 = CosignerKey::ed25519(name(&too_long), [1; 32]);
    for key in [&ml_dsa, &ed25519] {
        for time_s in [0, TIME_S_MAX + 1, u64::MAX] {
            assert_eq!(key.cosign(&checkpoint("o", 1), time_s), Err(CosignError::BadTime));
        }
        for time_s in [1, TIME_S_MAX] {
            let checkpoint = checkpoint(&longest, 1 << 63);
            let line = key.cosign(&checkpoint, time_s).unwrap();
            let text = checkpoint.to_text();
            let verified = Cosignature::verify(key.verifier_key(), &text, &line.signature);
            assert_eq!(verified.unwrap().time_s(), time_s);
        }
    }
    let far = checkpoint(&too_long, 1);
    assert_eq!(ml_dsa.cosign(&far, 1), Err(CosignError::OriginTooLong));
    let subtree =
        ml_dsa.cosign_subtree(&far.origin, Subtree::new(0, 1).unwrap(), &Hash::EMPTY_ROOT);
    assert_eq!(subtree, Some(Err(CosignError::OriginTooLong)));
    assert!(ed25519.cosign(&far, 1).is_ok());
    let subtree =
        ed25519.cosign_subtree(&far.origin, Subtree::new(0, 1).unwrap(), &far.head.root_hash);
    assert!(subtree.is_none());
}

#[test]
fn only_a_cosigners_line_with_a_time_that_can_be_is_a_cosignature() {
    let checkpoint = checkpoint("log.example", 5);
    let text = checkpoint.to_text();
    let key = CosignerKey::ed25519(name("w.example"), [1; 32]);
    let good = key.cosign(&checkpoint, 9).unwrap().signature;
    let with_time = |time: u64| [&time.to_be_bytes(), &good[8..]].concat();
    let cases = [
        (with_time(0), SignatureError::Wrong),
        (with_time(10), SignatureError::Wrong),
        (with_time(TIME_S_MAX + 1), SignatureError::Malformed),
        (good[..7].to_vec(), SignatureError::Malformed),
        (good[..71].to_vec(), SignatureError::Malformed),
        (good[8..].to_vec(), SignatureError::Malformed),
    ];
    for (signature, error) in cases {
        let refused = Cosignature::verify(key.verifier_key(), &text, &signature);
        assert_eq!(refused, Err(error), "{signature:?}");
    }
    // A log's own signature says nothing about time.
    let log = signer("log.example", 1);
    let own = log.sign(&text).signature;
    assert!(Cosignature::verify(&log.verifier_key(), &text, &own).is_err());
    // A line over a text that is no checkpoint: only Ed25519 can sign it, and it is no harm.
    let ml_dsa = CosignerKey::ml_dsa_44(name("w.example"), [1; 32]).unwrap();
    let line = ml_dsa.cosign(&checkpoint, 9).unwrap().signature;
    assert!(Cosignature::verify(ml_dsa.verifier_key(), &text, &line).is_ok());
    let refused = Cosignature::verify(ml_dsa.verifier_key(), "no checkpoint\n", &line);
    assert_eq!(refused, Err(SignatureError::Malformed));
}

#[test]
fn forged_lines_under_a_cosigners_name_neither_help_nor_hinder() {
    let checkpoint = checkpoint("log.example", 5);
    let key = CosignerKey::ed25519(name("w.example"), [1; 32]);
    let good = key.cosign(&checkpoint, 9).unwrap();
    let other = key.cosign(&self::checkpoint("log.example", 6), 10).unwrap();
    let note = |lines| SignedNote::new(checkpoint.to_text(), lines).unwrap();
    let found = |lines| Cosignature::find(&note(lines), key.verifier_key()).map(|c| c.time_s());
    assert_eq!(found(vec![other.clone()]), None);
    assert_eq!(found(vec![other.clone(), good.clone()]), Some(9));
    let later = key.cosign(&checkpoint, 11).unwrap();
    assert_eq!(found(vec![good.clone(), later]), Some(9));
    // Whoever verifies the whole note is stricter: a failing line of a known key spoils it.
    let refused = note(vec![other, good]).verify(&[key.verifier_key().clone()]).is_err();
    assert!(refused);
}

#[test]
fn subtree_lines_are_of_ml_dsa_keys_and_of_time_0() {
    let origin = Origin::parse("log.example").unwrap();
    let (subtree, hash) = (Subtree::new(4, 6).unwrap(), Hash::from_bytes([7; 32]));
    let key = CosignerKey::ml_dsa_44(name("w.example"), [1; 32]).unwrap();
    let line = key.cosign_subtree(&origin, subtree, &hash).unwrap().unwrap().signature;
    let check = |key: &VerifierKey, origin: &Origin, subtree, hash: &Hash, line: &[u8]| {
        verify_subtree(key, origin, subtree, hash, line)
    };
    let verifier = key.verifier_key();
    assert_eq!(check(verifier, &origin, subtree, &hash, &line), Ok(()));
    let elsewhere = Origin::parse("log.example/2").unwrap();
    assert!(check(verifier, &elsewhere, subtree, &hash, &line).is_err());
    assert!(check(verifier, &origin, Subtree::new(4, 5).unwrap(), &hash, &line).is_err());
    assert!(check(verifier, &origin, subtree, &Hash::EMPTY_ROOT, &line).is_err());
    let mut timed = line.clone();
    timed[7] = 1;
    assert!(check(verifier, &origin, subtree, &hash, &timed).is_err());
    assert!(check(verifier, &origin, subtree, &hash, &line[..100]).is_err());
    let other_name = CosignerKey::ml_dsa_44(name("v.example"), [1; 32]).unwrap();
    assert!(check(other_name.verifier_key(), &origin, subtree, &hash, &line).is_err());
    let ed25519 = CosignerKey::ed25519(name("w.example"), [1; 32]);
    assert!(check(ed25519.verifier_key(), &origin, subtree, &hash, &line).is_err());
}

#[test]
fn signature_lines_stand_alone_in_an_answer() {
    let good = signer("a.example", 1).sign("text\n");
    let (one, two) = (format!("{good}\n"), format!("{good}\n{good}\n"));
    assert_eq!(parse_signature_lines(one.as_bytes()), Ok(vec![good.clone()]));
    assert_eq!(parse_signature_lines(two.as_bytes()), Ok(vec![good.clone(), good.clone()]));
    let cases: [(Vec<u8>, NoteError); 9] = [
        (vec![], NoteError::NoSignature),
        (b"\n".to_vec(), NoteError::BadSignatureLine),
        (good.to_string().into(), NoteError::Unterminated),
        (format!("\n{one}").into(), NoteError::BadSignatureLine),
        (format!("{one}\n").into(), NoteError::BadSignatureLine),
        (format!("{good}\r\n").into(), NoteError::ControlCharacter),
        (b"\xff\n".to_vec(), NoteError::NotUtf8),
        (one.repeat(101).into(), NoteError::TooManySignatures),
        (vec![b'x'; 1_000_001], NoteError::TooLong),
    ];
    for (bytes, error) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert_eq!(parse_signature_lines(&bytes), Err(error), "{shown:?}");
    }
    assert_eq!(parse_signature_lines(one.repeat(100).as_bytes()).unwrap().len(), 100);
}

proptest! {
    // ML-DSA-44 is slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cosignatures_hold_for_their_checkpoint_alone(
        origin in "[ -~]{1,40}",
        size: u64,
        root_hash in any_hash(),
        time_s in 1..=TIME_S_MAX,
        edits in edits(),
    ) {
        let head = TreeHead { size: TreeSize::new(size), root_hash };
        let origin = Origin::parse(&origin).unwrap();
        let checkpoint = Checkpoint { origin, head, extensions: vec![] };
        let text = checkpoint.to_text();
        let ed25519 = CosignerKey::ed25519(name("w.example"), [1; 32]);
        let ml_dsa = CosignerKey::ml_dsa_44(name("w.example"), [1; 32]).unwrap();
        for key in [ed25519, ml_dsa] {
            let line = key.cosign(&checkpoint, time_s).unwrap();
            let verifier = key.verifier_key();
            let verify =
                |text: &str, signature: &[u8]| Cosignature::verify(verifier, text, signature);
            prop_assert_eq!(verify(&text, &line.signature).unwrap().time_s(), time_s);
            let changed = mutate(&line.signature, &edits);
            prop_assert_eq!(verify(&text, &changed).is_ok(), changed == line.signature);
            if let Ok(other) = String::from_utf8(mutate(text.as_bytes(), &edits)) {
                // Extension lines are no part of what an ML-DSA-44 key signs.
                let same = Checkpoint::parse(&other).is_ok_and(|other| {
                    verifier.algorithm() == KeyAlgorithm::CosignatureMlDsa44
                        && (other.head, &other.origin) == (head, &checkpoint.origin)
                });
                prop_assert_eq!(verify(&other, &line.signature).is_ok(), other == text || same);
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_signature_lines(bytes: Vec<u8>) {
        prop_assert!(parse_signature_lines(&bytes).is_err());
        let key = CosignerKey::ed25519(name("w.example"), [1; 32]);
        let refused = Cosignature::verify(key.verifier_key(), "o\n0\n", &bytes);
        prop_assert!(refused.is_err());
    }
}

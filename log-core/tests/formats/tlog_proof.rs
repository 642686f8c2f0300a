//! tlog-proof files.

use log_core::note::NoteError;
use log_core::tlog_proof::TlogProofError;
use log_core::{
    Checkpoint, Hash, InclusionProof, LeafIndex, Origin, SignedNote, TlogProof, TreeHead, TreeSize,
    VerifierKey, WitnessPolicy,
};
use proptest::prelude::*;

use crate::note::any_note;
use crate::{any_hash, edits, mutate, signer, text, vectors};

#[test]
fn the_tlog_proofs_of_the_vectors_get_their_verdicts() {
    let vectors = vectors("c2sp.json");
    let log = &vectors["keys"]["log"];
    let key = VerifierKey::parse(text(log, "vkey")).unwrap();
    let origin = Origin::parse(text(log, "name")).unwrap();
    let leaf = Hash::from_hex(text(&vectors["tlog_proof"], "leaf_hash_hex")).unwrap();
    let policy = WitnessPolicy::parse(text(&vectors["tlog_proof"], "policy").as_bytes()).unwrap();
    assert_eq!(policy.logs()[0].key, key);
    let cases = vectors["tlog_proof"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let (name, file) = (text(case, "name"), text(case, "proof"));
        let Ok(proof) = TlogProof::parse(file.as_bytes()) else {
            assert_eq!(text(case, "expect"), "malformed", "{name}");
            continue;
        };
        assert_eq!(proof.to_string(), file, "{name}");
        assert_eq!(proof.extra.is_some(), name.contains("extra"), "{name}");
        let verdict = match proof.verify(&leaf, &origin, &key) {
            Ok(signed) => {
                assert_eq!(signed.head().size, TreeSize::new(8));
                let cosigned = policy.cosigned(signed.note());
                let counts = |witness: &_| cosigned.iter().any(|(other, _)| *other == witness);
                if policy.holds(counts) { "ok" } else { "quorum" }
            }
            Err(TlogProofError::Checkpoint(_)) => "log signature",
            Err(TlogProofError::Inclusion(_)) => "inclusion",
            Err(other) => panic!("{name}: {other}"),
        };
        assert_eq!(verdict, text(case, "expect"), "{name}");
    }
}

#[test]
fn malformed_tlog_proofs_name_the_part_at_fault() {
    let log = signer("log.example", 1);
    let head = TreeHead { size: TreeSize::new(1), root_hash: Hash::from_bytes([9; 32]) };
    let origin = Origin::parse("log.example").unwrap();
    let text = Checkpoint { origin: origin.clone(), head, extensions: vec![] }.to_text();
    let note = SignedNote::new(text.clone(), vec![log.sign(&text)]).unwrap().to_string();
    let h = "c2sp.org/tlog-proof@v1";
    let hash = Hash::EMPTY_ROOT.to_base64();
    let stray = hash.replace("uFU=", "uFV=");
    let cases = [
        (String::new(), TlogProofError::Truncated),
        (h.to_string(), TlogProofError::Truncated),
        (format!("{h}\nindex 0\n{hash}\n"), TlogProofError::Truncated),
        (format!("{h} \nindex 0\n\n{note}"), TlogProofError::UnknownHeader),
        (format!("{h}\r\nindex 0\n\n{note}"), TlogProofError::UnknownHeader),
        (format!("{h}\nextra AA\nindex 0\n\n{note}"), TlogProofError::BadExtra),
        (format!("{h}\nextra AB==\nindex 0\n\n{note}"), TlogProofError::BadExtra),
        (format!("{h}\nextra\nindex 0\n\n{note}"), TlogProofError::BadIndex),
        (format!("{h}\nextra AA==\nextra AA==\nindex 0\n\n{note}"), TlogProofError::BadIndex),
        (format!("{h}\nindex 0\nextra AA==\n\n{note}"), TlogProofError::BadHash),
        (format!("{h}\n\n{note}"), TlogProofError::BadIndex),
        (format!("{h}\nindex 18446744073709551616\n\n{note}"), TlogProofError::BadIndex),
        (format!("{h}\nindex -1\n\n{note}"), TlogProofError::BadIndex),
        (format!("{h}\nindex 0\n{stray}\n\n{note}"), TlogProofError::BadHash),
        (
            format!("{h}\nindex 0\n{}\n{note}", format!("{hash}\n").repeat(65)),
            TlogProofError::TooManyHashes,
        ),
        (
            format!("{h}\nindex 0\n\n\n{text}"),
            TlogProofError::MalformedCheckpoint(NoteError::NoBlankLine),
        ),
    ];
    for (file, error) in cases {
        assert_eq!(TlogProof::parse(file.as_bytes()), Err(error), "{file:?}");
    }
    assert_eq!(TlogProof::parse(b"\xff\n"), Err(TlogProofError::NotUtf8));

    let good = format!("{h}\nextra \nindex 0\n\n{note}");
    let proof = TlogProof::parse(good.as_bytes()).unwrap();
    assert_eq!((proof.index, &proof.extra), (LeafIndex::new(0), &Some(vec![])));
    assert!(proof.verify(&head.root_hash, &origin, &log.verifier_key()).is_ok());
    let refused = proof.verify(&Hash::EMPTY_ROOT, &origin, &log.verifier_key());
    assert!(matches!(refused, Err(TlogProofError::Inclusion(_))));
}

fn any_tlog_proof() -> impl Strategy<Value = TlogProof> {
    let hashes = prop::collection::vec(any_hash(), 0..=64);
    (any::<u64>(), any::<Option<Vec<u8>>>(), hashes, any_note()).prop_map(
        |(index, extra, hashes, note)| TlogProof {
            index: LeafIndex::new(index),
            extra,
            inclusion: InclusionProof::from_hashes(hashes),
            checkpoint: note.to_string(),
        },
    )
}

proptest! {
    #[test]
    fn tlog_proofs_read_back_as_themselves(proof in any_tlog_proof()) {
        prop_assert_eq!(TlogProof::parse(proof.to_string().as_bytes()), Ok(proof));
    }

    #[test]
    fn only_canonical_tlog_proofs_are_read(proof in any_tlog_proof(), edits in edits()) {
        let bytes = mutate(proof.to_string().as_bytes(), &edits);
        if let Ok(read) = TlogProof::parse(&bytes) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_tlog_proof(bytes: Vec<u8>) {
        prop_assert!(TlogProof::parse(&bytes).is_err());
    }
}

//! Checkpoints.

use log_core::checkpoint::{CheckpointError, OpenError, OriginError};
use log_core::note::NoteError;
use log_core::{
    Checkpoint, Hash, NoteSigner, Origin, SignedCheckpoint, SignedNote, TreeHead, TreeSize,
    VerifierKey,
};
use proptest::prelude::*;

use crate::{any_hash, edits, hex, mutate, rekor_signer, signer, text, vectors};

#[test]
fn the_checkpoint_texts_of_the_vectors_get_their_verdicts() {
    let vectors = vectors("c2sp.json");
    let (valid, malformed) =
        (&vectors["checkpoint_text"]["valid"], &vectors["checkpoint_text"]["malformed"]);
    assert_eq!((valid.as_array().unwrap().len(), malformed.as_array().unwrap().len()), (5, 15));
    for case in valid.as_array().unwrap() {
        let checkpoint = Checkpoint::parse(text(case, "text")).unwrap();
        assert_eq!(checkpoint.origin.as_str(), text(case, "origin"));
        assert_eq!(checkpoint.head.size.to_string(), text(case, "size"));
        assert_eq!(checkpoint.to_text(), text(case, "text"));
    }
    for case in malformed.as_array().unwrap() {
        assert!(Checkpoint::parse(text(case, "text")).is_err(), "{}", text(case, "why"));
    }
}

#[test]
fn malformed_checkpoints_name_the_line_at_fault() {
    let root = Hash::EMPTY_ROOT.to_base64();
    let cases = [
        (String::new(), CheckpointError::Unterminated),
        (format!("o\n0\n{root}"), CheckpointError::Unterminated),
        ("\n".into(), CheckpointError::MissingLine),
        ("o\n0\n".into(), CheckpointError::MissingLine),
        (format!("\n0\n{root}\n"), CheckpointError::BadOrigin(OriginError::Empty)),
        (format!("o\r\n0\n{root}\n"), CheckpointError::BadOrigin(OriginError::ControlCharacter)),
        (format!("o\n\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n00\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n \u{661}\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n0\n{root}=\n"), CheckpointError::BadRoot),
        (format!("o\n0\n{}\n", root.replace('/', "_")), CheckpointError::BadRoot),
        (format!("o\n0\n{root}\n\n"), CheckpointError::BadExtension),
        (format!("o\n0\n{root}\nx\u{1}\n"), CheckpointError::BadExtension),
    ];
    for (text, error) in cases {
        assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
    }
    let largest = format!("o\n{}\n{root}\n", u64::MAX);
    assert_eq!(Checkpoint::parse(&largest).unwrap().head.size, TreeSize::new(u64::MAX));
}

/// The signature of a static-ct log is of another type (0x05), over a tree head of RFC 6962: the
/// text is a checkpoint like any other, and no key of ours is taken for the one that signed it.
#[test]
fn a_static_ct_checkpoint_is_read_and_its_signature_is_of_no_known_key() {
    let checkpoint = &vectors("c2sp.json")["static_ct"]["checkpoint"];
    let note = SignedNote::parse(text(checkpoint, "note").as_bytes()).unwrap();
    let parsed = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(parsed.origin.as_str(), text(checkpoint, "key_name"));
    assert_eq!(parsed.to_text(), note.text());
    let timestamp_ms = checkpoint["timestamp_ms"].as_u64().unwrap().to_be_bytes();
    let signed = hex(text(checkpoint, "tree_head_signature_input_hex"));
    let size = parsed.head.size.get().to_be_bytes();
    let root = parsed.head.root_hash;
    assert_eq!(signed, [&[0, 1][..], &timestamp_ms, &size, root.as_bytes()].concat());
    let [line] = note.signatures() else { panic!("{note:?}") };
    assert_eq!(line.id.as_bytes()[..], hex(text(checkpoint, "key_id"))[..]);
    assert_eq!(line.signature[..8], timestamp_ms);
    let spki = hex(text(checkpoint, "spki_hex"));
    let key = VerifierKey::ecdsa_p256(line.name.clone(), &spki).unwrap();
    assert_eq!(note.verify(&[key]), Err(NoteError::NoKnownSignature));
}

#[test]
fn every_checkpoint_that_rekor_signed_is_signed_again_byte_for_byte() {
    let rekor = vectors("rekor-v2.json");
    let signer = rekor_signer(&rekor);
    let origin = Origin::parse(text(&rekor, "origin")).unwrap();
    let mut notes = vec![text(&rekor, "empty_checkpoint_note"), text(&rekor, "final_checkpoint")];
    for case in rekor["cases"].as_array().unwrap() {
        notes.extend(case["response"]["inclusionProof"]["checkpoint"]["envelope"].as_str());
    }
    assert_eq!(notes.len(), 2 + 12);
    for note in notes {
        let signed =
            SignedCheckpoint::open(note.as_bytes(), &origin, &signer.verifier_key()).unwrap();
        let text = signed.checkpoint().to_text();
        let again = SignedNote::new(text.clone(), vec![signer.sign(&text)]).unwrap();
        assert_eq!(again.to_string(), note);
        assert_eq!(signed.note(), &again);
    }
}

#[test]
fn a_checkpoint_of_an_ecdsa_key_opens_under_an_origin_that_is_not_its_name() {
    let vectors = vectors("c2sp.json");
    let case = &vectors["rekor_v1_checkpoint"];
    let key = VerifierKey::parse(text(&vectors["keys"]["p256"], "vkey_type_02")).unwrap();
    let origin = Origin::parse(text(case, "origin")).unwrap();
    let note = text(case, "note");
    let signed = SignedCheckpoint::open(note.as_bytes(), &origin, &key).unwrap();
    assert_eq!(signed.head().size, TreeSize::new(5));
    let forged = note.replace("\n5\n", "\n6\n");
    let refused = SignedCheckpoint::open(forged.as_bytes(), &origin, &key);
    assert!(matches!(refused, Err(OpenError::Note(NoteError::WrongSignature { .. }))));
}

#[test]
fn only_the_right_key_and_origin_open_a_checkpoint() {
    let (log, other) = (signer("log.example", 1), signer("log.example", 2));
    let origin = Origin::parse("log.example").unwrap();
    let head = TreeHead { size: TreeSize::new(7), root_hash: Hash::from_bytes([9; 32]) };
    let checkpoint = Checkpoint { origin: origin.clone(), head, extensions: vec!["x y".into()] };
    let sign = |text: String, signer: &NoteSigner| {
        let line = signer.sign(&text);
        SignedNote::new(text, vec![line]).unwrap().to_string()
    };
    let note = sign(checkpoint.to_text(), &log);
    let open = |note: &str, origin: &Origin, key: &NoteSigner| {
        SignedCheckpoint::open(note.as_bytes(), origin, &key.verifier_key())
    };
    assert_eq!(open(&note, &origin, &log).unwrap().checkpoint(), &checkpoint);
    assert_eq!(open(&note, &origin, &log).unwrap().head(), head);
    assert_eq!(open(&note, &origin, &other), Err(NoteError::NoKnownSignature.into()));
    let elsewhere = Origin::parse("log.example/2").unwrap();
    assert_eq!(open(&note, &elsewhere, &log), Err(OpenError::OtherOrigin(origin.clone())));
    let no_checkpoint = sign("log.example\nhello\n".into(), &log);
    assert_eq!(open(&no_checkpoint, &origin, &log), Err(CheckpointError::MissingLine.into()));
    // Who is not believed is not read: the missing signature is found before the missing line.
    assert_eq!(open(&no_checkpoint, &origin, &other), Err(NoteError::NoKnownSignature.into()));
}

fn any_checkpoint() -> impl Strategy<Value = Checkpoint> {
    let extensions = prop::collection::vec("[ -~]{1,30}", 0..3);
    ("[ -~]{1,40}", any::<u64>(), any_hash(), extensions).prop_map(
        |(origin, size, root_hash, extensions)| Checkpoint {
            origin: Origin::parse(&origin).unwrap(),
            head: TreeHead { size: TreeSize::new(size), root_hash },
            extensions,
        },
    )
}

proptest! {
    #[test]
    fn checkpoints_read_back_as_themselves(checkpoint in any_checkpoint()) {
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_text()), Ok(checkpoint));
    }

    #[test]
    fn only_canonical_checkpoints_are_read(checkpoint in any_checkpoint(), edits in edits()) {
        let bytes = mutate(checkpoint.to_text().as_bytes(), &edits);
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(read) = Checkpoint::parse(&text) {
            prop_assert_eq!(read.to_text(), text);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_checkpoint(bytes: Vec<u8>, text: String) {
        let key = signer("a.example", 1).verifier_key();
        let origin = Origin::parse("a.example").unwrap();
        prop_assert!(SignedCheckpoint::open(&bytes, &origin, &key).is_err());
        prop_assert!(Checkpoint::parse(&text).is_err());
    }
}

//! What a log and its witnesses say to one another.

use log_core::note::NoteError;
use log_core::witness::{PROOF_HASHES_MAX, WitnessWireError, parse_size};
use log_core::{
    AddCheckpointRequest, Checkpoint, ConsistencyProof, Hash, Origin, SignSubtreeRequest,
    SignedNote, Subtree, SubtreeProof, TreeSize, origin_hash,
};
use proptest::prelude::*;

use crate::note::any_note;
use crate::{any_hash, edits, mutate, text, vectors};

#[test]
fn the_requests_of_the_vectors_are_read_or_malformed() {
    let vectors = vectors("c2sp.json");
    let steps = vectors["add_checkpoint"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 34);
    let mut malformed = 0;
    for step in steps {
        let (name, body) = (text(step, "name"), text(step, "request"));
        let Ok(request) = AddCheckpointRequest::parse(body.as_bytes()) else {
            assert_eq!(step["status"], 400, "{name}");
            malformed += 1;
            continue;
        };
        assert_eq!(request.to_string(), body, "{name}");
        // Of the requests that are refused as malformed, these are so by what their note says.
        let note = SignedNote::parse(request.checkpoint.as_bytes());
        let fault = match &note {
            Err(error) => format!("{error:?}"),
            Ok(note) => {
                let checkpoint = Checkpoint::parse(note.text()).unwrap();
                let (old, new) = (request.old, checkpoint.head.size);
                let extended = !checkpoint.extensions.is_empty();
                format!("{}{}", if extended { "extended " } else { "" }, old <= new)
            }
        };
        let expected = match name {
            "checkpoint without signature block" => format!("{:?}", NoteError::NoBlankLine),
            "extension line in the checkpoint" => "extended true".into(),
            "old larger than the size" => "false".into(),
            _ => "true".into(),
        };
        assert_eq!(fault, expected, "{name}");
        assert_eq!(step["status"] == 400, expected != "true", "{name}");
    }
    assert_eq!(malformed, 9);
}

#[test]
fn the_subtree_requests_of_the_vectors_are_read_or_malformed() {
    let vectors = vectors("c2sp.json");
    let steps = vectors["sign_subtree"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 13);
    for step in steps {
        let (name, body) = (text(step, "name"), text(step, "request"));
        let status = step["status"].as_u64().unwrap();
        let Ok(request) = SignSubtreeRequest::parse(body.as_bytes()) else {
            assert_eq!(status, 400, "{name}");
            continue;
        };
        assert_eq!(request.to_string(), body, "{name}");
        let note = SignedNote::parse(request.checkpoint.as_bytes()).unwrap();
        let head = Checkpoint::parse(note.text()).unwrap().head;
        let beyond = request.subtree.end() > head.size.get();
        assert_eq!(beyond, status == 400, "{name}");
        let proof = request.proof.verify(request.subtree, &request.hash, &head);
        assert_eq!(proof.is_err(), matches!(status, 400 | 422), "{name}");
    }
}

#[test]
fn malformed_requests_name_the_line_at_fault() {
    let hash = Hash::EMPTY_ROOT.to_base64();
    let hashes = |count: usize| format!("{hash}\n").repeat(count);
    let cases: Vec<(Vec<u8>, WitnessWireError)> = vec![
        (vec![], WitnessWireError::NoBlankLine),
        (b"old 1\n".to_vec(), WitnessWireError::NoBlankLine),
        (b"old 1\n\xff\n\n".to_vec(), WitnessWireError::NotUtf8),
        (b"old 1\r\n\n\n".to_vec(), WitnessWireError::ControlCharacter),
        (b"\n\n\n".to_vec(), WitnessWireError::BadOldLine),
        (b"old\n\nx".to_vec(), WitnessWireError::BadOldLine),
        (b"old \n\nx".to_vec(), WitnessWireError::BadOldLine),
        (b"old 1 \n\nx".to_vec(), WitnessWireError::BadOldLine),
        (b"old -1\n\nx".to_vec(), WitnessWireError::BadOldLine),
        (b"OLD 1\n\nx".to_vec(), WitnessWireError::BadOldLine),
        (b"old 18446744073709551616\n\nx".to_vec(), WitnessWireError::BadOldLine),
        (format!("old 1\n{hash} \n\nx").into(), WitnessWireError::BadHash),
        (format!("old 1\n {hash}\n\nx").into(), WitnessWireError::BadHash),
        (format!("old 1\n{}\n\nx", hash.trim_end_matches('=')).into(), WitnessWireError::BadHash),
        (
            format!("old 1\n{}\nx", hashes(PROOF_HASHES_MAX + 1)).into(),
            WitnessWireError::TooManyHashes,
        ),
    ];
    for (body, error) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(AddCheckpointRequest::parse(&body), Err(error), "{shown:?}");
    }
    let most = format!("old {}\n{}\nx\n\ny", u64::MAX, hashes(PROOF_HASHES_MAX));
    let read = AddCheckpointRequest::parse(most.as_bytes()).unwrap();
    assert_eq!((read.old, &*read.checkpoint), (TreeSize::new(u64::MAX), "x\n\ny"));
    assert_eq!(read.proof.hashes().len(), PROOF_HASHES_MAX);

    let cases: Vec<(Vec<u8>, WitnessWireError)> = vec![
        (format!("subtree 0 1\n{hash}\n").into(), WitnessWireError::NoBlankLine),
        (b"subtree 0 1\n\nx".to_vec(), WitnessWireError::BadHash),
        (format!("subtree 0 1\n{hash}x\n\nx").into(), WitnessWireError::BadHash),
        (format!("subtree 0 1\n{hash}\n{hash}x\n\nx").into(), WitnessWireError::BadHash),
        (format!("subtree 1 0\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (format!("subtree 1 1\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (format!("subtree 1 3\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (format!("subtree 0  1\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (format!("subtree 0 1 2\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (format!("subtree 0\n{hash}\n\nx").into(), WitnessWireError::BadSubtreeLine),
        (
            format!("subtree 0 1\n{hash}\n{}\nx", hashes(PROOF_HASHES_MAX + 1)).into(),
            WitnessWireError::TooManyHashes,
        ),
    ];
    for (body, error) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(SignSubtreeRequest::parse(&body), Err(error), "{shown:?}");
    }
}

#[test]
fn the_path_of_a_log_is_the_hash_of_its_origin() {
    let identifiers = &vectors("c2sp.json")["identifiers"];
    let hash = |origin: &str| origin_hash(&Origin::parse(origin).unwrap()).to_string();
    assert_eq!(hash(text(identifiers, "origin")), text(identifiers, "monitoring_origin_hash"));
    let more = identifiers["more_origin_hashes"].as_object().unwrap();
    assert!(more.len() >= 3);
    for (origin, expected) in more {
        assert_eq!(hash(origin), expected.as_str().unwrap());
    }
}

#[test]
fn a_size_is_one_canonical_decimal_and_a_newline() {
    for size in [0, 1, 10, u64::MAX] {
        assert_eq!(parse_size(format!("{size}\n").as_bytes()), Some(TreeSize::new(size)));
    }
    let refused: [&[u8]; 14] = [
        b"",
        b"\n",
        b"1",
        b"01\n",
        b"+1\n",
        b"-1\n",
        b"1\n\n",
        b"1\r\n",
        b" 1\n",
        b"1 \n",
        b"x\n",
        b"0x1\n",
        b"18446744073709551616\n",
        b"\xff\n",
    ];
    for body in refused {
        assert_eq!(parse_size(body), None, "{:?}", String::from_utf8_lossy(body));
    }
}

fn any_hashes() -> impl Strategy<Value = Vec<Hash>> {
    prop::collection::vec(any_hash(), 0..=PROOF_HASHES_MAX)
}

fn any_add_checkpoint() -> impl Strategy<Value = AddCheckpointRequest> {
    (any::<u64>(), any_hashes(), any_note()).prop_map(|(old, hashes, note)| AddCheckpointRequest {
        old: TreeSize::new(old),
        proof: ConsistencyProof::from_hashes(hashes),
        checkpoint: note.to_string(),
    })
}

fn any_sign_subtree() -> impl Strategy<Value = SignSubtreeRequest> {
    let subtree = (0..64_u32, any::<u64>(), any::<u64>()).prop_map(|(level, index, width)| {
        let start = (index << level) & (u64::MAX >> 1);
        let width = width % (1 << level) + 1;
        Subtree::new(start, start + width).or(Subtree::new(0, width)).unwrap()
    });
    (subtree, any_hash(), any_hashes(), any_note()).prop_map(|(subtree, hash, hashes, note)| {
        let proof = SubtreeProof::from_hashes(hashes);
        SignSubtreeRequest { subtree, hash, proof, checkpoint: note.to_string() }
    })
}

proptest! {
    #[test]
    fn requests_read_back_as_themselves(add in any_add_checkpoint(), sign in any_sign_subtree()) {
        prop_assert_eq!(AddCheckpointRequest::parse(add.to_string().as_bytes()), Ok(add));
        prop_assert_eq!(SignSubtreeRequest::parse(sign.to_string().as_bytes()), Ok(sign));
    }

    #[test]
    fn only_canonical_requests_are_read(
        add in any_add_checkpoint(),
        sign in any_sign_subtree(),
        edits in edits(),
    ) {
        let bytes = mutate(add.to_string().as_bytes(), &edits);
        if let Ok(read) = AddCheckpointRequest::parse(&bytes) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes);
        }
        let bytes = mutate(sign.to_string().as_bytes(), &edits);
        if let Ok(read) = SignSubtreeRequest::parse(&bytes) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_request(bytes: Vec<u8>) {
        prop_assert!(AddCheckpointRequest::parse(&bytes).is_err());
        prop_assert!(SignSubtreeRequest::parse(&bytes).is_err());
    }
}

//! Files of evidence: the vectors, every fault of the format, and what proves nothing.

use log_core::checkpoint::CheckpointError;
use log_core::evidence::{
    EVIDENCE_BYTES_MAX, EVIDENCE_COMMENT_BYTES_MAX, EVIDENCE_COMMENTS_MAX, EVIDENCE_HASHES_MAX,
    EVIDENCE_KEYS_MAX, EvidenceError, NotProven,
};
use log_core::key::VerifierKeyError;
use log_core::note::NoteError;
use log_core::{
    ConsistencyProof, Evidence, EvidenceKind, EvidenceRole, Hash, NoteSignature, Origin, Proven,
    SignedNote, VerifierKey,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{edits, mutate, signer, text, vectors};

/// Who asks, in a vector.
fn trust(case: &Value) -> (EvidenceRole, Origin, Vec<VerifierKey>) {
    let role = match text(case, "trusted_role") {
        "log" => EvidenceRole::Log,
        _ => EvidenceRole::Cosigner,
    };
    let keys = case["trusted_vkeys"].as_array().unwrap();
    let keys = keys.iter().map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap());
    (role, Origin::parse(text(case, "trusted_origin")).unwrap(), keys.collect())
}

fn cases() -> Vec<Value> {
    vectors("c2sp.json")["evidence"].as_array().unwrap().clone()
}

fn proven_cases() -> Vec<Value> {
    let proven: Vec<_> = cases().into_iter().filter(|case| case["expect"] == "proven").collect();
    assert_eq!(proven.len(), 8);
    proven
}

fn parse(file: &str) -> Evidence {
    Evidence::parse(file.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{file}"))
}

#[test]
fn the_files_of_the_vectors_get_their_verdicts_and_ids() {
    let cases = cases();
    assert_eq!(cases.len(), 39);
    for case in &cases {
        let (name, file) = (text(case, "name"), text(case, "file"));
        let (role, origin, keys) = trust(case);
        let verdict = match Evidence::parse(file.as_bytes()) {
            Err(_) => "malformed",
            Ok(evidence) => {
                assert_eq!(evidence.to_string(), file, "{name}");
                assert_eq!(evidence.id().to_string(), text(case, "id"), "{name}");
                let other = match role {
                    EvidenceRole::Log => EvidenceRole::Cosigner,
                    EvidenceRole::Cosigner => EvidenceRole::Log,
                };
                assert!(evidence.verify(other, &origin, &keys).is_err(), "{name}");
                assert!(evidence.verify(role, &origin, &[]).is_err(), "{name}");
                let elsewhere = Origin::parse("elsewhere.example").unwrap();
                assert!(evidence.verify(role, &elsewhere, &keys).is_err(), "{name}");
                match evidence.verify(role, &origin, &keys) {
                    Ok(proven) => {
                        assert_eq!((&proven.origin, &proven.keys), (&origin, &keys), "{name}");
                        assert_eq!(proven.first, evidence.checkpoints()[0].head);
                        "proven"
                    }
                    Err(_) => "not proven",
                }
            }
        };
        assert_eq!(verdict, text(case, "expect"), "{name}");
    }
}

#[test]
fn the_proven_files_of_the_vectors_are_made_again_byte_for_byte() {
    for case in proven_cases() {
        let (_, origin, keys) = trust(&case);
        let evidence = parse(text(&case, "file"));
        // Notes as they are found: with lines of others, and in the other order.
        let mut notes: Vec<_> = evidence.notes().iter().map(with_junk).collect();
        let prefix = evidence.prefix().map(|(root, proof)| (*root, proof.clone()));
        let kind = evidence.kind();
        notes.reverse();
        let made = match (kind, &notes[..]) {
            (EvidenceKind::LogFork, [a, b]) => Evidence::log_fork(a, b, prefix, &origin, &keys),
            (EvidenceKind::LogEmptyRoot, [note]) => Evidence::empty_root(note, &origin, &keys),
            (EvidenceKind::CosignerFork, [a, b]) => {
                Evidence::cosigner_fork(a, b, prefix, &origin, &keys)
            }
            (_, [a, b]) => Evidence::cosigner_rollback(a, b, &origin, &keys),
            _ => panic!("{} has another number of notes", text(&case, "name")),
        };
        let made = made.unwrap().with_comments(evidence.comments().to_vec());
        assert_eq!(made.to_string(), text(&case, "file"), "{}", text(&case, "name"));
        assert_eq!(made.id().to_string(), text(&case, "id"));
    }
}

/// The note with a stranger's line before and after its own.
fn with_junk(note: &SignedNote) -> SignedNote {
    let junk = signer("junk.example", 99).sign(note.text());
    let lines = [vec![junk.clone()], note.signatures().to_vec(), vec![junk]].concat();
    SignedNote::new(note.text().into(), lines).unwrap()
}

/// One file of the vectors, the proven fork over sizes 5 and 8, in its lines.
fn fork_lines() -> Vec<String> {
    let case = &proven_cases()[1];
    let lines: Vec<String> = text(case, "file").lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 10);
    lines
}

fn file(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}

fn note_line(note: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    format!("note {}", STANDARD.encode(note))
}

/// The file with its lines `from..to` replaced.
fn with(from: usize, to: usize, new: &[&str]) -> String {
    let mut lines = fork_lines();
    lines.splice(from..to, new.iter().map(|line| (*line).to_owned()));
    file(&lines)
}

fn assert_malformed<const N: usize>(cases: [(String, EvidenceError); N]) {
    for (file, error) in cases {
        assert_eq!(Evidence::parse(file.as_bytes()), Err(error), "{file}");
    }
}

#[test]
fn malformed_keys_and_notes_name_the_rule_that_they_break() {
    let lines = fork_lines();
    let note = &parse(&file(&lines)).notes()[0].clone();
    let (key, a_line) = (&*lines[2], &*lines[3]);
    let doubled = note_line(&format!("{note}{}\n", note.signatures()[0]));
    let junk = note_line(&with_junk(note).to_string());
    let stray = note_line(&with_stray_bits(&note.to_string()));
    let unsigned = note_line("no checkpoint\n");
    let no_checkpoint = signed_by_log("no checkpoint\n", note.signatures());
    let keys = vec![key; EVIDENCE_KEYS_MAX + 1];
    let stranger = format!("vkey {}", signer("stranger.example", 2).verifier_key());
    assert_malformed([
        (with(0, 1, &["cairn/tlog-evidence@v1 "]), EvidenceError::UnknownVersion),
        (with(0, 1, &[]), EvidenceError::UnknownVersion),
        (with(1, 2, &["type log-fork "]), EvidenceError::UnknownKind),
        (with(1, 2, &[]), EvidenceError::UnknownKind),
        (with(2, 3, &[]), EvidenceError::KeyCount),
        (with(2, 3, &keys), EvidenceError::KeyCount),
        (with(2, 3, &["vkey a+b"]), EvidenceError::BadKey(VerifierKeyError::MissingPart)),
        (with(2, 3, &[&stranger]), EvidenceError::UnlistedSignature),
        (with(2, 3, &[key, &stranger]), EvidenceError::UnusedKey),
        (with(2, 3, &[key, key]), EvidenceError::RepeatedKey),
        (with(3, 4, &[]), EvidenceError::NoteCount),
        (with(3, 5, &[]), EvidenceError::NoteCount),
        (with(3, 4, &[a_line, a_line]), EvidenceError::NoteCount),
        (with(1, 2, &["type log-empty-root"]), EvidenceError::NoteCount),
        (with(3, 4, &["note"]), EvidenceError::UnexpectedLine { number: 4 }),
        (with(3, 4, &["note "]), EvidenceError::BadNote(NoteError::NoBlankLine)),
        (with(3, 4, &[&format!("{a_line} ")]), EvidenceError::NoteNotCanonical),
        (with(3, 4, &[&stray]), EvidenceError::NoteNotCanonical),
        (with(3, 4, &[&unsigned]), EvidenceError::BadNote(NoteError::NoBlankLine)),
        (with(3, 4, &[&doubled]), EvidenceError::UnlistedSignature),
        (with(3, 4, &[&junk]), EvidenceError::UnlistedSignature),
        (with(3, 4, &[&no_checkpoint]), CheckpointError::MissingLine.into()),
    ]);
}

#[test]
fn malformed_proofs_and_comments_name_the_rule_that_they_break() {
    let lines = fork_lines();
    let (a_line, b_line) = (&*lines[3], &*lines[4]);
    let comment = format!("comment {}", "x".repeat(EVIDENCE_COMMENT_BYTES_MAX - 8));
    let too_long = format!("{comment}x");
    let too_many = vec!["comment x"; EVIDENCE_COMMENTS_MAX + 1];
    let hashes = vec![&*lines[6]; EVIDENCE_HASHES_MAX + 1];
    assert_malformed([
        (with(3, 5, &[b_line, a_line]), EvidenceError::WrongOrder),
        (with(4, 5, &[a_line]), EvidenceError::WrongPrefix),
        (with(5, 10, &[]), EvidenceError::WrongPrefix),
        (with(1, 2, &["type cosigner-rollback"]), EvidenceError::WrongPrefix),
        (with(5, 6, &[]), EvidenceError::UnexpectedLine { number: 6 }),
        (with(5, 6, &["prefix x"]), EvidenceError::BadHash),
        (with(5, 6, &[&*lines[5], &*lines[5]]), EvidenceError::UnexpectedLine { number: 7 }),
        (with(6, 7, &["hash x"]), EvidenceError::BadHash),
        (with(6, 10, &hashes), EvidenceError::TooManyHashes),
        (with(10, 10, &too_many), EvidenceError::TooManyComments),
        (with(10, 10, &[&too_long]), EvidenceError::BadComment),
        (with(10, 10, &["comment "]), EvidenceError::BadComment),
        (with(10, 10, &["comment \u{9b}31m"]), EvidenceError::BadComment),
        (with(10, 10, &["comment"]), EvidenceError::UnexpectedLine { number: 11 }),
        (with(10, 10, &[""]), EvidenceError::UnexpectedLine { number: 11 }),
        (with(10, 10, &["comment x", "hash x"]), EvidenceError::UnexpectedLine { number: 12 }),
    ]);
    assert!(Evidence::parse(with(10, 10, &vec![&*comment; 32]).as_bytes()).is_ok());
    let bytes: [(Vec<u8>, EvidenceError); 4] = [
        (vec![], EvidenceError::Unterminated),
        (b"\n".to_vec(), EvidenceError::UnknownVersion),
        ([file(&lines).as_bytes(), b"comment \xff\n"].concat(), EvidenceError::NotUtf8),
        (vec![b'x'; 513 << 10], EvidenceError::TooLong),
    ];
    for (file, error) in bytes {
        assert_eq!(Evidence::parse(&file), Err(error));
    }
}

/// The note with unused bits set in its signature's base64, as a note may be read.
fn with_stray_bits(note: &str) -> String {
    let digit = note.chars().rev().nth(2).unwrap();
    let next = char::from(u8::try_from(digit).unwrap() + 1);
    let stray = note.replace(&format!("{digit}=\n"), &format!("{next}=\n"));
    assert_eq!(SignedNote::parse(stray.as_bytes()).unwrap().to_string(), note);
    stray
}

/// A note line under the name and id of a key that did not sign it.
fn signed_by_log(text: &str, lines: &[NoteSignature]) -> String {
    note_line(&SignedNote::new(text.into(), lines.to_vec()).unwrap().to_string())
}

#[test]
fn what_is_missing_from_a_proof_is_said() {
    let named = |name: &str| {
        let case = cases().into_iter().find(|case| text(case, "name") == name).unwrap();
        let (role, origin, keys) = trust(&case);
        parse(text(&case, "file")).verify(role, &origin, &keys).unwrap_err()
    };
    assert_eq!(named("honest pair dressed as a fork"), NotProven::Consistent);
    assert_eq!(named("same note twice"), NotProven::SameHead);
    assert!(matches!(named("proof does not reach the signed root"), NotProven::Proof(_)));
    assert!(matches!(named("garbage proof and prefix"), NotProven::Proof(_)));
    assert!(matches!(named("origins differ"), NotProven::OtherOrigin(_)));
    let wrong = named("second signature fails");
    assert!(matches!(wrong, NotProven::Signature(NoteError::WrongSignature { .. })));
    let unknown = NotProven::Signature(NoteError::NoKnownSignature);
    assert_eq!(named("verifier trusts another key"), unknown);
    assert_eq!(named("size 0 against a larger size is no fork"), NotProven::EmptyTree);
    assert_eq!(named("correct empty root"), NotProven::EmptyRootRight);
    assert_eq!(named("cosigner fork by two different witnesses"), NotProven::NoCommonKey);
    assert_eq!(named("growing sizes are no rollback"), NotProven::NoRollback);
    assert_eq!(named("equal timestamps are no rollback"), NotProven::NoRollback);
    let no_time = named("ML-DSA timestamp 0 makes no statement about time");
    assert_eq!(no_time, NotProven::NoRollback);

    let case = &proven_cases()[0];
    let (_, origin, keys) = trust(case);
    let refused = parse(text(case, "file")).verify(EvidenceRole::Cosigner, &origin, &keys);
    assert_eq!(refused, Err(NotProven::OtherRole(EvidenceKind::LogFork)));
}

#[test]
fn a_key_that_cannot_speak_in_the_role_convicts_nobody() {
    let cases = proven_cases();
    let unknown = NotProven::Signature(NoteError::NoKnownSignature);
    // A key of type 0x04 signs for no log, one of type 0x01 for no cosigner, whatever a file says
    // and whoever trusts it. One of type 0x06 can do both.
    let (log_fork, ed25519, ml_dsa) = (&cases[0], &cases[4], &cases[5]);
    for (case, kind, refused) in [
        (log_fork, EvidenceKind::CosignerFork, Some(&unknown)),
        (ed25519, EvidenceKind::LogFork, Some(&unknown)),
        (ml_dsa, EvidenceKind::LogFork, None),
    ] {
        let evidence = parse(text(case, "file"));
        let (_, origin, keys) = trust(case);
        assert!(evidence.verify(evidence.kind().role(), &origin, &keys).is_ok());
        let dressed = text(case, "file")
            .replace(&format!("type {}\n", evidence.kind()), &format!("type {kind}\n"));
        let verdict = parse(&dressed).verify(kind.role(), &origin, &keys);
        assert_eq!(verdict.as_ref().err(), refused, "{dressed}");
    }
}

#[test]
fn the_reconstructions_of_the_vectors_are_computed() {
    let vectors = vectors("c2sp.json");
    let cases = vectors["fork_extraction"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    let mut extractable = 0;
    for case in cases {
        let hash = |member: &str| Hash::from_hex(text(case, member));
        let size = |member: &str| log_core::TreeSize::new(case[member].as_u64().unwrap());
        let proof = case["proof_hex"].as_array().unwrap();
        let proof = proof.iter().map(|digits| Hash::from_hex(digits.as_str().unwrap()).unwrap());
        let proof = ConsistencyProof::from_hashes(proof.collect());
        let (stored, signed) = (hash("stored_root_hex").unwrap(), hash("signed_root_hex").unwrap());
        let (old, new) = (size("old_size"), size("new_size"));
        let roots = proof.reconstruct(old, new, &stored);
        if case["reconstructed_old_hex"].is_string() {
            let expected = (hash("reconstructed_old_hex"), hash("reconstructed_new_hex"));
            assert_eq!(roots.map(|(fr, sr)| (Some(fr), Some(sr))), Some(expected));
        }
        let convicts = roots.filter(|(fr, sr)| *sr == signed && *fr != stored);
        assert_eq!(convicts.is_some(), case["extractable"].as_bool().unwrap(), "{case}");
        if let Some((prefix, _)) = convicts {
            extractable += 1;
            assert_eq!(Some(prefix), hash("prefix_root_hex"));
            let other = proof.reconstruct(old, new, &Hash::EMPTY_ROOT);
            assert_eq!(other, roots, "the old root is not used");
        }
    }
    assert!(extractable >= 3);
}

#[test]
fn comments_are_made_to_fit_and_change_nothing() {
    let evidence = parse(&file(&fork_lines()));
    let id = evidence.id();
    let long = "\u{e9}".repeat(EVIDENCE_COMMENT_BYTES_MAX);
    let comments = ["", "a\nb\tc\u{9b}d\u{7f}", &long].map(str::to_owned).to_vec();
    let commented = evidence.clone().with_comments(comments);
    assert_eq!(commented.comments()[0], "a b c d ");
    assert_eq!(commented.comments()[1].len(), EVIDENCE_COMMENT_BYTES_MAX - 8);
    assert_eq!(commented.comments().len(), 2);
    assert_eq!(parse(&commented.to_string()), commented);
    assert_eq!(commented.id(), id);
    let many = evidence.clone().with_comments(vec![long; EVIDENCE_COMMENTS_MAX + 1]);
    assert_eq!(many.comments().len(), EVIDENCE_COMMENTS_MAX);
    assert_eq!(parse(&many.to_string()).id(), id);
    assert_eq!(many.with_comments(vec![]), evidence);
}

#[test]
fn a_file_is_never_made_longer_than_it_may_be() {
    let log = signer("log.example", 1);
    let (origin, keys) = (Origin::parse("log.example").unwrap(), [log.verifier_key()]);
    let note = |root: [u8; 32], extension: usize| {
        let root = Hash::from_bytes(root).to_base64();
        let text = format!("log.example\n5\n{root}\n{}\n", "x".repeat(extension));
        SignedNote::new(text.clone(), vec![log.sign(&text)]).unwrap()
    };
    let fork = |extension| {
        Evidence::log_fork(&note([1; 32], extension), &note([2; 32], 1), None, &origin, &keys)
    };
    // Three quarters of the limit, which base64 makes the whole of it, less all the rest.
    let (mut fits, mut beyond) = (380_000, 394_000);
    while beyond - fits > 1 {
        let middle = (fits + beyond) / 2;
        if fork(middle).is_some() { fits = middle } else { beyond = middle }
    }
    let longest = fork(fits).unwrap();
    let length = longest.to_string().len();
    assert!((EVIDENCE_BYTES_MAX - 4..=EVIDENCE_BYTES_MAX).contains(&length), "{length}");
    assert_eq!(parse(&longest.to_string()), longest);
    let commented = longest.clone().with_comments(vec!["no room for this".into()]);
    assert_eq!(commented, longest);
}

/// What the file proves to whoever trusts the keys of the vector.
fn proven(case: &Value, file: &[u8]) -> Option<(Evidence, Proven)> {
    let (role, origin, keys) = trust(case);
    let evidence = Evidence::parse(file).ok()?;
    let proven = evidence.verify(role, &origin, &keys).ok()?;
    Some((evidence, proven))
}

proptest! {
    #[test]
    fn a_changed_file_proves_nothing_unless_only_comments_changed(
        case in prop::sample::select(proven_cases()),
        edits in edits(),
    ) {
        let bytes = mutate(text(&case, "file").as_bytes(), &edits);
        if let Ok(read) = Evidence::parse(&bytes) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes.clone());
        }
        if let Some((evidence, _)) = proven(&case, &bytes) {
            prop_assert_eq!(evidence.id().to_string(), text(&case, "id"));
        }
    }

    #[test]
    fn a_file_whose_lines_are_dropped_doubled_or_swapped_proves_nothing(
        case in prop::sample::select(proven_cases()),
        from: prop::sample::Index,
        to: prop::sample::Index,
        kind in 0..3,
    ) {
        let mut lines: Vec<_> = text(&case, "file").lines().map(str::to_owned).collect();
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        match kind {
            0 => drop(lines.remove(from)),
            1 => lines.insert(to, lines[from].clone()),
            _ => lines.swap(from, to),
        }
        if let Some((evidence, _)) = proven(&case, file(&lines).as_bytes()) {
            prop_assert_eq!(evidence.id().to_string(), text(&case, "id"));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_evidence(bytes: Vec<u8>) {
        prop_assert!(Evidence::parse(&bytes).is_err());
    }
}

//! Signed notes.

use log_core::note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, NoteError};
use log_core::{NoteSignature, SignedNote, VerifierKey};
use proptest::prelude::*;

use crate::{edits, hex, mutate, signer, text, vectors};

fn junk_line(number: usize) -> NoteSignature {
    signer(&format!("junk{number}.example"), 99).sign("another text\n")
}

#[test]
fn the_notes_of_the_vectors_get_their_verdicts() {
    let vectors = vectors("c2sp.json");
    let cases = vectors["signed_note"].as_array().unwrap();
    assert_eq!(cases.len(), 29);
    for case in cases {
        let bytes = match case["note"].as_str() {
            Some(note) => note.as_bytes().to_vec(),
            None => hex(text(case, "note_hex")),
        };
        let trusted = case["trusted"].as_array().unwrap();
        let keys: Vec<VerifierKey> =
            trusted.iter().map(|v| VerifierKey::parse(v.as_str().unwrap()).unwrap()).collect();
        let verdict = match SignedNote::parse(&bytes) {
            Err(_) => "malformed",
            Ok(note) if note.verify(&keys).is_err() => "rejected",
            Ok(_) => "ok",
        };
        assert_eq!(verdict, text(case, "expect"), "{}", text(case, "name"));
    }
}

#[test]
fn stray_bits_in_a_signature_line_are_read_but_never_written() {
    let signer = signer("a.example", 1);
    let note = SignedNote::new("text\n".into(), vec![signer.sign("text\n")]).unwrap();
    let canonical = note.to_string();
    // 4 + 64 bytes leave two unused bits in the last digit.
    let digit = canonical.chars().rev().nth(2).unwrap();
    let next = char::from(u8::try_from(digit).unwrap() + 1);
    let stray = canonical.replace(&format!("{digit}=\n"), &format!("{next}=\n"));
    assert_ne!(stray, canonical);
    let read = SignedNote::parse(stray.as_bytes()).unwrap();
    assert!(read.verify(&[signer.verifier_key()]).is_ok());
    assert_eq!(read.to_string(), canonical);
}

#[test]
fn malformed_notes_say_which_rule_they_break() {
    let line = signer("a.example", 1).sign("text\n").to_string();
    let cases: Vec<(Vec<u8>, NoteError)> = vec![
        (b"".to_vec(), NoteError::NoBlankLine),
        (b"\xff\n\n".to_vec(), NoteError::NotUtf8),
        (format!("te\txt\n\n{line}\n").into(), NoteError::ControlCharacter),
        (format!("text\n{line}\n").into(), NoteError::NoBlankLine),
        (b"text\n\n".to_vec(), NoteError::NoSignature),
        (format!("text\n\n{line}").into(), NoteError::Unterminated),
        (format!("text\n\n{line}\n\n").into(), NoteError::NoSignature),
        (format!("text\n\n{line}\n{line}x\n").into(), NoteError::BadSignatureLine),
        (format!("text\n\n {line}\n").into(), NoteError::BadSignatureLine),
        (format!("text\n\n{line} \n").into(), NoteError::BadSignatureLine),
        ("text\n\n\u{2014} a.example\n".into(), NoteError::BadSignatureLine),
        ("text\n\n\u{2014} a.example \n".into(), NoteError::BadSignatureLine),
        ("text\n\n\u{2014} a.example AQIDBA==\n".into(), NoteError::BadSignatureLine),
        ("text\n\n\u{2014}a.example AQIDBAU=\n".into(), NoteError::BadSignatureLine),
        (vec![b'\n'; NOTE_BYTES_MAX + 1], NoteError::TooLong),
    ];
    for (bytes, error) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert_eq!(SignedNote::parse(&bytes), Err(error), "{shown:?}");
    }
    assert!(SignedNote::parse("text\n\n\u{2014} a.example AQIDBAU=\n".as_bytes()).is_ok());
}

#[test]
fn a_note_may_have_a_hundred_lines_and_a_million_bytes() {
    let known = signer("a.example", 1);
    let mut lines: Vec<_> = (1..NOTE_SIGNATURES_MAX).map(junk_line).collect();
    lines.push(known.sign("text\n"));
    let note = SignedNote::new("text\n".into(), lines.clone()).unwrap();
    let bytes = note.to_string().into_bytes();
    let read = SignedNote::parse(&bytes).unwrap();
    assert_eq!(read.verify(&[known.verifier_key()]).unwrap().len(), 1);

    let one_more = [&bytes[..], format!("{}\n", junk_line(0)).as_bytes()].concat();
    assert_eq!(SignedNote::parse(&one_more), Err(NoteError::TooManySignatures));
    lines.push(junk_line(0));
    assert_eq!(SignedNote::new("text\n".into(), lines), Err(NoteError::TooManySignatures));

    let line = format!("\n{}\n", junk_line(0));
    let longest = format!("{}\n{line}", "x".repeat(NOTE_BYTES_MAX - line.len() - 1));
    assert_eq!(longest.len(), NOTE_BYTES_MAX);
    let read = SignedNote::parse(longest.as_bytes()).unwrap();
    let longer = format!("x{}", read.text());
    assert!(SignedNote::new(read.text().into(), read.signatures().to_vec()).is_ok());
    assert_eq!(SignedNote::new(longer, read.signatures().to_vec()), Err(NoteError::TooLong));
}

#[test]
fn a_note_is_only_put_together_if_it_can_be_read_again() {
    let good = signer("a.example", 1).sign("text\n");
    let empty = NoteSignature { signature: Vec::new(), ..good.clone() };
    let cases = [
        ("text", vec![good.clone()], NoteError::Unterminated),
        ("", vec![good.clone()], NoteError::Unterminated),
        ("te\rxt\n", vec![good.clone()], NoteError::ControlCharacter),
        ("text\n", vec![], NoteError::NoSignature),
        ("text\n", vec![good.clone(), empty], NoteError::BadSignatureLine),
    ];
    for (text, lines, error) in cases {
        assert_eq!(SignedNote::new(text.into(), lines), Err(error), "{text:?}");
    }
    let note = SignedNote::new("a\n\n\n".into(), vec![good]).unwrap();
    assert_eq!(SignedNote::parse(note.to_string().as_bytes()), Ok(note));
}

#[test]
fn every_key_that_signed_is_named_once() {
    let (a, b, c) = (signer("a.example", 1), signer("b.example", 2), signer("c.example", 3));
    let lines = ["t\n"; 3].map(|t| b.sign(t)).into_iter().chain([a.sign("t\n"), junk_line(1)]);
    let note = SignedNote::new("t\n".into(), lines.collect()).unwrap();
    let keys = [a.verifier_key(), c.verifier_key(), b.verifier_key(), a.verifier_key()];
    assert_eq!(note.verify(&keys).unwrap(), [&keys[2], &keys[0]]);
    assert_eq!(note.verify(&[c.verifier_key()]), Err(NoteError::NoKnownSignature));
    assert_eq!(note.verify(&[]), Err(NoteError::NoKnownSignature));
    let wrong = SignedNote::new("t\n".into(), vec![a.sign("t\n"), b.sign("u\n")]).unwrap();
    let b_line = &wrong.signatures()[1];
    let error = NoteError::WrongSignature { name: b_line.name.clone(), id: b_line.id };
    assert_eq!(wrong.verify(&keys), Err(error));
    assert_eq!(wrong.verify(&[a.verifier_key()]).unwrap(), [&a.verifier_key()]);
    // A copy of a good line says nothing about a third one.
    let lines = vec![a.sign("t\n"), a.sign("t\n"), a.sign("u\n"), a.sign("t\n")];
    let spoiled = SignedNote::new("t\n".into(), lines).unwrap();
    assert!(matches!(spoiled.verify(&keys), Err(NoteError::WrongSignature { .. })));
}

pub(crate) fn any_note() -> impl Strategy<Value = SignedNote> {
    let line = ("[a-z./]{1,20}", any::<u8>());
    ("([a-z \n\u{e9}]{0,40}\n)", prop::collection::vec(line, 1..20)).prop_map(|(text, lines)| {
        let lines = lines.iter().map(|(name, seed)| signer(name, *seed).sign(&text)).collect();
        SignedNote::new(text, lines).unwrap()
    })
}

proptest! {
    #[test]
    fn notes_read_back_as_themselves(note in any_note()) {
        prop_assert_eq!(SignedNote::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn nearly_right_notes_never_panic(note in any_note(), edits in edits()) {
        let bytes = mutate(note.to_string().as_bytes(), &edits);
        if let Ok(read) = SignedNote::parse(&bytes) {
            prop_assert_eq!(SignedNote::parse(read.to_string().as_bytes()), Ok(read.clone()));
            // Nobody else's key verifies, whatever the bytes are.
            prop_assert!(read.verify(&[signer("NOBODY", 7).verifier_key()]).is_err());
        }
    }

    #[test]
    fn a_changed_text_is_never_believed(text in "[a-z\n]{1,40}", edits in edits()) {
        let log = signer("log.example", 1);
        let text = format!("{text}\n");
        let line = log.sign(&text);
        let Ok(changed) = String::from_utf8(mutate(text.as_bytes(), &edits)) else { return Ok(()) };
        let Ok(note) = SignedNote::new(changed.clone(), vec![line]) else { return Ok(()) };
        prop_assert_eq!(note.verify(&[log.verifier_key()]).is_ok(), changed == text);
    }

    #[test]
    fn arbitrary_bytes_are_no_note(bytes: Vec<u8>) {
        prop_assert!(SignedNote::parse(&bytes).is_err());
    }
}

//! Only the canonical text of a checkpoint is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{Checkpoint, KeyName, NoteSigner, SignedCheckpoint, SignedNote};

fuzz_target!(|text: &str| {
    let Ok(checkpoint) = Checkpoint::parse(text) else { return };
    assert_eq!(checkpoint.to_text(), text);
    // Signed, it opens, unless it holds a character that a note may not or is too long for one.
    let signer = NoteSigner::ed25519(KeyName::parse("log").expect("a valid name"), [1; 32]);
    let Ok(note) = SignedNote::new(text.to_owned(), vec![signer.sign(text)]) else { return };
    let key = signer.verifier_key();
    let opened = SignedCheckpoint::open(note.to_string().as_bytes(), &checkpoint.origin, &key);
    assert_eq!(opened.expect("a signed checkpoint opens").checkpoint(), &checkpoint);
});

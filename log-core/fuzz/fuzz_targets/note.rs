//! A note is read, or refused; what was read is written canonically and reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{KeyName, NoteSigner, SignedNote};

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = SignedNote::parse(bytes) else { return };
    let again = SignedNote::new(note.text().to_owned(), note.signatures().to_vec());
    assert_eq!(again.as_ref(), Ok(&note));
    assert_eq!(SignedNote::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
    // Lines under a known name and id reach the signature check; none can pass it.
    let name = note.signatures()[0].name.clone();
    let keys = [name, KeyName::parse("log.example").expect("a valid name")]
        .map(|name| NoteSigner::ed25519(name, [1; 32]).verifier_key());
    assert!(note.verify(&keys).is_err());
});

//! Lines of a witness's answer are read or refused, and none passes for a cosignature by others.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use log_core::note::parse_signature_lines;
use log_core::{Checkpoint, Cosignature, CosignerKey, KeyName, Origin, SignedNote, TreeHead};

/// Keys that sign nothing here.
static KEYS: LazyLock<[CosignerKey; 2]> = LazyLock::new(|| {
    let name = || KeyName::parse("w.example").expect("a valid name");
    let ml_dsa = CosignerKey::ml_dsa_44(name(), [1; 32]).expect("a short name");
    [CosignerKey::ed25519(name(), [1; 32]), ml_dsa]
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(lines) = parse_signature_lines(bytes) else { return };
    let printed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(parse_signature_lines(printed.as_bytes()).as_ref(), Ok(&lines));

    let origin = Origin::parse("log.example").expect("a valid origin");
    let checkpoint = Checkpoint { origin, head: TreeHead::EMPTY, extensions: Vec::new() };
    let note = SignedNote::new(checkpoint.to_text(), lines).expect("lines that were read");
    for key in KEYS.iter().map(CosignerKey::verifier_key) {
        assert_eq!(Cosignature::find(&note, key), None);
        for line in note.signatures() {
            assert!(Cosignature::verify(key, note.text(), &line.signature).is_err());
        }
    }
});

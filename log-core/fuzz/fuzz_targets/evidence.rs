//! Only the canonical form of evidence is read, and it convicts nobody whose key is not in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{Evidence, EvidenceKind, KeyName, NoteSigner};

fuzz_target!(|file: &[u8]| {
    let Ok(evidence) = Evidence::parse(file) else { return };
    assert_eq!(evidence.to_string().as_bytes(), file);
    let bare = evidence.clone().with_comments(Vec::new());
    assert_eq!(bare.id(), evidence.id());

    let (role, origin) = (evidence.kind().role(), &evidence.checkpoints()[0].origin);
    let name = KeyName::parse("log.example").expect("a valid name");
    let stranger = NoteSigner::ed25519(name, [1; 32]).verifier_key();
    assert!(evidence.verify(role, origin, &[stranger]).is_err());

    // What convicts under the file's own keys can be made again from its parts.
    let keys = evidence.keys();
    if evidence.verify(role, origin, keys).is_err() {
        return;
    }
    let prefix = evidence.prefix().map(|(root, proof)| (*root, proof.clone()));
    let again = match (evidence.kind(), evidence.notes()) {
        (EvidenceKind::LogFork, [a, b]) => Evidence::log_fork(b, a, prefix, origin, keys),
        (EvidenceKind::CosignerFork, [a, b]) => Evidence::cosigner_fork(b, a, prefix, origin, keys),
        (EvidenceKind::CosignerRollback, [a, b]) => Evidence::cosigner_rollback(b, a, origin, keys),
        (_, notes) => Evidence::empty_root(&notes[0], origin, keys),
    };
    let again = again.expect("the parts of a proof make a proof");
    assert_eq!(again.checkpoints(), evidence.checkpoints());
});

//! Admission with real keys of every algorithm, and everything that it must refuse.

mod dsse;
mod hashedrekord;
mod keys;

use log_core::entry::Entry;
use log_proto::rekor::v2::CreateEntryRequest;

use super::{AdmitRules, Admitted, Reason, Refusal, create_entry};

const BOTH_KINDS: AdmitRules = AdmitRules { dsse: true };
const MESSAGE: &[u8] = b"the artefact";

/// Admits, and reads the leaf back: what is admitted must be a canonical entry.
#[track_caller]
fn admitted(request: &CreateEntryRequest) -> Entry {
    let Admitted { leaf, kind, version } =
        create_entry(request, &BOTH_KINDS).expect("must be admitted");
    let entry = Entry::parse(leaf.as_bytes()).expect("a canonical leaf");
    assert_eq!((entry.kind(), entry.api_version()), (kind, version));
    entry
}

#[track_caller]
fn refusal(request: &CreateEntryRequest) -> Refusal {
    create_entry(request, &BOTH_KINDS).expect_err("must be refused")
}

#[test]
fn a_request_without_an_entry_is_told_which_kinds_there_are() {
    let empty = CreateEntryRequest::default();
    let both = refusal(&empty).to_string();
    assert_eq!(both, "invalid type, must be either hashedrekord or dsse");
    let one = create_entry(&empty, &AdmitRules { dsse: false }).unwrap_err().to_string();
    assert_eq!(one, "invalid type, must be hashedrekord");
}

#[test]
fn refusals_start_with_the_texts_that_clients_know() {
    let reason = Reason::SignatureInvalid;
    let text = Refusal::InvalidHashedRekord(reason.clone()).to_string();
    assert_eq!(text, "invalid hashedrekord request: signature does not verify");
    let text = Refusal::InvalidDsse(reason).to_string();
    assert_eq!(text, "invalid dsse request: signature does not verify");
}

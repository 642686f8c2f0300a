//! The harness itself: one entry goes through, and the checks see what they should.

use log_tests::{Acknowledged, DataDir, SubmissionMaker, check_log};

#[test]
fn an_entry_goes_in_is_proven_and_survives_a_graceful_stop() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let submission = SubmissionMaker::new().make();
    let answer = server.submit(&submission.json()).expect(201).json();
    let acknowledged = Acknowledged::verify(&answer, dir.default_key());
    assert_eq!(acknowledged.leaf.as_bytes(), submission.leaf().as_bytes());
    let log = check_log(&server.url(), dir.default_key());
    log.assert_holds(acknowledged.index, &acknowledged.leaf);
    log.assert_extends(&acknowledged.head);

    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    dir.assert_sound();
    let server = dir.start();
    let again = check_log(&server.url(), dir.default_key());
    assert_eq!((again.head, again.note), (log.head, log.note));
}

//! A clock that goes wrong under a log: ten days behind or ten years ahead it believes no
//! cosignature, publishes nothing and loses nothing, and goes on once the clock is right again.
//!
//! The clock is faked by libfaketime. Without it these tests are skipped and say so.

use log_tests::{FakeClock, Request, ServerProcess};

use crate::cosign_scene::{
    LOG, assert_quorum, metric, row, wait_for, wait_for_state, wait_for_witness,
    wait_until_published, witness_row,
};
use crate::cosign_trio::{NAMES, Trio};

const WRONG: [&str; 3] = ["-10d", "+3650d", "+6m"];

fn start(trio: &Trio, clock: &FakeClock) -> ServerProcess {
    let mut command = trio.dir.command("serve");
    clock.give(&mut command);
    ServerProcess::spawn(&mut command).unwrap_or_else(|ended| panic!("{ended:?}"))
}

#[test]
fn a_wrong_clock_at_the_start_keeps_the_question_open() {
    let Some(clock) = FakeClock::new() else { return };
    let mut trio = Trio::grown(3);
    for wrong in WRONG {
        clock.set(wrong);
        let server = start(&trio, &clock);
        for name in NAMES {
            let down = wait_for_witness(&server, LOG, name, "down");
            let reason = down["reason"].as_str().expect("a reason");
            assert!(reason.contains("without a line that counts"), "{wrong}: {reason}");
            let labels = format!("log=\"{LOG}\",witness=\"{name}\",reason=\"time\"");
            let refused = format!("cairn_witness_refused_lines_total{{{labels}}}");
            assert!(metric(&server, &refused).is_some_and(|count| count >= 1.0), "{wrong}");
        }
        assert_eq!(row(&server, LOG)["state"], "asking", "{wrong}");
        server.submit(&trio.maker.make().json()).expect(503);
        assert_eq!(trio.assert_kept(&server).leaves.len(), 3);
        // Nobody has to start it again.
        clock.set("+0");
        wait_until_published(&server, LOG);
        assert_eq!(trio.assert_kept(&server).leaves.len(), 3);
        assert!(server.terminate().status.success());
    }
    // A minute is nothing: honest clocks differ by less.
    clock.set("-60s");
    let server = start(&trio, &clock);
    wait_until_published(&server, LOG);
    assert_quorum(&trio.policy(), &trio.submit(&server).note);
    trio.assert_kept(&server);
}

#[test]
fn a_clock_that_is_moved_while_the_log_runs_stops_publication_and_no_more() {
    let Some(clock) = FakeClock::new() else { return };
    let mut trio = Trio::new();
    let server = start(&trio, &clock);
    wait_until_published(&server, LOG);
    let mut size = 0;
    for wrong in WRONG {
        assert_eq!(trio.submit(&server).index.get(), size);
        clock.set(wrong);
        // It gets into the tree, and is acknowledged when it is published.
        let waits = trio.maker.make();
        let mut connection = server.connect();
        let request = Request::post("/api/v2/log/entries", waits.json());
        connection.write(&request.to_bytes()).expect("written");
        let shown = wait_for_state(&server, LOG, "no-quorum");
        assert_eq!(shown["size"], size + 1, "{wrong}");
        trio.assert_kept(&server);
        clock.set("+0");
        wait_for(&server, LOG, "published", |row| {
            row["state"] == "open" && row["size"] == size + 2
        });
        let key = trio.dir.default_key();
        let said = crate::cosign_scene::submit_until_taken(&server, &waits, key);
        assert_eq!(said.index.get(), size + 1, "{wrong}: found once");
        trio.record.acknowledge(&said);
        size += 2;
    }
    trio.assert_kept(&server);
    let shown = row(&server, LOG);
    assert!(NAMES.iter().all(|name| witness_row(&shown, name)["state"] != "alarm"), "{shown:#}");
    assert!(server.terminate().status.success());
    let server = trio.start();
    assert_eq!(trio.assert_kept(&server).leaves.len() as u64, size);
}

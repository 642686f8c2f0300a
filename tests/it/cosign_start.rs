//! The question at the start: who must answer it, whose answer counts, and what an operator may
//! change about it for one start. It never fails open.

use std::fs;

use log_tests::hostile_witness::Reply;
use log_tests::{HostileWitness, ServerProcess, check_log};
use serde_json::Value;

use crate::cosign_scene::{
    LOG, assert_quorum, cosigners, metric, origin_of, quorum_of, row, submit_until_taken,
    wait_for_state, wait_for_witness, wait_until_published, witness_row,
};
use crate::cosign_trio::{NAMES, Trio};

/// A log that has published three entries, and is stopped.
fn three_entries() -> Trio {
    Trio::grown(3)
}

impl Trio {
    /// The log asks: it shows what it had published, and takes nothing.
    #[track_caller]
    fn assert_asks(&mut self, server: &ServerProcess) -> Value {
        let row = row(server, LOG);
        assert_eq!((&row["state"], &row["size"]), (&"asking".into(), &3.into()), "{row:#}");
        let refused = server.submit(&self.maker.make().json()).expect(503);
        assert!(refused.text().contains("asks its witnesses"), "{}", refused.text());
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(self.assert_kept(server).leaves.len(), 3);
        assert_eq!(server.get("/readyz").status, 503);
        row
    }

    /// The log is open and has all that it ever said.
    #[track_caller]
    fn assert_goes_on(&mut self, server: &ServerProcess) {
        wait_until_published(server, LOG);
        self.submit(server);
        self.assert_kept(server);
    }
}

#[test]
fn a_network_that_comes_up_late_is_waited_for() {
    let mut trio = three_entries();
    trio.close_all();
    let server = trio.dir.start();
    for name in NAMES {
        wait_for_witness(&server, LOG, name, "down");
    }
    trio.assert_asks(&server);
    let note = server.get("/checkpoint").expect(200).text().to_owned();
    assert_quorum(&trio.policy(), &note);
    // One is not enough: the other two could have cosigned more than this store has.
    trio.witnesses[1].is_honest();
    wait_for_witness(&server, LOG, "b", "ok");
    let row = trio.assert_asks(&server);
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains("a down") && reason.contains("c down"), "{reason}");
    assert!(!reason.contains("b down"), "{reason}");
    trio.witnesses[2].is_honest();
    trio.assert_goes_on(&server);
    assert_quorum(&trio.policy(), server.get("/checkpoint").text());
}

#[test]
fn a_stop_ends_the_question_and_the_next_start_asks_again() {
    let mut trio = three_entries();
    trio.close_all();
    for _ in 0..2 {
        let server = trio.dir.start();
        trio.assert_asks(&server);
        assert!(server.terminate().status.success());
    }
    (0..3).for_each(|witness| trio.witnesses[witness].plays(|_| Reply::Hang));
    let server = trio.dir.start();
    trio.assert_asks(&server);
    assert!(server.terminate().status.success());
    trio.dir.assert_sound();
}

#[test]
fn a_witness_that_lost_its_state_is_no_answer() {
    let mut trio = three_entries();
    // The same keys, and no memory.
    let empty = ["a.example", "b.example", "c.example"].map(HostileWitness::start);
    let [a, _, _] = &empty;
    let [_, b, c] = &trio.witnesses;
    let rows = [("a", a), ("b", b), ("c", c)].map(|(name, one)| (name, one.key(), one.url()));
    trio.dir.set_policy(LOG, &quorum_of(2, &rows));
    trio.close(1);
    let server = trio.dir.start();
    let row = wait_for_witness(&server, LOG, "a", "down");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains("lost state"), "{reason}");
    wait_for_witness(&server, LOG, "c", "ok");
    trio.assert_asks(&server);
    trio.witnesses[1].is_honest();
    trio.assert_goes_on(&server);
    // It is told the whole history, and is a witness again.
    wait_for_witness(&server, LOG, "a", "ok");
    assert!(server.terminate().status.success());

    // If all of them are empty nobody remembers, and that is no reason to go on.
    let empty = ["a.example", "b.example", "c.example"].map(HostileWitness::start);
    trio.set_policy(2, NAMES, &empty);
    let server = trio.dir.start();
    for name in NAMES {
        wait_for_witness(&server, LOG, name, "down");
    }
    assert_eq!(row_state(&server), "asking");
    assert!(server.terminate().status.success());
    let server = trio.start_with(&["--unchecked-start", LOG]);
    trio.assert_goes_on(&server);
}

fn row_state(server: &ServerProcess) -> String {
    row(server, LOG)["state"].as_str().expect("a state").to_owned()
}

#[test]
fn the_stored_policy_is_asked_when_the_configured_one_has_other_witnesses() {
    let mut trio = three_entries();
    let others = ["x.example", "y.example", "z.example"].map(HostileWitness::start);
    trio.set_policy(2, ["x", "y", "z"], &others);
    trio.close_all();
    let server = trio.dir.start();
    for name in NAMES {
        wait_for_witness(&server, LOG, name, "down");
    }
    trio.assert_asks(&server);
    trio.witnesses[0].is_honest();
    trio.witnesses[2].is_honest();
    trio.assert_goes_on(&server);
    let note = server.get("/checkpoint").expect(200).text().to_owned();
    assert_quorum(&trio.policy(), &note);
    assert!(server.terminate().status.success());

    // It has published under the new policy: the old witnesses have no say any more.
    trio.close_all();
    let asked = trio.witnesses.each_ref().map(HostileWitness::asked);
    let server = trio.dir.start();
    trio.assert_goes_on(&server);
    assert_eq!(trio.witnesses.each_ref().map(HostileWitness::asked), asked);
}

#[test]
fn the_stored_policy_is_asked_when_the_configured_one_is_none() {
    for none in [true, false] {
        let mut trio = three_entries();
        let policy = trio.policy();
        if none {
            trio.dir.set_policy(LOG, "quorum none\n");
        } else {
            let config = fs::read_to_string(trio.dir.config()).expect("cairn.toml");
            let without = config.replace("\nwitness_policy = ", "\n# witness_policy = ");
            fs::write(trio.dir.config(), without).expect("cairn.toml");
        }
        trio.close_all();
        let server = trio.dir.start();
        for name in NAMES {
            wait_for_witness(&server, LOG, name, "down");
        }
        trio.assert_asks(&server);
        trio.witnesses[0].is_honest();
        trio.witnesses[1].is_honest();
        trio.assert_goes_on(&server);
        let note = server.get("/checkpoint").expect(200).text().to_owned();
        assert!(cosigners(&policy, &note).is_empty(), "{note}");
        assert!(server.terminate().status.success());

        // From here on it is a log without witnesses.
        trio.close_all();
        let server = trio.dir.start();
        trio.assert_goes_on(&server);
        assert!(server.terminate().status.success());

        // And with witnesses again: what was published without them is no secret to them.
        trio.set_policy(2, NAMES, &trio.witnesses);
        trio.witnesses.iter().for_each(HostileWitness::is_honest);
        let server = trio.dir.start();
        trio.assert_goes_on(&server);
        assert_quorum(&trio.policy(), server.get("/checkpoint").text());
    }
}

#[test]
fn a_lying_witness_can_be_left_out_for_one_start() {
    let mut trio = three_entries();
    trio.witnesses[2].plays(|_| Reply::size(1_000_000));
    let server = trio.dir.start();
    let row = wait_for_state(&server, LOG, "shut");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains("witness c names size 1000000, this store has 3"), "{reason}");
    assert!(server.terminate().status.success());

    let asked = trio.witnesses[2].asked();
    let flag = format!("{LOG}/c");
    let server = trio.start_with(&["--exclude-witness", &flag]);
    trio.assert_goes_on(&server);
    assert_eq!(witness_row(&crate::cosign_scene::row(&server, LOG), "c")["state"], "excluded");
    let labels = format!("log=\"{LOG}\",witness=\"c\",setting=\"excluded\"");
    assert_eq!(metric(&server, &format!("cairn_witness_setting{{{labels}}}")), Some(1.0));
    assert_eq!(trio.witnesses[2].asked(), asked, "nobody asks it");
    assert!(server.stderr().contains("left out"), "{}", server.stderr());
    assert!(server.terminate().status.success());

    // The flag was for that start.
    let server = trio.dir.start();
    wait_for_state(&server, LOG, "shut");
    assert!(server.terminate().status.success());
    // Without its answer the others must still answer.
    trio.close(0);
    let server = trio.start_with(&["--exclude-witness", &flag]);
    wait_for_witness(&server, LOG, "a", "down");
    wait_for_witness(&server, LOG, "b", "ok");
    assert_eq!(row_state(&server), "asking");
}

#[test]
fn flags_that_make_no_sense_are_refused_and_change_nothing() {
    let mut trio = three_entries();
    let (a, b) = (format!("{LOG}/a"), format!("{LOG}/b"));
    let unknown = format!("{LOG}/nobody");
    for (flags, says) in [
        (vec!["--unchecked-start", "nothing"], "there is no log \"nothing\""),
        (vec!["--exclude-witness", "nothing/a"], "there is no log \"nothing\""),
        (vec!["--exclude-witness", LOG], "not LOG/NAME"),
        (vec!["--exclude-witness", &unknown], "no witness \"nobody\""),
        (vec!["--exclude-witness", &a, "--exclude-witness", &b], "could be a quorum"),
    ] {
        let ended = trio.refused(&flags);
        assert_eq!(ended.status.code(), Some(2), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{flags:?}: {}", ended.stderr);
    }
    let asked: u64 = trio.witnesses.iter().map(HostileWitness::asked).sum();
    let server = trio.dir.start();
    trio.assert_goes_on(&server);
    assert!(trio.witnesses.iter().map(HostileWitness::asked).sum::<u64>() > asked);
}

#[test]
fn an_unchecked_start_skips_the_question_and_nothing_else() {
    let mut trio = three_entries();
    trio.close_all();
    let server = trio.start_with(&["--unchecked-start", LOG]);
    // The quorum is demanded all the same.
    let submission = trio.maker.make();
    server.submit(&submission.json()).expect(503);
    let row = wait_for_state(&server, LOG, "no-quorum");
    assert!(server.stderr().contains("UNCHECKED START"), "{}", server.stderr());
    assert_eq!(row["witnessing"]["uncheckedStart"], true);
    let setting = format!("cairn_log_setting{{log=\"{LOG}\",setting=\"unchecked_start\"}}");
    assert_eq!(metric(&server, &setting), Some(1.0));
    assert_eq!(check_log(&server.url(), trio.dir.default_key()).leaves.len(), 3);
    trio.witnesses.iter().for_each(HostileWitness::is_honest);
    let said = submit_until_taken(&server, &submission, trio.dir.default_key());
    assert_eq!(said.index.get(), 3);
    assert_quorum(&trio.policy(), &said.note);
    assert!(server.terminate().status.success());
    let server = trio.dir.start();
    wait_until_published(&server, LOG);
    assert_eq!(metric(&server, &setting), Some(0.0));
    let origin = origin_of(trio.dir.default_key());
    let newest = trio.witnesses.each_ref().map(|one| one.newest(&origin));
    assert!(newest.iter().flatten().filter(|head| head.size.get() == 4).count() >= 2, "{newest:?}");
}

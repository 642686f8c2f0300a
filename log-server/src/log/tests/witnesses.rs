//! A log with three witnesses of which two are its quorum: what it publishes, and what it does when
//! they fail. The witnesses are stubs on loopback.

use super::stub::{Mood, Stub};
use super::*;
use crate::log::standing::WitnessState;
use crate::store::faulty::{Operation, Outcome};

/// Longer than anything here takes, shorter than a hung test.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn three(disk: &Disk) -> [Stub; 3] {
    [1, 2, 3].map(|number| Stub::new(number, disk))
}

/// Any two of these.
pub(super) fn two_of(stubs: &[Stub]) -> WitnessSettings {
    let lines: String = stubs.iter().map(Stub::policy_line).collect();
    let names: Vec<_> = stubs.iter().map(|stub| stub.name.as_str()).collect();
    let text = format!("{lines}group q 2 {}\nquorum q\n", names.join(" "));
    WitnessSettings { policy: WitnessPolicy::parse(text.as_bytes()).unwrap(), ..no_witnesses() }
}

impl Disk {
    pub(super) fn start_witnessed(&self, settings: &WitnessSettings) -> Process {
        self.start_with(|parts| parts.settings.witnesses = settings.clone())
    }

    /// The published note carries the lines of so many of these witnesses.
    pub(super) fn assert_cosigned<S: std::borrow::Borrow<Stub>>(
        &self,
        published: &Published,
        stubs: &[S],
        at_least: usize,
    ) {
        self.assert_signed(published);
        let note = log_core::note::SignedNote::parse(published.note().as_bytes()).unwrap();
        let keys: Vec<_> = stubs.iter().map(|stub| stub.borrow().verifier_key()).collect();
        let count = keys
            .iter()
            .filter(|key| log_core::cosignature::Cosignature::find(&note, key).is_some())
            .count();
        assert!(count >= at_least, "{count} cosignatures:\n{}", published.note());
        let own = self.signer().sign("").len();
        assert_eq!(note.signatures().len(), count + own, "lines of nobody:\n{}", published.note());
    }
}

impl Process {
    /// Waits until the log says so.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "not in time: {what}: {:?}", self.statuses());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn until_open(&self) {
        self.until("open", |process| process.log.state() == State::Open).await;
    }

    pub(super) fn statuses(&self) -> Vec<(WitnessState, Option<String>)> {
        let statuses = self.log.witness_status();
        statuses.into_iter().map(|status| (status.state, status.reason)).collect()
    }

    pub(super) fn shown_size(&self) -> Option<u64> {
        self.log.published().map(|published| published.head().size.get())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_log_publishes_its_empty_tree_and_every_entry_through_its_quorum() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let process = disk.start_witnessed(&two_of(&stubs));
    process.until("published", |process| process.shown_size() == Some(0)).await;
    disk.assert_cosigned(&process.published(), &stubs, 2);
    for count in [1, 3, 300, 1] {
        for (text, answer) in process.add_all(texts(&format!("batch of {count}"), count)).await {
            let answer = answer.unwrap();
            disk.assert_holds(&leaf(&text), &answer);
            disk.assert_cosigned(&answer.published, &stubs, 2);
        }
    }
    // The third line joins the note that is on show.
    process
        .until("three lines", |process| process.published().note().lines().count() == 4 + 4)
        .await;
    disk.assert_cosigned(&process.published(), &stubs, 3);
    assert_eq!(process.stop(), Vec::<String>::new());
    disk.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_quorum_a_log_answers_nobody_and_later_finds_what_it_refused() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let process = disk.start_witnessed(&two_of(&stubs));
    process.until_open().await;
    process.add("with all three").await.unwrap();
    stubs[0].is_down();
    process.add("with two").await.unwrap();
    stubs[1].is_down();
    assert_eq!(process.add("with one").await.err(), Some(SubmitError::TimedOut));
    assert_eq!(process.shown_size(), Some(2));
    assert_eq!(process.log.state(), State::NoQuorum);
    assert_eq!(disk.size(), 3, "it is committed, and nobody was told");
    // By now the oldest unpublished commit is too old for anything new.
    assert_eq!(process.add("something new").await.err(), Some(SubmitError::Backlog));
    assert_eq!(process.add("with one").await.err(), Some(SubmitError::TimedOut), "known, it waits");
    assert_eq!(process.add("with two").await.unwrap().index, LeafIndex::new(1), "on show already");

    stubs[1].is(Mood::Honest);
    process.until("published", |process| process.shown_size() == Some(3)).await;
    let answer = process.add("with one").await.unwrap();
    assert_eq!((answer.index, answer.is_duplicate()), (LeafIndex::new(2), true));
    disk.assert_cosigned(&answer.published, &stubs, 2);
    assert_eq!(process.log.state(), State::Open);
    process.add("something new").await.unwrap();
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_durable_before_it_is_visible() {
    for (outcome, durable) in [(Outcome::NotPersisted, 0), (Outcome::Persisted, 1)] {
        let disk = Disk::new();
        let stubs = three(&disk);
        let process = disk.start_witnessed(&two_of(&stubs));
        let all = |process: &Process| {
            process.statuses().iter().all(|status| status.0 == WitnessState::Ok)
                && process.shown_size() == Some(0)
                && process.published().note().lines().count() == 4 + 4
        };
        process.until("published with all lines", all).await;
        process.store.fail(Operation::PutNote, 1, outcome);
        assert!(process.add("a").await.is_err());
        assert_eq!(process.shown_size(), Some(0));
        let fatals = process.stop();
        assert!(matches!(&*fatals, [one] if one.contains("the store")), "{fatals:?}");

        // The next start shows at once what is durable, and the head after its round.
        stubs.iter().for_each(Stub::is_down);
        let process = disk.start_witnessed(&two_of(&stubs));
        assert_eq!(process.shown_size(), Some(durable), "{outcome:?}");
        stubs.iter().for_each(|stub| stub.is(Mood::Honest));
        process.until("published", |process| process.shown_size() == Some(1)).await;
        process.until_open().await;
        assert!(process.add("a").await.unwrap().is_duplicate());
        assert_eq!(process.stop(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_witness_costs_its_own_vote_and_nothing_else() {
    let size = "Content-Type: text/x.tlog.size\r\n";
    let moods = [
        Mood::Says(500, "", String::new()),
        Mood::Says(302, "Location: http://127.0.0.1:1/\r\n", String::new()),
        Mood::Says(200, "", String::new()),
        Mood::Says(200, "", "x".repeat(10_000_000)),
        Mood::Says(404, "", String::new()),
        Mood::Says(409, size, "0\n".into()),
        Mood::Says(409, size, "-1\n".into()),
        Mood::Says(409, size, "18446744073709551615\n".into()),
        Mood::Says(409, "", "0\n".into()),
        Mood::Says(422, "", String::new()),
        Mood::Hangs(Duration::from_secs(60)),
        Mood::CosignsAnother,
        Mood::CosignsAt(86_400),
        Mood::CosignsAt(-86_400),
        Mood::CosignsAs(1),
        Mood::CosignsAs(9),
    ];
    /// Those that contradict the log: another root, and a size that it never had.
    const ALARMS: [usize; 3] = [7, 8, 9];
    for (round, mood) in moods.into_iter().enumerate() {
        let disk = Disk::new();
        disk.clock_ms.store(1_000_000_000, Ordering::SeqCst);
        let stubs = three(&disk);
        let process = disk.start_witnessed(&two_of(&stubs));
        process.until("published", |process| process.shown_size() == Some(0)).await;
        stubs[2].is(mood);
        for one in 0..3 {
            let answer = process.add(&format!("{one}")).await.unwrap();
            disk.assert_cosigned(&answer.published, &stubs[..2], 2);
        }
        process.until("noticed", |process| process.statuses()[2].0 != WitnessState::Ok).await;
        let raised = process.statuses()[2].0 == WitnessState::Alarm;
        assert_eq!(raised, ALARMS.contains(&round), "{round}: {:?}", process.statuses());
        assert_eq!(process.log.state(), State::Open, "{round}");
        assert_eq!(process.stop(), Vec::<String>::new(), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_comes_back_counts_again() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let process = disk.start_witnessed(&two_of(&stubs));
    process.until_open().await;
    for gone in [0, 1, 2, 0] {
        stubs[gone].is_down();
        for text in texts(&format!("without {gone}"), 3) {
            process.add(&text).await.unwrap();
        }
        stubs[gone].is(Mood::Honest);
        let up = |process: &Process| process.statuses().iter().all(|s| s.0 == WitnessState::Ok);
        process.until("all up", up).await;
    }
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_may_publish_without_its_quorum_only_if_that_is_written_down() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let settings =
        WitnessSettings { on_missing_quorum: OnMissingQuorum::Publish, ..two_of(&stubs) };
    stubs.iter().for_each(Stub::is_down);
    let process = disk.start_witnessed(&settings);
    process.until("asked", |process| process.statuses()[0].0 == WitnessState::Down).await;
    assert_eq!(process.log.state(), State::Asking, "the question is asked all the same");
    assert_eq!(process.add("a").await.err(), Some(SubmitError::Asking));
    assert!(process.log.published().is_none());

    stubs.iter().for_each(|stub| stub.is(Mood::Honest));
    process.until_open().await;
    process.add("with quorum").await.unwrap();
    stubs[1].is_down();
    stubs[2].is(Mood::Hangs(Duration::from_secs(60)));
    let answer = process.add("without").await.unwrap();
    disk.assert_cosigned(&answer.published, &stubs, 1);
    assert_eq!(process.log.state(), State::Degraded);
    stubs[1].is(Mood::Honest);
    process.until_open().await;
    disk.assert_cosigned(&process.published(), &stubs, 2);
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_witness_completes_a_note_that_was_published_without_it_once() {
    let disk = Disk::new();
    let [one, two, three] = three(&disk);
    three.is_down();
    let stubs = [one, two];
    let settings =
        WitnessSettings { on_missing_quorum: OnMissingQuorum::Publish, ..two_of(&stubs) };
    let process = disk.start_witnessed(&settings);
    process.until_open().await;
    process.until("published", |process| process.shown_size() == Some(0)).await;
    stubs[1].is(Mood::Hangs(Duration::from_millis(2000)));
    let answer = process.add("a").await.unwrap();
    disk.assert_cosigned(&answer.published, &stubs, 1);
    assert_eq!(process.log.state(), State::Degraded);
    process.until_open().await;
    disk.assert_cosigned(&process.published(), &stubs, 2);
    // From here on nothing is left to do: no round follows the other.
    let (asked, wrote) = (stubs[0].requests(), process.store.calls(Operation::PutNote));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(process.log.state(), State::Open);
    assert_eq!(stubs[0].requests(), asked);
    assert_eq!(process.store.calls(Operation::PutNote), wrote);
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_never_replaces_a_cosigned_note_by_one_with_less() {
    let disk = Disk::new();
    let [one, two, _] = three(&disk);
    let stubs = [one, two];
    let settings =
        WitnessSettings { on_missing_quorum: OnMissingQuorum::Publish, ..two_of(&stubs) };
    let process = disk.start_witnessed(&settings);
    process.until_open().await;
    process.add("a").await.unwrap();
    assert_eq!(process.stop(), Vec::<String>::new());
    let before = disk.rows.note().unwrap();

    stubs[1].is_down();
    let process = disk.start_witnessed(&settings);
    process.until_open().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    disk.assert_cosigned(&process.published(), &stubs, 2);
    assert_eq!(disk.rows.note().unwrap(), before);
    // What is new is published as the configuration says.
    let answer = process.add("b").await.unwrap();
    disk.assert_cosigned(&answer.published, &stubs, 1);
    assert_eq!(process.log.state(), State::Degraded);
    // While the witness stays away the note is written once, not with every attempt.
    let wrote = process.store.calls(Operation::PutNote);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(process.store.calls(Operation::PutNote), wrote);
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_a_note_nobody_is_asked_and_reads_go_on() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let process = disk.start_witnessed(&two_of(&stubs));
    process.until_open().await;
    process.add("a").await.unwrap();
    assert_eq!(process.stop(), Vec::<String>::new());

    // The file system of a path that is not there has no room.
    let path = disk.dir.path().join("room");
    let process = disk.start_with(|parts| {
        parts.settings.witnesses = two_of(&stubs);
        parts.space = Space::new(&path, 0);
    });
    process.until("no room", |process| process.log.lacks_space()).await;
    assert_eq!(process.log.state(), State::NoQuorum);
    let asked = stubs[0].requests();
    assert_eq!(process.add("b").await.err(), Some(SubmitError::Answer(AnswerError::NoSpace)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stubs[0].requests(), asked);
    assert_eq!(process.store.calls(Operation::PutNote), 0);
    assert_eq!(process.shown_size(), Some(1), "reads go on");

    std::fs::create_dir(&path).unwrap();
    process.until_open().await;
    process.add("b").await.unwrap();
    assert_eq!(process.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_witnesses_that_hang() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let hang = || stubs.iter().for_each(|stub| stub.is(Mood::Hangs(Duration::from_secs(60))));
    hang();
    let asking = disk.start_witnessed(&two_of(&stubs));
    asking.until("asked", |_| stubs.iter().all(|stub| stub.requests() == 1)).await;
    let began = std::time::Instant::now();
    assert_eq!(asking.stop(), Vec::<String>::new());
    assert!(began.elapsed() < PATIENCE, "while asking");

    stubs.iter().for_each(|stub| stub.is(Mood::Honest));
    let open = disk.start_witnessed(&two_of(&stubs));
    open.until_open().await;
    open.add("before").await.unwrap();
    hang();
    let log = Arc::clone(&open.log);
    let waiting = tokio::spawn(async move { log.submit(leaf("hangs")).await.err() });
    open.until("committed", |_| disk.size() == 2).await;
    let began = std::time::Instant::now();
    assert_eq!(open.stop(), Vec::<String>::new());
    assert!(began.elapsed() < PATIENCE, "within a round");
    assert_eq!(waiting.await.unwrap(), Some(SubmitError::Answer(AnswerError::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_behind_one_address_are_asked_once_and_count_by_their_keys() {
    let disk = Disk::new();
    let stubs = three(&disk);
    // The second witness is said to live where the first one does, which does not have its key.
    let line = stubs[1].policy_line().replace(&stubs[1].address(), &stubs[0].address());
    let text = format!(
        "{}{line}{}group q 2 w1 w2 w3\nquorum q\n",
        stubs[0].policy_line(),
        stubs[2].policy_line()
    );
    let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
    let process = disk.start_witnessed(&WitnessSettings { policy, ..no_witnesses() });
    process.until_open().await;
    let answer = process.add("a").await.unwrap();
    disk.assert_cosigned(&answer.published, &[&stubs[0], &stubs[2]], 2);
    // An idle log asks for the key that keeps silent, but less and less: not as fast as it may.
    let asked = stubs[0].requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let more = stubs[0].requests() - asked;
    assert!(more <= 6, "{more} requests in two idle seconds");
    stubs[2].is_down();
    let asked = stubs[0].requests();
    assert_eq!(process.add("b").await.err(), Some(SubmitError::TimedOut), "one voice is one vote");
    let more = stubs[0].requests() - asked;
    assert!(more <= 12, "{more} requests for one entry without quorum");
    assert_eq!(stubs[1].requests(), 0);
    assert_eq!(process.stop(), Vec::<String>::new());
}

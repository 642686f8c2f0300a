//! Rounds one by one, without the thread that runs them.

use std::time::Instant;

use log_core::cosignature::Cosignature;
use log_core::integrate::integrate;
use log_core::note::SignedNote;

use super::super::commit::commit;
use super::super::cosigner::{BUSY_ENTRIES_MIN, BUSY_SPACING, Cosigner, REFRESH_INTERVAL};
use super::super::panel::Health;
use super::super::round::{EndOnPanic, SPARE_PAUSE, SPARE_SPACING};
use super::super::start::Past;
use super::stub::{Mood, Stub};
use super::witnesses::{three, two_of};
use super::*;

/// A cosigner that nobody runs yet.
fn cosigner(disk: &Disk, settings: &WitnessSettings) -> Cosigner {
    let parts = disk.parts(disk.faulty(), settings.clone());
    let past = Past::load(&parts).unwrap();
    let mailbox = Arc::new(Mailbox::new(parts.recovered.clone(), None));
    let shared = Arc::new(Shared {
        name: "tested".into(),
        origin: parts.settings.origin.clone(),
        store: Arc::clone(&parts.store),
        pool: Pool::new(1),
        published: ArcSwapOption::empty(),
        gate: ArcSwap::from_pointee(Gate::Open),
        mailbox: Some(Arc::clone(&mailbox)),
        standing: Standing::default(),
        tiles: TileCache::new(16),
        space: parts.space,
        metrics: Metrics::new().of_log("tested"),
        surroundings: disk.surroundings(Arc::default()),
        time: None,
    });
    let (signer, evidence) = (parts.signer, parts.evidence);
    past.cosigner(shared, mailbox, signer, settings.clone(), evidence).unwrap().0
}

/// Commits an entry as the sequencer does.
fn commit_one(cosigner: &Cosigner, text: &str) {
    let (leaf, before) = (leaf(text), cosigner.mailbox.newest());
    let identity = leaf.hash();
    let (waiting, _ticket) = Waiting::new(leaf.into(), identity);
    let integrated = integrate(&before.edge, &[identity]);
    let store = cosigner.shared.store.as_ref();
    let committed = commit(store, &before.head, &[&waiting], integrated, untimed()).unwrap();
    let nobody = std::iter::empty();
    cosigner.mailbox.deliver(Some(committed), nobody, &cosigner.shared.published);
}

/// The times of the cosignatures on the published note.
fn times(cosigner: &Cosigner, stubs: &[Stub]) -> Vec<Option<u64>> {
    let published = cosigner.shared.published.load_full().unwrap();
    let note = SignedNote::parse(published.note().as_bytes()).unwrap();
    let time = |stub: &Stub| Cosignature::find(&note, &stub.verifier_key()).map(|c| c.time_s());
    stubs.iter().map(time).collect()
}

#[tokio::test]
async fn an_idle_log_refreshes_its_cosignatures_and_keeps_those_it_has() {
    let disk = Disk::new();
    let stubs = three(&disk);
    disk.clock_ms.store(10_000_000, Ordering::SeqCst);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    stubs[2].is_down();
    cosigner.round().await.unwrap();
    assert_eq!(times(&cosigner, &stubs), [Some(10_000), Some(10_000), None]);
    // The third one's answer may have come after the quorum.
    while cosigner.panel.endpoints.iter().any(|endpoint| endpoint.busy) {
        let heard = cosigner.ears.recv().await.unwrap();
        cosigner.hear(heard).unwrap();
    }
    let now = Instant::now();
    assert!(!cosigner.wants_round(now), "there is nothing to publish");
    assert!(cosigner.wants_round(now + REFRESH_INTERVAL));

    disk.clock_ms.store(10_600_000, Ordering::SeqCst);
    stubs[2].is(Mood::Honest);
    stubs[0].is_down();
    tokio::time::sleep(Duration::from_millis(150)).await;
    cosigner.round().await.unwrap();
    assert_eq!(times(&cosigner, &stubs), [Some(10_000), Some(10_600), Some(10_600)]);
    assert!(!cosigner.wants_round(Instant::now()));
}

#[tokio::test]
async fn a_slow_witness_is_not_asked_twice_and_its_late_line_counts() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    stubs[0].is(Mood::Hangs(Duration::from_secs(60)));
    stubs[1].is(Mood::Hangs(Duration::from_millis(1800)));
    let began = Instant::now();
    cosigner.round().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1800), "a round has its time");
    assert!(cosigner.shared.published.load().is_none());
    assert!(!cosigner.wants_round(Instant::now()), "both are still being asked");
    // The record knows what the third one cosigned; nothing was published.
    let record = String::from_utf8(disk.rows.note().unwrap().unwrap()).unwrap();
    assert!(record.contains("witness 0 ") && record.ends_with("note 0\n"), "{record}");

    let heard = cosigner.ears.recv().await.unwrap();
    let (about, lines) = cosigner.hear(heard).unwrap();
    assert_eq!(lines.len(), 1);
    cosigner.join_late(&about, lines);
    assert!(cosigner.wants_round(Instant::now()), "two lines are there");
    let requests: usize = stubs.iter().skip(1).map(Stub::requests).sum();
    cosigner.round().await.unwrap();
    let after: usize = stubs.iter().skip(1).map(Stub::requests).sum();
    assert_eq!((requests, after), (2, 2), "nobody was asked again");
    assert_eq!(times(&cosigner, &stubs).iter().flatten().count(), 2);
}

#[tokio::test]
async fn a_round_waits_for_a_witness_that_is_busy_with_an_older_head() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let settings =
        WitnessSettings { on_missing_quorum: OnMissingQuorum::Publish, ..two_of(&stubs) };
    let mut cosigner = cosigner(&disk, &settings);
    stubs[2].is(Mood::Hangs(Duration::from_millis(500)));
    cosigner.round().await.unwrap();
    assert!(cosigner.panel.endpoints[2].busy);
    // A newer head, and one of the two that were fast is gone.
    stubs[1].is_down();
    commit_one(&cosigner, "a");
    cosigner.round().await.unwrap();
    assert_eq!(times(&cosigner, &stubs).iter().flatten().count(), 2, "its line was waited for");
    assert_eq!(cosigner.shared.published.load().as_ref().unwrap().head().size.get(), 1);
}

#[tokio::test]
async fn what_was_heard_since_the_last_write_is_saved_by_a_stop_and_not_after_a_fault() {
    for abandoned in [false, true] {
        let disk = Disk::new();
        let stubs = three(&disk);
        let mut cosigner = cosigner(&disk, &two_of(&stubs));
        stubs[2].is(Mood::Hangs(Duration::from_millis(300)));
        cosigner.round().await.unwrap();
        let heard = cosigner.ears.recv().await.unwrap();
        let (about, lines) = cosigner.hear(heard).unwrap();
        cosigner.join_late(&about, lines);
        if abandoned {
            cosigner.mailbox.abandon();
        }
        cosigner.mailbox.close();
        cosigner.last_round(Instant::now()).await.unwrap();
        let record = String::from_utf8(disk.rows.note().unwrap().unwrap()).unwrap();
        let third = stubs[2].verifier_key();
        assert_eq!(record.contains(&format!("witness 0 {third}")), !abandoned, "{record}");
        assert_eq!(times(&cosigner, &stubs)[2].is_some(), !abandoned);
    }
}

#[tokio::test]
async fn the_time_of_a_cosignature_never_goes_back() {
    let disk = Disk::new();
    let stubs = three(&disk);
    disk.clock_ms.store(10_000_000, Ordering::SeqCst);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    stubs[2].is_down();
    cosigner.round().await.unwrap();
    assert_eq!(times(&cosigner, &stubs), [Some(10_000), Some(10_000), None]);
    // Near enough to count, but before the line that is on show.
    stubs[0].is(Mood::CosignsAt(200));
    stubs[1].is(Mood::CosignsAt(-10));
    cosigner.round().await.unwrap();
    assert_eq!(times(&cosigner, &stubs), [Some(10_000), Some(10_010), None]);
}

#[tokio::test]
async fn a_panic_while_a_witness_is_asked_ends_the_log() {
    let disk = Disk::new();
    let fatals = Arc::<Mutex<Vec<String>>>::default();
    let mut cosigner = cosigner(&disk, &two_of(&three(&disk)));
    let shared = Arc::get_mut(&mut cosigner.shared);
    assert!(shared.is_some(), "nobody else has it yet");
    shared.unwrap().surroundings = disk.surroundings(Arc::clone(&fatals));
    let shared = Arc::clone(&cosigner.shared);
    let asked = tokio::spawn(async move {
        let _watch = EndOnPanic(shared);
        tokio::task::yield_now().await;
        panic!("a test says so");
    });
    assert!(asked.await.is_err());
    assert!(matches!(&**fatals.lock().unwrap(), [one] if one.contains("panicked")));
    assert!(cosigner.mailbox.is_abandoned());
}

#[tokio::test]
async fn budgets_pace_the_rounds() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut settings = two_of(&stubs);
    for stub in &stubs {
        settings.per_day.insert(stub.name.clone(), 86_400 * 2);
    }
    let mut cosigner = cosigner(&disk, &settings);
    cosigner.round().await.unwrap();
    let due = Instant::now() + REFRESH_INTERVAL;
    assert!(cosigner.wants_round(due));
    cosigner.pace(due, TreeSize::new(0));
    assert!(!cosigner.wants_round(due + Duration::from_millis(499)));
    assert!(cosigner.wants_round(due + Duration::from_millis(500)));
}

#[tokio::test]
async fn a_busy_log_gathers_entries_for_its_next_round_and_others_do_not_wait() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    cosigner.round().await.unwrap();
    let due = Instant::now() + REFRESH_INTERVAL;
    cosigner.pace(due, TreeSize::new(BUSY_ENTRIES_MIN - 1));
    assert!(cosigner.wants_round(due) && !cosigner.gathers(due));
    cosigner.pace(due, TreeSize::new(BUSY_ENTRIES_MIN));
    assert!(cosigner.gathers(due) && !cosigner.gathers(due + BUSY_SPACING));
    // The log may stop meanwhile: whoever waits for an answer gets it in the last round.
    assert!(cosigner.wants_round(due));
}

#[tokio::test]
async fn the_quorum_does_without_the_slowest_who_is_sure_and_has_no_budget() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut settings = two_of(&stubs);
    // Later than anything that is due at once.
    let now = Instant::now() + Duration::from_secs(60);
    let spares = |cosigner: &Cosigner, settings: &WitnessSettings| {
        cosigner.panel.spares(&settings.policy, now)
    };
    let mut one = cosigner(&disk, &settings);
    assert_eq!(spares(&one, &settings), [0_usize; 0], "of nobody anything is known");
    for (endpoint, ms) in one.panel.endpoints.iter_mut().zip([2, 3, 1]) {
        endpoint.is_up();
        (endpoint.asked_at, endpoint.took) = (now, Duration::from_millis(ms));
    }
    assert_eq!(spares(&one, &settings), [1]);
    let later = now + SPARE_SPACING;
    assert_eq!(one.panel.spares(&settings.policy, later), [0_usize; 0], "the log is not busy");
    one.panel.endpoints[0].is_down(now, "it failed".into());
    assert_eq!(spares(&one, &settings), [0_usize; 0], "both others are needed");
    one.panel.endpoints[0].is_up();
    one.panel.endpoints[2].busy = true;
    assert_eq!(spares(&one, &settings), [0_usize; 0]);

    settings.per_day.insert(stubs[1].name.clone(), 86_400);
    let mut two = cosigner(&disk, &settings);
    for (endpoint, ms) in two.panel.endpoints.iter_mut().zip([2, 3, 1]) {
        endpoint.is_up();
        (endpoint.asked_at, endpoint.took) = (now, Duration::from_millis(ms));
    }
    assert_eq!(spares(&two, &settings), [0], "what a budget allows is for rounds");
}

#[tokio::test]
async fn who_was_done_without_is_asked_in_a_pause() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    cosigner.round().await.unwrap();
    hear_all(&mut cosigner).await;
    let lacks_one = |cosigner: &mut Cosigner| {
        let key = stubs[0].verifier_key();
        cosigner.newest.as_mut().unwrap().lines.retain(|line| *line.key() != key);
        stubs[0].requests()
    };
    let is_asked = |cosigner: &mut Cosigner, now| {
        cosigner.ask_stragglers(now);
        cosigner.panel.endpoints[0].busy
    };
    let before = lacks_one(&mut cosigner);
    let (since, pause) = (cosigner.idle_since, Duration::from_millis(1));
    assert!(!is_asked(&mut cosigner, since + SPARE_PAUSE - pause));
    assert!(is_asked(&mut cosigner, since + SPARE_PAUSE));
    hear_all(&mut cosigner).await;
    assert_eq!(stubs[0].requests(), before + 1);

    // A newer head waits for its round already: there is no pause.
    lacks_one(&mut cosigner);
    commit_one(&cosigner, "a");
    assert!(!is_asked(&mut cosigner, since + Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_round_that_lacks_a_line_asks_everybody() {
    let disk = Disk::new();
    let stubs = three(&disk);
    let mut cosigner = cosigner(&disk, &two_of(&stubs));
    cosigner.round().await.unwrap();
    cosigner.ask_stragglers(Instant::now() + SPARE_PAUSE);
    hear_all(&mut cosigner).await;
    // One that fails, and one that says nothing for longer than a round lasts.
    for mood in [Mood::Says(500, "", String::new()), Mood::Hangs(Duration::from_secs(2))] {
        cosigner.panel.endpoints[2].took = Duration::from_secs(1);
        stubs[1].is(mood);
        commit_one(&cosigner, &format!("entry {}", disk.size()));
        let began = Instant::now();
        cosigner.round().await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(1500), "it waited for the other one");
        let published = cosigner.shared.published.load().as_ref().unwrap().head().size.get();
        assert_eq!(published, disk.size());
        assert!(times(&cosigner, &stubs)[2].is_some());
        stubs[1].is(Mood::Honest);
        cosigner.panel.endpoints[1].health = Health::Up;
        cosigner.panel.endpoints[1].is_up();
    }
}

/// Takes in the answers of everybody who is being asked.
async fn hear_all(cosigner: &mut Cosigner) {
    while cosigner.panel.endpoints.iter().any(|endpoint| endpoint.busy) {
        let heard = cosigner.ears.recv().await.unwrap();
        let (about, lines) = cosigner.hear(heard).unwrap();
        cosigner.join_late(&about, lines);
    }
}

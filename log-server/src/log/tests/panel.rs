//! Whom a round asks and when, and what may wait for it: with times and sizes made up.

use std::time::Instant;

use log_core::cosignature::CosignerKey;
use log_core::key::KeyName;
use log_core::{Checkpoint, RightEdge};

use super::super::cosign::{CosignedLine, sign_genesis};
use super::super::panel::{Health, Panel, PanelError};
use super::super::witnessed::KnownSizes;
use super::*;

fn key(number: u8) -> CosignerKey {
    let name = KeyName::parse(&format!("witness.example/{number}")).unwrap();
    CosignerKey::ed25519(name, [number; 32])
}

/// Witnesses with these numbers, each with its URL, of which one is enough.
fn settings(witnesses: &[(u8, &str)]) -> WitnessSettings {
    let line = |(number, url): &(u8, &str)| {
        format!("witness w{number} {} {url}\n", key(*number).verifier_key())
    };
    let lines: String = witnesses.iter().map(line).collect();
    let names: Vec<_> = witnesses.iter().map(|(number, _)| format!("w{number}")).collect();
    let text = format!("{lines}group q any {}\nquorum q\n", names.join(" "));
    WitnessSettings { policy: WitnessPolicy::parse(text.as_bytes()).unwrap(), ..no_witnesses() }
}

fn panel(settings: &WitnessSettings, stored: &WitnessPolicy, sizes: KnownSizes) -> Panel {
    let metrics = Metrics::new().of_log("tested");
    Panel::new(settings, stored, sizes, &metrics).unwrap()
}

/// A verified line of this witness over the empty tree.
fn line(disk: &Disk, number: u8) -> CosignedLine {
    let origin = Origin::parse(ORIGIN).unwrap();
    let signed = sign_genesis(&origin, &disk.signer());
    let checkpoint = Checkpoint { origin, head: TreeHead::EMPTY, extensions: Vec::new() };
    let line = key(number).cosign(&checkpoint, 5).unwrap();
    signed.verify_line(key(number).verifier_key(), &line, 6).unwrap()
}

#[test]
fn a_witness_that_fails_is_asked_less_and_less_until_it_is_up_again() {
    let settings = settings(&[(1, "http://a.example"), (2, "http://b.example")]);
    let mut panel = panel(&settings, &WitnessPolicy::none(), KnownSizes::new());
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(panel.free(now).contains(&0));
        panel.endpoints[0].busy = true;
        assert_eq!(panel.free(now), [1], "one request at a time");
        panel.endpoints[0].asked(now, 1);
        panel.endpoints[0].is_down(now, "gone".into());
        assert!(!panel.can_answer(key(1).verifier_key(), now));
        let due = (1..=4000).map(Duration::from_millis).find(|ms| panel.free(now + *ms).len() == 2);
        pauses.push(due.unwrap().as_millis());
        now += due.unwrap();
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    assert!(panel.endpoints[0].is_up(), "that is news");
    assert!(!panel.endpoints[0].is_up());
    assert!(panel.endpoints[0].is_down(now, "gone".into()));
    assert!(!panel.endpoints[0].is_down(now, "still gone".into()), "told once");
    assert!(panel.endpoints[0].is_misconfigured(now, "404".into()), "another fault is news");
    panel.endpoints[0].is_up();
    panel.endpoints[0].is_down(now, "gone".into());
    assert!(panel.can_answer(key(1).verifier_key(), now + Duration::from_millis(100)));
}

#[test]
fn an_alarm_lasts_until_the_witness_cosigns_and_costs_a_request_now_and_then() {
    let settings = settings(&[(1, "http://a.example")]);
    let mut panel = panel(&settings, &WitnessPolicy::none(), KnownSizes::new());
    let now = Instant::now();
    panel.endpoints[0].raise_alarm(now, "another root".into());
    assert!(panel.free(now + Duration::from_secs(599)).is_empty());
    let later = now + Duration::from_secs(600);
    assert_eq!(panel.free(later), [0]);
    panel.endpoints[0].is_down(later, "gone".into());
    assert_eq!(panel.endpoints[0].health, Health::Alarm("another root".into()));
    assert!(panel.free(later + Duration::from_secs(599)).is_empty());
    panel.endpoints[0].is_up();
    assert_eq!(panel.endpoints[0].health, Health::Up);
}

#[test]
fn a_budget_counts_every_request_and_is_kept_for_rounds() {
    let mut settings = settings(&[(1, "http://a.example"), (2, "http://b.example")]);
    settings.per_day.insert("w1".into(), 86_400 / 10);
    let mut panel = panel(&settings, &WitnessPolicy::none(), KnownSizes::new());
    let now = Instant::now();
    // The first request taught it the size, the second was cosigned.
    panel.endpoints[0].asked(now, 2);
    assert_eq!(panel.free(now + Duration::from_secs(19)), [1]);
    assert_eq!(panel.next_due(now), Some(now + Duration::from_secs(20)));
    assert_eq!(panel.free(now + Duration::from_secs(20)), [0, 1]);
    assert_eq!(panel.stragglers(&[], now + Duration::from_secs(20)), [1]);
}

#[test]
fn witnesses_behind_one_url_are_one_endpoint_and_those_of_the_past_are_not_in_rounds() {
    let disk = Disk::new();
    let one = settings(&[(1, "http://a.example"), (2, "http://a.example/")]);
    let past = settings(&[(2, "http://moved.example"), (3, "http://c.example")]).policy;
    let known = KnownSizes::from([(key(2).verifier_key().to_string(), TreeSize::new(7))]);
    let mut panel = panel(&one, &past, known);
    assert_eq!((panel.members.len(), panel.endpoints.len()), (3, 2));
    assert_eq!(panel.endpoints[0].latest, TreeSize::new(7), "its proof starts there");
    assert_eq!(panel.free(Instant::now()), [0], "the third is asked the question only");
    assert_eq!(panel.names(0), "w1, w2");
    let missing = |lines: &[CosignedLine]| panel.stragglers(lines, Instant::now());
    assert_eq!(missing(&[line(&disk, 1)]), [0]);
    assert!(missing(&[line(&disk, 1), line(&disk, 2)]).is_empty());

    // A known size never shrinks, whatever is cosigned later.
    assert!(panel.remember(&[line(&disk, 1), line(&disk, 2)], TreeSize::new(5)));
    assert!(!panel.remember(&[line(&disk, 1)], TreeSize::new(4)));
    let sizes: Vec<_> = panel.members.iter().map(|member| panel.size_of(member)).collect();
    assert_eq!(sizes, [Some(TreeSize::new(5)), Some(TreeSize::new(7)), None]);
}

#[test]
fn a_policy_that_cannot_be_asked_is_refused() {
    let metrics = Metrics::new().of_log("tested");
    let refused = |settings: &WitnessSettings| {
        Panel::new(settings, &WitnessPolicy::none(), KnownSizes::new(), &metrics).err().unwrap()
    };
    let many: Vec<_> = (1..=65).map(|number| (number, "http://a.example")).collect();
    assert!(matches!(refused(&settings(&many)), PanelError::TooMany(65)));
    // Those of the past are asked the question only, and have no lines on a note.
    let (now, past) = (settings(&many[..64]), settings(&[(65, "http://a.example")]));
    assert_eq!(panel(&now, &past.policy, KnownSizes::new()).members.len(), 65);
    let text = format!("witness a {}\nquorum a\n", key(1).verifier_key());
    let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
    let no_url = WitnessSettings { policy, ..no_witnesses() };
    assert!(matches!(refused(&no_url), PanelError::Url(..)));
}

#[test]
fn a_backlog_is_full_with_as_many_entries_as_it_may_have() {
    let disk = Disk::new();
    let committed = |size: u64| {
        let tree = TreeHead { size: TreeSize::new(size), ..TreeHead::EMPTY };
        Committed { head: Head { tree, ..disk.head() }, edge: RightEdge::empty() }
    };
    let visible = ArcSwapOption::empty();
    let mailbox = Mailbox::new(committed(0), None);
    let deliver = |size| mailbox.deliver(Some(committed(size)), std::iter::empty(), &visible);
    deliver(4095);
    assert!(!mailbox.is_full());
    deliver(4096);
    assert!(mailbox.is_full());
    assert_eq!(mailbox.backlog().0, 4096);
    let published = |size| {
        let cosigned = Cosigned { tree: committed(size).head.tree, ..cosigned_genesis(&disk) };
        mailbox.published(&Arc::new(Published::from(cosigned)));
    };
    published(1);
    assert!(!mailbox.is_full());
    assert!(mailbox.backlog().1.is_some());
    published(4096);
    assert_eq!(mailbox.backlog(), (0, None));
}

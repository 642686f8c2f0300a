//! What the metrics show of rounds and witnesses.

use std::collections::BTreeMap;

use log_core::cosignature::CosignerKey;
use log_core::key::KeyName;
use log_core::policy::WitnessPolicy;

use super::*;
use crate::metrics::Metrics;

#[track_caller]
fn shows(metrics: &Metrics, line: &str) {
    let text = metrics.render();
    assert!(text.lines().any(|shown| shown == line), "no line {line}:\n{text}");
}

#[test]
fn a_log_shows_how_far_its_publication_lags() {
    let metrics = Metrics::new();
    let log = metrics.of_log("one");
    log.opened(TreeSize::new(3));
    shows(&metrics, "cairn_oldest_unpublished_seconds{log=\"one\"} 0.0");

    log.committed(Duration::from_millis(2), TreeSize::new(10));
    log.unpublished(7, Instant::now().checked_sub(Duration::from_secs(100)));
    log.round(RoundOutcome::NoQuorum, Duration::from_millis(1500));
    shows(&metrics, "cairn_published_size{log=\"one\"} 3");
    shows(&metrics, "cairn_committed_size{log=\"one\"} 10");
    shows(&metrics, "cairn_unpublished_entries{log=\"one\"} 7");
    shows(&metrics, "cairn_rounds_total{log=\"one\",outcome=\"no_quorum\"} 1");
    assert!(metrics.render().contains("cairn_oldest_unpublished_seconds{log=\"one\"} 10"));

    log.published(TreeSize::new(10));
    log.unpublished(0, None);
    log.round(RoundOutcome::Quorum, Duration::from_millis(5));
    shows(&metrics, "cairn_published_size{log=\"one\"} 10");
    shows(&metrics, "cairn_oldest_unpublished_seconds{log=\"one\"} 0.0");
    shows(&metrics, "cairn_rounds_total{log=\"one\",outcome=\"quorum\"} 1");
    shows(&metrics, "cairn_round_seconds_count{log=\"one\"} 2");
    assert!(metrics.render().contains("cairn_since_published_seconds{log=\"one\"} "));
}

#[test]
fn what_weakens_the_witnesses_is_shown() {
    let policy = |name: &str, n: u8| {
        let key = CosignerKey::ed25519(KeyName::parse(name).expect("a name"), [n; 32]);
        format!("witness {name} {} http://127.0.0.1:1\n", key.verifier_key())
    };
    let policy = policy("w1", 1) + &policy("w2", 2) + "quorum w1\n";
    let mut settings = WitnessSettings {
        policy: WitnessPolicy::parse(policy.as_bytes()).expect("a policy"),
        also_ask: Vec::new(),
        allow_slow_quorum: false,
        on_missing_quorum: OnMissingQuorum::Refuse,
        per_day: BTreeMap::new(),
        unchecked_start: false,
        excluded: Vec::new(),
    };
    let names = ["unchecked_start", "publish_without_quorum", "allow_slow_quorum"];
    let metrics = Metrics::new();
    metrics.configured("one", &settings);
    for name in names {
        shows(&metrics, &format!("cairn_log_setting{{log=\"one\",setting=\"{name}\"}} 0"));
    }
    settings.unchecked_start = true;
    settings.allow_slow_quorum = true;
    settings.on_missing_quorum = OnMissingQuorum::Publish;
    settings.also_ask = vec!["w2".into()];
    settings.excluded = vec!["w2".into()];
    settings.per_day = [("w1".into(), 8640)].into();
    metrics.configured("one", &settings);
    for name in names {
        shows(&metrics, &format!("cairn_log_setting{{log=\"one\",setting=\"{name}\"}} 1"));
    }
    for name in ["also_ask", "excluded"] {
        for (witness, on) in [("w1", 0), ("w2", 1)] {
            let labels = format!("log=\"one\",witness=\"{witness}\",setting=\"{name}\"");
            shows(&metrics, &format!("cairn_witness_setting{{{labels}}} {on}"));
        }
    }
    let labels = "log=\"one\",witness=\"w1\"";
    shows(&metrics, &format!("cairn_witness_requests_per_day{{{labels}}} 8640"));
    assert!(!metrics.render().contains("per_day{log=\"one\",witness=\"w2\""));
}

#[test]
fn a_witness_shows_what_it_answers_and_what_is_refused() {
    let metrics = Metrics::new();
    let log = metrics.of_log("one");
    let witness = log.witness("w1");
    witness.known_size(TreeSize::new(8));
    witness.up(true);
    witness.alarm(true);
    witness.answered(&WitnessAnswer::Size(TreeSize::new(9)));
    witness.answered(&WitnessAnswer::Unavailable("no".into()));
    witness.refused_line("wrong_signature");
    let labels = "log=\"one\",witness=\"w1\"";
    shows(&metrics, &format!("cairn_witness_known_size{{{labels}}} 8"));
    shows(&metrics, &format!("cairn_witness_up{{{labels}}} 1"));
    shows(&metrics, &format!("cairn_witness_alarm{{{labels}}} 1"));
    shows(&metrics, &format!("cairn_witness_answers_total{{{labels},answer=\"size\"}} 1"));
    shows(&metrics, &format!("cairn_witness_answers_total{{{labels},answer=\"unavailable\"}} 1"));
    let labels_of = format!("{labels},reason=\"wrong_signature\"");
    shows(&metrics, &format!("cairn_witness_refused_lines_total{{{labels_of}}} 1"));

    let age = || {
        let text = metrics.render();
        let start = format!("cairn_witness_cosignature_age_seconds{{{labels}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned));
        line.expect("an age").parse::<f64>().expect("a number")
    };
    std::thread::sleep(Duration::from_millis(20));
    let before = age();
    assert!(before >= 0.02, "{before}");
    witness.last_cosigned.since(Instant::now().checked_sub(Duration::from_secs(500)));
    assert!(age() >= 500.0);
    witness.cosigned();
    assert!(age() < 400.0);
}

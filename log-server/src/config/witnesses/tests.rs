//! Settings of witnesses that are right, and those that are refused.

use log_core::cosignature::CosignerKey;
use log_core::key::{KeyName, NoteSigner};
use tempfile::TempDir;

use super::*;
use crate::config::Config;

const LOG: &str = "[[log]]\nname = \"a\"\npersonality = \"rekor-v2\"\norigin = \"a.example\"\n\
                   created = \"2026-01-01T00:00:00Z\"\n";

const DAY: Duration = Duration::from_nanos(DAY_NS);

const TWO_OF_THREE: &str = "group q 2 w1 w2 w3\nquorum q\n";

fn cosigner(name: &str, seed: u8) -> VerifierKey {
    CosignerKey::ed25519(KeyName::parse(name).expect("a name"), [seed; 32]).verifier_key().clone()
}

/// Three witnesses, and what follows.
fn three(rest: &str) -> String {
    let lines = (1..=3).map(|n| {
        let key = cosigner(&format!("w{n}.example"), n);
        format!("witness w{n} {key} http://127.0.0.1:810{n}/\n")
    });
    lines.chain([rest.to_owned()]).collect()
}

/// A data directory with a policy.
struct Made(TempDir);

impl Made {
    fn new(policy: &str) -> Self {
        let made = Self(tempfile::tempdir().expect("a directory"));
        std::fs::write(made.0.path().join("policy.txt"), policy).expect("a file");
        made
    }

    /// The settings of a log that uses this policy and has these keys too.
    fn settings(&self, keys: &str) -> Result<WitnessSettings, ConfigError> {
        let text = format!("{LOG}witness_policy = \"policy.txt\"\n{keys}");
        Config::parse(&text).expect("a configuration").logs[0].witnesses(self.0.path())
    }

    #[track_caller]
    fn refused(&self, keys: &str) -> String {
        self.settings(keys).expect_err("must be refused").to_string()
    }

    /// The settings with these flags of `serve`.
    fn started(
        &self,
        unchecked: &[&str],
        excluded: &[&str],
    ) -> Result<WitnessSettings, ConfigError> {
        let owned =
            |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        let text = format!("{LOG}witness_policy = \"policy.txt\"\n");
        let mut config = Config::parse(&text).expect("a configuration");
        config.set_start_flags(&owned(unchecked), &owned(excluded))?;
        config.logs[0].witnesses(self.0.path())
    }
}

#[test]
fn without_a_policy_nobody_must_cosign() {
    let config = Config::parse(LOG).expect("a configuration");
    let settings = config.logs[0].witnesses(Path::new("/nowhere")).expect("settings");
    assert!(settings.policy.is_none());
    assert_eq!(settings.round_interval(), Duration::ZERO);
    assert_eq!(settings.on_missing_quorum, OnMissingQuorum::Refuse);

    for (keys, word) in [
        ("on_missing_quorum = \"publish\"\n", "on_missing_quorum"),
        ("also_ask = [\"w1\"]\n", "also_ask"),
        ("witness_per_day = { w1 = 5 }\n", "witness_per_day"),
    ] {
        let config = Config::parse(&format!("{LOG}{keys}")).expect("a configuration");
        let error = config.logs[0].witnesses(Path::new("/nowhere")).expect_err(keys).to_string();
        assert!(error.contains(word) && error.contains("log a"), "{error}");
    }
}

#[test]
fn the_policy_file_is_beside_the_configuration_or_where_it_says() {
    let made = Made::new(&three(TWO_OF_THREE));
    let relative = made.settings("").expect("settings");
    assert_eq!(relative.policy.witnesses().len(), 3);
    let path = made.0.path().join("policy.txt");
    let text = format!("{LOG}witness_policy = {path:?}\n");
    let config = Config::parse(&text).expect("a configuration");
    let absolute = config.logs[0].witnesses(Path::new("/nowhere")).expect("settings");
    assert_eq!(absolute.policy, relative.policy);
}

#[test]
fn a_policy_that_cannot_be_read_is_named_with_its_line() {
    for (policy, word) in [
        (three("quorum q\n"), "line 4"),
        (three("group q 4 w1 w2 w3\nquorum q\n"), "line 4"),
        (three("group q any w1\n"), "quorum"),
        ("x".repeat(POLICY_BYTES_MAX + 1), "1048576"),
    ] {
        let error = Made::new(&policy).refused("");
        assert!(error.contains("policy.txt") && error.contains(word), "{error}");
    }
    let made = Made::new("quorum none\n");
    std::fs::remove_file(made.0.path().join("policy.txt")).expect("it is there");
    assert!(made.refused("").contains("policy.txt"));
}

#[test]
fn a_note_has_room_for_so_many_witnesses_and_no_more() {
    let witness = |n: u8| {
        let key = cosigner(&format!("w{n}.example"), n);
        format!("witness w{n} {key} http://127.0.0.1:8100/\n")
    };
    let policy = |count| (1..=count).map(witness).chain(["quorum w1\n".into()]).collect::<String>();
    assert!(Made::new(&policy(64)).settings("").is_ok());
    assert!(Made::new(&policy(65)).refused("").contains("65 witnesses are more than 64"));
}

#[test]
fn every_witness_needs_a_usable_url() {
    let key = cosigner("w.example", 9);
    for (url, word) in
        [("", "has no URL"), (" https://me@w.example", "user name"), (" http://", "not a URL")]
    {
        let error = Made::new(&format!("witness w9 {key}{url}\nquorum none\n")).refused("");
        assert!(error.contains(word) && error.contains("w9"), "{error}");
    }
}

#[test]
fn the_quorum_must_not_need_those_that_are_never_waited_for() {
    let made = Made::new(&three(TWO_OF_THREE));
    let settings = made.settings("also_ask = [\"w3\"]\n").expect("settings");
    let waited_for = |name: &str| {
        let mut all = settings.policy.witnesses().iter();
        settings.is_waited_for(all.find(|one| one.name == name).expect("a witness"))
    };
    assert!(waited_for("w1") && waited_for("w2") && !waited_for("w3"));
    assert!(made.refused("also_ask = [\"w2\", \"w3\"]\n").contains("also_ask"));
    assert!(made.refused("also_ask = [\"w4\"]\n").contains("\"w4\""));
}

#[test]
fn rounds_are_as_far_apart_as_the_budgets_of_a_quorum_demand() {
    let made = Made::new(&three(TWO_OF_THREE));
    let interval = |keys: &str| made.settings(keys).map(|settings| settings.round_interval());
    let second = Duration::from_secs(1);
    for (keys, expected) in [
        ("", Duration::ZERO),
        // Two others are a quorum: the slow one is left out of most rounds.
        ("witness_per_day = { w1 = 1 }", Duration::ZERO),
        ("witness_per_day = { w1 = 86400, w2 = 86400 }", second),
        ("witness_per_day = { w1 = 864000, w2 = 172800, w3 = 1 }", second / 2),
        ("also_ask = [\"w3\"]\nwitness_per_day = { w1 = 172800 }", second / 2),
        ("[log.witness_per_day]\nw1 = 172800\n\"w2\" = 172800\n", second / 2),
        ("allow_slow_quorum = true\nwitness_per_day = { w1 = 1, w2 = 8640 }", second * 10),
        ("allow_slow_quorum = true\nwitness_per_day = { w1 = 1, w2 = 1, w3 = 2 }", DAY),
    ] {
        assert_eq!(interval(keys).expect(keys), expected, "{keys}");
    }
    for slow in [
        "witness_per_day = { w1 = 86399, w2 = 86399 }",
        "witness_per_day = { w1 = 1, w2 = 8640 }",
        "also_ask = [\"w3\"]\nwitness_per_day = { w1 = 8640 }",
    ] {
        let error = made.refused(slow);
        assert!(error.contains("allow_slow_quorum") && error.contains("also_ask"), "{error}");
    }
    assert!(made.refused("witness_per_day = { w1 = 0 }").contains("w1"));
    assert!(made.refused("witness_per_day = { w7 = 9 }").contains("\"w7\""));
}

#[test]
fn an_interval_keeps_its_budget() {
    let made = Made::new(&three(TWO_OF_THREE));
    for count in [1, 7, 8640, 86_399, 1_000_000, u32::MAX] {
        let keys = format!("witness_per_day = {{ w1 = {count} }}");
        let settings = made.settings(&keys).expect("settings");
        let interval = settings.interval_of(&settings.policy.witnesses()[0]);
        assert!(interval > Duration::ZERO);
        // As many whole intervals as the budget has requests never end before the day does.
        assert!(interval.saturating_mul(count) >= DAY, "{count}");
    }
}

#[test]
fn flags_of_one_start_name_what_there_is() {
    let made = Made::new(&three(TWO_OF_THREE));
    let settings = made.started(&["a"], &["a/w1"]).expect("settings");
    assert!(settings.unchecked_start);
    assert_eq!(settings.excluded, ["w1"]);
    let settings = made.started(&[], &[]).expect("settings");
    assert!(!settings.unchecked_start && settings.excluded.is_empty());

    for (unchecked, excluded) in [
        (&["b"][..], &[][..]),
        (&["a/w1"], &[]),
        (&[], &["a"]),
        (&[], &["a/"]),
        (&[], &["b/w1"]),
        (&[], &["a/w4"]),
        (&[], &["w1"]),
        // Two of three could have cosigned a head that the third never saw.
        (&[], &["a/w1", "a/w2"]),
    ] {
        let error = made.started(unchecked, excluded).expect_err("must be refused");
        assert!(matches!(error, ConfigError::Flag(_)), "{unchecked:?} {excluded:?}: {error}");
    }
    // The question could be answered, but nothing could be published.
    let both = Made::new(&three("group q all w1 w2\nquorum q\n"));
    let error = both.started(&[], &["a/w1"]).expect_err("must be refused");
    assert!(matches!(error, ConfigError::Flag(_)), "{error}");
    both.started(&[], &["a/w3"]).expect("it is outside the quorum");
    // No file may say what only holds for one start.
    for key in ["unchecked_start = true", "excluded_witnesses = [\"w1\"]"] {
        Config::parse(&format!("{LOG}{key}\n")).expect_err(key);
    }
}

#[test]
fn a_policy_that_names_logs_names_this_one() {
    let key = |name: &str| {
        NoteSigner::ed25519(KeyName::parse(name).expect("a name"), [7; 32]).verifier_key()
    };
    let none = Made::new(&three(TWO_OF_THREE)).settings("").expect("settings");
    none.check_log_key(&key("a.example")).expect("it names no log");
    let policy = format!("log {}\n{}", key("a.example"), three(TWO_OF_THREE));
    let named = Made::new(&policy).settings("").expect("settings");
    named.check_log_key(&key("a.example")).expect("it names this log");
    let error = named.check_log_key(&key("b.example")).expect_err("another name").to_string();
    assert!(error.contains("b.example"), "{error}");
}

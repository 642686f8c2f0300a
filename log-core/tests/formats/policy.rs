//! Witness policies.

use std::sync::LazyLock;

use log_core::key::VerifierKeyError;
use log_core::policy::{POLICY_BYTES_MAX, POLICY_LINES_MAX, PolicyError, PolicyFault};
use log_core::{CosignerKey, KeyName, PolicyWitness, QuorumArithmetic, WitnessPolicy};
use proptest::prelude::*;

use crate::{edits, mutate, signer, text, vectors};

/// Witnesses of the policies made here, each with its own key.
const WITNESSES: usize = 7;

static KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..WITNESSES).map(|index| vkey(&name_of(index), index)).collect());

fn vkey(name: &str, seed: usize) -> String {
    let seed = [u8::try_from(seed).unwrap(); 32];
    CosignerKey::ed25519(KeyName::parse(name).unwrap(), seed).verifier_key().to_string()
}

fn name_of(witness: usize) -> String {
    format!("w{witness}")
}

/// Lines that define the first few witnesses.
fn witness_lines(count: usize) -> String {
    let line = |index| format!("witness {} {}\n", name_of(index), KEYS[index]);
    (0..count).map(line).collect()
}

fn parse(policy: &str) -> WitnessPolicy {
    WitnessPolicy::parse(policy.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{policy}"))
}

fn among(names: &serde_json::Value) -> impl Fn(&PolicyWitness) -> bool {
    let names: Vec<String> =
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    move |witness| names.contains(&witness.name)
}

#[test]
fn the_policies_of_the_vectors_get_their_verdicts() {
    let vectors = &vectors("c2sp.json")["policy"];
    let of = |member: &str| vectors[member].as_array().unwrap().clone();
    assert_eq!((of("valid").len(), of("invalid").len(), of("satisfied").len()), (7, 21, 8));
    for case in of("valid") {
        let policy = parse(text(&case, "policy"));
        let printed = policy.to_string();
        assert_eq!(parse(&printed), policy, "{}", text(&case, "name"));
        assert_eq!(parse(&printed).to_string(), printed);
        assert!(!printed.contains("  ") && !printed.contains('\t') && !printed.contains('#'));
        assert_eq!(policy.is_none(), text(&case, "policy") == "quorum none\n");
    }
    for case in of("invalid") {
        let refused = WitnessPolicy::parse(text(&case, "policy").as_bytes());
        assert!(refused.is_err(), "{}", text(&case, "why"));
    }
    for case in of("satisfied") {
        let holds = parse(text(&case, "policy")).holds(among(&case["cosigned_by"]));
        assert_eq!(holds, case["ok"].as_bool().unwrap(), "{}", case["cosigned_by"]);
    }
}

#[test]
fn the_answers_at_a_start_are_judged_as_in_the_vectors() {
    let vectors = &vectors("c2sp.json")["startup_answers"];
    let policy = parse(text(vectors, "policy"));
    assert_eq!(vectors["cases"].as_array().unwrap().len(), 4);
    for case in vectors["cases"].as_array().unwrap() {
        let enough = policy.enough_answers(among(&case["answered"]));
        assert_eq!(enough, case["enough"].as_bool().unwrap(), "{}", case["answered"]);
    }
    assert!(WitnessPolicy::none().enough_answers(|_| false));
    assert!(WitnessPolicy::none().holds(|_| false));
}

#[test]
fn the_quorum_rows_of_the_vectors_are_computed() {
    let vectors = vectors("c2sp.json");
    let rows = vectors["quorum"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    for row in rows {
        let number = |member: &str| usize::try_from(row[member].as_u64().unwrap()).unwrap();
        let (n, k) = (number("n"), number("k"));
        let members: Vec<_> = (0..n).map(name_of).collect();
        let lines: String = (0..n)
            .map(|index| format!("witness {0} {1}\n", name_of(index), vkey(&name_of(index), index)))
            .collect();
        let policy = parse(&format!("{lines}group g {k} {}\nquorum g\n", members.join(" ")));
        let faults_to_fork = number("witness_faults_needed_for_a_split_view");
        let expected = QuorumArithmetic {
            faults_to_fork,
            failures_to_stop: number("outages_survived") + 1,
            disjoint_quorums: faults_to_fork == 0,
        };
        assert_eq!(policy.quorum_arithmetic(), expected, "{k} of {n}");
    }
}

#[test]
fn a_policy_is_printed_in_one_form() {
    let log = signer("log.example", 1).verifier_key();
    let w = witness_lines(4);
    let policy = parse(&format!(
        "# what follows is out of order, and this is not UTF-8\n\t \n{w}\
         group\t a 1 w0\ngroup b  2 w1 w2 \n group c 1  a b w3\n\
         quorum c\nlog {log} https://log.example/\n",
    ));
    let expected = format!(
        "log {log} https://log.example/\n{w}\
         group a all w0\ngroup b all w1 w2\ngroup c any a b w3\nquorum c\n"
    );
    assert_eq!(policy.to_string(), expected);
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log.example/"));
    assert_eq!(policy.witnesses().len(), 4);
    assert_eq!((&*policy.witnesses()[3].name, &policy.witnesses()[3].url), ("w3", &None));
    assert_eq!(WitnessPolicy::none().to_string(), "quorum none\n");
    assert_eq!(parse("quorum none\n"), WitnessPolicy::none());
}

#[test]
fn comments_need_not_be_utf8_but_names_must() {
    let comment = b"  # caf\xe9 \xff\nquorum none\n";
    assert_eq!(WitnessPolicy::parse(comment), Ok(WitnessPolicy::none()));
    let name = [b"witness caf\xe9 ", KEYS[0].as_bytes(), b"\nquorum none\n"].concat();
    let fault = PolicyFault::NotUtf8;
    assert_eq!(WitnessPolicy::parse(&name), Err(PolicyError::Line { number: 1, fault }));
}

#[test]
fn malformed_policies_name_the_line_and_its_fault() {
    let log = signer("log.example", 1).verifier_key().to_string();
    let w = witness_lines(3);
    let (key, long) = (&KEYS[0], "99999999999999999999");
    let unknown = |name: &str| PolicyFault::UnknownName(name.into());
    let cases = [
        (format!("{w}quorum w0\r\n"), 4, PolicyFault::ForbiddenByte(b'\r')),
        (format!("# \x7f\n{w}quorum w0\n"), 1, PolicyFault::ForbiddenByte(0x7f)),
        (format!("{w}quorum w0\0\n"), 4, PolicyFault::ForbiddenByte(0)),
        (format!("{w}\nQuorum w0\n"), 5, PolicyFault::UnknownKeyword),
        (format!("{w}quorumw0\n"), 4, PolicyFault::UnknownKeyword),
        (format!("{w}quorum\n"), 4, PolicyFault::WrongFieldCount),
        (format!("{w}quorum w0 # w1\n"), 4, PolicyFault::WrongFieldCount),
        (format!("{w}group g\nquorum w0\n"), 4, PolicyFault::WrongFieldCount),
        ("log\n".into(), 1, PolicyFault::WrongFieldCount),
        (format!("log {log} https://a https://b\n"), 1, PolicyFault::WrongFieldCount),
        (format!("log {log} #comment\n"), 1, PolicyFault::BadUrl),
        (format!("log {log} log.example\n"), 1, PolicyFault::BadUrl),
        (format!("witness a {key} # x\n"), 1, PolicyFault::WrongFieldCount),
        (format!("witness a {key} #x\n"), 1, PolicyFault::BadUrl),
        ("witness a b\n".into(), 1, PolicyFault::BadKey(VerifierKeyError::MissingPart)),
        (format!("witness a {log}\n"), 1, PolicyFault::NotAWitnessKey),
        (format!("log {key}\n"), 1, PolicyFault::NotALogKey),
        (format!("log {log}\nlog {log}\n"), 2, PolicyFault::RepeatedKey),
        (format!("{w}witness other {key}\n"), 4, PolicyFault::RepeatedKey),
        (format!("{w}group w1 all w0\n"), 4, PolicyFault::RepeatedName),
        (format!("{w}group none all w0\n"), 4, PolicyFault::RepeatedName),
        (format!("witness none {key}\n"), 1, PolicyFault::RepeatedName),
        (format!("{w}group g all g\n"), 4, unknown("g")),
        (format!("{w}group g all none\n"), 4, unknown("none")),
        (format!("{w}group g all h\ngroup h all g\nquorum g\n"), 4, unknown("h")),
        (format!("quorum w0\n{w}"), 1, unknown("w0")),
        (format!("{w}group g all w0 w0\n"), 4, PolicyFault::RepeatedMember),
        (format!("{w}group g all w0\ngroup h all w0\n"), 5, PolicyFault::RepeatedMember),
        (format!("{w}group g all\n"), 4, PolicyFault::EmptyGroup),
        (format!("{w}group g 1\n"), 4, PolicyFault::EmptyGroup),
        (format!("{w}group g 0 w0\n"), 4, PolicyFault::BadThreshold),
        (format!("{w}group g 2 w0\n"), 4, PolicyFault::BadThreshold),
        (format!("{w}group g 01 w0\n"), 4, PolicyFault::BadThreshold),
        (format!("{w}group g {long} w0\n"), 4, PolicyFault::BadThreshold),
        (format!("{w}group g most w0\n"), 4, PolicyFault::BadThreshold),
        (format!("{w}quorum w0\nquorum w0\n"), 5, PolicyFault::RepeatedQuorum),
        (format!("{w}quorum none\nquorum none\n"), 5, PolicyFault::RepeatedQuorum),
    ];
    for (policy, number, fault) in cases {
        let refused = WitnessPolicy::parse(policy.as_bytes());
        assert_eq!(refused, Err(PolicyError::Line { number, fault }), "{policy:?}");
    }
    let whole = [
        (String::new(), PolicyError::NoQuorum),
        ("\n".into(), PolicyError::NoQuorum),
        (w.clone(), PolicyError::NoQuorum),
        (format!("{w}quorum w0"), PolicyError::Unterminated),
        (format!("{}quorum none\n", "\n".repeat(POLICY_LINES_MAX)), PolicyError::TooManyLines),
        (format!("quorum none\n#{}\n", "x".repeat(POLICY_BYTES_MAX - 13)), PolicyError::TooLong),
    ];
    for (policy, error) in whole {
        assert_eq!(WitnessPolicy::parse(policy.as_bytes()), Err(error));
    }
    let most = "\n".repeat(POLICY_LINES_MAX - 1);
    assert_eq!(parse(&format!("{most}quorum none\n")), WitnessPolicy::none());
    let longest = format!("quorum none\n#{}\n", "x".repeat(POLICY_BYTES_MAX - 14));
    assert_eq!(parse(&longest), WitnessPolicy::none());
}

#[test]
fn the_keys_of_one_witness_in_an_any_group_count_once() {
    let other = |name: &str| vkey(name, 200);
    let arithmetic = |second: String, first_url: &str, threshold: &str| {
        let first = &KEYS[0];
        let policy = parse(&format!(
            "witness a {first}{first_url}\nwitness b {second}\ngroup g {threshold} a b\nquorum g\n"
        ));
        let QuorumArithmetic { faults_to_fork, failures_to_stop, .. } = policy.quorum_arithmetic();
        (faults_to_fork, failures_to_stop)
    };
    let url = " https://w.example/";
    assert_eq!(arithmetic(other("w0"), "", "any"), (1, 1));
    assert_eq!(arithmetic(other("w9") + url, url, "any"), (1, 1));
    // Two witnesses.
    assert_eq!(arithmetic(other("w9"), "", "any"), (0, 2));
    assert_eq!(arithmetic(other("w9") + url, "", "any"), (0, 2));
    assert_eq!(arithmetic(other("w9"), "", "all"), (2, 1));
    // Two signatures that are both needed, of one witness all the same.
    assert_eq!(arithmetic(other("w0"), "", "all"), (1, 1));
    assert_eq!(arithmetic(other("w9") + " https://W.example", url, "all"), (1, 1));
}

#[test]
fn a_witness_that_votes_in_several_places_is_named() {
    let (a2, b2) = (vkey("w0", 200), vkey("elsewhere", 201));
    let start = |urls: [&str; 2]| {
        let [url, other] = urls;
        let b = KEYS[1].as_str();
        format!(
            "witness a {}\nwitness a2 {a2}\nwitness b {b}{url}\nwitness b2 {b2}{other}\n\
             witness c {}\nwitness spare {}\n",
            KEYS[0],
            KEYS[2],
            vkey("w2", 202),
        )
    };
    let same = [" https://b.example/x", " https://B.example/x/"];
    let apart = [" https://b.example/x", " https://b.example/y"];
    let named = |policy: &WitnessPolicy| -> Vec<String> {
        let names = |keys: Vec<&PolicyWitness>| {
            keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        policy.repeated_witnesses().into_iter().map(names).collect()
    };
    for (urls, quorum, expected, numbers) in [
        (same, "group g 3 a a2 c", vec!["a a2"], (2, 1)),
        (same, "group g all a a2 b b2", vec!["a a2", "b b2"], (2, 1)),
        (apart, "group g all a a2 b b2", vec!["a a2"], (3, 1)),
        // The other key of c has no vote, and does not halve the one that has.
        (apart, "group g all a b c", vec![], (3, 1)),
        (apart, "group of-a any a a2\ngroup g all of-a b c", vec![], (3, 1)),
        (same, "group of-a any a a2\ngroup g 2 of-a b c", vec![], (1, 2)),
        (same, "group x all a b\ngroup g all x a2 c", vec!["a a2"], (3, 1)),
    ] {
        let policy = parse(&format!("{}{quorum}\nquorum g\n", start(urls)));
        assert_eq!(named(&policy), expected, "{quorum}");
        let QuorumArithmetic { faults_to_fork, failures_to_stop, .. } = policy.quorum_arithmetic();
        assert_eq!((faults_to_fork, failures_to_stop), numbers, "{quorum}");
    }
    assert_eq!(named(&parse(&format!("{}quorum none\n", start(same)))), Vec::<String>::new());
    assert_eq!(named(&parse(&format!("{}quorum a\n", start(same)))), Vec::<String>::new());
}

#[test]
fn everything_satisfies_quorum_none_and_nothing_stops_it() {
    let none = parse(&format!("{}quorum none\n", witness_lines(2))).quorum_arithmetic();
    assert_eq!((none.faults_to_fork, none.failures_to_stop), (0, usize::MAX));
    assert!(none.disjoint_quorums);
}

#[test]
fn deep_nesting_is_evaluated_without_recursion() {
    let mut policy = witness_lines(1);
    let mut below = "w0".to_owned();
    for depth in 0..POLICY_LINES_MAX - 2 {
        policy.push_str(&format!("group g{depth} any {below}\n"));
        below = format!("g{depth}");
    }
    let policy = parse(&format!("{policy}quorum {below}\n"));
    assert!(policy.holds(|_| true) && !policy.holds(|_| false));
    assert_eq!(policy.quorum_arithmetic().faults_to_fork, 1);
}

/// A quorum as the specification puts it, evaluated by recursion.
#[derive(Debug, Clone)]
enum Model {
    Witness(usize),
    Group(usize, Vec<Self>),
}

impl Model {
    fn holds(&self, set: usize) -> bool {
        match self {
            Self::Witness(index) => set >> index & 1 == 1,
            Self::Group(threshold, members) => {
                members.iter().filter(|member| member.holds(set)).count() >= *threshold
            }
        }
    }
}

/// Groups over all witnesses, the quorum, and what it means. Each step joins the first few of what
/// has no group yet into a group, so that anything can come out, from flat to deeply nested.
fn any_quorum() -> impl Strategy<Value = (String, Model)> {
    let step = (1..=4_usize, any::<prop::sample::Index>());
    prop::collection::vec(step, 1..8).prop_map(|steps| {
        let mut policy = String::new();
        let free = (0..WITNESSES).map(|index| (name_of(index), Model::Witness(index)));
        let mut free: std::collections::VecDeque<_> = free.collect();
        for (number, (count, threshold)) in steps.into_iter().enumerate() {
            let count = count.min(free.len());
            let threshold = threshold.index(count) + 1;
            let (names, models): (Vec<_>, Vec<_>) = free.drain(..count).unzip();
            policy.push_str(&format!("group g{number} {threshold} {}\n", names.join(" ")));
            free.push_back((format!("g{number}"), Model::Group(threshold, models)));
        }
        let (name, model) = free.pop_back().unwrap();
        (format!("{policy}quorum {name}\n"), model)
    })
}

/// A policy over all witnesses, of which each has one key.
fn any_policy() -> impl Strategy<Value = (String, Model)> {
    any_quorum().prop_map(|(quorum, model)| (witness_lines(WITNESSES) + &quorum, model))
}

/// Lines that define one witness for each hand that is given; keys of one hand share their name
/// or their URL.
fn lines_of_hands(hands: &[usize]) -> String {
    let line = |(index, hand): (usize, &usize)| match hand % 2 {
        0 => format!("witness {} {}\n", name_of(index), vkey(&format!("hand{hand}"), index)),
        _ => format!("witness {0} {1} https://hand{hand}/\n", name_of(index), KEYS[index]),
    };
    hands.iter().enumerate().map(line).collect()
}

/// What is true of a quorum, found by trying all sets of keys: the fewest hands that sign both
/// histories with one and the same key, the fewest that sign both with whatever keys, and the
/// fewest whose outage leaves no quorum.
fn truth(model: &Model, hands: &[usize]) -> [usize; 3] {
    let all = (1_usize << hands.len()) - 1;
    let in_hands = |set: usize| -> usize {
        let used = (0..hands.len()).filter(|index| set >> index & 1 == 1);
        used.fold(0, |used_hands, index| used_hands | 1 << hands[index])
    };
    let count = |set: usize| set.count_ones() as usize;
    let quorums: Vec<usize> = (0..=all).filter(|set| model.holds(*set)).collect();
    let pairs = || quorums.iter().flat_map(|a| quorums.iter().map(move |b| (*a, *b)));
    let same_key = pairs().map(|(a, b)| count(in_hands(a & b))).min();
    let any_key = pairs().map(|(a, b)| count(in_hands(a) & in_hands(b))).min();
    let outages = (0..=all).filter(|set| !model.holds(all & !set));
    let outage = outages.map(|set| count(in_hands(set))).min();
    [same_key, any_key, outage].map(Option::unwrap)
}

#[test]
fn flat_quorums_with_keys_in_one_hand_are_counted_exactly() {
    for n in 1..=4_usize {
        let members: Vec<_> = (0..n).map(name_of).collect();
        let assignments = (0..n).fold(vec![Vec::new()], |known: Vec<Vec<usize>>, _| {
            let next = |hands: &Vec<usize>, hand| [hands.as_slice(), &[hand]].concat();
            known.iter().flat_map(|hands| (0..n).map(move |hand| next(hands, hand))).collect()
        });
        for hands in assignments {
            for k in 1..=n {
                let lines = lines_of_hands(&hands);
                let policy =
                    parse(&format!("{lines}group g {k} {}\nquorum g\n", members.join(" ")));
                let model = Model::Group(k, (0..n).map(Model::Witness).collect());
                let [same_key, any_key, outage] = truth(&model, &hands);
                // Any of the keys of one witness: that is a witness, whichever key it uses.
                let is_one = k == 1 && hands.iter().all(|hand| *hand == hands[0]);
                let faults = if is_one { any_key } else { same_key };
                let numbers = policy.quorum_arithmetic();
                assert_eq!(numbers.faults_to_fork, faults, "{k} of {hands:?}");
                assert_eq!(numbers.failures_to_stop, outage, "{k} of {hands:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn quorums_and_their_arithmetic_are_those_of_all_sets((policy, model) in any_policy()) {
        let policy = parse(&policy);
        prop_assert_eq!(&parse(&policy.to_string()), &policy);
        let all = (1 << WITNESSES) - 1;
        let index = |witness: &PolicyWitness| witness.name[1..].parse::<usize>().unwrap();
        let quorums: Vec<usize> = (0..=all).filter(|set| model.holds(*set)).collect();
        for set in 0..=all {
            let in_set = |witness: &PolicyWitness| set >> index(witness) & 1 == 1;
            prop_assert_eq!(policy.holds(in_set), model.holds(set));
            prop_assert_eq!(policy.enough_answers(in_set), !model.holds(all & !set));
        }
        let size = |set: &usize| set.count_ones() as usize;
        let overlaps = quorums.iter().flat_map(|a| quorums.iter().map(move |b| a & b));
        let outages = (0..=all).filter(|set| !model.holds(all & !set));
        let arithmetic = policy.quorum_arithmetic();
        let overlap = overlaps.map(|set| size(&set)).min().unwrap();
        prop_assert_eq!(arithmetic.faults_to_fork, overlap);
        prop_assert_eq!(arithmetic.failures_to_stop, outages.map(|set| size(&set)).min().unwrap());
        prop_assert_eq!(arithmetic.disjoint_quorums, overlap == 0);
    }

    #[test]
    fn keys_in_one_hand_never_make_a_policy_look_stronger(
        (quorum, model) in any_quorum(),
        hands in prop::collection::vec(0..WITNESSES, WITNESSES),
    ) {
        let policy = parse(&format!("{}{quorum}", lines_of_hands(&hands)));
        let numbers = policy.quorum_arithmetic();
        let [same_key, any_key, outage] = truth(&model, &hands);
        prop_assert!(numbers.faults_to_fork <= any_key);
        prop_assert!((1..=outage).contains(&numbers.failures_to_stop));
        // Only a group that joins the keys of one witness counts for more than a key in it.
        if !policy.to_string().contains(" any ") && !quorum.contains(" 1 ") {
            prop_assert!(numbers.faults_to_fork <= same_key);
            prop_assert_eq!(numbers.disjoint_quorums, same_key == 0);
        }
    }

    #[test]
    fn nearly_right_policies_are_refused_or_read_back(
        (policy, _) in any_policy(),
        edits in edits(),
    ) {
        if let Ok(read) = WitnessPolicy::parse(&mutate(policy.as_bytes(), &edits)) {
            prop_assert_eq!(&parse(&read.to_string()), &read);
            prop_assert!(read.holds(|_| true));
            prop_assert_eq!(read.holds(|_| false), read.is_none());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_policy(bytes: Vec<u8>) {
        prop_assert!(WitnessPolicy::parse(&bytes).is_err());
    }
}

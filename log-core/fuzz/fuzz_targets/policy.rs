//! A policy that is read prints in a form that reads back as itself, and its numbers fit together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::WitnessPolicy;

fuzz_target!(|file: &[u8]| {
    let Ok(policy) = WitnessPolicy::parse(file) else { return };
    let printed = policy.to_string();
    let again = WitnessPolicy::parse(printed.as_bytes()).expect("a printed policy is read");
    assert_eq!((&again, again.to_string()), (&policy, printed));

    // All witnesses together are always enough, none of them never, unless none is needed.
    assert!(policy.holds(|_| true) && policy.enough_answers(|_| true));
    assert_eq!(policy.holds(|_| false), policy.is_none());
    let numbers = policy.quorum_arithmetic();
    let witnesses = policy.witnesses().len();
    assert!(numbers.faults_to_fork <= witnesses && numbers.failures_to_stop >= 1);
    assert_eq!(numbers.failures_to_stop > witnesses, policy.is_none());
    assert_eq!(numbers.disjoint_quorums, numbers.faults_to_fork == 0);
});

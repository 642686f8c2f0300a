//! What a configuration must not say.

use super::*;

const LOG: &str = "[[log]]\nname = \"a\"\npersonality = \"rekor-v2\"\norigin = \"a.example\"\n\
                   created = \"2026-01-01T00:00:00Z\"\n";

fn refused(text: &str) -> String {
    Config::parse(text).expect_err("must be refused").to_string()
}

#[test]
fn an_unknown_key_is_an_error_wherever_it_stands() {
    assert!(refused("[server]\nlisten_at = \"x\"\n").contains("listen_at"));
    assert!(refused("[sever]\n").contains("sever"));
    assert!(refused(&format!("{LOG}pool = 1\n")).contains("pool"));
}

#[test]
fn a_limit_of_zero_is_no_limit_and_is_refused() {
    for key in ["body_bytes_max", "requests_max", "connections_max", "header_ms_max", "body_ms_max"]
    {
        assert!(refused(&format!("[server]\n{key} = 0\n")).contains(key));
    }
    assert!(refused(&format!("{LOG}pool_leaves_max = 0\n")).contains("pool_leaves_max"));
}

#[test]
fn names_origins_and_hosts_belong_to_one_log_each() {
    let other = LOG.replace("\"a\"", "\"b\"");
    assert!(refused(&format!("{LOG}{LOG}")).contains("name"));
    assert!(refused(&format!("{LOG}{other}")).contains("origin"));
    let other = other.replace("a.example", "b.example");
    let claims = format!("{LOG}{other}hosts = [\"a.example\"]\n");
    assert!(refused(&claims).contains("host"));
    assert_eq!(Config::parse(&format!("{LOG}{other}")).expect("two logs").logs.len(), 2);
}

#[test]
fn a_name_is_one_plain_path_segment() {
    for bad in ["", ".", "..", ".a", "a/b", "a b", "\u{e9}", &"x".repeat(65)] {
        assert!(check_log_name(bad).is_err(), "{bad:?}");
    }
    for good in ["a", "rekor-v2", "A_1.b"] {
        assert!(check_log_name(good).is_ok(), "{good:?}");
    }
}

#[test]
fn an_unknown_personality_names_those_that_there_are() {
    let error = refused(&LOG.replace("rekor-v2", "rekor-v9"));
    assert!(error.contains("rekor-v9") && error.contains("raw"), "{error}");
}

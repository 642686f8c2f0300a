//! Pages of a search: our own members `limit` and `after`.

use super::*;

#[test]
fn pages_together_are_the_whole_answer() {
    let scene = Scene::of(9);
    let mut connection = scene.connect();
    let search = |body: &Value, connection: &mut Connection| -> Vec<String> {
        let answer = connection.send(&post(SEARCH, &body.to_string())).expect(200).json();
        serde_json::from_value(answer).expect("ids")
    };
    let whole = search(&json!({ "email": EMAIL }), &mut connection);
    let of_email: Vec<_> = [2, 5, 8].map(|at| scene.entries[at].id.clone()).into();
    assert_eq!(whole, of_email);
    for limit in 1..=4 {
        let mut body = json!({ "email": EMAIL, "limit": limit });
        let mut pages = Vec::new();
        loop {
            let page = search(&body, &mut connection);
            assert!(page.len() <= limit, "{page:?}");
            let Some(last) = page.last() else { break };
            body["after"] = last.to_uppercase().into();
            pages.extend(page);
        }
        assert_eq!(pages, whole, "limit {limit}");
    }
    // A page may begin behind any entry of the log, found by the search or not.
    let after = json!({ "email": EMAIL, "after": scene.entries[3].id });
    assert_eq!(search(&after, &mut connection), whole[1..]);
    let both = json!({ "email": EMAIL, "subject": EMAIL, "operator": "and", "limit": 2 });
    assert_eq!(search(&both, &mut connection), whole[..2]);
}

#[test]
fn a_page_begins_behind_an_entry_of_this_log() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = &scene.entries[0].id;
    for after in [
        format!("{}{}", &id[..16], "0".repeat(64)),
        format!("0000000000000001{}", &id[16..]),
        format!("0000000000000000{}", &id[16..]),
    ] {
        let search = json!({ "email": EMAIL, "after": after }).to_string();
        let message = "after is no entry of this log";
        refusal("elsewhere", post(SEARCH, &search), 400, message).check(&mut connection);
    }
}

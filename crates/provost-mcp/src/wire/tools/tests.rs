//! Lists, and what is left of them.

use proptest::prelude::*;

use super::{ToolList, Unlisted};

const PAGE: &str = "{ \"jsonrpc\":\"2.0\", \"id\" : 1,\n \"result\": {\"_meta\":{\"a\":1.0}, \
    \"tools\" : [ {\"name\":\"a\",\"inputSchema\":{}} , {\"name\":\"b\"},{\"name\":\"c\"} ], \
    \"nextCursor\":\"n\\u0031\", \"ttlMs\": 5} }";

fn kept(text: &str, keeps: &[&str]) -> Option<String> {
    let list = ToolList::read(text.to_owned()).unwrap()?;
    Some(list.keeping(|name| keeps.contains(&name)))
}

#[test]
fn what_is_kept_leaves_as_it_came() {
    assert_eq!(kept(PAGE, &["a", "b", "c"]).unwrap(), PAGE);
    let cut = |tools: &str| {
        let (front, rest) = PAGE.split_once("[ ").unwrap();
        let (_, behind) = rest.split_once(" ]").unwrap();
        format!("{front}[{tools}]{behind}")
    };
    assert_eq!(kept(PAGE, &["b"]).unwrap(), cut("{\"name\":\"b\"}"));
    assert_eq!(kept(PAGE, &[]).unwrap(), cut(""));
    let both = "{\"name\":\"a\",\"inputSchema\":{}},{\"name\":\"c\"}";
    assert_eq!(kept(PAGE, &["a", "c"]).unwrap(), cut(both));
    let list = ToolList::read(PAGE.to_owned()).unwrap().unwrap();
    assert_eq!(list.next_cursor.as_deref(), Some("n1"));
}

#[test]
fn what_is_no_tool_is_left_out() {
    for (tools, want) in [
        (r#"[]"#, r#"[]"#),
        (r#"[1,"a",{"name":"a"}]"#, r#"[{"name":"a"}]"#),
        (r#"[{"name":7},{"title":"a"},{"name":""}]"#, r#"[]"#),
        (r#"[{"name":"a"},{"name":"a","x":1}]"#, r#"[{"name":"a"}]"#), // the second of a name
        (r#"[{"name":"a","name":"b"}]"#, r#"[]"#),
        (r#"[{"name":"a","inputSchema":{"x":1,"x":2}}]"#, r#"[]"#),
        (r#"[{"name":"a\u0000"}]"#, r#"[]"#),
    ] {
        let page =
            |tools| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}}}}}"#);
        assert_eq!(kept(&page(tools), &["a", "b"]).unwrap(), page(want), "{tools}");
    }
}

#[test]
fn lists_with_two_meanings_are_refused() {
    for (text, want) in [
        (r#"{"id":1,"error":{}}"#, Ok(())),
        (r#"{"id":1,"result":{"x":1}}"#, Ok(())),
        (r#"{"id":1,"result":{"tools":[],"tools":[{"name":"a"}]}}"#, Err(Unlisted)),
        (r#"{"id":1,"result":{"tools":[],"Tools":[{"name":"a"}]}}"#, Err(Unlisted)),
        (r#"{"id":1,"result":{"tools":{}}}"#, Err(Unlisted)),
        (r#"{"id":1,"result":[]}"#, Err(Unlisted)),
    ] {
        assert_eq!(ToolList::read(text.to_owned()).map(|_list| ()), want, "{text}");
    }
}

proptest! {
    #[test]
    fn the_rest_is_what_was_kept(names in proptest::collection::btree_set("[a-zé\"]{1,4}", 0..8)) {
        let tools: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"name": name, "inputSchema": {"d": name}}))
            .collect();
        let page = serde_json::json!({"id": 1, "result": {"tools": tools, "nextCursor": "é"}});
        let keeps = |name: &str| name.len().is_multiple_of(2);
        let list = ToolList::read(page.to_string()).unwrap().unwrap();
        let left: serde_json::Value = serde_json::from_str(&list.keeping(keeps)).unwrap();
        let mut want = page;
        want["result"]["tools"]
            .as_array_mut()
            .unwrap()
            .retain(|tool| keeps(tool["name"].as_str().unwrap()));
        prop_assert_eq!(left, want);
    }
}

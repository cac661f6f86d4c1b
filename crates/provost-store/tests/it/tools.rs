//! Tools of MCP servers and their definitions.

use provost_store::{
    StoreError, TOOL_DEFINITION_BYTES_MAX, ToolDefinition, ToolRow, WaitingDefinition,
};
use sqlx::{AnyConnection, Connection, Executor};

use crate::{
    database::{facts, open},
    samples::{at, inhabited},
};

facts![
    tools_are_read_back_as_they_were_put,
    a_tool_takes_the_place_of_what_was_known_of_it,
    a_tools_name_may_hold_any_character,
    a_definition_over_the_limit_is_refused_with_its_whole_batch,
    a_definition_that_was_changed_from_outside_is_unreadable,
    a_database_of_the_first_version_gains_tools,
];

fn tool(server: &str, tool: &str) -> ToolRow {
    ToolRow {
        server: server.to_owned(),
        tool: tool.to_owned(),
        accepted: ToolDefinition::new(*b"{\"name\":\"x\",\"z\":\"\0\xff\"}"),
        accepted_by: "provost".to_owned(),
        accepted_at: at(5),
        waiting: None,
    }
}

fn held(server: &str, name: &str) -> ToolRow {
    let definition = ToolDefinition::new(*b"{\"name\":\"y\"}");
    let waiting = Some(WaitingDefinition { definition, since: at(6) });
    ToolRow { waiting, ..tool(server, name) }
}

async fn tools_are_read_back_as_they_were_put(url: String) {
    let store = open(&url).await;
    store.put_tools(&[]).await.unwrap();
    let (a, b, c) = (tool("a", "push"), held("a", "pull"), tool("b", "push"));
    store.put_tools(&[c.clone(), a.clone(), b.clone()]).await.unwrap();
    drop(store);
    assert_eq!(open(&url).await.tools().await.unwrap(), [b, a, c], "by server and name");
}

async fn a_tool_takes_the_place_of_what_was_known_of_it(url: String) {
    let store = open(&url).await;
    for row in [tool("a", "push"), held("a", "push"), tool("a", "push")] {
        store.put_tools(std::slice::from_ref(&row)).await.unwrap();
        assert_eq!(store.tools().await.unwrap(), [row]);
    }
    let mut accepted = tool("a", "push");
    accepted.accepted = ToolDefinition::new(*b"{}");
    accepted.accepted_by = "human/ada".to_owned();
    accepted.accepted_at = at(9);
    store.put_tools(std::slice::from_ref(&accepted)).await.unwrap();
    assert_eq!(store.tools().await.unwrap(), [accepted]);
}

async fn a_tools_name_may_hold_any_character(url: String) {
    let store = open(&url).await;
    for name in ["a/../b", "'; DROP TABLE mcp_tool; --", "\u{1b}[2J", "日本語\u{202e}", "$1 ?"]
    {
        store.put_tools(&[tool("s", name)]).await.unwrap();
        let found = store.tools().await.unwrap();
        assert!(found.iter().any(|row| row.tool == name), "name = {name:?}");
    }
}

async fn a_definition_over_the_limit_is_refused_with_its_whole_batch(url: String) {
    let store = open(&url).await;
    let mut longest = tool("a", "longest");
    longest.accepted = ToolDefinition::new(vec![b'x'; TOOL_DEFINITION_BYTES_MAX]);
    store.put_tools(std::slice::from_ref(&longest)).await.unwrap();
    let over = ToolDefinition::new(vec![b'x'; TOOL_DEFINITION_BYTES_MAX + 1]);
    let mut accepted = tool("a", "over");
    accepted.accepted = over.clone();
    let mut waits = tool("a", "over");
    waits.waiting = Some(WaitingDefinition { definition: over, since: at(1) });
    for row in [accepted, waits] {
        let error = store.put_tools(&[tool("a", "other"), row]).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    }
    assert_eq!(store.tools().await.unwrap(), [longest]);
}

async fn a_definition_that_was_changed_from_outside_is_unreadable(url: String) {
    let store = open(&url).await;
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    for (change, want) in [
        ("UPDATE mcp_tool SET definition = waiting_definition", "digest"),
        ("UPDATE mcp_tool SET waiting_digest = digest", "waiting_digest"),
    ] {
        store.put_tools(&[held("a", "push")]).await.unwrap();
        connection.execute(change).await.unwrap();
        let error = store.tools().await.unwrap_err();
        let StoreError::Unreadable { table: "mcp_tool", column } = error else {
            panic!("{error:?}")
        };
        assert_eq!(column, want);
    }
}

async fn a_database_of_the_first_version_gains_tools(url: String) {
    inhabited(&url).await.close().await;
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    for undo in [
        "DROP TABLE mcp_tool",
        "DROP TABLE approval",
        "DELETE FROM schema_version WHERE version >= 2",
    ] {
        connection.execute(undo).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = open(&url).await;
    store.put_tools(&[tool("a", "push")]).await.unwrap();
    assert_eq!(store.tools().await.unwrap().len(), 1);
    assert_eq!(store.projects().await.unwrap().len(), 1, "what was there is there");
}

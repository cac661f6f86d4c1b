//! Secrets go in and do not come out.

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;

use super::harness::{Caller, Server};

#[tokio::test]
async fn a_value_goes_in_and_does_not_come_out() {
    let server = Server::start().await;
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    let path = "/v1/secrets/anthropic";
    assert_snapshot!(says("PUT", path, r#"{"value":"sk-ant-1\n"}"#).await, @"204");
    let listed = server.ok(&Caller::Local, "GET", "/v1/secrets", "").await;
    assert!(listed.starts_with(r#"{"items":[{"name":"anthropic","set_at":"20"#), "{listed}");
    let events = server.ok(&Caller::Local, "GET", "/v1/events?kind=admin", "").await;
    assert!(events.contains("secret/anthropic"), "{events}");
    assert!(!format!("{listed}{events}").contains("sk-ant-1"));
    assert!(server.app.vault.holds(&"anthropic".parse().unwrap()));
    assert_snapshot!(says("DELETE", path, "").await, @"204");
    assert_snapshot!(says("DELETE", path, "").await, @r#"404 {"code":"no-such","message":"there is no secret `anthropic`"}"#);
}

#[tokio::test]
async fn a_new_value_is_lent_to_the_next_admitted_action() {
    let server = Server::start().await;
    let put = async |value: &str| {
        let body = format!(r#"{{"value":"{value}"}}"#);
        server.ok(&Caller::Local, "PUT", "/v1/secrets/anthropic", &body).await;
    };
    let asked = "claude-sonnet-5";
    assert!(server.act(asked).await.starts_with("there is no secret `anthropic`"));
    for value in ["sk-ant-1", "sk-ant-2"] {
        put(value).await;
        assert_eq!(server.act(asked).await, value);
    }
    assert!(server.act("claude-forbidden-1").await.starts_with("act_"));
    server.ok(&Caller::Local, "DELETE", "/v1/secrets/anthropic", "").await;
    assert!(server.act(asked).await.starts_with("there is no secret `anthropic`"));
}

#[tokio::test]
async fn a_refused_value_is_not_recorded_and_not_repeated() {
    let server = Server::start().await;
    let says = async |path, body| server.says(&Caller::Local, "PUT", path, body).await;
    let path = "/v1/secrets/anthropic";
    assert_snapshot!(says(path, r#"{"value":" "}"#).await, @r#"400 {"code":"invalid","message":"the value is blank; give the credential itself"}"#);
    assert_snapshot!(says(path, r#"{"value":"sk-ant-1\nsk-ant-2"}"#).await, @r#"400 {"code":"invalid","message":"the value is not one line of plain text; give the credential alone"}"#);
    assert_snapshot!(says("/v1/secrets/sk-ANT-1", r#"{"value":"a"}"#).await, @r#"400 {"code":"malformed","message":"in the path: this is not a name for a secret: use 1 to 63 lower-case letters, digits and hyphens, starting with a letter"}"#);
    let events = server.ok(&Caller::Local, "GET", "/v1/events?kind=admin", "").await;
    assert!(!events.contains("secret."), "{events}");
}

#[test]
fn a_value_on_its_way_does_not_print() {
    let body = r#"{"value":"sk-ant-1"}"#;
    let put: provost_api::PutSecret = serde_json::from_str(body).unwrap();
    assert!(!format!("{put:?}").contains("sk-ant-1"));
    let value = secrecy::SecretString::from(put.value.0);
    assert!(!format!("{value:?}").contains(value.expose_secret()));
}

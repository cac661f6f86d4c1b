//! Held actions: who sees what of them, who may answer, and what it does.

use axum::http::StatusCode;
use insta::assert_snapshot;
use provost_api::{ApprovalCard, ApprovalPage, ApprovalStanding};
use provost_types::ApprovalId;

use super::harness::{Caller, Server};

/// Models whose name begins with `held` wait for the group `crew`; `held-own` for one whose
/// members cannot answer for what they opened; `held-pair` for two people.
const POLICIES: &str = r#"
@id("allow")
permit (principal, action == Llm::Action::"message", resource)
when { resource.name like "held*" };
@id("gate") @approvers("crew") @reason("ask the crew first")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name like "held*" } unless { context.approved };
@id("own") @approvers("others")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name == "held-own" } unless { context.approved };
@id("pair") @approvers("approvers") @quorum("2")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name == "held-pair" } unless { context.approved };
"#;

const APPROVERS: &str = r#"
[groups.crew]
members = ["operator", "approver", "auditor"]

[groups.others]
members = ["local"]
not_own = true
"#;

async fn start() -> Server {
    let server = Server::start().await;
    server.write_policy("held.cedar", POLICIES);
    server.write_policy("approvers.toml", APPROVERS);
    server.app.pipeline.reload_policies().await.unwrap();
    server
}

/// Has `invoice-bot` ask for `model`, which is held; the approval's id.
async fn held(server: &Server, model: &str) -> String {
    server.act(model).await;
    list(server, "state=waiting").await.items[0].id.clone()
}

async fn list(server: &Server, query: &str) -> ApprovalPage {
    let path = format!("/v1/approvals?{query}");
    let page = server.ok(&Caller::Local, "GET", &path, "").await;
    serde_json::from_str(&page).unwrap()
}

async fn card(server: &Server, caller: &Caller, id: &str) -> ApprovalCard {
    let card = server.ok(caller, "GET", &format!("/v1/approvals/{id}"), "").await;
    serde_json::from_str(&card).unwrap()
}

const YES: &str = r#"{"verdict":"approve"}"#;

#[tokio::test]
async fn a_card_says_all_that_an_approver_has_to_know() {
    let server = start().await;
    let operator = server.human("operator").await;
    let id = held(&server, "held").await;
    let path = format!("/v1/approvals/{id}");
    assert_snapshot!(server.says(&operator, "GET", &path, "").await, @r#"
        200 {
          "approval": {
            "id": "apr_*",
            "state": "waiting",
            "note": "",
            "agent": "invoice-bot",
            "project": "finance",
            "session": "ses_*",
            "action": "act_*",
            "plane": "llm",
            "verb": "message",
            "resource_kind": "Llm::Model",
            "resource_id": "held",
            "gates": [
              "gate"
            ],
            "groups": [
              "crew"
            ],
            "extent": "once",
            "requested_at": "2026-11-25T00:00:00.000000Z",
            "expires_at": "2026-11-26T00:00:00.000000Z",
            "closed_at": null,
            "used_by": null
          },
          "gates": [
            {
              "policy": "gate",
              "reason": "ask the crew first",
              "groups": [
                "crew"
              ],
              "quorum": 1,
              "agreed": 0,
              "changed": false
            }
          ],
          "answers": [],
          "may_answer": true,
          "arguments": "held",
          "arguments_state": "shown",
          "otherwise": "denied at 2026-11-26T00:00:00.000000Z"
        }
        "#);
    let said = server.ok(&operator, "POST", &format!("{path}/answer"), YES).await;
    assert!(
        said.contains(r#""state":"approved","note":"approved by human/operator""#),
        "{said}"
    );
}

#[tokio::test]
async fn arguments_are_for_those_who_may_answer_and_each_look_is_recorded() {
    let server = start().await;
    let id = held(&server, "held").await;
    let mut looks = 0;
    for (role, may_answer, state) in [
        ("auditor", false, "hidden"),
        ("approver", true, "shown"),
        ("operator", true, "shown"),
        ("admin", false, "shown"),
    ] {
        let caller = server.human(role).await;
        let card = card(&server, &caller, &id).await;
        let got = (card.may_answer, card.arguments_state.as_str(), card.arguments.is_some());
        assert_eq!(got, (may_answer, state, state == "shown"), "{role}");
        looks += usize::from(state == "shown");
        server.index().await;
        let events = server.ok(&Caller::Local, "GET", "/v1/events?kind=approval", "").await;
        assert_eq!(events.matches(r#""step":"shown""#).count(), looks, "{role}: {events}");
    }
}

#[tokio::test]
async fn the_gates_groups_say_who_may_answer() {
    let server = start().await;
    let callers = [
        ("admin", server.human("admin").await, "not-approver"),
        ("local", Caller::Local, "not-approver"),
        ("operator", server.human("operator").await, ""),
    ];
    for (name, caller, code) in callers {
        let id = held(&server, "held").await;
        let path = format!("/v1/approvals/{id}/answer");
        let (status, body) = server.call(&caller, "POST", &path, YES).await;
        let wanted = if code.is_empty() { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(status, wanted, "{name}: {body}");
        assert!(code.is_empty() || body.contains(code), "{name}: {body}");
    }
    let id = held(&server, "held-own").await;
    let path = format!("/v1/approvals/{id}/answer");
    assert_snapshot!(server.says(&Caller::Local, "POST", &path, YES).await, @r#"403 {"code":"own-session","message":"you opened this agent's session: somebody else has to answer for it"}"#);
}

#[tokio::test]
async fn what_is_said_wrongly_changes_nothing() {
    let server = start().await;
    let approver = server.human("approver").await;
    let id = held(&server, "held-pair").await;
    let nobody = ApprovalId::generate();
    let mut told = String::new();
    for (id, body) in [
        (id.as_str(), "{}"),
        (id.as_str(), r#"{"verdict":"maybe"}"#),
        (id.as_str(), r#"{"verdict":"deny","extent":"session"}"#),
        (id.as_str(), r#"{"verdict":"approve","comment":"a\nb"}"#),
        (id.as_str(), r#"{"verdict":"approve","extent":"forever"}"#),
        (id.as_str(), r#"{"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"}}}}"#),
        (
            id.as_str(),
            r#"{"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"},"lasts_s":60}}}"#,
        ),
        (
            id.as_str(),
            r#"{"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"},"lasts_s":0}}}"#,
        ),
        (&nobody.to_string(), YES),
        ("1", YES),
        (id.as_str(), YES),
        (id.as_str(), YES),
    ] {
        let path = format!("/v1/approvals/{id}/answer");
        let said = server.says(&approver, "POST", &path, body).await;
        let line = said.lines().next().unwrap_or_default();
        told += &format!("{body}\n  {line}\n");
    }
    assert_snapshot!(told, @r#"
        {}
          400 {"code":"malformed","message":"missing field `verdict` at line 1 column 2"}
        {"verdict":"maybe"}
          400 {"code":"malformed","message":"unknown variant `maybe`, expected `approve` or `deny` at line 1 column 18"}
        {"verdict":"deny","extent":"session"}
          400 {"code":"invalid","message":"extent: only a yes reaches so far"}
        {"verdict":"approve","comment":"a\nb"}
          400 {"code":"invalid","message":"comment: use at most 500 bytes without control characters"}
        {"verdict":"approve","extent":"forever"}
          400 {"code":"malformed","message":"unknown variant `forever`, expected one of `once`, `session`, `pattern` at line 1 column 39"}
        {"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"}}}}
          400 {"code":"invalid","message":"lasts_s: say for how many seconds"}
        {"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"},"lasts_s":60}}}
          400 {"code":"invalid","message":"pattern: these arguments have no names to put patterns on: approve them once"}
        {"verdict":"approve","extent":{"pattern":{"arguments":{"a":"*"},"lasts_s":0}}}
          400 {"code":"invalid","message":"lasts: use more than nothing and at most 30 days"}
        {"verdict":"approve"}
          404 {"code":"no-such","message":"there is no approval apr_*"}
        {"verdict":"approve"}
          400 {"code":"malformed","message":"in the path: `1` is not an id of the form `apr_<32 hexadecimal digits>`"}
        {"verdict":"approve"}
          200 {
        {"verdict":"approve"}
          409 {"code":"answered-already","message":"you answered this already; others have to"}
        "#);
    let deny = r#"{"verdict":"deny","comment":"not today"}"#;
    let path = format!("/v1/approvals/{id}");
    server.ok(&approver, "POST", &format!("{path}/answer"), deny).await;
    let late = server.says(&approver, "POST", &format!("{path}/answer"), YES).await;
    assert_snapshot!(late, @r#"409 {"code":"settled","message":"approval apr_* is denied already"}"#);
    let late = server.says(&approver, "POST", &format!("{path}/revoke"), "").await;
    assert_snapshot!(late, @r#"409 {"code":"settled","message":"approval apr_* is denied already"}"#);
}

#[tokio::test]
async fn a_yes_can_be_taken_back() {
    let server = start().await;
    let approver = server.human("approver").await;
    let id = held(&server, "held").await;
    let path = format!("/v1/approvals/{id}");
    server.ok(&approver, "POST", &format!("{path}/answer"), YES).await;
    let revoked = format!("{path}/revoke");
    let said = server.ok(&approver, "POST", &revoked, r#"{"comment":"too soon"}"#).await;
    assert!(said.contains("revoked by human/approver: too soon"), "{said}");
    server.act("held").await;
    assert_eq!(list(&server, "state=waiting").await.items.len(), 1, "it is asked anew");
}

#[tokio::test]
async fn a_list_is_filtered_and_waits_for_changes() {
    let server = start().await;
    let first = held(&server, "held-1").await;
    let second = held(&server, "held-2").await;
    let ids = async |query: &str| -> Vec<String> {
        list(&server, query).await.items.into_iter().map(|one| one.id).collect()
    };
    let both = vec![second.clone(), first.clone()];
    for (query, want) in [
        ("", both.clone()),
        ("agent=invoice-bot&project=finance&state=waiting", both),
        ("agent=other", vec![]),
        ("project=other", vec![]),
        ("state=approved", vec![]),
        ("limit=1", vec![second.clone()]),
        (&format!("before={second}"), vec![first.clone()]),
    ] {
        assert_eq!(ids(query).await, want, "query = {query}");
    }
    for query in ["state=open", "wait=31", "limit=0", "before=1", "who=me"] {
        let path = format!("/v1/approvals?{query}");
        let (status, body) = server.call(&Caller::Local, "GET", &path, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "query = {query}: {body}");
    }
    // With the present count it waits; a change, or the stop of the server, ends that.
    let seen = list(&server, "").await.changes;
    let query = format!("seen={seen}&wait=30");
    let (page, _) = tokio::join!(list(&server, &query), server.act("held-3"));
    assert_eq!(page.items.len(), 3);
    assert!(page.changes > seen, "{} after {seen}", page.changes);
    server.app.stopping.cancel();
    list(&server, &format!("seen={}&wait=30", page.changes)).await;
}

#[tokio::test]
async fn an_agent_reads_how_its_own_approvals_stand_and_no_more() {
    let server = start().await;
    let approver = server.human("approver").await;
    let id = held(&server, "held").await;
    let opened = server.open_session().await;
    let session = Caller::Token(opened.credential.0);
    let path = format!("/v1/sessions/{}/approvals/{id}", opened.session.id);
    assert_snapshot!(server.says(&session, "GET", &path, "").await, @r#"
        200 {
          "id": "apr_*",
          "state": "waiting",
          "note": ""
        }
        "#);

    let answer = format!("/v1/approvals/{id}/answer");
    let deny = r#"{"verdict":"deny","comment":"not today"}"#;
    let waiting = format!("{path}?wait=30");
    let (standing, _) = tokio::join!(
        server.ok(&session, "GET", &waiting, ""),
        server.ok(&approver, "POST", &answer, deny)
    );
    let standing: ApprovalStanding = serde_json::from_str(&standing).unwrap();
    assert_eq!(standing.state, "denied");
    assert_eq!(standing.note, "denied by human/approver: not today");

    let body = r#"{"name":"other-bot","project":"finance"}"#;
    server.ok(&Caller::Local, "POST", "/v1/agents", body).await;
    let body = r#"{"agent":"other-bot"}"#;
    let other = server.ok(&Caller::Local, "POST", "/v1/sessions", body).await;
    let other: provost_api::OpenedSession = serde_json::from_str(&other).unwrap();
    let path = format!("/v1/sessions/{}/approvals/{id}", other.session.id);
    let other = Caller::Token(other.credential.0);
    assert_snapshot!(server.says(&other, "GET", &path, "").await, @r#"404 {"code":"no-such","message":"there is no approval apr_*"}"#);
}

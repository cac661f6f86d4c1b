//! Held actions: asked once, settled by those who may, spent once, decided again before they
//! run.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use provost_pipeline::{Answer, AnswerError, Answerer, Extent, OpenedSession};
use provost_store::{ApprovalFilter, ApprovalRow, ApprovalState};
use provost_types::{ApprovalId, Role, RunState, Scope};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinHandle;

use crate::world::{World, agent};

/// Models whose name begins with `held` are behind a gate; `held-two` behind one for two people
/// as well, `held-brief` behind one that asks for a minute.
const POLICIES: &str = r#"
@id("allow")
permit (principal, action == Llm::Action::"message", resource)
when { resource.name like "held*" };
@id("gate") @approvers("approvers") @reason("ask first")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name like "held*" } unless { context.approved };
@id("two") @approvers("pair") @quorum("2")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name == "held-two" } unless { context.approved };
@id("brief") @approvers("approvers") @expires("1m")
forbid (principal, action == Llm::Action::"message", resource)
when { resource.name == "held-brief" } unless { context.approved };
"#;

const APPROVERS: &str = r#"
[groups.pair]
members = ["ada", "bo"]
not_own = true
then = "late"
after = "10m"

[groups.late]
members = ["cy"]
"#;

/// Longest wait for something that another task does.
const SOON: Duration = Duration::from_secs(20);

async fn world(dir: &TempDir) -> World {
    let world = World::open(dir).await;
    std::fs::write(world.policies.join("own.cedar"), POLICIES).unwrap();
    std::fs::write(world.policies.join("approvers.toml"), APPROVERS).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    world
}

fn person(name: &str, role: Role) -> Answerer {
    Answerer::Human { name: name.to_owned(), role }
}

fn ada() -> Answerer {
    person("ada", Role::Approver)
}

fn yes() -> Answer {
    Answer::Yes { extent: Extent::Once, comment: String::new() }
}

fn no(comment: &str) -> Answer {
    Answer::No { comment: comment.to_owned() }
}

impl World {
    async fn rows(&self, state: ApprovalState) -> Vec<ApprovalRow> {
        let filter = ApprovalFilter { state: Some(state), ..ApprovalFilter::default() };
        self.pipeline.approvals().approvals(&filter, 100).await.unwrap()
    }

    /// The one that waits, once it does.
    async fn waiting(&self) -> ApprovalRow {
        let one = async || self.rows(ApprovalState::Waiting).await.pop();
        soon(one).await
    }

    async fn answer(&self, who: &Answerer, id: ApprovalId, answer: Answer) -> ApprovalState {
        self.pipeline.approvals().answer(who, id, answer).await.unwrap().state
    }

    /// What the one that cannot wait is told.
    async fn told_at_once(&self, session: &OpenedSession, words: &str) -> String {
        self.ask(&session.credential, words).await.concat()
    }
}

/// Asks for `words` on a task of its own, and waits for people.
#[expect(clippy::disallowed_methods, reason = "a client, which nothing waits for")]
fn patient(
    world: &Arc<World>,
    session: &OpenedSession,
    words: &'static str,
) -> JoinHandle<Vec<String>> {
    let (world, credential) = (Arc::clone(world), session.credential.clone());
    tokio::task::spawn(async move { world.ask_with(SOON, &credential, words).await })
}

async fn soon<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    let look_again = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, look_again).await.expect("it comes soon")
}

fn asks_for_approval(told: &str) -> bool {
    told.starts_with("still waitingheld: policy \"gate\"")
        && told.contains("provost approvals show apr_")
}

#[tokio::test]
async fn an_approved_action_goes_on_where_it_waited() {
    let dir = tempdir().unwrap();
    let world = Arc::new(world(&dir).await);
    let session = world.session().await;
    let asking = patient(&world, &session, "held hi");
    let row = world.waiting().await;
    assert_eq!((row.resource_id.as_str(), row.agent.clone()), ("held", agent()));
    let arguments = world.pipeline.approvals().arguments(&ada().by(), &row).await.unwrap();
    assert_eq!(arguments.as_deref(), Some(&b"held hi"[..]));
    assert_eq!(world.answer(&ada(), row.id, yes()).await, ApprovalState::Approved);
    assert_eq!(asking.await.unwrap(), ["still waiting", "held", "hi"]);
    assert_eq!(world.rows(ApprovalState::Used).await.len(), 1);
    let told = world.told().await;
    let from = told.iter().position(|line| line == "approval requested").unwrap();
    assert_eq!(
        told[from..],
        [
            "approval requested",
            "approval shown",
            "approval approved",
            "approval used",
            "intent llm message held",
            "outcome succeeded"
        ]
    );
    let again = world.pipeline.approvals().arguments(&ada().by(), &row).await.unwrap();
    assert_eq!(again, None, "what was judged is deleted, for this project keeps no bodies");
}

#[tokio::test]
async fn a_no_reaches_the_agent_and_stands() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let session = world.session().await;
    let told = world.told_at_once(&session, "held hi").await;
    assert!(asks_for_approval(&told), "{told}");
    let id = world.waiting().await.id;
    assert_eq!(world.answer(&ada(), id, no("not on a Friday")).await, ApprovalState::Denied);
    for _ in 0..2 {
        let told = world.told_at_once(&session, "held hi").await;
        assert_eq!(told, format!("denied: denied by human/ada: not on a Friday ({id})"));
    }
    assert!(world.rows(ApprovalState::Waiting).await.is_empty(), "nobody is asked again");
    world.clock.advance(Duration::from_hours(25));
    let closed = async || {
        let row = world.pipeline.approvals().approval(id).await.unwrap();
        row.closed_at.map(|_| ())
    };
    soon(closed).await;
    let session = world.session().await;
    let told = world.told_at_once(&session, "held hi").await;
    assert!(asks_for_approval(&told), "a no has its time: {told}");
}

#[tokio::test]
async fn an_approval_is_found_later_and_works_once() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let session = world.session().await;
    world.told_at_once(&session, "held hi").await;
    world.told_at_once(&session, "held hi").await;
    let id = world.waiting().await.id;
    assert_eq!(world.rows(ApprovalState::Waiting).await.len(), 1, "asked for once");
    world.answer(&ada(), id, yes()).await;
    // Other arguments are another question.
    let told = world.told_at_once(&session, "held ho").await;
    assert!(asks_for_approval(&told), "{told}");
    // An agent that died finds its approval in its next session.
    let next = world.session().await;
    assert_eq!(world.told_at_once(&next, "held hi").await, "heldhi");
    let told = world.told_at_once(&next, "held hi").await;
    assert!(asks_for_approval(&told), "spent: {told}");
    let again = world.pipeline.approvals().answer(&ada(), id, yes()).await.unwrap_err();
    assert!(
        matches!(again, AnswerError::Settled { state: ApprovalState::Used, .. }),
        "{again:?}"
    );
}

#[tokio::test]
async fn of_two_that_wait_for_the_same_one_goes_ahead() {
    let dir = tempdir().unwrap();
    let world = Arc::new(world(&dir).await);
    let session = world.session().await;
    let (one, two) =
        (patient(&world, &session, "held hi"), patient(&world, &session, "held hi"));
    let first = world.waiting().await;
    world.answer(&ada(), first.id, yes()).await;
    let second = world.waiting().await;
    assert_ne!(second.id, first.id, "the other is a request of its own");
    world.answer(&ada(), second.id, no("once is enough")).await;
    let mut told = [one.await.unwrap().concat(), two.await.unwrap().concat()];
    told.sort_by_key(|told| told.contains("denied"));
    assert!(told[0].ends_with("heldhi") && told[1].contains("once is enough"), "{told:?}");
}

#[tokio::test]
async fn every_gate_needs_its_own_people() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    // Opened by human/ada.
    let session = world.session().await;
    world.told_at_once(&session, "held-two").await;
    let id = world.waiting().await.id;
    let approvals = world.pipeline.approvals();
    let (bo, cy) = (person("bo", Role::Operator), person("cy", Role::Auditor));
    for (who, want) in [
        (person("eve", Role::Operator), "you are in none of the groups"),
        (cy.clone(), "you are in none of the groups"),
    ] {
        let error = approvals.answer(&who, id, yes()).await.unwrap_err();
        assert!(error.to_string().starts_with(want), "{who:?}: {error}");
    }
    assert_eq!(world.answer(&bo, id, yes()).await, ApprovalState::Waiting);
    let error = approvals.answer(&bo, id, yes()).await.unwrap_err();
    assert!(matches!(error, AnswerError::Again), "{error:?}");
    // Ada may answer for `gate`, not for `two`: she opened the session.
    assert_eq!(world.answer(&ada(), id, yes()).await, ApprovalState::Waiting);
    world.clock.advance(Duration::from_mins(10));
    let passed_on = async || {
        let row = approvals.approval(id).await.unwrap();
        row.gates.iter().any(|gate| gate.groups.contains(&"late".to_owned())).then_some(())
    };
    soon(passed_on).await;
    assert_eq!(world.answer(&cy, id, yes()).await, ApprovalState::Approved);
    let session = world.session().await;
    assert_eq!(world.told_at_once(&session, "held-two").await, "held-two");
}

#[tokio::test]
async fn what_nobody_answers_is_denied_by_time() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let session = world.session().await;
    world.told_at_once(&session, "held hi").await;
    let id = world.waiting().await.id;
    world.clock.advance(Duration::from_hours(24));
    let error = world.pipeline.approvals().answer(&ada(), id, yes()).await.unwrap_err();
    assert!(
        matches!(error, AnswerError::Settled { state: ApprovalState::Expired, .. }),
        "{error:?}"
    );
    soon(async || world.rows(ApprovalState::Expired).await.pop()).await;
}

#[tokio::test]
async fn a_kill_cancels_what_waits_and_what_was_approved() {
    let dir = tempdir().unwrap();
    let world = Arc::new(world(&dir).await);
    let session = world.session().await;
    world.told_at_once(&session, "held approved").await;
    let id = world.waiting().await.id;
    world.answer(&ada(), id, yes()).await;
    let asking = patient(&world, &session, "held hi");
    world.waiting().await;
    let (directory, scope) = (world.pipeline.directory(), Scope::Agent(agent()));
    let why = || "drill".to_owned();
    directory.set_run_state(&world.by, scope.clone(), RunState::Killed, why()).await.unwrap();
    let told = asking.await.unwrap().concat();
    assert!(told.starts_with("still waitingkilled: "), "{told}");
    soon(async || (world.rows(ApprovalState::Cancelled).await.len() == 2).then_some(())).await;
    directory.set_run_state(&world.by, scope, RunState::Running, why()).await.unwrap();
    let session = world.session().await;
    let told = world.told_at_once(&session, "held approved").await;
    assert!(asks_for_approval(&told), "what was cancelled stays so: {told}");
}

#[tokio::test]
async fn a_yes_reaches_as_far_as_it_says_and_is_taken_back() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let (session, other) = (world.session().await, world.session().await);
    world.told_at_once(&session, "held hi").await;
    let id = world.waiting().await.id;
    let extent = Extent::Pattern { arguments: BTreeMap::new(), lasts: SOON };
    let answer = Answer::Yes { extent, comment: String::new() };
    let approvals = world.pipeline.approvals();
    let error = approvals.answer(&ada(), id, answer).await.unwrap_err();
    assert!(matches!(error, AnswerError::Pattern(_)), "{error:?}");
    let answer = Answer::Yes { extent: Extent::Session, comment: String::new() };
    world.answer(&ada(), id, answer).await;
    for _ in 0..3 {
        assert_eq!(world.told_at_once(&session, "held hi").await, "heldhi");
    }
    let told = world.told_at_once(&other, "held hi").await;
    assert!(asks_for_approval(&told), "another session: {told}");
    approvals.revoke(&ada(), id, "enough".to_owned()).await.unwrap();
    let told = world.told_at_once(&session, "held hi").await;
    assert!(asks_for_approval(&told), "{told}");
}

#[tokio::test]
async fn a_gate_that_changed_is_another_question() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let session = world.session().await;
    world.told_at_once(&session, "held hi").await;
    let id = world.waiting().await.id;
    world.answer(&ada(), id, yes()).await;
    let stricter = POLICIES.replace("ask first", "ask first, really");
    std::fs::write(world.policies.join("own.cedar"), stricter).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    let told = world.told_at_once(&session, "held hi").await;
    assert!(asks_for_approval(&told) && !told.contains(&id.to_string()), "{told}");
}

#[tokio::test]
async fn a_gate_that_changed_while_people_are_asked_is_asked_about_once() {
    let dir = tempdir().unwrap();
    let world = world(&dir).await;
    let session = world.session().await;
    world.told_at_once(&session, "held hi").await;
    let stricter = POLICIES.replace("ask first", "ask first, really");
    std::fs::write(world.policies.join("own.cedar"), stricter).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    for _ in 0..3 {
        world.told_at_once(&session, "held hi").await;
    }
    assert_eq!(world.rows(ApprovalState::Waiting).await.len(), 2, "the old question, the new");
}

#[tokio::test]
async fn who_waits_while_the_time_to_answer_ends_is_denied() {
    let dir = tempdir().unwrap();
    let world = Arc::new(world(&dir).await);
    let session = world.session().await;
    let asking = patient(&world, &session, "held-brief");
    let id = world.waiting().await.id;
    world.clock.advance(Duration::from_mins(1));
    let told = asking.await.unwrap().concat();
    let want = format!("denied: nobody answered approval {id} in time, so it is denied");
    assert!(told.ends_with(&want), "{told}");
    assert!(world.rows(ApprovalState::Waiting).await.is_empty(), "nobody is asked again");
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_works_once() {
    let dir = tempdir().unwrap();
    let open = world(&dir).await;
    let session = open.session().await;
    for number in 0..5 {
        open.told_at_once(&session, &format!("held {number}")).await;
    }
    open.close().await;
    let world = World::open(&dir).await;
    let rows = world.rows(ApprovalState::Waiting).await;
    assert_eq!(rows.len(), 5);
    for row in rows {
        world.answer(&ada(), row.id, yes()).await;
    }
    for number in 0..5 {
        let words = format!("held {number}");
        let told = world.told_at_once(&session, &words).await;
        assert_eq!(told, format!("held{number}"));
        let told = world.told_at_once(&session, &words).await;
        assert!(asks_for_approval(&told), "{told}");
    }
}

//! The tree of run states: server → all → project → agent → session.
//!
//! Each node holds a cancellation token that is a child of its parent's, so stopping a
//! node stops everything in flight beneath it. State and tokens change under one lock:
//! an action enters before a kill and is cut by it, or after it and is refused.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use provost_store::RunStateRow;
use provost_types::{AgentName, ProjectName, RunState, Scope, SessionId};
use tokio_util::sync::CancellationToken;

use crate::{
    Stop,
    refusal::{Reason, RefusalCode},
};

/// One place of the tree that can be stopped.
#[derive(Debug)]
struct Node {
    token: CancellationToken,
    stop: OnceLock<Stop>,
}

impl Node {
    fn under(parent: &CancellationToken) -> Arc<Self> {
        Arc::new(Self { token: parent.child_token(), stop: OnceLock::new() })
    }

    fn stop(&self, why: Stop) {
        // The first reason stands: a second kill of what is stopped changes nothing.
        let _first = self.stop.set(why);
        self.token.cancel();
    }
}

/// The nodes above one action, the innermost first.
#[derive(Clone, Debug)]
pub(crate) struct Path([Arc<Node>; 5]);

impl Path {
    /// Resolves when any node above is stopped, and says why.
    pub(crate) async fn stopped(&self) -> Stop {
        let [innermost, ..] = &self.0;
        innermost.token.cancelled().await;
        self.0.iter().find_map(|node| node.stop.get().cloned()).unwrap_or(Stop::ShuttingDown)
    }
}

/// The states that were set, and the nodes of what is live.
#[derive(Debug)]
pub(crate) struct RunTree {
    server: Arc<Node>,
    states: HashMap<Scope, RunStateRow>,
    nodes: HashMap<Scope, Arc<Node>>,
}

impl RunTree {
    /// The tree as it was left: states survive a restart.
    pub(crate) fn restore(rows: Vec<RunStateRow>) -> Self {
        Self {
            server: Node::under(&CancellationToken::new()),
            states: rows.into_iter().map(|row| (row.scope.clone(), row)).collect(),
            nodes: HashMap::new(),
        }
    }

    /// Every state that is not `running`.
    pub(crate) fn states(&self) -> Vec<RunStateRow> {
        let mut rows: Vec<_> = self
            .states
            .values()
            .filter(|row| row.state != RunState::Running)
            .cloned()
            .collect();
        rows.sort_by(|a, b| a.scope.cmp(&b.scope));
        rows
    }

    /// Lets an action in, or says which state above it forbids that.
    pub(crate) fn enter(
        &mut self,
        project: &ProjectName,
        agent: &AgentName,
        session: SessionId,
    ) -> Result<Path, Reason> {
        if self.server.token.is_cancelled() {
            let sentence = Stop::ShuttingDown.sentence().to_owned();
            return Err(Reason::new(RefusalCode::Stopping, sentence));
        }
        let scopes = scopes_above(project, agent, session);
        let strictest = scopes
            .iter()
            .filter_map(|scope| self.states.get(scope))
            .max_by_key(|row| row.state)
            .filter(|row| row.state != RunState::Running);
        if let Some(row) = strictest {
            return Err(refusal(row));
        }
        Ok(self.path(scopes))
    }

    /// The path of a session, made where it is missing; whether it may act is not asked.
    pub(crate) fn path_of(
        &mut self,
        project: &ProjectName,
        agent: &AgentName,
        session: SessionId,
    ) -> Path {
        self.path(scopes_above(project, agent, session))
    }

    fn path(&mut self, [session, agent, project, all]: [Scope; 4]) -> Path {
        let all = node(&mut self.nodes, all, &self.server);
        let project = node(&mut self.nodes, project, &all);
        let agent = node(&mut self.nodes, agent, &project);
        let session = node(&mut self.nodes, session, &agent);
        Path([session, agent, project, all, Arc::clone(&self.server)])
    }

    /// Sets a state; a kill cuts everything in flight beneath it at once.
    pub(crate) fn set(&mut self, row: RunStateRow) {
        match row.state {
            RunState::Running => {
                self.states.remove(&row.scope);
                // A cancelled token never comes back: nodes are made anew when next entered.
                self.nodes.retain(|_, node| !node.token.is_cancelled());
            }
            RunState::Paused => {
                self.states.insert(row.scope.clone(), row);
            }
            RunState::Killed => {
                if let Some(node) = self.nodes.remove(&row.scope) {
                    node.stop(Stop::Killed(refusal(&row).message));
                }
                self.states.insert(row.scope.clone(), row);
                self.nodes.retain(|_, node| !node.token.is_cancelled());
            }
        }
    }

    /// Ends a session: what is in flight is cut, and its node is forgotten.
    pub(crate) fn end(&mut self, session: SessionId, sentence: &str) {
        if let Some(node) = self.nodes.remove(&Scope::Session(session)) {
            node.stop(Stop::Ended(sentence.to_owned()));
        }
    }

    /// Whether the session, or anything above it, is killed; and the sentence that says so.
    pub(crate) fn killed(
        &self,
        project: &ProjectName,
        agent: &AgentName,
        session: SessionId,
    ) -> Option<String> {
        scopes_above(project, agent, session)
            .iter()
            .filter_map(|scope| self.states.get(scope))
            .find(|row| row.state == RunState::Killed)
            .map(|row| refusal(row).message)
    }

    /// Refuses new actions from now on; those in flight go on until the
    /// token that is given is cancelled.
    pub(crate) fn close(&mut self) -> CancellationToken {
        let cut = std::mem::replace(&mut self.server, Node::under(&CancellationToken::new()));
        self.server.token.cancel();
        cut.token.clone()
    }
}

fn node(nodes: &mut HashMap<Scope, Arc<Node>>, scope: Scope, parent: &Node) -> Arc<Node> {
    let node = nodes.entry(scope).or_insert_with(|| Node::under(&parent.token));
    Arc::clone(node)
}

fn scopes_above(project: &ProjectName, agent: &AgentName, session: SessionId) -> [Scope; 4] {
    [
        Scope::Session(session),
        Scope::Agent(agent.clone()),
        Scope::Project(project.clone()),
        Scope::All,
    ]
}

fn refusal(row: &RunStateRow) -> Reason {
    let RunStateRow { scope, state, reason, by, .. } = row;
    let what = match scope {
        Scope::All => "every agent".to_owned(),
        Scope::Project(name) => format!("project {name}"),
        Scope::Agent(name) => format!("agent {name}"),
        Scope::Session(id) => format!("session {id}"),
    };
    let (code, verb) = match state {
        RunState::Killed => (RefusalCode::Killed, "stopped"),
        RunState::Paused | RunState::Running => (RefusalCode::Paused, "paused"),
    };
    Reason::new(
        code,
        format!("Provost {verb} {what} ({by}: {reason}). Stop now; a person has to undo this."),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use provost_store::RunStateRow;
    use provost_types::{AgentName, ProjectName, RunState, Scope, SessionId, Timestamp};

    use super::{Path, RunTree};
    use crate::{RefusalCode, Stop};

    struct World {
        tree: RunTree,
        session: SessionId,
    }

    impl World {
        fn new() -> Self {
            Self { tree: RunTree::restore(Vec::new()), session: SessionId::generate() }
        }

        fn names() -> (ProjectName, AgentName) {
            ("finance".parse().unwrap(), "invoice-bot".parse().unwrap())
        }

        fn enter(&mut self) -> Result<Path, RefusalCode> {
            let (project, agent) = Self::names();
            self.tree.enter(&project, &agent, self.session).map_err(|reason| reason.code)
        }

        fn set(&mut self, scope: Scope, state: RunState) {
            self.tree.set(RunStateRow {
                scope,
                state,
                reason: "it misbehaves".to_owned(),
                by: "human/ada".to_owned(),
                at: Timestamp(0),
            });
        }

        fn scopes(&self) -> [Scope; 4] {
            let (project, agent) = Self::names();
            [
                Scope::All,
                Scope::Project(project),
                Scope::Agent(agent),
                Scope::Session(self.session),
            ]
        }
    }

    fn cut(path: &Path) -> Option<Stop> {
        path.stopped().now_or_never()
    }

    #[test]
    fn a_kill_anywhere_above_cuts_what_is_in_flight_and_refuses_what_comes() {
        for place in 0..4 {
            let mut world = World::new();
            let scope = world.scopes()[place].clone();
            let path = world.enter().unwrap();
            assert_eq!(cut(&path), None, "{scope}");
            world.set(scope.clone(), RunState::Killed);
            let stop = cut(&path).expect("cut");
            assert!(stop.sentence().contains("it misbehaves"), "{scope}: {stop:?}");
            assert_eq!(world.enter().unwrap_err(), RefusalCode::Killed, "{scope}");
            world.set(scope.clone(), RunState::Running);
            assert_eq!(cut(&world.enter().expect("goes on")), None, "{scope}");
            assert!(cut(&path).is_some(), "{scope}: what was cut stays cut");
        }
    }

    #[test]
    fn a_kill_elsewhere_cuts_nothing() {
        let mut world = World::new();
        let path = world.enter().unwrap();
        world.set(Scope::Agent("other-bot".parse().unwrap()), RunState::Killed);
        world.set(Scope::Project("sales".parse().unwrap()), RunState::Killed);
        world.set(Scope::Session(SessionId::generate()), RunState::Killed);
        assert_eq!(cut(&path), None);
        assert!(world.enter().is_ok());
    }

    #[test]
    fn a_pause_refuses_what_comes_and_leaves_what_is_in_flight() {
        let mut world = World::new();
        let path = world.enter().unwrap();
        let [_, project, ..] = world.scopes();
        world.set(project, RunState::Paused);
        assert_eq!(cut(&path), None);
        assert_eq!(world.enter().unwrap_err(), RefusalCode::Paused);
    }

    #[test]
    fn the_strictest_state_above_is_the_one_in_force() {
        let mut world = World::new();
        let [all, project, agent, _] = world.scopes();
        world.set(all, RunState::Paused);
        world.set(agent.clone(), RunState::Killed);
        world.set(project, RunState::Paused);
        assert_eq!(world.enter().unwrap_err(), RefusalCode::Killed);
        world.set(agent, RunState::Running);
        assert_eq!(world.enter().unwrap_err(), RefusalCode::Paused);
    }

    #[test]
    fn states_survive_a_restart() {
        let mut world = World::new();
        let [_, _, agent, _] = world.scopes();
        world.set(agent, RunState::Killed);
        let tree = RunTree::restore(world.tree.states());
        let mut later = World { tree, session: world.session };
        assert_eq!(later.enter().unwrap_err(), RefusalCode::Killed);
    }

    #[test]
    fn a_closed_tree_refuses_and_cuts_only_when_told() {
        let mut world = World::new();
        let path = world.enter().unwrap();
        let token = world.tree.close();
        assert_eq!(world.enter().unwrap_err(), RefusalCode::Stopping);
        assert_eq!(cut(&path), None);
        token.cancel();
        assert_eq!(cut(&path), Some(Stop::ShuttingDown));
    }

    #[test]
    fn an_ended_session_is_cut_with_its_reason() {
        let mut world = World::new();
        let path = world.enter().unwrap();
        world.tree.end(world.session, "session is over: idle");
        assert_eq!(cut(&path), Some(Stop::Ended("session is over: idle".to_owned())));
    }
}

//! From the domain's rows to the API's wire types.

use provost_api::{
    Agent, Approval, ApprovalExtent, Human, IssuedKey, Key, McpTool, Project, RunStateEntry,
    Sensitive, Session,
};
use provost_pipeline::IssuedToken;
use provost_store::{
    AgentRow, ApprovalRow, CredentialRow, HumanRow, ProjectRow, Reach, RunStateRow, SessionRow,
    ToolRow,
};
use provost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

pub(crate) fn project(row: ProjectRow) -> Project {
    Project {
        name: row.name.to_string(),
        bodies: row.bodies.as_str().to_owned(),
        created_at: row.created_at.to_string(),
    }
}

pub(crate) fn agent(row: AgentRow) -> Agent {
    Agent {
        name: row.name.to_string(),
        project: row.project.to_string(),
        created_at: row.created_at.to_string(),
        retired_at: time(row.retired_at),
    }
}

pub(crate) fn key(row: CredentialRow) -> Key {
    Key {
        credential: row.id.to_string(),
        label: row.label,
        created_at: row.created_at.to_string(),
        expires_at: time(row.expires_at),
        last_used_at: time(row.last_used_at),
        revoked_at: time(row.revoked_at),
    }
}

pub(crate) fn issued_key(issued: &IssuedToken) -> IssuedKey {
    IssuedKey { credential: issued.credential.to_string(), key: sensitive(&issued.token) }
}

pub(crate) fn human(row: HumanRow) -> Human {
    Human {
        id: row.id.to_string(),
        name: row.name,
        role: row.role.as_str().to_owned(),
        created_at: row.created_at.to_string(),
        removed_at: time(row.removed_at),
    }
}

pub(crate) fn session(row: SessionRow) -> Session {
    Session {
        id: row.id.to_string(),
        agent: row.agent.to_string(),
        project: row.project.to_string(),
        opened_by: row.opened_by,
        started_at: row.started_at.to_string(),
        last_seen_at: row.last_seen_at.to_string(),
        idle_max_s: row.idle_max.as_secs(),
        expires_at: row.expires_at.to_string(),
        ended_at: time(row.ended_at),
        end_reason: row.end_reason,
    }
}

pub(crate) fn run_state(row: RunStateRow) -> RunStateEntry {
    RunStateEntry {
        scope: row.scope.to_string(),
        state: row.state.as_str().to_owned(),
        reason: row.reason,
        by: row.by,
        at: row.at.to_string(),
    }
}

pub(crate) fn approval(row: &ApprovalRow) -> Approval {
    let mut groups: Vec<_> = row.gates.iter().flat_map(|gate| gate.groups.clone()).collect();
    groups.sort();
    groups.dedup();
    Approval {
        id: row.id.to_string(),
        state: row.state.as_str().to_owned(),
        note: row.note.clone(),
        agent: row.agent.to_string(),
        project: row.project.to_string(),
        session: row.session.to_string(),
        action: row.action.to_string(),
        plane: row.plane.clone(),
        verb: row.verb.clone(),
        resource_kind: row.resource_kind.clone(),
        resource_id: row.resource_id.clone(),
        gates: row.gates.iter().map(|gate| gate.policy.to_string()).collect(),
        groups,
        extent: extent(&row.reach),
        requested_at: row.requested_at.to_string(),
        expires_at: row.expires_at.to_string(),
        closed_at: time(row.closed_at),
        used_by: row.used_by.map(|action| action.to_string()),
    }
}

fn extent(reach: &Reach) -> ApprovalExtent {
    match reach {
        Reach::Once => ApprovalExtent::Once,
        Reach::Session => ApprovalExtent::Session,
        Reach::Pattern { arguments, rest: _ } => {
            ApprovalExtent::Pattern { arguments: arguments.clone(), lasts_s: None }
        }
    }
}

pub(crate) fn tool(row: &ToolRow) -> McpTool {
    let waiting = row.waiting.as_ref();
    McpTool {
        server: row.server.clone(),
        tool: row.tool.clone(),
        state: if waiting.is_some() { "held" } else { "accepted" }.to_owned(),
        digest: row.accepted.digest().to_string(),
        accepted_by: row.accepted_by.clone(),
        accepted_at: row.accepted_at.to_string(),
        waiting_digest: waiting.map(|waiting| waiting.definition.digest().to_string()),
        waiting_since: time(waiting.map(|waiting| waiting.since)),
    }
}

/// The one place where a credential becomes text that leaves the server.
pub(crate) fn sensitive(text: &SecretString) -> Sensitive {
    Sensitive(text.expose_secret().to_owned())
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

//! The environment an agent is given: a session's credential in, every other key out.

use std::ffi::OsString;

use secrecy::{ExposeSecret as _, SecretString};

/// What a session gives its agent.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// Base URL of the gateway.
    pub(crate) gateway: String,
    /// The session's id.
    pub(crate) session: String,
    /// The session's credential.
    pub(crate) credential: SecretString,
}

/// Names that carry a credential, or lead around the gateway, whatever their value.
///
/// Source: documentation of the clients named, and of the tools an agent commonly runs.
pub(crate) const REMOVED_NAMES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_UNIX_SOCKET",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "API_KEY",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
    "DATABASE_URL",
    "DOCKER_AUTH_CONFIG",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GIT_ASKPASS",
    "KUBECONFIG",
    "MYSQL_PWD",
    "OPENAI_API_KEY",
    "PASSWORD",
    "PGPASSFILE",
    "PGPASSWORD",
    "SECRET",
    "SLACK_WEBHOOK_URL",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "TOKEN",
];

/// Beginnings of names of cloud credentials, and of what leads to them or to the control API.
pub(crate) const REMOVED_BEGINNINGS: &[&str] = &["AWS_", "AZURE_", "GOOGLE_", "PROVOST_"];

/// Ends of such names that lead to none.
const HARMLESS_ENDS: &[&str] = &["_CA_BUNDLE", "_OUTPUT", "_PAGER", "_REGION", "_RETRY_MODE"];

/// Ends of names that say what the value is.
pub(crate) const REMOVED_ENDS: &[&str] = &[
    "_ACCESS_KEY",
    "_API_KEY",
    "_CREDENTIALS",
    "_KEY",
    "_PASSPHRASE",
    "_PASSWORD",
    "_PAT",
    "_SECRET",
    "_TOKEN",
];

/// Beginnings of values that only a credential has, under whatever name.
///
/// Source: the issuers' documentation of their key formats.
pub(crate) const REMOVED_VALUES: &[&str] = &[
    "-----BEGIN ",
    "AIza",
    "AKIA",
    "ASIA",
    "agk_",
    "gho_",
    "ghp_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "pvh_",
    "sk-",
    "xapp-",
    "xoxb-",
    "xoxp-",
];

/// Names that switch a client away from the gateway, or send a second credential beside the
/// session's: `provost env` unsets them.
pub(crate) const CONFLICTING_NAMES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
];

/// An environment made for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The whole environment, and nothing beside it.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Names, sorted, of what was there and is not any more.
    pub(crate) removed: Vec<String>,
}

impl Environment {
    /// Makes an agent's environment from `parent`; names in `keep` stay though they look like
    /// credentials. What the grant sets, it sets in any case.
    pub(crate) fn new(
        parent: impl IntoIterator<Item = (OsString, OsString)>,
        grant: &Grant,
        keep: &[String],
    ) -> Self {
        let (mut variables, mut removed) = (Vec::new(), Vec::new());
        for (name, value) in parent {
            let text = name.to_string_lossy();
            let kept = keep.iter().any(|keep| *keep == text);
            if kept || !is_credential(&text, &value.to_string_lossy()) {
                variables.push((name, value));
            } else {
                removed.push(text.into_owned());
            }
        }
        removed.sort();
        let inherited = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        let granted = granted(grant, inherited);
        variables.retain(|(name, _)| granted.iter().all(|(set, _)| name != *set));
        variables.extend(granted.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self { variables, removed }
    }
}

/// The variables a session sets, sorted by name; `inherited` tells what is set already.
pub(crate) fn granted(
    grant: &Grant,
    inherited: impl Fn(&str) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let host = host_of(&grant.gateway);
    let quiet = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC";
    vec![
        ("ANTHROPIC_AUTH_TOKEN", grant.credential.expose_secret().to_owned()),
        ("ANTHROPIC_BASE_URL", grant.gateway.clone()),
        // Telemetry and update checks go around the gateway; whoever wants them says so.
        (quiet, inherited(quiet).unwrap_or_else(|| "1".to_owned())),
        // Claude Code sends even loopback requests through a proxy it is given.
        ("NO_PROXY", extended(inherited("NO_PROXY"), &host)),
        // For the configuration of MCP servers, in which Claude Code puts nothing where
        // ANTHROPIC_AUTH_TOKEN is named (measured, 2.1.330).
        ("PROVOST_CREDENTIAL", grant.credential.expose_secret().to_owned()),
        ("PROVOST_GATEWAY", grant.gateway.clone()),
        ("PROVOST_SESSION", grant.session.clone()),
        ("no_proxy", extended(inherited("no_proxy"), &host)),
    ]
}

fn is_credential(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_harmless = HARMLESS_ENDS.iter().any(|end| name.ends_with(end));
    REMOVED_NAMES.contains(&name.as_str())
        || REMOVED_ENDS.iter().any(|end| name.ends_with(end))
        || REMOVED_BEGINNINGS.iter().any(|start| name.starts_with(start) && !is_harmless)
        || REMOVED_VALUES.iter().any(|start| value.starts_with(start))
        || (!name.ends_with("_PROXY") && has_password(value))
}

/// Whether the value is a URL with a password in it.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// The host of a base URL, without brackets.
fn host_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn extended(list: Option<String>, host: &str) -> String {
    match list.filter(|list| !list.trim().is_empty()) {
        Some(list) if list.split(',').any(|one| one.trim() == host) => list,
        Some(list) => format!("{list},{host}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{Environment, Grant};

    fn environment(parent: &[(&str, &str)], keep: &[&str]) -> (Vec<String>, Vec<String>) {
        let grant = Grant {
            gateway: "http://127.0.0.1:8484".to_owned(),
            session: "ses_1".to_owned(),
            credential: SecretString::from("pvs_1"),
        };
        let keep: Vec<String> = keep.iter().map(|name| (*name).to_owned()).collect();
        let parent = parent.iter().map(|(name, value)| (name.into(), value.into()));
        let made = Environment::new(parent, &grant, &keep);
        let shown = made.variables.iter().map(|(name, value)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        });
        (shown.collect(), made.removed)
    }

    #[test]
    fn an_agent_gets_its_session_and_nothing_else_that_opens_doors() {
        let (variables, removed) = environment(
            &[
                ("PATH", "/bin"),
                ("ANTHROPIC_API_KEY", "sk-ant-real"),
                ("ANTHROPIC_BASE_URL", "https://elsewhere"),
                ("NO_PROXY", "example.com"),
                ("PROVOST_TOKEN", "pvh_admin"),
            ],
            &[],
        );
        assert_eq!(removed, ["ANTHROPIC_API_KEY", "PROVOST_TOKEN"]);
        assert_eq!(
            variables,
            [
                "PATH=/bin",
                "ANTHROPIC_AUTH_TOKEN=pvs_1",
                "ANTHROPIC_BASE_URL=http://127.0.0.1:8484",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
                "NO_PROXY=example.com,127.0.0.1",
                "PROVOST_CREDENTIAL=pvs_1",
                "PROVOST_GATEWAY=http://127.0.0.1:8484",
                "PROVOST_SESSION=ses_1",
                "no_proxy=127.0.0.1",
            ]
        );
    }

    #[test]
    fn what_counts_as_a_credential() {
        for (name, value, want) in [
            ("HOME", "/home/ada", false),
            ("LANG", "C.UTF-8", false),
            ("AWS_SECRET_ACCESS_KEY", "x", true),
            ("AWS_PROFILE", "prod", true), // leads to a credential
            ("AWS_REGION", "eu-central-1", false), // leads nowhere
            ("my_service_token", "x", true), // names compare without case
            ("MAX_OUTPUT_TOKENS", "8192", false), // a number of tokens
            ("TOKENIZERS_PARALLELISM", "1", false), // a name that begins like one
            ("MONKEY", "x", false),        // a name that ends like one
            ("DEPLOY", "-----BEGIN OPENSSH PRIVATE KEY-----", true),
            ("NOTES", "ghp_0123456789", true), // a key under an innocent name
            ("CACHE", "redis://:secret@cache:6379/0", true),
            ("CACHE", "redis://cache:6379/0", false),
            ("HTTPS_PROXY", "http://user:secret@proxy:3128", false), // the way out, not a door
            ("SSH_AUTH_SOCK", "/run/agent", true),
            ("CLAUDE_CODE_USE_BEDROCK", "1", true), // leads around the gateway
        ] {
            let (_, removed) = environment(&[(name, value)], &[]);
            assert_eq!(!removed.is_empty(), want, "{name}={value}");
        }
    }

    #[test]
    fn an_exception_keeps_a_name_but_not_against_the_session() {
        let parent = [("CI_TOKEN", "x"), ("ANTHROPIC_AUTH_TOKEN", "real")];
        let (variables, removed) = environment(&parent, &["CI_TOKEN", "ANTHROPIC_AUTH_TOKEN"]);
        assert!(removed.is_empty());
        assert!(variables.contains(&"CI_TOKEN=x".to_owned()));
        assert!(!variables.contains(&"ANTHROPIC_AUTH_TOKEN=real".to_owned()));
        assert!(variables.contains(&"ANTHROPIC_AUTH_TOKEN=pvs_1".to_owned()));
    }

    #[test]
    fn the_gateway_is_never_reached_through_a_proxy() {
        for (list, want) in [
            ("", "127.0.0.1"),
            ("a,127.0.0.1", "a,127.0.0.1"),
            ("127.0.0.10", "127.0.0.10,127.0.0.1"),
        ] {
            let (variables, _) = environment(&[("no_proxy", list)], &[]);
            assert!(variables.contains(&format!("no_proxy={want}")), "{variables:?}");
        }
    }
}

//! What is written from the table of keys: the commented `provost.toml`, the reference page.

use super::{
    keys::{ALL, Key, SECTIONS, Shape},
    mcp,
};

/// Longest line of a comment. Unit: characters.
const COMMENT_CHARS_MAX: usize = 88;

/// A `provost.toml` in which every key is explained, and set to its default in a comment.
pub(crate) fn commented_file() -> String {
    let mut page = String::from(
        "# Configuration of Provost. Every key may be left out; what is commented out shows the\n\
         # value that holds then. PROVOST_<SECTION>_<KEY> in the environment wins over this file.\n",
    );
    for (section, meaning) in SECTIONS {
        page.push_str(&format!("\n# {meaning}\n[{section}]\n"));
        for key in keys_of(section) {
            let (_, name) = key.parts();
            for line in wrapped(key.meaning) {
                page.push_str(&format!("# {line}\n"));
            }
            page.push_str(&format!("# {name} = {}\n", literal(key)));
        }
    }
    page.push_str(OAUTH_EXAMPLE);
    page.push_str(MCP_EXAMPLE);
    page
}

/// How an agent of an access token is written, for there is none by default.
const OAUTH_EXAMPLE: &str = "
# Agents by the subject of their access tokens, with `issuer` in [oauth].
#
#     [oauth.agents]
#     \"7f0c2a\" = \"invoice-bot\"
";

/// How a server is written, for there is none by default.
const MCP_EXAMPLE: &str = "
# MCP servers that agents reach at /mcp/NAME of the gateway, one table for each.
#
#     [mcp.servers.github]
#     url = \"https://api.githubcopilot.com/mcp/\"
#     secret = \"github\"               # provost secret set github
#     arguments = [\"owner\", \"repo\"]   # policies may look at these
#
#     [mcp.servers.files]
#     command = [\"mcp-server-filesystem\", \"/srv/docs\"]
";

/// `docs/reference/configuration.md`.
pub(crate) fn reference() -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask docs`; change crates/provost/src/config/keys.rs. -->\n\n\
         # Configuration\n\n\
         One TOML file, `provost.toml` in the data directory or the one named by `--config`. \
         Every key may be left out. Unknown keys are refused, with their line and what may \
         have been meant. An environment variable wins over the file, and the file over the \
         default. Paths are relative to the data directory.\n",
    );
    for (section, meaning) in SECTIONS {
        page.push_str(&format!("\n## `[{section}]`\n\n{meaning}\n\n"));
        page.push_str("| key | takes | default | environment | meaning |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for key in keys_of(section) {
            let (_, name) = key.parts();
            let default = key.default.map_or("–".to_owned(), |value| format!("`{value}`"));
            let variable = key.variable();
            let (takes, meaning) = (key.shape.wanted(), key.meaning);
            page.push_str(&format!(
                "| `{name}` | {takes} | {default} | `{variable}` | {meaning} |\n"
            ));
        }
    }
    page.push_str(
        "\n## `[oauth.agents]`\n\nWho is who: `\"subject\" = \"agent\"`, one line for each, by \
         the claim `oauth.claim`. Who is not here is nobody. Not from the environment. See the \
         [guide](../guides/mcp-oauth.md).\n",
    );
    page.push_str(
        "\n## `[mcp.servers.NAME]`\n\nAn MCP server that agents reach at `/mcp/NAME` of the \
         gateway; one table for each. NAME is 1 to 64 lower-case letters, digits and `-`. Not \
         from the environment. See the [guide](../guides/mcp.md).\n\n\
         | key | takes | meaning |\n| --- | --- | --- |\n",
    );
    for key in mcp::KEYS {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        let (takes, meaning) = (key.takes(), key.meaning);
        page.push_str(&format!("| `{name}` | {takes} | {meaning} |\n"));
    }
    page
}

fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    ALL.iter().filter(move |key| key.parts().0 == section)
}

/// The default as TOML, or an empty text where there is none.
fn literal(key: &Key) -> String {
    let value = key.default.unwrap_or_default();
    match key.shape {
        Shape::Switch | Shape::Number(_) => value.to_owned(),
        Shape::Address
        | Shape::File
        | Shape::Url
        | Shape::Word(_)
        | Shape::Text
        | Shape::Texts => {
            format!("{value:?}")
        }
    }
}

/// Lines of at most [`COMMENT_CHARS_MAX`] characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer.filter(|line| line.chars().count() <= COMMENT_CHARS_MAX) {
            Some(longer) => {
                lines.pop();
                lines.push(longer);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

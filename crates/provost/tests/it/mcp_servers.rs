//! Servers that people run: alone, behind the gateway, and among all, they say the same to the
//! word.

use std::path::Path;

use provost_scripted::Script;
use tokio::process::Command;

use crate::{
    claude_code::ended,
    client,
    world::{World, told},
};

/// Whoever it is, whatever it is: this test is not about policy.
const POLICY: &str = r#"
@id("everything")
permit (principal, action in Mcp::Action::"all", resource);
"#;

/// Each server, its program, and how many lines it says at least. Source: what it says alone.
const SERVERS: [(&str, &str, usize); 3] =
    [("everything", "stdio", 35), ("filesystem", "FOLDER", 20), ("memory", "", 15)];

/// A folder that is always the same.
fn prepare(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("kept.txt"), "kept\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_servers_say_the_same_alone_and_behind_the_gateway() {
    let Some(node) = client::node() else { return };
    let Some(servers) = client::mcp_servers() else { return };
    let Some(python) = client::python_mcp() else { return };
    let path = format!("PATH={}:/usr/bin:/bin", node.parent().unwrap().display());
    let mut world = World::install(Script::default()).await;
    let folder = world.folder().join("files");
    let memory = world.folder().join("files/memory.json");
    let memory = format!("MEMORY_FILE_PATH={}", memory.display());
    let command = |name: &str, argument: &str| {
        let argument = argument.replace("FOLDER", &folder.display().to_string());
        (servers.join(format!("mcp-server-{name}")).display().to_string(), argument)
    };
    for (name, argument, _) in SERVERS {
        let (program, argument) = command(name, argument);
        let arguments =
            if argument.is_empty() { String::new() } else { format!(", {argument:?}") };
        world.configure(&format!(
            "[mcp.servers.{name}]\ncommand = [{program:?}{arguments}]\n\
             env = [{path:?}, {memory:?}]\n"
        ));
    }
    world.policy("mcp", POLICY);
    prepare(&folder);
    world.serve().await;
    let gateway = world.server().gateway;
    let (_, token) = world.session().await;
    for (name, argument, least) in SERVERS {
        let (program, argument) = command(name, argument);
        let mut said = Vec::new();
        for way in [
            format!("stdio:{program} {argument}"),
            format!("{name}=http://{gateway}/mcp/{name}"),
            format!("{name}@http://{gateway}/mcp"),
        ] {
            prepare(&folder);
            let mut client = Command::new(&python);
            client
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_same.py"))
                .args([&way, name, folder.to_str().unwrap()])
                .envs([path.split_once('=').unwrap(), memory.split_once('=').unwrap()])
                .env("TOKEN", &token)
                .kill_on_drop(true);
            let output = ended(client).await;
            let log = world.server_log();
            assert!(output.status.success(), "{way}: {}\n{log}", told(&output));
            said.push(String::from_utf8(output.stdout).unwrap());
        }
        let [alone, behind, among] = said.try_into().unwrap();
        let lines = alone.lines().count();
        println!("{name}: {lines} answers");
        assert!(lines >= least, "{name}: {lines} answers: {alone}");
        for other in [behind, among] {
            let differs = alone.lines().zip(other.lines()).find(|(one, other)| one != other);
            assert_eq!(differs, None, "{name}");
            assert_eq!(lines, other.lines().count(), "{name}");
        }
    }
    world.concluded().await;
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

//! `provost run` at a terminal: what a person's keys do, in a real shell on a real pty.

use std::{process::Stdio, time::Duration};

use provost_scripted::Script;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::world::{AGENT, PROVOST, World};

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const CTRL_Z: &str = "\u{1a}";

/// An agent that answers each line it is given, and says when it began.
const ECHO: &str = "sh -c 'echo agent:\"\"began; exec sed -u s/^/agent:/'";

/// Longest wait for something that has to be shown. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An interactive shell at a terminal.
struct Shell {
    _child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    /// What was shown and not waited for yet.
    shown: String,
}

impl Shell {
    fn start(world: &World) -> Self {
        let data = world.data().display();
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--flush", "--command", "bash --norc -i", "/dev/null"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", world.folder())
            .env("PS1", "$ ")
            .env("TERM", "dumb")
            .env("RUN", format!("{PROVOST} --data-dir {data} run --agent {AGENT} --"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, keys, screen, shown: String::new() }
    }

    /// Types.
    async fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until `text` is shown. What is typed is shown too: wait for something else.
    async fn shows(&mut self, text: &str) {
        let wait = async {
            loop {
                if let Some((_, rest)) = self.shown.split_once(text) {
                    self.shown = rest.to_owned();
                    return;
                }
                let mut bytes = [0; 4096];
                let count = self.screen.read(&mut bytes).await.unwrap();
                assert!(
                    count > 0,
                    "the terminal closed before it showed {text:?}: {}",
                    self.shown
                );
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "not shown in time: {text:?}, but: {}", self.shown);
    }

    /// Waits for the shell to have the terminal, and for the last command's exit code.
    async fn ended_with(&mut self, code: u8) {
        self.keys("echo code=$?\n").await;
        self.shows(&format!("code={code}\r")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_reach_the_agent_and_the_shell_gets_its_terminal_back() {
    let world = World::start(Script::default()).await;
    let mut shell = Shell::start(&world);

    shell.keys(&format!("$RUN {ECHO}\n")).await;
    shell.shows("agent:began").await;
    shell.keys("one\n").await;
    shell.shows("agent:one").await;
    shell.keys(CTRL_D).await;
    shell.ended_with(0).await;

    shell.keys("$RUN sh -c 'echo agent:\"\"began; exec sleep 1000'\n").await;
    shell.shows("agent:began").await;
    shell.keys(CTRL_C).await;
    shell.ended_with(130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_stopped_and_resumed_as_one_job() {
    let world = World::start(Script::default()).await;
    let mut shell = Shell::start(&world);

    shell.keys(&format!("$RUN {ECHO}\n")).await;
    shell.shows("agent:began").await;
    shell.keys(CTRL_Z).await;
    shell.shows("Stopped").await;
    shell.keys("echo still-\"\"here\n").await;
    shell.shows("still-here").await;
    shell.keys("fg\n").await;
    shell.keys("two\n").await;
    shell.shows("agent:two").await;
    shell.keys(CTRL_D).await;
    shell.ended_with(0).await;

    // In the background it is stopped when it reads, and goes on when it is brought back.
    shell.keys(&format!("$RUN {ECHO} &\n")).await;
    shell.shows("agent:began").await;
    shell.keys("until jobs | grep -q Stopped; do :; done; echo it-\"\"waits\n").await;
    shell.shows("it-waits").await;
    shell.keys("fg\n").await;
    shell.keys("three\n").await;
    shell.shows("agent:three").await;
    shell.keys(CTRL_D).await;
    shell.ended_with(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_beside_the_agent_keeps_working() {
    let world = World::start(Script::default()).await;
    let mut shell = Shell::start(&world);

    // In a pipe, the agent gets the terminal when it asks for it.
    shell.keys("$RUN sh -c 'read line; echo agent:$line' | sed s/^/pipe:/\n").await;
    shell.keys("four\n").await;
    shell.shows("pipe:agent:four").await;
    shell.ended_with(0).await;

    // A script reads on after its agent ended.
    let script = format!(
        "{PROVOST} --data-dir '{}' run --agent {AGENT} -- {ECHO}\nread line\necho script:$line\n",
        world.data().display()
    );
    std::fs::write(world.folder().join("script.sh"), script).unwrap();
    shell.keys("sh ~/script.sh\n").await;
    shell.shows("agent:began").await;
    shell.keys("five\n").await;
    shell.shows("agent:five").await;
    shell.keys(CTRL_D).await;
    shell.keys("six\n").await;
    shell.shows("script:six").await;
    shell.ended_with(0).await;
}

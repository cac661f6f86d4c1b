//! Programs as upstreams: what they are given, what they do wrong, and how they end.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use provost_gateway::child::{
    Child, ChildLines, Ending, LineError, Program, ProgramLimits, ProgramSpec, Resources,
    SendError, StartError,
};
use provost_pipeline::{Gateway, Malformed, Permit, Pipeline, Presented, Refusal, Reply};
use provost_store::{FileJournal, Journal};
use provost_types::{Action, Correlation, Outcome, Plane, Resource, Status};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::governed::{open_session, parts};

/// Short, for programs that do not end by themselves: nothing depends on how short.
const SOON: Duration = Duration::from_millis(50);

/// Starts a program for the one action it admits: the only way to a permit.
struct Starter {
    program: Program,
    secrets: Vec<(String, SecretString)>,
    credential: SecretString,
    tasks: TaskTracker,
    stop: CancellationToken,
    started: Option<Result<Child, StartError>>,
}

impl Gateway for Starter {
    type Ask = ();
    type Answer = ();

    fn present(&self, _ask: &()) -> Presented {
        Presented::Token(self.credential.clone())
    }

    fn classify(&self, _ask: &()) -> Result<Action, Malformed> {
        Ok(Action {
            plane: Plane::Llm,
            verb: "list_models",
            resource: Resource { kind: "Llm::Catalog", id: "all".to_owned() },
            context: Vec::new(),
            arguments: Bytes::new(),
            correlation: Correlation::default(),
        })
    }

    async fn execute(&mut self, permit: &Permit, _ask: (), _reply: &mut Reply<()>) -> Outcome {
        let Self { program, secrets, tasks, stop, .. } = &*self;
        self.started = Some(Child::start(program, secrets, permit, tasks, stop));
        Outcome::new(Status::Succeeded)
    }

    fn refuse(&self, _refusal: &Refusal) {}
}

/// A folder for programs, and what looks after them.
struct World {
    folder: TempDir,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// What runs a script of ours, with little patience.
    fn script(&self, text: &str) -> ProgramSpec {
        let file = self.path().join("script.sh");
        fs::write(&file, text).unwrap();
        ProgramSpec {
            name: "tools".to_owned(),
            program: "sh".into(),
            arguments: vec![file.to_str().unwrap().to_owned()],
            folder: self.path(),
            home: self.path(),
            environment: Vec::new(),
            limits: ProgramLimits {
                close_grace: SOON,
                term_grace: SOON,
                ..ProgramLimits::default()
            },
        }
    }

    async fn try_start(
        &self,
        spec: ProgramSpec,
        secrets: &[(&str, &str)],
    ) -> Result<Child, StartError> {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::File(FileJournal::open(&state.path().join("ledger")).unwrap());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let parts = parts(&state, journal).await;
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let session = open_session(&pipeline).await;
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        let mut starter = Starter {
            program: Program::new(spec).unwrap(),
            secrets: secrets.collect(),
            credential: session.credential.clone(),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
            started: None,
        };
        let (reply, _frames) = Reply::channel(1);
        pipeline.run(&mut starter, (), reply).await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        starter.started.expect("the action was admitted")
    }

    async fn start(&self, spec: ProgramSpec) -> Child {
        self.try_start(spec, &[]).await.unwrap()
    }

    /// Waits until nothing looks after any program any more.
    async fn close(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn line(lines: &mut ChildLines) -> String {
    let line = lines.next_line().await.unwrap().expect("a line");
    String::from_utf8(line.to_vec()).unwrap()
}

async fn all(lines: &mut ChildLines) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        all.push(String::from_utf8(line.to_vec()).unwrap());
    }
    all
}

/// Whether a process runs: one that ended and was not collected does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// Waits until a process runs no more.
async fn has_ended(pid: &str) {
    while runs(pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lines_go_in_and_come_out_in_order_while_another_task_reads() {
    let world = World::new();
    let Child { input, mut lines, process } = world.start(world.script("exec cat")).await;
    let long = "x".repeat(3_000_000);
    let wants: Vec<String> = (0..1000).map(|n| n.to_string()).chain([long.clone()]).collect();
    let sending = async {
        for want in &wants {
            input.send(want.clone().into()).await.unwrap();
        }
        drop(input); // closes its input, so that it ends
    };
    let ((), got) = tokio::join!(sending, all(&mut lines));
    assert!(got == wants);
    assert_eq!(process.ended().await, Ending::Exited(0));
    assert!(!runs(&process.pid().to_string()));
    world.close().await;
}

#[tokio::test]
async fn a_line_that_is_none_or_too_long_is_not_sent() {
    let world = World::new();
    let mut spec = world.script("exec cat");
    spec.limits.line_bytes_max = 10;
    let Child { input, mut lines, process: _process } = world.start(spec).await;
    for (line, want) in [
        ("a\nb", Err(SendError::LineBreak)),
        ("\n", Err(SendError::LineBreak)),
        ("12345678901", Err(SendError::TooLong { line_bytes_max: 10 })),
        ("1234567890", Ok(())),
    ] {
        assert_eq!(input.send(line.into()).await, want, "{line:?}");
    }
    assert_eq!(line(&mut lines).await, "1234567890");
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_of_ours() {
    let world = World::new();
    let mut spec = world.script("exec env");
    spec.environment = vec![("COLOUR".into(), "a b\"'$(id)".into())];
    let started = world.try_start(spec, &[("KEY", "s3cret")]).await;
    let Child { mut lines, process, .. } = started.unwrap();
    let got: BTreeSet<String> = all(&mut lines).await.into_iter().collect();
    let home = world.path();
    let home = home.display();
    let want = [
        "COLOUR=a b\"'$(id)".to_owned(),
        format!("HOME={home}"),
        "KEY=s3cret".to_owned(),
        "LANG=C.UTF-8".to_owned(),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        // Set by the shell that runs our script.
        format!("PWD={home}"),
    ];
    let shells =
        |line: &String| !["OLDPWD=", "SHLVL=", "_="].iter().any(|it| line.starts_with(it));
    let got: Vec<String> = got.into_iter().filter(shells).collect();
    assert_eq!(got, want);
    assert_eq!(process.ended().await, Ending::Exited(0));
}

#[tokio::test]
async fn arguments_are_passed_as_they_are_and_read_by_no_shell() {
    let world = World::new();
    let mut spec = world.script("printf '<%s>\\n' \"$@\"; pwd");
    let arguments = ["-c", "$(touch made)", "a  b", "'", "\"; exit 3; \"", "", "*", "--"];
    spec.arguments.extend(arguments.map(str::to_owned));
    let Child { mut lines, process: _process, .. } = world.start(spec).await;
    let mut want: Vec<String> = arguments.iter().map(|one| format!("<{one}>")).collect();
    want.push(world.path().display().to_string());
    assert_eq!(all(&mut lines).await, want);
    assert!(!world.path().join("made").exists());
}

#[tokio::test]
async fn limits_hold_from_the_start() {
    let world = World::new();
    let mut spec = world.script(
        "ulimit -n; ulimit -v; ulimit -d; ulimit -t; ulimit -c\n\
         head -c 100000 /dev/zero > file\n\
         wc -c < file",
    );
    spec.limits.resources = Resources {
        address_space_bytes: Some(1 << 30),
        data_bytes: Some(1 << 29),
        open_files: Some(40),
        processes: None,
        file_bytes: Some(5000),
        cpu_seconds: Some(20),
    };
    let Child { mut lines, process: _process, .. } = world.start(spec).await;
    let got: Vec<String> =
        all(&mut lines).await.iter().map(|it| it.trim().to_owned()).collect();
    assert_eq!(got, ["40", "1048576", "524288", "20", "0", "5000"]);
}

#[tokio::test]
async fn what_is_no_program_is_not_started() {
    let world = World::new();
    fs::write(world.path().join("not-executable"), "").unwrap();
    let spec = || world.script("");
    for (spec, want) in [
        (
            ProgramSpec { program: "no-such-program".into(), ..spec() },
            "there is no program no-",
        ),
        (ProgramSpec { program: world.path().join("not-executable"), ..spec() }, "there is no"),
        (ProgramSpec { program: world.path(), ..spec() }, "there is no program /"),
        (ProgramSpec { folder: "/no/such/folder".into(), ..spec() }, "the program cannot be"),
    ] {
        let error = world.try_start(spec, &[]).await.unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
    let error = world.try_start(spec(), &[("A B", "s3cret")]).await.unwrap_err();
    assert!(matches!(error, StartError::Secret(_)), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
    world.close().await;
}

#[tokio::test]
async fn a_flood_of_complaints_holds_nothing_up() {
    let world = World::new();
    let script =
        "head -c 20000000 /dev/zero >&2; yes complaint | head -n 300000 >&2; echo done";
    let Child { mut lines, process, .. } = world.start(world.script(script)).await;
    assert_eq!(all(&mut lines).await, ["done"]);
    assert_eq!(process.ended().await, Ending::Exited(0));
    world.close().await;
}

#[tokio::test]
async fn an_endless_line_ends_the_program() {
    let world = World::new();
    let mut spec = world.script("echo first; exec cat /dev/zero");
    spec.limits.line_bytes_max = 100_000;
    let Child { mut lines, process, .. } = world.start(spec).await;
    assert_eq!(line(&mut lines).await, "first");
    let error = lines.next_line().await.unwrap_err();
    assert!(matches!(error, LineError::TooLong { line_bytes_max: 100_000 }), "{error}");
    assert!(lines.next_line().await.unwrap().is_none());
    // Told to, as it does not see that its input was closed.
    assert_eq!(process.ended().await, Ending::Signalled(15));
    world.close().await;
}

#[tokio::test]
async fn programs_end_as_politely_as_they_let_us() {
    for (script, want) in [
        ("echo ready; cat; exit 3", Ending::Exited(3)), // its input was closed
        ("trap 'exit 7' TERM; echo ready; while :; do :; done", Ending::Exited(7)),
        ("echo ready; exec sleep 1000", Ending::Signalled(15)),
        ("trap '' TERM; echo ready; while :; do :; done", Ending::Signalled(9)),
        // Ignored by the whole group.
        ("trap '' TERM; sleep 1000 & echo ready; wait", Ending::Signalled(9)),
        // A stopped program is resumed, to end.
        ("echo ready; kill -STOP $$; sleep 1000", Ending::Signalled(15)),
    ] {
        let world = World::new();
        let mut spec = world.script(script);
        if matches!(want, Ending::Exited(_)) {
            // Patience that does not run out while the machine is busy.
            let patience = Duration::from_secs(60);
            let grace = if want == Ending::Exited(3) { patience } else { SOON };
            (spec.limits.close_grace, spec.limits.term_grace) = (grace, patience);
        }
        let Child { mut lines, process, input } = world.start(spec).await;
        assert_eq!(line(&mut lines).await, "ready");
        assert_eq!(process.ending(), None);
        assert_eq!(process.end().await, want, "{script}");
        assert_eq!(process.ending(), Some(want));
        // Collected, as no process has that id.
        assert!(!Path::new(&format!("/proc/{}", process.pid())).exists(), "{script}");
        assert_eq!(input.send("late".into()).await, Err(SendError::Gone));
        assert!(lines.next_line().await.unwrap().is_none());
        world.close().await;
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_in_its_group_ends_with_it() {
    // Also when it ends by itself, and with its streams held open.
    for script in ["sleep 1000 & echo $!; exit 4", "trap '' TERM; sleep 1000 & echo $!; cat"] {
        let world = World::new();
        let Child { mut lines, process, input } = world.start(world.script(script)).await;
        let grandchild = line(&mut lines).await;
        drop(input);
        process.ended().await;
        has_ended(&grandchild).await;
        assert!(lines.next_line().await.unwrap().is_none());
        world.close().await;
    }
}

#[tokio::test]
async fn nothing_of_a_program_is_left_uncollected_where_we_adopt_orphans() {
    // As the first process of a container does.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let world = World::new();
    let script = "sleep 1000 & echo $!; sleep 1000 & echo $!; exit 4";
    let Child { mut lines, process, .. } = world.start(world.script(script)).await;
    let left = [line(&mut lines).await, line(&mut lines).await];
    assert_eq!(process.ended().await, Ending::Exited(4));
    for pid in left {
        assert!(!Path::new("/proc").join(&pid).exists(), "{pid}");
    }
    world.close().await;
}

#[tokio::test]
async fn what_left_the_group_is_cut_off() {
    let world = World::new();
    let script = "setsid sh -c 'echo $$; exec sleep 1000' & read line; exit 0";
    let Child { mut lines, process, input } = world.start(world.script(script)).await;
    let escaped = line(&mut lines).await;
    input.send("go".into()).await.unwrap();
    assert_eq!(process.ended().await, Ending::Exited(0));
    assert!(lines.next_line().await.unwrap().is_none(), "though the pipe is open still");
    world.close().await;
    let escaped = rustix::process::Pid::from_raw(escaped.parse().unwrap()).unwrap();
    rustix::process::kill_process(escaped, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_program_that_ends_in_mid_line_is_told_from_one_that_ends() {
    let world = World::new();
    let script = "echo whole; printf 'not whole'; exit 0";
    let Child { mut lines, process, .. } = world.start(world.script(script)).await;
    assert_eq!(process.ended().await, Ending::Exited(0));
    assert_eq!(line(&mut lines).await, "whole", "what it said is there after its end");
    let error = lines.next_line().await.unwrap_err();
    assert!(matches!(error, LineError::CutOff { bytes: 9 }), "{error}");
    assert!(lines.next_line().await.unwrap().is_none());
}

#[tokio::test]
async fn a_program_that_reads_nothing_is_not_waited_for() {
    let world = World::new();
    let mut spec = world.script("echo ready; exec sleep 1000");
    spec.limits.line_bytes_max = 400_000;
    spec.limits.send_wait_max = SOON;
    let Child { input, mut lines, process } = world.start(spec).await;
    assert_eq!(line(&mut lines).await, "ready");
    let half: Bytes = vec![b'x'; 300_000].into();
    assert_eq!(input.send(half.clone()).await, Ok(()), "it waits to be written");
    assert_eq!(input.send(half).await, Err(SendError::NotReading { after: SOON }));
    assert_eq!(process.end().await, Ending::Signalled(15));
}

#[tokio::test]
async fn a_sender_that_waits_is_told_when_the_program_ends() {
    let world = World::new();
    let mut spec = world.script("echo ready; exec sleep 1000");
    spec.limits.line_bytes_max = 400_000;
    spec.limits.send_wait_max = Duration::from_secs(600);
    let Child { input, mut lines, process } = world.start(spec).await;
    assert_eq!(line(&mut lines).await, "ready");
    let half: Bytes = vec![b'x'; 300_000].into();
    assert_eq!(input.send(half.clone()).await, Ok(()));
    let (sent, ending) = tokio::join!(input.send(half), process.end());
    assert_eq!((sent, ending), (Err(SendError::Gone), Ending::Signalled(15)));
}

#[tokio::test]
async fn dropping_a_program_or_stopping_ends_it() {
    for is_dropped in [true, false] {
        let world = World::new();
        let Child { input, mut lines, process } =
            world.start(world.script("echo ready; exec sleep 1000")).await;
        assert_eq!(line(&mut lines).await, "ready");
        let pid = process.pid().to_string();
        if is_dropped {
            drop(process);
        } else {
            world.stop.cancel();
        }
        world.tasks.close();
        world.tasks.wait().await;
        assert!(!runs(&pid));
        drop((input, lines));
    }
}

#[test]
fn programs_end_with_the_runtime_that_looked_after_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::new();
    let script = "trap '' TERM; sleep 1000 & echo $!; cat; cat /dev/zero";
    let (grandchild, child) = runtime.block_on(async {
        let mut child = world.start(world.script(script)).await;
        (line(&mut child.lines).await, child)
    });
    let pid = child.process.pid().to_string();
    drop(runtime);
    while runs(&pid) || runs(&grandchild) {
        std::thread::yield_now();
    }
}
